"""An alerting rule, and what of it can be changed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from .names import Way
from .sources import Sources

RUNBOOKS = "https://github.com/kubectl-vmetrics/kubectl-vmetrics/blob/main/docs/alerts.md"
SEVERITIES = ("critical", "warning", "info")
SHARE = "0 to 1"
"""How units of shares end: a limit of 80 instead of 0.8 would never be reached."""


class Threshold(NamedTuple):
    """When an alert fires.

    Attributes:
        limit: the value above or below which it fires; None for alerts without one.
        duration: how long the condition must hold, as Prometheus writes durations.
        severity: one of SEVERITIES.
    """

    limit: float | None
    duration: str
    severity: str


class Given(NamedTuple):
    """What an expression is made of.

    Attributes:
        sources: which series are read.
        way: how names are learned.
        limit: the threshold, as PromQL writes it; "" for alerts without one.
    """

    sources: Sources
    way: Way
    limit: str


class Alert(NamedTuple):
    """An alerting rule.

    Attributes:
        name: CamelCase; also its heading in docs/alerts.md.
        expression: PromQL; None where there is no such alert for a way of naming.
        usual: the threshold that is used if no other is given.
        side: "above" or "below", the limit's key in a file of thresholds; "" without a limit.
        unit: what the limit measures; ends with SHARE where that is at most 1.
        summary: one line.
        description: what was found; both are templates of Prometheus.
    """

    name: str
    expression: Callable[[Given], str | None]
    usual: Threshold
    summary: str
    description: str
    side: str = ""
    unit: str = ""

    @property
    def most(self) -> float:
        """The largest limit that makes sense."""
        return 1 if self.unit.endswith(SHARE) else math.inf

    @property
    def runbook(self) -> str:
        """Where it is explained."""
        return f"{RUNBOOKS}#{self.name.lower()}"


def label(name: str) -> str:
    """A label of the alert, in a template."""
    return f"{{{{ $labels.{name} }}}}"


OF_VCLUSTER = f"virtual cluster {label('vcluster_host_namespace')}/{label('vcluster_name')}"
PERCENTAGE = "{{ $value | humanizePercentage }}"
