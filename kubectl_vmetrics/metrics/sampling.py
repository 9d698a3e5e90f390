"""Repeated snapshots of several processes, each with an earlier one."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from kubectl_vmetrics.kube.errors import VmetricsError

from .snapshot import Pair, Snapshot

WINDOW = 60.0
"""Seconds over which rates are averaged at most, if samples are taken repeatedly."""

Key = TypeVar("Key")
Progress = Callable[[int, int], None]


def pause(seconds: float, progress: Progress | None = None) -> None:
    """Wait, and tell each second how many are over, of how many."""
    if seconds <= 0:
        return
    total = max(1, round(seconds))
    for second in range(total):
        if progress:
            progress(second, total)
        time.sleep(seconds / total)
    if progress:
        progress(total, total)


class Sampler(Generic[Key]):
    """Takes two samples at first, and then one whenever it is asked.

    Args:
        apart: seconds between the first two.
        progress: told how many seconds of waiting are over, of how many.
    """

    def __init__(self, apart: float, progress: Progress | None = None) -> None:
        self._apart = apart
        self._progress = progress
        self._earlier: deque[dict[Key, Snapshot]] = deque()

    def sample(self, take: Callable[[], Mapping[Key, Snapshot | VmetricsError]]) -> dict[Key, Pair | VmetricsError]:
        """What `take` brings, each beside the earliest sample of the last minute, or why there is none."""
        if not self._earlier:
            began = time.monotonic()
            self._keep(take())
            if self._earlier[0]:  # who does not answer need not be waited for
                pause(self._apart - (time.monotonic() - began), self._progress)
        latest = take()
        found = {
            key: item if isinstance(item, VmetricsError) else self._pair(key, item) for key, item in latest.items()
        }
        self._keep(latest)
        return found

    def _pair(self, key: Key, snapshot: Snapshot) -> Pair:
        for earlier in self._earlier:
            before = earlier.get(key)
            if before is not None and 0 < snapshot.at - before.at <= WINDOW + self._apart:
                return Pair(before, snapshot)
        return Pair(None, snapshot)

    def _keep(self, taken: Mapping[Key, Snapshot | VmetricsError]) -> None:
        self._earlier.append({key: item for key, item in taken.items() if isinstance(item, Snapshot)})
        now = time.time()
        while len(self._earlier) > 1 and all(now - item.at > WINDOW for item in self._earlier[0].values()):
            self._earlier.popleft()
