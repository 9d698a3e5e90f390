"""The body of an answer while it comes from the host."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from kubectl_vmetrics.kube.cancel import CancelScope
from kubectl_vmetrics.kube.errors import TimedOut, VmetricsError

from . import circuit
from .sharing import SlowReader
from .telemetry import Telemetry

FIRST = 1 << 16
"""Bytes that are read of an answer before it is decided whether it is a good one."""


class BrokenOff(VmetricsError):
    """An answer that cannot be sent to its end: the client must not take it for whole."""


class Body:
    """An answer while it comes; to be closed in any case.

    Args:
        first: its parts that are there already.
        rest: gives the others.
        scope: of the request.
        telemetry: is told how much it was.
        note: is told what broke it off.
    """

    def __init__(
        self,
        first: list[bytes],
        rest: Any,
        scope: CancelScope,
        telemetry: Telemetry,
        note: Callable[[Exception], None],
    ) -> None:
        self._first, self._rest = deque(first), rest
        self._scope = scope
        self._telemetry, self._note = telemetry, note
        self._started = time.monotonic()
        self._count = 0
        self._silence = 0.0

    def __iter__(self) -> Body:
        return self

    def __next__(self) -> bytes:
        """The next part. Raises BrokenOff."""
        started = time.monotonic()
        try:
            if self._first:
                chunk = self._first.popleft()
            else:
                with self._scope.active():
                    chunk = next(self._rest)
        except StopIteration:
            raise
        except Exception as error:
            # Not the time in which the client read, or others had their turn.
            seconds = self._silence + time.monotonic() - started
            if isinstance(error, SlowReader) or (isinstance(error, TimedOut) and seconds < circuit.FAIR):
                self._telemetry.dropped("slow-reader")
            else:
                self._note(error)
            raise BrokenOff("the response ended early") from None
        self._silence += time.monotonic() - started
        self._count += len(chunk)
        return chunk

    def close(self) -> None:
        """End it; ValueError where a thread reads it still."""
        _close(self._rest)
        self._telemetry.rewrote(self._count, time.monotonic() - self._started)


def begin(body: Any) -> tuple[list[bytes], bool]:
    """The first part of a body, and whether that is all of it: what fails so early is an answer of its own."""
    if isinstance(body, list):
        return body, True
    parts: list[bytes] = []
    size = 0
    try:
        while size < FIRST:
            chunk = next(body, None)
            if chunk is None:
                return parts, True
            parts.append(chunk)
            size += len(chunk)
    except BaseException:
        _close(body)
        raise
    return parts, False


def _close(body: Any) -> None:
    close = getattr(body, "close", None)
    if close:
        close()
