"""Requests to a server without a proxy between: http.client, and connections that are kept for the next request."""

from __future__ import annotations

import http.client
import logging
import selectors
import socket
import ssl
import threading
import weakref
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from . import cancel
from .credentials import Credentials
from .errors import ConfigError, ConnectionFailed
from .failures import timed_out, unreachable
from .kubeconfig import Connection
from .response import Response
from .tls import tls_context
from .transport import POOL_SIZE, Dropped, Timeouts, standing_headers

_log = logging.getLogger("kubectl_vmetrics.http")
_ERRORS = (OSError, http.client.HTTPException)
_UNRESERVED = "!$%&'()*+,/:;=?@[]~"
"""What stays as it is in a path that was escaped already; everything else cannot be sent."""


class Direct:
    """Sends requests straight to one server.

    Raises:
        ConfigError: certificates that cannot be used.
        ConnectionFailed: a URL that leads nowhere.
    """

    def __init__(self, connection: Connection, credentials: Credentials) -> None:
        url = urlsplit(connection.server)
        self._server = connection.server
        self._base = url.path
        self._host = url.hostname or ""
        try:
            self._port = url.port
        except ValueError:
            port = url.netloc.rpartition(":")[2]
            raise ConnectionFailed(f"Unable to connect to the server: dial tcp: address {port}: invalid port") from None
        self._connection = connection
        self._credentials = credentials
        self._made = threading.Lock()
        self._tls = self._context() if url.scheme == "https" else None
        self._generation = credentials.generation
        self._tls_name = connection.tls_server_name or self._host
        self._headers = [*standing_headers(connection).items(), *connection.impersonate]
        self._idle: list[Channel] = []
        weakref.finalize(self, _close, self._idle).atexit = False

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeouts: Timeouts
    ) -> DirectReply:
        """See transport.Transport."""
        self._renew()
        channel = self._kept() or self._opened(timeouts.connect)
        held = _Held(channel.sock)
        try:
            held.begin()
            channel.sock.settimeout(timeouts.read)
            channel.putrequest(method, quote(self._base + path, safe=_UNRESERVED), skip_accept_encoding=True)
            for name, value in (*self._headers, *headers.items()):
                channel.putheader(name, value)
            if body is not None:
                channel.putheader("Content-Length", str(len(body)))
            channel.endheaders(body)
            return DirectReply(self, channel, channel.getresponse(), held)
        except BaseException as error:
            held.end()
            channel.close()
            if isinstance(error, TimeoutError):
                raise timed_out("awaiting headers") from None
            if isinstance(error, _ERRORS):
                raise Dropped(unreachable(error, self._server)) from None
            raise

    def keep(self, channel: Channel) -> None:
        """Take a connection back whose answer was read to its end."""
        if len(self._idle) < POOL_SIZE and channel.tls is self._tls:
            self._idle.append(channel)
        else:
            channel.close()

    def broken(self, error: BaseException) -> ConnectionFailed:
        """The error of an answer that ends too soon."""
        return timed_out("reading body") if isinstance(error, TimeoutError) else unreachable(error, self._server)

    def _context(self) -> ssl.SSLContext:
        made = tls_context(self._connection, self._credentials)
        made.set_alpn_protocols(["http/1.1"])
        return made

    def _renew(self) -> None:
        """Reconnect if the certificate or the authority changed; files that cannot be used change nothing."""
        with self._made:
            if self._tls is None or self._credentials.generation == self._generation:
                return
            self._generation = self._credentials.generation
            try:
                self._tls = self._context()
            except ConfigError as error:
                _log.warning("the certificates of before are used on: %s", error.message)
                return
            _close(self._idle)

    def _kept(self) -> Channel | None:
        """A connection of an earlier request that the server has not closed since."""
        while True:
            try:
                channel = self._idle.pop()
            except IndexError:
                return None
            if not _readable(channel.sock):  # nothing is due, so what can be read is its end
                return channel
            channel.close()

    def _channel(self, limit: float) -> Channel:
        return Channel(self._host, self._port, self._tls, self._tls_name, limit)

    def _opened(self, limit: float) -> Channel:
        channel = self._channel(limit)
        try:
            channel.connect()
        except TimeoutError:
            channel.close()
            where = urlsplit(self._server).netloc.rpartition("@")[2]
            raise ConnectionFailed(f"Unable to connect to the server: dial tcp {where}: i/o timeout") from None
        except _ERRORS as error:
            channel.close()
            raise Dropped(unreachable(error, self._server)) from None
        except ConnectionFailed:
            channel.close()
            raise
        return channel


class DirectReply:
    """See transport.Reply."""

    def __init__(
        self,
        sender: Direct,
        channel: Channel,
        answer: http.client.HTTPResponse,
        held: _Held,
    ) -> None:
        self._sender = sender
        self._held = held
        self._channel = channel
        self._answer = answer
        self._closes = answer.will_close
        self.status = answer.status
        self.reason = answer.reason
        self.headers: Any = answer.headers

    def read(self, size: int) -> bytes:
        """See transport.Reply."""
        answer = self._answer
        try:
            found = answer.read1(size)
        except _ERRORS as error:
            raise self._sender.broken(error) from None
        if not found and answer.length:
            raise self._sender.broken(http.client.IncompleteRead(b"", answer.length))
        return found

    def __enter__(self) -> DirectReply:
        """For `with`."""
        return self

    def __exit__(self, *_: object) -> None:
        """Keep the connection where all was read."""
        answer, whole = self._answer, self._answer.isclosed() or self._answer.length == 0
        self._held.end()  # the next request may be another scope's
        answer.close()
        if whole and not self._closes:
            self._sender.keep(self._channel)
        else:
            self._channel.close()


class _Held:
    """A socket that the work of this thread waits on, and that is shut down where the work is cancelled."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self._scope = cancel.current()

    def begin(self) -> None:
        """Raises Cancelled."""
        if self._scope:
            self._scope.watch(self._stream)

    def end(self) -> None:
        """It may be used for something else."""
        if self._scope:
            self._scope.release(self._stream)


class Channel(http.client.HTTPConnection):
    """One connection, with TLS where there is a context for it."""

    response_class = Response

    def __init__(self, host: str, port: int | None, tls: ssl.SSLContext | None, name: str, limit: float) -> None:
        self.default_port = 443 if tls else 80
        super().__init__(host, port, timeout=limit)
        self.tls = tls
        self._name = name

    def connect(self) -> None:
        """Raises OSError."""
        super().connect()
        self.secure()

    def secure(self) -> None:
        """Begin TLS where there is a context for it. Raises OSError."""
        if self.tls:
            # A dot at the end is part of the name that is looked up, never of one in a certificate.
            self.sock = self.tls.wrap_socket(self.sock, server_hostname=self._name.rstrip("."))


def _close(channels: list[Channel]) -> None:
    while channels:
        channels.pop().close()


def _readable(stream: socket.socket) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        return bool(selector.select(0))
