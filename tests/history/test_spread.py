"""Percentiles from buckets against those of all samples."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from kubectl_vmetrics.history.spread import Spread

VALUES = st.lists(st.floats(0, 1e12, allow_nan=False), min_size=1, max_size=200)


@given(values=VALUES, others=VALUES, percent=st.floats(0.1, 100))
@settings(deadline=None, max_examples=150)
def test_never_below_and_at_most_two_percent_above(values: list[float], others: list[float], percent: float) -> None:
    found, other = Spread(), Spread()
    for value in values:
        found.add(value)
    for value in others:
        other.add(value)
    found.merge(other)

    ordered = sorted([*values, *others])
    exact = ordered[max(0, math.ceil(len(ordered) * percent / 100 - 1e-9) - 1)]
    assert found.count == len(ordered)
    assert found.most == ordered[-1]
    assert exact <= found.percentile(percent) * (1 + 1e-9)
    assert found.percentile(percent) <= max(exact * 1.0201**2, 1e-9)  # what was merged had been rounded once


def test_equal_samples_are_exact() -> None:
    found = Spread()
    found.add(0.123, times=1000)
    assert [found.percentile(percent) for percent in (1, 50, 95, 100)] == [0.123] * 4
    assert Spread().percentile(95) == 0.0
