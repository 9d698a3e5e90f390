"""A server that speaks Prometheus' API, with the quirks and faults of many."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import parse_qs

Reply = tuple[int, str, "bytes | Iterable[bytes]", dict[str, str]]
"""Status, content type, body, further headers."""


class Asked(NamedTuple):
    """A request."""

    method: str
    path: str
    form: dict[str, str]
    headers: dict[str, str]


def reply(body: Any, code: int = 200, kind: str = "application/json", **headers: str) -> Reply:
    data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return code, kind, data, {name.replace("_", "-"): value for name, value in headers.items()}


def error(code: int, kind: str, text: str) -> Reply:
    return reply({"status": "error", "errorType": kind, "error": text}, code)


def half(whole: bytes) -> Reply:
    """An answer that breaks off in the middle."""

    def body() -> Iterable[bytes]:
        yield whole[: len(whole) // 2]
        raise ConnectionResetError

    return 200, "application/json", body(), {"Content-Length": str(len(whole))}


def vector(*samples: tuple[dict[str, str], float], **more: Any) -> Reply:
    result = [{"metric": labels, "value": [1764000000, str(number)]} for labels, number in samples]
    return reply({"status": "success", "data": {"resultType": "vector", "result": result}, **more})


class Quirky:
    """A WSGI application.

    Attributes:
        prefix: of the paths it knows.
        guard: whether a request is let through; 401 if not.
        queue: answers to the next requests, before any other.
        number: the value of a series at a time.
        series: how many of them each range has.
        most: samples that it bears in one query.
        asked: the requests that came.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.prefix = ""
        self.guard: Callable[[Asked], bool] = lambda _: True
        self.queue: list[Reply | Callable[[Asked], Reply]] = []
        self.number: Callable[[int, float], float] = lambda index, moment: index * 1e6 + moment % 1000
        self.series = 2
        self.most = math.inf
        self.asked: list[Asked] = []
        self.lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length).decode() if length else environ.get("QUERY_STRING", "")
        form = {key: values[-1] for key, values in parse_qs(body).items()}
        headers = {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key[:5] == "HTTP_"}
        asked = Asked(environ["REQUEST_METHOD"], environ["PATH_INFO"], form, headers)
        with self.lock:
            self.asked.append(asked)
            found = self.queue.pop(0) if self.queue else None
        found = found(asked) if callable(found) else found or self._answer(asked)
        code, kind, data, more = found
        if isinstance(data, bytes):
            more, data = {"Content-Length": str(len(data)), **more}, [data]
        start_response(f"{code} x", [("Content-Type", kind), *more.items()])
        return data

    def _answer(self, asked: Asked) -> Reply:
        if not self.guard(asked):
            return reply("Unauthorized", 401, "text/plain")
        name = asked.path.removeprefix(f"{self.prefix}/api/v1/")
        if name == asked.path:
            return reply("404 page not found", 404, "text/plain")
        if name == "query":
            return vector(({"a": "b"}, 1))
        if name == "status/buildinfo":
            return reply({"status": "success", "data": {"version": "2.42.0"}})
        if name == "status/runtimeinfo":
            return reply({"status": "success", "data": {"storageRetention": "15d"}})
        if name != "query_range":
            return reply("404 page not found", 404, "text/plain")
        start, end, step = (float(asked.form[key]) for key in ("start", "end", "step"))
        count = int((end - start) / step + 1e-6) + 1
        if count > 11_000:
            return error(400, "bad_data", "exceeded maximum resolution of 11,000 points per timeseries.")
        if count * self.series > self.most:
            return error(
                422, "execution", "query processing would load too many samples into memory in query execution"
            )
        moments = [round(start + index * step, 3) for index in range(count)]
        result = [
            {"metric": {"series": str(index)}, "values": [[at, str(self.number(index, at))] for at in moments]}
            for index in range(self.series)
        ]
        return reply({"status": "success", "data": {"resultType": "matrix", "result": result}})
