"""The tables of `top vclusters` and `top namespaces`: sums over pods, by owner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from kubectl_vmetrics.metrics.capacity import Available
from kubectl_vmetrics.metrics.traffic import total
from kubectl_vmetrics.metrics.usage import NOTHING
from kubectl_vmetrics.output import order
from kubectl_vmetrics.output.formats import View
from kubectl_vmetrics.output.units import NONE, UNKNOWN
from kubectl_vmetrics.vcluster.groups import PRIVATE, NamespaceUsage, VClusterUsage

from . import columns, holdings, traffic
from .cells import told
from .columns import COUNT, CPU, MEMORY, SHARE, TEXT, Column
from .names import UNRESOLVED, vcluster_cell, vcluster_object
from .pods import usage_object

_KIND = "vmetrics/v1"
_Group = TypeVar("_Group", VClusterUsage, NamespaceUsage)
SPARE = ("RESTARTS", "NODES", "VERSION", "QUOTA-MEM-HARD", "QUOTA-CPU-HARD", "QUOTA-MEM-USED", "QUOTA-CPU-USED")
"""What a narrow screen may do without, the least important first."""


class Options(NamedTuple):
    """How to show groups.

    Attributes:
        sort_by: the name of a column.
        whole: the host's allocatable capacity, for percentages; None if nodes cannot be read.
        namespace: the host namespace that was asked about; None for all.
        wide: whether the columns of -o wide are shown.
        network, io: whether these columns are shown.
        gpus: whether any pod requests a GPU.
        sourced: whether it is shown where numbers come from.
    """

    sort_by: str = ""
    total: bool = False
    whole: Available | None = None
    namespace: str | None = None
    wide: bool = False
    network: bool = False
    io: bool = False
    gpus: bool = False
    sourced: bool = False


def sorts(options: Options, *, vclusters: bool, inside: bool = False) -> list[str]:
    """What --sort-by takes."""
    shown = _vcluster_columns(options) if vclusters else _namespace_columns(options, inside=inside)
    return list(dict.fromkeys(["cpu", "memory", *(column.name for column in shown)]))


def vclusters(groups: Sequence[VClusterUsage], options: Options) -> View:
    """The table of `top vclusters`; the row for everything outside virtual clusters is always the last."""
    options = options._replace(sourced=any(group.source for group in groups))
    shown = _vcluster_columns(options)
    own = _sorted(
        [g for g in groups if g.vcluster], shown, options, lambda g: g.vcluster.ref.path if g.vcluster else ""
    )
    ordered = [*own, *(g for g in groups if not g.vcluster)]

    def document() -> dict[str, Any]:
        found = _vclusters_document(ordered, options)
        if not options.total:
            return found
        planes = sum((g.control_plane or NOTHING for g in ordered), NOTHING)
        rates = total(group.rates for group in ordered if group.rates)
        moved = traffic.document(rates, network=options.network, io=options.io)
        return {**found, "sum": {**_sum(ordered), **moved, "controlPlane": {"usage": usage_object(planes)}}}

    names = [f"vcluster/{g.vcluster.ref.path}" for g in own if g.vcluster]
    everything = _vcluster_columns(options._replace(wide=True, gpus=True, sourced=True))
    return _view(ordered, shown, everything, document, names, options)


def namespaces(groups: Sequence[NamespaceUsage], options: Options, *, inside: bool) -> View:
    """The table of `top namespaces`: of the whole host, or from inside one virtual cluster."""
    shown = _namespace_columns(options, inside=inside)
    ordered = _sorted(
        groups, shown, options, lambda g: (g.host_namespace, g.vcluster.path if g.vcluster else "", g.namespace or "")
    )

    def document() -> dict[str, Any]:
        found = _namespaces_document(ordered, options, inside=inside)
        return {**found, "sum": _sum(ordered)} if options.total else found

    names = [f"namespace/{_path(group, inside=inside)}" for group in ordered]
    everything = [
        *_NAMESPACE_FIELDS,
        *_common(options._replace(wide=True, gpus=True)),
    ]
    return _view(ordered, shown, everything, document, names, options)


def _view(
    ordered: Sequence[Any],
    shown: list[Column],
    everything: list[Column],
    document: Callable[[], Any],
    names: list[str],
    options: Options,
) -> View:
    rows = columns.cells(ordered, shown)
    sums = columns.sums(ordered, shown) if options.total else []
    return View(
        [column.header for column in shown],
        rows,
        document,
        lambda: names,
        columns.footer(sums) if options.total else [],
        (lambda: [*rows, sums]) if options.total else None,
        SPARE,
        lambda: columns.table(ordered, everything, total=options.total),
    )


# ---------------------------------------------------------------------------------------------------------- columns


def _vcluster_columns(options: Options) -> list[Column]:
    usage: Callable[[str], Callable[[VClusterUsage], Any]] = lambda field: (  # noqa: E731
        lambda group: getattr(group.control_plane, field) if group.control_plane else None
    )
    return [
        Column("NAMESPACE", "namespace", TEXT, lambda g: g.vcluster.ref.host_namespace if g.vcluster else None, NONE),
        Column("NAME", "name", TEXT, lambda g: g.vcluster.ref.name if g.vcluster else None, NONE, mark=_unproven),
        _Status("STATUS", "status", TEXT, lambda g: (g.vcluster.status if g.vcluster else None) or None, NONE),
        Column("VERSION", "version", TEXT, lambda g: (g.vcluster.version if g.vcluster else None) or None, NONE),
        *_common(options._replace(wide=False)),
        _Plane("CP-CPU(cores)", "control_plane_cpu_cores", CPU, usage("cpu_nanocores"), summed=True),
        _Plane("CP-MEMORY(bytes)", "control_plane_memory_bytes", MEMORY, usage("memory_bytes"), summed=True),
        *traffic.columns(network=options.network, io=options.io, stalls=False),
        *(holdings.columns(gpus=options.gpus) if options.wide else []),
        *([Column("SOURCE", "source", TEXT, lambda g: g.source or "host")] if options.sourced else []),
    ]


class _Status(Column):
    """A column whose value is unknown where a Prometheus does not have it."""

    __slots__ = ()

    def cell(self, item: VClusterUsage) -> str:
        """The text of an item's value."""
        return UNKNOWN if item.vcluster and not item.vcluster.status else super().cell(item)


