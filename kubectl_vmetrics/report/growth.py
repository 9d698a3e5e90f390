"""How an amount grows: a straight line through its values, least squares, kept as sums."""

from __future__ import annotations

from typing import NamedTuple

DAY = 86_400.0


class Growth:
    """A line through values that come one by one; in memory it is five numbers.

    Args:
        origin: a time near the values', in seconds since the epoch, so that sums keep their digits.
    """

    __slots__ = ("_count", "_origin", "_t", "_tt", "_ty", "_y", "end", "last", "start")

    def __init__(self, origin: float) -> None:
        self._origin = origin
        self._count = 0
        self._t = self._y = self._tt = self._ty = 0.0
        self.start = self.end = self.last = 0.0

    def add(self, at: float, value: float) -> None:
        """A value at a time, in order of time."""
        days = (at - self._origin) / DAY
        self.start = self.start if self._count else at
        self.end, self.last = at, value
        self._count += 1
        self._t += days
        self._y += value
        self._tt += days * days
        self._ty += days * value

    @property
    def daily(self) -> float | None:
        """How much is added in a day; None if there are not two times."""
        spread = self._count * self._tt - self._t * self._t
        if self._count < 2 or spread <= 0:
            return None
        return (self._count * self._ty - self._t * self._y) / spread

    @property
    def span(self) -> float:
        """Seconds from the first value to the last."""
        return self.end - self.start


class Filling(NamedTuple):
    """What a line says about a volume.

    Attributes:
        used: bytes, the last value.
        capacity: bytes; None if it is not known.
        daily: bytes that are added in a day, by the line; None if it is not known.
        full: when the line reaches the capacity, in seconds since the epoch; None if it does not within `HORIZON`, or
            is too short to tell.
    """

    used: float
    capacity: float | None
    daily: float | None
    full: float | None


HORIZON = 365 * DAY
"""A volume that is full later than this is not said to fill up."""
SHORTEST = DAY
"""Seconds of history that an estimate needs."""
LEAST = 1e-4
"""The smallest growth in a day that counts, as a share of the capacity."""


def filling(growth: Growth, capacity: float | None) -> Filling:
    """When a volume will be full if it goes on as it did: from its last value, along the line's slope."""
    daily = growth.daily if growth.span >= SHORTEST else None
    full = None
    if capacity and daily is not None and daily > LEAST * capacity:
        left = max(capacity - growth.last, 0.0) / daily * DAY
        full = growth.end + left if left <= HORIZON else None
    return Filling(growth.last, capacity, daily, full)
