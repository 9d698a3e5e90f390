"""Lines over time on a terminal, drawn by plotext."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

COLORS = ("cyan", "orange", "green", "magenta", "yellow", "blue", "red", "white")
MARKS = "abcdefgh"
"""Of lines, where there are no colors: each point of one is its letter."""
_HEIGHT = 18
_NARROWEST = 40


class Line(NamedTuple):
    """One line of a chart.

    Attributes:
        label: what it is of.
        points: NaN where there is none.
    """

    label: str
    points: Sequence[float]


def render(title: str, times: Sequence[float], lines: Sequence[Line], *, width: int, colored: bool) -> str:
    """A chart as text.

    Args:
        title: above it.
        times: of the points, in seconds since the epoch.
        lines: a few.
        width: columns of the screen.
        colored: whether colors may be used.

    Raises:
        ImportError: plotext is not installed.
    """
    import plotext

    plot: Any = plotext
    plot.clear_figure()
    plot.theme("pro" if colored else "clear")
    plot.plotsize(max(_NARROWEST, width), _HEIGHT)
    plot.title(title)
    for index, line in enumerate(lines):
        known = [(at, point) for at, point in zip(times, line.points, strict=True) if not math.isnan(point)]
        if known:
            xs, ys = zip(*known, strict=True)
            marker = "braille" if colored else MARKS[index % len(MARKS)]
            plot.plot(xs, ys, label=line.label, color=COLORS[index % len(COLORS)], marker=marker)
    plot.ylim(0, None)
    ticks = _ticks(times)
    plot.xticks(ticks, [_moment(at, times[-1] - times[0]) for at in ticks])
    text = str(plot.build())
    if not colored:
        text = str(plot.uncolorize(text))
    return "".join(f"{row.rstrip()}\n" for row in text.splitlines())


def _ticks(times: Sequence[float], count: int = 5) -> list[float]:
    if len(times) < count:
        return list(times)
    return [times[round(index * (len(times) - 1) / (count - 1))] for index in range(count)]


def _moment(at: float, span: float) -> str:
    form = "%H:%M" if span <= 2 * 86_400 else "%m-%d %H:%M" if span <= 7 * 86_400 else "%m-%d"
    return time.strftime(form, time.localtime(at))
