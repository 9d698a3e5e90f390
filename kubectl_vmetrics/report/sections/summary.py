"""The summary: a few numbers, and what needs attention."""

from __future__ import annotations

from collections.abc import Sequence

from kubectl_vmetrics.allocation.account import Kind
from kubectl_vmetrics.allocation.quantities import Resource, shown, total
from kubectl_vmetrics.history.queries import Metric

from ..given import Given, Made
from ..numbers import GIB, HOUR, decimal, percent, plural
from ..page import Fact, Items, Level, Section, Text
from .usage import ratio

_ORDER = (Level.BAD, Level.WARNING, Level.GOOD, Level.PLAIN)
MOST = 40
"""Sentences that are listed."""


def make(given: Given, others: Sequence[Made]) -> tuple[Made, list[Fact]]:
    """The section, from what the others found, and its numbers."""
    alerts = [alert for made in others for alert in made.alerts]
    alerts.sort(key=lambda alert: _ORDER.index(alert.level))
    if len(alerts) > MOST:
        rest = len(alerts) - MOST
        alerts = [*alerts[:MOST], Text(f"And {plural(rest, 'more point')}, in the sections below.")]
    who = f"the virtual cluster {given.labels.name(given.tenant)}" if given.tenant else "the tenants of this host"
    about = f"What {who} used in the period, and what needs attention."
    section = Section("summary", "Summary", about, [Items(alerts, empty="Nothing needs attention.")])
    return Made(section), _facts(given)


def _facts(given: Given) -> list[Fact]:
    tally = given.tally
    groups = tally.groups()
    facts = []
    if given.tenant:
        facts.append(Fact("Namespaces", str(len(groups))))
    else:
        nodes = f"on {plural(len(tally.nodes), 'node')}" if tally.nodes and not given.labels.public else ""
        count = sum(1 for group in groups if group.vcluster)
        facts.append(Fact("Virtual clusters", f"{count:,}", nodes))
    for title, used, requested, there, unit in (
        ("CPU used", Metric.CPU, Metric.CPU_REQUEST, Metric.NODE_CPU_ALLOCATABLE, "core-hours"),
        ("Memory used", Metric.MEMORY, Metric.MEMORY_REQUEST, Metric.NODE_MEMORY_ALLOCATABLE, "GiB-hours"),
    ):
        scale = HOUR if used is Metric.CPU else HOUR * GIB
        amount, asked = (sum(tally.total(group, metric) for group in groups) / scale for metric in (used, requested))
        share = ratio(amount, asked)
        note = f"{percent(share)} of what was requested" if share is not None else ""
        whole = tally.statistics(tally.whole(there)).mean if not given.tenant else None
        if whole:
            of = ratio(amount, whole * sum(tally.lengths) / scale)
            note = "; ".join(part for part in (f"{percent(of)} of what the host has", note) if part)
        facts.append(Fact(f"{title}, {unit}", decimal(amount), note))
    bill = given.bill
    if bill is None:
        return facts
    idle = [row for row in bill.rows if row.account.kind is Kind.IDLE]
    if idle and bill.whole:
        shares = [
            ratio(row.hours_billed(resource), shown(total(bill.whole, resource), resource))
            for row in idle
            for resource in (Resource.CPU, Resource.MEMORY)
        ]
        facts.append(Fact("Idle CPU", percent(shares[0]), f"memory: {percent(shares[1])}"))
    if bill.currency and bill.cost is not None:
        facts.append(
            Fact(f"Cost, {bill.currency}", f"{bill.cost:,.2f}", "with the prices given" if not given.tenant else "")
        )
    return facts