class _Plane(Column):
    """A column of control planes: what a virtual cluster does not run is unknown; the host has none."""

    __slots__ = ()

    def cell(self, item: VClusterUsage) -> str:
        """The text of an item's value."""
        return super().cell(item) if item.control_plane or not item.vcluster else UNKNOWN


def _namespace_columns(options: Options, *, inside: bool) -> list[Column]:
    if inside:
        return [Column("NAME", "name", TEXT, lambda g: g.namespace or g.host_namespace), *_common(options)]
    return [
        Column("NAMESPACE", "host_namespace", TEXT, lambda g: g.host_namespace, mark=_unproven),
        Column(
            "VCLUSTER", "", TEXT, lambda g: vcluster_cell(g.vcluster, g.host_namespace) if g.vcluster else None, NONE
        ),
        Column("VNAMESPACE", "", TEXT, lambda g: g.namespace or None, NONE),
        *_common(options),
    ]


_NAMESPACE_FIELDS = (
    Column("", "host_namespace", TEXT, lambda g: g.host_namespace),
    Column("", "vcluster_namespace", TEXT, lambda g: g.vcluster.host_namespace if g.vcluster else None),
    Column("", "vcluster", TEXT, lambda g: g.vcluster.name if g.vcluster else None),
    Column("", "virtual_namespace", TEXT, lambda g: g.namespace if g.vcluster else None),
)
"""Whose a row is, for programs: the same columns for the host and for one virtual cluster."""


def _common(options: Options) -> list[Column]:
    whole = options.whole
    return [
        Column("PODS", "pods", COUNT, lambda g: g.pods if _known(g) else None, summed=True),
        Column(
            "CPU(cores)", "cpu_cores", CPU, lambda g: g.usage.cpu_nanocores if _known(g) else None, UNKNOWN, summed=True
        ),
        _OfHost("CPU(%)", "cpu_allocatable_share", SHARE, _share("cpu_nanocores", whole), UNKNOWN),
        Column(
            "MEMORY(bytes)",
            "memory_bytes",
            MEMORY,
            lambda g: g.usage.memory_bytes if _known(g) else None,
            UNKNOWN,
            summed=True,
        ),
        _OfHost("MEMORY(%)", "memory_allocatable_share", SHARE, _share("memory_bytes", whole), UNKNOWN),
        *(holdings.columns(gpus=options.gpus) if options.wide else []),
    ]


class _OfHost(Column):
    """A column of shares of the host, of which private nodes are no part."""

    __slots__ = ()

    def cell(self, item: VClusterUsage | NamespaceUsage) -> str:
        """The text of an item's value."""
        return "-" if _elsewhere(item) else super().cell(item)


def _elsewhere(group: VClusterUsage | NamespaceUsage) -> bool:
    """Whether its pods run on nodes that are not the host's."""
    return isinstance(group, VClusterUsage) and bool(group.source)


