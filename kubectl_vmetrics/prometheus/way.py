"""The ways to a server: through the apiserver's proxy of its Service, by its own URL, or by a forwarded port."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from kubectl_vmetrics.kube.client import Client, escape
from kubectl_vmetrics.kube.endpoints import Address
from kubectl_vmetrics.kube.errors import UsageError

from . import login as login_of
from .find import Candidate, pod_of
from .login import Login


class Way(NamedTuple):
    """A server, and what leads to it.

    Attributes:
        client: sends the requests.
        name: for messages and tables: "monitoring/prometheus-k8s", or a URL without user and password.
        base: what comes before /api/v1 in paths.
        headers: of every request; values may be secret.
        apiserver: whether requests go through the apiserver's proxy, which keeps credentials to itself.
        candidate: the Service; None where the URL is the user's.
        authenticates: whether credentials are sent.
    """

    client: Client
    name: str
    base: str
    headers: Mapping[str, str] = {}
    apiserver: bool = False
    candidate: Candidate | None = None
    authenticates: bool = False

    def __repr__(self) -> str:
        """Never a header."""
        return f"Way({self.name!r}, …)"


def by_service(client: Client, candidate: Candidate, headers: Mapping[str, str] | None = None) -> Way:
    """Through the apiserver.

    Args:
        client: of the cluster that it runs in.
        candidate: where it is.
        headers: in addition to the candidate's; no Authorization, which the apiserver uses itself.
    """
    service = escape(f"{candidate.scheme}:{candidate.name}:{candidate.port}")
    base = f"/api/v1/namespaces/{escape(candidate.namespace)}/services/{service}/proxy{candidate.prefix}"
    return Way(client, candidate.path, base, login_of.merged(candidate.headers, headers or {}), True, candidate)


def normalized(url: str) -> str:
    """The URL of a server without what follows its prefix: a slash at the end, or /api/v1 and what is behind.

    Raises:
        UsageError: no URL that can be asked. The message repeats nothing of it: there may be a password in it.

    >>> normalized("https://metrics.example.com/prometheus/api/v1/query")
    'https://metrics.example.com/prometheus'
    >>> normalized("http://vm:8481/select/0/prometheus/")
    'http://vm:8481/select/0/prometheus'
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UsageError("--prometheus is not a URL: use http://HOST:PORT/PREFIX or https://…")
    if parts.query or parts.fragment or not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError("--prometheus: use a URL without a query, a fragment, spaces and non-ASCII letters")
    path = re.sub(r"/api/v1(/.*)?$", "", parts.path.rstrip("/"))
    return f"{parts.scheme}://{parts.netloc}{path.rstrip('/')}"


def exposed(url: str) -> bool:
    """Whether requests to this URL leave the machine without encryption.

    >>> exposed("http://metrics.example.com"), exposed("http://127.0.0.1:9090"), exposed("https://metrics.example.com")
    (True, False, False)
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    return parts.scheme == "http" and not (host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", host))


def by_url(url: str, login: Login, *, timeout: float | None = None) -> Way:
    """By its URL, with or without /api/v1.

    Args:
        url: of the user.
        login: the credentials.
        timeout: seconds for a request, in place of the request's own.

    Raises:
        UsageError: no URL.
        ConfigError: a file that cannot be read.
    """
    client = Client(login_of.connection(normalized(url), login, timeout=timeout))
    if login.region:
        from kubectl_vmetrics.kube.sigv4 import Signed

        client = client.through(lambda sender: Signed(sender, client.connection.server, login.region))
    user = client.connection.user
    known = login.secret or bool(user.username or user.password)
    return Way(client, client.connection.server, "", login.all_headers, authenticates=known)


def by_port_forward(client: Client, candidate: Candidate, login: Login) -> Way:
    """By a port that is forwarded to one of the Service's pods, which credentials and TLS pass through.

    Without an authority to trust, any certificate is accepted: the apiserver vouches for the pod.

    Args:
        client: of the cluster that it runs in.
        candidate: where it is.
        login: the credentials.

    Raises:
        ConfigError: a file that cannot be read.
    """
    from kubectl_vmetrics.kube.tunnel import Tunnel

    url = f"{candidate.scheme}://{candidate.name}.{candidate.namespace}.svc:{candidate.port}{candidate.prefix}"
    trusting = msgspec.structs.replace(login, insecure=login.insecure or not login.authority)
    connection = login_of.connection(url, trusting, timeout=client.connection.timeout)
    plain = Client(connection)

    def find() -> Address:
        return pod_of(client, candidate)

    reached = plain.through(lambda _: Tunnel(connection, plain.credentials, client, find))
    return Way(
        reached,
        candidate.path,
        "",
        login_of.merged(candidate.headers, login.all_headers),
        False,
        candidate,
        login.secret,
    )
