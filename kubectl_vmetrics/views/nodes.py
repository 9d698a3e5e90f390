"""The tables of `top nodes`: of the host as kubectl prints it, and one virtual cluster's share of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from kubectl_vmetrics.kube.core import Node
from kubectl_vmetrics.metrics import capacity
from kubectl_vmetrics.metrics.metrics_api import NodeMetrics
from kubectl_vmetrics.metrics.metrics_api import usage as node_usage
from kubectl_vmetrics.metrics.usage import NOTHING, Usage
from kubectl_vmetrics.output import order
from kubectl_vmetrics.output.formats import View
from kubectl_vmetrics.output.table import Row
from kubectl_vmetrics.output.units import UNKNOWN, cpu_percent, mebibytes, millicores, percent
from kubectl_vmetrics.vcluster.groups import Share
from kubectl_vmetrics.vcluster.holdings import Holding
from kubectl_vmetrics.vcluster.identity import VClusterRef

from . import columns, holdings
from .cells import told
from .columns import COUNT, CPU, MEMORY, SHARE, TEXT, Column
from .names import vcluster_object
from .pods import API_VERSION, usage_object


class Options(NamedTuple):
    """The flags of `kubectl top nodes`, and -o wide.

    Attributes:
        sort_by: the name of a column.
        held: what the pods of each node hold, for -o wide and programs; None if that was not asked for.
        wide: whether the columns of -o wide are shown.
    """

    sort_by: str = ""
    capacity: bool = False
    swap: bool = False
    held: Mapping[str, Holding] | None = None
    wide: bool = False


class Shown(NamedTuple):
    """A node and what is known of it; None for what is not.

    Attributes:
        share: what one virtual cluster uses there; None for the node as a whole.
    """

    name: str
    used: Usage | None = None
    node: Node | None = None
    holding: Holding | None = None
    share: Share | None = None

    @property
    def usage(self) -> Usage:
        """What is used; nothing if it is not known."""
        return self.share.usage if self.share else self.used or NOTHING


def sorts(options: Options, *, inside: bool) -> list[str]:
    """What --sort-by takes."""
    shown = _share_columns(options) if inside else [*_kubectl_columns(options), *_wide(options)]
    return list(dict.fromkeys(["cpu", "memory", *(column.name for column in shown)]))


def view(metrics: Sequence[NodeMetrics], nodes: Sequence[Node], options: Options) -> View:
    """Kubectl's table of nodes. Raises ValueError for an invalid quantity."""
    headers = ["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"]
    headers += ["SWAP(bytes)", "SWAP(%)"] if options.swap else []
    held = options.held or {}
    by_name = {node.metadata.name: node for node in nodes}
    found = {item.metadata.name: item for item in metrics}
    shown = [Shown(name, node_usage(item.usage), by_name.get(name), held.get(name)) for name, item in found.items()]
    if options.sort_by == "cpu":
        shown = order.descending(shown, lambda item: -(-item.usage.cpu_nanocores // 1_000_000))
    elif options.sort_by == "memory":
        shown = order.descending(shown, lambda item: item.usage.memory_bytes)
    else:
        shown.sort(key=lambda item: item.name)
        shown = columns.ordered(shown, [*_kubectl_columns(options), *_wide(options)], options.sort_by)
    rows = [_row(item.name, item.usage, item.node, options) for item in shown]
    # kubectl prints nodes without metrics last, in random order.
    missing = [Shown(name, None, by_name[name], held.get(name)) for name in sorted(by_name.keys() - found.keys())]
    rows += [[item.name, *[UNKNOWN] * (len(headers) - 1)] for item in missing]
    everything = [*shown, *missing]
    more = _wide(options)
    if more:
        headers += [column.header for column in more]
        cells = [[column.cell(item) for column in more] for item in everything]
        rows = [[*_full(row, len(headers) - len(more)), *cell] for row, cell in zip(rows, cells, strict=True)]

    def records() -> list[Row]:
        return [_full(row, len(headers)) for row in rows]

    listed = [found[item.name] for item in shown]
    return View(
        headers,
        rows,
        lambda: _document(listed, [item.name for item in missing], everything),
        lambda: [f"node/{row[0]}" for row in rows],
        (),
        records,
        spare=("NODES",) if more else None,
        plain=lambda: columns.table(everything, _plain(options), total=False),
    )


def shares(
    used: Mapping[str, Share], nodes: Sequence[Node], vcluster: VClusterRef, options: Options, *, total: bool
) -> View:
    """One virtual cluster's share of each node it runs on. Raises BadAnswer for an invalid quantity."""
    held = options.held or {}
    by_name = {node.metadata.name: node for node in nodes}
    items = [Shown(name, None, by_name.get(name), held.get(name), part) for name, part in sorted(used.items())]
    shown = _share_columns(options)
    if options.sort_by == "cpu":
        items = order.descending(items, lambda item: -(-item.usage.cpu_nanocores // 1_000_000))
    elif options.sort_by == "memory":
        items = order.descending(items, lambda item: item.usage.memory_bytes)
    else:
        items = columns.ordered(items, shown, options.sort_by)
    rows = columns.cells(items, shown)
    sums = columns.sums(items, shown)

    def document() -> dict[str, Any]:
        found: dict[str, Any] = {
            "kind": "VirtualClusterNodeUsageList",
            "apiVersion": "vmetrics/v1",
            "metadata": {},
            "items": [_share_item(item, vcluster, options) for item in items],
        }
        if not total:
            return found
        whole = sum((item.usage for item in items), NOTHING)
        pods = sum(item.share.pods for item in items if item.share)
        return {**found, "sum": {"pods": pods, "usage": usage_object(whole), **_held_total(items)}}

    return View(
        [column.header for column in shown],
        rows,
        document,
        lambda: [f"node/{item.name}" for item in items],
        columns.footer(sums) if total else [],
        (lambda: [*rows, sums]) if total else None,
        plain=lambda: columns.table(items, _share_columns(options._replace(wide=True)), total=total),
    )


# ---------------------------------------------------------------------------------------------------------- columns


def _kubectl_columns(options: Options) -> list[Column]:
    """Kubectl's own, for --sort-by and for programs."""
    field = "capacity" if options.capacity else "allocatable"

    def amount(name: str) -> Callable[[Shown], int | None]:
        return lambda item: getattr(item.used, name) if item.used else None

    found = [
        Column("NAME", "name", TEXT, lambda item: item.name),
        Column("CPU(cores)", "cpu_cores", CPU, amount("cpu_nanocores")),
        Column("CPU(%)", f"cpu_{field}_share", SHARE, _share("cpu_nanocores", options)),
        Column("MEMORY(bytes)", "memory_bytes", MEMORY, amount("memory_bytes")),
        Column("MEMORY(%)", f"memory_{field}_share", SHARE, _share("memory_bytes", options)),
    ]
    if options.swap:
        found += [
            Column("SWAP(bytes)", "swap_bytes", MEMORY, amount("swap_bytes")),
            Column("SWAP(%)", "swap_share", SHARE, _swap_share),
        ]
    return found


def _share(field: str, options: Options) -> Callable[[Shown], float | None]:
    def value(item: Shown) -> float | None:
        if item.node is None or (item.used is None and item.share is None):
            return None
        whole: int = getattr(capacity.of_node(item.node, capacity=options.capacity), field)
        return getattr(item.usage, field) / whole if whole else 0.0

    return value


def _swap_share(item: Shown) -> float | None:
    whole = item.node.swap_bytes if item.node else None
    return item.used.swap_bytes / whole if item.used and whole else None


def _wide(options: Options) -> list[Column]:
    """What a node has, what of it pods may use, and what they requested, as numbers of their own."""
    if not options.wide:
        return []
    found = []
    for resource, short, unit, kind in (("cpu", "CPU", "cores", CPU), ("memory", "MEM", "bytes", MEMORY)):
        base = "cpu_nanocores" if resource == "cpu" else "memory_bytes"
        found += [
            Column(f"{short}-CAPACITY", f"{resource}_capacity_{unit}", kind, _available(base, whole=True)),
            Column(f"{short}-ALLOCATABLE", f"{resource}_allocatable_{unit}", kind, _available(base, whole=False)),
            Column(f"{short}-REQ({unit})", f"{resource}_requests_{unit}", kind, _held(resource, "requests")),
            Column(f"{short}-REQ(%)", f"{resource}_requests_of_allocatable_share", SHARE, _requested(resource, base)),
            Column(f"{short}-LIM({unit})", f"{resource}_limits_{unit}", kind, _held(resource, "limits")),
        ]
    return [
        *found,
        Column("PODS", "pods", COUNT, lambda item: item.holding.pods if item.holding else None),
        Column("PODS-ALLOCATABLE", "pods_allocatable", COUNT, _pods_allocatable),
        Column("RESTARTS", "restarts", COUNT, lambda item: item.holding.restarts if item.holding else None),
    ]


def _available(base: str, *, whole: bool) -> Callable[[Shown], int | None]:
    return lambda item: getattr(capacity.of_node(item.node, capacity=whole), base) if item.node else None


def _held(resource: str, kind: str) -> Callable[[Shown], int | None]:
    return lambda item: getattr(item.holding, kind).get(resource, 0) if item.holding else None


def _requested(resource: str, base: str) -> Callable[[Shown], float | None]:
    def value(item: Shown) -> float | None:
        whole = getattr(capacity.of_node(item.node), base) if item.node else 0
        return item.holding.requests.get(resource, 0) / whole if item.holding and whole else None

    return value


def _pods_allocatable(item: Shown) -> int | None:
    text = item.node.status.allocatable.get("pods") if item.node else None
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else None


def _plain(options: Options) -> list[Column]:
    return [*_kubectl_columns(options), *_wide(options._replace(wide=True))]


def _share_columns(options: Options) -> list[Column]:
    field = "capacity" if options.capacity else "allocatable"
    return [
        Column("NAME", "name", TEXT, lambda item: item.name),
        Column("PODS", "pods", COUNT, lambda item: item.share.pods, summed=True),
        Column("CPU(cores)", "cpu_cores", CPU, lambda item: item.usage.cpu_nanocores, summed=True),
        Column("CPU(%)", f"cpu_{field}_share", SHARE, _share("cpu_nanocores", options), UNKNOWN),
        Column("MEMORY(bytes)", "memory_bytes", MEMORY, lambda item: item.usage.memory_bytes, summed=True),
        Column("MEMORY(%)", f"memory_{field}_share", SHARE, _share("memory_bytes", options), UNKNOWN),
        *([*holdings.reserved_columns(), holdings.restarts()] if options.wide else []),
    ]


# ------------------------------------------------------------------------------------------------- rows, documents


def _full(row: Row, length: int) -> Row:
    """A row with each number in its column, although a node that is not listed lacks some."""
    return row if len(row) == length else _spread(row)


def _share_item(item: Shown, vcluster: VClusterRef, options: Options) -> dict[str, Any]:
    found: dict[str, Any] = {
        "kind": "VirtualClusterNodeUsage",
        "apiVersion": "vmetrics/v1",
        "metadata": {"name": item.name},
        "vcluster": vcluster_object(vcluster),
        "pods": item.share.pods if item.share else 0,
        "usage": usage_object(item.usage),
    }
    parts = {name: _share(base, options)(item) for name, base in _BASES}
    key = "capacityShare" if options.capacity else "allocatableShare"
    found[key] = {name: columns.rounded(value) for name, value in told(parts).items()}
    if item.holding:
        held = holdings.document(item.usage, item.holding)
        found |= {key: value for key, value in held.items() if key != "nodes"}
    return found


def _held_total(items: Sequence[Shown]) -> dict[str, Any]:
    held = [item.holding for item in items if item.holding]
    return {key: value for key, value in holdings.total(held).items() if key != "nodes"} if held else {}


def _row(name: str, usage: Usage, node: Node | None, options: Options) -> Row:
    cells = [name, millicores(usage.cpu_nanocores)]
    has = capacity.of_node(node, capacity=options.capacity) if node else None
    # A node that has metrics but is not in the list (any more) lacks the cells: the others move left, as in kubectl.
    if has:
        cells.append(cpu_percent(usage.cpu_nanocores, has.cpu_nanocores))
    cells.append(mebibytes(usage.memory_bytes))
    if has:
        cells.append(percent(usage.memory_bytes, has.memory_bytes))
    if options.swap:
        swap = node.swap_bytes if node else None
        if swap is None:
            cells += [UNKNOWN, UNKNOWN]
        else:
            cells += [mebibytes(usage.swap_bytes), percent(usage.swap_bytes, swap)]
    return cells


def _spread(row: Row) -> Row:
    """A row for a node that is not listed, with each number in its column."""
    name, cpu, memory, *swap = row
    return [name, cpu, UNKNOWN, memory, UNKNOWN, *swap]


def _document(metrics: Sequence[NodeMetrics], missing: Sequence[str], shown: Sequence[Shown]) -> dict[str, Any]:
    items: list[dict[str, Any]] = []
    known = {item.name: item for item in shown}
    for item in metrics:
        found: dict[str, Any] = {
            "kind": "NodeMetrics",
            "apiVersion": API_VERSION,
            "metadata": {"name": item.metadata.name, "labels": item.metadata.labels},
        }
        found |= {key: value for key, value in (("timestamp", item.timestamp), ("window", item.window)) if value}
        found["usage"] = {"cpu": item.usage.cpu, "memory": item.usage.memory}
        found["usage"] |= {"swap": item.usage.swap} if item.usage.swap else {}
        items.append(found | _of_node(known[item.metadata.name]))
    document: dict[str, Any] = {"kind": "NodeMetricsList", "apiVersion": API_VERSION, "metadata": {}, "items": items}
    return {**document, "withoutMetrics": list(missing)} if missing else document


def _of_node(item: Shown) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if item.node:
        status = item.node.status
        for name, has in (("capacity", status.capacity), ("allocatable", status.allocatable)):
            found[name] = {resource: has[resource] for resource in ("cpu", "memory", "pods") if resource in has}
        usage = {name: _share(base, Options())(item) for name, base in _BASES}
        found["allocatableShare"] = {name: columns.rounded(value) for name, value in told(usage).items()}
    if item.holding:
        held = item.holding
        found |= {"requests": holdings.quantities(held.requests), "limits": holdings.quantities(held.limits)}
        found |= {"pods": held.pods, "restarts": held.restarts}
    return found


_BASES = (("cpu", "cpu_nanocores"), ("memory", "memory_bytes"))
