"""For which share of a step there was data at all."""

from __future__ import annotations

from kubectl_vmetrics.prometheus.api import Prometheus

from .grid import Grid, collect
from .queries import Query, duration
from .window import Window

_AT_A_TIME = 600.0
"""Seconds in which samples are counted to find out how far apart they are."""
_PROBES = 16
"""Moments of a window at which they are counted."""
_MANY, _EXCEPTIONS = 8, 2
"""With so many moments, the few that have the fewest samples may lie at a gap."""
_USUAL = 60.0
_NEAREST, _FARTHEST = 5.0, 300.0
_PARTS = 120
"""Into so many parts a step is divided at most."""


class Coverage:
    """Coverage by sources. A source is known by its witness: series, few of them, that exist whenever it is scraped.

    Args:
        server: the Prometheus.
        window: what is asked about.
    """

    def __init__(self, server: Prometheus, window: Window) -> None:
        self._server = server
        self._window = window
        self._intervals: dict[str, float | None] = {}

    def interval(self, query: Query) -> float:
        """How far apart samples of a source are, in seconds; a guess where there are none."""
        return self._found(query.witness) or self._found(query.selectors[0]) or _USUAL

    def _found(self, witness: str) -> float | None:
        if witness not in self._intervals:
            start, end = self._window
            apart = max(_AT_A_TIME, (end - start - _AT_A_TIME) / _PROBES)
            first = max(start, min(start + _AT_A_TIME, end))
            expression = f"max(count_over_time({witness}[{duration(_AT_A_TIME)}]))"
            found = [
                float(text)
                for part in self._server.parts(expression, end - (end - first) // apart * apart, end, apart, series=1)
                for series in part.series
                for _, text in series.values
            ]
            counts = sorted(count for count in found if count > 0)
            # Where old samples are further apart than new ones, as after downsampling, those count; a gap must not.
            count = counts[_EXCEPTIONS if len(counts) >= _MANY else len(counts) // 2] if counts else 0.0
            self._intervals[witness] = min(max(_AT_A_TIME / count, _NEAREST), _FARTHEST) if count else None
        return self._intervals[witness]

    def shares(self, grid: Grid, witness: str, *, otherwise: bool) -> list[float]:
        """For which share of each step of a grid the source was scraped.

        Args:
            grid: the steps.
            witness: its selector.
            otherwise: what to say where the source has no witness.
        """
        interval = self._found(witness)
        if interval is None:
            return [float(otherwise)] * grid.steps
        part = min(max(interval, grid.step / _PARTS), grid.step)
        # Two scrapes may be a little further apart than usual.
        fresh = max(1.5 * interval, part)
        seen = f"max(present_over_time({witness}[{duration(fresh)}]))"
        if part >= grid.step:
            expression, whole = seen, 1.0
        else:
            expression = f"count_over_time({seen}[{duration(grid.step)}:{duration(part)}])"
            whole = max(1.0, grid.step // part)
        found = collect(self._server, expression, (), grid)
        values = next(iter(found.values()), None)
        if values is None:
            return [0.0] * grid.steps
        return [min(1.0, value / whole) if value == value else 0.0 for value in values[1:]]  # noqa: PLR0124
