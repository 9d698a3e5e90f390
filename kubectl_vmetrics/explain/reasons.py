"""Why sources differ about a pod, and what its usage means beside its requests and limits. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kubectl_vmetrics.kube import duration
from kubectl_vmetrics.metrics.requests import Reserved

from .readings import METRICS_API, Amounts, Reading

NOTICEABLE = 0.10
"""A difference of less than this share needs no explanation."""
_LEAST_CPU, _LEAST_MEMORY = 5_000_000, 4 << 20
"""Nor does one of less than 5 millicores or 4 MiB."""
STALE = 120.0
"""Seconds after which a reading is old: metrics-server's default resolution is 15 s, of others up to a minute."""


class Clock(NamedTuple):
    """When things happened, in seconds since the epoch.

    Attributes:
        now: the present.
        running: by container, since when; None for one that is not running.
    """

    now: float
    running: dict[str, float | None]


def explain(readings: Sequence[Reading], reserved: Reserved | None, clock: Clock) -> list[str]:
    """Sentences without a full stop, the most important first.

    Args:
        readings: of all sources.
        reserved: requests and limits of the pod; None if they cannot be read.
        clock: when containers started, and the present.
    """
    there = [item for item in readings if not item.missing]
    found = [*_ages(there, clock), *_containers(there, clock)]
    if there:
        first = next((item for item in there if item.source == METRICS_API), there[0])
        for other in there:
            if other is not first:
                found += _differences(first, other, clock)
        found += _rss(there)
        if reserved is not None:
            found += _reserved(first.total, reserved, first.source)
    return found


def _ages(readings: Sequence[Reading], clock: Clock) -> Iterator[str]:
    for item in readings:
        if item.at is not None and clock.now - item.at > STALE:
            yield f"{item.source} was last measured {duration.human(clock.now - item.at)} ago: its numbers are old"


def _containers(readings: Sequence[Reading], clock: Clock) -> Iterator[str]:
    """Containers that one source has and another has not."""
    for item in readings:
        for name, started in sorted(clock.running.items()):
            if name in item.containers:
                continue
            why = "the container is not running"
            if started is not None:
                why = f"the container started {duration.human(clock.now - started)} ago"
            yield f"{item.source} does not report container {name}: {why}"


def _differences(first: Reading, other: Reading, clock: Clock) -> Iterator[str]:
    mine, yours = first.total, other.total
    if set(first.containers) != set(other.containers):
        return  # the sums are of different containers, which has been said
    if _differ(mine.cpu, yours.cpu, _LEAST_CPU):
        yield f"CPU: {_measured(first, clock)}; {_measured(other, clock)}: usage changes from one window to the next"
    if _differ(mine.memory, yours.memory, _LEAST_MEMORY):
        yield f"memory: {first.source} and {other.source} both report the working set, {_apart(first, other)}"


def _differ(mine: int | None, yours: int | None, least: int) -> bool:
    if mine is None or yours is None:
        return False
    return abs(mine - yours) > max(least, NOTICEABLE * max(mine, yours))


def _measured(item: Reading, clock: Clock) -> str:
    window = "over its own window" if item.window is None else f"over {duration.render(round(item.window, 1))}"
    ended = "" if item.at is None else f", {duration.human(clock.now - item.at)} ago"
    return f"{item.source} averages {window}{ended}"


def _apart(first: Reading, other: Reading) -> str:
    if first.at is None or other.at is None:
        return "at different times"
    seconds = abs(first.at - other.at)
    return (
        f"measured {duration.human(seconds)} apart" if seconds >= 1 else "measured at the same time; cgroups may differ"
    )


def _rss(readings: Sequence[Reading]) -> Iterator[str]:
    for item in readings:
        total = item.total
        if total.memory is None or total.rss is None or not _differ(total.memory, total.rss, _LEAST_MEMORY):
            continue
        what = (
            "file cache in use and kernel memory"
            if total.memory > total.rss
            else "the kernel counts shared pages elsewhere"
        )
        sign = "more than" if total.memory > total.rss else "less than"
        yield f"the working set is {sign} RSS: {what}; limits and evictions go by the working set"
        return


def _reserved(total: Amounts, reserved: Reserved, source: str) -> Iterator[str]:
    for used, resource, name in ((total.cpu, "cpu", "CPU"), (total.memory, "memory", "memory")):
        request, limit = reserved.requests.get(resource), reserved.limit(resource)
        if used is None:
            continue
        if limit and used > 0.9 * limit:
            what = (
                "it is throttled at the limit" if resource == "cpu" else "a container that exceeds its limit is killed"
            )
            yield f"{name} is at {used / limit:.0%} of the limit ({source}): {what}"
        elif request and used > request:
            what = (
                "more than that is not guaranteed"
                if resource == "cpu"
                else "the pod is evicted early if the node runs out"
            )
            yield f"{name} is at {used / request:.0%} of the request ({source}): {what}"
        elif not request:
            yield f"{name} has no request: the scheduler reserves nothing for the pod"
