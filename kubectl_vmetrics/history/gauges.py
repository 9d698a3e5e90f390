"""Gauges, integrated over the time for which they were there."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping
from statistics import median

from .grid import Grid, Key
from .step import Container

_WHOLE = 0.75
"""The share of the usual number of samples from which a step counts as whole where nothing is known of the next one."""

Values = Mapping[Key, "array[float]"]


def held(grid: Grid, newest: Values) -> dict[Key, array[float]]:
    """Integrals over steps that are shorter than a few samples: the last sample of each, times its length.

    Args:
        grid: the steps.
        newest: the last fresh sample before each step's begin and end, and of one step more.
    """
    gaps = _gaps(grid, newest)
    found = {}
    for key, values in newest.items():
        numbers = array("d", [value * grid.step if value == value else 0.0 for value in values[1 : grid.steps + 1]])  # noqa: PLR0124
        _fill(grid, numbers, values, gaps)
        found[key] = numbers
    return found


def integrals(grid: Grid, means: Values, counts: Values, *, unique: bool) -> dict[Key, array[float]]:
    """Integrals over steps: the mean of the samples, times how long the series was there.

    One object that has samples before and after a step was there for all of it, even if some are missing. Where it
    begins or ends, it was there for as much of the step as it has samples, compared with the others. In steps for which
    no series has any samples, it stays as it was if it is there before and after them.

    Args:
        grid: the steps.
        means: of the samples of the steps before the grid, in it, and after it.
        counts: how many samples those are.
        unique: whether a series is that of one object; else it may have been gone between two of the same name.
    """
    present = presence(grid, counts, unique=unique)
    gaps = _gaps(grid, counts)
    found = {}
    for key, values in means.items():
        shares = present.get(key)
        if shares is None:
            continue
        numbers = array("d", bytes(8 * grid.steps))
        for k, share in enumerate(shares, 1):
            if share:
                numbers[k - 1] = _known(values, k) * share * grid.step
        _fill(grid, numbers, values, gaps)
        found[key] = numbers
    return found


def _known(means: array[float], index: int) -> float:
    """The mean of a step, or if one of its samples is no number, that of the step before or after it."""
    for k in (index, index - 1, index + 1):
        if means[k] == means[k]:
            return means[k]
    return 0.0


def _fill(grid: Grid, numbers: array[float], values: array[float], gaps: list[tuple[int, int]]) -> None:
    """Amounts of steps without any samples, for a series that is there before and after them."""
    for first, last in gaps:
        before, after = values[first - 1], values[last + 1]
        if before == before and after == after:  # noqa: PLR0124 - NaN
            for k in range(first, last + 1):
                numbers[k - 1] = before * grid.step


def _gaps(grid: Grid, samples: Values) -> list[tuple[int, int]]:
    """The first and the last of consecutive steps for which there are no samples at all."""
    found: list[tuple[int, int]] = []
    for k in range(1, grid.steps + 1):
        if not any(values[k] == values[k] for values in samples.values()):
            if found and found[-1][1] == k - 1:
                found[-1] = (found[-1][0], k)
            else:
                found.append((k, k))
    return found


def presence(grid: Grid, counts: Values, *, unique: bool) -> dict[Key, array[float]]:
    """For which share of each step each series was there, by how many samples it has, as `integrals`."""
    usual = _usual(grid, counts.values())
    anyone = [any(values[k] > 0 for values in counts.values()) for k in range(grid.steps + 2)]
    found = {}
    for key, values in counts.items():
        shares = array("d", bytes(8 * grid.steps))
        for k in range(1, grid.steps + 1):
            count = values[k]
            if not count > 0:
                continue
            before, after = values[k - 1] > 0, values[k + 1] > 0
            share = 1.0 if unique and before and after else min(1.0, count / usual[k])
            if share >= _WHOLE and (before or not anyone[k - 1]) and (after or not anyone[k + 1]):
                share = 1.0
            shares[k - 1] = share
        found[key] = shares
    return found


def _usual(grid: Grid, counts: Iterable[array[float]]) -> list[float]:
    """How many samples a series has in each step that it is there for, of those that are there before and after."""
    whole: list[list[float]] = [[] for _ in range(grid.steps + 2)]
    half: list[list[float]] = [[] for _ in range(grid.steps + 2)]
    rest = [math.nan] * (grid.steps + 2)
    for values in counts:
        for k in range(1, grid.steps + 1):
            count = values[k]
            if not count > 0:
                continue
            sides = (values[k - 1] > 0) + (values[k + 1] > 0)
            if sides == 2:
                whole[k].append(count)
            elif sides == 1:
                half[k].append(count)
            if not count <= rest[k]:
                rest[k] = count
    return [
        median(whole[k]) if whole[k] else max(median(half[k]), 1.0) if half[k] else rest[k]
        for k in range(grid.steps + 2)
    ]


def brief(grid: Grid, samples: Values, most: float, *, one: bool = False) -> dict[int, set[Container]]:
    """Pods with few samples that came and went within a grid, by the last of their steps.

    Args:
        grid: the steps.
        samples: of containers, from the step before the grid to the one after it: how many there are, or what they are.
        most: up to how many are few.
        one: whether each counts as one.
    """
    counts: dict[Container, float] = {}
    last: dict[Container, int] = {}
    for key, values in samples.items():
        pod = Container(*key[:2])
        for k, value in enumerate(values):
            if value == value:  # noqa: PLR0124 - NaN
                counts[pod] = counts.get(pod, 0.0) + (1.0 if one else value)
                last[pod] = max(last.get(pod, 0), k)
                if k in (0, grid.steps + 1):
                    counts[pod] = math.inf  # it may have been there for longer
    found: dict[int, set[Container]] = {}
    for pod, count in counts.items():
        if count <= most:
            found.setdefault(last[pod], set()).add(pod)
    return found
