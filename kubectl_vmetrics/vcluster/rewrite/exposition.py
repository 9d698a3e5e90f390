"""Prometheus text of kubelets: metrics, metrics/cadvisor, metrics/resource, metrics/probes.

What upstream does inside a virtual cluster (loft-sh/vcluster pkg/server/filters/metrics.go) and where this differs:
host uids become virtual ones (`uid`, `pod_uid`, the pod's uid inside the paths of `id` and `device`), which upstream
leaks; a sample with both pod and claim is kept, which upstream drops; a series without names passes only if nothing in
it can be another tenant's (see `machine`), where upstream passes them all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from kubectl_vmetrics.metrics.exposition import UNSEEN, Decide, Rewriter, escape
from kubectl_vmetrics.vcluster.identity import VClusterRef
from kubectl_vmetrics.vcluster.origins import CLAIMS, PODS, Origins, Synced

from . import machine

_UID_PATTERN = r"(?P<uid>[0-9a-f]{8}(?P<sep>[-_])[0-9a-f]{4}(?P=sep)[0-9a-f]{4}(?P=sep)[0-9a-f]{4}(?P=sep)[0-9a-f]{12})"
_UID = re.compile(_UID_PATTERN)
# A machine's boot_id has the same form: only what a path calls a pod's is one. Cgroups: …/pod<uid>/… or
# …-pod<uid>.slice; devices: /var/lib/kubelet/pods/<uid>/volumes/….
_POD_UID = re.compile(r"pods?/?" + _UID_PATTERN)
_UID_LENGTH = 36
_UID_LABELS = ("uid", "pod_uid")
_OF_DISK = frozenset(
    f"container_fs_{name}".encode() for name in ("limit_bytes", "inodes_free", "inodes_total")
) | frozenset(
    f"kubelet_volume_stats_{name}".encode()
    for name in ("available_bytes", "capacity_bytes", "inodes", "inodes_free", "inodes_used", "used_bytes")
)
"""Families about a whole disk, which tenants may share. cAdvisor reports the size of the file system, and for a claim
that is a directory on the node's disk (hostPath, local-path) the kubelet reports that disk. stats/summary, which has
both capacities to compare, keeps those of other claims."""


def tenant(origins: Origins, vcluster: VClusterRef, *, isolate: bool = False) -> Rewriter:
    """The view of one virtual cluster.

    Args:
        origins: the map, of its namespaces at least.
        vcluster: whose view.
        isolate: drop what is about the node as a whole, too, its disks included.
    """
    glance = _TenantGlance(origins, vcluster)
    without = _OF_DISK if isolate else frozenset[bytes]()
    rewriter = Rewriter(_tenant(origins, vcluster, isolate), glance=glance, bare=not isolate, without=without)
    return _following(rewriter, glance, origins)


def host(origins: Origins) -> Rewriter:
    """The view of the host: everything, with the virtual names added."""
    glance = _HostGlance(origins)
    return _following(Rewriter(_host(origins), glance=glance, bare=True, strict=False), glance, origins)


def _following(rewriter: Rewriter, glance: _Glance[Any], origins: Origins) -> Rewriter:
    origins.tell(glance)
    origins.tell(rewriter)
    return rewriter


def _tenant(origins: Origins, vcluster: VClusterRef, isolate: bool) -> Decide:
    def decide(labels: Mapping[str, str]) -> Mapping[str, str] | None:
        pod_name, claim_name = labels.get("pod"), labels.get("persistentvolumeclaim")
        namespace = labels.get("namespace", "")
        changes: dict[str, str] = {}
        pod = claim = None
        if pod_name:
            pod = origins.find(PODS, namespace, pod_name)
            if pod is None or pod.vcluster != vcluster:
                return None
            changes = {"pod": pod.name, "namespace": pod.namespace}
        if claim_name:
            claim = origins.find(CLAIMS, namespace, claim_name)
            if claim is None or claim.vcluster != vcluster:
                return None
            changes |= {"persistentvolumeclaim": claim.name, "namespace": claim.namespace}
        owner = pod or claim
        if isolate and owner is None:
            return None
        uids = _own_uids(labels, origins, vcluster, owner)
        if uids is None or (owner is None and not machine.harmless(labels, uids)):
            return None
        # A pod in the host's network has the host's interfaces, among them those that lead to other pods.
        if owner and not machine.interface(labels.get("interface", "lo")):
            return None
        return {**changes, **uids}

    return decide


def _own_uids(
    labels: Mapping[str, str], origins: Origins, vcluster: VClusterRef, owner: Synced | None
) -> dict[str, str] | None:
    """The changed uids of a series; None for a series without a name that contains the uid of another tenant's pod."""
    changes: dict[str, str] = {}
    strange = False

    def virtual(found: re.Match[str]) -> str:
        nonlocal strange
        before = found[0][: -len(found["uid"])]
        known = origins.by_uid(found["uid"].replace("_", "-"))
        if known is None or known.vcluster != vcluster:
            strange = True
            return before
        return before + known.uid.replace("-", found["sep"])

    for label, value in labels.items():
        if len(value) < _UID_LENGTH or not ("pod" in value or label in _UID_LABELS):
            continue
        shown, count = (_UID if label in _UID_LABELS else _POD_UID).subn(virtual, value)
        # With a name the series is the tenant's own, of a pod that was recreated under the same name.
        if strange and owner is None:
            return None
        if count:
            changes[label] = shown
    return changes


