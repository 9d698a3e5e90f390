"""Names of host pods in tables and documents: of the host, of their virtual clusters, or both."""

from __future__ import annotations

from enum import Enum
from typing import Any

from kubectl_vmetrics.output.units import NONE
from kubectl_vmetrics.vcluster.identity import VClusterRef
from kubectl_vmetrics.vcluster.pods import Pod

UNRESOLVED = "*"
"""Behind a host name that stands where a virtual one should; no Kubernetes name can hold it."""


class Names(Enum):
    """Whose names a table shows."""

    HOST = "host"
    BOTH = "both"
    VIRTUAL = "virtual"


def pod_name(pod: Pod[Any], names: Names) -> str:
    """The name of a pod in a table."""
    if names is Names.HOST or pod.vcluster is None:
        return f"{pod.metrics.metadata.name}{UNRESOLVED if pod.unproven else ''}"
    return pod.virtual.name if pod.virtual else f"{pod.metrics.metadata.name}{UNRESOLVED}"


def namespace(pod: Pod[Any], names: Names) -> str:
    """The namespace of the NAMESPACE column: the virtual one only in the view from inside."""
    return virtual_namespace(pod) if names is Names.VIRTUAL else str(pod.metrics.metadata.namespace)


def virtual_namespace(pod: Pod[Any]) -> str:
    """The namespace inside a virtual cluster."""
    if pod.virtual:
        return pod.virtual.namespace
    return (pod.owner.namespace or "") if pod.vcluster else NONE


def vcluster_cell(ref: VClusterRef | None, host_namespace: str) -> str:
    """A virtual cluster in a table: its name if the pod's namespace is its own, otherwise the path for --vcluster."""
    if ref is None:
        return NONE
    return ref.name if ref.parent is None and ref.host_namespace == host_namespace else ref.path


def vcluster_object(ref: VClusterRef) -> dict[str, Any]:
    """A virtual cluster in a document."""
    found: dict[str, Any] = {"name": ref.name, "hostNamespace": ref.host_namespace}
    return {**found, "parent": vcluster_object(ref.parent)} if ref.parent else found
