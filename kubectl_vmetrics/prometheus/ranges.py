"""A long range, asked for in parts by time: as many steps at once as server and client bear, in order, some ahead."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator

from kubectl_vmetrics.kube import cancel, gather
from kubectl_vmetrics.kube.cancel import CancelScope
from kubectl_vmetrics.kube.errors import TooLarge, VmetricsError

from .answer import Part, Series

STEPS = 11_000
"""Prometheus refuses more of them in one query (web/api/v1/api.go)."""
POINTS = 200_000
"""So many points are asked for at once; each takes some 150 bytes once decoded."""
SERIES = 1000
"""So many series are expected where the caller does not know."""
AHEAD = 2
"""Parts that are asked for at once, the one that is waited for among them."""

Ask = Callable[[float, float], list[Series]]
"""Series from one step to another, both included, in seconds since the epoch."""


class TooMuch(VmetricsError):
    """The server refuses a query for its size, or gave up on it: fewer steps may do."""


def steps(start: float, end: float, step: float) -> int:
    """The number of steps of a range, the first and the last included. Raises ValueError where there is none."""
    if not (math.isfinite(start) and math.isfinite(end) and step >= 0.001 and end >= start):
        raise ValueError("a range needs an end that is not before its start, and a step of 1ms or more")
    return int((end - start) / step + 1e-6) + 1


def parts(ask: Ask, start: float, end: float, step: float, series: int = 0) -> Iterator[Part]:
    """Ask for a range part by part.

    Args:
        ask: asks for one part; called from several threads. Where it raises TooMuch or TooLarge, the part is halved.
        start: the first step, seconds since the epoch.
        end: no step is later.
        step: seconds.
        series: how many of them are expected; 0 where that is not known.

    Raises:
        ValueError: no range.
        TooMuch, TooLarge: a single step is too much; and whatever else `ask` raises.
    """
    count = steps(start, end, step)
    most = STEPS
    size = _fitting(series or SERIES, most)
    scope, outer = CancelScope(), cancel.current()
    if outer:
        outer.tell(scope.cancel)
    begun: deque[_Job] = deque()
    upcoming = 0

    def begin(first: int, last: int) -> _Job:
        return _Job(ask, scope, first, last, lambda index: start + index * step)

    try:
        while begun or upcoming < count:
            while len(begun) < AHEAD and upcoming < count:
                last = min(upcoming + size, count) - 1
                begun.append(begin(upcoming, last))
                upcoming = last + 1
            job = begun.popleft()
            found = job.result()
            if isinstance(found, (TooMuch, TooLarge)) and job.last > job.first:
                middle = (job.first + job.last) // 2
                most = size = min(size, middle - job.first + 1)
                begun.extendleft((begin(middle + 1, job.last), begin(job.first, middle)))
            elif isinstance(found, BaseException):
                raise found
            else:
                size = _fitting(len(found), most)
                yield Part(job.start, job.end, found)
                del found, job  # else it would stay while the next one is decoded
    finally:
        scope.cancel()
        if outer:
            outer.forget(scope.cancel)


def _fitting(series: int, most: int) -> int:
    return max(1, min(most, POINTS // max(1, series)))


class _Job:
    """A part that is being asked for."""

    def __init__(self, ask: Ask, scope: CancelScope, first: int, last: int, moment: Callable[[int], float]) -> None:
        self.first, self.last = first, last
        self.start, self.end = moment(first), moment(last)
        self._ask, self._scope = ask, scope
        self._over = threading.Event()
        self._found: list[Series] | BaseException = []
        gather.start(self._run, "prometheus range")

    def _run(self) -> None:
        with self._scope.active():
            try:
                self._found = self._ask(self.start, self.end)
            except BaseException as error:  # handed to the thread that waits
                self._found = error
        self._over.set()

    def result(self) -> list[Series] | BaseException:
        self._over.wait()
        return self._found
