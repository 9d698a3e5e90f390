"""Columns that are declared once: the cell, the number for programs, the order and the sum of each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from kubectl_vmetrics.output.table import Row
from kubectl_vmetrics.output.units import mebibytes, millicores

from .cells import count, percent, speed

Item = TypeVar("Item")
RULE = "________"
DIGITS = 6
"""Behind the point of shares and rates, for programs."""


class Kind(NamedTuple):
    """What values of a column are.

    Attributes:
        cell: a value as text for people.
        plain: a value for programs, in the unit that is in the name of its field.
        text: whether it is in ascending order.
    """

    cell: Callable[[Any], str]
    plain: Callable[[Any], Any]
    text: bool = False


def _same(value: Any) -> Any:
    return value


def rounded(value: float) -> float:
    """A number for programs, without digits that mean nothing."""
    return round(value, DIGITS)


TEXT = Kind(str, _same, text=True)
COUNT = Kind(str, _same)
CPU = Kind(millicores, lambda nanocores: nanocores / 1e9)
"""Billionths of a core; for programs, cores."""
MEMORY = Kind(mebibytes, _same)
"""Bytes."""
SHARE = Kind(percent, rounded)
"""From 0 to 1, or beyond."""
SPEED = Kind(speed, rounded)
"""Bytes per second."""
RATE = Kind(count, rounded)
"""Events per second."""


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        header: above it.
        field: its name for programs, with the unit.
        kind: what its values are.
        value: of an item; None if it is not known.
        missing: the cell of what is not known.
        summed: whether the sum of its values means something.
        mark: what follows the value in its cell.
    """

    header: str
    field: str
    kind: Kind
    value: Callable[[Any], Any]
    missing: str = "-"
    summed: bool = False
    mark: Callable[[Any], str] = lambda _: ""

    def cell(self, item: Any) -> str:
        """The text of an item's value."""
        value = self.value(item)
        return (self.missing if value is None else self.kind.cell(value)) + self.mark(item)

    def plain(self, item: Any) -> Any:
        """An item's value for programs."""
        value = self.value(item)
        return None if value is None else self.kind.plain(value)

    @property
    def name(self) -> str:
        """Its name for --sort-by."""
        return name(self.header)

    def total(self, items: Iterable[Any]) -> Any:
        """The sum; None where that means nothing, or nothing is known."""
        known = [value for value in map(self.value, items) if value is not None] if self.summed else []
        return sum(known) if known else None


def name(header: str) -> str:
    """The name of a column for --sort-by: without the unit, but for percent.

    >>> [name(header) for header in ("CPU(cores)", "CPU(%)", "%MEM/R", "VOL-USED(bytes)")]
    ['cpu', 'cpu%', '%mem/r', 'vol-used']
    """
    found = re.fullmatch(r"(.*?)(\((.*)\))?", header.lower())
    return f"{found[1]}{'%' * (found[3] == '%')}" if found else header.lower()


def ordered(items: Sequence[Item], columns: Sequence[Column], sort_by: str) -> list[Item]:
    """The items in the order of a column: numbers from the largest down, text from A to Z, unknown values last."""
    column = next((column for column in columns if column.name == sort_by), None)
    if column is None:
        return list(items)
    known = [item for item in items if column.value(item) is not None]
    known.sort(key=column.value, reverse=not column.kind.text)
    return [*known, *(item for item in items if column.value(item) is None)]


def cells(items: Iterable[Any], columns: Sequence[Column]) -> list[Row]:
    """The rows of a table."""
    return [[column.cell(item) for column in columns] for item in items]


def sums(items: Sequence[Any], columns: Sequence[Column]) -> list[str]:
    """The sums below the rows, each in its column, as text."""
    totals = [column.total(items) for column in columns]
    return ["" if total is None else column.kind.cell(total) for column, total in zip(columns, totals, strict=True)]


def footer(totals: Sequence[str]) -> list[Row]:
    """The lines below a table: rules, and sums."""
    shown = list(totals)
    while shown and not shown[-1]:
        shown.pop()
    return [[RULE if cell else "" for cell in shown], shown]


def table(items: Sequence[Any], columns: Sequence[Column], *, total: bool) -> tuple[list[str], list[list[Any]]]:
    """Fields and rows for programs, the sums last."""
    rows = [[column.plain(item) for column in columns] for item in items]
    if total:
        totals = [column.total(items) for column in columns]
        rows.append([None if t is None else c.kind.plain(t) for c, t in zip(columns, totals, strict=True)])
    return [column.field for column in columns], rows
