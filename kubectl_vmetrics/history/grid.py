"""Moments at equal distances, and series read at them."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from kubectl_vmetrics.prometheus.api import Prometheus

from .window import Window

Key = tuple[str, ...]
"""Values of the labels that a query aggregates by."""


class Grid(NamedTuple):
    """Steps of equal length, one after the other.

    Attributes:
        start: seconds since the epoch.
        step: seconds of each.
        steps: how many.
    """

    start: float
    step: float
    steps: int

    def time(self, index: int) -> float:
        """Where step `index` ends, from 1 on; 0 is where the first one begins."""
        return self.start + index * self.step


def grids(window: Window, step: float, most: int) -> Iterator[Grid]:
    """The steps of a window, at most `most` at a time; the last one is as short as it must be."""
    count = int((window.seconds + 1e-6) // step)
    for first in range(0, count, most):
        yield Grid(window.start + first * step, step, min(most, count - first))
    rest = window.seconds - count * step
    if rest > 1e-3:
        yield Grid(window.start + count * step, rest, 1)


def collect(
    server: Prometheus, expression: str, by: Key, grid: Grid, *, ahead: int = 0, expected: int = 0
) -> dict[Key, array[float]]:
    """The values of an expression where each step begins and ends: `steps + 1` of them, and `ahead` more.

    What is missing or no finite number is NaN.

    Args:
        server: to ask.
        expression: PromQL that aggregates by `by`.
        by: labels; their values are the keys.
        grid: the steps.
        ahead: for how many steps more.
        expected: about how many series there are; 0 if that is not known.

    Raises:
        VmetricsError: as Prometheus.parts.
    """
    found: dict[Key, array[float]] = {}
    length = grid.steps + 1 + ahead
    empty = array("d", [math.nan]) * length
    start, step = grid.start, grid.step
    for part in server.parts(expression, start, grid.time(length - 1), step, series=expected):
        for series in part.series:
            labels = series.labels
            key = tuple([labels.get(label, "") for label in by])
            values = found.get(key)
            if values is None:
                values = found[key] = array("d", empty)
            for time, text in series.values:
                index = round((time - start) / step)
                number = float(text)
                if 0 <= index < length and math.isfinite(number):
                    values[index] = number
    return found
