"""A line of eighths of a cell: what went up and down, in one cell of a table."""

from __future__ import annotations

import math
from collections.abc import Sequence

LEVELS = "▁▂▃▄▅▆▇█"
PLAIN = "_.-=+*%#"
"""The same levels where the terminal knows ASCII only."""
WIDTH = 24


def render(points: Sequence[float], width: int = WIDTH, *, plain: bool = False) -> str:
    """Points as a sparkline from 0 to the largest one; blanks where there are none.

    Args:
        points: NaN where there is none.
        width: characters; more points than that are averaged.
        plain: whether to use ASCII only.

    >>> render([0, 1, 2, 3, float("nan"), 7], 6)
    '▁▂▃▄ █'
    >>> render([1, 3, 5, 7], 2)
    '▃█'
    """
    levels = PLAIN if plain else LEVELS
    cells = fitted(points, width)
    top = max((cell for cell in cells if not math.isnan(cell)), default=0.0)
    text = ""
    for cell in cells:
        if math.isnan(cell):
            text += " "
        else:
            text += levels[min(len(levels) - 1, round(cell / top * (len(levels) - 1)))] if top > 0 else levels[0]
    return text


def fitted(points: Sequence[float], width: int) -> list[float]:
    """As many points as there is room for: each the mean of those that it stands for, as far as there are any."""
    count = len(points)
    if count <= width:
        return list(points)
    found = []
    for index in range(width):
        part = points[index * count // width : (index + 1) * count // width]
        known = [point for point in part if not math.isnan(point)]
        found.append(math.fsum(known) / len(known) if known else math.nan)
    return found


def is_plain(encoding: str | None) -> bool:
    """Whether a stream of this encoding cannot show the levels; None for one of text."""
    try:
        LEVELS.encode(encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return True
    return False
