"""Requests to one apiserver: time limits, retries, decoding, concurrency. The only place where requests are made."""

from __future__ import annotations

import contextlib
import copy
import http.client
import logging
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from . import body as bodies
from . import cancel
from .credentials import Credentials, in_cluster
from .errors import BadAnswer, ConnectionFailed, Redirected, StatusError, Unauthorized
from .failures import refused, timed_out, unreachable
from .kubeconfig import Connection, login_apart
from .limits import ERROR, REVIEW, Limits
from .limits import of as limits_of
from .transport import Dropped, Reply, Timeouts, Transport, proxies, standing_headers

T = TypeVar("T")

CONNECT_TIMEOUT = 30.0
"""Seconds to reach a server, as Go's default dialer allows."""

DEFAULT_TIMEOUT = 60.0
"""Seconds for a request where the user did not say: the apiserver itself gives up on ordinary requests then."""

MAX_RETRIES = 10
"""k8s.io/client-go/rest/request.go retries as often where the server says when to come back."""

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
PARTIAL_OBJECT = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"

_log = logging.getLogger("kubectl_vmetrics.http")


class Answer(msgspec.Struct, frozen=True):
    """A successful answer.

    Attributes:
        body: decompressed.
        content_type: as sent, "" where it was not.
    """

    body: bytearray
    content_type: str = ""


class Stream(NamedTuple):
    """A successful answer that is still coming.

    Attributes:
        chunks: its body, decompressed; raises ConnectionFailed.
        content_type: as sent, "" where it was not.
    """

    chunks: Iterator[bytes]
    content_type: str


