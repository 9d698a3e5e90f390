"""Sums of usage by virtual cluster, by namespace and by node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kubectl_vmetrics.metrics.traffic import Rates, total
from kubectl_vmetrics.metrics.usage import NOTHING, HostPod, Usage

from .discovery import CONTROL_PLANE_APPS, VCluster
from .holdings import Claimed, Facts, Holding, Quota
from .identity import VClusterRef
from .pods import Pod

PRIVATE, TENANT = "private nodes", "tenant"


class VClusterUsage(NamedTuple):
    """What a virtual cluster uses.

    Attributes:
        vcluster: None for everything outside virtual clusters.
        control_plane: usage of its own pods, not part of `usage`; None if none are running.
        unproven: how many of the pods have labels of a virtual cluster that prove nothing.
        holding: what its pods hold; None if that was not asked for, or is not known.
        plane_holding: what its control plane holds, not part of `holding`.
        rates: what its pods send, receive, read and write; None if that was not asked for.
        source: PRIVATE if its pods are not on the host, and thus not counted; TENANT if they were counted by its own
            Metrics API; "" for the host's.
    """

    vcluster: VCluster | None
    pods: int
    usage: Usage
    control_plane: Usage | None = None
    unproven: int = 0
    holding: Holding | None = None
    plane_holding: Holding | None = None
    rates: Rates | None = None
    source: str = ""


class NamespaceUsage(NamedTuple):
    """What a namespace uses: of a virtual cluster, or of the host where `vcluster` is None.

    Attributes:
        host_namespace: where its pods are on the host.
        namespace: the virtual namespace, None for a namespace of the host.
        unproven: how many of the pods have labels of a virtual cluster that prove nothing.
        holding: what its pods hold; None if that was not asked for, or is not known.
    """

    host_namespace: str
    vcluster: VClusterRef | None
    namespace: str | None
    pods: int
    usage: Usage
    unproven: int = 0
    holding: Holding | None = None


class Share(NamedTuple):
    """What the pods of one virtual cluster use on one node."""

    pods: int = 0
    usage: Usage = NOTHING


def on_node(details: Details, node: str) -> Details:
    """Only what is on a node; claims and quotas are not."""
    facts = {pod: item for pod, item in (details.facts or {}).items() if item.node == node}
    others = [pod for pod in details.others if pod.host in facts]
    return Details(facts, others, gpu_percent=details.gpu_percent)


def held_on(nodes: Iterable[Facts]) -> dict[str, Holding]:
    """What pods hold on each node."""
    found: dict[str, Holding] = {}
    for facts in nodes:
        found.setdefault(facts.node, Holding()).add(facts)
    return found


class OwnedClaim(NamedTuple):
    """A claim, and whose it is.

    Attributes:
        namespace: the virtual one; None for a claim of the host.
    """

    claim: Claimed
    vcluster: VClusterRef | None
    namespace: str | None


class Details(NamedTuple):
    """What pods and claims hold, and whose they are.

    Attributes:
        facts: of each host pod that runs; None if pods cannot be listed.
        others: pods in `facts` that have no metrics (yet), with no usage.
        claims: None if they cannot be listed.
        quotas: by host namespace and resource; None if they cannot be listed.
        gpu_percent: of the GPUs and slices assigned to each host pod; nothing for others.
    """

    facts: Mapping[HostPod, Facts] | None
    others: Sequence[Pod[Any]] = ()
    claims: Sequence[OwnedClaim] | None = None
    quotas: Mapping[str, Mapping[str, Quota]] | None = None
    gpu_percent: Mapping[HostPod, float] = {}

    @property
    def gpus(self) -> bool:
        """Whether any pod requests a GPU."""
        from kubectl_vmetrics.metrics import gpus

        return any(item.reserved and gpus.count(item.reserved.requests) for item in (self.facts or {}).values())


def by_vcluster(
    pods: Iterable[Pod[Any]],
    known: Sequence[VCluster],
    details: Details | None = None,
    rates: Mapping[HostPod, Rates] | None = None,
) -> list[VClusterUsage]:
    """The usage of each known virtual cluster, of those known only from their pods, and of the rest.

    A nested virtual cluster counts towards the one on the host. A control plane consists of the pods labeled
    app=vcluster and release=NAME in its own namespace.

    Args:
        pods: with metrics.
        known: virtual clusters, with or without pods.
        details: what they hold; None if that was not asked for.
        rates: what each pod sends, receives, reads and writes; None if that was not asked for.
    """
    moved: dict[VClusterRef | None, list[Rates]] = {}
    used: dict[VClusterRef | None, list[Any]] = {v.ref: [0, NOTHING, None, 0] for v in known}
    used.setdefault(None, [0, NOTHING, None, 0])
    held = _Held(details)
    for pod in pods:
        ref, plane = _owner(pod, used)
        entry = used.setdefault(ref, [0, NOTHING, None, 0])
        held.pod((ref, plane), pod)
        if plane:
            entry[2] = (entry[2] or NOTHING) + pod.usage
            continue
        entry[0] += 1
        entry[1] += pod.usage
        entry[3] += pod.unproven
        if rates and (found := rates.get(pod.host)):
            moved.setdefault(ref, []).append(found)
    for pod in details.others if details else ():
        owner = _owner(pod, used)
        if owner[0] in used:
            held.pod(owner, pod)
    for item in (details.claims if details else None) or ():
        held.claim((_root(item.vcluster), False), item)
    homes = Counter(ref.host_namespace for ref in used if ref)
    for ref in used:
        if ref and homes[ref.host_namespace] == 1:
            held.quota((ref, False), ref.host_namespace)
    status = {v.ref: v for v in known}
    return [
        VClusterUsage(
            status.get(ref, VCluster(ref, "")) if ref else None,
            count,
            usage,
            plane,
            unproven,
            held.of((ref, False)),
            held.of((ref, True), claims=False) if plane is not None else None,
            None if rates is None else total(moved.get(ref, ())),
        )
        for ref, (count, usage, plane, unproven) in used.items()
    ]


def _root(ref: VClusterRef | None) -> VClusterRef | None:
    while ref and ref.parent:
        ref = ref.parent
    return ref


def _owner(pod: Pod[Any], known: Mapping[VClusterRef | None, Any]) -> tuple[VClusterRef | None, bool]:
    """The virtual cluster of a pod, and whether it is part of its control plane."""
    ref = _root(pod.vcluster)
    if ref is None and pod.owner.app in CONTROL_PLANE_APPS and pod.owner.release:
        plane = VClusterRef(pod.host.namespace, pod.owner.release)
        if plane in known:
            return plane, True
    return ref, False


class _Held:
    """Adds up what groups hold."""

    def __init__(self, details: Details | None) -> None:
        self._details = details
        self._found: dict[Any, Holding] = {}

    def of(self, key: Any, *, claims: bool = True) -> Holding | None:
        if self._details is None or (self._details.facts is None and key not in self._found):
            return None
        found = self._mine(key)
        if claims and self._details.claims is not None and found.claims is None:
            found.claims, found.requested = 0, 0
        return found

    def pod(self, key: Any, pod: Pod[Any]) -> None:
        if self._details and self._details.facts and (facts := self._details.facts.get(pod.host)):
            mine = self._mine(key)
            mine.add(facts)
            if (percent := self._details.gpu_percent.get(pod.host)) is not None:
                mine.gpu_percent = (mine.gpu_percent or 0.0) + percent

    def claim(self, key: Any, item: OwnedClaim) -> None:
        self._mine(key).claim(item.claim)

    def quota(self, key: Any, namespace: str) -> None:
        if self._details and self._details.quotas is not None:
            self._mine(key).quotas = self._details.quotas.get(namespace, {})

    def _mine(self, key: Any) -> Holding:
        return self._found.setdefault(key, Holding())


def by_namespace(pods: Iterable[Pod[Any]], details: Details | None = None) -> list[NamespaceUsage]:
    """The usage of each virtual namespace and each host namespace."""
    used: dict[tuple[str, VClusterRef | None, str | None], list[Any]] = {}
    held = _Held(details)
    for pod in pods:
        key = _namespace(pod)
        entry = used.setdefault(key, [0, NOTHING, 0])
        entry[0] += 1
        entry[1] += pod.usage
        entry[2] += pod.unproven
        held.pod(key, pod)
    for pod in details.others if details else ():
        if (key := _namespace(pod)) in used:
            held.pod(key, pod)
    for item in (details.claims if details else None) or ():
        key = item.claim.namespace, item.vcluster, item.namespace if item.vcluster else None
        if key in used:
            held.claim(key, item)
    rows = Counter(key[0] for key in used)
    for key in used:
        if rows[key[0]] == 1:
            held.quota(key, key[0])
    return [
        NamespaceUsage(*key, count, usage, unproven, held.of(key)) for key, (count, usage, unproven) in used.items()
    ]


def _namespace(pod: Pod[Any]) -> tuple[str, VClusterRef | None, str | None]:
    namespace = pod.virtual.namespace if pod.virtual else pod.owner.namespace if pod.vcluster else None
    return pod.host.namespace, pod.vcluster, namespace


def by_node(pods: Iterable[Pod[Any]], nodes: Mapping[HostPod, str]) -> dict[str, Share]:
    """The usage of pods on each node, given where each runs; pods without a node are left out."""
    used: dict[str, Share] = {}
    for pod in pods:
        if node := nodes.get(pod.host):
            before = used.get(node, Share())
            used[node] = Share(before.pods + 1, before.usage + pod.usage)
    return used
