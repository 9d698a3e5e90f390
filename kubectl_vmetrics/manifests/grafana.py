"""Grafana's dashboard model, made from few words: a dashboard is rows of panels, a panel is queries and a unit.

https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

Json = dict[str, Any]

SCHEMA = 39
"""Version of the model: Grafana 10 and newer read it, and bring it up to date themselves."""
WIDTH = 24
"""Columns of Grafana's grid."""
HEIGHT = 8
RATE = "$__rate_interval"
LINE = 110
"""Columns of a line of a dashboard's text."""
_LABELS = {
    "vcluster_host_namespace": "Host namespace",
    "vcluster_name": "Virtual cluster",
    "vcluster_virtual_namespace": "Virtual namespace",
    "resourcequota": "Quota",
    "resource": "Resource",
}
"""What people call labels: titles of variables and of columns."""


class Panel(NamedTuple):
    """One panel.

    Attributes:
        queries: PromQL and the legend of its series; in a table, the title of its column.
        unit: in Grafana's words: short, percentunit, bytes, Bps, s, reqps, …
        kind: timeseries, stat or table.
        about: what it shows, where its title does not say it.
        width: in columns; 0 for what is left in the row.
        units: of columns of a table, where they are not `unit`.
    """

    title: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    kind: str = "timeseries"
    about: str = ""
    width: int = 0
    units: Mapping[str, str] = MappingProxyType({})


class Variable(NamedTuple):
    """A choice above the panels, made of the values of a label.

    Attributes:
        query: which series; variables before it may be used.
        several: whether more than one may be chosen, and all.
    """

    name: str
    label: str
    query: str
    several: bool = True


class Dashboard(NamedTuple):
    """A dashboard.

    Attributes:
        name: of its file, and its uid.
        rows: titles, and the panels below each.
    """

    name: str
    title: str
    about: str
    variables: Sequence[Variable]
    rows: Sequence[tuple[str, Sequence[Panel]]]

    @property
    def panels(self) -> list[Panel]:
        """All of them."""
        return [panel for _, panels in self.rows for panel in panels]


def render(dashboard: Dashboard) -> Json:
    """As Grafana imports it."""
    return {
        "uid": dashboard.name,
        "title": dashboard.title,
        "description": dashboard.about,
        "tags": ["vmetrics"],
        "editable": True,
        "graphTooltip": 1,
        "schemaVersion": SCHEMA,
        "version": 1,
        "refresh": "30s",
        "timezone": "",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [_datasource(), *(_variable(item) for item in dashboard.variables)]},
        "annotations": {"list": []},
        "links": [
            {
                "type": "dashboards",
                "title": "vmetrics",
                "tags": ["vmetrics"],
                "asDropdown": True,
                "includeVars": True,
                "keepTime": True,
            }
        ],
        "panels": _panels(dashboard),
    }


_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def _datasource() -> Json:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {}}


def _variable(item: Variable) -> Json:
    query = f"label_values({item.query}, {item.label})"
    found: Json = {
        "name": item.name,
        "label": _LABELS.get(item.label, item.name),
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": item.name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": item.several,
        "includeAll": item.several,
        "current": {},
    }
    return found | ({"allValue": ".*", "current": {"text": "All", "value": "$__all"}} if item.several else {})


def _panels(dashboard: Dashboard) -> list[Json]:
    found: list[Json] = []
    top = 0
    for title, panels in dashboard.rows:
        place = {"h": 1, "w": WIDTH, "x": 0, "y": top}
        found.append(
            {"id": len(found) + 1, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}
        )
        top += 1
        left = 0
        even = max(1, WIDTH // max(1, len(panels)))
        for panel in panels:
            width = panel.width or even
            if left + width > WIDTH:
                left, top = 0, top + HEIGHT
            place = {"h": HEIGHT, "w": width, "x": left, "y": top}
            found.append(_panel(panel, len(found) + 1, place))
            left += width
        top += HEIGHT
    return found


def _panel(panel: Panel, number: int, place: Json) -> Json:
    table = panel.kind == "table"
    targets = [
        {
            "refId": chr(ord("A") + index),
            "datasource": _SOURCE,
            "expr": expression,
            "legendFormat": legend,
            "instant": panel.kind != "timeseries",
            "range": panel.kind == "timeseries",
            **({"format": "table"} if table else {}),
        }
        for index, (expression, legend) in enumerate(panel.queries)
    ]
    options: dict[str, Json] = {
        "timeseries": {"legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}},
        "stat": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value"},
        "table": {"showHeader": True},
    }
    found: Json = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "gridPos": place,
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": options[panel.kind],
    }
    if table:
        found["transformations"] = _columns(panel)
        found["fieldConfig"]["overrides"] = [
            {
                "matcher": {"id": "byName", "options": column},
                "properties": [{"id": "unit", "value": unit}],
            }
            for column, unit in panel.units.items()
        ]
    return found


def _columns(panel: Panel) -> list[Json]:
    """One row for each series, one column for each query: Grafana names columns Value, or Value #A and so on."""
    several = len(panel.queries) > 1
    titles = {
        f"Value #{chr(ord('A') + index)}" if several else "Value": legend
        for index, (_, legend) in enumerate(panel.queries)
        if legend
    }
    options = {"excludeByName": {"Time": True, "__name__": True}, "renameByName": _LABELS | titles}
    return [*([{"id": "merge", "options": {}}] if several else []), {"id": "organize", "options": options}]


def text(model: Json) -> str:
    """A dashboard as JSON for people: what fits stands on one line, and keys keep their order."""
    return _text(model, 0) + "\n"


def _text(value: Any, depth: int) -> str:
    short = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or (depth and len(short) + 2 * depth <= LINE):
        return short
    inner, outer = "  " * (depth + 1), "  " * depth
    if isinstance(value, dict):
        lines = [f"{json.dumps(key)}: {_text(item, depth + 1)}" for key, item in value.items()]
    else:
        lines = [_text(item, depth + 1) for item in value]
    start, end = "{}" if isinstance(value, dict) else "[]"
    return f"{start}\n" + ",\n".join(f"{inner}{line}" for line in lines) + f"\n{outer}{end}"
