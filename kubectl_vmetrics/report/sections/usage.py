"""What tenants use, against what they request and what their quota allows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kubectl_vmetrics.history.queries import Metric

from ..given import Given, Made
from ..numbers import decimal, size, span
from ..page import Cell, Column, Level, Line, Number, Section, Share, Table, Text
from ..tally import Group, there

NEARLY = 0.9
"""The share of a quota from which on it is marked."""


class Kind(NamedTuple):
    """CPU or memory: its metrics, its names in quotas, and its unit."""

    title: str
    noun: str
    used: Metric
    requested: Metric
    quotas: tuple[str, ...]
    unit: str


CPU = Kind("CPU", "CPU", Metric.CPU, Metric.CPU_REQUEST, ("requests.cpu", "cpu"), "cores")
MEMORY = Kind("Memory", "memory", Metric.MEMORY, Metric.MEMORY_REQUEST, ("requests.memory", "memory"), "")


def shown(value: float | None, kind: Kind) -> str:
    """An amount: cores without, memory with its unit."""
    return size(value) if kind is MEMORY else decimal(value)


def ratio(part: float | None, whole: float | None) -> float | None:
    """A share; None of nothing."""
    return part / whole if part is not None and whole else None


def quota(given: Given, group: Group, kind: Kind) -> tuple[float, float] | None:
    """Used and hard of the quota that is closest to its end, of a host namespace with one virtual cluster only."""
    ref = group.vcluster
    if ref is None or ref.parent is not None:
        return None
    sharing = {other for other in given.tally.known if other.host_namespace == ref.host_namespace} - {ref}
    if sharing or (group.namespace and given.tenant):
        return None  # it is not this row's alone
    return tightest(given, ref.host_namespace, kind)


def tightest(given: Given, namespace: str, kind: Kind) -> tuple[float, float] | None:
    """Used and hard of the quota of a host namespace that is closest to its end."""
    found = [
        (used, hard)
        for (_, resource), (used, hard) in given.tally.quotas.get(namespace, {}).items()
        if resource in kind.quotas and hard > 0
    ]
    return max(found, key=lambda pair: pair[0] / pair[1], default=None)


def make(given: Given) -> Made:
    """The section."""
    about = (
        f"What each {given.noun} used, and requested for its pods. Mean, p95 and maximum are of the means of steps of "
        f"{span(given.step)}: shorter peaks are not seen. CPU is measured by the kernel for each container, memory is "
        "the working set. Control planes are not included; they have a section of their own."
    )
    blocks = [_table(given, kind) for kind in (CPU, MEMORY)]
    return Made(Section("usage", "Usage", about, blocks), _alerts(given))


def _table(given: Given, kind: Kind) -> Table:
    tally = given.tally
    unit = f", {kind.unit}" if kind.unit else ""
    groups = tally.groups()
    quotas = {group: quota(given, group, kind) for group in groups}
    has_quota = any(quotas.values())
    columns = [
        Column(given.noun.capitalize()),
        *(Column(f"{title}{unit}", numeric=True) for title in ("Mean", "p95", "Maximum", "Requested")),
        Column("Used of requested", numeric=True),
        *([Column("Quota", numeric=True), Column("Quota used", numeric=True)] if has_quota else []),
        Column("Over time"),
    ]
    rows: list[list[Cell]] = []
    for group in groups:
        used = tally.means(group, kind.used)
        found, requested = tally.statistics(used), tally.statistics(tally.means(group, kind.requested)).mean
        pair = quotas[group]
        limits: list[Cell] = []
        if has_quota:
            share = ratio(*pair) if pair else None
            level = Level.WARNING if share is not None and share >= NEARLY else Level.PLAIN
            limits = [_number(pair[1] if pair else None, kind), Share(share, level)]
        rows.append(
            [
                given.labels.group(group),
                *(_number(value, kind) for value in (found.mean, found.p95, found.max, requested)),
                Share(ratio(found.mean, requested)),
                *limits,
                _line(used, kind),
            ]
        )
    return Table(f"{kind.title} by {given.noun}", columns, rows, _totals(given, groups, kind, has_quota=has_quota))


def _totals(given: Given, groups: Sequence[Group], kind: Kind, *, has_quota: bool) -> list[list[Cell]]:
    used = summed([given.tally.means(group, kind.used) for group in groups])
    asked = summed([given.tally.means(group, kind.requested) for group in groups])
    found, requested = given.tally.statistics(used), given.tally.statistics(asked).mean
    empty: list[Cell] = [Text(""), Text("")] if has_quota else []
    numbers = (found.mean, found.p95, found.max, requested)
    return [
        [
            Text("All together"),
            *(_number(value, kind) for value in numbers),
            Share(ratio(found.mean, requested)),
            *empty,
            _line(used, kind),
        ]
    ]


def summed(series: Sequence[Sequence[float | None]]) -> list[float | None]:
    """Step by step; None where nothing is known."""
    return [sum(there(values)) if there(values) else None for values in zip(*series, strict=True)]


def _number(value: float | None, kind: Kind) -> Number:
    return Number(value, shown(value, kind))


def _line(values: Sequence[float | None], kind: Kind) -> Line:
    found = there(values)
    if not found:
        return Line(values, "no data")
    return Line(values, f"from {shown(min(found), kind)} to {shown(max(found), kind)}, last {shown(found[-1], kind)}")


def _alerts(given: Given) -> list[Text]:
    found = []
    for group in given.tally.groups():
        for kind in (CPU, MEMORY):
            pair = quota(given, group, kind)
            if pair and pair[0] / pair[1] >= NEARLY:
                said = f"{shown(pair[0], kind)} of {shown(pair[1], kind)}"
                name = given.labels.line(group)
                state = "is above" if pair[0] > pair[1] else "has nearly used up"
                found.append(Text(f"{name} {state} its quota of {kind.noun}:", Level.WARNING, f"{said}."))
    return found
