"""The tables of `top vclusters` and `top namespaces`: sums over pods, by owner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from kubectl_vmetrics.metrics.capacity import Available
from kubectl_vmetrics.metrics.usage import NOTHING, Usage
from kubectl_vmetrics.output import order
from kubectl_vmetrics.output.formats import View
from kubectl_vmetrics.output.table import Row
from kubectl_vmetrics.output.units import NONE, UNKNOWN, cpu_percent, mebibytes, millicores, percent
from kubectl_vmetrics.vcluster.groups import NamespaceUsage, VClusterUsage

from .pods import RULE, UNRESOLVED, usage_object, vcluster_cell, vcluster_object

_KIND = "vmetrics/v1"
_Group = TypeVar("_Group", VClusterUsage, NamespaceUsage)


class Options(NamedTuple):
    """How to show groups.

    Attributes:
        whole: the host's allocatable capacity, for percentages; None if nodes cannot be read.
        namespace: the host namespace that was asked about; None for all.
    """

    sort_by: str = ""
    total: bool = False
    whole: Available | None = None
    namespace: str | None = None


def vclusters(groups: Sequence[VClusterUsage], options: Options) -> View:
    """The table of `top vclusters`; the row for everything outside virtual clusters is always the last."""
    headers = ["NAMESPACE", "NAME", "STATUS", "VERSION", "PODS", *_SHARES, "CP-CPU(cores)", "CP-MEMORY(bytes)"]
    own = _sorted([g for g in groups if g.vcluster], options, lambda g: g.vcluster.ref.path if g.vcluster else "")
    ordered = [*own, *(g for g in groups if not g.vcluster)]
    rows: list[Row] = []
    for group in ordered:
        found = group.vcluster
        identity = (
            [found.ref.host_namespace, found.ref.name, found.status, found.version or NONE] if found else [NONE] * 4
        )
        identity[1] += UNRESOLVED if group.unproven else ""
        plane = group.control_plane
        cells = (
            [millicores(plane.cpu_nanocores), mebibytes(plane.memory_bytes)]
            if plane
            else ["-" if not found else UNKNOWN] * 2
        )
        rows.append([*identity, str(group.pods), *_cells(group.usage, options.whole), *cells])
    planes = sum((g.control_plane or NOTHING for g in ordered), NOTHING)
    sums = _sums(4, ordered, planes)

    def document() -> dict[str, Any]:
        found = _vclusters_document(ordered, options.namespace)
        return {**found, "sum": {**_sum(ordered), "controlPlane": _usage(planes)}} if options.total else found

    names = [f"vcluster/{g.vcluster.ref.path}" for g in own if g.vcluster]
    return View(headers, rows, document, lambda: names, *_footer(rows, sums, options))


def namespaces(groups: Sequence[NamespaceUsage], options: Options, *, inside: bool) -> View:
    """The table of `top namespaces`: of the whole host, or from inside one virtual cluster."""
    headers = ["NAME"] if inside else ["NAMESPACE", "VCLUSTER", "VNAMESPACE"]
    headers += ["PODS", *_SHARES]
    ordered = _sorted(
        groups, options, lambda g: (g.host_namespace, g.vcluster.path if g.vcluster else "", g.namespace or "")
    )
    rows: list[Row] = []
    for group in ordered:
        identity = [group.namespace or group.host_namespace]
        if not inside:
            cell = vcluster_cell(group.vcluster, group.host_namespace)
            name = group.host_namespace + (UNRESOLVED if group.unproven else "")
            identity = [name, cell, group.namespace or NONE]
        rows.append([*identity, str(group.pods), *_cells(group.usage, options.whole)])

    def document() -> dict[str, Any]:
        found = _namespaces_document(ordered, inside=inside)
        return {**found, "sum": _sum(ordered)} if options.total else found

    names = [f"namespace/{_path(group, inside=inside)}" for group in ordered]
    sums = _sums(1 if inside else 3, ordered)
    return View(headers, rows, document, lambda: names, *_footer(rows, sums, options))


_SHARES = ("CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)")


def _sorted(groups: Sequence[_Group], options: Options, name: Callable[[_Group], Any]) -> list[_Group]:
    ordered = sorted(groups, key=name)
    if options.sort_by == "cpu":
        return order.descending(ordered, lambda group: -(-group.usage.cpu_nanocores // 1_000_000))
    if options.sort_by == "memory":
        return order.descending(ordered, lambda group: group.usage.memory_bytes)
    return ordered


def _cells(usage: Usage, whole: Available | None) -> list[str]:
    return [
        millicores(usage.cpu_nanocores),
        cpu_percent(usage.cpu_nanocores, whole.cpu_nanocores) if whole else UNKNOWN,
        mebibytes(usage.memory_bytes),
        percent(usage.memory_bytes, whole.memory_bytes) if whole else UNKNOWN,
    ]


def _path(group: NamespaceUsage, *, inside: bool) -> str:
    """A unique path of a namespace; that of a virtual one starts with its virtual cluster."""
    if group.vcluster is None or inside:
        return group.namespace or group.host_namespace
    return f"{group.vcluster.path}/{group.namespace or NONE}"


def _sums(lead: int, groups: Sequence[VClusterUsage | NamespaceUsage], planes: Usage | None = None) -> list[str]:
    """The sums, each in its column."""
    total = sum((group.usage for group in groups), NOTHING)
    count = str(sum(group.pods for group in groups))
    sums = [*[""] * lead, count, millicores(total.cpu_nanocores), "", mebibytes(total.memory_bytes), ""]
    return [*sums, millicores(planes.cpu_nanocores), mebibytes(planes.memory_bytes)] if planes is not None else sums


def _footer(rows: list[Row], sums: list[str], options: Options) -> tuple[list[Row], Callable[[], Sequence[Row]] | None]:
    """The lines below the table, and the rows for csv."""
    if not options.total:
        return [], None
    shown = sums if sums[-1] else sums[:-1]
    return [[RULE if cell else "" for cell in shown], shown], lambda: [*rows, sums]


def _sum(groups: Sequence[VClusterUsage | NamespaceUsage]) -> dict[str, Any]:
    """The sums in a document."""
    return {"pods": sum(group.pods for group in groups), **_usage(sum((group.usage for group in groups), NOTHING))}


def _usage(usage: Usage) -> dict[str, Any]:
    return {"usage": usage_object(usage)}


def _vclusters_document(groups: Sequence[VClusterUsage], namespace: str | None) -> dict[str, Any]:
    items = []
    for group in groups:
        item: dict[str, Any] = {"kind": "VirtualClusterUsage", "apiVersion": _KIND}
        if found := group.vcluster:
            item["metadata"] = {"name": found.ref.name, "namespace": found.ref.host_namespace}
            item |= {"status": found.status, "version": found.version}
        else:
            # A kind of its own, so that nobody takes it for a virtual cluster of that name.
            item |= {
                "kind": "HostUsage",
                "metadata": {"name": "host", **({"namespace": namespace} if namespace else {})},
            }
        item |= {"pods": group.pods, "usage": usage_object(group.usage)}
        if group.control_plane:
            item["controlPlane"] = {"usage": usage_object(group.control_plane)}
        items.append(item)
    return {"kind": "VirtualClusterUsageList", "apiVersion": _KIND, "metadata": {}, "items": items}


def _namespaces_document(groups: Sequence[NamespaceUsage], *, inside: bool) -> dict[str, Any]:
    items = []
    for group in groups:
        item: dict[str, Any] = {"kind": "NamespaceUsage", "apiVersion": _KIND}
        # Of the host's view, metadata is the host's: names of virtual namespaces are not unique there.
        item["metadata"] = {"name": (group.namespace if inside else None) or group.host_namespace}
        item |= {"pods": group.pods, "usage": usage_object(group.usage)}
        if group.vcluster:
            item["vcluster"] = vcluster_object(group.vcluster)
            if not inside and group.namespace:
                item["virtual"] = {"namespace": group.namespace}
            item["host"] = {"namespace": group.host_namespace}
        items.append(item)
    return {"kind": "NamespaceUsageList", "apiVersion": _KIND, "metadata": {}, "items": items}