class Client:
    """A client for one cluster. Safe to use from several threads."""

    def __init__(self, connection: Connection) -> None:
        if connection.in_cluster:
            connection = in_cluster(connection)
        connection = login_apart(connection)
        self.connection = connection
        self.credentials = Credentials(connection)
        self._transport = _transport(connection, self.credentials)
        self._answered = False

    def through(self, wrap: Callable[[Transport], Transport]) -> Client:
        """A client of the same cluster with another transport, which may use this one's."""
        other = copy.copy(self)
        other._transport = wrap(self._transport)
        return other

    @property
    def namespace(self) -> str:
        """The namespace if a command does not specify one."""
        return self.connection.namespace

    def get(
        self,
        path: str,
        params: Mapping[str, str | int | None] | None = None,
        *,
        accept: str = JSON,
        limit: float | None = None,
        limits: Limits | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """GET a path.

        Args:
            path: from the root, its parts already escaped (see `escape`).
            params: the query; None values are left out.
            accept: JSON must be asked for by name: some servers behind the apiserver prefer protobuf.
            limit: timeout in seconds, if it is shorter than the connection's.
            limits: how much is read; None for what `limits.of` says of the path, of text that is kept whole.
            headers: additional headers, for servers behind the apiserver's proxy.

        Raises:
            StatusError: an answer of 400 or more.
            ConnectionFailed: no answer, or none in time.
            TooLarge: an answer beyond the limits.
            BadAnswer: one in an encoding that was not asked for.
            ConfigError: credentials are not available.
        """
        deadline = self._deadline()
        if limit is not None:
            deadline = min(deadline or math.inf, time.monotonic() + limit)
        response = self._retrying(path, params, accept, deadline, headers=headers)
        limits = limits or limits_of(path, kept=True)
        with response:
            body = bodies.whole(self._chunks(response, deadline, limits, path), limits, path)
            return Answer(body, response.headers.get("Content-Type", ""))

    @contextlib.contextmanager
    def stream(
        self,
        path: str,
        params: Mapping[str, str | int | None] | None = None,
        *,
        accept: str = JSON,
        limit: float | None = None,
        limits: Limits | None = None,
    ) -> Iterator[Stream]:
        """GET a path and stream the answer. Raises as `get`, also while the answer is read.

        Args:
            path: as `get`.
            params: as `get`.
            accept: as `get`.
            limit: timeout in seconds; None for the connection's.
            limits: as `get`.
        """
        deadline = time.monotonic() + limit if limit else self._deadline()
        response = self._retrying(path, params, accept, deadline)
        with response:
            chunks = self._chunks(response, deadline, limits or limits_of(path), path)
            yield Stream(chunks, response.headers.get("Content-Type", ""))

    def create(self, path: str, body: object, decoder: msgspec.json.Decoder[T]) -> T:
        """POST an object and decode the answer; used only for reviews, which create nothing.

        Raises:
            StatusError, ConnectionFailed, ConfigError: as `get`.
            BadAnswer: as `decode`.
        """
        deadline = self._deadline()
        response = self._retrying(path, None, JSON, deadline, msgspec.json.encode(body))
        with response:
            content = bodies.whole(self._chunks(response, deadline, REVIEW, path), REVIEW, path)
            return decode(Answer(content, response.headers.get("Content-Type", "")), decoder, path)

    def ask(
        self,
        path: str,
        form: Mapping[str, str],
        *,
        post: bool,
        limit: float,
        limits: Limits,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a form, which changes nothing, to a server that takes its time for the answer.

        Args:
            path: as `get`.
            form: the fields.
            post: whether they are in the body; in the path if not.
            limit: timeout in seconds, longer than others as well; --request-timeout takes precedence.
            limits: how much is read.
            headers: additional headers.

        Raises as `get`.
        """
        own = self.connection.timeout
        deadline = time.monotonic() + (own or limit)
        if (scope := cancel.current()) and scope.deadline is not None:
            deadline = min(deadline, scope.deadline)
        if post:
            more = {**(headers or {}), "Content-Type": FORM}
            response = self._retrying(path, None, JSON, deadline, urlencode(form).encode(), more)
        else:
            response = self._retrying(path, form, JSON, deadline, headers=headers)
        with response:
            body = bodies.whole(self._chunks(response, deadline, limits, path), limits, path)
            return Answer(body, response.headers.get("Content-Type", ""))

    def _deadline(self) -> float | None:
        limit = DEFAULT_TIMEOUT if self.connection.timeout is None else self.connection.timeout
        own = time.monotonic() + limit if limit else None
        scope = cancel.current()
        return min(own or math.inf, scope.deadline) if scope and scope.deadline is not None else own

    def _retrying(
        self,
        path: str,
        params: Mapping[str, str | int | None] | None,
        accept: str,
        deadline: float | None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        query = urlencode([(key, value) for key, value in (params or {}).items() if value is not None])
        url = f"{path}?{query}" if query else path
        renewed = resent = False
        attempt = 0
        while True:
            try:
                return self._once(url, accept, deadline, body, headers or {})
            except _Retry as retry:
                import random

                attempt += 1
                # Jitter, so that a hundred clients that were refused together do not come back together.
                wait = retry.after + random.uniform(0, min(1.0, 0.1 + retry.after / 4))  # noqa: S311
                if attempt > MAX_RETRIES or (deadline and time.monotonic() + wait > deadline):
                    raise retry.error from None
                cancel.sleep(wait)
            except Unauthorized:
                if renewed or not self.credentials.renewable():
                    raise
                renewed = True
                self.credentials.forget()
            except Dropped as dropped:
                # A pooled connection that the server closed while it was idle: Go's client asks again as well.
                if resent or not self._answered:
                    raise dropped.error from None
                resent = True

    def decode(
        self,
        path: str,
        decoder: msgspec.json.Decoder[T],
        params: Mapping[str, str | int | None] | None = None,
        *,
        accept: str = JSON,
    ) -> T:
        """GET a path and decode its JSON. Raises what `get` raises, and BadAnswer."""
        return decode(self.get(path, params, accept=accept), decoder, path)

    def _once(
        self, url: str, accept: str, deadline: float | None, body: bytes | None, more: Mapping[str, str]
    ) -> Reply:
        headers = {**({"Content-Type": JSON} if body is not None else {}), **more, "Accept": accept}
        if header := self.credentials.authorization():
            headers["Authorization"] = header
        cancel.check()
        started = time.monotonic()
        left = max(0.001, deadline - started) if deadline else None
        full = self.connection.server + url
        method = "GET" if body is None else "POST"
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("%s %s", method, full)
            # Additional headers are for servers behind the apiserver, or other servers: keys among them are the user's.
            shown = {**standing_headers(self.connection), **headers, **dict.fromkeys(more, _MASKED), **_plain(more)}
            _log_headers("Request headers:", shown)
        try:
            timeouts = Timeouts(min(CONNECT_TIMEOUT, left or CONNECT_TIMEOUT), left)
            response = self._transport.send(method, url, headers, body, timeouts)
        except (ConnectionFailed, Dropped):
            cancel.check()
            raise
        except UnicodeError:
            raise ConnectionFailed(
                f"Unable to connect to the server: {self.connection.server}: not a host name"
            ) from None
        status = f"{response.status} {response.reason}".strip()
        _log.info("%s %s %s in %d milliseconds", method, full, status, (time.monotonic() - started) * 1000)
        if _log.isEnabledFor(logging.DEBUG - 1):
            # A server may repeat what it was sent, in a Location for instance.
            told = {name: value if name.lower() in _SAID else _MASKED for name, value in response.headers.items()}
            _log_headers("Response headers:", told)
        self._answered = True
        if response.status < 300:
            return response
        with response:
            if response.status < 400:
                raise Redirected(f"the server answered {url.partition('?')[0]} with a redirect: is this an API server?")
            said = bodies.beginning(self._chunks(response, deadline, limits_of(url), url), ERROR)
            error_ = refused(response.status, said, url)
            after = response.headers.get("Retry-After", "")
            if response.status in (429, 503) and re.fullmatch(r"[0-9]{1,6}", after):
                raise _Retry(error_, float(after))
            raise error_

    def _chunks(self, response: Reply, deadline: float | None, limits: Limits, path: str) -> Iterator[bytes]:
        try:
            # What has come is read: a server that sends a byte at a time cannot outlive the deadline.
            for chunk in bodies.pieces(response.read, response.headers.get("Content-Encoding", ""), limits, path):
                yield chunk
                cancel.check()
                if deadline and time.monotonic() > deadline:
                    raise timed_out("reading body")
            cancel.check()  # what a socket that was shut down gives is not the end of the answer
        except http.client.HTTPException as error:
            cancel.check()
            raise unreachable(error, self.connection.server) from None
        except ConnectionFailed:
            cancel.check()
            raise


class _Retry(Exception):
    def __init__(self, error: StatusError, after: float) -> None:
        super().__init__()
        self.error = error
        self.after = after


def _transport(connection: Connection, credentials: Credentials) -> Transport:
    if proxies(connection):
        from .proxied import Proxied

        return Proxied(connection, credentials)
    from .direct import Direct

    return Direct(connection, credentials)


def escape(part: str) -> str:
    """One part of a path, safe to put between slashes."""
    return quote(part, safe=":")


def decode(answer: Answer, decoder: msgspec.json.Decoder[T], path: str) -> T:
    """The typed content of an answer. Raises BadAnswer; the message holds nothing of the content."""
    try:
        return decoder.decode(answer.body)
    except msgspec.ValidationError as error:
        raise BadAnswer(f"unexpected response to {path}: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        if "truncated" in str(error):
            raise BadAnswer(f"the response to {path} is truncated: unexpected end of JSON input") from None
        what = answer.content_type.partition(";")[0] or "unknown content"
        raise BadAnswer(f"the response to {path} is not JSON ({what}): is this an API server?") from None


_MASKED = "<masked>"
_SAID = (
    *(
        "audit-id",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "server",
    ),
    *("retry-after", "transfer-encoding", "vary", "warning"),
    *("x-kubernetes-pf-flowschema-uid", "x-kubernetes-pf-prioritylevel-uid"),
)
"""Headers of answers that are logged as they are."""


def _plain(headers: Mapping[str, str]) -> dict[str, str]:
    """Those that are never secret."""
    return {name: value for name, value in headers.items() if name.lower() in ("content-type", "x-scope-orgid")}


def _log_headers(title: str, headers: Mapping[str, str]) -> None:
    """A line each, so that none can pass for a line of the log."""
    hidden = {"authorization", "cookie", "set-cookie", "proxy-authorization"}
    _log.debug(title)
    for name, value in headers.items():
        _log.debug("    %s: %s", name, _MASKED if name.lower() in hidden else value)
