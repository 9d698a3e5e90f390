"""Prometheus text of kubelets: metrics, metrics/cadvisor, metrics/resource, metrics/probes.

What upstream does inside a virtual cluster (loft-sh/vcluster pkg/server/filters/metrics.go) and where this differs:
host uids become virtual ones (`uid`, `pod_uid`, the pod's uid inside the paths of `id` and `device`), which upstream
leaks; a sample with both pod and claim is kept, which upstream drops; a series without names whose cgroup or device is
another tenant's pod is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from kubectl_vmetrics.metrics.exposition import Decide, Rewriter
from kubectl_vmetrics.vcluster.identity import VClusterRef
from kubectl_vmetrics.vcluster.origins import CLAIMS, PODS, Origins, Synced

_UID_PATTERN = r"(?P<uid>[0-9a-f]{8}(?P<sep>[-_])[0-9a-f]{4}(?P=sep)[0-9a-f]{4}(?P=sep)[0-9a-f]{4}(?P=sep)[0-9a-f]{12})"
_UID = re.compile(_UID_PATTERN)
# A machine's boot_id has the same form: only what a path calls a pod's is one. Cgroups: …/pod<uid>/… or
# …-pod<uid>.slice; devices: /var/lib/kubelet/pods/<uid>/volumes/….
_POD_UID = re.compile(r"pods?/?" + _UID_PATTERN)
_UID_LENGTH = 36
_UID_LABELS = ("uid", "pod_uid")


def tenant(origins: Origins, vcluster: VClusterRef, *, isolate: bool = False) -> Rewriter:
    """The view of one virtual cluster.

    Args:
        origins: the map, of its namespaces at least.
        vcluster: whose view.
        isolate: drop what is about the node as a whole, too.
    """
    return _following(Rewriter(_tenant(origins, vcluster, isolate), bare=not isolate, strict=True), origins)


def host(origins: Origins) -> Rewriter:
    """The view of the host: everything, with the virtual names added."""
    return _following(Rewriter(_host(origins), bare=True, strict=False), origins)


def _following(rewriter: Rewriter, origins: Origins) -> Rewriter:
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
        if isolate and not changes:
            return None
        uids = _own_uids(labels, origins, vcluster, pod or claim)
        return None if uids is None else {**changes, **uids}

    return decide


def _own_uids(
    labels: Mapping[str, str], origins: Origins, vcluster: VClusterRef, owner: Synced | None
) -> dict[str, str] | None:
    """The changed uids of a series; None for a series of nobody's name that holds the uid of somebody else's pod."""
    changes: dict[str, str] = {}
    for label, value in labels.items():
        if len(value) < _UID_LENGTH or not ("pod" in value or label in _UID_LABELS):
            continue
        found = _POD_UID.search(value) if label not in _UID_LABELS else _UID.fullmatch(value)
        if found is None:
            continue
        known = origins.by_uid(found["uid"].replace("_", "-"))
        if known is None or known.vcluster != vcluster:
            # With a name the series is the tenant's own, of a pod that was made anew under the same name.
            if owner is None:
                return None
            changes[label] = value[: found.start("uid")] + value[found.end("uid") :]
        elif known.uid:
            virtual = known.uid.replace("-", found["sep"])
            changes[label] = value[: found.start("uid")] + virtual + value[found.end("uid") :]
    return changes


def _host(origins: Origins) -> Decide:
    def decide(labels: Mapping[str, str]) -> Mapping[str, str]:
        namespace = labels.get("namespace", "")
        pod = origins.find(PODS, namespace, name) if (name := labels.get("pod")) else None
        claim = origins.find(CLAIMS, namespace, name) if (name := labels.get("persistentvolumeclaim")) else None
        owner = pod or claim
        if owner is None:
            return {}
        added = host_labels(owner, pod=pod)
        # Not under a tenant's control: whatever the series says of itself, these are overwritten.
        return {**added, **({"vcluster_virtual_persistentvolumeclaim": claim.name} if claim else {})}

    return decide


def host_labels(owner: Synced, *, pod: Synced | None) -> dict[str, str]:
    """The labels that the host's view adds; the names are those of vCluster's own documentation of monitoring."""
    return {
        "vcluster_name": owner.vcluster.name,
        "vcluster_host_namespace": owner.vcluster.host_namespace,
        "vcluster_virtual_namespace": owner.namespace,
        **({"vcluster_virtual_pod": pod.name} if pod else {}),
    }
