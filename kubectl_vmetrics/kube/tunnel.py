"""Requests to a server in a pod through a forwarded port: credentials and client certificates reach it this way."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable

from .cancel import CancelScope
from .client import Client
from .credentials import Credentials
from .direct import Channel, Direct
from .endpoints import Address
from .errors import ConnectionFailed, VmetricsError
from .forward import forward
from .kubeconfig import Connection

LASTS = 86400.0
"""Seconds for which a port stays open at most."""


class Tunnel(Direct):
    """Sends requests to a port of a pod. See transport.Transport.

    Args:
        connection: the server as it would be reached inside the cluster; its TLS settings are used.
        credentials: of the same.
        client: the cluster.
        find: finds the pod; called for each connection, since a restarted pod may have another name.
    """

    def __init__(
        self, connection: Connection, credentials: Credentials, client: Client, find: Callable[[], Address]
    ) -> None:
        super().__init__(connection, credentials)
        self._client = client
        self._find = find

    def _channel(self, limit: float) -> Channel:
        return _Forwarded(self._host, self._port, self._tls, self._tls_name, limit, self._open)

    def _open(self, held: contextlib.ExitStack) -> socket.socket:
        """A port's stream, until `held` is closed."""
        try:
            place = self._find()
            # The connection may serve another request later, whose end is not this one's.
            with CancelScope().active():
                opened = held.enter_context(forward(self._client, place.namespace, place.pod, (place.port,), LASTS))
            return opened.stream(place.port)
        except ConnectionFailed:
            raise
        except VmetricsError as error:
            raise ConnectionFailed(error.line, hint=error.hint) from None


class _Forwarded(Channel):
    """A connection that is forwarded."""

    def __init__(
        self,
        host: str,
        port: int | None,
        tls: ssl.SSLContext | None,
        name: str,
        limit: float,
        opener: Callable[[contextlib.ExitStack], socket.socket],
    ) -> None:
        super().__init__(host, port, tls, name, limit)
        self._opener = opener
        self._held = contextlib.ExitStack()

    def connect(self) -> None:
        """Raises OSError, ConnectionFailed."""
        self.sock = self._opener(self._held)
        self.sock.settimeout(self.timeout)
        self.secure()

    def close(self) -> None:
        """Close the connection and the port."""
        super().close()
        self._held.close()