def _host(origins: Origins) -> Decide:
    def decide(labels: Mapping[str, str]) -> Mapping[str, str]:
        namespace = labels.get("namespace", "")
        pod = origins.owner(PODS, namespace, name) if (name := labels.get("pod")) else None
        claim = origins.owner(CLAIMS, namespace, name) if (name := labels.get("persistentvolumeclaim")) else None
        owner = pod or claim
        if owner is None:
            return {}
        added = host_labels(owner, pod=pod)
        # Not under a tenant's control: whatever the series says of itself, these are overwritten.
        return {**added, **({"vcluster_virtual_persistentvolumeclaim": claim.name} if claim and claim.name else {})}

    return decide


def host_labels(owner: Synced, *, pod: Synced | None) -> dict[str, str]:
    """The labels that the host's view adds; the names are those of vCluster's own documentation of monitoring."""
    return {
        "vcluster_name": owner.vcluster.name,
        "vcluster_host_namespace": owner.vcluster.host_namespace,
        "vcluster_virtual_namespace": owner.namespace,
        **({"vcluster_virtual_pod": pod.name} if pod and pod.name else {}),
    }


# ------------------------------------------------------------------------------------------------- at a glance
# Of the label blocks of a node's cadvisor text most occur once in a scrape, with the pod's names side by side. What
# those mean is known per pod; the block is not taken apart for it. Whatever is unusual is left to `decide`.

_NAMES = re.compile(rb'namespace="([^"]*)",pod="([^"]+)"')
_POD_UIDS = re.compile(_POD_UID.pattern.encode())


class _Own(NamedTuple):
    """What the blocks of one pod become.

    Attributes:
        names: its labels namespace and pod, as they will stand there.
        uid: as the host knows it.
        uids: pairs of host and virtual uid, as they are written in paths.
        ids: from its cgroups, as labels, to what they become; UNSEEN for one that names another pod.
    """

    names: bytes
    uid: bytes
    uids: tuple[tuple[bytes, bytes], ...]
    ids: dict[bytes, bytes]


Known = TypeVar("Known")
_MANY, _LARGEST, _LONGEST = 20_000, 200, 1024
"""Pods that are remembered, cgroups of one, and bytes of either: more than a host has, less than a node can make up."""


