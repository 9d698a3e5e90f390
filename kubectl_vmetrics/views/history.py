"""The tables of `history`: statistics over time, one line for each field of a row."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

from kubectl_vmetrics.history.fields import Field, Kind, Unit
from kubectl_vmetrics.history.rows import History, Key, Row
from kubectl_vmetrics.history.statistics import Statistics
from kubectl_vmetrics.output import sparkline
from kubectl_vmetrics.output.chart import Line
from kubectl_vmetrics.output.formats import View
from kubectl_vmetrics.output.units import NONE

from .cells import speed
from .pods import UNRESOLVED, vcluster_cell, vcluster_object

API_VERSION = "vmetrics/v1"
_STATISTICS = ("MIN", "MEAN", "P95", "MAX", "NOW")
_SPARE = ("TREND",)
_WIDE = 60
_WHOLE = 0.99
"""The share of a window that has to have data, or else a warning says how much has."""
_ITEMS = {
    Kind.PODS: ("PodHistory", "pod"),
    Kind.NAMESPACES: ("NamespaceHistory", "namespace"),
    Kind.VCLUSTERS: ("VirtualClusterHistory", "vcluster"),
    Kind.NODES: ("NodeHistory", "node"),
    Kind.VMI: ("VirtualMachineInstanceHistory", "virtualmachineinstance"),
    Kind.VOLUMES: ("VolumeHistory", "persistentvolumeclaim"),
}


class Options(NamedTuple):
    """How to show rows.

    Attributes:
        kind: what they are.
        inside: whether only virtual names are shown.
        sort_by: the name of --metric of which the largest mean comes first; "" for names.
        top: how many rows to show; 0 for all.
        points: whether documents and csv have every point.
        wide: whether sparklines are long.
        plain: whether sparklines are ASCII.
        server: the Prometheus.
        way: where names come from.
    """

    kind: Kind
    inside: bool = False
    sort_by: str = ""
    top: int = 0
    points: bool = False
    wide: bool = False
    plain: bool = False
    server: str = ""
    way: str = ""


def view(found: History, options: Options) -> View:
    """The table."""
    rows = chosen(found, options)
    leads = _headers(options)
    headers = [*leads, "METRIC", *_STATISTICS, "TOTAL", "TREND"]
    width = _WIDE if options.wide else sparkline.WIDTH
    cells = []
    for row in rows:
        for field in found.fields:
            if field.name not in row.points:
                continue
            numbers = found.statistics(row, field)
            shown = [_cell(number, field.unit) for number in numbers]
            trend = sparkline.render(row.points[field.name], width, plain=options.plain)
            cells.append([*_lead(row.key, options), field.label, *shown, _total(row, field), trend])

    def document() -> dict[str, Any]:
        return _document(found, rows, options)

    names = [f"{_ITEMS[options.kind][1]}/{_path(row.key, options)}" for row in rows]
    return View(headers, cells, document, lambda: names, spare=_SPARE, plain=lambda: _plain(found, rows, options))


def _plain(found: History, rows: Sequence[Row], options: Options) -> tuple[list[str], list[list[Any]]]:
    """Names and values for csv: a line for each row, or each of its points."""
    names = _columns(options)
    lines: list[list[Any]] = []
    if options.points:
        for row in rows:
            for index, (_, end) in enumerate(found.times):
                values = [row.points[field.name][index] if field.name in row.points else None for field in found.fields]
                lines.append([_time(end), *_identity(row.key, options), *values])
        return ["time", *names, *(f"{_snake(field.name)}_{_snake(field.unit.label)}" for field in found.fields)], lines
    for field in found.fields:
        own, unit = _snake(field.name), _snake(field.unit.label)
        names += [*(f"{own}_{name}_{unit}" for name in Statistics._fields), f"{own}_{_snake(field.unit.total)}"]
    for row in rows:
        line: list[Any] = _identity(row.key, options)
        for field in found.fields:
            line += [*found.statistics(row, field), row.totals.get(field.name)]
        lines.append(line)
    return names, lines


def _snake(name: str) -> str:
    """A name of documents as csv has it."""
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"([A-Z])", r"_\1", name).lower())


def chosen(found: History, options: Options) -> list[Row]:
    """The rows to show, in order."""
    rows = list(found.rows)
    field = next((item for item in found.fields if options.sort_by in (item.label, item.name)), None)
    if field is not None:
        rows.sort(key=lambda row: (row.key.order[0], -(found.statistics(row, field).mean or 0.0)))
    return rows[: options.top] if options.top else rows


def lines(found: History, options: Options, field: Field) -> list[Line]:
    """Lines of a chart: the rows with the largest mean of a field, in its unit."""
    wanted = options._replace(sort_by=field.name)
    return [
        Line(_path(row.key, options), [point / _scale(field.unit) for point in row.points[field.name]])
        for row in chosen(found, wanted)
        if field.name in row.points
    ]


def title(field: Field) -> str:
    """Of a chart."""
    unit = {Unit.CORES: "cores", Unit.BYTES: "GiB", Unit.GPUS: "GPUs", Unit.RATE: "MiB/s", Unit.COUNT: "per step"}
    return f"{field.label} ({unit.get(field.unit, 'units')})"


def _scale(unit: Unit) -> float:
    return float({Unit.BYTES: 1 << 30, Unit.RATE: 1 << 20}.get(unit, 1))


def _headers(options: Options) -> list[str]:
    if options.kind is Kind.NODES:
        return ["NAME"]
    if options.kind is Kind.VCLUSTERS:
        return ["NAMESPACE", "NAME"]
    if options.inside:
        return ["NAME"] if options.kind is Kind.NAMESPACES else ["NAMESPACE", "NAME"]
    groups = ["NAMESPACE", "VCLUSTER", "VNAMESPACE"]
    return groups if options.kind is Kind.NAMESPACES else [*groups, "NAME"]


def _lead(key: Key, options: Options) -> list[str]:
    name = key.name or (key.host_name + (UNRESOLVED if key.vcluster else ""))
    if options.kind is Kind.NODES:
        return [key.host_name]
    if options.kind is Kind.VCLUSTERS:
        return [key.host_namespace, key.vcluster.name] if key.vcluster else [key.host_namespace or NONE, NONE]
    if options.inside:
        space = key.namespace or NONE
        return [space] if options.kind is Kind.NAMESPACES else [space, name]
    lead = [key.host_namespace, vcluster_cell(key.vcluster, key.host_namespace), key.namespace or NONE]
    return lead if options.kind is Kind.NAMESPACES else [*lead, name]


def _path(key: Key, options: Options) -> str:
    if options.kind is Kind.VCLUSTERS:
        return key.vcluster.path if key.vcluster else NONE
    lead = _lead(key, options)
    return "/".join(part for part in lead if part != NONE) or NONE


def _cell(number: float | None, unit: Unit) -> str:
    """A number as tables show it."""
    if number is None:
        return "-"
    if unit is Unit.CORES:
        return f"{math.ceil(round(number * 1000, 6))}m"
    if unit is Unit.BYTES:
        return f"{int(number) >> 20}Mi"
    if unit is Unit.RATE:
        return speed(number)
    return f"{number:.2f}".rstrip("0").rstrip(".")


def _total(row: Row, field: Field) -> str:
    total = row.totals[field.name]
    if field.unit is Unit.CORES:
        return f"{total / 3600:.2f} core-h"
    if field.unit is Unit.BYTES:
        return f"{total / 3600 / (1 << 30):.2f} GiB-h"
    if field.unit is Unit.GPUS:
        return f"{total / 3600:.2f} GPU-h"
    if field.unit is Unit.RATE:
        return speed(total).removesuffix("/s")
    return f"{total:.0f}" if field.unit is Unit.COUNT else "-"


def _columns(options: Options) -> list[str]:
    """The names of what identifies a row, for csv."""
    if options.kind is Kind.NODES:
        return ["name"]
    if options.kind is Kind.VCLUSTERS:
        return ["namespace", "name"]
    group = options.kind is Kind.NAMESPACES
    if options.inside:
        return ["namespace"] if group else ["namespace", "name"]
    host = ["host_namespace"] if group else ["host_namespace", "host_name"]
    return [*host, "vcluster_namespace", "vcluster", "virtual_namespace", *([] if group else ["virtual_name"])]


def _identity(key: Key, options: Options) -> list[Any]:
    ref = key.vcluster
    group = options.kind is Kind.NAMESPACES
    if options.kind is Kind.NODES:
        return [key.host_name]
    if options.kind is Kind.VCLUSTERS:
        return [ref.host_namespace, ref.name] if ref else [None, None]
    if options.inside:
        return [key.namespace] if group else [key.namespace, key.name or f"{key.host_name}{UNRESOLVED}"]
    host = [key.host_namespace] if group else [key.host_namespace, key.host_name]
    owner = [ref.host_namespace, ref.name] if ref else [None, None]
    return [*host, *owner, key.namespace, *([] if group else [key.name])]


def _time(seconds: float) -> str:
    text = datetime.fromtimestamp(seconds, timezone.utc).isoformat(
        timespec="milliseconds" if seconds % 1 else "seconds"
    )
    return text.replace("+00:00", "Z")


def _document(found: History, rows: Sequence[Row], options: Options) -> dict[str, Any]:
    covered = found.covered()
    step = max(found.seconds, default=0.0)
    coverage: dict[str, Any] = {"shares": {name: round(share, 4) for name, share in shares(found).items()}}
    if covered:
        coverage = {"start": _time(covered.start), "end": _time(covered.end), **coverage}
    if found.brief:
        coverage["briefPods"] = found.brief
    document: dict[str, Any] = {
        "kind": "HistoryList",
        "apiVersion": API_VERSION,
        "metadata": {},
        "window": {"start": _time(found.window.start), "end": _time(found.window.end), "stepSeconds": step},
        "source": {"prometheus": options.server, **({"names": options.way} if options.way else {})},
        "coverage": coverage,
        "items": [_item(found, row, options) for row in rows],
    }
    return document


def shares(found: History) -> dict[str, float]:
    """For which share of the window there was data, by field."""
    return {field.name: found.share(field.metric) for field in found.fields}


def gaps(found: History) -> dict[str, list[str]]:
    """Fields that are not there for all of the window: their labels by the share that is."""
    missing: dict[str, list[str]] = {}
    for field in found.fields:
        share = found.share(field.metric)
        label = field.label.partition(":")[0]
        if 0 < share < _WHOLE and label not in (listed := missing.setdefault(f"{math.floor(share * 100)}%", [])):
            listed.append(label)
    return missing


def _item(found: History, row: Row, options: Options) -> dict[str, Any]:
    key = row.key
    item: dict[str, Any] = {"kind": _ITEMS[options.kind][0], "apiVersion": API_VERSION}
    if options.kind is Kind.VCLUSTERS and key.vcluster is None:
        item["kind"] = "HostHistory"
    if key.vcluster:
        item["vcluster"] = vcluster_object(key.vcluster)
    if options.kind is not Kind.VCLUSTERS:
        namespace = key.namespace if key.vcluster else key.host_namespace
        item |= {"namespace": namespace} if namespace else {}
        if options.kind is not Kind.NAMESPACES and (name := key.name if key.vcluster else key.host_name):
            item["name"] = name
        if not options.inside and options.kind is not Kind.NODES:
            item["host"] = {"namespace": key.host_namespace, **({"name": key.host_name} if key.host_name else {})}
    for field in found.fields:
        if field.name in row.points:
            numbers = found.statistics(row, field)._asdict()
            shown = {"unit": field.unit.label, **numbers, field.unit.total: row.totals[field.name]}
            _put(item, field, shown)
    if options.points:
        item["points"] = [
            {"time": _time(end), **_point(found.fields, row.points, index)}
            for index, (_, end) in enumerate(found.times)
        ]
    return item


def _point(fields: Sequence[Field], points: Mapping[str, Sequence[float]], index: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in fields:
        if field.name in points:
            value = points[field.name][index]
            _put(found, field, None if math.isnan(value) else value)
    return found


def _put(document: dict[str, Any], field: Field, value: Any) -> None:
    """Add a field; those of quotas are by resource."""
    if field.resource:
        document.setdefault(field.of, {})[field.resource] = value
    else:
        document[field.name] = value
