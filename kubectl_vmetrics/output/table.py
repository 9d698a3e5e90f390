"""kubectl's table: cells that end in a tab, columns as wide as they must be, three spaces between.

The layout of Go's text/tabwriter with minwidth 6 and padding 3, to the byte: the last cell of a line is padded too
(k8s.io/cli-runtime/pkg/printers/tabwriter.go).
"""

from __future__ import annotations

from collections.abc import Sequence

from . import safe

MIN_WIDTH = 6
PADDING = 3

Row = Sequence[str]


def render(rows: Sequence[Row]) -> str:
    """Rows of cells as text, each line ended. Rows may differ in length."""
    if not rows:
        return ""
    count = len(rows[0])
    if any(len(row) != count for row in rows):
        return _ragged([[safe.line(cell) for cell in row] for row in rows])
    columns = [safe.column(list(cells)) for cells in zip(*rows, strict=True)]
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
