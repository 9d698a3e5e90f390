"""kubectl's table: cells that end in a tab, columns as wide as they must be, three spaces between.

The layout of Go's text/tabwriter with minwidth 6 and padding 3, to the byte: the last cell of a line is padded too
(k8s.io/cli-runtime/pkg/printers/tabwriter.go).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, islice, repeat
from types import MappingProxyType
from typing import overload

from . import safe

MIN_WIDTH = 6
PADDING = 3

_AT_ONCE = 4096
"""Rows that are in memory as cells of their full width."""

Row = Sequence[str]


class Columns(Sequence[Row]):
    """Rows that are kept by column: the fast way to a table of 100,000 of them.

    Args:
        columns: all of the same length.
        leads: cells in front of those of `columns`, and for how many rows they stand; for all rows, if any.
    """

    def __init__(self, columns: Sequence[list[str]], leads: Sequence[tuple[Row, int]] = ()) -> None:
        self.columns = columns
        self.leads = leads

    def __len__(self) -> int:
        return len(self.columns[0])

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        return list(self)[index]

    def __iter__(self) -> Iterator[Row]:
        rows = zip(*self.columns, strict=True)
        if not self.leads:
            return rows
        leads = (lead for lead, count in self.leads for _ in range(count))
        return ((*lead, *row) for lead, row in zip(leads, rows, strict=True))


Paint = Callable[[str], str]
"""From a cell, padding included, to what is written in its place; it takes as much room on a terminal."""


def render(
    rows: Sequence[Row], headers: Row = (), footer: Sequence[Row] = (), paint: Mapping[int, Paint] | None = None
) -> str:
    """Rows of cells as text, each line ended, with headers above and a footer below. Rows may differ in length.

    Args:
        rows: the cells.
        headers: one for each column.
        footer: more rows.
        paint: for the columns that are colored, how.
    """
    if isinstance(rows, Columns) and not footer:
        return _even(rows, headers, paint or {})
    rows = [*([headers] if headers else []), *rows, *footer]
    if not rows:
        return ""
    count = len(rows[0])
    if any(len(row) != count for row in rows):
        return _ragged([[safe.line(cell) for cell in row] for row in rows], paint or {})
    return _even(Columns([list(cells) for cells in zip(*rows, strict=True)]), (), paint or {})


def _even(rows: Columns, headers: Row, paint: Mapping[int, Paint]) -> str:
    """Rows of one length: a column is as wide as its widest cell."""
    leads = [([safe.line(cell) for cell in lead], count) for lead, count in rows.leads]
    columns = [safe.column(cells) for cells in rows.columns]
    heads = [safe.line(head) for head in headers]
    before = len(leads[0][0]) if leads else 0
    longest = [max(len(lead[index]) for lead, _ in leads) for index in range(before)]
    longest += [max(map(len, cells), default=0) for cells in columns]
    widths = [_width(max(cells)) for cells in zip(longest, map(len, heads) if heads else longest, strict=True)]
    front = chain.from_iterable(repeat(_line(lead, widths), count) for lead, count in leads) if leads else repeat("")
    text = [_line(heads, widths) + "\n"] if heads else []
    for start in range(0, len(rows), _AT_ONCE):
        parts = [cells[start : start + _AT_ONCE] for cells in columns]
        count = len(parts[0])
        padded = [[cell.ljust(width) for cell in cells] for cells, width in zip(parts, widths[before:], strict=True)]
        for index, how in paint.items():
            if index >= before:
                padded[index - before] = list(map(how, padded[index - before]))
        lines = zip(islice(front, count), *padded, repeat("\n", count), strict=True)
        text.append("".join(chain.from_iterable(lines)))
    return "".join(text)


def _line(cells: Row, widths: Sequence[int]) -> str:
    return "".join(map(str.ljust, cells, widths))


def _width(longest: int) -> int:
    return max(MIN_WIDTH, longest + PADDING)


def _ragged(rows: Sequence[Row], paint: Mapping[int, Paint] = MappingProxyType({})) -> str:
    """The general case: a column is a run of adjacent lines that have a cell there, and widths never shrink below."""
    lines: list[list[str]] = [[] for _ in rows]
    remembered: list[int] = []

    def block(start: int, end: int, column: int) -> None:
        at = start
        while at < end:
            if len(rows[at]) <= column:
                at += 1
                continue
            first = at
            while at < end and len(rows[at]) > column:
                at += 1
            width = _width(max(len(row[column]) for row in rows[first:at]))
            how = paint.get(column)
            if column < len(remembered):
                width = remembered[column] = max(width, remembered[column])
            else:
                remembered.append(width)
            for index in range(first, at):
                lines[index].append(how(rows[index][column].ljust(width)) if how else rows[index][column].ljust(width))
            block(first, at, column + 1)

    block(0, len(rows), 0)
    return "".join("".join(line) + "\n" for line in lines)
