"""Work on a cluster that ends early: at a deadline, or when nothing waits for it any more.

A server answers many clients, each of which may disconnect while a kubelet is silent. Code that starts such work enters
a CancelScope; every request a thread makes until it exits belongs to it (see client, transport). Another thread may
cancel it: the sockets that the work waits on are shut down, so that a blocked read returns at once.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

from .errors import ConnectionFailed, TimedOut

LARGE = 2 << 20
"""Bytes of a document; a kubelet's stats/summary has as much for some 300 pods."""

_current = threading.local()


class Cancelled(ConnectionFailed):
    """The client no longer waits for the answer."""


class Crowded(TimedOut):
    """Too many large answers at once; the server is not at fault."""


class CancelScope:
    """Some work, from its beginning to its end; its steps may run in several threads, one after another.

    Args:
        limit: seconds until its deadline; None for no deadline of its own.
        large: shared by scopes whose documents must not all be large at once: who keeps more than LARGE bytes of one
            takes it until `finish`.

    Attributes:
        began: when it was made, on time.monotonic's clock.
        deadline: on the same.
        cancelled: whether it was.
    """

    def __init__(self, limit: float | None = None, *, large: threading.Semaphore | None = None) -> None:
        self.began = time.monotonic()
        self.deadline = None if limit is None else self.began + limit
        self._large = large
        self._holds_large = False
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._calls: set[Callable[[], None]] = set()

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._over.is_set()

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Requests of this thread belong to the scope while the context lasts."""
        before = current()
        _current.scope = self
        try:
            yield
        finally:
            _current.scope = before

    def cancel(self) -> None:
        """End the work: requests that wait fail at once, further ones are not sent. Any thread may call it."""
        with self._lock:
            self._over.set()
            for waiting in self._sockets:
                # Not SSLSocket.shutdown, which would take TLS away under the thread that reads.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(waiting, socket.SHUT_RDWR)
            calls = [*self._calls]
        for call in calls:
            call()

    def tell(self, call: Callable[[], None]) -> None:
        """The work waits for something else than a socket: call this when it is cancelled. Raises Cancelled."""
        with self._lock:
            self._calls.add(call)
        self.check()

    def forget(self, call: Callable[[], None]) -> None:
        """It does not wait for that any more."""
        with self._lock:
            self._calls.discard(call)

    def watch(self, connection: socket.socket) -> None:
        """A request waits on this socket from now on. Raises Cancelled."""
        with self._lock:
            self._sockets.add(connection)
        self.check()

    def release(self, connection: socket.socket) -> None:
        """The socket is another request's from now on."""
        with self._lock:
            self._sockets.discard(connection)

    def grown(self, size: int) -> None:
        """So much is kept of a document; waits where too many are large. Raises Cancelled, Crowded."""
        if self._large is None or self._holds_large or size <= LARGE:
            return
        while not self._large.acquire(timeout=0.05):
            self.check()
            if self.deadline is not None and time.monotonic() > self.deadline:
                raise Crowded("timed out waiting for memory used by other large responses")
        self._holds_large = True

    def finish(self) -> None:
        """Nothing of a document is kept any more."""
        if self._large and self._holds_large:
            self._holds_large = False
            self._large.release()

    def check(self) -> None:
        """Raises Cancelled if the work was cancelled."""
        if self._over.is_set():
            raise Cancelled("the client disconnected")

    def wait(self, seconds: float) -> None:
        """Sleep. Raises Cancelled as soon as the work is cancelled."""
        self._over.wait(seconds)
        self.check()


def current() -> CancelScope | None:
    """The scope of this thread."""
    found: CancelScope | None = getattr(_current, "scope", None)
    return found


def check() -> None:
    """Raises Cancelled if this thread's work was cancelled."""
    if scope := current():
        scope.check()


def grown(size: int) -> None:
    """So much is kept of a document; see CancelScope."""
    if scope := current():
        scope.grown(size)


def sleep(seconds: float) -> None:
    """Sleep. Raises Cancelled as soon as the work is cancelled."""
    if scope := current():
        scope.wait(seconds)
    else:
        time.sleep(seconds)
