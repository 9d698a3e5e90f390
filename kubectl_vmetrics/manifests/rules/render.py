"""Rules as a rule file, and as a PrometheusRule of the Prometheus Operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import yaml

from kubectl_vmetrics.manifests.bundle import Bundle, Object

from . import alerts_machines, alerts_planes, alerts_tenants, levels, names, requests, thresholds, usage, volumes
from .alert import Alert, Given
from .names import POD_INFO, STATE, Way
from .record import Record
from .sources import Sources
from .thresholds import Thresholds

INTERVAL = "1m"
RECORDING, ALERTING = "recording", "alerts"
PARTS = (RECORDING, ALERTING)
ALERTS: tuple[Alert, ...] = (*alerts_tenants.ALERTS, *alerts_planes.ALERTS, *alerts_machines.ALERTS)


class Settings(NamedTuple):
    """What can be chosen.

    Attributes:
        way: how names are learned.
        sources: which series are read.
        thresholds: of alerts.
        parts: of PARTS.
    """

    way: Way = POD_INFO
    sources: Sources = Sources()
    thresholds: Thresholds = thresholds.usual(ALERTS)
    parts: Sequence[str] = PARTS


def records(settings: Settings) -> dict[str, list[Record]]:
    """All recording rules by group, each after those of its group that it reads.

    Prometheus evaluates the rules of a group one after the other, and groups at the same time on several cores. So sums
    are in the group of what they add up, and hold what it was at that moment. Names alone are in another group: they
    may be one interval old, and are remembered for longer anyway.
    """
    way, sources = settings.way, settings.sources
    return {
        "names": names.records(way, sources),
        "usage": [*usage.records(way, sources), *levels.sums(way, levels.USAGE), *levels.counts(way)],
        "requests": [
            *requests.records(way, sources),
            *levels.sums(way, levels.REQUESTS),
            *requests.quotas(sources),
        ],
        "volumes": [*volumes.records(sources), *levels.sums(way, levels.VOLUMES)] if way.claims else [],
    }


def groups(settings: Settings) -> list[Object]:
    """Rule groups: those of the recording rules, and the alerts."""
    found: list[tuple[str, list[Object]]] = []
    if RECORDING in settings.parts:
        for name, items in records(settings).items():
            found.append((name, [{"record": item.name, "expr": item.expression} for item in items]))
    if ALERTING in settings.parts:
        found.append(("alerts", [rule for item in ALERTS if (rule := _alert(item, settings))]))
    return [{"name": f"vmetrics.{name}", "interval": INTERVAL, "rules": rules} for name, rules in found if rules]


def _alert(alert: Alert, settings: Settings) -> Object | None:
    chosen = settings.thresholds[alert.name]
    if chosen is None:
        return None
    limit = "" if chosen.limit is None else thresholds.number(chosen.limit)
    expression = alert.expression(Given(settings.sources, settings.way, limit))
    if expression is None:
        return None
    return {
        "alert": alert.name,
        "expr": expression,
        "for": chosen.duration,
        "labels": {"severity": chosen.severity},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": alert.runbook,
        },
    }


def bundle(settings: Settings, namespace: str, labels: dict[str, str]) -> Bundle:
    """A PrometheusRule.

    Args:
        settings: what was chosen.
        namespace: where the Prometheus Operator looks for rules.
        labels: by which a Prometheus object selects it (spec.ruleSelector).
    """
    # The two parts can be applied one after the other without replacing each other.
    part = f"-{settings.parts[0]}" if len(settings.parts) == 1 else ""
    meta = {
        "name": f"vmetrics{part}",
        "namespace": namespace,
        "labels": {"app.kubernetes.io/name": "vmetrics", **labels},
    }
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": meta,
        "spec": {"groups": groups(settings)},
    }
    return Bundle([rule], notes(settings.way))


def notes(way: Way) -> list[str]:
    """What Prometheus needs for a way of naming."""
    if way == STATE:
        return [
            "Start kube-state-metrics with these options, and never with a wildcard for annotations: [*] and",
            "[vcluster.loft.sh/*] copy tokens of tenants' service accounts (vcluster.loft.sh/token-*) to Prometheus.",
            *(f"  {flag}" for flag in way.flags),
            "",
        ]
    return []


def rule_file(settings: Settings) -> str:
    """A file for rule_files of Prometheus."""
    return _comments(notes(settings.way)) + _yaml({"groups": groups(settings)})


def to_yaml(made: Bundle) -> str:
    """As `bundle.to_yaml`, with expressions as they are."""
    return "".join([_comments(made.notes), *(f"---\n{_yaml(item)}" for item in made.objects)])


def _comments(lines: Sequence[str]) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)


def _yaml(document: Any) -> str:
    text: str = yaml.dump(document, Dumper=Readable, sort_keys=False, width=4096)
    return text


class Readable(yaml.SafeDumper):
    """YAML with texts of several lines as they are, and lists indented below their keys."""

    def ignore_aliases(self, data: Any) -> bool:
        """Each text stands where it belongs."""
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent lists, too."""
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, data: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)


Readable.add_representer(str, _text)
