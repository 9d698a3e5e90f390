"""The HTTP server under the proxy: tornado's, in a thread of its own, bounded, with TLS where asked for."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import threading
from collections.abc import Iterator

from tornado.netutil import bind_sockets

from kubectl_vmetrics.kube.errors import UsageError

from .application import Proxy
from .files import Certificate
from .limits import Limits
from .listener import Listener

LINGER = 2.0
"""Seconds after SIGTERM in which new connections are taken still, since others hear of the end only then."""
DRAIN = 20.0
"""Seconds for answers under way after that; a pod has 30 in all."""
BACKLOG = 512
SWITCH = 0.0005
"""Seconds after which a thread that rewrites lets others run: the event loop would wait for each of them in turn."""

_log = logging.getLogger("kubectl_vmetrics.proxy")


class Server:
    """Listens from the beginning, answers once it is entered.

    Args:
        application: what answers.
        address: to listen on.
        port: 0 for any.
        tls: files of a certificate and its key.
        limits: see Limits.

    Raises:
        UsageError: the address cannot be used, or the certificate.
    """

    def __init__(
        self, application: Proxy, address: str, port: int, tls: tuple[str, str] | None, limits: Limits | None = None
    ) -> None:
        self._application = application
        self._limits = limits or Limits()
        self._tls = tls
        self._certificate = Certificate(*tls) if tls else None
        try:
            # "localhost" has two addresses; for port 0 they are given the same number.
            self._sockets = bind_sockets(port, address, backlog=BACKLOG)
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot listen on {address} port {port}: {_why(error)}") from None
        number = self._sockets[0].getsockname()[1]
        shown = f"[{address}]" if ":" in address else address
        self.url = f"{'https' if tls else 'http'}://{shown}:{number}"
        self._loop: asyncio.AbstractEventLoop = asyncio.SelectorEventLoop()
        self._ended = asyncio.Event()
        self._linger, self._drain = 0.0, 2.0
        self._thread = threading.Thread(target=self._run, daemon=True, name="server")

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(self._linger + self._drain + 5.0)

    def until_stopped(self) -> None:
        """Wait for SIGTERM, after which answers under way are sent, or Ctrl-C, which raises KeyboardInterrupt."""
        stopped = threading.Event()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: stopped.set())
        while not stopped.wait(0.5):
            pass
        self._linger, self._drain = LINGER, DRAIN

    def _run(self) -> None:
        # What tornado logs are clients that hang up and requests that make no sense: nothing to talk about.
        logging.getLogger("tornado").setLevel(logging.CRITICAL)
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(self._unexpected)
        before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            sys.setswitchinterval(before)
            self._loop.close()

    async def _serve(self) -> None:
        listener = Listener(self._application, self._limits, self._certificate.context if self._certificate else None)
        listener.add_sockets(self._sockets)
        sweeping = asyncio.get_running_loop().create_task(self._sweep(listener))
        await self._ended.wait()
        sweeping.cancel()
        await listener.drain(self._linger, self._drain)

    async def _sweep(self, listener: Listener) -> None:
        while True:
            await asyncio.sleep(1.0)
            listener.sweep()
            if self._certificate and self._certificate.renewed():
                listener.ssl_options = self._certificate.context

    def _unexpected(self, _: object, happened: dict[str, object]) -> None:
        error = happened.get("exception")
        if isinstance(error, Exception) and not isinstance(error, OSError):
            self._application.telemetry.broke()
            _log.error("internal error: %s", type(error).__name__)


@contextlib.contextmanager
def serving(
    application: Proxy, address: str, port: int, tls: tuple[str, str] | None, limits: Limits | None = None
) -> Iterator[str]:
    """Serve while the context lasts; gives the URL. See Server."""
    with Server(application, address, port, tls, limits) as server:
        yield server.url


def _why(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "no such host"
    return getattr(error, "strerror", None) or str(error)
