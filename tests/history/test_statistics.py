"""Statistics of points, against numbers that were computed otherwise."""

from __future__ import annotations

import math
import statistics as python
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_vmetrics.history.statistics import Statistics, of, quantile

NONE = math.nan


@pytest.mark.parametrize(
    ("points", "seconds", "found"),
    [
        ([], [], Statistics()),
        ([NONE], [60], Statistics()),
        ([3.0], [60], Statistics(3, 3, 3, 3, 3)),
        ([1.0, 2.0, 3.0, 4.0], [60] * 4, Statistics(1, 2.5, 3.85, 4, 4)),
        # The last step is shorter than the others.
        ([1.0, 4.0], [60, 30], Statistics(1, 2, 3.85, 4, 4)),
        # A gap, and a pod that is gone.
        ([2.0, NONE, 4.0, NONE], [60] * 4, Statistics(2, 3, 3.9, 4, None)),
        ([0.0] * 20, [60] * 20, Statistics(0, 0, 0, 0, 0)),
    ],
)
def test_statistics(points: Sequence[float], seconds: Sequence[float], found: Statistics) -> None:
    assert of(points, seconds) == pytest.approx(found)


@given(st.lists(st.floats(0, 1e15), min_size=2, max_size=300))
def test_against_those_of_python(points: list[float]) -> None:
    found = of(points, [60.0] * len(points))
    assert (found.min, found.max, found.last) == (min(points), max(points), points[-1])
    assert found.mean == pytest.approx(python.fmean(points))
    assert found.p95 == pytest.approx(python.quantiles(points, n=20, method="inclusive")[-1])
    assert min(points) <= found.mean <= max(points)  # type: ignore[operator]


@pytest.mark.parametrize(("share", "value"), [(0.0, 1.0), (0.5, 2.5), (1.0, 4.0), (0.95, 3.85)])
def test_quantiles(share: float, value: float) -> None:
    assert quantile([1.0, 2.0, 3.0, 4.0], share) == pytest.approx(value)
