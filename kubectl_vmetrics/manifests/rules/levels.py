"""Sums of pods and claims, by virtual namespace and by virtual cluster."""

from __future__ import annotations

from .expression import over
from .labels import CLUSTER, OWNER, SPACE
from .names import Way
from .record import Record

_OF_PODS = {
    "cpu_usage_cores": "rate5m",
    "memory_working_set_bytes": "sum",
    "network_receive_bytes": "rate5m",
    "network_transmit_bytes": "rate5m",
    "cpu_requests_cores": "sum",
    "cpu_limits_cores": "sum",
    "memory_requests_bytes": "sum",
    "memory_limits_bytes": "sum",
    "gpu_requests": "sum",
    "container_restarts": "sum",
}
_OF_CLAIMS = {
    "volume_used_bytes": "vcluster_claim:used_bytes:max",
    "volume_requested_bytes": "vcluster_claim:requested_bytes:max",
}


def records(way: Way) -> list[Record]:
    """By virtual namespace where names are known, and by virtual cluster."""
    found = _level("vcluster_namespace", (CLUSTER, *OWNER, SPACE), way) if way.virtual else []
    return [*found, *_level("vcluster", (CLUSTER, *OWNER), way)]


def _level(name: str, labels: tuple[str, ...], way: Way) -> list[Record]:
    parts = {metric: f"vcluster_pod:{metric}:{ending}" for metric, ending in _OF_PODS.items()}
    parts |= _OF_CLAIMS if way.claims else {}
    return [
        *(Record(f"{name}:{metric}:sum", over("sum", labels, series)) for metric, series in parts.items()),
        # Pods with a running container: those for which the kubelets report memory now.
        Record(f"{name}:pods:count", over("count", labels, "vcluster_pod:memory_working_set_bytes:sum")),
    ]
