"""kubectl's table: cells that end in a tab, columns as wide as they must be, three spaces between.

The layout of Go's text/tabwriter with minwidth 6 and padding 3, to the byte: the last cell of a line is padded too
(k8s.io/cli-runtime/pkg/printers/tabwriter.go).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

from . import safe

MIN_WIDTH = 6
PADDING = 3

Row = Sequence[str]


class Columns(Sequence[Row]):
    """Rows that are kept by column, all of the same length: the fast way to a table of 100,000 of them."""

    def __init__(self, columns: Sequence[list[str]]) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns[0])

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        return list(self)[index] if isinstance(index, slice) else [column[index] for column in self.columns]

    def __iter__(self) -> Iterator[Row]:
        return zip(*self.columns, strict=True)


def render(rows: Sequence[Row], headers: Row = (), footer: Sequence[Row] = ()) -> str:
    """Rows of cells as text, each line ended, with headers above and a footer below. Rows may differ in length."""
    if isinstance(rows, Columns) and not footer:
        heads = [[head] for head in headers] if headers else [[] for _ in rows.columns]
        return _even([head + column for head, column in zip(heads, rows.columns, strict=True)])
    rows = [*([headers] if headers else []), *rows, *footer]
    if not rows:
        return ""
    count = len(rows[0])
    if any(len(row) != count for row in rows):
        return _ragged([[safe.line(cell) for cell in row] for row in rows])
    return _even([list(cells) for cells in zip(*rows, strict=True)])


def _even(columns: Sequence[list[str]]) -> str:
    columns = [safe.column(cells) for cells in columns]
    widths = [_width(max(map(len, cells))) for cells in columns]
    template = "".join(f"%-{width}s" for width in widths) + "\n"
    return "".join([template % cells for cells in zip(*columns, strict=True)])


def _width(longest: int) -> int:
    return max(MIN_WIDTH, longest + PADDING)


def _ragged(rows: Sequence[Row]) -> str:
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
            if column < len(remembered):
                width = remembered[column] = max(width, remembered[column])
            else:
                remembered.append(width)
            for index in range(first, at):
                lines[index].append(rows[index][column].ljust(width))
            block(first, at, column + 1)

    block(0, len(rows), 0)
    return "".join("".join(line) + "\n" for line in lines)
