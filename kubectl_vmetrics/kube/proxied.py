"""Requests through a proxy: one pooled `requests` session per connection.

What `requests` would decide on its own is decided here, as in kubectl: only the cluster's own CA is trusted
where it has one, ~/.netrc and REQUESTS_CA_BUNDLE are not asked, redirects are not followed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3 import HTTPHeaderDict

from . import pools
from .credentials import Credentials
from .failures import timed_out, unreachable
from .kubeconfig import Connection
from .lean_requests import HTTPAdapter, requests
from .tls import tls_context
from .transport import POOL_SIZE, Dropped, Timeouts, proxies, standing_headers


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
        if urlsplit(proxy).scheme in pools.CLASSES:  # others have pools of their own
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


class Proxied:
    """Sends requests to one server through a proxy.

    Raises:
        ConfigError: certificates that cannot be used.
    """

    def __init__(self, connection: Connection, credentials: Credentials) -> None:
        self._server = connection.server
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.proxies = proxies(connection)
        self._session.headers.clear()
        self._session.headers.update(standing_headers(connection))
        self._session.adapters.clear()
        self._connection, self._credentials = connection, credentials
        self._mount()
        if connection.insecure:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeouts: Timeouts
    ) -> ProxiedReply:
        """See transport.Transport."""
        if self._credentials.generation != self._generation:
            self._mount()
        try:
            response = self._session.request(
                method,
                self._server + path,
                data=body,
                headers=dict(headers),
                stream=True,
                allow_redirects=False,
                timeout=(timeouts.connect, timeouts.read),
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            failure = unreachable(error, self._server)
            if isinstance(error, requests.ConnectionError) and not isinstance(error, requests.Timeout):
                raise Dropped(failure) from None
            raise failure from None
        return ProxiedReply(response, self._server)

    def _mount(self) -> None:
        """Connect with the certificate and the authority that there are now."""
        adapter = Adapter(self._connection, self._credentials)
        self._generation = self._credentials.generation
        self._session.mount(self._server + "/", adapter)


class ProxiedReply:
    """See transport.Reply."""

    def __init__(self, response: requests.Response, server: str) -> None:
        self._response = response
        self._server = server
        self.status = response.status_code
        self.reason = response.reason or ""
        self.headers: Any = response.headers

    def read(self, size: int) -> bytes:
        """See transport.Reply."""
        try:
            found: bytes = self._response.raw.read1(size, decode_content=False)
        except urllib3.exceptions.ReadTimeoutError:
            raise timed_out("reading body") from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise unreachable(error, self._server) from None
        return found

    def __enter__(self) -> ProxiedReply:
        """For `with`."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give the connection back, or close it."""
        self._response.close()
