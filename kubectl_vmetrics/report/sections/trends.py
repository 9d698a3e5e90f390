"""Use over time, and who grows."""

from __future__ import annotations

from collections.abc import Sequence

from kubectl_vmetrics.history.queries import Metric

from ..given import Given, Made, leading
from ..numbers import NONE, moment, percent, span
from ..page import HOST, OTHERS, Block, Cell, Column, Layer, Number, Section, Stack, Table
from ..tally import Group
from .usage import CPU, MEMORY, Kind, ratio, shown, summed

GIB = 2**30


def make(given: Given) -> Made:
    """The section."""
    middle = given.window.start + (given.window.end - given.window.start) / 2
    about = (
        f"Use over time, and what changed from the first half of the period to the second (from {moment(middle)}). "
        f"Each point is the mean of {span(given.step)}."
    )
    blocks: list[Block] = [*(_stack(given, kind) for kind in (CPU, MEMORY)), _changes(given, middle)]
    return Made(Section("trends", "Trends", about, blocks))


def _stack(given: Given, kind: Kind) -> Stack:
    tally = given.tally
    scale = 1.0 if kind is CPU else 1.0 / GIB
    series = {group: tally.means(group, kind.used) for group in tally.groups()}
    colours = leading(given)

    def layer(name: str, values: Sequence[float | None], colour: str) -> Layer:
        mean = tally.statistics(values).mean
        scaled = [None if value is None else value * scale for value in values]
        return Layer(name, scaled, colour, None if mean is None else mean * scale)

    layers = [layer(given.labels.line(group), series[group], colours[group]) for group in colours]
    rest = [group for group in series if group.vcluster is not None and group not in colours]
    if rest:
        layers.append(layer(f"{len(rest)} others", summed([series[group] for group in rest]), OTHERS))
    own = [group for group in series if group.vcluster is None]
    layers += [layer(given.labels.line(group), series[group], HOST) for group in own]
    whole = None
    if given.tenant is None:
        there = Metric.NODE_CPU_ALLOCATABLE if kind is CPU else Metric.NODE_MEMORY_ALLOCATABLE
        found = tally.statistics(tally.whole(there)).mean
        whole = found * scale if found else None
    unit = "cores" if kind is CPU else "GiB"
    return Stack(f"{kind.title} used by {given.noun}", unit, list(tally.starts), layers, whole)


def _changes(given: Given, middle: float) -> Table:
    columns = [Column(given.noun.capitalize())]
    for kind in (CPU, MEMORY):
        unit = ", cores" if kind is CPU else ""
        columns += [Column(f"{kind.title}, {half} half{unit}", numeric=True) for half in ("first", "second")]
        columns.append(Column(f"{kind.title}, change", numeric=True))
    rows: list[list[Cell]] = [
        [given.labels.group(group), *_change(given, group, CPU, middle), *_change(given, group, MEMORY, middle)]
        for group in given.tally.groups()
    ]
    return Table("Change within the period", columns, rows)


def _change(given: Given, group: Group, kind: Kind, middle: float) -> list[Cell]:
    values = given.tally.means(group, kind.used)
    at = sum(1 for start in given.tally.starts if start < middle)
    first, second = (given.tally.statistics(part, begin).mean for part, begin in ((values[:at], 0), (values[at:], at)))
    grown = ratio(second - first, first) if first is not None and second is not None else None
    if grown is not None and abs(grown) < 0.0005:
        grown = 0.0
    return [
        Number(first, shown(first, kind)),
        Number(second, shown(second, kind)),
        Number(
            grown, NONE if grown is None else f"{'+' if grown > 0 else '-' if grown < 0 else ''}{percent(abs(grown))}"
        ),
    ]
