"""Makes a table fit the screen: text is shortened or left out, numbers never.

Columns that a view can spare go first: each is shortened, then left out. Other text is shortened after that, the
widest column first, and names of rows last. A table that does not fit even so stays as it is, unless long lines are
cut at the edge of the screen: there, numbers stand last in a line and would be lost.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from . import safe
from .table import MIN_WIDTH, PADDING, Row

ELLIPSIS = "…"
_OWN = ("NAME", "POD")
_LEAST_NAME, _LEAST_TEXT = 24, 12
"""Characters that are left of the name of a row, and of other text."""
_LEAST_CUT = 10
"""Characters that are left of both where lines are cut."""
_WORD = re.compile(r"[^\W\d_]{3}")
_NUMBER = re.compile(r"[~+-]?\d[\d,]*(?:\.\d+)?\s?(?:[a-zA-Z%/-]{0,8})")
_NOTHING = ("<none>", "<unknown>")


def fit(
    headers: Row,
    rows: Sequence[Row],
    footer: Sequence[Row],
    width: int,
    spare: Sequence[str] = (),
    *,
    cut: bool = False,
) -> tuple[Row, list[Row], list[Row]]:
    """A table no wider than the screen, if that is possible without losing a number.

    Args:
        headers: one for each column; where they are not shown, still one for each.
        rows: cells, one for each header.
        footer: rows below, of any length.
        width: columns of the screen.
        spare: headers of columns that may be left out, the least important first; one that holds numbers stays.
        cut: whether the screen cuts long lines, rather than continuing them in the next row.

    Returns:
        Headers, rows and footer.
    """
    cells = [[safe.line(cell) for cell in row] for row in rows]
    columns = [list(column) for column in zip(*cells, strict=True)] if cells else [[] for _ in headers]
    sums = [[safe.line(row[index]) for row in footer if index < len(row)] for index in range(len(headers))]
    found = [max(map(len, (h, *c, *s))) for h, c, s in zip(headers, columns, sums, strict=True)]
    wanted: list[int | None] = list(found)
    for index in [headers.index(head) for head in spare if head in headers]:
        if any(_NUMBER.fullmatch(cell) for cell in columns[index]):
            continue
        if (over := _too_wide(wanted, width)) <= 0:
            break
        least = max(_LEAST_TEXT, len(headers[index]))
        wanted[index] = found[index] - over if found[index] - over >= least else None
    text = [index for index, column in enumerate(columns) if wanted[index] is not None and any(map(_is_text, column))]
    # What the next command is given comes last.
    own = [index for index in text if headers[index] in _OWN]
    _give_way(wanted, width, headers, [index for index in text if index not in own], _LEAST_TEXT)
    _give_way(wanted, width, headers, own, _LEAST_NAME)
    if cut:
        _give_way(wanted, width, headers, text, _LEAST_CUT)
    elif _too_wide(wanted, width) > 0:
        return headers, list(rows), list(footer)  # lines break all the same: nothing is won by losing text
    return (
        _row(headers, wanted),
        [_row(row, wanted) for row in cells],
        [_row([safe.line(cell) for cell in row], wanted) for row in footer],
    )


def excess(headers: Row, rows: Sequence[Row], footer: Sequence[Row], width: int) -> int:
    """By how many characters a table is wider than the screen; 0 or less if it fits."""
    lines = [headers, *rows, *footer]
    wanted = [max(len(safe.line(line[index])) for line in lines if index < len(line)) for index in range(len(headers))]
    return _too_wide(wanted, width)


def _give_way(wanted: list[int | None], width: int, headers: Row, columns: list[int], least: int) -> None:
    """Shorten columns, the widest first, down to a least size, until the table fits."""
    while columns and (over := _too_wide(wanted, width)) > 0:
        widest = max(columns, key=lambda index: wanted[index] or 0)
        others = [wanted[index] or 0 for index in columns if index != widest]
        has, floor = wanted[widest] or 0, max(least, len(headers[widest]))
        if has <= floor:
            columns = [index for index in columns if index != widest]
            continue
        # No further than to the next widest: then both of them give way.
        wanted[widest] = max(floor, has - over, min(has - 1, max(others, default=0)))


def _is_text(cell: str) -> bool:
    number = "%" in cell or _NUMBER.fullmatch(cell)
    return cell not in _NOTHING and not number and _WORD.search(cell) is not None


def _too_wide(wanted: Sequence[int | None], width: int) -> int:
    """By how many characters the table is wider than the screen; spaces at the end of a line do not count."""
    kept = [size for size in wanted if size is not None]
    if not kept:
        return 0
    return sum(max(MIN_WIDTH, size + PADDING) for size in kept[:-1]) + kept[-1] - width


def _row(row: Row, wanted: Sequence[int | None]) -> Row:
    shown = [shorten(cell, size) for cell, size in zip(row, wanted, strict=False) if size is not None]
    return [*shown, *row[len(wanted) :]]


def shorten(text: str, size: int) -> str:
    """A text of at most that many characters, with its middle left out: both ends of a pod's name tell it apart."""
    if len(text) <= size:
        return text
    end = (size - 1) // 2
    return f"{text[: size - 1 - end]}{ELLIPSIS}{text[len(text) - end :]}"
