"""The table of `top gpus`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from kubectl_vmetrics.metrics.gpus import Assigned
from kubectl_vmetrics.metrics.usage import HostPod
from kubectl_vmetrics.output.formats import View
from kubectl_vmetrics.output.units import NONE, mebibytes
from kubectl_vmetrics.vcluster.gpus import Held

from .cells import ABOUT, LONGEST, percent, short, told
from .columns import COUNT, MEMORY, SHARE, Column, rounded
from .names import UNRESOLVED, Names, vcluster_cell, vcluster_object

SORTS: dict[str, Callable[[Held], float]] = {
    "gpu": lambda item: _known(item.device.gpu.percent),
    "memory": lambda item: _known(item.device.gpu.used),
    "power": lambda item: _known(item.device.gpu.watts),
}
"""What --sort-by takes, the largest first."""
_KIND = "vmetrics/v1"


class Options(NamedTuple):
    """How to show GPUs.

    Attributes:
        wide: with UUID, temperature, container and host name.
    """

    names: Names = Names.HOST
    sort_by: str = ""
    wide: bool = False


def view(items: Sequence[Held], options: Options) -> View:
    """The table, and the document, of GPUs, in the order of nodes and devices."""
    ordered = sorted(items, key=SORTS[options.sort_by], reverse=True) if options.sort_by else list(items)
    sliced = any(item.device.gpu.instance for item in ordered)
    headers = [
        *["NODE", "GPU", "MODEL"],
        *(["MIG"] if sliced else []),
        *["GPU(%)", "MEMORY(bytes)", "MEMORY(%)", "POWER(W)", "STATE", "NAMESPACE"],
        *(["VCLUSTER", "VNAMESPACE"] if options.names is Names.BOTH else []),
        "POD",
        *(["CONTAINER", "TEMPERATURE(C)", "UUID"] if options.wide else []),
        *(["HOST-NAME"] if options.wide and options.names is not Names.HOST else []),
    ]
    rows = [_row(item, options, sliced=sliced) for item in ordered]
    spare = ("HOST-NAME", "UUID", "TEMPERATURE(C)", "CONTAINER", "MODEL", "POWER(W)")
    values = [[read(item) for read in _FIELDS.values()] for item in ordered]
    return View(
        headers,
        rows,
        lambda: _document(ordered, options.names),
        lambda: _names(ordered),
        spare=spare,
        plain=lambda: (list(_FIELDS), values),
    )


def of_pods(requested: Mapping[HostPod, int], assigned: Mapping[HostPod, Assigned]) -> list[Column]:
    """The columns of `top pods --gpu`; their items are pod_columns.Shown."""

    def value(read: Callable[[Assigned], Any]) -> Callable[[Any], Any]:
        def of(item: Any) -> Any:
            found = assigned.get(item.pod.host) if item.container is None else None
            return read(found) if found else None

        return of

    def shared(item: Any) -> bool:
        found = assigned.get(item.pod.host)
        return found is not None and found.shared

    class Estimated(Column):
        """A column of numbers that are an equal part of those of a device, where pods share it."""

        __slots__ = ()

        def cell(self, item: Any) -> str:
            """The text of an item's value."""
            text = super().cell(item)
            return f"{ABOUT}{text}" if text != self.missing and shared(item) else text

    return [
        Column(
            "GPUS",
            "gpu_requests",
            COUNT,
            lambda item: requested.get(item.pod.host) if item.container is None else None,
            summed=True,
        ),
        Estimated("GPU(%)", "gpu_share", SHARE, value(_mean)),
        Estimated("GPU-MEMORY(bytes)", "gpu_memory_bytes", MEMORY, value(lambda found: found.used), summed=True),
    ]


def of_pod(requested: int, found: Assigned | None) -> dict[str, Any]:
    """The GPUs of a pod in a document; empty for a pod without."""
    if not requested and found is None:
        return {}
    used = found or Assigned()
    return told(
        {
            "requested": requested,
            "devices": used.devices,
            "percent": used.percent / used.devices if used.percent is not None else None,
            "memoryBytes": used.used,
            "memoryTotalBytes": used.total,
            "estimated": used.shared or None,
        }
    )


def _mean(found: Assigned) -> float | None:
    return None if found.percent is None else found.percent / 100 / found.devices


