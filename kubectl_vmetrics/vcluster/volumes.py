"""Mounted volumes: usage from the kubelets, and their owners."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from kubectl_vmetrics.metrics.kubelet import PodRef, PvcRef, Summary, Volume

from .identity import VClusterRef
from .origins import CLAIMS, PODS, Origins, Synced


class Mounted(NamedTuple):
    """A claim, mounted by a pod.

    Attributes:
        volume: its numbers.
        claim, pod: host names.
        virtual_claim, virtual_pod: None for those of the host itself.
        unproven: the virtual cluster that the claim's labels name, where nothing proves that it is of that one.
    """

    volume: Volume
    claim: PvcRef
    pod: PodRef
    virtual_claim: Synced | None
    virtual_pod: Synced | None
    unproven: str = ""

    @property
    def vcluster(self) -> VClusterRef | None:
        """The virtual cluster it belongs to."""
        return self.virtual_claim.vcluster if self.virtual_claim else None

    @property
    def inodes_used(self) -> int | None:
        """Inodes in use; None if a driver reports more free inodes than exist."""
        used, total = self.volume.inodes_used, self.volume.inodes
        return used if used is not None and total and used <= total else None


def mounted(
    summaries: Iterable[Summary], origins: Origins, keep: Callable[[Mounted], bool] = lambda _: True
) -> list[Mounted]:
    """Every volume with a claim on these nodes; a claim has one entry per pod that mounts it."""
    found = []
    for summary in summaries:
        for pod in summary.pods:
            for volume in pod.volumes:
                if volume.pvc is None:
                    continue
                claim = origins.find(CLAIMS, volume.pvc.namespace, volume.pvc.name)
                mounting = origins.find(PODS, pod.ref.namespace, pod.ref.name)
                unproven = origins.unproven_owner(CLAIMS, volume.pvc.namespace, volume.pvc.name)
                item = Mounted(volume, volume.pvc, pod.ref, claim, mounting, unproven)
                if keep(item):
                    found.append(item)
    return found
