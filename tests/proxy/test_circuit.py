"""Circuits of nodes, with a clock that is moved by hand."""

from __future__ import annotations

import pytest

from kubectl_vmetrics.proxy import circuit
from kubectl_vmetrics.proxy.circuit import FAILURES, FIRST_PAUSE, LONGEST_PAUSE, PROBES, Circuits, Open, Passage


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def circuits(clock: Clock) -> Circuits:
    return Circuits(clock)


def fail(circuits: Circuits, key: str = "a", times: int = FAILURES) -> None:
    for _ in range(times):
        circuits.enter(key).failed()


def refused(circuits: Circuits, key: str = "a") -> float | None:
    """Seconds to wait; None where it passes."""
    try:
        circuits.enter(key).abandoned()
    except Open as error:
        return error.seconds
    return None


def test_it_opens_after_failures_in_a_row(circuits: Circuits, clock: Clock) -> None:
    fail(circuits, times=FAILURES - 1)
    assert refused(circuits) is None
    circuits.enter("a").succeeded()
    fail(circuits, times=FAILURES - 1)
    assert refused(circuits) is None  # not in a row
    fail(circuits, times=1)

    assert refused(circuits) == FIRST_PAUSE
    assert (circuits.opened, circuits.refused, circuits.open_now()) == (1, 1, 1)
    assert refused(circuits, "b") is None  # other nodes are not concerned
    clock.now += 2
    assert refused(circuits) == FIRST_PAUSE - 2


def test_one_request_tries_after_the_pause(circuits: Circuits, clock: Clock) -> None:
    fail(circuits)
    clock.now += FIRST_PAUSE
    probe = circuits.enter("a")
    assert refused(circuits) == 1.0  # the others still wait
    probe.succeeded()
    assert refused(circuits) is None
    assert circuits.open_now() == 0


def test_each_pause_is_longer_up_to_a_limit(circuits: Circuits, clock: Clock) -> None:
    fail(circuits)
    pauses = []
    for _ in range(6):
        pauses.append(refused(circuits))
        clock.now += pauses[-1] or 0
        circuits.enter("a").failed()
    assert pauses == [5.0, 10.0, 20.0, 40.0, LONGEST_PAUSE, LONGEST_PAUSE]
    assert circuits.opened == 1


def test_a_probe_that_is_abandoned_lets_the_next_one_try(circuits: Circuits, clock: Clock) -> None:
    fail(circuits)
    clock.now += FIRST_PAUSE
    circuits.enter("a").abandoned()
    circuits.enter("a").succeeded()
    assert circuits.open_now() == 0


def test_the_first_outcome_counts(circuits: Circuits) -> None:
    for first in (Passage.abandoned, Passage.succeeded, Passage.failed):
        for _ in range(FAILURES):
            passage = circuits.enter("a")
            first(passage)
            passage.failed()
            passage.abandoned()
    assert circuits.opened == 1
    assert refused(circuits) == FIRST_PAUSE


def test_what_failed_for_the_impatient_may_succeed_for_others_once(circuits: Circuits, clock: Clock) -> None:
    for _ in range(FAILURES * 2):
        passage = circuits.enter("a")
        passage.failed()
        passage.succeeded()
    assert circuits.opened == 0
    fail(circuits)
    passage.succeeded()  # old news by now
    assert refused(circuits) == FIRST_PAUSE

    clock.now += FIRST_PAUSE
    probe = circuits.enter("a")
    probe.failed()
    probe.succeeded()
    assert refused(circuits) is None
    assert circuits.open_now() == 0
    # Its turn to try was given back once.
    for key in "bcdef"[:PROBES]:
        fail(circuits, key)
    clock.now += FIRST_PAUSE
    assert [circuits.enter(key) for key in "bcdef"[:PROBES]]
    fail(circuits, "g")
    clock.now += FIRST_PAUSE
    assert refused(circuits, "g") == 1.0


def test_late_failures_do_not_make_it_longer_and_a_late_success_closes(circuits: Circuits, clock: Clock) -> None:
    late = [circuits.enter("a") for _ in range(3)]
    fail(circuits)
    clock.now += 3
    late[0].failed()
    assert refused(circuits) == FIRST_PAUSE - 3
    late[1].succeeded()
    assert refused(circuits) is None


def test_few_try_at_once_whatever_the_number_of_nodes(circuits: Circuits, clock: Clock) -> None:
    nodes = [f"n{number}" for number in range(PROBES * 5)]
    for node in nodes:
        fail(circuits, node)
    clock.now += FIRST_PAUSE
    probes = []
    for node in nodes:
        try:
            probes.append(circuits.enter(node))
        except Open:
            continue
    assert len(probes) == PROBES
    probes[0].failed()
    assert refused(circuits, nodes[-1]) is None


def test_what_is_remembered_is_bounded(circuits: Circuits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit, "MOST", 10)
    for number in range(50):
        circuits.enter(f"ok{number}").succeeded()
        circuits.enter(f"bad{number}").failed()
    assert len(circuits._states) == 10
