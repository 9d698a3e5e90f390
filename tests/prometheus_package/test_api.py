"""What is asked of a Prometheus through the apiserver, and what comes of each kind of answer."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterator
from typing import Any

import pytest

from kubectl_vmetrics.demo import server
from kubectl_vmetrics.kube import errors
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.kubeconfig import Connection
from kubectl_vmetrics.prometheus import api
from kubectl_vmetrics.prometheus.answer import Build, Runtime, Sample
from kubectl_vmetrics.prometheus.api import Closed, Prometheus, QueryFailed
from kubectl_vmetrics.prometheus.find import Candidate
from kubectl_vmetrics.prometheus.way import by_service

SECRET = "eyJhbGciOi"
PLACE = Candidate("mon", "prom", "Prometheus", "http", 9090)
BASE = "/api/v1/namespaces/mon/services/http:prom:9090/proxy"


class Answering:
    """A WSGI application that answers all with one reply, and keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.reply: tuple[int, str, bytes, dict[str, str]] = (200, "application/json", b"", {})

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.asked.append(dict(environ))
        code, kind, body, headers = self.reply
        start_response(f"{code} x", [("Content-Type", kind), ("Content-Length", str(len(body))), *headers.items()])
        return [body]

    def says(self, body: Any, code: int = 200, kind: str = "application/json", **headers: str) -> None:
        found = (
            body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        )
        self.reply = (code, kind, found, {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Answering, Client]]:
    application = Answering()
    with server.serving(application) as url:
        yield application, Client(Connection(server=url))


@pytest.fixture
def answering(running: tuple[Answering, Client]) -> Answering:
    running[0].asked.clear()
    return running[0]


@pytest.fixture
def prometheus(running: tuple[Answering, Client]) -> Prometheus:
    return Prometheus(by_service(running[1], PLACE))


def vector(*samples: Any) -> Any:
    return {"status": "success", "data": {"resultType": "vector", "result": list(samples)}}


def test_a_query(answering: Answering, prometheus: Prometheus) -> None:
    answering.says(
        vector({"metric": {"job": "a"}, "value": [1764000000.123, "2.5"]}, {"metric": {}, "value": [1, "NaN"]})
    )
    found = prometheus.query('sum(up{job="a"} > 1)')

    assert found == [Sample({"job": "a"}, (1764000000.123, "2.5")), Sample({}, (1, "NaN"))]
    assert found[0].number == 2.5
    assert math.isnan(found[1].number)
    (asked,) = answering.asked
    assert (asked["REQUEST_METHOD"], asked["PATH_INFO"]) == ("GET", f"{BASE}/api/v1/query")
    assert asked["QUERY_STRING"] == "query=sum%28up%7Bjob%3D%22a%22%7D+%3E+1%29"


def test_at_a_time(answering: Answering, prometheus: Prometheus) -> None:
    answering.says(vector({"metric": {}, "value": [1, "+Inf"]}))
    assert prometheus.number("up", at=1764000000) == float("inf")
    assert answering.asked[0]["QUERY_STRING"] == "query=up&time=1764000000.000"


@pytest.mark.parametrize(("value", "number"), [("1e3", 1000.0), ("-Inf", float("-inf")), ("0x10", None), ("", None)])
def test_numbers(value: str, number: float | None) -> None:
    found = Sample({}, (1, value)).number
    assert math.isnan(found) if number is None else found == number


def test_an_empty_result_is_a_count_of_nothing(answering: Answering, prometheus: Prometheus) -> None:
    answering.says(vector())
    assert prometheus.number("count(nothing)") == 0.0


def test_names_of_labels(answering: Answering, prometheus: Prometheus) -> None:
    answering.says({"status": "success", "data": ["__name__", "job"]})
    assert prometheus.label_names() == ["__name__", "job"]
    assert (answering.asked[0]["PATH_INFO"], answering.asked[0]["QUERY_STRING"]) == (f"{BASE}/api/v1/labels", "start=0")


def test_what_it_is(answering: Answering, prometheus: Prometheus) -> None:
    answering.says({"status": "success", "data": {"version": "2.42.0+ds", "storageRetention": "15d", "more": {}}})
    assert prometheus.build() == Build("2.42.0+ds")
    assert prometheus.runtime() == Runtime("15d")
    assert [item["PATH_INFO"].removeprefix(BASE) for item in answering.asked] == [
        "/api/v1/status/buildinfo",
        "/api/v1/status/runtimeinfo",
    ]
    answering.says("404 page not found\n", 404, "text/plain")
    assert (prometheus.build(), prometheus.runtime()) == (Build(), Runtime())


def test_a_prefix_and_headers(answering: Answering, running: tuple[Answering, Client]) -> None:
    place = Candidate("mon", "mimir", "Mimir", "https", 443, "/prometheus", {"X-Scope-OrgID": "anonymous"})
    answering.says(vector())
    Prometheus(by_service(running[1], place)).query("up")

    (asked,) = answering.asked
    assert asked["PATH_INFO"] == "/api/v1/namespaces/mon/services/https:mimir:443/proxy/prometheus/api/v1/query"
    assert asked["HTTP_X_SCOPE_ORGID"] == "anonymous"
    assert asked["HTTP_ACCEPT"] == "application/json"


