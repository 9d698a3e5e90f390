"""Alerts about what tenants use: quotas, volumes, throttling, out of memory; and about names that are missing."""

from __future__ import annotations

from .alert import OF_VCLUSTER, PERCENTAGE, Alert, Given, Threshold, label
from .expression import call, grouped, operation, over, selector
from .labels import HOST_POD, POD_NAMES
from .names import LABELS, POD_INFO
from .usage import named

_CONTAINER = (*HOST_POD, "container")
# Without virtual names (--names pod-owner), the host's are all there is.
_A_POD = (
    "{{ if $labels.vcluster_virtual_pod }}{{ $labels.vcluster_virtual_namespace }}/{{ $labels.vcluster_virtual_pod }}"
    "{{ else }}{{ $labels.namespace }}/{{ $labels.pod }}{{ end }}"
)
_OF_HOST = "{{ with $labels.cluster }} on the host {{ . }}{{ end }}"
_A_CLAIM = f"{label('vcluster_virtual_namespace')}/{label('vcluster_virtual_persistentvolumeclaim')}"


def _quota(given: Given) -> str:
    return f"vcluster:quota_used:max / (vcluster:quota_hard:max > 0) > {given.limit}"


def _volume(given: Given) -> str | None:
    return (
        f"vcluster_claim:used_bytes:max / (vcluster_claim:capacity_bytes:max > 0) > {given.limit}"
        if given.way.claims
        else None
    )


def _throttled(given: Given) -> str:
    return f"vcluster_pod:cpu_throttled:ratio_rate5m > {given.limit}"


def _killed(given: Given) -> str:
    oom = 'reason="OOMKilled"'
    last = selector("kube_pod_container_status_last_terminated_reason", given.sources.state, oom)
    ended = selector("kube_pod_container_status_terminated_reason", given.sources.state, oom)
    restarts = selector("kube_pod_container_status_restarts_total", given.sources.state)
    keys = ", ".join(_CONTAINER)
    restarted = operation(
        f"{over('max', _CONTAINER, last)} == 1",
        f"and on ({keys})",
        f"{over('max', _CONTAINER, call('increase', f'{restarts}[15m]'))} > 0",
    )
    # A container that is not restarted keeps its reason until the pod is deleted: it counts while that is new.
    final = operation(f"{over('max', _CONTAINER, ended)} == 1", f"unless on ({keys})", f"{ended} offset 15m == 1")
    return named(grouped(operation(restarted, f"or on ({keys})", final)), given.way)


def _unresolved(given: Given) -> str | None:
    proxy = over("max", ("cluster",), selector("vmetrics_proxy_map_unresolved_objects", given.sources.proxy))
    # Only running pods have a name by way of the proxy's labels; those that have ended are not missing.
    if given.way == LABELS:
        return f"{proxy} > {given.limit}"
    if not given.way.virtual:
        return None
    synced = over("group", HOST_POD, selector("kube_pod_owner", given.sources.state, 'owner_kind="Service"'))
    known = selector(POD_NAMES, 'vcluster_virtual_pod!=""')
    nameless = operation(synced, f"unless on ({', '.join(HOST_POD)})", known)
    found = f"{over('count', ('cluster',), nameless)} > {given.limit}"
    return operation(f"{proxy} > {given.limit}", "or on (cluster)", found) if given.way == POD_INFO else found


def _absent(given: Given) -> str:
    witness = given.way.witness(given.sources)
    # Of several hosts, each that had tenants within a day; `absent` alone is silent as long as one of them has names.
    lost = operation(
        over("group", ("cluster",), "max_over_time(vcluster:pods:count[1d])"),
        "unless on (cluster)",
        over("group", ("cluster",), witness),
    )
    return operation(lost, "or on ()", call("absent", witness))


ALERTS = (
    Alert(
        "VmetricsQuotaNearLimit",
        _quota,
        Threshold(0.9, "15m", "warning"),
        f"The {OF_VCLUSTER} is near its quota.",
        f"The {OF_VCLUSTER} has used {PERCENTAGE} of {label('resource')} in the quota {label('resourcequota')} of the "
        f"host namespace {label('namespace')}.",
        "above",
        "share of the quota, 0 to 1",
    ),
    Alert(
        "VmetricsVolumeNearlyFull",
        _volume,
        Threshold(0.9, "15m", "warning"),
        f"A volume of the {OF_VCLUSTER} is nearly full.",
        f"The claim {_A_CLAIM} of the {OF_VCLUSTER} has used {PERCENTAGE} of its volume (on the host: "
        f"{label('namespace')}/{label('persistentvolumeclaim')}).",
        "above",
        "share of the volume, 0 to 1",
    ),
    Alert(
        "VmetricsPodThrottled",
        _throttled,
        Threshold(0.25, "15m", "info"),
        f"A pod of the {OF_VCLUSTER} is throttled.",
        f"The pod {_A_POD} of the {OF_VCLUSTER} was throttled in {PERCENTAGE} of its CPU periods (on the host: "
        f"{label('namespace')}/{label('pod')}).",
        "above",
        "share of throttled periods, 0 to 1",
    ),
    Alert(
        "VmetricsPodOomKilled",
        _killed,
        Threshold(None, "0s", "warning"),
        f"A container of the {OF_VCLUSTER} ran out of memory.",
        f"The container {label('container')} of the pod {_A_POD} of the {OF_VCLUSTER} was killed because it reached "
        f"its memory limit (on the host: {label('namespace')}/{label('pod')}).",
    ),
    Alert(
        "VmetricsNamesUnresolved",
        _unresolved,
        Threshold(0, "15m", "warning"),
        "Virtual names of some pods are not known.",
        "{{ $value }} pods or claims belong to a virtual cluster, but their virtual names are not known.",
        "above",
        "pods and claims",
    ),
    Alert(
        "VmetricsNamesAbsent",
        _absent,
        Threshold(None, "10m", "warning"),
        f"Prometheus has no virtual names{_OF_HOST}.",
        f"No series names pods of virtual clusters{_OF_HOST}, so the series of `manifests rules` are missing.",
    ),
)
