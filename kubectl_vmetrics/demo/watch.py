"""Watches of a cluster in which nothing changes: they are held open, and bookmarks say that they live."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from .exchange import Request

BOOKMARK = b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"1000"}}}\n'
EVERY = 15.0
"""Seconds between two bookmarks."""


def wanted(request: Request) -> bool:
    """Whether this is a watch."""
    return request.query.get("watch") in ("1", "true")


def held(request: Request, stopping: threading.Event) -> Iterator[bytes]:
    """The events of a watch, until its time is over or the server ends."""
    seconds = request.query.get("timeoutSeconds", "")
    left = float(seconds) if seconds.isdigit() else 1800.0
    yield BOOKMARK
    while left > 0 and not stopping.wait(min(EVERY, left)):
        left -= EVERY
        yield BOOKMARK
