"""Sums of pods and claims, by virtual namespace and by virtual cluster."""

from __future__ import annotations

from collections.abc import Mapping

from .expression import over
from .labels import CLUSTER, OWNER, SPACE
from .names import Way
from .record import Record


def _of_pods(endings: dict[str, str]) -> dict[str, str]:
    return {metric: f"vcluster_pod:{metric}:{ending}" for metric, ending in endings.items()}


USAGE = _of_pods(
    {
        "cpu_usage_cores": "rate5m",
        "memory_working_set_bytes": "sum",
        "network_receive_bytes": "rate5m",
        "network_transmit_bytes": "rate5m",
    }
)
REQUESTS = _of_pods(
    {
        "cpu_requests_cores": "sum",
        "cpu_limits_cores": "sum",
        "memory_requests_bytes": "sum",
        "memory_limits_bytes": "sum",
        "gpu_requests": "sum",
        "container_restarts": "sum",
    }
)
VOLUMES = {
    "volume_used_bytes": "vcluster_claim:used_bytes:max",
    "volume_requested_bytes": "vcluster_claim:requested_bytes:max",
}
"""By the metric's name in a sum: the series of pods or claims that are added up."""


def sums(way: Way, parts: Mapping[str, str]) -> list[Record]:
    """By virtual namespace where names are known, and by virtual cluster."""
    return [
        Record(f"{name}:{metric}:sum", over("sum", labels, series))
        for name, labels in _levels(way)
        for metric, series in parts.items()
    ]


def counts(way: Way) -> list[Record]:
    """Pods with a running container: those for which the kubelets report memory now."""
    return [
        Record(f"{name}:pods:count", over("count", labels, USAGE["memory_working_set_bytes"]))
        for name, labels in _levels(way)
    ]


def _levels(way: Way) -> list[tuple[str, tuple[str, ...]]]:
    space = [("vcluster_namespace", (CLUSTER, *OWNER, SPACE))] if way.virtual else []
    return [*space, ("vcluster", (CLUSTER, *OWNER))]
