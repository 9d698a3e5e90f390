"""The line through a volume's use, against Python's own regression."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_vmetrics.report.growth import DAY, HORIZON, Filling, Growth, filling

GIB = 2.0**30
START = 1_793_491_200.0


def grown(values: list[float], apart: float = DAY / 4) -> Growth:
    growth = Growth(START)
    for index, value in enumerate(values):
        growth.add(START + index * apart, value)
    return growth


@given(st.lists(st.floats(0, 1e13), min_size=3, max_size=60))
def test_the_slope_is_that_of_a_regression(values: list[float]) -> None:
    days = [index / 4 for index in range(len(values))]
    slope = statistics.linear_regression(days, values).slope
    assert grown(values).daily == pytest.approx(slope, rel=1e-6, abs=max(values) * 1e-9 + 1e-9)


def test_a_volume_that_grows() -> None:
    """1 GiB a day, 4 GiB left: full in four days after the last value."""
    values = [(2 + index / 4) * GIB for index in range(57)]
    found = filling(grown(values), 20 * GIB)
    assert found == Filling(16 * GIB, 20 * GIB, pytest.approx(GIB), pytest.approx(START + 56 * DAY / 4 + 4 * DAY))


@pytest.mark.parametrize(
    ("values", "capacity"),
    [
        ([5 * GIB] * 20, 10 * GIB),  # stays
        ([(20 - index) * GIB for index in range(20)], 30 * GIB),  # shrinks
        ([GIB, 2 * GIB, 3 * GIB, 4 * GIB], 10 * GIB),  # known for less than a day
        ([(1 + index / 4e6) * GIB for index in range(40)], 100 * GIB),  # in more than a year
        ([(1 + index) * GIB for index in range(20)], None),  # nobody says how large it is
    ],
)
def test_volumes_of_which_no_day_is_said(values: list[float], capacity: float | None) -> None:
    assert filling(grown(values), capacity).full is None


def test_a_volume_that_is_full() -> None:
    found = filling(grown([(1 + index) * GIB for index in range(10)]), 9 * GIB)
    assert found.full == START + 9 * DAY / 4


def test_the_horizon() -> None:
    left = 40 * GIB / (HORIZON / DAY)
    values = [index / 4 * left for index in range(9)]
    assert filling(grown(values), values[-1] + 39.9 * GIB).full is not None
    assert filling(grown(values), values[-1] + 40.1 * GIB).full is None


def test_one_value_has_no_slope() -> None:
    assert grown([GIB]).daily is None
