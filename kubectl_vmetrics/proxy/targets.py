"""Targets for Prometheus' HTTP service discovery: /sd (https://prometheus.io/docs/prometheus/latest/http_sd/).

The host's /sd names the host's view alone, and of the kubelets' endpoints those that count nothing twice: the families
of metrics/resource have the names of cAdvisor's. Each kubelet's target has the labels that kube-prometheus gives it
(job, metrics_path, node), so that rules and dashboards made for those fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kubectl_vmetrics.metrics import kubelet
from kubectl_vmetrics.vcluster.identity import VClusterRef

from . import names
from .exchange import Refusal

NAMES, OWN = "names", "proxy"
"""Endpoints beside the kubelets': the names of pods and claims, and the proxy's own metrics."""
JOBS = {NAMES: ("vmetrics-names", names.PATH), OWN: ("vmetrics-proxy", "/metrics")}


def chosen(asked: str | None, supported: Sequence[str]) -> list[str]:
    """The endpoints that a client asks for.

    Args:
        asked: names with commas between them; None for all that count nothing twice.
        supported: the endpoints of the view.

    Raises:
        Refusal: 400, for any other name.
    """
    if asked is None:
        return [endpoint for endpoint in supported if endpoint != kubelet.TWICE]
    wanted = [endpoint.strip() for endpoint in asked.split(",")]
    for endpoint in wanted:
        if endpoint not in supported:
            shown = endpoint[:64]
            raise Refusal(400, "BadRequest", f'unknown endpoint "{shown}"; supported: {", ".join(supported)}')
    return list(dict.fromkeys(wanted))


def targets(
    address: str,
    endpoints: Iterable[str],
    nodes: Callable[[], Iterable[str]],
    *,
    prefix: str = "",
    owner: VClusterRef | None = None,
) -> list[dict[str, Any]]:
    """The targets of one view.

    Args:
        address: where the client reached the proxy.
        endpoints: as `chosen`.
        nodes: gives the nodes of the view; not asked where no kubelet's endpoint is wanted.
        prefix: of the view's paths.
        owner: whose view it is, for the labels; None for no such labels.

    Raises:
        StatusError, ConnectionFailed, BadAnswer: as `nodes`.
    """
    wanted = list(endpoints)
    texts = [endpoint for endpoint in wanted if endpoint not in JOBS]
    labels = {"vcluster_name": owner.name, "vcluster_host_namespace": owner.host_namespace} if owner else {}
    found = [
        _target(
            address,
            f"{prefix}{kubelet.path(node, text)}",
            {"job": "kubelet", "metrics_path": f"/{text}", "node": node, "instance": node, **labels},
        )
        for node in (sorted(nodes()) if texts else ())
        for text in texts
    ]
    return found + [_target(address, path, {"job": job}) for job, path in (JOBS[e] for e in wanted if e in JOBS)]


def _target(address: str, path: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"targets": [address], "labels": {"__metrics_path__": path, **labels}}
