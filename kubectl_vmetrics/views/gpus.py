"""The table of `top gpus`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from kubectl_vmetrics.output.formats import View
from kubectl_vmetrics.output.units import NONE, mebibytes, share
from kubectl_vmetrics.vcluster.gpus import Held

from .cells import LONGEST, percent, short, told
from .pods import UNRESOLVED, Names, vcluster_cell, vcluster_object

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
    return View(headers, rows, lambda: _document(ordered, options.names), lambda: _names(ordered), spare=spare)


def _row(item: Held, options: Options, *, sliced: bool) -> list[str]:
    gpu = item.device.gpu
    cells = [item.device.node, gpu.index or "-", short(gpu.model, LONGEST) or "-"]
    cells += [_slice(item)] if sliced else []
    cells += [
        _percent(gpu.percent),
        "-" if gpu.used is None else mebibytes(gpu.used),
        "-" if gpu.used is None else share(gpu.used, gpu.total),
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
    return "0%" if value == 0 else percent(None if value is None else value / 100)


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
