"""Concurrent calls that do not affect each other, neither by errors nor by taking long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from . import cancel
from .cancel import CancelScope
from .errors import TimedOut, VmetricsError

T = TypeVar("T")

MANY = 4
"""So many times the usual number of threads run where calls are slow: each of those has another beside it."""
SLOW = 3.0
"""So many times as long as the others a call may take."""


def gather(
    calls: Sequence[Callable[[], T]],
    *,
    limit: int = 16,
    done: Callable[[], None] | None = None,
    patience: float | None = None,
) -> list[T | VmetricsError]:
    """Run calls at once, at most `limit` of them, and return what each returned or the error it raised, in order.

    The threads are daemons: Ctrl-C ends the program at once, whatever a server does or does not answer.

    Args:
        calls: what to run.
        limit: calls at once; slow ones apart, where there is patience.
        done: called after each call, from one thread at a time.
        patience: seconds after which a call is slow: others start beside it, and once one of them is over, it is
            cancelled and counts as TimedOut, unless all take as long; None to wait for each to its end.

    Raises:
        NoThread: no thread can be started.
    """
    if len(calls) == 1:
        try:
            return [calls[0]()]
        except VmetricsError as error:
            return [error]
    return _Gathering(calls, limit, done, patience).results()


class NoThread(VmetricsError):
    """The system does not allow this process to start a thread."""

    def __init__(self) -> None:
        super().__init__(
            "cannot start a thread: process limit reached",
            hint="see ulimit -u or the container's pids limit",
        )


def start(target: Callable[[], None], name: str | None = None) -> threading.Thread:
    """A thread that runs, a daemon. Raises NoThread."""
    thread = threading.Thread(target=target, daemon=True, name=name)
    try:
        thread.start()
    except RuntimeError:  # "can't start new thread"
        raise NoThread from None
    return thread


def afford(count: int) -> None:
    """See that so many more threads can run: a library that starts them half-way through may hang where they cannot.

    Raises:
        NoThread: they cannot.
    """
    over = threading.Event()
    started: list[threading.Thread] = []

    def wait() -> None:
        over.wait()

    try:
        for _ in range(count):
            started += [start(wait)]
    finally:
        over.set()
        for thread in started:
            thread.join()


class _Call(Generic[T]):
    """One of them.

    Attributes:
        scope: what it belongs to.
        result: what came of it; None while it runs.
        began, ended: on time.monotonic's clock; 0 for not yet.
    """

    def __init__(self, run: Callable[[], T], scope: CancelScope) -> None:
        self.run = run
        self.scope = scope
        self.result: T | BaseException | None = None
        self.began = self.ended = 0.0

    def perform(self) -> T | BaseException:
        with self.scope.active():
            try:
                return self.run()
            except BaseException as error:  # handed to the caller of gather
                return error


class _Gathering(Generic[T]):
    def __init__(
        self,
        calls: Sequence[Callable[[], T]],
        limit: int,
        done: Callable[[], None] | None,
        patience: float | None,
    ) -> None:
        # What this is a part of may be cancelled as a whole; a call that may be given up has a scope of its own.
        whole = cancel.current() if patience is None else None
        self._calls = [_Call(call, whole or CancelScope()) for call in calls]
        self._waiting = iter(self._calls)
        self._limit = limit
        self._done = done
        self._patience = patience
        self._changed = threading.Condition()
        self._threads = 0
        self._over = 0

    def results(self) -> list[T | VmetricsError]:
        for _ in range(min(self._limit, len(self._calls))):
            if not self._more():
                break
        with self._changed:
            while self._over < len(self._calls):
                self._changed.wait(None if self._patience is None else 0.1)
                if self._patience is not None:
                    self._hurry(self._patience)
        kept: list[T | VmetricsError] = []
        for call in self._calls:
            if isinstance(call.result, BaseException) and not isinstance(call.result, VmetricsError):
                raise call.result
            kept.append(call.result)  # type: ignore[arg-type]
        return kept

    def _more(self) -> bool:
        """Start another thread; False where there can be no more of them. Raises NoThread without any."""
        try:
            start(self._work)
        except NoThread:
            if not self._threads:
                raise
            return False
        self._threads += 1
        return True

    def _work(self) -> None:
        while True:
            with self._changed:
                call = next(self._waiting, None)
                if call is None:
                    return
                call.began = time.monotonic()
            result = call.perform()
            with self._changed:
                if not call.ended:  # else nobody waits for it any more
                    self._end(call, result)

    def _end(self, call: _Call[T], result: T | BaseException) -> None:
        call.result = result
        call.ended = time.monotonic()
        self._over += 1
        if self._done:
            self._done()
        self._changed.notify()

    def _hurry(self, patience: float) -> None:
        now = time.monotonic()
        slow = [call for call in self._calls if call.began and not call.ended and now - call.began > patience]
        usual = [call.ended - call.began for call in self._calls if call.ended and not call.scope.cancelled]
        if usual:
            allowed = max(patience, SLOW * sorted(usual)[len(usual) // 2])
            for call in slow:
                if now - call.began > allowed:
                    given_up = f"no answer within {allowed:.1f} seconds, while others answered"
                    self._end(call, TimedOut(given_up, hint="specify only this one to give it more time"))
                    call.scope.cancel()
        # Whose call was given up may hang all the same, for instance where a connection is made.
        while self._threads < min(self._limit + len(slow), MANY * self._limit, len(self._calls)) and self._more():
            pass
