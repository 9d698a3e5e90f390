"""What carries a request to the apiserver: `direct` where nothing stands between, `proxied` through a proxy.

`direct` is the standard library alone: it starts in a fifth of the time that `requests` takes to import, which is most
of what a small command costs. What is not a plain exchange with one server is left to `requests`.
"""

from __future__ import annotations

import os
from collections.abc import ItemsView, Mapping
from types import TracebackType
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from kubectl_vmetrics import __version__

from .errors import ConnectionFailed
from .kubeconfig import Connection

POOL_SIZE = 32
"""Connections kept to the apiserver."""


class Timeouts(NamedTuple):
    """Seconds to reach the server, and to wait for each part of its answer; None for no limit."""

    connect: float
    read: float | None


class Headers(Protocol):
    """Headers by name, in any case."""

    def get(self, name: str, default: str = "", /) -> str:
        """The value of one."""

    def items(self) -> ItemsView[str, str]:
        """All of them."""


class Reply(Protocol):
    """An answer whose body is still to be read."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def reason(self) -> str:
        """The words behind it, "" without any."""

    @property
    def headers(self) -> Headers:
        """As sent."""

    def read(self, size: int) -> bytes:
        """What has come of the body, at most so many bytes, as sent; b"" at the end. Raises ConnectionFailed."""

    def __enter__(self) -> Reply:
        """For `with`."""

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Give the connection back, or close it where not all was read."""


class Transport(Protocol):
    """Sends requests to one server. Safe to use from several threads."""

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeouts: Timeouts) -> Reply:
        """Send one request.

        Args:
            method: GET or POST.
            path: from the root of the server's URL, with the query.
            headers: those of this request; `standing_headers` and the impersonated user's are added.
            body: for POST.
            timeouts: how long to wait.

        Raises:
            ConnectionFailed: no answer.
            Dropped: no answer, since the connection broke: another one may do.
        """


class Dropped(Exception):
    """A connection broke before it brought an answer, or could not be made.

    Attributes:
        error: what to say of it.
    """

    def __init__(self, error: ConnectionFailed) -> None:
        super().__init__()
        self.error = error


def standing_headers(connection: Connection) -> dict[str, str]:
    """The headers of every request."""
    return {
        "User-Agent": f"kubectl-vmetrics/{__version__}",
        # The apiserver compares with the bare word: "gzip, deflate" is understood, "gzip;q=1.0" is not.
        "Accept-Encoding": "identity" if connection.disable_compression else "gzip",
    }


def proxies(connection: Connection) -> dict[str, str]:
    """The proxy to use, as `requests` takes it: proxy-url of the kubeconfig, else HTTPS_PROXY and NO_PROXY.

    What the environment names is not for this machine itself: Go's rule (golang.org/x/net/http/httpproxy), by which
    kubectl reaches a cluster on loopback whatever is set.
    """
    if connection.proxy_url:
        return {"all": connection.proxy_url}
    if not any(name.lower().endswith("_proxy") for name in os.environ) or loopback(
        urlsplit(connection.server).hostname or ""
    ):
        return {}
    from .lean_requests import requests

    found: dict[str, str] = requests.utils.get_environ_proxies(connection.server)
    return found


def loopback(host: str) -> bool:
    """Whether a host, by name or address, is this machine."""
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
