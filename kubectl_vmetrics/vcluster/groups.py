"""Sums of usage by virtual cluster, by namespace and by node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kubectl_vmetrics.metrics.usage import NOTHING, HostPod, Usage

from .discovery import CONTROL_PLANE_APPS, VCluster
from .identity import VClusterRef
from .pods import Pod


class VClusterUsage(NamedTuple):
    """What a virtual cluster uses.

    Attributes:
        vcluster: None for everything outside virtual clusters.
        control_plane: usage of its own pods, not part of `usage`; None if none are running.
        unproven: how many of the pods have labels of a virtual cluster that prove nothing.
    """

    vcluster: VCluster | None
    pods: int
    usage: Usage
    control_plane: Usage | None = None
    unproven: int = 0


class NamespaceUsage(NamedTuple):
    """What a namespace uses: of a virtual cluster, or of the host where `vcluster` is None.

    Attributes:
        host_namespace: where its pods are on the host.
        namespace: the virtual namespace, None for a namespace of the host.
        unproven: how many of the pods have labels of a virtual cluster that prove nothing.
    """

    host_namespace: str
    vcluster: VClusterRef | None
    namespace: str | None
    pods: int
    usage: Usage
    unproven: int = 0


class Share(NamedTuple):
    """What the pods of one virtual cluster use on one node."""

    pods: int = 0
    usage: Usage = NOTHING


def by_vcluster(pods: Iterable[Pod[Any]], known: Sequence[VCluster]) -> list[VClusterUsage]:
    """The usage of each known virtual cluster, of those known only from their pods, and of the rest.

    A nested virtual cluster counts towards the one on the host. A control plane consists of the pods labeled
    app=vcluster and release=NAME in its own namespace.
    """
    used: dict[VClusterRef | None, list[Any]] = {v.ref: [0, NOTHING, None, 0] for v in known}
    used.setdefault(None, [0, NOTHING, None, 0])
    for pod in pods:
        ref = pod.vcluster
        while ref and ref.parent:
            ref = ref.parent
        if ref is None and pod.owner.app in CONTROL_PLANE_APPS and pod.owner.release:
            plane = used.get(VClusterRef(pod.host.namespace, pod.owner.release))
            if plane is not None:
                plane[2] = (plane[2] or NOTHING) + pod.usage
                continue
        entry = used.setdefault(ref, [0, NOTHING, None, 0])
        entry[0] += 1
        entry[1] += pod.usage
        entry[3] += pod.unproven
    status = {v.ref: v for v in known}
    return [
        VClusterUsage(status.get(ref, VCluster(ref, "")) if ref else None, count, usage, plane, unproven)
        for ref, (count, usage, plane, unproven) in used.items()
    ]


def by_namespace(pods: Iterable[Pod[Any]]) -> list[NamespaceUsage]:
    """The usage of each virtual namespace and each host namespace."""
    used: dict[tuple[str, VClusterRef | None, str | None], list[Any]] = {}
    for pod in pods:
        namespace = pod.virtual.namespace if pod.virtual else pod.owner.namespace if pod.vcluster else None
        entry = used.setdefault((pod.host.namespace, pod.vcluster, namespace), [0, NOTHING, 0])
        entry[0] += 1
        entry[1] += pod.usage
        entry[2] += pod.unproven
    return [NamespaceUsage(*key, *values) for key, values in used.items()]


def by_node(pods: Iterable[Pod[Any]], nodes: Mapping[HostPod, str]) -> dict[str, Share]:
    """The usage of pods on each node, given where each runs; pods without a node are left out."""
    used: dict[str, Share] = {}
    for pod in pods:
        if node := nodes.get(pod.host):
            before = used.get(node, Share())
            used[node] = Share(before.pods + 1, before.usage + pod.usage)
    return used
