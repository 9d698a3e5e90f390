"""Percentiles of many samples in little memory."""

from __future__ import annotations

import math

_BUCKET = math.log(1.02)
"""Samples within 2 % are counted together, by the largest of them; so advice is never below a percentile."""


class Spread:
    """Samples, in buckets.

    Attributes:
        count: how many there are.
        most: the largest.
    """

    def __init__(self) -> None:
        self.count = 0
        self.most = 0.0
        self._buckets: dict[int, tuple[int, float]] = {}

    def add(self, value: float, times: int = 1) -> None:
        """Add a sample, or several of the same value."""
        bucket = math.ceil(math.log(value) / _BUCKET) if value > 1e-9 else -10_000
        count, most = self._buckets.get(bucket, (0, 0.0))
        self._buckets[bucket] = (count + times, max(most, value))
        self.count += times
        self.most = max(self.most, value)

    def merge(self, other: Spread) -> None:
        """Add all of another one."""
        for count, most in other._buckets.values():
            self.add(most, count)

    def percentile(self, percent: float) -> float:
        """The smallest sample that so many percent of all are not larger than."""
        wanted, seen = math.ceil(self.count * percent / 100 - 1e-9), 0
        for bucket in sorted(self._buckets):
            count, most = self._buckets[bucket]
            seen += count
            if seen >= wanted:
                return most
        return self.most
