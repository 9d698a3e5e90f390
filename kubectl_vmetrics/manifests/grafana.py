"""Grafana's dashboard model, made from few words: a dashboard is rows of panels, a panel is queries and a unit.

https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

Json = dict[str, Any]

SCHEMA = 39
"""Version of the model: Grafana 10 and newer read it, and bring it up to date themselves."""
WIDTH = 24
"""Columns of Grafana's grid."""
HEIGHT = 8
RATE = "$__rate_interval"


class Panel(NamedTuple):
    """One panel.

    Attributes:
        queries: PromQL and the legend of its series.
        unit: in Grafana's words: short, percentunit, bytes, Bps, s, reqps, …
        kind: timeseries, stat or table.
        about: what it shows, where its title does not say it.
        width: in columns; 0 for what is left in the row.
    """

    title: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    kind: str = "timeseries"
    about: str = ""
    width: int = 0


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
        "label": item.name.replace("_", " "),
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
        hidden = {"Time": True, "__name__": True}
        transformation = {"id": "organize", "options": {"excludeByName": hidden}}
        found["transformations"] = (
            [{"id": "merge", "options": {}}, transformation] if len(targets) > 1 else [transformation]
        )
    return found