_FIELDS: dict[str, Callable[[Held], Any]] = {
    "node": lambda item: item.device.node,
    "gpu": lambda item: item.device.gpu.index,
    "uuid": lambda item: item.device.gpu.uuid,
    "model": lambda item: item.device.gpu.model,
    "mig_profile": lambda item: item.device.gpu.profile or None,
    "mig_instance": lambda item: item.device.gpu.instance or None,
    "gpu_share": lambda item: _share(item.device.gpu.percent),
    "memory_bytes": lambda item: item.device.gpu.used,
    "memory_total_bytes": lambda item: item.device.gpu.total,
    "power_watts": lambda item: item.device.gpu.watts,
    "temperature_celsius": lambda item: item.device.gpu.celsius,
    "state": lambda item: item.state,
    "host_namespace": lambda item: item.holder.namespace if item.holder else None,
    "host_name": lambda item: item.holder.pod if item.holder else None,
    "container": lambda item: item.holder.container if item.holder else None,
    "vcluster_namespace": lambda item: item.vcluster.host_namespace if item.vcluster else None,
    "vcluster": lambda item: item.vcluster.name if item.vcluster else None,
    "virtual_namespace": lambda item: item.virtual.namespace if item.virtual else None,
    "virtual_name": lambda item: item.virtual.name if item.virtual else None,
}
"""For programs, in all views."""


def _share(value: float | None) -> float | None:
    return None if value is None else rounded(value / 100)


def _row(item: Held, options: Options, *, sliced: bool) -> list[str]:
    gpu = item.device.gpu
    cells = [item.device.node, gpu.index or "-", short(gpu.model, LONGEST) or "-"]
    cells += [_slice(item)] if sliced else []
    cells += [
        _percent(gpu.percent),
        "-" if gpu.used is None else mebibytes(gpu.used),
        percent(gpu.used / gpu.total if gpu.used is not None and gpu.total else None),
        "-" if gpu.watts is None else f"{gpu.watts:.0f}",
        item.state,
    ]
    cells += _holder(item, options.names)
    if options.wide:
        celsius = "-" if gpu.celsius is None else f"{gpu.celsius:.0f}"
        cells += [item.holder.container if item.holder else NONE, celsius, short(gpu.uuid, LONGEST) or "-"]
        if options.names is not Names.HOST:
            cells += [item.holder.pod if item.holder and item.virtual else ""]
    return cells


def _holder(item: Held, names: Names) -> list[str]:
    """Namespace, virtual cluster and namespace, and name of the pod."""
    holder, virtual = item.holder, item.virtual
    if holder is None:
        return [NONE] * (4 if names is Names.BOTH else 2)
    if names is Names.VIRTUAL and virtual:
        return [virtual.namespace, virtual.name]
    unresolved = UNRESOLVED if item.unproven else ""
    if names is not Names.BOTH:
        return [holder.namespace, holder.pod + unresolved]
    inner = [vcluster_cell(item.vcluster, holder.namespace), virtual.namespace if virtual else NONE]
    return [holder.namespace, *inner, virtual.name if virtual else holder.pod + unresolved]


def _slice(item: Held) -> str:
    gpu = item.device.gpu
    return f"{gpu.profile or 'slice'} ({gpu.instance})" if gpu.instance else "-"


def _percent(value: float | None) -> str:
    return percent(None if value is None else value / 100)


def _known(value: float | None) -> float:
    return -1.0 if value is None else value


def _names(items: Sequence[Held]) -> list[str]:
    # A device that several pods share is one.
    return list(dict.fromkeys(f"gpu/{_name(item)}" for item in items))


def _name(item: Held) -> str:
    gpu = item.device.gpu
    own = gpu.uuid or f"{item.device.node}-{gpu.index}"
    return f"{own}/{gpu.instance}" if gpu.instance else own


def _document(items: Sequence[Held], names: Names) -> dict[str, Any]:
    return {
        "kind": "GpuUsageList",
        "apiVersion": _KIND,
        "metadata": {},
        "items": [_item(item, names) for item in items],
    }


def _item(item: Held, names: Names) -> dict[str, Any]:
    gpu = item.device.gpu
    found: dict[str, Any] = {
        "kind": "GpuUsage",
        "apiVersion": _KIND,
        "metadata": {"name": _name(item)},
        "node": item.device.node,
        "device": told({"index": gpu.index or None, "model": gpu.model or None, "uuid": gpu.uuid or None}),
        "state": item.state,
        "usage": told(
            {
                "gpuPercent": gpu.percent,
                "memoryBytes": gpu.used,
                "memoryTotalBytes": gpu.total,
                "powerWatts": gpu.watts,
                "temperatureCelsius": gpu.celsius,
            }
        ),
    }
    if gpu.instance:
        found["device"]["mig"] = {"profile": gpu.profile, "instance": gpu.instance}
    if item.shared > 1:
        found["sharedBy"] = item.shared
    if item.vcluster and item.virtual:
        found["vcluster"] = vcluster_object(item.vcluster)
        found["virtual"] = {"name": item.virtual.name, "namespace": item.virtual.namespace}
    if item.holder and not (names is Names.VIRTUAL and item.virtual is None):
        found["host"] = {"name": item.holder.pod, "namespace": item.holder.namespace}
        found["container"] = item.holder.container
    return found
