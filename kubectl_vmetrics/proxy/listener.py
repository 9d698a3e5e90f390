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
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPMessageDelegate
from tornado.iostream import IOStream, SSLIOStream, StreamClosedError

from .application import Proxy
from .conversation import Conversation, close
from .exchange import Answer, status
from .guests import Guests
from .limits import Limits
from .turns import Busy, Turn, Turns

Result = TypeVar("Result")

_log = logging.getLogger("kubectl_vmetrics.proxy")


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
        self.slow: OrderedDict[IOStream, int] = OrderedDict()
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
        if stream.closed():
            self._gone(stream)
            return None
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
        return Conversation(self, request_conn, request_conn.stream)

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
        self.application.sweep()
        for stream in self.guests.waiting_since(self._now() - self.limits.head):
            self._drop(stream, "head")

    def write_slowly(self, stream: IOStream, size: int) -> None:
        """A client does not read its answer as fast as it could be written: so many bytes wait for it."""
        self.slow[stream] = size
        while len(self.slow) > self.limits.slow or (
            len(self.slow) > 1 and sum(self.slow.values()) > self.limits.slow_bytes
        ):
            slowest, _ = self.slow.popitem(last=False)
            self._drop(slowest, "slow-reader")

    # ------------------------------------------------------------------------------------------------------ requests

    def begin(self, exchange: Conversation) -> None:
        """A request is complete."""
        task = asyncio.get_running_loop().create_task(exchange.run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def ready(self) -> Answer:
        """Whether clients should come here: asked by one thread of its own, for all who want to know."""
        if self.draining:
            return status(503, "ServiceUnavailable", "the proxy is shutting down")
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
                close(done.result())
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
        # A client that has just connected may be about to send a request.
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


class _Work:
    """Something to do, and where its result goes."""

    def __init__(self, do: Callable[[], Any], result: asyncio.Future[Any]) -> None:
        self.do = do
        self.result = result
