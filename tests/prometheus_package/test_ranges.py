"""Ranges in parts: every step once and in order, whatever a server bears."""

from __future__ import annotations

import threading

import hypothesis
import hypothesis.strategies as st
import pytest

from kubectl_vmetrics.kube.cancel import Cancelled, CancelScope, check, sleep
from kubectl_vmetrics.kube.errors import TooLarge
from kubectl_vmetrics.prometheus import ranges
from kubectl_vmetrics.prometheus.answer import Part, Series
from kubectl_vmetrics.prometheus.ranges import AHEAD, POINTS, STEPS, TooMuch, parts, steps

START = 1_764_000_000.0


def answering(step: float, *, series: int = 1, bears: float = float("inf")) -> tuple[ranges.Ask, list[int]]:
    """What answers with a series of the steps themselves, and the sizes of what it was asked for."""
    sizes: list[int] = []
    lock = threading.Lock()

    def ask(start: float, end: float) -> list[Series]:
        count = round((end - start) / step) + 1
        with lock:
            sizes.append(count)
        if count * series > bears:
            raise TooMuch("too much")
        values = [(start + index * step, "1") for index in range(count)]
        return [Series({"i": str(index)}, values) for index in range(series)]

    return ask, sizes


def moments(found: list[Part]) -> list[float]:
    return [at for part in found for at, _ in part.series[0].values]


@pytest.mark.parametrize(
    ("start", "end", "step", "count"),
    [(0, 0, 1, 1), (0, 9.99, 1, 10), (0, 10, 1, 11), (0.5, 30 * 86400 + 0.5, 15, 172_801), (0, 0.3, 0.1, 4)],
)
def test_the_number_of_steps(start: float, end: float, step: float, count: int) -> None:
    assert steps(start, end, step) == count


@pytest.mark.parametrize(
    ("start", "end", "step"),
    [(1, 0, 1), (0, 1, 0), (0, 1, -1), (0, 1, 0.0001), (0, float("inf"), 1), (float("nan"), 1, 1)],
)
def test_what_is_no_range(start: float, end: float, step: float) -> None:
    with pytest.raises(ValueError, match="a range needs an end"):
        list(parts(answering(1)[0], start, end, step))


@hypothesis.given(
    count=st.integers(1, 3000),
    step=st.sampled_from([0.5, 1.0, 15.0, 3600.0]),
    series=st.integers(1, 4),
    bears=st.integers(4, 2000),
    expected=st.integers(0, 100_000),
)
def test_each_step_once_and_in_order(count: int, step: float, series: int, bears: int, expected: int) -> None:
    ask, _ = answering(step, series=series, bears=bears)
    found = list(parts(ask, START, START + (count - 1) * step, step, expected))

    assert moments(found) == [START + index * step for index in range(count)]
    assert [(part.start, part.end) for part in found] == [
        (part.series[0].values[0][0], part.series[0].values[-1][0]) for part in found
    ]


def test_sizes_follow_the_number_of_series() -> None:
    ask, sizes = answering(15, series=2000)
    list(parts(ask, START, START + 15 * 999, 15))
    # The first ones suppose 1,000 series; those after them fit the points that were meant.
    assert sizes[:2] == [POINTS // 1000] * 2
    assert set(sizes[2:-1]) == {POINTS // 2000}
    assert sum(sizes) == 1000

    ask, sizes = answering(15)
    list(parts(ask, START, START + 15 * 30_000, 15, series=1))
    assert sizes == [STEPS, STEPS, 30_001 - 2 * STEPS]


def test_what_was_too_much_is_not_tried_again() -> None:
    ask, sizes = answering(15, bears=100)
    list(parts(ask, START, START + 15 * 1999, 15))
    refused = [size for size in sizes if size > 100]
    assert len(refused) <= 2 * AHEAD  # 200 and its like, which were under way
    assert sum(size for size in sizes if size <= 100) == 2000


def test_a_step_that_is_too_much_is_an_error() -> None:
    for kind in (TooMuch, TooLarge):

        def ask(start: float, end: float, kind: type[Exception] = kind) -> list[Series]:
            raise kind("no")

        with pytest.raises(kind, match="no"):
            list(parts(ask, START, START + 100, 1))


def test_only_some_are_asked_for_ahead() -> None:
    ask, sizes = answering(1, series=1)
    found = parts(ask, START, START + 10 * STEPS, 1, series=1)
    for taken in range(1, 5):
        next(found)
        assert len(sizes) <= taken + AHEAD - 1
    found.close()


def _blocking(begun: threading.Event, ended: list[str]) -> ranges.Ask:
    def ask(start: float, end: float) -> list[Series]:
        if start == START:
            return []
        begun.set()
        try:
            sleep(60)
        except Cancelled:
            ended.append("cancelled")
            raise
        return []

    return ask


def _ended(ended: list[str]) -> bool:
    for _ in range(200):
        if ended:
            return True
        threading.Event().wait(0.02)
    return False


def test_who_stops_early_leaves_no_request_behind() -> None:
    begun, ended = threading.Event(), list[str]()
    found = parts(_blocking(begun, ended), START, START + 10 * STEPS, 1, series=1)
    next(found)
    assert begun.wait(10)
    found.close()
    assert _ended(ended)


def test_work_that_is_cancelled_cancels_its_parts() -> None:
    begun, ended = threading.Event(), list[str]()
    outer = CancelScope()

    def run() -> None:
        with outer.active():
            list(parts(_blocking(begun, ended), START, START + 10 * STEPS, 1, series=1))

    raised: list[BaseException] = []

    def guarded() -> None:
        with pytest.raises(Cancelled) as caught:
            run()
        raised.append(caught.value)

    thread = threading.Thread(target=guarded)
    thread.start()
    assert begun.wait(10)
    outer.cancel()
    assert _ended(ended)
    thread.join(10)
    assert len(raised) == 1


def test_other_errors_end_it() -> None:
    class Gone(Exception):
        pass

    asked = 0

    def ask(start: float, end: float) -> list[Series]:
        nonlocal asked
        check()
        asked += 1
        if asked > 3:
            raise Gone
        return []

    with pytest.raises(Gone):
        list(parts(ask, START, START + 100 * STEPS, 1, series=1))
    assert asked <= 3 + AHEAD
