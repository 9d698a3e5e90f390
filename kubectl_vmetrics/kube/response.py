"""http.client's reading of a response, with the limits it lacks: a deadline for all of it, and a maximum header size.

By default, the timeout restarts with each byte, so a server that sends one byte now and then holds a request forever,
and it skips any number of "100 Continue" and of trailers.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

HEAD = 256 << 10
"""Bytes of everything before the body, and of what belongs to chunks rather than to the content."""


class HeadTooLarge(http.client.HTTPException):
    """There is more than HEAD before the body, or between its parts; in Go's words."""

    def __init__(self) -> None:
        super().__init__(f"net/http: server response headers exceeded {HEAD} bytes; aborted")


class Response(http.client.HTTPResponse):
    """A response that must end before the deadline of its socket."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._metered = _Metered(self.fp.detach(), sock)
        self.fp = io.BufferedReader(self._metered)

    def begin(self) -> None:
        """Read the head."""
        self._metered.allowed = HEAD
        super().begin()
        self._metered.allowed = None

    def read1(self, n: int = -1) -> bytes:
        """What has come, at most `n` bytes. Raises IncompleteRead where the end comes too soon."""
        self._metered.allowed = max(n, 0) + HEAD
        found = super().read1(n)
        if not found and n and self.length:
            raise http.client.IncompleteRead(b"", self.length)
        return found


class _Metered(io.RawIOBase):
    """The bytes of a socket, with one deadline for all.

    Attributes:
        allowed: how many bytes may still be read; None for any number.
    """

    def __init__(self, raw: io.RawIOBase, stream: socket.socket) -> None:
        limit = stream.gettimeout()
        self._raw = raw
        self._stream = stream
        self._end = None if limit is None else time.monotonic() + limit
        self.allowed: int | None = HEAD

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Called by the buffer above it."""
        if self._end is not None:
            left = self._end - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._stream.settimeout(left)
        count: int | None = self._raw.readinto(buffer)
        if self.allowed is not None:
            self.allowed -= count or 0
            if self.allowed < 0:
                raise HeadTooLarge
        return count

    def close(self) -> None:
        """The socket's own file, too."""
        try:
            self._raw.close()
        finally:
            super().close()
