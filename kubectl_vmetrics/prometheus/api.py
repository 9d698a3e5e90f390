"""Prometheus' HTTP API: queries over any way, bounded in size and time, asked again where a server restarts.

The apiserver does not pass on `Authorization` to a Service, so servers that require a token cannot be asked in this way
(k8s.io/apimachinery pkg/util/proxy/upgradeaware.go and k8s.io/apiserver, which strip it).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from kubectl_vmetrics.kube import cancel
from kubectl_vmetrics.kube.client import decode
from kubectl_vmetrics.kube.errors import (
    BadAnswer,
    ConnectionFailed,
    Forbidden,
    Redirected,
    StatusError,
    TimedOut,
    TooLarge,
    VmetricsError,
)
from kubectl_vmetrics.kube.limits import Limits
from kubectl_vmetrics.kube.lists import decoder

from . import ranges
from .answer import Build, Envelope, Matrix, Part, Runtime, Sample, Series, Vector
from .find import Candidate
from .way import Way

T = TypeVar("T")

LIMIT = 15.0
"""Seconds for a request that is answered at once."""
QUERY = 130.0
"""Seconds for a query: Prometheus itself gives up on one after two minutes (--query.timeout)."""
ANSWER = Limits(16 << 20, objects=200_000, values=2_000_000)
"""A few thousand series have one MiB; the label names of a large server, a quarter of one."""
LARGE = Limits(192 << 20, objects=2_000_000, values=12_000_000)
"""A vector of 200,000 pods has 25 MiB and 600,000 objects; a part of a range, `ranges.POINTS` more."""
SHORT = 4000
"""Bytes of a query that still goes into a path: POST takes the right to create services/proxy, which readers lack."""
WAITS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0)
"""Seconds before a server that has answered before is asked again: a restart takes that long."""
_REFUSED = re.compile(r'.* is forbidden: User ".*" cannot (get|create) resource "services/proxy" in API group "".*')
_CREATE = re.compile(r'.* is forbidden: User ".*" cannot create resource "services/proxy" in API group "".*')
_NOWHERE = re.compile(r'no endpoints available( for service "[^"]{1,300}")?|services "[^"]{1,253}" not found')
"""What the apiserver itself says. Any other Status may be the server's own."""
_ERROR = re.compile(r'"errorType":\s*"([a-z_]{1,30})"')
_TOO_MUCH = re.compile(
    r"too many samples|exceeded maximum resolution|too many points|maxSamplesPerQuery|maxPointsPerTimeseries"
    r"|err-mimir-(max-|the-query)|exceeded (series|chunks|sample|bytes)|exceeds the limit|too large"
    r"|query timed out|context deadline exceeded|timeout exceeded",
    re.IGNORECASE,
)
"""What Prometheus, Thanos, Mimir and VictoriaMetrics say where fewer steps may do."""
_MEANING = {
    "bad_data": "it does not accept the query",
    "execution": "it cannot evaluate the query",
    "timeout": "the query took too long",
    "canceled": "the query was canceled",
    "unavailable": "it is not ready",
    "too_many_requests": "it received too many requests",
    "not_found": "it does not have this endpoint",
    "internal": "it has an internal error",
}


class QueryFailed(VmetricsError):
    """The server answered, but not with a result. The message holds nothing of its answer but the type of error."""


class Closed(QueryFailed):
    """The server requires credentials, or others."""


class TooMuch(QueryFailed, ranges.TooMuch):
    """The query is too much for the server."""


