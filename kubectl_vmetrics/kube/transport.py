"""One pooled `requests` session per connection: TLS, proxies, compression, repeated headers.

What `requests` would decide by itself is decided here, the way kubectl does it: only the cluster's own CA is trusted
where it has one, ~/.netrc and REQUESTS_CA_BUNDLE are not asked, redirects are not followed.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from urllib3 import HTTPHeaderDict

from kubectl_vmetrics import __version__

from . import pools
from .credentials import Credentials
from .errors import ConfigError
from .kubeconfig import Connection
from .lean_requests import HTTPAdapter, requests

POOL_SIZE = 32
"""Connections kept to the apiserver, and so the most requests under way at once."""


class Adapter(HTTPAdapter):
    """Sends through the connection's own TLS context, and headers that occur more than once."""

    def __init__(self, connection: Connection, credentials: Credentials) -> None:
        self._connection = connection
        self._credentials = credentials
        self._impersonate = connection.impersonate
        super().__init__(pool_connections=1, pool_maxsize=POOL_SIZE, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        """Called by HTTPAdapter: adds the TLS context."""
        super().init_poolmanager(connections, maxsize, block, **kwargs, **self._tls())
        self.poolmanager.pool_classes_by_scheme = dict(pools.CLASSES)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Called by HTTPAdapter for a request through a proxy: adds the same TLS context."""
        manager = super().proxy_manager_for(proxy, **kwargs, **self._tls())
        manager.pool_classes_by_scheme = dict(pools.CLASSES)
        return manager

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        """The host alone: `requests` would add the public CAs to those that are trusted."""
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: see build_connection_pool_key_attributes."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send one request; groups and extras of an impersonated user are a header each."""
        if self._impersonate:
            headers = HTTPHeaderDict(request.headers)
            for name, value in self._impersonate:
                headers.add(name, value)
            request.headers = headers  # type: ignore[assignment]
        return super().send(request, *args, **kwargs)

    def _tls(self) -> dict[str, Any]:
        if not self._connection.server.startswith("https:"):
            return {}
        options: dict[str, Any] = {"ssl_context": tls_context(self._connection, self._credentials)}
        if name := self._connection.tls_server_name:
            options["server_hostname"] = name
        if self._connection.insecure:
            options |= {"cert_reqs": "CERT_NONE", "assert_hostname": False}
        return options


def session(connection: Connection, credentials: Credentials) -> requests.Session:
    """A session that talks to this cluster only. Raises ConfigError for certificates that cannot be used."""
    made = requests.Session()
    made.trust_env = False
    made.proxies = proxies(connection)
    made.headers.clear()
    made.headers["User-Agent"] = f"kubectl-vmetrics/{__version__}"
    # The apiserver compares with the bare word: "gzip, deflate" of `requests` is understood, "gzip;q=1.0" is not.
    made.headers["Accept-Encoding"] = "identity" if connection.disable_compression else "gzip"
    made.adapters.clear()
    made.mount(connection.server + "/", Adapter(connection, credentials))
    if connection.insecure:
        import urllib3

        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return made


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
    found: dict[str, str] = requests.utils.get_environ_proxies(connection.server)
    return found


def loopback(host: str) -> bool:
    """Whether a host, by name or address, is this machine."""
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def tls_context(connection: Connection, credentials: Credentials) -> ssl.SSLContext:
    """The TLS settings of a connection: its CA alone, or the system's, and the client certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if connection.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif connection.ca is not None:
        trust(context, connection.ca)
    else:
        context.load_default_certs()
        if not context.cert_store_stats()["x509_ca"] and not ssl.get_default_verify_paths().capath:
            context.load_verify_locations(requests.utils.DEFAULT_CA_BUNDLE_PATH)
    if pair := credentials.certificate():
        load_certificate(context, *pair)
    return context


def trust(context: ssl.SSLContext, authorities: bytes) -> None:
    """Let a TLS context trust authorities, PEM. Raises ConfigError."""
    try:
        context.load_verify_locations(cadata=authorities.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise ConfigError("unable to load root certificates: unable to parse bytes as PEM block", prefix="") from None


def load_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Let a TLS context log in with a certificate, both PEM. Raises ConfigError."""
    # The ssl module takes file names only: a private folder (0700), gone before the first request.
    with tempfile.TemporaryDirectory(prefix="vmetrics-") as folder:
        path = Path(folder, "pair.pem")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(certificate.rstrip() + b"\n" + key)
        try:
            context.load_cert_chain(path, password=_no_password)
        except (ssl.SSLError, ValueError, OSError):
            raise ConfigError(
                "tls: the client certificate and its key cannot be used: not PEM, encrypted, or not a pair", prefix=""
            ) from None


def _no_password() -> str:
    # Without this, OpenSSL would ask at the terminal.
    raise ValueError("the key is encrypted")
