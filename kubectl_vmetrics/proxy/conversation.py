"""One request of a client, and its answer: on the event loop, but for the parts that threads make."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, RequestStartLine, ResponseStartLine
from tornado.iostream import IOStream, StreamClosedError

from kubectl_vmetrics.kube.cancel import CancelScope

from .application import Proxy
from .body import BrokenOff
from .exchange import PHRASES, Answer, Request, plain, status
from .guests import Guests
from .limits import Limits
from .turns import Busy

Result = TypeVar("Result")

PART = 1 << 16
"""Bytes of an answer that are read before they are written, at least, where there are so many."""


class Shared(Protocol):
    """What the conversations of a server have in common; see listener.Listener."""

    application: Proxy
    limits: Limits
    draining: bool
    guests: Guests[IOStream]
    large: threading.Semaphore
    slow: OrderedDict[IOStream, int]

    def begin(self, conversation: Conversation) -> None:
        """A request is complete."""

    async def ready(self) -> Answer:
        """Whether clients should come here."""

    async def in_turn(self, work: Callable[[], Result], client: str, lane: str, *, begun: bool = False) -> Result:
        """Do something in a thread, when it is its turn. Raises what it raises, and Busy."""

    def write_slowly(self, stream: IOStream, size: int) -> None:
        """A client does not read its answer as fast as it could be written."""


class Conversation(HTTPMessageDelegate):
    """One request of a connection, and its answer."""

    def __init__(self, listener: Shared, connection: Any, stream: IOStream) -> None:
        self._listener = listener
        self._limits = listener.limits
        self._application = listener.application
        self._connection = connection
        self._stream = stream
        self._scope: CancelScope | None = None
        self._work: asyncio.Task[Answer] | None = None
        self._patience = listener.limits.write

    def headers_received(self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders) -> None:
        """The head is complete."""
        assert isinstance(start_line, RequestStartLine)  # noqa: S101 (a server's)
        target, _, query = start_line.path.partition("?")
        shown = {name.lower(): value for name, value in headers.items()}
        self._request = Request(start_line.method, plain(target), query, shown, self._connection.context.remote_ip)

    def finish(self) -> None:
        """The request is complete; it has no body."""
        self._refused = self._listener.guests.begin(self._stream)
        self._connection.set_close_callback(self.on_connection_close)
        self._listener.begin(self)

    def on_connection_close(self) -> None:
        """The client hung up."""
        if self._scope:
            self._scope.cancel()
        if self._work:
            self._work.cancel()

    async def run(self) -> None:
        """Answer."""
        lane = self._application.lane(self._request)
        client = self._application.client(self._request)
        try:
            answer = await self._answer(client, lane)
            self._application.telemetry.answered(answer.status)
            await self._send(answer, client, lane)
        except (StreamClosedError, asyncio.CancelledError):
            self._stream.close()
        except BrokenOff:
            self._stream.close()  # without the last chunk, so that the client knows that something is missing
        except Exception as error:
            self._application.note(self._request, error)
            self._stream.close()
        finally:
            self._listener.guests.end(self._stream, asyncio.get_running_loop().time())
            if self._stream.closed():
                self._listener.guests.remove(self._stream)

    async def _answer(self, client: str, lane: str) -> Answer:
        request = self._request
        if request.path == "/readyz" and request.method in ("GET", "HEAD"):
            return await self._listener.ready()
        found = self._application.at_once(request)
        if self._refused and request.path != "/healthz":
            self._application.telemetry.dropped(self._refused)
            return status(429, "TooManyRequests", "too many connections: try again later", retry_after=1)
        if found is not None:
            return found
        limit = self._application.limit(request)
        self._scope = scope = CancelScope(limit, large=self._listener.large)
        work = self._listener.in_turn(lambda: self._application.answer(request, scope), client, lane)
        self._work = asyncio.get_running_loop().create_task(work)
        # The client's own limits end most late requests; the head of an answer that comes
        # byte by byte does not.
        late = asyncio.get_running_loop().call_later(limit + 0.25, scope.cancel)
        try:
            done, _ = await asyncio.wait([self._work], timeout=limit + 1.0)
            if done:
                return self._work.result()
        except Busy:
            pass
        finally:
            late.cancel()
            self._work.cancel()
        scope.cancel()
        return status(503, "ServiceUnavailable", "too many requests: try again later", retry_after=1)

    async def _send(self, answer: Answer, client: str, lane: str) -> None:
        headers = HTTPHeaders(
            {
                "Content-Type": answer.content_type,
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
                "Server": "kubectl-vmetrics",
            }
        )
        if answer.retry_after is not None:
            headers["Retry-After"] = str(answer.retry_after)
        if self._listener.draining or self._refused:
            headers["Connection"] = "close"
        line = ResponseStartLine("", answer.status, PHRASES.get(answer.status, "Error"))
        body = answer.body
        try:
            if isinstance(body, list):
                data = b"".join(body)
                headers["Content-Length"] = str(len(data))
                await self._written(
                    self._connection.write_headers(line, headers, None if self._head else data), len(data)
                )
            elif self._head:
                await self._written(self._connection.write_headers(line, headers), 0)
            else:
                # The two go out together: the first part is there already.
                first = next(iter(body))
                await self._written(self._connection.write_headers(line, headers, first), len(first))
                parts = iter(body)
                while part := await self._listener.in_turn(lambda: _part(parts), client, lane, begun=True):
                    await self._written(self._connection.write(part), len(part))
        finally:
            await self._closed(answer)
        self._connection.finish()
        if headers.get("Connection") == "close":
            await self._flushed()

    @property
    def _head(self) -> bool:
        return self._request.method == "HEAD"

    async def _written(self, written: asyncio.Future[None], size: int) -> None:
        """Wait until a client has read enough. Raises StreamClosedError where it takes too long altogether."""
        if written.done():
            return
        loop = asyncio.get_running_loop()
        started = loop.time()
        self._listener.write_slowly(self._stream, size)
        try:
            await asyncio.wait_for(written, self._patience)
        except asyncio.TimeoutError:
            self._application.telemetry.dropped("slow-reader")
            raise StreamClosedError from None
        finally:
            self._listener.slow.pop(self._stream, None)
            self._patience -= loop.time() - started

    async def _closed(self, answer: Answer) -> None:
        """End what the body holds; a part of it may be under way in a thread still, but not for long."""
        while not close(answer):
            await asyncio.sleep(0.05)

    async def _flushed(self) -> None:
        end = asyncio.get_running_loop().time() + 1.0
        while self._stream.writing() and not self._stream.closed() and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.01)
        self._stream.close()


def close(result: Any) -> bool:
    """End what an answer holds; False where a thread reads it still."""
    close = getattr(result.body, "close", None) if isinstance(result, Answer) else None
    try:
        if close:
            close()
    except ValueError:  # a generator that runs
        return False
    return True


def _part(body: Iterator[bytes]) -> bytes:
    """The next part of an answer, b"" after the last."""
    parts: list[bytes] = []
    size = 0
    for chunk in body:
        parts.append(chunk)
        size += len(chunk)
        if size >= PART:
            break
    return b"".join(parts)
