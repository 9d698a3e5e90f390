"""Ask a demo apiserver without a socket."""

from __future__ import annotations

import io
import json
from typing import Any

from kubectl_vmetrics.demo.apiserver import Apiserver

START = 1_700_000_000.0


class Clock:
    """Seconds since the epoch, as a test sets them."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def ask(
    server: Apiserver, path: str, query: str = "", accept: str = "application/json", body: Any = None, **headers: str
) -> tuple[str, dict[str, str], bytes]:
    """Status, headers and body. Header names are those of WSGI, without HTTP_."""
    found: list[Any] = []
    data = b"" if body is None else json.dumps(body).encode()
    environ = {
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "HTTP_ACCEPT": accept,
        "REQUEST_METHOD": "GET" if body is None else "POST",
        "CONTENT_LENGTH": str(len(data)),
        "wsgi.input": io.BytesIO(data),
        **{key if key == "REQUEST_METHOD" else f"HTTP_{key}": value for key, value in headers.items()},
    }
    parts = server(environ, lambda status, fields: found.extend([status, dict(fields)]))
    return found[0], found[1], b"".join(parts)


def answer(server: Apiserver, path: str, query: str = "", **more: Any) -> Any:
    """The document of an answer that is one."""
    status, _, body = ask(server, path, query, **more)
    assert status.partition(" ")[0] in ("200", "201"), body
    return json.loads(body)


def refused(server: Apiserver, path: str, query: str = "", **more: Any) -> Any:
    """The Status of an answer that is none."""
    status, _, body = ask(server, path, query, **more)
    found = json.loads(body)
    assert status.partition(" ")[0] == str(found["code"])
    return found
