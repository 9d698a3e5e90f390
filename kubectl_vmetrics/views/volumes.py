"""The table of `top volumes`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from kubectl_vmetrics.output import order
from kubectl_vmetrics.output.formats import View
from kubectl_vmetrics.output.units import NONE, mebibytes, share
from kubectl_vmetrics.vcluster.volumes import Mounted

from .pods import UNRESOLVED, Names, vcluster_cell, vcluster_object

SORTS: dict[str, Callable[[Mounted], int]] = {
    "used": lambda item: item.volume.used or 0,
    "capacity": lambda item: item.volume.capacity or 0,
    "available": lambda item: item.volume.available or 0,
    "percent": lambda item: _per_million(item.volume.used, item.volume.capacity),
    "inodes": lambda item: _per_million(item.inodes_used, item.volume.inodes),
}
"""What --sort-by takes, the largest first."""


class Options(NamedTuple):
    """How to show volumes."""

    names: Names = Names.HOST
    namespaces: bool = False
    sort_by: str = ""


def view(volumes: Sequence[Mounted], options: Options) -> View:
    """The table, and the document, of mounted volumes."""
    headers = [
        *(["NAMESPACE"] if options.namespaces else []),
        *(["VCLUSTER", "VNAMESPACE"] if options.names is Names.BOTH else []),
        *["NAME", "POD", "CAPACITY", "USED", "AVAILABLE", "USED(%)", "INODES(%)"],
    ]
    ordered = sorted(volumes, key=lambda item: _key(item, options.names))
    if options.sort_by:
        ordered = order.descending(ordered, SORTS[options.sort_by])
    rows = [_row(item, options) for item in ordered]

    def names() -> list[str]:
        # A claim that several pods mount is one object; two namespaces may have one of the same name.
        claims = dict.fromkeys(_names(item, options.names is Names.VIRTUAL)[:2] for item in ordered)
        return [f"persistentvolumeclaim/{name}" for _, name in claims]

    return View(headers, rows, lambda: _document(ordered, options.names), names)


def _names(item: Mounted, virtual: bool) -> tuple[str, str, str]:
    """Namespace, claim and pod."""
    claim, pod = (item.virtual_claim, item.virtual_pod) if virtual else (None, None)
    return (
        claim.namespace if claim else item.claim.namespace,
        claim.name if claim else item.claim.name,
        pod.name if pod else item.pod.name,
    )


def _key(item: Mounted, names: Names) -> tuple[str, ...]:
    path = item.vcluster.path if item.vcluster and names is Names.BOTH else ""
    host = item.claim.namespace if names is Names.BOTH else ""
    return host, path, *_names(item, names is not Names.HOST)


def _row(item: Mounted, options: Options) -> list[str]:
    namespace, claim, pod = _names(item, options.names is not Names.HOST)
    cells = []
    if options.names is Names.BOTH:
        cells = [item.claim.namespace] if options.namespaces else []
        cells += [vcluster_cell(item.vcluster, item.claim.namespace), namespace if item.vcluster else NONE]
    elif options.namespaces:
        cells = [namespace]
    volume = item.volume
    sizes = [_size(volume.capacity), _size(volume.used), _size(volume.available)]
    claim += UNRESOLVED if item.unproven else ""
    return [*cells, claim, pod, *sizes, _share(volume.used, volume.capacity), _share(item.inodes_used, volume.inodes)]


def _size(count: int | None) -> str:
    return "-" if count is None else mebibytes(count)


def _share(part: int | None, whole: int | None) -> str:
    return "-" if part is None else share(part, whole)


def _per_million(part: int | None, whole: int | None) -> int:
    return part * 1_000_000 // whole if part is not None and whole else -1


def _document(volumes: Sequence[Mounted], names: Names) -> dict[str, Any]:
    items = []
    for mounted in volumes:
        # Of the host's view, metadata is the host's: names of virtual namespaces are not unique there.
        namespace, claim, pod = _names(mounted, names is Names.VIRTUAL)
        volume = mounted.volume
        usage = {
            "capacityBytes": volume.capacity,
            "usedBytes": volume.used,
            "availableBytes": volume.available,
            "inodes": volume.inodes,
            "inodesUsed": mounted.inodes_used,
        }
        item: dict[str, Any] = {
            "kind": "VolumeUsage",
            "apiVersion": "vmetrics/v1",
            "metadata": {"name": claim, "namespace": namespace},
            "pod": pod,
            "usage": {key: value for key, value in usage.items() if value is not None},
        }
        if names is not Names.HOST and mounted.vcluster:
            item["vcluster"] = vcluster_object(mounted.vcluster)
            if names is Names.BOTH and (virtual := mounted.virtual_claim):
                item["virtual"] = {"name": virtual.name, "namespace": virtual.namespace}
                item["virtual"] |= {"pod": mounted.virtual_pod.name} if mounted.virtual_pod else {}
            item["host"] = {"name": mounted.claim.name, "namespace": mounted.claim.namespace, "pod": mounted.pod.name}
        items.append(item)
    return {"kind": "VolumeUsageList", "apiVersion": "vmetrics/v1", "metadata": {}, "items": items}
