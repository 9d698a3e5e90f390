"""Watches of a cluster in which nothing changes: they are held open, and bookmarks say that they live."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator

from .exchange import Request
from .objects import Object

VERSION = "1000"
"""The resource version of everything; older ones are forgotten."""
BOOKMARK = b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"1000"}}}\n'
EVERY = 15.0
"""Seconds between two bookmarks."""


def wanted(request: Request) -> bool:
    """Whether this is a watch."""
    return request.query.get("watch") in ("1", "true")


def held(
    request: Request, stopping: threading.Event, existing: Callable[[], Iterable[Object]] = lambda: ()
) -> Iterator[bytes]:
    """The events of a watch, until its time is over or the server ends.

    Args:
        request: the watch.
        stopping: set when the server ends.
        existing: the objects; sent first if the watch starts without a version.
    """
    version = request.query.get("resourceVersion", "")
    if version.isdigit() and 0 < int(version) < int(VERSION):
        yield _expired(version)
        return
    if version in ("", "0"):
        for item in existing():
            yield json.dumps({"type": "ADDED", "object": item}).encode() + b"\n"
    seconds = request.query.get("timeoutSeconds", "")
    left = float(seconds) if seconds.isdigit() else 1800.0
    # A blank line is no event: it sends the head of the answer.
    sign = BOOKMARK if request.query.get("allowWatchBookmarks") in ("1", "true") else b"\n"
    yield sign
    while left > 0 and not stopping.wait(min(EVERY, left)):
        left -= EVERY
        yield sign


def _expired(version: str) -> bytes:
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f"too old resource version: {version} ({VERSION})",
        "reason": "Expired",
        "code": 410,
    }
    return json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"
