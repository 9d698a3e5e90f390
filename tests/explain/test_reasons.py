"""Why sources differ: each sentence on made-up readings whose reason is known."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_vmetrics.explain.readings import CADVISOR, METRICS_API, SUMMARY, Amounts, Reading
from kubectl_vmetrics.explain.reasons import Clock, explain
from kubectl_vmetrics.metrics.requests import Reserved

MIB, CORE = 1 << 20, 1_000_000_000
PLENTY = Reserved({"cpu": 10 * CORE, "memory": 10_000 * MIB}, {})


def reading(source: str, cpu: float | None, memory: int, *, rss: int | None = None, **more: Any) -> Reading:
    used = Amounts(None if cpu is None else int(cpu * CORE), memory * MIB, None if rss is None else rss * MIB)
    return Reading(source, {"main": used}, **{"at": 990.0, **more})


def notes(
    *readings: Reading, reserved: Reserved | None = PLENTY, running: dict[str, float | None] | None = None
) -> list[str]:
    return explain(readings, reserved, Clock(1000.0, {"main": 0.0} if running is None else running))


def test_nothing_is_said_of_what_agrees() -> None:
    assert notes(reading(METRICS_API, 1.0, 100, window=15.0), reading(SUMMARY, 1.05, 103, rss=99)) == []


def test_windows() -> None:
    found = notes(reading(METRICS_API, 1.0, 100, window=15.3), reading(SUMMARY, 1.5, 100, at=998.0))
    assert found == [
        "CPU: metrics.k8s.io averages over 15.3s, 10s ago; stats/summary averages over its own window, 2s ago: "
        "usage changes from one window to the next"
    ]


def test_moments_of_memory() -> None:
    found = notes(reading(METRICS_API, 1.0, 100), reading(CADVISOR, None, 150, at=975.0))
    assert found == ["memory: metrics.k8s.io and metrics/cadvisor both report the working set, measured 15s apart"]


def test_the_working_set_and_rss() -> None:
    assert notes(reading(SUMMARY, 1.0, 100, rss=40)) == [
        "the working set is more than RSS: file cache in use and kernel memory; limits and evictions go by the "
        "working set"
    ]


def test_old_numbers() -> None:
    assert notes(reading(METRICS_API, 1.0, 100, at=700.0)) == [
        "metrics.k8s.io was last measured 5m ago: its numbers are old"
    ]


def test_a_container_that_is_not_reported() -> None:
    running = {"main": 0.0, "new": 992.0, "dead": None}
    assert notes(reading(METRICS_API, 1.0, 100), running=running) == [
        "metrics.k8s.io does not report container dead: the container is not running",
        "metrics.k8s.io does not report container new: the container started 8s ago",
    ]


@pytest.mark.parametrize(
    ("reserved", "found"),
    [
        (
            Reserved({"cpu": CORE // 2, "memory": 200 * MIB}, {}),
            ["CPU is at 200% of the request (metrics.k8s.io): more than that is not guaranteed"],
        ),
        (
            Reserved({"cpu": CORE, "memory": 50 * MIB}, {}),
            ["memory is at 200% of the request (metrics.k8s.io): the pod is evicted early if the node runs out"],
        ),
        (
            Reserved({"cpu": CORE, "memory": 200 * MIB}, {"cpu": CORE, "memory": 105 * MIB}),
            [
                "CPU is at 100% of the limit (metrics.k8s.io): it is throttled at the limit",
                "memory is at 95% of the limit (metrics.k8s.io): a container that exceeds its limit is killed",
            ],
        ),
        (
            Reserved({}, {}),
            [
                "CPU has no request: the scheduler reserves nothing for the pod",
                "memory has no request: the scheduler reserves nothing for the pod",
            ],
        ),
        (None, []),
    ],
)
def test_requests_and_limits(reserved: Reserved | None, found: list[str]) -> None:
    assert notes(reading(METRICS_API, 1.0, 100), reserved=reserved) == found


def test_without_any_reading() -> None:
    assert notes(Reading(METRICS_API, {}, missing="forbidden"), reserved=Reserved({}, {})) == []
