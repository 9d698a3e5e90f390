"""Connections and requests on tornado's event loop, none of which takes a thread while it waits for its client.

Handshakes, heads of requests and answers that are read slowly are the loop's. A request takes a thread only while the
host is asked on its behalf and what the host says is rewritten, and only in its turn (see turns). Health is answered by
the loop itself.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, RequestStartLine, ResponseStartLine
from tornado.iostream import IOStream, SSLIOStream, StreamClosedError

from kubectl_vmetrics.kube.cancel import CancelScope

from .application import BrokenOff, Proxy
from .exchange import PHRASES, Answer, Request, plain, status
from .guests import Guests
from .turns import Turn, Turns

Result = TypeVar("Result")

PART = 1 << 16
"""Bytes of an answer that are read before they are written, at least, where there are so many."""
_log = logging.getLogger("kubectl_vmetrics.proxy")


class Limits(NamedTuple):
    """How much there is of what clients share.

    Attributes:
        connections, per_client: open at once, altogether and from one address.
        threads: requests that are worked on at once.
        per_node, per_other: of those, for one node, and for metrics.k8s.io or the apiserver.
        handshake, head: seconds for TLS; for a request, from the connection or the last answer on.
        write: seconds in which a client must have read an answer, the host's time apart.
        slow: answers that wait for their clients at once; the slowest is dropped for one more.
        large: documents of more than cancel.LARGE bytes that are kept at once.
    """

    connections: int = 512
    per_client: int = 256
    threads: int = 32
    per_node: int = 4
    per_other: int = 12
    handshake: float = 5.0
    head: float = 10.0
    write: float = 20.0
    slow: int = 64
    large: int = 2


class Listener(HTTPServer):
    """tornado's HTTP server, with those limits. Belongs to the event loop in which it is made."""

    # tornado's servers take their arguments here.
    def initialize(self, application: Proxy, limits: Limits, tls: ssl.SSLContext | None) -> None:  # type: ignore[override]
        """Make one; see Limits."""
        super().initialize(
            lambda _: None,
            ssl_options=tls,
            idle_connection_timeout=limits.head,
            body_timeout=limits.head,
            max_header_size=16_384,
            max_body_size=1,
            max_buffer_size=65_536,
        )
        self.application = application
        self.limits = limits
        self.draining = False
        self.guests: Guests[IOStream] = Guests(limits.connections, limits.per_client)
        self.slow: OrderedDict[IOStream, None] = OrderedDict()
        self._turns: Turns[_Work] = Turns(limits.threads, self._room, limits.connections)
        self.large = threading.Semaphore(limits.large)
        self._pool = ThreadPoolExecutor(limits.threads, "answer")
        self._health = ThreadPoolExecutor(1, "health")
        self._readiness: asyncio.Future[Answer] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # -------------------------------------------------------------------------------------------------- connections

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> Any:
        """A connection was accepted; its handshake is still to come."""
        drop = self.guests.add(stream, str(address[0]), self._now())
        self.application.telemetry.connections = len(self.guests)
        if drop:
            self._drop(*drop)
        if isinstance(stream, SSLIOStream):
            return self._shake_hands(stream, address)
        return super().handle_stream(stream, address)

    async def _shake_hands(self, stream: SSLIOStream, address: tuple[Any, ...]) -> None:
        try:
            await asyncio.wait_for(stream.wait_for_handshake(), self.limits.handshake)
        except (asyncio.TimeoutError, StreamClosedError, OSError):
            self._drop(stream, "handshake")
            self._gone(stream)
            return
        super().handle_stream(stream, address)

    def start_request(self, server_conn: Any, request_conn: Any) -> HTTPMessageDelegate:
        """The next request of a connection is about to be read."""
        return _Exchange(self, request_conn, request_conn.stream)

    def on_close(self, server_conn: Any) -> None:
        """A connection was closed, by whomever."""
        super().on_close(server_conn)
        self._gone(server_conn.stream)

    def _gone(self, stream: IOStream) -> None:
        self.guests.remove(stream)
        self.application.telemetry.connections = len(self.guests)

    def _drop(self, stream: IOStream, why: str) -> None:
        self.application.telemetry.dropped(why)
        stream.close()

    def sweep(self) -> None:
        """Close what waits too long; to be called every second. tornado's own limit is the same, but for heads only."""
        for stream in self.guests.waiting_since(self._now() - self.limits.head):
            self._drop(stream, "head")

    def write_slowly(self, stream: IOStream) -> None:
        """A client does not read its answer as fast as it could be written."""
        self.slow[stream] = None
        if len(self.slow) > self.limits.slow:
            slowest, _ = self.slow.popitem(last=False)
            self._drop(slowest, "slow-reader")

    # ------------------------------------------------------------------------------------------------------ requests

    def begin(self, exchange: _Exchange) -> None:
        """A request is complete."""
        task = asyncio.get_running_loop().create_task(exchange.run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def ready(self) -> Answer:
        """Whether clients should come here: asked by one thread of its own, for all who want to know."""
        if self.draining:
            return status(503, "ServiceUnavailable", "the proxy ends")
        if self._readiness is None or self._readiness.done():
            loop = asyncio.get_running_loop()
            self._readiness = loop.run_in_executor(self._health, self.application.ready)
        return await asyncio.shield(self._readiness)

    async def in_turn(self, work: Callable[[], Result], client: str, lane: str, *, begun: bool = False) -> Result:
        """Do something in a thread, when it is its turn. Raises what it raises, and Busy."""
        turn = Turn(_Work(work, asyncio.get_running_loop().create_future()), client, lane)
        if begun:
            self._turns.go_on(turn)
        elif not self._turns.add(turn):
            raise Busy
        self._next()
        try:
            result: Result = await turn.work.result
        finally:
            self._turns.remove(turn)
            self.application.telemetry.waiting = len(self._turns)
        return result

    def _next(self) -> None:
        while turn := self._turns.next():
            future = asyncio.get_running_loop().run_in_executor(self._pool, turn.work.do)
            future.add_done_callback(lambda done, turn=turn: self._done(turn, done))  # type: ignore[misc]
        self.application.telemetry.waiting = len(self._turns)

    def _done(self, turn: Turn[_Work], done: asyncio.Future[Any]) -> None:
        self._turns.done(turn)
        error = None if done.cancelled() else done.exception()
        if turn.work.result.done():  # nobody waits for it any more
            if error is None and not done.cancelled():
                _close(done.result())
        elif error is not None:
            turn.work.result.set_exception(error)
        else:
            turn.work.result.set_result(done.result())
        self._next()

    def _room(self, lane: str) -> int:
        return self.limits.per_node if lane.startswith("node/") else self.limits.per_other

    # ----------------------------------------------------------------------------------------------------------- end

    async def drain(self, linger: float, limit: float) -> None:
        """End: no new connections, the answers under way are sent.

        Args:
            linger: seconds in which new connections are still taken, while those who balance load hear of it.
            limit: seconds until answers are cut.
        """
        self.draining = True
        end = self._now() + linger + limit
        await asyncio.sleep(linger)
        self.stop()
        quiet = self._now()
        while self.guests.busy() and self._now() < end:
            await asyncio.sleep(0.02)
        # Whoever connected just before may be about to ask.
        while self.guests.waiting() and self._now() < min(end, quiet + linger):
            await asyncio.sleep(0.02)
        for stream in [*self.guests.waiting(), *self.guests.busy()]:
            stream.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._health.shutdown(wait=False, cancel_futures=True)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


class Busy(Exception):
    """Too many requests wait."""


class _Work:
    """Something to do, and where its result goes."""

    def __init__(self, do: Callable[[], Any], result: asyncio.Future[Any]) -> None:
        self.do = do
        self.result = result


class _Exchange(HTTPMessageDelegate):
    """One request of a connection, and its answer."""

    def __init__(self, listener: Listener, connection: Any, stream: IOStream) -> None:
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
        # The client's own limits see to it that most of what is late ends by itself; the head of an answer that comes
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
                await self._written(self._connection.write_headers(line, headers, None if self._head else data))
            elif self._head:
                await self._written(self._connection.write_headers(line, headers))
            else:
                # The two go out together: the first part is there already.
                await self._written(self._connection.write_headers(line, headers, next(iter(body))))
                parts = iter(body)
                while part := await self._listener.in_turn(lambda: _part(parts), client, lane, begun=True):
                    await self._written(self._connection.write(part))
        finally:
            await self._closed(answer)
        self._connection.finish()
        if headers.get("Connection") == "close":
            await self._flushed()

    @property
    def _head(self) -> bool:
        return self._request.method == "HEAD"

    async def _written(self, written: asyncio.Future[None]) -> None:
        """Wait until a client has read enough. Raises StreamClosedError where it takes too long altogether."""
        if written.done():
            return
        loop = asyncio.get_running_loop()
        started = loop.time()
        self._listener.write_slowly(self._stream)
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
        while not _close(answer):
            await asyncio.sleep(0.05)

    async def _flushed(self) -> None:
        end = asyncio.get_running_loop().time() + 1.0
        while self._stream.writing() and not self._stream.closed() and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.01)
        self._stream.close()


def _close(result: Any) -> bool:
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
