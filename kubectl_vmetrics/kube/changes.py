"""Whether files changed: tokens, certificates and authorities are replaced while a process lives."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

EVERY = 1.0
"""Seconds after which files are looked at again."""

_Seen = tuple[tuple[int, int, int] | None, ...]


class Changes:
    """Whether files changed since they were last read. Checks the file system at intervals.

    Args:
        paths: of the files.
        clock: seconds.
    """

    def __init__(self, *paths: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._paths = paths
        self._clock = clock
        self._asked = clock()
        self._seen = self._state()

    def __call__(self) -> bool:
        """True once for each change."""
        if self._clock() - self._asked < EVERY:
            return False
        self._asked = self._clock()
        before, self._seen = self._seen, self._state()
        return before != self._seen

    def _state(self) -> _Seen:
        found: list[tuple[int, int, int] | None] = []
        for path in self._paths:
            try:
                status = os.stat(path)  # noqa: PTH116 (links are followed: a Secret's volume changes where they lead)
                found.append((status.st_mtime_ns, status.st_ino, status.st_size))
            except OSError:
                found.append(None)
        return tuple(found)
