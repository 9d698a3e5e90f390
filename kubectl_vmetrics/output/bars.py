"""--bars: a bar beside each share of a table."""

from __future__ import annotations

from collections.abc import Sequence

from . import colours
from .table import Row

CELLS = 10
"""Characters of a full bar, 10 % each."""
_PARTS = " ▏▎▍▌▋▊▉█"


def bar(percent: float) -> str:
    """A share as a bar in eighths of a cell; what exceeds 100 % ends in a plus sign.

    >>> bar(45), bar(130)
    ('████▌', '██████████+')
    """
    eighths = min(CELLS * 8, round(percent / 100 * CELLS * 8))
    full, part = divmod(eighths, 8)
    return "█" * full + (_PARTS[part] if part else "") + ("+" if percent > 100 else "")


def heading(share: str) -> str:
    """The header of the bar beside a column of shares.

    >>> heading("CPU(%)"), heading("%MEM/L")
    ('CPU-BAR', 'MEM/L-BAR')
    """
    return f"{share.replace('(%)', '').replace('%', '')}-BAR"


def add(
    headers: Row, rows: Sequence[Row], footer: Sequence[Row]
) -> tuple[list[str], list[list[str]], list[list[str]], list[str]]:
    """A table with a bar to the right of each share.

    Returns:
        Headers, rows, footer, and the headers of the bars.
    """
    after = set(colours.shares(headers))
    bars = [heading(header) for index, header in enumerate(headers) if index in after]

    def widened(row: Row, made: bool) -> list[str]:
        cells: list[str] = []
        for index, cell in enumerate(row):
            cells.append(cell)
            if index in after:
                found = colours.percent(cell) if made else None
                cells.append("" if found is None else bar(found))
        return cells

    heads: list[str] = []
    for index, header in enumerate(headers):
        heads += [header, heading(header)] if index in after else [header]
    return heads, [widened(row, True) for row in rows], [widened(row, False) for row in footer], bars
