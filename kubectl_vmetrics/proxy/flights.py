"""Single flight: identical requests that arrive within a few seconds share one response.

The first request opens a flight: a thread reads the response as fast as it arrives and keeps it. Requests that follow
within AGE seconds join, replay what has arrived, and follow. N tenants' scrapes of a node cost its kubelet one request.

Memory is bounded. A response that exceeds its share of the budget, or for which there is no room, is streamed through
a small window: no more requests join it, and it is read only as fast as its readers read. A slow reader cannot delay
the others for long, and a slow reader of an old response is cut off if its memory is needed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic

from .flight import Flight, Interrupted, Reader, S

AGE = 5.0
"""Seconds for which a response is shared, from when it was requested. Scrape intervals are longer, so no scraper gets
the same response twice, and kubelets measure containers only about every ten seconds."""
LINGER = 10.0
"""Seconds for which it is kept after that, for requests that arrived in time but had to queue."""
BUDGET = 32 << 20
"""Bytes of responses in memory; compressed, they are 1 to 2 MiB for a node with 250 pods."""
WINDOW = 1 << 18
"""Bytes that are kept of a response that is too large to share."""
LAG = 2.0
"""Seconds after which a reader of such a response that does not advance may no longer delay the others."""
PATIENCE = 5.0
"""Seconds for which such a reader may delay the others in total, although it advances."""
MOST = 128
"""Maximum number of responses read at the same time; each takes a thread."""
STEP = 1 << 18
"""Maximum number of bytes per read."""


class Full(Exception):
    """Too many responses are being read."""


class Flights(Generic[S]):
    """All flights. Safe to use from several threads.

    Args:
        clock: seconds, for ages and deadlines.
        age: see AGE.
        linger: see LINGER.
        budget: see BUDGET; one response may use a quarter of it.
        window: see WINDOW.
        lag: see LAG.
        patience: see PATIENCE.
        most: see MOST.

    Attributes:
        asked: number of requests sent.
        shared: number of readers that joined one instead.
        cut: number of readers cut off because they were too slow.
        kept: bytes in memory.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        age: float = AGE,
        linger: float = LINGER,
        budget: int = BUDGET,
        window: int = WINDOW,
        lag: float = LAG,
        patience: float = PATIENCE,
        most: int = MOST,
    ) -> None:
        self.clock = clock
        self.asked = self.shared = self.cut = self.kept = 0
        self._age, self._linger = age, linger
        self._budget, self._share, self._window = budget, budget // 4, window
        self._lag, self._patience = lag, patience
        self._most, self._coming = most, 0
        self._lock = threading.Lock()
        self._open: dict[Hashable, Flight[S]] = {}  # can be joined, oldest first
        self._shut: dict[Flight[S], None] = {}  # still read, but cannot be joined

    def join(self, key: Hashable, source: Callable[[], S], since: float | None = None) -> Reader[S]:
        """Return a reader, which the caller must leave.

        Args:
            key: identifies the request.
            source: makes the request if a new one is needed. Must not block; its exceptions are raised.
            since: when the client asked, on the clock; None for now. A response that was fresh then is used.

        Raises:
            Full: a new request is needed, and there are too many.
        """
        with self._lock:
            self._sweep()
            flight = self._open.get(key)
            if flight and (self.clock() if since is None else since) - flight.opened <= self._age:
                self.shared += 1
            else:
                if self._coming >= self._most:
                    raise Full
                if flight:
                    self._close(flight)
                flight = self._begin(key, source())
            reader = Reader(self, flight)
            flight.readers.add(reader)
            return reader

    def sweep(self) -> None:
        """Discard what is too old. To be called now and then."""
        with self._lock:
            self._sweep()

    # -------------------------------------------------------------------------------------------------- the readers

    def was_read(self, flight: Flight[S]) -> None:
        """See flight.Keeper."""
        if flight in self._shut:
            self.kept -= flight.drop()
            flight.changed.notify_all()

    def spoil(self, flight: Flight[S]) -> None:
        """See flight.Keeper."""
        with self._lock:
            if self._open.get(flight.key) is flight:
                self._close(flight)

    def left(self, flight: Flight[S], reader: Reader[S]) -> bool:
        """See flight.Keeper."""
        with self._lock:
            if reader not in flight.readers:
                return False
            flight.readers.remove(reader)
            if flight.readers:
                self.was_read(flight)
                return False
            if not flight.ended:
                flight.abandoned = True
                self._close(flight)
                flight.source.cancel()
            elif flight in self._shut:
                self._forget(flight)
            flight.changed.notify_all()
            return True

    # --------------------------------------------------------------------------------------------------- the thread

    def _begin(self, key: Hashable, source: S) -> Flight[S]:
        flight = Flight(key, source, self.clock(), self._lock)
        try:
            threading.Thread(target=self._run, args=(flight,), daemon=True, name="flight").start()
        except RuntimeError:  # the limit on threads is reached
            source.cancel()
            raise Full from None
        self._open[key] = flight
        self.asked += 1
        self._coming += 1
        return flight

    def _run(self, flight: Flight[S]) -> None:
        source = flight.source
        error: BaseException | None = None
        try:
            source.open()
            with flight.changed:
                flight.begun = True
                if not source.good:
                    self._close(flight)
                flight.changed.notify_all()
            while data := source.read(STEP):
                self._took(flight, data)
        except BaseException as failure:
            error = failure
        with flight.changed:
            flight.ended, flight.error = True, error
            self._coming -= 1
            if error is not None:
                self._close(flight)
            flight.changed.notify_all()
        source.close()

    def _took(self, flight: Flight[S], data: bytes) -> None:
        """Keep a piece, and wait until there is room for the next. Raises Interrupted if every reader has left."""
        with flight.changed:
            if not flight.abandoned:
                flight.add(data)
                self.kept += len(data)
                if not flight.windowed and (flight.kept > self._share or not self._room()):
                    flight.windowed = True
                    self._close(flight)
            since = self.clock()
            while flight.windowed and not flight.abandoned:
                self.kept -= flight.drop()
                if flight.kept <= self._window:
                    return
                self._wait_for_readers(flight, since)
            if flight.abandoned:
                raise Interrupted

    def _wait_for_readers(self, flight: Flight[S], since: float) -> None:
        """Wait until a reader advances. Cut off the slowest if others have waited for it too long."""
        readers = [reader for reader in flight.readers if not reader.cut]
        behind = [reader for reader in readers if reader.count < flight.size]
        if len(behind) == len(readers):
            flight.changed.wait()
            return
        slowest = min(behind, key=lambda reader: reader.part)
        began = self.clock()
        left = min(max(since, slowest.advanced) + self._lag - began, self._patience - slowest.delayed)
        if left > 0:
            flight.changed.wait(left)
            slowest.delayed += self.clock() - began
        else:
            self._cut(flight, slowest)

    # --------------------------------------------------------------------------------------------------- the memory

    def _room(self) -> bool:
        """Make room. Returns False if everything in memory is still needed."""
        now = self.clock()
        for flight in [*self._open.values()]:
            if self.kept > self._budget and flight.ended and not flight.readers:
                self._close(flight)
        for flight in [*self._shut, *self._open.values()]:
            if self.kept > self._budget and flight.ended and now - flight.opened > self._age:
                for reader in flight.readers:
                    self._cut(flight, reader)
                self._close(flight)
                self._forget(flight)
        return self.kept <= self._budget

    def _cut(self, flight: Flight[S], reader: Reader[S]) -> None:
        if not reader.cut and reader.count < flight.size:
            reader.cut = True
            self.cut += 1
            flight.changed.notify_all()

    def _sweep(self) -> None:
        now = self.clock()
        for flight in [*self._open.values()]:
            if flight.ended and now - flight.opened > self._age + self._linger:
                self._close(flight)

    def _close(self, flight: Flight[S]) -> None:
        """Do not let new readers join, and keep only what the present ones have not read."""
        if self._open.get(flight.key) is flight:
            del self._open[flight.key]
        if flight.readers:
            self._shut[flight] = None
            self.kept -= flight.drop()
        else:
            self._forget(flight)

    def _forget(self, flight: Flight[S]) -> None:
        self._shut.pop(flight, None)
        self.kept -= flight.drop(unread=True)