class _Glance(Generic[Known]):
    """Decides by a pod's labels namespace and pod, as they stand side by side; `known` says what was decided."""

    def __init__(self, origins: Origins) -> None:
        self._origins = origins
        self._known: dict[bytes, Known | bytes | None] = {}

    def forget(self, _: str) -> None:
        """Something changed: a few hundred pods are soon looked up again."""
        self._known = {}

    def __call__(self, block: bytes) -> bytes | None:
        # A value without backslashes holds no quote: what is found here are labels, and not the text of a value.
        start = block.find(b',namespace="') + 1
        name = block.find(b',pod="', start)
        end = block.find(b'"', name + 6) + 1
        if not (start and name > 0):
            return UNSEEN
        known, names = self._known, block[start:end]
        verdict = known.get(names, UNSEEN)
        if verdict is UNSEEN:
            found = _NAMES.fullmatch(names)
            if found is None or len(names) > _LONGEST:
                return UNSEEN  # other labels stand between the two, or these are no names
            if len(known) >= _MANY:
                known.clear()
            namespace, pod = (part.decode("utf-8", "surrogateescape") for part in found.groups())
            verdict = known[names] = self._verdict(self._find(namespace, pod))
        return None if verdict is None else self._become(block, start, end, verdict)

    def _find(self, namespace: str, name: str) -> Synced | None:
        return self._origins.find(PODS, namespace, name)

    def _verdict(self, pod: Synced | None) -> Known | None:
        """What is remembered of a pod; None drops its samples."""
        raise NotImplementedError

    def _become(self, block: bytes, start: int, end: int, verdict: Known | bytes) -> bytes:
        raise NotImplementedError


class _TenantGlance(_Glance[_Own]):
    def __init__(self, origins: Origins, vcluster: VClusterRef) -> None:
        super().__init__(origins)
        self._vcluster = vcluster

    def _verdict(self, pod: Synced | None) -> _Own | None:
        if pod is None or pod.vcluster != self._vcluster:
            return None
        names = b'namespace="' + escape(pod.namespace) + b'",pod="' + escape(pod.name) + b'"'
        host_uid, uid = pod.host_uid.encode(), escape(pod.uid)
        pairs = ((host_uid, uid), (host_uid.replace(b"-", b"_"), uid.replace(b"-", b"_"))) if host_uid else ()
        return _Own(names, host_uid, pairs, {})

    def _become(self, block: bytes, start: int, end: int, verdict: _Own | bytes) -> bytes:
        at = block.find(b',id="')
        until = block.find(b'"', at + 5)
        if isinstance(verdict, bytes) or not 0 < at < until < start:
            return UNSEEN
        # Words and not labels: a blank may stand before the sign, or a label twice.
        if b"uid" in block or b"claim" in block or b"interface" in block or block.count(b"namespace") > 1:
            return UNSEEN
        # The word stands in the label's own name; anywhere else it may start a path that contains a uid.
        if block.count(b"pod", 0, at) + block.count(b"pod", until, start) + block.count(b"pod", end):
            return UNSEEN
        cgroup = block[at:until]
        shown = verdict.ids.get(cgroup)
        if shown is None:
            if len(cgroup) > _LONGEST:
                return UNSEEN
            if len(verdict.ids) >= _LARGEST:
                verdict.ids.clear()
            shown = verdict.ids[cgroup] = self._shown(cgroup, verdict)
        return shown if shown is UNSEEN else block[:at] + shown + block[until:start] + verdict.names + block[end:]

    def _shown(self, cgroup: bytes, own: _Own) -> bytes:
        if any(found["uid"].replace(b"_", b"-") != own.uid for found in _POD_UIDS.finditer(cgroup)):
            return UNSEEN
        for host_uid, uid in own.uids:
            cgroup = cgroup.replace(host_uid, uid)
        return cgroup


class _HostGlance(_Glance[bytes]):
    def _find(self, namespace: str, name: str) -> Synced | None:
        return self._origins.owner(PODS, namespace, name)

    def _verdict(self, pod: Synced | None) -> bytes:
        labels = host_labels(pod, pod=pod) if pod else {}
        return b"".join(b',%s="%s"' % (key.encode(), escape(value)) for key, value in labels.items())

    def _become(self, block: bytes, start: int, end: int, verdict: bytes) -> bytes:
        return UNSEEN if b"vcluster_" in block or b'claim="' in block else block[:-1] + verdict + b"}"
