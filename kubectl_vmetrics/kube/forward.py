"""HTTPS to a port of a pod, through the apiserver: a WebSocket that carries TCP, and TLS inside of it.

The apiserver's own proxy passes no client certificate on, so this is the only way to what asks for one. The protocol is
v4.channel.k8s.io: each port has a channel for data and one for errors (k8s.io/kubelet pkg/cri/streaming/portforward).
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from . import body as bodies
from . import cancel
from .client import CONNECT_TIMEOUT, Answer, Client, Stream, escape
from .errors import BadAnswer, ConfigError, ConnectionFailed, VmetricsError
from .failures import refused, timed_out, tls_reason, unreachable
from .gather import NoThread
from .limits import ERROR, SCRAPE, Limits
from .response import HeadTooLarge, Response
from .tls import load_certificate, tls_context, trust
from .transport import proxies

_log = logging.getLogger("kubectl_vmetrics.http")
PROTOCOL = "v4.channel.k8s.io"


class Identity(NamedTuple):
    """A client certificate and its key, both PEM. Nothing of it is printed."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        """Never the key."""
        return "Identity(…)"


class Peer:
    """The server to trust behind a port, and the identity to present; created once for many connections.

    Args:
        identity: to authenticate with; None for no authentication.
        ca: PEM of the authority that signed the other side's certificate; None to trust any server, which is for
            certificates that a process makes for itself: the apiserver vouches for the pod.
        name: the name in its certificate.

    Raises:
        ConfigError: a certificate or authority that cannot be used.
    """

    def __init__(self, identity: Identity | None = None, ca: bytes | None = None, name: str = "localhost") -> None:
        self.name = name
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname = ca is not None
        self.context.verify_mode = ssl.CERT_REQUIRED if ca is not None else ssl.CERT_NONE
        if ca is not None:
            trust(self.context, ca)
        if identity:
            load_certificate(self.context, *identity)


@contextlib.contextmanager
def forward(client: Client, namespace: str, pod: str, ports: Sequence[int], limit: float) -> Iterator[Forward]:
    """Forward ports of a pod while the context lasts.

    Args:
        client: the cluster.
        namespace: the pod's.
        pod: its name.
        ports: all ports in use, each once.
        limit: seconds for everything that is done in the context.

    Raises:
        StatusError: no right to do so (get and create pods/portforward), no such pod.
        ConnectionFailed: no answer, or none in time.
    """
    from .channels import Channels

    deadline = time.monotonic() + limit
    websocket = _connect(client, namespace, pod, ports, limit)
    websocket.settimeout(None)
    try:
        channels = Channels(websocket, list(ports))
    except RuntimeError:  # "can't start new thread"
        websocket.shutdown()
        raise NoThread from None
    opened = Forward(channels, deadline, f'pod "{namespace}/{pod}"')
    try:
        yield opened
    finally:
        opened.close()


class Forward:
    """Ports that are open."""

    def __init__(self, channels: Any, deadline: float, who: str) -> None:
        self._channels = channels
        self._deadline = deadline
        self._who = who
        self._scope = cancel.current()
        self._open: list[socket.socket] = []

    def close(self) -> None:
        """Close what was opened."""
        for stream in self._open:
            if self._scope:
                self._scope.release(stream)
            with contextlib.suppress(OSError):
                stream.close()
        self._channels.close()

    def stream(self, port: int) -> socket.socket:
        """The bytes of one of the ports, for who speaks its protocol; it is closed with the rest."""
        plain: socket.socket = self._channels.socket(port)
        plain.setblocking(True)
        self._open.append(plain)
        return plain

    def open(self, port: int, peer: Peer | None) -> Connection:
        """A connection to one of the ports, in TLS where there is a peer to expect.

        Raises:
            ConnectionFailed: nothing is listening there, or an unexpected server.
        """
        plain: socket.socket = self._channels.socket(port)
        plain.setblocking(True)
        plain.settimeout(self._left())
        stream = plain
        try:
            if peer is not None:
                stream = peer.context.wrap_socket(plain, server_hostname=peer.name, do_handshake_on_connect=False)
            self._keep(stream)
            if isinstance(stream, ssl.SSLSocket):
                stream.do_handshake()
        except (OSError, ValueError) as error:
            cancel.check()
            raise _failure(error, self._channels.error(port)) from None
        return Connection(stream, self._left, lambda: self._channels.error(port), f"port {port} of {self._who}")

    def _keep(self, stream: socket.socket) -> None:
        self._open.append(stream)
        if self._scope:
            self._scope.watch(stream)

    def _left(self) -> float:
        cancel.check()
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise timed_out("forwarding a port")
        return left


class Connection:
    """HTTP/1.1 with the server behind a port; one request after the other."""

    def __init__(
        self, stream: socket.socket, left: Callable[[], float], trouble: Callable[[], str | None], who: str
    ) -> None:
        self._stream = stream
        self._left = left
        self._trouble = trouble
        self._who = who
        self._http = http.client.HTTPConnection("localhost")
        self._http.response_class = Response
        self._http.sock = stream

    def get(self, path: str, *, accept: str, limits: Limits = SCRAPE) -> Answer:
        """GET a path.

        Raises:
            StatusError: an answer of 400 or more.
            ConnectionFailed: none, none in time, or one that is cut short.
            BadAnswer: one beyond its limits, or in an encoding that was not asked for.
        """
        with self.stream(path, accept=accept, limits=limits) as stream:
            return Answer(bodies.whole(stream.chunks, limits, path), stream.content_type)

    @contextlib.contextmanager
    def stream(self, path: str, *, accept: str, limits: Limits = SCRAPE) -> Iterator[Stream]:
        """GET a path and read the answer as it comes. Raises as `get`, while it is read as well.

        An answer that is not read to its end is the last one of the connection.
        """
        try:
            self._stream.settimeout(self._left())
            self._http.request("GET", path, headers={"Accept": accept, "Accept-Encoding": "gzip"})
            response = self._http.getresponse()
        except _BROKEN as error:
            cancel.check()
            raise _failure(error, self._trouble()) from None
        try:
            chunks = self._chunks(response, path, limits)
            if response.status >= 300:
                raise refused(response.status, bodies.beginning(chunks, ERROR), path)
            yield Stream(chunks, response.getheader("Content-Type") or "")
        finally:
            if not (response.isclosed() or response.length == 0):
                self._stream.close()
            response.close()  # else the next request would wait for the end of this answer

    def _chunks(self, response: http.client.HTTPResponse, path: str, limits: Limits) -> Iterator[bytes]:
        try:
            encoding = response.getheader("Content-Encoding") or ""
            for piece in bodies.pieces(response.read1, encoding, limits, path, who=self._who):
                yield piece
                self._left()
        except BadAnswer:
            raise
        except _BROKEN as error:
            cancel.check()
            raise _failure(error, self._trouble()) from None


_BROKEN = (OSError, http.client.HTTPException, ValueError, VmetricsError)


def _connect(client: Client, namespace: str, pod: str, ports: Sequence[int], limit: float) -> Any:
    import websocket

    connection = client.connection
    path = f"/api/v1/namespaces/{escape(namespace)}/pods/{escape(pod)}/portforward"
    query = "&".join(f"ports={port}" for port in ports)
    scheme, rest = connection.server.split("://", 1)
    headers = [f"{name}: {value}" for name, value in connection.impersonate]
    if header := client.credentials.authorization():
        headers.append(f"Authorization: {header}")
    if any("\r" in text or "\n" in text for text in headers):
        raise ConfigError("the user or group to impersonate contains a line break")
    options: dict[str, Any] = {}
    if scheme == "https":
        options["sslopt"] = {"context": tls_context(connection, client.credentials)}
        if name := connection.tls_server_name:
            options["sslopt"]["server_hostname"] = name
    started = time.monotonic()
    try:
        made = websocket.create_connection(
            f"{'wss' if scheme == 'https' else 'ws'}://{rest}{path}?{query}",
            timeout=min(limit, CONNECT_TIMEOUT),
            header=headers,
            subprotocols=[PROTOCOL],
            enable_multithread=True,
            **options,
            **_proxy(client),
        )
        _log.info("GET %s%s 101 in %d milliseconds", connection.server, path, (time.monotonic() - started) * 1000)
        return made
    except websocket.WebSocketBadStatusException as error:
        body = error.resp_body if isinstance(error.resp_body, bytes) else b""
        raise refused(error.status_code, body, path) from None
    except (websocket.WebSocketTimeoutException, TimeoutError):
        raise timed_out("forwarding a port") from None
    except (websocket.WebSocketException, OSError, ValueError) as error:
        raise unreachable(error, connection.server) from None


def _proxy(client: Client) -> dict[str, Any]:
    """The proxy that other requests go through, as websocket-client takes it."""
    found = proxies(client.connection)
    scheme = urlsplit(client.connection.server).scheme
    url = found.get("all") or found.get(scheme)
    if not url:
        # Without a host, the library would ask the environment whatever else it is told.
        return {"http_proxy_host": "none.invalid", "http_proxy_port": 1, "http_no_proxy": ["*"]}
    split = urlsplit(url)
    auth = (split.username, split.password or "") if split.username else None
    kind = {"socks5": "socks5", "socks5h": "socks5h"}.get(split.scheme, "http")
    port = split.port or (1080 if kind != "http" else 80)
    return {"http_proxy_host": split.hostname, "http_proxy_port": port, "http_proxy_auth": auth, "proxy_type": kind}


def _failure(error: Exception, trouble: str | None) -> ConnectionFailed:
    if trouble:
        # The kubelet's own words: "error forwarding port 8443 to pod …: connection refused".
        refusal = "connection refused" in trouble
        return ConnectionFailed("nothing is listening on the port: connection refused" if refusal else trouble.strip())
    if isinstance(error, TimeoutError):
        return timed_out("forwarding a port")
    if isinstance(error, HeadTooLarge):
        return ConnectionFailed(str(error))
    if isinstance(error, VmetricsError):
        return error if isinstance(error, ConnectionFailed) else ConnectionFailed(error.message)
    if isinstance(error, ssl.SSLError):
        return ConnectionFailed(tls_reason(error, "the pod"))
    return ConnectionFailed("the connection to the pod was lost")
