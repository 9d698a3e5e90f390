"""Volumes, and when they will be full."""

from __future__ import annotations

from ..given import Given, Made
from ..growth import Filling, filling
from ..numbers import NONE, day, percent, plural, size
from ..page import Cell, Column, Level, Number, Section, Share, Table, Text
from ..tally import Claim

MOST = 200
"""Volumes that are listed, those that are full first."""
NEARLY = 0.9
SOON = 30 * 86_400.0
"""Seconds until a volume is full, below which the summary says so."""
TOLD = 10
"""Volumes that the summary names."""


def make(given: Given) -> Made | None:
    """The section; None if there are no volumes."""
    found: list[tuple[Text, Filling]] = []
    for (identity, namespace, name), claim in given.tally.claims.items():
        label = given.labels.thing(identity, namespace, name)
        if label is not None and claim.growth.end:
            found.append((label, filling(claim.growth, _capacity(claim))))
    if not found:
        return None
    found.sort(key=lambda pair: (pair[1].full is None, pair[1].full or 0.0, -(_share(pair[1]) or 0.0), pair[0]))
    columns = [
        Column("Volume claim"),
        Column("Capacity", numeric=True),
        Column("Used", numeric=True),
        Column("Used of capacity", numeric=True),
        Column("Growth per day", numeric=True),
        Column("Full on (estimate)"),
    ]
    rows: list[list[Cell]] = [[label, *_cells(given, item)] for label, item in found[:MOST]]
    rest = [item for _, item in found[MOST:]]
    totals: list[list[Cell]] = []
    if rest:
        capacity, used = sum(item.capacity or 0.0 for item in rest), sum(item.used for item in rest)
        share = Share(used / capacity if capacity else None)
        sums: list[Cell] = [Number(capacity, size(capacity)), Number(used, size(used)), share]
        totals = [[Text(plural(len(rest), "other volume")), *sums, Text(""), Text("")]]
    about = (
        "The kubelets' numbers for mounted claims. The day on which a volume will be full is an estimate: a straight "
        "line through its use in the period, continued. It is given where the line is at least a day long and reaches "
        "the capacity within a year."
    )
    return Made(
        Section("volumes", "Volumes", about, [Table("Volume claims", columns, rows, totals)]), _alerts(given, found)
    )


def _capacity(claim: Claim) -> float | None:
    return claim.capacity or claim.request


def _share(item: Filling) -> float | None:
    return item.used / item.capacity if item.capacity else None


def _cells(given: Given, item: Filling) -> list[Cell]:
    share = _share(item)
    level = Level.WARNING if share is not None and share >= NEARLY else Level.PLAIN
    soon = item.full is not None and item.full - given.window.end < SOON
    daily = item.daily
    return [
        Number(item.capacity, size(item.capacity)),
        Number(item.used, size(item.used)),
        Share(share, level),
        Number(daily, NONE if daily is None else f"{'-' if daily < 0 else ''}{size(abs(daily))}"),
        Text(NONE) if item.full is None else Text(day(item.full), Level.BAD if soon else Level.PLAIN),
    ]


def _alerts(given: Given, found: list[tuple[Text, Filling]]) -> list[Text]:
    alerts = []
    for label, item in found:
        share = _share(item)
        name = f"{label.text} ({label.below})" if label.below else label.text
        if item.full is not None and item.full - given.window.end < SOON:
            left = item.full - given.window.end
            when = f"in about {plural(max(round(left / 86_400), 1), 'day')}" if left > 0 else "now"
            alerts.append(Text(f"Volume {name} will be full on {day(item.full)}", Level.BAD, f"({when}, an estimate)."))
        elif share is not None and share >= NEARLY:
            alerts.append(Text(f"Volume {name} is {percent(share)} full.", Level.WARNING))
    if len(alerts) > TOLD:
        rest = len(alerts) - TOLD
        alerts = [
            *alerts[:TOLD],
            Text(
                f"{plural(rest, 'more volume')} {'is' if rest == 1 else 'are'} nearly full:",
                Level.WARNING,
                "see the table of volumes.",
            ),
        ]
    return alerts
