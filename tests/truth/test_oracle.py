"""The oracle: what is known of the recording, and how it adds up."""

from __future__ import annotations

import math

import pytest

from tests.truth import oracle
from tests.truth.oracle import FIRST, LAST, Counter, moment

SHORT = [f"flash-{number}-x-default-x-vc1" for number in range(1, 7)]


def test_totals() -> None:
    """In CPU seconds, of all that was read: half an hour of team-a with six pods of five seconds, little of team-c."""
    seconds = {key: round(cores * (LAST - FIRST), 2) for key, cores in oracle.cpu(FIRST, LAST).items()}
    assert seconds == {("team-a", "vc1"): 232.26, ("team-c", "vc1"): 0.17}
    short = oracle.cpu(FIRST, LAST, lambda pod: pod.name if pod.name in SHORT else None)
    assert list(short) == SHORT
    assert round(sum(short.values()) * (LAST - FIRST), 2) == 30.56


def test_recreated_pods_have_two_cgroups() -> None:
    found = [pod for pod in oracle.pods() if pod.name == "burner-x-default-x-vc1"]
    assert [(pod.uid[:8], pod.cpu.born) for pod in found] == [("c18017a7", False), ("4a282aca", True)]
    start, change, end = moment("16:15:00"), moment("16:20:34"), moment("16:30:00")
    assert [round(pod.cpu.used(start, change) / (change - start), 3) for pod in found] == [0.06, 0.0]
    assert [round(pod.cpu.used(change, end) / (end - change), 3) for pod in found] == [0.0, 0.06]


@pytest.mark.parametrize(
    ("born", "time", "seconds"),
    [
        (False, 9, math.nan),
        (True, 9, 0.0),
        (False, 10, 1.0),
        (False, 15, 2.0),
        (False, 20, 3.0),
        (False, 25, 5.0),
        (False, 99, 7.0),
    ],
)
def test_counters(born: bool, time: float, seconds: float) -> None:
    assert Counter([10, 20, 30], [1.0, 3.0, 7.0], born).at(time) == pytest.approx(seconds, nan_ok=True)


def test_snapshots() -> None:
    found = oracle.snapshots()
    assert [round(item.at) for item in found] == list(range(moment("16:04:59"), moment("16:42:00"), 60))
    first = found[0]
    assert first.memory == {("team-a", "vc1"): 8828 * 1024, ("team-c", "vc1"): 468 * 1024}
    assert first.cpu == {("team-a", "vc1"): pytest.approx(0.060082565), ("team-c", "vc1"): pytest.approx(0.00007187)}
    assert first.pods == {("team-a", "vc1"): 10, ("team-c", "vc1"): 2}
    assert first.pod_memory["team-c", "vc1", "default", "web"] == 244 * 1024
    # The tables agree: one is printed a second after the other.
    for item in found:
        for tenant, memory in item.memory.items():
            listed = [used for pod, used in item.pod_memory.items() if pod[:2] == tenant]
            assert len(listed) == item.pods[tenant]
            assert sum(listed) == pytest.approx(memory, rel=0.05)
