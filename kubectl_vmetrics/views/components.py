"""The table of `components`: KubeVirt's own pods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubectl_vmetrics.kubevirt.components import reason
from kubectl_vmetrics.kubevirt.health import Health
from kubectl_vmetrics.output.formats import View
from kubectl_vmetrics.output.table import Row
from kubectl_vmetrics.output.units import UNKNOWN, mebibytes, millicores

from . import cells, fields

_HEADERS = [
    "COMPONENT",
    "INSTANCE",
    "NODE",
    "UP",
    "VERSION",
    "LEADER",
    "CPU(cores)",
    "MEMORY(bytes)",
    "REQ/S",
    "ERR(%)",
]
_HEADERS += ["LOST"]
_WIDE = ["STARTED", "GOROUTINES", "LOSING"]


def view(items: Sequence[Health], *, wide: bool = False) -> View:
    """The table, and the document, of KubeVirt's components."""

    def names() -> list[str]:
        return [f"pod/{item.component.name}" for item in items]

    rows = [[*_cells(item), *(_wide(item) if wide else [])] for item in items]
    return View(
        [*_HEADERS, *(_WIDE if wide else [])],
        rows,
        lambda: _document(items),
        names,
        spare=("NODE", "VERSION"),
        plain=lambda: fields.table(map(_item, items), _FIELDS),
    )


_FIELDS = {
    "component": "component",
    "namespace": "metadata.namespace",
    "instance": "metadata.name",
    "node": "node",
    "up": "up",
    "error": "error",
    "version": "version",
    "leader": "leader",
    "started_seconds": "startTimeSeconds",
    "goroutines": "goroutines",
    "cpu_cores": "cpuCores",
    "memory_bytes": "memoryBytes",
    "requests_per_second": "requestsPerSecond",
    "error_share": "errorShare",
    "connection_errors": "connectionErrors",
    "connection_errors_grown": "connectionErrorsGrown",
    "connection_errors_to": "connectionErrorsTo",
}


def _cells(item: Health) -> Row:
    component, used = item.component, item.process
    lead = [
        component.kind or "-",
        component.name,
        component.node or "-",
        "yes" if item.up else "no",
        item.version or "-",
    ]
    if item.error:
        return [*lead, "-", *[UNKNOWN] * 2, *["-"] * 3]
    return [
        *lead,
        cells.yes_no(item.leading),
        "-" if used.cores is None else millicores(round(used.cores * 1e9)),
        "-" if used.memory_bytes is None else mebibytes(int(used.memory_bytes)),
        cells.count(used.requests),
        cells.percent(used.failed),
        _lost(item),
    ]


def _lost(item: Health) -> str:
    """Requests that got no response since the start, and how many of them were recent."""
    used = item.process
    if used.lost is None:
        return "-"
    return f"{used.lost:.0f}" + (f" (+{used.losing:.0f})" if used.losing else "")


def _wide(item: Health) -> Row:
    used = item.process
    return [
        cells.moment(used.started),
        "-" if used.goroutines is None else f"{used.goroutines:.0f}",
        ", ".join(used.losing_what) or "-",
    ]


def _document(items: Sequence[Health]) -> dict[str, Any]:
    return {
        "kind": "KubeVirtComponentList",
        "apiVersion": "vmetrics/v1",
        "metadata": {},
        "items": [_item(item) for item in items],
    }


def _item(item: Health) -> dict[str, Any]:
    """Base units: cores, bytes, seconds, and per-second rates; unknown values are omitted."""
    component, used = item.component, item.process
    return cells.told(
        {
            "kind": "KubeVirtComponent",
            "metadata": {"name": component.name, "namespace": component.namespace},
            "component": component.kind,
            "node": component.node,
            "up": item.up,
            "error": reason(item.error) if item.error else None,
            "version": item.version or None,
            "leader": item.leading,
            "startTimeSeconds": used.started,
            "goroutines": used.goroutines,
            "cpuCores": used.cores,
            "memoryBytes": used.memory_bytes,
            "requestsPerSecond": used.requests,
            "errorShare": used.failed,
            "connectionErrors": used.lost,
            "connectionErrorsGrown": used.losing,
            "connectionErrorsTo": list(used.losing_what) or None,
        }
    )
