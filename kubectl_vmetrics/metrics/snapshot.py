"""What one scrape told of some families, and what two of them say together: PromQL's arithmetic on two samples. Pure.

A rate is what Prometheus' `rate` gives over exactly the time between two samples, a quantile is `histogram_quantile` of
such rates (prometheus/prometheus promql/functions.go and quantile.go), so that a table and a dashboard agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from .samples import LARGEST, Labels, Sample

Where = Callable[[Labels], bool]
Identity = tuple[str, ...]
"""Names and values of labels in turn, sorted: a fifth of the memory of pairs."""


def identity(labels: Labels) -> Identity:
    """What tells a series from the others of its family."""
    return tuple(chain.from_iterable(sorted(labels.items())))


class Series(NamedTuple):
    """One series at one time."""

    labels: Labels
    value: float


class Snapshot:
    """One scrape.

    Args:
        samples: what it told; of a series that comes twice, the newest counts. What is no number, or too large for
            one that was measured, counts as not there: no sum of the others may become infinite by it.
        at: when, in seconds since 1970.
    """

    def __init__(self, samples: Iterable[Sample], at: float) -> None:
        self.at = at
        self._families: dict[str, dict[Identity, Series]] = {}
        for name, labels, value, _ in samples:
            if -LARGEST <= value <= LARGEST:  # nor is NaN
                self._families.setdefault(name, {})[identity(labels)] = Series(labels, value)

    def family(self, name: str) -> dict[Identity, Series]:
        """Its series by their labels."""
        return self._families.get(name, {})

    def series(self, name: str, where: Where | None = None) -> list[Series]:
        """Those of a family that a condition selects."""
        return [item for item in self.family(name).values() if where is None or where(item.labels)]

    def total(self, name: str, where: Where | None = None) -> float | None:
        """Their sum; None if there is none."""
        found = self.series(name, where)
        return sum(item.value for item in found) if found else None

    def value(self, name: str) -> float | None:
        """Of a family that has one series, for instance of a process."""
        return next((item.value for item in self.family(name).values()), None)

    def label(self, name: str, label: str) -> str:
        """A label of an info series; "" where there is none."""
        return next((item.labels.get(label, "") for item in self.family(name).values()), "")


class Pair(NamedTuple):
    """The newest scrape, and an earlier one of the same process; None where there was none."""

    before: Snapshot | None
    after: Snapshot

    @property
    def seconds(self) -> float:
        """Between the two; 0 without an earlier one."""
        return self.after.at - self.before.at if self.before else 0.0

    def increases(self, name: str, where: Where | None = None) -> Iterator[tuple[Labels, float]]:
        """By how much each counter grew that both have. One that went back began at 0 again, with its process."""
        if self.before is None:
            return
        earlier = self.before.family(name)
        for identity, (labels, value) in self.after.family(name).items():
            if identity in earlier and (where is None or where(labels)):
                known = earlier[identity].value
                if value < 0 or known < 0:
                    continue  # no counter
                yield labels, value if value < known else value - known

    def increase(self, name: str, where: Where | None = None) -> float | None:
        """By how much they grew together; None if there is none."""
        found = [value for _, value in self.increases(name, where)]
        return sum(found) if found else None

    def rate(self, name: str, where: Where | None = None) -> float | None:
        """The same a second: sum(rate(name{…}[…]))."""
        found = self.increase(name, where)
        return found / self.seconds if found is not None and self.seconds > 0 else None

    def quantile(self, q: float, name: str, where: Where | None = None) -> float | None:
        """histogram_quantile(q, sum by (le) (rate(name{…}[…]))); None where nothing was observed.

        Args:
            q: from 0 to 1.
            name: of the buckets' family, "…_bucket".
            where: which series.
        """
        buckets: dict[float, float] = {}
        for labels, grown in self.increases(name, where):
            try:
                bound = float(labels.get("le", ""))
            except ValueError:
                continue
            if not -LARGEST <= bound <= LARGEST and bound != math.inf:  # nor is NaN
                continue
            buckets[bound] = buckets.get(bound, 0.0) + grown
        return quantile(q, sorted(buckets.items()))


def quantile(q: float, buckets: Sequence[tuple[float, float]]) -> float | None:
    """A quantile of a cumulative histogram.

    Args:
        q: from 0 to 1.
        buckets: (upper bound, count up to it), ascending; without one for infinity there is no quantile.

    >>> quantile(0.5, [(1.0, 10.0), (2.0, 20.0), (math.inf, 20.0)])
    1.0
    """
    if len(buckets) < 2 or buckets[-1][0] != math.inf or buckets[-1][1] <= 0:
        return None
    rank = q * buckets[-1][1]
    bound = count = 0.0
    for index, (upper, total) in enumerate(buckets):
        # Counters that were read while they grew may seem to fall from one bucket to the next.
        reached = max(total, count)
        if reached >= rank:
            if upper == math.inf:
                return bound
            if index == 0 and upper <= 0:
                return upper
            return bound + (upper - bound) * (rank - count) / (reached - count) if reached > count else upper
        bound, count = upper, reached
    return bound
