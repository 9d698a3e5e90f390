"""One response that several readers share. Each replays what has arrived and follows, at its own pace.

A reader gets the whole response or an error, never a truncated response that looks complete.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

GRAIN = 1 << 14
"""Bytes; smaller pieces are merged, because each bytes object has some overhead."""


class Source(Protocol):
    """A request and its response. One thread opens, reads and closes it."""

    @property
    def good(self) -> bool:
        """Whether new readers may join once it is open: errors are only for readers that are already waiting."""

    def open(self) -> None:
        """Send the request and wait for the head of the response. Its exceptions reach every reader."""

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`; b"" at the end. Its exceptions reach every reader."""

    def close(self) -> None:
        """Release the connection."""

    def cancel(self) -> None:
        """Interrupt `open` or `read`. Called from another thread; must not block."""


S = TypeVar("S", bound=Source)


class Late(Exception):
    """The reader's deadline has passed."""


class Interrupted(Exception):
    """The reader, or every reader, has gone."""


class Behind(Exception):
    """The reader was too slow, and what it has not read was discarded."""


class Keeper(Protocol[S]):
    """Owns flights and is notified by their readers; see flights.Flights."""

    clock: Callable[[], float]

    def was_read(self, flight: Flight[S]) -> None:
        """A reader has advanced; the lock is held."""

    def spoil(self, flight: Flight[S]) -> None:
        """No new readers may join."""

    def left(self, flight: Flight[S], reader: Reader[S]) -> bool:
        """A reader leaves. Returns whether it was the last one."""


class Flight(Generic[S]):
    """A response that is arriving or is kept in memory. Everything in it is guarded by one lock.

    Args:
        key: identifies the request.
        source: the request.
        opened: when it was sent, in seconds on the keeper's clock.
        lock: the keeper's.

    Attributes:
        readers: those that have not left.
        kept: bytes in memory.
        size: bytes received.
        begun: whether the head has arrived.
        ended: whether the source is exhausted or has failed.
        error: why it failed; None if it did not.
        abandoned: whether every reader left before the end.
        windowed: whether only a window of it is kept.
    """

    def __init__(self, key: Hashable, source: S, opened: float, lock: threading.Lock) -> None:
        self.key, self.source, self.opened = key, source, opened
        self.changed = threading.Condition(lock)
        self.readers: set[Reader[S]] = set()
        self.kept = self.size = 0
        self.begun = self.ended = self.abandoned = self.windowed = False
        self.error: BaseException | None = None
        self._parts: list[bytes] = []
        self._dropped = 0  # number of parts at the beginning that were replaced by b""

    def add(self, data: bytes) -> None:
        """Append a piece and wake the readers."""
        last = self._parts[-1] if len(self._parts) > self._dropped else None
        if last is not None and len(last) + len(data) <= GRAIN:
            self._parts[-1] = last + data
        else:
            self._parts.append(data)
        self.kept += len(data)
        self.size += len(data)
        self.changed.notify_all()

    def part(self, at: int) -> bytes:
        """One of the parts. The last one may still grow."""
        return self._parts[at]

    def drop(self, *, unread: bool = False) -> int:
        """Discard what every reader has read, or everything. Returns how many bytes that frees."""
        behind = (
            [] if unread else [reader.part for reader in self.readers if not reader.cut and reader.count < self.size]
        )
        end = min(behind, default=len(self._parts))
        before = self.kept
        for at in range(self._dropped, end):
            self.kept -= len(self._parts[at])
            self._parts[at] = b""
        self._dropped = max(self._dropped, end)
        return before - self.kept


class Reader(Generic[S]):
    """One reader of a flight. Several threads may call it, one after another.

    Args:
        keeper: owns the flight.
        flight: what to read.

    Attributes:
        part: index of the part it is reading.
        count: bytes it has read.
        advanced: when it last read, on the keeper's clock.
        delayed: seconds for which others have waited for it.
        cut: whether it was too slow.
    """

    def __init__(self, keeper: Keeper[S], flight: Flight[S]) -> None:
        self._keeper, self._flight = keeper, flight
        self.part = self.count = 0
        self.advanced = keeper.clock()
        self.delayed = 0.0
        self.cut = False
        self._offset = 0
        self._interrupted = False

    @property
    def source(self) -> S:
        """The request that is shared."""
        return self._flight.source

    @property
    def whole(self) -> bool:
        """Whether it has read the complete response."""
        flight = self._flight
        return flight.ended and flight.error is None and self.count == flight.size

    def begin(self, deadline: float | None) -> None:
        """Wait for the head of the response.

        Args:
            deadline: seconds on the keeper's clock; None to wait forever.

        Raises:
            Late: the deadline has passed.
            Interrupted: `interrupt` was called.
            Exception: whatever `Source.open` raised.
        """
        flight = self._flight
        with flight.changed:
            self._wait(lambda: flight.begun or flight.ended, deadline)
            if not flight.begun:
                self._fail()

    def read(self, size: int, deadline: float | None) -> bytes:
        """Return the next bytes.

        Args:
            size: maximum number of bytes.
            deadline: as for `begin`.

        Returns:
            b"" at the end.

        Raises:
            Late, Interrupted: as `begin`.
            Behind: this reader was cut off.
            Exception: whatever `Source.read` raised.
        """
        flight = self._flight
        with flight.changed:
            self._wait(lambda: self.cut or self.count < flight.size or flight.ended, deadline)
            if self.cut:
                raise Behind
            if self.count == flight.size:
                self._fail()
                return b""
            found = flight.part(self.part)[self._offset : self._offset + size]
            if not found:
                self.part, self._offset = self.part + 1, 0
                found = flight.part(self.part)[:size]
            self._offset += len(found)
            self.count += len(found)
            self.advanced = self._keeper.clock()
            self._keeper.was_read(flight)
            return found

    def interrupt(self) -> None:
        """Make `begin` and `read` raise Interrupted from now on. Called from another thread."""
        with self._flight.changed:
            self._interrupted = True
            self._flight.changed.notify_all()

    def spoil(self) -> None:
        """Do not let new readers join: the response turned out to be useless."""
        self._keeper.spoil(self._flight)

    def leave(self) -> bool:
        """Stop reading. Returns whether this was the last reader; idempotent."""
        return self._keeper.left(self._flight, self)

    def _wait(self, ready: Callable[[], bool], deadline: float | None) -> None:
        while not self._interrupted:
            if ready():
                return
            left = None if deadline is None else deadline - self._keeper.clock()
            if left is not None and left <= 0:
                raise Late
            self._flight.changed.wait(left)
        raise Interrupted

    def _fail(self) -> None:
        if self._flight.error is not None:
            raise self._flight.error.with_traceback(None)
