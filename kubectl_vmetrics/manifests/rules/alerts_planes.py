"""Alerts about control planes of tenants, and about the proxy.

Control planes are those that `manifests vcluster` and `manifests kamaji` let Prometheus scrape: their label `cluster`
is HOSTNS/NAME, which keeps out the host's own control plane.
"""

from __future__ import annotations

from kubectl_vmetrics.controlplane.figures import DURATIONS, LONG_SUBRESOURCES, LONG_VERBS, REQUESTS

from .alert import OF_VCLUSTER, PERCENTAGE, Alert, Given, Threshold, label
from .expression import call, operation, over, rate, selector
from .labels import CLUSTER, OWNER
from .names import LABELS, POD_INFO, Way

_TENANT = 'cluster=~"[^/]+/.+"'
_COMPONENTS = f'job=~"apiserver|kube-controller-manager|kube-scheduler|syncer|etcd|operator",{_TENANT}'
_SHORT = f'verb!~"{"|".join(LONG_VERBS)}",subresource!~"{"|".join(LONG_SUBRESOURCES)}"'
_MINIMUM = 0.1
"""Requests per second below which a share says nothing."""


def _down(_: Given) -> str:
    return f"{over('max', ('cluster', 'job'), selector('up', _COMPONENTS))} == 0"


def _failing(given: Given) -> str:
    def requests(*more: str) -> str:
        return over("sum", ("cluster",), rate(selector(REQUESTS, 'job="apiserver"', _TENANT, _SHORT, *more)))

    share = operation(requests('code=~"5.."'), "/", f"({requests()} > {_MINIMUM})")
    return f"{share}\n> {given.limit}"


def _slow(given: Given) -> str:
    buckets = rate(selector(DURATIONS, 'job="apiserver"', _TENANT, _SHORT))
    return f"{call('histogram_quantile', '0.99', over('sum', ('cluster', 'le'), buckets))} > {given.limit}"


def _not_ready(given: Given) -> str | None:
    if given.way != POD_INFO:
        return None
    chosen = selector("vcluster_info", given.sources.names, 'status="NotReady"')
    return f"{over('max', (CLUSTER, *OWNER), chosen)} == 1"


def _behind(given: Given) -> str | None:
    return (
        f"{selector('vmetrics_proxy_map_age_seconds', given.sources.proxy)} > {given.limit}"
        if _served(given.way)
        else None
    )


def _proxy_down(given: Given) -> str | None:
    if not _served(given.way):
        return None
    return f"{over('max', ('cluster', 'job'), selector('up', given.sources.proxy))} == 0"


def _served(way: Way) -> bool:
    """Whether names come from the proxy."""
    return way in (POD_INFO, LABELS)


ALERTS = (
    Alert(
        "VmetricsControlPlaneDown",
        _down,
        Threshold(None, "5m", "critical"),
        f"The control plane {label('cluster')} is down.",
        f"No replica of {label('job')} of the control plane {label('cluster')} can be scraped.",
    ),
    Alert(
        "VmetricsControlPlaneFailingRequests",
        _failing,
        Threshold(0.05, "10m", "warning"),
        f"The control plane {label('cluster')} fails requests.",
        f"The apiserver of {label('cluster')} answers {PERCENTAGE} of its requests with a server error (5xx).",
        "above",
        "share of requests, 0 to 1",
    ),
    Alert(
        "VmetricsControlPlaneSlow",
        _slow,
        Threshold(5, "15m", "warning"),
        f"The control plane {label('cluster')} is slow.",
        f"1% of the requests to the apiserver of {label('cluster')} take longer than "
        "{{ $value | humanizeDuration }}.",
        "above",
        "seconds, 99th percentile",
    ),
    Alert(
        "VmetricsVirtualClusterNotReady",
        _not_ready,
        Threshold(None, "10m", "warning"),
        f"The {OF_VCLUSTER} is not ready.",
        f"No pod of the control plane of the {OF_VCLUSTER} is ready.",
    ),
    Alert(
        "VmetricsProxyBehind",
        _behind,
        Threshold(120, "5m", "warning"),
        "The proxy's names are out of date.",
        f"The proxy {label('instance')} has not been able to follow the host's pods and claims for "
        "{{ $value | humanizeDuration }}. Names of new pods are missing.",
        "above",
        "seconds since the names were current",
    ),
    Alert(
        "VmetricsProxyDown",
        _proxy_down,
        Threshold(None, "5m", "warning"),
        "The proxy is down.",
        "No replica of the proxy can be scraped, so virtual names are missing.",
    ),
)
