"""Prometheus' HTTP API through the apiserver's proxy of a Service: GET only, bounded in size and time.

The apiserver does not pass on `Authorization` to a Service, so servers that require a token cannot be asked in this way
(k8s.io/apimachinery pkg/util/proxy/upgradeaware.go and k8s.io/apiserver, which strip it).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from kubectl_vmetrics.kube.client import Client, decode, escape
from kubectl_vmetrics.kube.errors import BadAnswer, Forbidden, StatusError, TooLarge, VmetricsError
from kubectl_vmetrics.kube.limits import Limits
from kubectl_vmetrics.kube.lists import decoder

from .answer import Build, Envelope, Runtime, Sample, Vector
from .find import Candidate

T = TypeVar("T")

LIMIT = 15.0
"""Seconds for one request. Prometheus itself gives up on a query after two minutes."""
ANSWER = Limits(16 << 20, objects=200_000, values=2_000_000)
"""A few thousand series have one MiB; the label names of a large server, a quarter of one."""
_REFUSED = re.compile(r'.* is forbidden: User ".*" cannot get resource "services/proxy" in API group "".*')
_NOWHERE = re.compile(r'no endpoints available( for service "[^"]{1,300}")?|services "[^"]{1,253}" not found')
"""What the apiserver itself says. Any other Status may be the server's own."""
_ERROR = re.compile(r'"errorType":\s*"([a-z_]{1,30})"')


class QueryFailed(VmetricsError):
    """The server answered, but not with a result. The message holds nothing of its answer but the type of error."""


class Closed(QueryFailed):
    """The server requires credentials."""


class Prometheus:
    """A server to ask. Safe to use from several threads.

    Args:
        client: the cluster that it runs in.
        candidate: where it is.
    """

    def __init__(self, client: Client, candidate: Candidate) -> None:
        self._client = client
        self.candidate = candidate

    @property
    def path(self) -> str:
        """The Service, as namespace/name."""
        return self.candidate.path

    def query(self, expression: str, *, at: float | None = None) -> list[Sample]:
        """The result of an instant query.

        Args:
            expression: PromQL whose result is a vector.
            at: seconds since the epoch; None for now.

        Raises:
            QueryFailed: the server refuses it, or is no Prometheus.
            Forbidden: you may not reach Services through the apiserver.
            StatusError: the apiserver cannot reach it.
            ConnectionFailed, TooLarge: as Client.get.
        """
        params = {"query": expression, "time": None if at is None else f"{at:.3f}"}
        found: Envelope[Vector] = self._get("query", params, Envelope[Vector])
        return found.data.result

    def number(self, expression: str, *, at: float | None = None) -> float:
        """The only value of an instant query; 0 where its result is empty, as that of a count is. Raises as `query`."""
        found = self.query(expression, at=at)
        return found[0].number if found else 0.0

    def label_names(self) -> list[str]:
        """The names of all labels of the series that it has; no values. Raises as `query`."""
        # Without a start, VictoriaMetrics answers for the last day only.
        found: Envelope[list[str]] = self._get("labels", {"start": "0"}, Envelope[list[str]])
        return found.data

    def build(self) -> Build:
        """Its version; empty where it has no such endpoint. Raises as `query`."""
        return self._status("status/buildinfo", Build)

    def runtime(self) -> Runtime:
        """How long it keeps samples; empty where it has no such endpoint. Raises as `query`."""
        return self._status("status/runtimeinfo", Runtime)

    def _status(self, name: str, kind: type[T]) -> T:
        try:
            found: Envelope[T] = self._get(name, {}, Envelope[kind])  # type: ignore[valid-type]
        except QueryFailed:
            return kind()
        return found.data

    def _get(self, name: str, params: Mapping[str, str | None], kind: Any) -> Any:
        place = self.candidate
        service = escape(f"{place.scheme}:{place.name}:{place.port}")
        path = f"/api/v1/namespaces/{escape(place.namespace)}/services/{service}/proxy{place.prefix}/api/v1/{name}"
        try:
            answer = self._client.get(path, params, limit=LIMIT, limits=ANSWER, headers=place.headers)
            return decode(answer, decoder(kind), path)
        except TooLarge:
            raise
        except BadAnswer:
            raise QueryFailed(f"{self.path} does not answer as Prometheus does") from None
        except StatusError as error:
            raise self._failed(error) from None

    def _failed(self, error: StatusError) -> VmetricsError:
        """What a refusal means, without the server's own words: those may name series, and what is in them."""
        if "error trying to reach service" in error.body:
            return StatusError("error trying to reach service", code=error.code, reason=error.reason)
        if isinstance(error, Forbidden) and _REFUSED.fullmatch(error.message) and not error.body:
            return error
        if error.code in (401, 403):
            return Closed(f"{self.path} requires credentials, which the apiserver does not pass on")
        if error.body:
            kind = _ERROR.search(error.body)
            return QueryFailed(f"{self.path} answered {error.code}{f' ({kind[1]})' if kind else ''}")
        return error if _NOWHERE.fullmatch(error.message) else QueryFailed(f"{self.path} answered {error.code}")
