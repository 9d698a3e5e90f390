"""The tables of `top nodes`: of the host as kubectl prints it, and one virtual cluster's share of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from kubectl_vmetrics.vcluster.identity import VClusterRef

from .pods import API_VERSION, RULE, usage_object, vcluster_object


class Options(NamedTuple):
    """The flags of `kubectl top nodes`."""

    sort_by: str = ""
    capacity: bool = False
    swap: bool = False


def view(metrics: Sequence[NodeMetrics], nodes: Sequence[Node], options: Options) -> View:
    """Kubectl's table of nodes. Raises ValueError for an invalid quantity."""
    headers = ["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"]
    headers += ["SWAP(bytes)", "SWAP(%)"] if options.swap else []
    by_name = {node.metadata.name: node for node in nodes}
    used = [(item, node_usage(item.usage)) for item in metrics]
    if options.sort_by == "cpu":
        used = order.descending(used, lambda pair: -(-pair[1].cpu_nanocores // 1_000_000))
    elif options.sort_by == "memory":
        used = order.descending(used, lambda pair: pair[1].memory_bytes)
    else:
        used.sort(key=lambda pair: pair[0].metadata.name)
    rows = [_row(item.metadata.name, usage, by_name.pop(item.metadata.name, None), options) for item, usage in used]
    # kubectl prints nodes without metrics last, in random order.
    rows += [[name, *[UNKNOWN] * (len(headers) - 1)] for name in sorted(by_name)]
    names = [f"node/{row[0]}" for row in rows]
    missing = sorted(by_name)

    def records() -> list[Row]:
        return [row if len(row) == len(headers) else _spread(row) for row in rows]

    found = [item for item, _ in used]
    return View(headers, rows, lambda: _document(found, missing), lambda: names, (), records, spare=None)


def shares(
    used: Mapping[str, Share], nodes: Sequence[Node], vcluster: VClusterRef, options: Options, *, total: bool
) -> View:
    """One virtual cluster's share of each node it runs on. Raises ValueError for an invalid quantity."""
    headers = ["NAME", "PODS", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"]
    by_name = {node.metadata.name: capacity.of_node(node, capacity=options.capacity) for node in nodes}
    pairs = sorted(used.items())
    if options.sort_by == "cpu":
        pairs = order.descending(pairs, lambda pair: -(-pair[1].usage.cpu_nanocores // 1_000_000))
    elif options.sort_by == "memory":
        pairs = order.descending(pairs, lambda pair: pair[1].usage.memory_bytes)
    rows: list[Row] = []
    for name, part in pairs:
        has = by_name.get(name)
        cpu, memory = part.usage.cpu_nanocores, part.usage.memory_bytes
        rows.append(
            [
                name,
                str(part.pods),
                millicores(cpu),
                cpu_percent(cpu, has.cpu_nanocores) if has else UNKNOWN,
                mebibytes(memory),
                percent(memory, has.memory_bytes) if has else UNKNOWN,
            ]
        )
    footer: list[Row] = []
    everything = sum((part.usage for part in used.values()), NOTHING)
    count = sum(part.pods for part in used.values())
    sums = ["", str(count), millicores(everything.cpu_nanocores), "", mebibytes(everything.memory_bytes)]
    if total:
        footer = [["", RULE, RULE, "", RULE], sums]

    def document() -> dict[str, Any]:
        items = [
            {
                "metadata": {"name": name},
                "vcluster": vcluster_object(vcluster),
                "pods": part.pods,
                "usage": usage_object(part.usage),
            }
            for name, part in pairs
        ]
        found: dict[str, Any] = {
            "kind": "VirtualClusterNodeUsageList",
            "apiVersion": "vmetrics/v1",
            "metadata": {},
            "items": items,
        }
        return {**found, "sum": {"pods": count, "usage": usage_object(everything)}} if total else found

    records = (lambda: [*rows, [*sums, ""]]) if total else None
    return View(headers, rows, document, lambda: [f"node/{name}" for name, _ in pairs], footer, records)


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


def _document(metrics: Sequence[NodeMetrics], missing: Sequence[str]) -> dict[str, Any]:
    items: list[dict[str, Any]] = []
    for item in metrics:
        found: dict[str, Any] = {
            "kind": "NodeMetrics",
            "apiVersion": API_VERSION,
            "metadata": {"name": item.metadata.name, "labels": item.metadata.labels},
        }
        found |= {key: value for key, value in (("timestamp", item.timestamp), ("window", item.window)) if value}
        found["usage"] = {"cpu": item.usage.cpu, "memory": item.usage.memory}
        items.append({**found, "usage": {**found["usage"], "swap": item.usage.swap}} if item.usage.swap else found)
    document: dict[str, Any] = {"kind": "NodeMetricsList", "apiVersion": API_VERSION, "metadata": {}, "items": items}
    return {**document, "withoutMetrics": list(missing)} if missing else document
