"""GPUs, and the virtual pods that they are assigned to."""

from __future__ import annotations

from typing import NamedTuple

from kubectl_vmetrics.metrics.dcgm import Holder
from kubectl_vmetrics.metrics.gpus import IDLE, Device, Found

from .homes import Homes
from .identity import VClusterRef
from .origins import PODS, Origins, Synced

BUSY, IDLING, FREE, ASSIGNED, UNKNOWN = "Busy", "Idle", "Free", "Assigned", "Unknown"


class Held(NamedTuple):
    """A GPU or slice, and one container that it is assigned to.

    Attributes:
        holder: by host names; None if no container has it, or the exporter does not report which.
        virtual: the virtual pod; None if the holder is the host's.
        state: Busy, Idle (assigned, but not used), Free; Assigned if its utilization is not reported, Unknown if it is
            not reported whether it is assigned.
        shared: among how many containers.
        unproven: the virtual cluster that the pod's labels name, where nothing proves that it is of that one.
    """

    device: Device
    holder: Holder | None
    virtual: Synced | None
    state: str
    shared: int = 1
    unproven: str = ""

    @property
    def vcluster(self) -> VClusterRef | None:
        """The virtual cluster of the holder."""
        return self.virtual.vcluster if self.virtual else None


def tenants(homes: Homes, origins: Origins) -> set[str]:
    """The host namespaces with something of a virtual cluster in them: control planes, pods, claims."""
    return {item.ref.host_namespace for item in homes.clusters} | origins.namespaces


def held(found: Found, origins: Origins) -> list[Held]:
    """Each device once for each container that holds it, and once if none does."""
    rows = []
    for device in found.devices:
        holders = device.gpu.holders
        if not holders:
            rows.append(Held(device, None, None, UNKNOWN if device.node in found.mute else FREE))
        for holder in holders:
            virtual = origins.find(PODS, holder.namespace, holder.pod)
            unproven = origins.unproven_owner(PODS, holder.namespace, holder.pod)
            rows.append(Held(device, holder, virtual, _state(device.gpu.percent), len(holders), unproven))
    return rows


def _state(percent: float | None) -> str:
    if percent is None:
        return ASSIGNED
    return IDLING if percent < IDLE else BUSY