def status(code: int, reason: str, message: str) -> str:
    return json.dumps({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message})


RIGHT = 'services "http:prom:9090" is forbidden: User "u" cannot get resource "services/proxy" in API group "" in the namespace "mon"'
ABSENT = 'no endpoints available for service "http:prom:9090"'
BAD = {"status": "error", "errorType": "execution", "error": f"many-to-many: {{token={SECRET}}} {{token={SECRET}}}"}


@pytest.mark.parametrize(
    ("reply", "kind", "message"),
    [
        # The apiserver's own words.
        ((status(403, "Forbidden", RIGHT), 403), errors.Forbidden, RIGHT),
        ((status(503, "ServiceUnavailable", ABSENT), 503), errors.Unavailable, ABSENT),
        ((status(404, "NotFound", 'services "prom" not found'), 404), errors.NotFound, 'services "prom" not found'),
        (
            ("error trying to reach service: dial tcp 10.0.0.1:9090: connect: connection refused", 503, "text/plain"),
            errors.StatusError,
            "error trying to reach service",
        ),
        # A server that writes a Status of its own.
        ((status(500, "InternalError", SECRET), 500), QueryFailed, "mon/prom answered 500"),
        ((status(404, "NotFound", f'services "x" not found: {SECRET}'), 404), QueryFailed, "mon/prom answered 404"),
        (
            (status(403, "Forbidden", f"services/proxy {SECRET}"), 403),
            Closed,
            "mon/prom requires credentials, which the apiserver does not pass on",
        ),
        # The server's, of which nothing is shown but the type of error.
        ((BAD, 422), QueryFailed, "mon/prom answered 422 (execution): it cannot evaluate the query"),
        (({**BAD, "errorType": SECRET}, 400), QueryFailed, "mon/prom answered 400"),
        ((f"<html>{SECRET}", 500, "text/html"), QueryFailed, "mon/prom answered 500"),
        (("404 page not found", 404, "text/plain"), QueryFailed, "mon/prom answered 404"),
        (("", 404), QueryFailed, "mon/prom answered 404"),
        (
            ("Unauthorized", 401, "text/plain"),
            Closed,
            "mon/prom requires credentials, which the apiserver does not pass on",
        ),
        (
            (f"Forbidden {SECRET}", 403, "text/plain"),
            Closed,
            "mon/prom requires credentials, which the apiserver does not pass on",
        ),
        (("", 403), Closed, "mon/prom requires credentials, which the apiserver does not pass on"),
        # Not the API of Prometheus.
        ((f"<html>log in {SECRET}", 200, "text/html"), QueryFailed, "mon/prom does not answer as Prometheus does"),
        (("", 302), QueryFailed, "mon/prom redirects to another address: use that one with --prometheus"),
        (({"status": "success"}, 200), QueryFailed, "mon/prom does not answer as Prometheus does"),
        (
            ({"status": "success", "data": {"resultType": "scalar", "result": [1, SECRET]}}, 200),
            QueryFailed,
            "mon/prom does not answer as Prometheus does",
        ),
        (
            (vector({"metric": {"a": 1}, "value": [1, SECRET]}), 200),
            QueryFailed,
            "mon/prom does not answer as Prometheus does",
        ),
        (("[" * 100_000, 200), QueryFailed, "mon/prom does not answer as Prometheus does"),
    ],
)
def test_what_comes_of_other_answers(
    reply: tuple[Any, ...], kind: type[errors.VmetricsError], message: str, answering: Answering, prometheus: Prometheus
) -> None:
    answering.says(*reply)
    with pytest.raises(errors.VmetricsError) as caught:
        prometheus.query("up")

    assert (type(caught.value), caught.value.message) == (kind, message)
    assert SECRET not in f"{caught.value!r} {caught.value.line} {getattr(caught.value, 'body', '')}"


@pytest.mark.parametrize("encoded", [False, True])
def test_an_answer_that_is_too_large(encoded: bool, answering: Answering, prometheus: Prometheus) -> None:
    body = b" " * ((16 << 20) + 1)
    if encoded:
        answering.says(gzip.compress(body, 1), Content_Encoding="gzip")
    else:
        answering.says(body)
    with pytest.raises(errors.TooLarge, match=r'service "mon/prom" sent more than 16 MiB'):
        prometheus.label_names()


def test_too_many_series(answering: Answering, running: tuple[Answering, Client]) -> None:
    prometheus = Prometheus(by_service(running[1], PLACE), limits=api.ANSWER._replace(objects=10))
    answering.says(vector(*[{"metric": {}, "value": [1, "1"]}] * 10))
    with pytest.raises(errors.TooLarge):
        prometheus.query("up")
