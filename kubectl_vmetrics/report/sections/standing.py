"""Tenants that are idle, and tenants that do not get what they need."""

from __future__ import annotations

from typing import NamedTuple

from kubectl_vmetrics.history.queries import Metric

from ..given import Given, Made
from ..numbers import percent, plural, span
from ..page import Cell, Column, Level, Section, Table, Text
from ..tally import Group
from .usage import CPU, MEMORY, Kind, shown

IDLE = 0.2
"""The share of requests that p95 of use stays below if a tenant counts as idle."""
LEAST = {CPU: 0.1, MEMORY: 256 * 2**20}
"""Requests, in cores and bytes, below which it is not worth a row."""
THROTTLED = 0.25
"""The share of CFS periods throttled above which a tenant counts as starved (kubernetes-mixin: CPUThrottlingHigh)."""


class Row(NamedTuple):
    """One finding: whose, what, and how much can be saved or was missed."""

    group: Group
    state: str
    level: Level
    why: str
    weight: float


def make(given: Given) -> Made:
    """The section."""
    rows = [row for group in given.tally.groups() if group.vcluster for row in _rows(given, group)]
    rows.sort(key=lambda row: (row.level is not Level.BAD, -row.weight))
    about = (
        f"Idle: for 95% of the time (steps of {span(given.step)}) it used less than {percent(IDLE)} of what it "
        f"requests. Starved: its containers were throttled in more than {percent(THROTTLED)} of the periods in "
        "which they wanted CPU, or were killed because of their memory limit."
    )
    columns = [Column(given.noun.capitalize()), Column("State"), Column("Why")]
    cells: list[list[Cell]] = [
        [given.labels.group(row.group), Text(row.state, row.level), Text(row.why)] for row in rows
    ]
    caption = f"Idle and starved {given.noun}s"
    table = Table(caption, columns, cells, empty=f"No {given.noun} is idle or starved.")
    alerts = [
        Text(f"{given.labels.line(row.group)} is starved:", row.level, row.why)
        for row in rows
        if row.level is Level.BAD
    ]
    idle = len({row.group for row in rows if row.level is not Level.BAD})
    if idle:
        alerts.append(
            Text(f"{plural(idle, given.noun)} {'is' if idle == 1 else 'are'} idle:", Level.WARNING, "see below.")
        )
    return Made(Section("standing", "Idle and starved", about, [table]), alerts)


def _rows(given: Given, group: Group) -> list[Row]:
    tally = given.tally
    rows = []
    kills, periods = tally.total(group, Metric.OOM_KILLS), tally.total(group, Metric.PERIODS)
    if kills >= 0.5:
        why = f"its containers were killed {plural(round(kills), 'time')} because of their memory limits"
        rows.append(Row(group, "Starved of memory", Level.BAD, why, kills))
    share = tally.total(group, Metric.THROTTLED) / periods if periods else 0.0
    if share > THROTTLED:
        rows.append(Row(group, "Starved of CPU", Level.BAD, f"throttled in {percent(share)} of the periods", share))
    rows += [row for kind in (CPU, MEMORY) if (row := _idle(given, group, kind))]
    return rows


def _idle(given: Given, group: Group, kind: Kind) -> Row | None:
    tally = given.tally
    used = tally.statistics(tally.means(group, kind.used)).p95
    requested = tally.statistics(tally.means(group, kind.requested)).mean
    if used is None or requested is None or requested < LEAST[kind] or used >= IDLE * requested:
        return None
    unit = " cores" if kind is CPU else ""
    why = f"p95 is {shown(used, kind)} of {shown(requested, kind)}{unit} requested"
    return Row(group, f"Idle {kind.noun}", Level.WARNING, why, (requested - used) / LEAST[kind])
