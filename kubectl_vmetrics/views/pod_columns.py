"""Columns of `top pods` beside those of kubectl, and the values that all of them have for programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from kubectl_vmetrics.metrics import requests
from kubectl_vmetrics.metrics.metrics_api import Container
from kubectl_vmetrics.metrics.usage import Usage
from kubectl_vmetrics.output.units import NONE
from kubectl_vmetrics.vcluster.pods import Pod

from .columns import CPU, MEMORY, SHARE, TEXT, Column, Kind
from .names import Names, pod_name, virtual_namespace

if TYPE_CHECKING:
    from kubectl_vmetrics.kube.core import Pod as CorePod
    from kubectl_vmetrics.metrics.kubelet import Container as KubeletContainer
    from kubectl_vmetrics.metrics.kubelet import Pod as KubeletPod
    from kubectl_vmetrics.metrics.requests import Reserved
    from kubectl_vmetrics.metrics.traffic import Rates


class Shown(NamedTuple):
    """A row: a pod, or one of its containers.

    Attributes:
        container: None for the pod as a whole.
        names: whose names the table shows.
        reported: what its kubelet reports besides CPU and memory, if it was asked.
        core: the pod as the apiserver has it, if it was asked.
        rates: what the pod sends, receives, reads and writes, if that was asked for.
    """

    pod: Pod[Any]
    container: Container | None
    usage: Usage
    names: Names = Names.HOST
    reported: KubeletPod | KubeletContainer | None = None
    core: CorePod | None = None
    rates: Rates | None = None

    @property
    def reserved(self) -> Reserved | None:
        """Requests and limits; None if they are not known."""
        if self.core is None:
            return None
        try:
            return (
                requests.of_container(self.core, self.container.name) if self.container else requests.of_pod(self.core)
            )
        except ValueError:
            return None


PERCENT = Kind(lambda value: f"{value:.2f}", lambda value: value)
"""Percent, as the kernel reports it."""


def pressure() -> list[Column]:
    """The columns of --pressure."""
    return [
        Column(f"{short}-{kind.upper()}%", f"{resource}_pressure_{kind}_percent", PERCENT, _stall(resource, kind))
        for resource, short in (("cpu", "CPU"), ("memory", "MEM"), ("io", "IO"))
        for kind in ("some", "full")
    ]


def _stall(resource: str, kind: str) -> Callable[[Shown], float | None]:
    def value(item: Shown) -> float | None:
        psi = item.reported.pressure[resource] if item.reported else None
        return getattr(psi, kind).avg10 if psi else None

    return value


def wide(*, reported: bool) -> list[Column]:
    """The columns of -o wide; `reported` where kubelets were asked."""
    return [
        *(
            Column(f"%{short}/{kind[0].upper()}", f"{resource}_{kind}_share", SHARE, _share(kind, resource))
            for resource, short in (("cpu", "CPU"), ("memory", "MEM"))
            for kind in ("requests", "limits")
        ),
        *([Column("EPHEMERAL(bytes)", "ephemeral_storage_bytes", MEMORY, _ephemeral)] if reported else []),
        Column("NODE", "node", TEXT, lambda item: (item.core.spec.node if item.core else "") or None, NONE),
        Column("HOST-NAME", "host_name", TEXT, lambda item: item.pod.host.name if _differs(item) else None, ""),
    ]


def _differs(item: Shown) -> bool:
    return pod_name(item.pod, item.names) != item.pod.host.name


def _ephemeral(item: Shown) -> int | None:
    return item.reported.ephemeral_bytes if item.reported else None


def _amount(kind: str, resource: str) -> Callable[[Shown], int | None]:
    def value(item: Shown) -> int | None:
        reserved = item.reserved
        if reserved is None:
            return None
        return reserved.limit(resource) if kind == "limits" else reserved.requests.get(resource)

    return value


def _share(kind: str, resource: str) -> Callable[[Shown], float | None]:
    amount = _amount(kind, resource)

    def value(item: Shown) -> float | None:
        whole = amount(item)
        used = item.usage.cpu_nanocores if resource == "cpu" else item.usage.memory_bytes
        return used / whole if whole else None

    return value


def plain(*, containers: bool, extra: list[Column], reported: bool) -> list[Column]:
    """All columns for programs; the same for every way to select pods."""
    wide_columns = [column for column in wide(reported=reported) if column.header != "HOST-NAME"]
    return [
        Column("", "host_namespace", TEXT, lambda item: item.pod.host.namespace),
        Column("", "host_name", TEXT, lambda item: item.pod.host.name),
        Column("", "vcluster_namespace", TEXT, lambda item: _vcluster(item, "host_namespace")),
        Column("", "vcluster", TEXT, lambda item: _vcluster(item, "name")),
        Column(
            "", "virtual_namespace", TEXT, lambda item: virtual_namespace(item.pod) if _vcluster(item, "name") else None
        ),
        Column("", "virtual_name", TEXT, lambda item: item.pod.virtual.name if _virtual(item) else None),
        *([Column("", "container", TEXT, lambda item: item.container.name)] if containers else []),
        Column("", "cpu_cores", CPU, lambda item: item.usage.cpu_nanocores, summed=True),
        Column("", "memory_bytes", MEMORY, lambda item: item.usage.memory_bytes, summed=True),
        Column("", "swap_bytes", MEMORY, _swap, summed=True),
        *(
            Column("", f"{resource}_{kind}_{unit}", measure, _amount(kind, resource))
            for resource, unit, measure in (("cpu", "cores", CPU), ("memory", "bytes", MEMORY))
            for kind in ("requests", "limits")
        ),
        *wide_columns,
        *extra,
    ]


def _virtual(item: Shown) -> bool:
    return item.names is not Names.HOST and item.pod.virtual is not None


def _vcluster(item: Shown, field: str) -> str | None:
    vcluster = item.pod.vcluster if item.names is not Names.HOST else None
    found: str | None = getattr(vcluster, field) if vcluster else None
    return found


def _swap(item: Shown) -> int | None:
    containers = [item.container] if item.container else item.pod.metrics.containers
    return item.usage.swap_bytes if any(container.usage.swap for container in containers) else None
