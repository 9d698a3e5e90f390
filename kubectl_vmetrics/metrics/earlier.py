"""Samples that were taken before, to compare the newest with: of this run, and of runs a moment ago."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Generic

from .recall import REACH, Item, Recall
from .sampling import WINDOW, Progress, pause


class Earlier(Generic[Item]):
    """The earlier samples of each thing.

    Args:
        apart: seconds between the first two samples, if no earlier run left one.
        comparable: whether a rate can be made of two samples, the earlier one first.
        recall: the samples of earlier runs; None to use none.
        progress: called with the seconds waited so far, and in total.
        enough: the share of things that must have an earlier sample, or the first sample is waited for.
    """

    def __init__(
        self,
        apart: float,
        comparable: Callable[[Item, Item], bool],
        recall: Recall[Item] | None = None,
        progress: Progress | None = None,
        enough: float = 1.0,
    ) -> None:
        self._apart = apart
        self._comparable = comparable
        self._recall = recall
        self._progress = progress
        self._enough = enough
        self._kept: dict[Any, list[Item]] = {}
        self._began = False

    def take(self, scrape: Callable[[], Mapping[Any, Item]]) -> Mapping[Any, Item]:
        """The newest samples; the first time twice, if there is nothing to compare them with."""
        if self._began:
            return scrape()
        self._began = True
        self._kept = self._recalled()
        latest = scrape()
        known = sum(any(self._comparable(old, item) for old in self.of(item)) for item in latest.values())
        # Without an earlier run, or after one that asked for other things: these are the first samples.
        if not latest or known < self._enough * len(latest):
            self._kept = {}
            self._add(latest)
            if latest:  # else nothing answered, and the next attempt comes at once
                pause(self._apart - (time.time() - max(item.at for item in latest.values())), self._progress)
            latest = scrape()
        return latest

    def of(self, item: Item) -> list[Item]:
        """The earlier samples of the same thing, the oldest first."""
        return self._kept.get(item.key, [])

    def keep(self, latest: Mapping[Any, Item]) -> None:
        """Remember these, for the next time and for the next run."""
        self._add(latest)
        if self._recall:
            self._recall.save(self._kept, time.time(), self._apart)

    def _recalled(self) -> dict[Any, list[Item]]:
        """Of what earlier runs kept, the newest that is as old as the two samples of this one are to be apart."""
        now = time.time()
        found: dict[Any, list[Item]] = {}
        for key, kept in (self._recall.load(now) if self._recall else {}).items():
            old = [item for item in kept if self._apart <= now - item.at <= self._apart + REACH]
            if old:
                found[key] = old[-1:]
        return found

    def _add(self, latest: Mapping[Any, Item]) -> None:
        """Add to those of the last minute; of each thing the newest is kept for longer, to have one to compare."""
        now = time.time()
        kept: dict[Any, list[Item]] = {}
        for key, known in self._kept.items():
            recent = [item for item in known if now - item.at <= WINDOW] or known[-1:]
            if now - recent[-1].at <= self._apart + REACH:
                kept[key] = recent
        for key, item in latest.items():
            kept.setdefault(key, []).append(item)
        self._kept = kept
