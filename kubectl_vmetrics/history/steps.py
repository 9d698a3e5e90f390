"""Amounts per step: what was used and held in each, of everything, by host names.

Every amount is an integral over the step (core-seconds, byte-seconds) or what a counter grew by in it. So steps add up,
and the mean of a step is its amount by its length. Memory is bounded: steps are read some at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from kubectl_vmetrics.prometheus.api import Prometheus

from . import jobs as jobs_
from .grid import grids
from .jobs import Jobs
from .queries import Metric
from .reader import Reader
from .step import Container, Step
from .window import Window

__all__ = ["Container", "Metric", "Step", "read"]


def read(
    server: Prometheus,
    window: Window,
    step: float,
    metrics: Sequence[Metric],
    *,
    containers: bool = True,
    jobs: Jobs | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Step]:
    """The steps of a window, in order of time.

    Args:
        server: the Prometheus.
        window: from when to when.
        step: seconds of each step; the last may be shorter.
        metrics: which to read.
        containers: whether CPU is by container; else by pod alone, which costs half.
        jobs: whose series count; those of Names, or None to find out.
        progress: called with how many steps are read, of how many.

    Raises:
        VmetricsError: the server cannot be asked, or refuses; what was yielded before is right.
    """
    reader = Reader(server, window, metrics, jobs or jobs_.read(server, window), containers=containers)
    total = -int(-(window.seconds - 1e-3) // step)
    done = 0
    for grid in grids(window, step, reader.most()):
        columns, present = reader.read(grid)
        for k in range(grid.steps):
            amounts = {
                metric: {key: numbers[k] for key, numbers in found.items() if numbers[k]}
                for metric, found in columns.items()
            }
            shares = {metric: values[k] for metric, values in present.items()}
            yield Step(grid.time(k), grid.time(k + 1), amounts, shares, reader.brief.get(k + 1, ()))
        done += grid.steps
        if progress is not None:
            progress(done, max(total, done))
