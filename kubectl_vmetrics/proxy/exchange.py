"""What a client asks of the proxy, and what it gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

import msgspec

JSON = "application/json"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
PHRASES = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class Request(NamedTuple):
    """A request whose head is complete.

    Attributes:
        method: GET, HEAD, …
        path: percent-encoded in one way only, so that it can be compared and logged; "" for one that is not plain.
        query: as it was sent, without "?".
        headers: by their names in lower case.
        address: of the client.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    address: str = ""


class Answer(NamedTuple):
    """What is sent.

    Attributes:
        body: all of it, or, where it is no list, its parts while they come: each `next` may wait for the host.
        retry_after: seconds after which to come back; None to say nothing of it.
    """

    status: int
    body: Iterable[bytes]
    content_type: str = JSON
    retry_after: int | None = None


class Refusal(Exception):
    """A request that is not answered, and why."""

    def __init__(self, code: int, reason: str, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.retry_after = code, reason, message, retry_after

    def answer(self) -> Answer:
        """As a metav1.Status."""
        return status(self.code, self.reason, self.message, retry_after=self.retry_after)


def status(code: int, reason: str, message: str, *, retry_after: int | None = None) -> Answer:
    """A metav1.Status of failure."""
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    return Answer(code, [msgspec.json.encode(body)], retry_after=retry_after)


def plain(path: str) -> str:
    """A path, percent-encoded in one way only; "" for one that goes up, has empty parts, or is no text.

    A part that holds a slash (%2F) is refused as well: nothing here has one in its name.
    """
    if not path.startswith("/"):
        return ""
    parts = path.split("/")[1:]
    shown = []
    for at, part in enumerate(parts):
        try:
            text = unquote_to_bytes(part).decode("utf-8")
        except UnicodeDecodeError:
            return ""
        if "/" in text or text in (".", "..") or (not text and at < len(parts) - 1):
            return ""
        # What was encoded twice stays so, and matches nothing.
        shown.append(quote(text, safe=":"))
    return "/" + "/".join(shown)