class Prometheus:
    """A server to ask. Safe to use from several threads.

    Args:
        way: leads to it.
        limit: seconds for a query.
        limits: of an answer.
        matchers: see below.

    Attributes:
        matchers: of labels, as PromQL, that select the series of one cluster where several are kept together; "" for
            all. Expressions must contain them.
        jobs: names of jobs that the user names, by what they scrape: {"kube-state-metrics": "ksm"}.
        warnings: what is to be said of incomplete answers; nothing in it is the server's own text.
    """

    def __init__(self, way: Way, *, limit: float = QUERY, limits: Limits = LARGE, matchers: str = "") -> None:
        self._way = way
        self.matchers = matchers
        self.jobs: Mapping[str, str] = {}
        self._limit = limit
        self._limits = limits
        self._answered = False
        self._posts = True
        self.warnings: set[str] = set()

    def __repr__(self) -> str:
        """Never a header."""
        return f"Prometheus({self.name!r})"

    @property
    def name(self) -> str:
        """For messages and tables: its Service as namespace/name, or its URL without user and password."""
        return self._way.name

    @property
    def candidate(self) -> Candidate | None:
        """The Service; None where it is asked by a URL."""
        return self._way.candidate

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
        form = {"query": expression, **({} if at is None else {"time": _seconds(at)})}
        found: Envelope[Vector] = self._ask("query", form, Envelope[Vector])
        return found.data.result

    def number(self, expression: str, *, at: float | None = None) -> float:
        """The only value of an instant query; 0 where its result is empty, as that of a count is. Raises as `query`."""
        found = self.query(expression, at=at)
        return found[0].number if found else 0.0

    def parts(self, expression: str, start: float, end: float, step: float, *, series: int = 0) -> Iterator[Part]:
        """The result of a range query, part by part in order of time; of sizes that both sides bear.

        Args:
            expression: PromQL whose result is a vector.
            start: the first step, seconds since the epoch.
            end: no step is later.
            step: seconds; whole milliseconds.
            series: how many the result is expected to have, for parts of the right size at once; 0 if not known.

        Raises as `query`, and ValueError where there is no such range.
        """

        def ask(first: float, last: float) -> list[Series]:
            # With its cache, VictoriaMetrics moves start and end to multiples of the step; others ignore the word.
            moments = {"start": _seconds(first), "end": _seconds(last), "step": f"{step:.3f}"}
            form = {"query": expression, **moments, "nocache": "1"}
            try:
                found: Envelope[Matrix] = self._ask("query_range", form, Envelope[Matrix])
            except TimedOut as error:
                raise TooMuch(f"{self.name} does not answer in time: {error.message}", hint=error.hint) from None
            return found.data.result

        return ranges.parts(ask, start, end, step, series)

    def oldest(self, expression: str = "up", *, now: float, most: float = 400 * 86400.0) -> float | None:
        """How far back there are samples, within five minutes; a day without any ends the search.

        Args:
            expression: a vector, of which one sample will do.
            now: seconds since the epoch; a sample of that time is needed.
            most: seconds before `now` that are looked at; whole days.

        Returns:
            Seconds since the epoch; None if there are none at all. Raises as `query`.
        """
        start, end = now - most, now
        for step in (86400.0, 3600.0, 300.0):
            seen = [
                series.values[0][0]
                for part in self.parts(f"group({expression})", start, end, step, series=1)
                for series in part.series
                if series.values
            ]
            if not seen:
                return None
            end = min(seen)
            start = max(now - most, end - step)
        return end

    def label_names(self) -> list[str]:
        """The names of all labels of the series that it has; no values. Raises as `query`."""
        # Without a start, VictoriaMetrics answers for the last day only.
        found: Envelope[list[str]] = self._ask("labels", {"start": "0"}, Envelope[list[str]], quick=True)
        return found.data

    def build(self) -> Build:
        """Its version; empty where it has no such endpoint. Raises as `query`."""
        return self._status("status/buildinfo", Build)

    def runtime(self) -> Runtime:
        """How long it keeps samples; empty where it has no such endpoint. Raises as `query`."""
        return self._status("status/runtimeinfo", Runtime)

    def _status(self, name: str, kind: type[T]) -> T:
        try:
            found: Envelope[T] = self._ask(name, {}, Envelope[kind], quick=True)  # type: ignore[valid-type]
        except QueryFailed:
            return kind()
        return found.data

    def _ask(self, name: str, form: Mapping[str, str], kind: Any, *, quick: bool = False) -> Any:
        """The decoded answer; asked again while a server that has answered before is away."""
        for wait in (*WAITS, None):
            try:
                found = self._once(name, form, kind, quick)
            except (ConnectionFailed, _Away) as error:
                final = error.error if isinstance(error, _Away) else error
                if wait is None or not self._answered or isinstance(error, (TimedOut, cancel.Cancelled)):
                    raise final from None
                cancel.sleep(wait)
            else:
                self._answered = True
                if found.incomplete:
                    self.warnings.add(f"{self.name} gave a partial answer: not all of its stores answered")
                return found
        raise AssertionError  # the last wait is None

    def _once(self, name: str, form: Mapping[str, str], kind: Any, quick: bool) -> Any:
        way = self._way
        path = f"{way.base}/api/v1/{name}"
        limit, limits = (min(LIMIT, self._limit), ANSWER) if quick else (self._limit, self._limits)
        size = sum(len(value) for value in form.values())
        post = not quick and self._posts and (not way.apiserver or size > SHORT)
        try:
            answer = way.client.ask(path, form, post=post, limit=limit, limits=limits, headers=way.headers)
            return decode(answer, decoder(kind), path)
        except TooLarge as error:
            raise TooLarge(error.message.replace("the server", self.name, 1)) from None
        except Redirected:
            raise QueryFailed(f"{self.name} redirects to another address: use that one with --prometheus") from None
        except BadAnswer:
            raise QueryFailed(f"{self.name} does not answer as Prometheus does") from None
        except StatusError as error:
            # What stands before it may let readers through only; through the apiserver, POST takes the right to create.
            if post and (error.code == 405 or _CREATE.fullmatch(error.message)):
                self._posts = False
                return self._once(name, form, kind, quick)
            failure = self._failed(error)
            if error.code in (502, 503) and not isinstance(failure, TooMuch):
                raise _Away(failure) from None
            raise failure from None

    def _failed(self, error: StatusError) -> VmetricsError:
        """What a refusal means, without the server's own words: those may name series, and what is in them."""
        through = self._way.apiserver
        if through and "error trying to reach service" in error.body:
            return StatusError("error trying to reach service", code=error.code, reason=error.reason)
        if through and isinstance(error, Forbidden) and _REFUSED.fullmatch(error.message) and not error.body:
            return error
        if error.code in (401, 403):
            return Closed(self._closed(error.code))
        if through and not error.body and _NOWHERE.fullmatch(error.message):
            return error
        if error.code == 413 or _TOO_MUCH.search(error.body):
            return TooMuch(f"{self.name} answered {error.code}: the query is too large for it")
        kind = _ERROR.search(error.body)
        meaning = f" ({kind[1]}){f': {_MEANING[kind[1]]}' if kind[1] in _MEANING else ''}" if kind else ""
        return QueryFailed(f"{self.name} answered {error.code}{meaning}")

    def _closed(self, code: int) -> str:
        if self._way.apiserver:
            return f"{self.name} requires credentials, which the apiserver does not pass on"
        if not self._way.authenticates:
            return f"{self.name} requires credentials: see kubectl vmetrics help prometheus"
        return f"{self.name} does not accept these credentials ({code})"


class _Away(Exception):
    """The server is not ready, or what stands before it cannot reach it."""

    def __init__(self, error: VmetricsError) -> None:
        super().__init__()
        self.error = error


def _seconds(moment: float) -> str:
    return f"{moment:.3f}" if math.isfinite(moment) else "0"
