"""The volumes of a moment: what kubelets reported of claims, and which pods mounted them."""

from __future__ import annotations

import math
from typing import NamedTuple

from kubectl_vmetrics.metrics.kubelet import PodRef, PvcRef, Volume
from kubectl_vmetrics.metrics.metrics_api import Scope
from kubectl_vmetrics.vcluster.origins import Synced
from kubectl_vmetrics.vcluster.volumes import Mounted

from .moment import Moment, matchers_of
from .names import Identity, Key

_FAMILIES = {
    "used": "kubelet_volume_stats_used_bytes",
    "capacity": "kubelet_volume_stats_capacity_bytes",
    "available": "kubelet_volume_stats_available_bytes",
    "inodes": "kubelet_volume_stats_inodes",
    "inodes_used": "kubelet_volume_stats_inodes_used",
}
_CLAIM = "persistentvolumeclaim"


class _Pod(NamedTuple):
    name: str
    volume: str


def read(moment: Moment, namespace: str | None = None) -> list[Mounted]:
    """The volumes of a host namespace, or of all: one entry per pod that mounts a claim, in order of their names."""
    only = matchers_of(Scope(namespace))
    numbers: dict[Key, dict[str, int]] = {}
    for field, family in _FAMILIES.items():
        chosen = f'{family}{{{moment.jobs.kubelet},{_CLAIM}!=""{only}}}'
        for sample in moment.query(f"max by (namespace, {_CLAIM}) ({chosen})"):
            if math.isfinite(sample.number):
                key = sample.labels.get("namespace", ""), sample.labels[_CLAIM]
                numbers.setdefault(key, {})[field] = int(sample.number)
    mounts = _pods(moment, only) if numbers else {}
    found = []
    for key, has in sorted(numbers.items()):
        for pod in sorted(mounts.get(key, {_Pod("", "")})):
            volume = Volume(pod.volume, PvcRef(key[1], key[0]), **has)
            claim = _synced(moment.names.of_claim(*key))
            mounting = _synced(moment.names.of(key[0], pod.name)) if pod.name else None
            found.append(Mounted(volume, PvcRef(key[1], key[0]), PodRef(pod.name, key[0]), claim, mounting))
    return found


def _pods(moment: Moment, only: str) -> dict[Key, set[_Pod]]:
    """The running pods that mount each claim."""
    running = f'kube_pod_status_phase{{{moment.jobs.state},phase=~"Pending|Running"{only}}} == 1'
    chosen = f"kube_pod_spec_volumes_persistentvolumeclaims_info{{{moment.jobs.state}{only}}}"
    by = f"namespace, pod, volume, {_CLAIM}"
    found: dict[Key, set[_Pod]] = {}
    for sample in moment.query(f"group by ({by}) ({chosen} and on (namespace, pod) ({running}))"):
        labels = sample.labels
        key = labels.get("namespace", ""), labels.get(_CLAIM, "")
        found.setdefault(key, set()).add(_Pod(labels.get("pod", ""), labels.get("volume", "")))
    return found


def _synced(identity: Identity) -> Synced | None:
    if identity.vcluster is None or identity.namespace is None or identity.name is None:
        return None
    return Synced(identity.vcluster, identity.namespace, identity.name)
