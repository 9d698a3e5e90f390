"""Counters, differenced over steps so that the steps add up to what was counted."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Mapping
from typing import NamedTuple

from .grid import Grid, Key

_EQUAL = 0.99
"""Two jobs that scrape one kubelet have samples of different moments: a counter that falls by less was not reset."""
_FORGET = 86_400.0
"""Seconds after which a counter that is gone is forgotten."""
_REACH = 45.0
"""Seconds: where nothing is newer, a sample that old is the last one so far, and its counter goes on growing."""

Values = Mapping[Key, "array[float]"]
Ask = Callable[[], Values]


class _Seen(NamedTuple):
    """A counter where the last grid ended.

    Attributes:
        value: its last sample.
        counted: what has been counted beyond it, up to the end of the grid.
        time: the end of the last step in which it had a sample.
    """

    value: float
    counted: float
    time: float


class Counters:
    """The counters of one query, over consecutive grids.

    Between two samples a counter grows evenly. A counter that falls was reset, and grew from 0. A counter that appears
    on a target that was scraped before is that of a new container, and grew from 0 as well. On a target that was not,
    because samples begin there or a node is new to Prometheus, only what it grows by from then on counts.
    """

    def __init__(self) -> None:
        self._seen: dict[Key, _Seen] = {}
        self._targets: dict[Key, float] = {}

    def feed(
        self,
        grid: Grid,
        values: Values,
        target: int,
        *,
        times: Values | None = None,
        largest: Ask | None = None,
        smallest: Ask | None = None,
    ) -> dict[Key, array[float]]:
        """What each counter grew by in each step of a grid.

        Args:
            grid: begins where the last one ended.
            values: the last sample before each step's begin and end, and if there are `times`, one more.
            target: from which label on keys say what was scraped; what is before is the identity.
            times: when those were sampled, in seconds since the epoch; None where steps are so long that it does not
                matter.
            largest: asks for the largest sample of each step; called if a counter was reset within one.
            smallest: the same for the smallest; called if a counter of unknown age appears.

        Returns:
            The growth by identity; one number for each step.
        """
        scraped = self._scraped(grid, values, target)
        found: dict[Key, array[float]] = {}
        newest = max((at for moments in (times or {}).values() for at in moments if at == at), default=math.inf)  # noqa: PLR0124
        open_end = newest <= grid.time(grid.steps)
        ask_largest, ask_smallest = _Lazy(largest), _Lazy(smallest)
        for identity, keys in _identities(values, target).items():
            numbers, at = _merged(grid, keys, values, times)
            growth = self._grown(
                grid,
                identity,
                numbers,
                at,
                lambda k, keys=keys: ask_largest.of(keys, k, max),  # type: ignore[misc]
                lambda k, keys=keys: ask_smallest.of(keys, k, min),  # type: ignore[misc]
                lambda k, keys=keys: scraped(keys, k),  # type: ignore[misc]
                open_end=open_end,
            )
            if growth is not None:
                found[identity] = growth
        end = grid.time(grid.steps)
        for gone in [key for key, seen in self._seen.items() if seen.time < end - max(_FORGET, 2 * grid.step)]:
            del self._seen[gone]
        return found

    def _grown(
        self,
        grid: Grid,
        identity: Key,
        numbers: array[float],
        times: array[float],
        largest: Callable[[int], float],
        smallest: Callable[[int], float],
        scraped: Callable[[int], float | None],
        *,
        open_end: bool,
    ) -> array[float] | None:
        count = grid.steps
        seen = self._seen.get(identity)
        points: list[tuple[float, float]] = []
        total, last = 0.0, math.nan
        if seen is not None:
            points.append((grid.start, 0.0))
            total, last = -seen.counted, seen.value
        newest, at_newest, total_newest = (seen.value, seen.time, total) if seen else (math.nan, grid.start, 0.0)
        for k in range(1 if seen else 0, len(numbers)):
            number = numbers[k]
            if number != number:  # noqa: PLR0124 - NaN
                continue
            time = times[k]
            if last != last:  # noqa: PLR0124
                if k > count:
                    break
                before = scraped(k) if k else None
                if before is None:
                    points.append((min(time, grid.time(k)), 0.0))
                    low = smallest(k) if k else number
                    if low < number:
                        points.insert(0, (grid.time(k - 1), 0.0))
                        total = number - low
                        points[-1] = (points[-1][0], total)
                else:
                    points.append((before, 0.0))
                    total = number
                    points.append((max(time, before), total))
            else:
                if number >= last:
                    total += number - last
                elif number < last * _EQUAL:
                    total += number + _more(largest(k), last)
                else:
                    number = last
                # A sample that is read again adds nothing; one without a time is as old as its step.
                if time <= points[-1][0]:
                    time = grid.time(k) if total > points[-1][1] and k else points[-1][0]
                if time > points[-1][0]:
                    points.append((time, max(total, points[-1][1])))
            last = number
            if k <= count:
                newest, at_newest, total_newest = number, grid.time(k), total
        if not points or newest != newest:  # noqa: PLR0124
            return None
        if open_end:
            _go_on(points, grid.time(grid.steps))
        growth, reached = _differences(grid, points)
        self._seen[identity] = _Seen(newest, max(0.0, reached - total_newest), at_newest)
        return growth

    def _scraped(self, grid: Grid, values: Values, target: int) -> Callable[[list[Key], int], float | None]:
        """A function: when the targets of keys were scraped last before step k, within the grid; None for never."""
        length = grid.steps + 1
        marks: dict[Key, bytearray] = {}
        full: set[Key] = set()
        for key, numbers in values.items():
            place = key[target:]
            if place in full:
                continue
            mark = marks.setdefault(place, bytearray(length))
            for k in range(length):
                if numbers[k] == numbers[k]:
                    mark[k] = 1
            if all(mark):
                full.add(place)
        known = dict(self._targets)
        for place, mark in marks.items():
            if (last := mark.rfind(1)) >= 0:
                self._targets[place] = grid.time(last)

        def scraped(keys: list[Key], k: int) -> float | None:
            found = None
            for key in keys:
                place = key[target:]
                index = marks[place].rfind(1, 0, k)
                time = grid.time(index) if index >= 0 else known.get(place)
                if time is not None and (found is None or time > found):
                    found = max(time, grid.start)
            return found

        return scraped


def _identities(values: Values, target: int) -> dict[Key, list[Key]]:
    found: dict[Key, list[Key]] = {}
    for key in values:
        found.setdefault(key[:target], []).append(key)
    return found


def _merged(grid: Grid, keys: list[Key], values: Values, times: Values | None) -> tuple[array[float], array[float]]:
    """One counter of the same identity on several targets: the sample that has counted most."""
    numbers = array("d", values[keys[0]])
    ends = array("d", [grid.time(k) for k in range(len(numbers))])
    at = array("d", ends)
    for key in keys:
        others = values[key]
        moments = times.get(key) if times is not None else None
        for k, other in enumerate(others):
            if other == other and not other < numbers[k]:  # noqa: PLR0124
                numbers[k] = other
                at[k] = moments[k] if moments is not None and moments[k] <= ends[k] else ends[k]
    return numbers, at


class _Lazy:
    """Extremes of each step, which are asked for when they are needed."""

    def __init__(self, ask: Ask | None) -> None:
        self._ask = ask
        self._values: Values | None = None

    def of(self, keys: list[Key], k: int, choose: Callable[[list[float]], float]) -> float:
        """The extreme of a counter in a step; NaN if it is not known."""
        if self._values is None:
            self._values = self._ask() if self._ask else {}
        known = [number for key in keys if key in self._values and (number := self._values[key][k]) == number]
        return choose(known) if known else math.nan


def _more(largest: float, last: float) -> float:
    """What a counter grew by before it was reset."""
    return largest - last if largest > last else 0.0


def _go_on(points: list[tuple[float, float]], end: float) -> None:
    """Let a counter grow to the end of a grid as it did between its last samples; what follows makes up for it."""
    if len(points) < 2:
        return
    (earlier, low), (last, high) = points[-2:]
    if 0 < end - last <= _REACH and last > earlier:
        points.append((end, high + (high - low) * (end - last) / (last - earlier)))


def _differences(grid: Grid, points: list[tuple[float, float]]) -> tuple[array[float], float]:
    """The growth in each step of what rises in straight lines through points, and its value where the grid ends."""
    growth = array("d", bytes(8 * grid.steps))
    index, most = 0, len(points)
    before = math.nan
    for k in range(grid.steps + 1):
        time = grid.time(k)
        while index < most and points[index][0] <= time:
            index += 1
        if index == 0:
            value = points[0][1]
        elif index == most:
            value = points[-1][1]
        else:
            (earlier, low), (later, high) = points[index - 1], points[index]
            value = low + (high - low) * (time - earlier) / (later - earlier)
        if k:
            growth[k - 1] = max(0.0, value - before)
        before = value
    return growth, before