def _known(group: VClusterUsage | NamespaceUsage) -> bool:
    """Whether its pods were counted."""
    return not (isinstance(group, VClusterUsage) and group.source == PRIVATE)


def _share(field: str, whole: Available | None) -> Callable[[Any], float | None]:
    amount = getattr(whole, field) if whole else None
    if amount is None:
        return lambda _: None

    def share(group: VClusterUsage | NamespaceUsage) -> float | None:
        if _elsewhere(group):
            return None
        return getattr(group.usage, field) / amount if amount else 0.0

    return share


def _unproven(group: VClusterUsage | NamespaceUsage) -> str:
    return UNRESOLVED if group.unproven else ""


def _sorted(
    groups: Sequence[_Group], shown: Sequence[Column], options: Options, name: Callable[[_Group], Any]
) -> list[_Group]:
    ordered = sorted(groups, key=name)
    if options.sort_by == "cpu":
        return order.descending(ordered, lambda group: -(-group.usage.cpu_nanocores // 1_000_000))
    if options.sort_by == "memory":
        return order.descending(ordered, lambda group: group.usage.memory_bytes)
    return columns.ordered(ordered, shown, options.sort_by)


def _path(group: NamespaceUsage, *, inside: bool) -> str:
    """A unique path of a namespace; that of a virtual one starts with its virtual cluster."""
    if group.vcluster is None or inside:
        return group.namespace or group.host_namespace
    return f"{group.vcluster.path}/{group.namespace or NONE}"


# -------------------------------------------------------------------------------------------------------- documents


def _sum(groups: Sequence[VClusterUsage | NamespaceUsage]) -> dict[str, Any]:
    """The sums in a document."""
    found: dict[str, Any] = {
        "pods": sum(group.pods for group in groups),
        "usage": usage_object(sum((group.usage for group in groups), NOTHING)),
    }
    held = [group.holding for group in groups if group.holding]
    if held:
        found |= holdings.total(held)
    return found


def _item(group: VClusterUsage | NamespaceUsage, options: Options) -> dict[str, Any]:
    found = {"pods": group.pods, "usage": usage_object(group.usage)}
    if options.whole:
        found["allocatableShare"] = {
            "cpu": columns.rounded(_share("cpu_nanocores", options.whole)(group) or 0.0),
            "memory": columns.rounded(_share("memory_bytes", options.whole)(group) or 0.0),
        }
    return {**found, **told({"unprovenPods": group.unproven or None}), **holdings.document(group.usage, group.holding)}


def _vclusters_document(groups: Sequence[VClusterUsage], options: Options) -> dict[str, Any]:
    items = []
    for group in groups:
        item: dict[str, Any] = {"kind": "VirtualClusterUsage", "apiVersion": _KIND}
        if found := group.vcluster:
            item["metadata"] = {"name": found.ref.name, "namespace": found.ref.host_namespace}
            item |= {"status": found.status, "version": found.version}
        else:
            # A kind of its own, so that nobody takes it for a virtual cluster of that name.
            meta = {"name": "host", **({"namespace": options.namespace} if options.namespace else {})}
            item |= {"kind": "HostUsage", "metadata": meta}
        if group.source:
            item["privateNodes"] = True
        if group.source != PRIVATE:
            item |= {**_item(group, options), "source": group.source or "host"}
        item |= traffic.document(group.rates, network=options.network, io=options.io)
        if group.control_plane:
            plane = holdings.document(group.control_plane, group.plane_holding)
            item["controlPlane"] = {"usage": usage_object(group.control_plane), **plane}
        items.append(item)
    return {"kind": "VirtualClusterUsageList", "apiVersion": _KIND, "metadata": {}, "items": items}


def _namespaces_document(groups: Sequence[NamespaceUsage], options: Options, *, inside: bool) -> dict[str, Any]:
    items = []
    for group in groups:
        item: dict[str, Any] = {"kind": "NamespaceUsage", "apiVersion": _KIND}
        # Of the host's view, metadata is the host's: names of virtual namespaces are not unique there.
        item["metadata"] = {"name": (group.namespace if inside else None) or group.host_namespace}
        item |= _item(group, options)
        if group.vcluster:
            item["vcluster"] = vcluster_object(group.vcluster)
            if group.namespace:
                item["virtual"] = {"namespace": group.namespace}
        item["host"] = {"namespace": group.host_namespace}
        items.append(item)
    return {"kind": "NamespaceUsageList", "apiVersion": _KIND, "metadata": {}, "items": items}
