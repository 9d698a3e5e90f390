"""The table of `top volumes`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from kubectl_vmetrics.output import order
from kubectl_vmetrics.output.formats import View
from kubectl_vmetrics.output.units import NONE
from kubectl_vmetrics.vcluster.volumes import Mounted

from . import columns
from .columns import COUNT, MEMORY, SHARE, TEXT, Column
from .names import UNRESOLVED, Names, vcluster_cell, vcluster_object

SORTS: dict[str, Callable[[Mounted], int]] = {
    "used": lambda item: item.volume.used or 0,
    "capacity": lambda item: item.volume.capacity or 0,
    "available": lambda item: item.volume.available or 0,
    "percent": lambda item: _per_million(item.volume.used, item.volume.capacity),
    "inodes": lambda item: _per_million(item.inodes_used, item.volume.inodes),
}
"""What --sort-by takes besides the names of columns, the largest first."""


class Options(NamedTuple):
    """How to show volumes."""

    names: Names = Names.HOST
    namespaces: bool = False
    sort_by: str = ""


def sorts(*, namespaces: bool, inside: bool) -> list[str]:
    """What --sort-by takes."""
    shown = _columns(Options(Names.VIRTUAL if inside else Names.BOTH, namespaces))
    return list(dict.fromkeys([*SORTS, *(column.name for column in shown)]))


def view(volumes: Sequence[Mounted], options: Options) -> View:
    """The table, and the document, of mounted volumes."""
    shown = _columns(options)
    ordered = sorted(volumes, key=lambda item: _key(item, options.names))
    if options.sort_by in SORTS:
        ordered = order.descending(ordered, SORTS[options.sort_by])
    else:
        ordered = columns.ordered(ordered, shown, options.sort_by)

    def names() -> list[str]:
        # A claim that several pods mount is one object; two namespaces may have one of the same name.
        claims = dict.fromkeys(_names(item, options.names is Names.VIRTUAL)[:2] for item in ordered)
        return [f"persistentvolumeclaim/{name}" for _, name in claims]

    return View(
        [column.header for column in shown],
        columns.cells(ordered, shown),
        lambda: _document(ordered, options.names),
        names,
        plain=lambda: columns.table(ordered, [*_IDENTITY, *_NUMBERS], total=False),
    )


def _columns(options: Options) -> list[Column]:
    virtual = options.names is not Names.HOST
    both = options.names is Names.BOTH

    def part(index: int) -> Callable[[Mounted], str]:
        return lambda item: _names(item, virtual)[index]

    space = (lambda item: item.claim.namespace) if both else part(0)
    return [
        *([Column("NAMESPACE", "", TEXT, space)] if options.namespaces else []),
        *(
            [
                Column("VCLUSTER", "", TEXT, _vcluster, NONE),
                Column("VNAMESPACE", "", TEXT, lambda item: part(0)(item) if item.vcluster else None, NONE),
            ]
            if both
            else []
        ),
        Column("NAME", "", TEXT, part(1), mark=lambda item: UNRESOLVED if item.unproven else ""),
        Column("POD", "", TEXT, part(2)),
        *(column for column in _NUMBERS if column.header),
    ]


def _vcluster(item: Mounted) -> str | None:
    return vcluster_cell(item.vcluster, item.claim.namespace) if item.vcluster else None


def _part(numerator: Callable[[Mounted], int | None], whole: Callable[[Mounted], int | None]) -> Any:
    def value(item: Mounted) -> float | None:
        part, all_of_it = numerator(item), whole(item)
        return part / all_of_it if part is not None and all_of_it else None

    return value


_NUMBERS = (
    Column("CAPACITY", "capacity_bytes", MEMORY, lambda item: item.volume.capacity),
    Column("USED", "used_bytes", MEMORY, lambda item: item.volume.used),
    Column("AVAILABLE", "available_bytes", MEMORY, lambda item: item.volume.available),
    Column("USED(%)", "used_share", SHARE, _part(lambda item: item.volume.used, lambda item: item.volume.capacity)),
    Column("INODES(%)", "inodes_share", SHARE, _part(lambda item: item.inodes_used, lambda item: item.volume.inodes)),
    Column("", "inodes", COUNT, lambda item: item.volume.inodes),
    Column("", "inodes_used", COUNT, lambda item: item.inodes_used),
)
_IDENTITY = (
    Column("", "host_namespace", TEXT, lambda item: item.claim.namespace),
    Column("", "host_name", TEXT, lambda item: item.claim.name),
    Column("", "host_pod", TEXT, lambda item: item.pod.name),
    Column("", "vcluster_namespace", TEXT, lambda item: item.vcluster.host_namespace if item.vcluster else None),
    Column("", "vcluster", TEXT, lambda item: item.vcluster.name if item.vcluster else None),
    Column("", "virtual_namespace", TEXT, lambda item: item.virtual_claim.namespace if item.virtual_claim else None),
    Column("", "virtual_name", TEXT, lambda item: item.virtual_claim.name if item.virtual_claim else None),
    Column("", "virtual_pod", TEXT, lambda item: item.virtual_pod.name if item.virtual_pod else None),
)
"""Whose a volume is, for programs; the same for the host and for one virtual cluster."""


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
        shares = {column.field: column.value(mounted) for column in _NUMBERS if column.kind is SHARE}
        item["usage"] |= {
            name: columns.rounded(shares[field])
            for name, field in (("usedShare", "used_share"), ("inodesShare", "inodes_share"))
            if shares[field] is not None
        }
        if names is not Names.HOST and mounted.vcluster:
            item["vcluster"] = vcluster_object(mounted.vcluster)
            if names is Names.BOTH and (virtual := mounted.virtual_claim):
                item["virtual"] = {"name": virtual.name, "namespace": virtual.namespace}
                item["virtual"] |= {"pod": mounted.virtual_pod.name} if mounted.virtual_pod else {}
        if mounted.unproven:
            item["unproven"] = True
        item["host"] = {"name": mounted.claim.name, "namespace": mounted.claim.namespace, "pod": mounted.pod.name}
        items.append(item)
    return {"kind": "VolumeUsageList", "apiVersion": "vmetrics/v1", "metadata": {}, "items": items}
