"""What a range of points comes to: min, mean, p95, max, last."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

PERCENTILE = 0.95


class Statistics(NamedTuple):
    """Of the points of a row that are known; each is the mean of a step. None where no point is.

    Attributes:
        min: the smallest.
        mean: weighted by the steps' lengths.
        p95: the 95th percentile, between two points if need be, as quantile_over_time of PromQL.
        max: the largest.
        last: of the last step; None if the row was gone by then.
    """

    min: float | None = None
    mean: float | None = None
    p95: float | None = None
    max: float | None = None
    last: float | None = None


def of(points: Sequence[float], seconds: Sequence[float]) -> Statistics:
    """Statistics of points.

    Args:
        points: one for each step; NaN where it is not known.
        seconds: the length of each step.
    """
    known = [(point, length) for point, length in zip(points, seconds, strict=True) if not math.isnan(point)]
    if not known:
        return Statistics()
    values = sorted(point for point, _ in known)
    whole = math.fsum(length for _, length in known)
    mean = math.fsum(point * length for point, length in known) / whole
    last = points[-1]
    return Statistics(
        values[0],
        # Rounding must not lead outside of what it is the mean of.
        min(max(mean, values[0]), values[-1]),
        quantile(values, PERCENTILE),
        values[-1],
        None if math.isnan(last) else last,
    )


def quantile(values: Sequence[float], share: float) -> float:
    """A quantile of sorted values: on a straight line between the two that are nearest.

    >>> quantile([1.0, 2.0, 3.0], 0.5), quantile([0.0, 10.0], 0.95)
    (2.0, 9.5)
    """
    place = share * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)
