"""Thresholds of alerts, from a small YAML file."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from .alert import SEVERITIES, Alert, Threshold

LARGEST = 64 * 1024
"""Bytes that are read of a file."""
_DURATION = re.compile(r"(?=\d)(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?")

Thresholds = Mapping[str, Threshold | None]
"""By the alert's name; None for an alert that is left out."""


def usual(alerts: Sequence[Alert]) -> dict[str, Threshold | None]:
    """The thresholds if no file is given."""
    return {alert.name: alert.usual for alert in alerts}


def parse(text: str, alerts: Sequence[Alert]) -> dict[str, Threshold | None]:
    """The thresholds of a file, and the usual ones for what it does not name.

    Raises:
        ValueError: what is wrong, as one line.
    """
    if len(text) > LARGEST:
        raise ValueError(f"larger than {LARGEST // 1024} KiB")
    try:
        given = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise ValueError(f"not YAML{f' (line {mark.line + 1})' if mark else ''}") from None
    known = {alert.name: alert for alert in alerts}
    if given is None:
        return usual(alerts)
    if not isinstance(given, dict):
        raise ValueError("expected alerts by name; --show-thresholds prints an example")
    found = usual(alerts)
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"unknown alert {_short(name)}; --show-thresholds prints all of them")
        found[name] = None if value is False else _threshold(known[name], value)
    return found


def _threshold(alert: Alert, given: Any) -> Threshold:
    fields = [*([alert.side] if alert.side else []), "for", "severity"]
    if not isinstance(given, dict):
        raise ValueError(f"{alert.name}: expected {', '.join(fields)}, or false to turn the alert off")
    found = alert.usual
    for key, value in given.items():
        if key not in fields:
            raise ValueError(f"{alert.name}: unknown key {_short(key)}; choose from {', '.join(fields)}")
        if key == "for":
            if not isinstance(value, str) or not _DURATION.fullmatch(value):
                raise ValueError(f"{alert.name}: for: {_short(value)} is not a duration (example: 15m)")
            found = found._replace(duration=value)
        elif key == "severity":
            if value not in SEVERITIES:
                raise ValueError(f"{alert.name}: severity: choose from {', '.join(SEVERITIES)}")
            found = found._replace(severity=value)
        else:
            found = found._replace(limit=_number(f"{alert.name}: {key}", value, alert.most))
    return found


def _number(where: str, value: Any, most: float) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and 0 <= value <= most:
        return float(value)
    allowed = "of 0 or more" if math.isinf(most) else f"from 0 to {number(most)}"
    raise ValueError(f"{where}: {_short(value)} is not a number {allowed}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def example(alerts: Sequence[Alert]) -> str:
    """The usual thresholds as a file."""
    lines = [
        "# Thresholds of alerts. Alerts that a file does not mention keep these values; NAME: false turns an alert off."
    ]
    for alert in alerts:
        lines.append(f"{alert.name}:")
        if alert.usual.limit is not None:
            lines.append(f"  {alert.side}: {number(alert.usual.limit)}  # {alert.unit}")
        lines += [f"  for: {alert.usual.duration}", f"  severity: {alert.usual.severity}"]
    return "\n".join(lines) + "\n"


def number(value: float) -> str:
    """A number as PromQL and YAML write it."""
    return repr(float(value)).removesuffix(".0")
