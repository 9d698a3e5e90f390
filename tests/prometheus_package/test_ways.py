"""Servers by URL: prefixes, credentials, TLS, faults; through the apiserver and by a forwarded port."""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server

from kubectl_vmetrics.demo import forward, server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.demo.exchange import Reply, Request
from kubectl_vmetrics.kube import errors
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.kubeconfig import Connection
from kubectl_vmetrics.prometheus import api, way
from kubectl_vmetrics.prometheus.answer import Sample
from kubectl_vmetrics.prometheus.api import Closed, Prometheus, QueryFailed, TooMuch
from kubectl_vmetrics.prometheus.find import Candidate, named, pod_of
from kubectl_vmetrics.prometheus.login import Login, header, headers
from tests.prometheus_package.quirky import Asked, Quirky, error, half, reply, vector

START = 1_764_000_000.0
SECRET = "s3cr3t-v4lue"
NONE = Login()
ONE = [Sample({"a": "b"}, (1764000000, "1"))]


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Quirky, str]]:
    application = Quirky()
    with server.serving(application) as url:
        yield application, url


@pytest.fixture
def quirky(served: tuple[Quirky, str], monkeypatch: pytest.MonkeyPatch) -> Quirky:
    monkeypatch.setattr(api, "WAITS", (0.01, 0.01, 0.01))
    served[0].reset()
    return served[0]


Ask = Callable[..., Prometheus]


@pytest.fixture
def at(served: tuple[Quirky, str], quirky: Quirky) -> Ask:
    def prometheus(path: str = "", login: Login = NONE, **more: Any) -> Prometheus:
        return Prometheus(way.by_url(served[1] + path, login, **more))

    return prometheus


# ------------------------------------------------------------------------------------------------------------ URLs


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        ("", ""),
        ("/", ""),
        ("/api/v1", ""),
        ("/api/v1/", ""),
        ("/api/v1/query", ""),
        ("/prometheus", "/prometheus"),
        ("/prometheus/", "/prometheus"),
        ("/select/0/prometheus/api/v1", "/select/0/prometheus"),
        ("/v1/projects/p/location/global/prometheus", "/v1/projects/p/location/global/prometheus"),
    ],
)
def test_a_path_prefix(path: str, prefix: str, at: Ask, quirky: Quirky, served: tuple[Quirky, str]) -> None:
    quirky.prefix = prefix
    found = at(path)

    assert found.name == served[1] + prefix
    assert found.query("up", at=5) == ONE
    (asked,) = quirky.asked
    assert (asked.method, asked.path) == ("POST", f"{prefix}/api/v1/query")
    assert asked.form == {"query": "up", "time": "5.000"}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (f"ftp://h/{SECRET}", "--prometheus is not a URL: use http://HOST:PORT/PREFIX or https://…"),
        ("http://", "--prometheus is not a URL: use http://HOST:PORT/PREFIX or https://…"),
        (f"http://u:{SECRET}@h:99999/", "--prometheus is not a URL: use http://HOST:PORT/PREFIX or https://…"),
        (f"http://[{SECRET}", "--prometheus is not a URL: use http://HOST:PORT/PREFIX or https://…"),
        (
            f"http://h/?token={SECRET}",
            "--prometheus: use a URL without a query, a fragment, spaces and non-ASCII letters",
        ),
        (f"http://h/#{SECRET}", "--prometheus: use a URL without a query, a fragment, spaces and non-ASCII letters"),
        (f"http://h/{SECRET}\n", "--prometheus: use a URL without a query, a fragment, spaces and non-ASCII letters"),
    ],
)
def test_what_is_no_url(url: str, message: str) -> None:
    with pytest.raises(errors.UsageError) as caught:
        way.by_url(url, Login())
    assert caught.value.message == message


# ----------------------------------------------------------------------------------------------------- credentials


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def script(folder: Path, text: str) -> tuple[str, ...]:
    path = folder / "token"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return (str(path),)


def test_basic_auth(at: Ask, quirky: Quirky, served: tuple[Quirky, str]) -> None:
    quirky.guard = lambda asked: asked.headers.get("authorization") == basic("ann", SECRET)

    assert at("", Login(username="ann", password=SECRET)).query("up") == ONE
    # In the URL as well, which no message repeats.
    url = served[1].replace("://", f"://ann:{SECRET}@")
    found = Prometheus(way.by_url(url, Login()))
    assert found.query("up") == ONE
    assert (found.name, repr(found)) == (served[1], f"Prometheus('{served[1]}')")
    with pytest.raises(Closed) as caught:
        at("", Login(username="ann", password="other")).query("up")
    assert caught.value.message == f"{served[1]} does not accept these credentials (401)"
    with pytest.raises(Closed) as caught:
        at().query("up")
    assert caught.value.message == f"{served[1]} requires credentials: see kubectl vmetrics help prometheus"


def test_a_token_and_a_token_file(at: Ask, quirky: Quirky, tmp_path: Path) -> None:
    accepted = [f"Bearer {SECRET}"]
    quirky.guard = lambda asked: asked.headers.get("authorization") in accepted
    path = tmp_path / "token"
    path.write_text(f"{SECRET}\n")

    assert at("", Login(token=SECRET)).query("up") == ONE
    found = at("", Login(token_file=str(path)))
    assert found.query("up") == ONE
    # It is replaced while the command runs; the server knows before we do.
    path.write_text("next")
    accepted[:] = ["Bearer next"]
    assert found.query("up") == ONE


@pytest.mark.parametrize(
    "printed",
    [
        SECRET,
        json.dumps(
            {"kind": "ExecCredential", "status": {"token": SECRET, "expirationTimestamp": "2099-01-01T00:00:00Z"}}
        ),
        json.dumps({"accessToken": SECRET, "expiresOn": "2099-01-01 00:00:00.000000", "expires_on": 4070908800}),
        json.dumps({"token": SECRET}),
    ],
)
def test_a_token_command(printed: str, at: Ask, quirky: Quirky, tmp_path: Path) -> None:
    quirky.guard = lambda asked: asked.headers.get("authorization") == f"Bearer {SECRET}"
    count = tmp_path / "count"
    command = script(tmp_path, f"echo x >> {count}\ncat <<'END'\n{printed}\nEND")
    found = at("", Login(command=command))

    assert [found.query("up"), found.query("up")] == [ONE, ONE]
    assert count.read_text() == "x\n"


def test_a_token_that_expired_is_fetched_again(at: Ask, quirky: Quirky, tmp_path: Path) -> None:
    count = tmp_path / "count"
    command = script(tmp_path, f"echo x >> {count}\nwc -l < {count} | tr -d ' '")
    found = at("", Login(command=command))
    quirky.guard = lambda asked: asked.headers["authorization"] == "Bearer 1"
    assert found.query("up") == ONE
    quirky.guard = lambda asked: asked.headers["authorization"] == "Bearer 2"
    assert found.query("up") == ONE
    # Refused once more, it is not fetched for ever.
    quirky.guard = lambda asked: False
    with pytest.raises(Closed):
        found.query("up")
    assert count.read_text() == "x\n" * 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("exit 3", "token command: {} failed with exit code 3"),
        (f"echo {SECRET}; exit 1", "token command: {} failed with exit code 1"),
        ("true", "token command: {} printed no token: expected one line, or an ExecCredential as JSON"),
        (
            f"echo {SECRET} {SECRET}",
            "token command: {} printed no token: expected one line, or an ExecCredential as JSON",
        ),
        (
            f'echo \'{{"x": "{SECRET}"}}\'',
            "token command: {} printed no token: expected one line, or an ExecCredential as JSON",
        ),
        ("echo '{'", "token command: {} printed no token: expected one line, or an ExecCredential as JSON"),
    ],
)
def test_token_commands_that_fail(text: str, message: str, at: Ask, quirky: Quirky, tmp_path: Path) -> None:
    command = script(tmp_path, text)
    with pytest.raises(errors.ConfigError) as caught:
        at("", Login(command=command)).query("up")
    assert caught.value.message == message.format(command[0])
    assert quirky.asked == []


def test_a_token_command_that_is_missing(at: Ask) -> None:
    with pytest.raises(errors.ConfigError, match="token command: executable no-such-program not found"):
        at("", Login(command=("no-such-program",))).query("up")


def test_headers_and_a_tenant(at: Ask, quirky: Quirky, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{SECRET}\n")
    given = headers(["X-One: 1", f"X-Two:@{tmp_path}/key", "x-one:2"])
    assert given == {"x-one": "2", "X-Two": SECRET}
    at("", Login(headers=given, tenant="team-a")).query("up")

    (asked,) = quirky.asked
    assert [asked.headers[name] for name in ("x-one", "x-two", "x-scope-orgid")] == ["2", SECRET, "team-a"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (SECRET, "--prometheus-header: use NAME:VALUE, or NAME:@FILE to read the value from a file"),
        (f"a b:{SECRET}", "--prometheus-header: use NAME:VALUE, or NAME:@FILE to read the value from a file"),
        (f"Host:{SECRET}", "--prometheus-header: Host cannot be set"),
        (
            f"X:{SECRET}\r\nY: z",
            "--prometheus-header: the value of X has a line break or a character that is not ASCII",
        ),
        ("X:@/no/such/file", "--prometheus-header: /no/such/file: no such file or directory"),
    ],
)
def test_headers_that_cannot_be_used(given: str, message: str) -> None:
    with pytest.raises(errors.VmetricsError) as caught:
        header(given)
    assert caught.value.message == message


def test_redirects_are_not_followed(at: Ask, quirky: Quirky, served: tuple[Quirky, str]) -> None:
    quirky.queue.append(reply("", 302, Location=f"{served[1]}/elsewhere"))
    with pytest.raises(QueryFailed) as caught:
        at("", Login(token=SECRET)).query("up")
    assert caught.value.message == f"{served[1]} redirects to another address: use that one with --prometheus"
    assert len(quirky.asked) == 1


# ---------------------------------------------------------------------------------------------------------- faults


def test_a_server_for_readers_only(at: Ask, quirky: Quirky) -> None:
    def readers(asked: Asked) -> Any:
        quirky.queue.append(readers)
        if asked.method == "POST":
            return reply("method not allowed", 405, "text/plain")
        return vector(({"a": "b"}, 1))

    quirky.queue.append(readers)
    found = at()
    assert [found.query("up"), found.query("up")] == [ONE, ONE]
    assert [asked.method for asked in quirky.asked] == ["POST", "GET", "GET"]


def test_a_server_that_restarts_in_the_middle(at: Ask, quirky: Quirky) -> None:
    found = at()
    assert found.query("up") == ONE
    quirky.queue += [reply("Service Unavailable", 503, "text/plain"), reply("Bad Gateway", 502, "text/html")]
    assert found.query("up") == ONE
    assert len(quirky.asked) == 4
    # One that has never answered is not waited for.
    quirky.queue += [reply("Service Unavailable", 503, "text/plain")]
    with pytest.raises(QueryFailed) as caught:
        at().query("up")
    assert caught.value.message == f"{found.name} answered 503"
    # Nor one that stays away.
    quirky.queue += [error(503, "unavailable", SECRET)] * 4
    with pytest.raises(QueryFailed) as caught:
        found.query("up")
    assert caught.value.message == f"{found.name} answered 503 (unavailable): it is not ready"


def test_one_that_says_when_to_come_back(at: Ask, quirky: Quirky) -> None:
    quirky.queue += [reply("slow down", 429, "text/plain", Retry_After="0")] * 2
    assert at().query("up") == ONE
    assert len(quirky.asked) == 3


def test_half_an_answer_is_asked_for_again(at: Ask, quirky: Quirky) -> None:
    found = at()
    assert found.query("up") == ONE
    quirky.queue.append(half(b'{"status": "success", "data": {}}'))
    assert found.query("up") == ONE
    assert len(quirky.asked) == 3


def test_a_gzip_bomb(at: Ask, quirky: Quirky) -> None:
    quirky.queue.append(reply(gzip.compress(b" " * (200 << 20), 1), Content_Encoding="gzip"))
    found = at()
    with pytest.raises(errors.TooLarge) as caught:
        found.query("up")
    assert caught.value.message == f"{found.name} sent more than 192 MiB in answer to /api/v1/query"


def test_an_answer_that_does_not_end(at: Ask, quirky: Quirky) -> None:
    quirky.queue.append((200, "application/json", itertools.repeat(b" " * 65536), {}))
    with pytest.raises(errors.TooLarge):
        at().query("up")


def test_one_that_never_answers(quirky: Quirky) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(errors.TimedOut):
            Prometheus(way.by_url(url, Login()), limit=0.2).query("up")
        with pytest.raises(errors.TimedOut):
            Prometheus(way.by_url(url, Login(), timeout=0.2)).query("up")
    with pytest.raises(errors.ConnectionFailed, match="was refused"):
        Prometheus(way.by_url(url, Login())).query("up")


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (error(400, "bad_data", SECRET), QueryFailed, "answered 400 (bad_data): it does not accept the query"),
        (error(422, "execution", SECRET), QueryFailed, "answered 422 (execution): it cannot evaluate the query"),
        (
            error(503, "timeout", "query timed out in expression evaluation"),
            TooMuch,
            "answered 503: the query is too large for it",
        ),
        (
            error(422, "execution", "err-mimir-max-chunks-per-query"),
            TooMuch,
            "answered 422: the query is too large for it",
        ),
        (reply(f"log in {SECRET}", 200, "text/html"), QueryFailed, "does not answer as Prometheus does"),
        (
            reply({"status": "success", "data": {"resultType": "string", "result": [1, "x"]}}),
            QueryFailed,
            "does not answer as Prometheus does",
        ),
        (reply({"status": "error", "errorType": SECRET}), QueryFailed, "does not answer as Prometheus does"),
        (reply("[" * 100_000), QueryFailed, "does not answer as Prometheus does"),
    ],
)
def test_what_comes_of_other_answers(answer: Any, kind: type[Exception], message: str, at: Ask, quirky: Quirky) -> None:
    quirky.queue.append(answer)
    found = at()
    with pytest.raises(errors.VmetricsError) as caught:
        found.query("up")
    assert (type(caught.value), caught.value.message) == (kind, f"{found.name} {message}")


@pytest.mark.parametrize(
    ("more", "partial"),
    [
        ({"warnings": [f"store {SECRET} did not answer"]}, True),
        ({"isPartial": True}, True),
        ({"isPartial": False, "warnings": []}, False),
        ({"warnings": None}, False),
        ({"infos": ["PromQL info: metric might not be a counter"], "warnings": ["PromQL warning: x"]}, False),
    ],
)
def test_partial_answers_are_reported(more: dict[str, Any], partial: bool, at: Ask, quirky: Quirky) -> None:
    quirky.queue.append(vector(({"a": "b"}, 1), **more))
    found = at()
    assert found.query("up") == ONE
    text = f"{found.name} gave a partial answer: not all of its stores answered"
    assert found.warnings == ({text} if partial else set())


# ---------------------------------------------------------------------------------------------------------- ranges


def test_a_range_in_parts(at: Ask, quirky: Quirky) -> None:
    quirky.most = 300  # two series, so 150 steps
    found = list(at().parts("x", START, START + 15 * 999, 15, series=2))

    joined: dict[str, list[tuple[float, str]]] = {}
    for part in found:
        for series in part.series:
            joined.setdefault(series.labels["series"], []).extend(series.values)
    moments = [START + 15 * index for index in range(1000)]
    assert joined == {
        str(index): [(moment, str(index * 1e6 + moment % 1000)) for moment in moments] for index in (0, 1)
    }
    good = [asked.form for asked in quirky.asked]
    assert {form["step"] for form in good} == {"15.000"}
    assert {form["query"] for form in good} == {"x"}


def test_a_range_goes_on_after_a_restart_and_half_an_answer(at: Ask, quirky: Quirky) -> None:
    found = at()
    assert found.query("up") == ONE
    quirky.queue += [
        reply("Service Unavailable", 503, "text/plain"),
        half(b'{"status": "success", "data": {}}'),
    ]
    parts = list(found.parts("x", START, START + 25_000, 1, series=1))
    moments = [at for part in parts for at, _ in part.series[0].values]
    assert moments == [START + index for index in range(25_001)]


def test_a_step_that_is_too_much(at: Ask, quirky: Quirky) -> None:
    quirky.most = 1
    found = at()
    with pytest.raises(TooMuch) as caught:
        list(found.parts("x", START, START + 1000, 1))
    assert caught.value.message == f"{found.name} answered 422: the query is too large for it"
    # An error of the query is found at once, whatever its length.
    quirky.queue += [error(422, "execution", "found duplicate series for the match group")] * 2
    quirky.asked.clear()
    with pytest.raises(QueryFailed):
        list(found.parts("x", START, START + 1000, 1))
    assert len(quirky.asked) <= 2


# ------------------------------------------------------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server with TLS for `prom.test` that wants a client certificate; its URL, and a folder with the files."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    for name in ("prom.test", "client"):
        made = authority.issue_cert(name if "." in name else "client@example.com")
        made.cert_chain_pems[0].write_to_path(str(folder / f"{name}.pem"))
        made.private_key_pem.write_to_path(str(folder / f"{name}.key"))
    application = Quirky()
    listener = Server(("127.0.0.1", 0), application, numthreads=2)
    listener.error_log = lambda *args, **kwargs: None
    listener.ssl_adapter = BuiltinSSLAdapter(
        *(str(folder / name) for name in ("prom.test.pem", "prom.test.key", "ca.pem"))
    )
    listener.ssl_adapter.context.verify_mode = ssl.CERT_REQUIRED
    listener.prepare()
    threading.Thread(target=listener.serve, daemon=True).start()
    yield f"https://127.0.0.1:{listener.bind_addr[1]}", folder
    listener.stop()


def test_tls_files(secure: tuple[str, Path]) -> None:
    url, folder = secure
    pair = {"certificate": str(folder / "client.pem"), "key": str(folder / "client.key")}
    login = Login(authority=str(folder / "ca.pem"), server_name="prom.test", **pair)
    assert Prometheus(way.by_url(url, login)).query("up") == ONE
    assert Prometheus(way.by_url(url, Login(insecure=True, **pair))).query("up") == ONE
    with pytest.raises(errors.ConnectionFailed, match="certificate is not valid for"):
        Prometheus(way.by_url(url, Login(authority=str(folder / "ca.pem"), **pair))).query("up")
    with pytest.raises(errors.ConnectionFailed, match="certificate signed by unknown authority"):
        Prometheus(way.by_url(url, Login(server_name="prom.test", **pair))).query("up")
    with pytest.raises(errors.ConfigError) as caught:
        way.by_url(url, Login(authority="/no/such/file"))
    assert caught.value.message == "--prometheus-certificate-authority: /no/such/file: no such file or directory"


# ---------------------------------------------------------------------------------------------- inside of a cluster

SERVICE = {
    "metadata": {"name": "prom", "namespace": "mon", "labels": {"app": "prometheus-server"}},
    "spec": {"ports": [{"name": "web", "port": 9090}]},
}
SLICES = {
    "items": [
        {
            "metadata": {"name": "prom-x", "namespace": "mon"},
            "ports": [{"name": "web", "port": 19090}],
            "endpoints": [
                {
                    "addresses": ["10.0.0.8"],
                    "conditions": {"ready": False},
                    "targetRef": {"kind": "Pod", "name": "prom-1"},
                },
                {"addresses": ["10.0.0.9"], "targetRef": {"kind": "Pod", "name": "prom-0"}},
            ],
        }
    ]
}
PLACE = Candidate("mon", "prom", "Prometheus", "http", 9090)


@pytest.fixture(scope="module")
def cluster(served: tuple[Quirky, str]) -> Iterator[tuple[Apiserver, Client]]:
    """An apiserver with a Service in front of the quirky server, whose pod's port it forwards."""
    apiserver = Apiserver(build(Shape(nodes=1, pods=3, vclusters=0, machines=0, tenants=0)))

    def change(request: Request, answer: Callable[[Request], Reply]) -> Reply:
        found = {"/api/v1/namespaces/mon/services/prom": SERVICE}.get(request.path)
        if request.path.endswith("/namespaces/mon/endpointslices"):
            found = SLICES
        if request.path.endswith("/portforward"):
            return Reply(101, b"")
        return answer(request) if found is None else Reply(200, json.dumps(found).encode())

    apiserver.change = change
    with server.serving(apiserver) as url:
        yield apiserver, Client(Connection(server=url))


@pytest.fixture
def forwarding(
    cluster: tuple[Apiserver, Client], served: tuple[Quirky, str], quirky: Quirky, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[tuple[str, str]]]:
    """What is forwarded: bytes, to the quirky server; gives the pods that were asked for."""
    pods: list[tuple[str, str]] = []
    port = int(served[1].rpartition(":")[2])

    def listen(stream: socket.socket, listener: object) -> None:
        with stream, socket.create_connection(("127.0.0.1", port)) as behind:
            back = threading.Thread(target=_pump, args=(behind, stream), daemon=True)
            back.start()
            _pump(stream, behind)
            back.join()

    def listeners(namespace: str, pod: str) -> Any:
        pods.append((namespace, pod))
        return {19090: forward.Listener(None, lambda *_: (500, b"", ""))}

    monkeypatch.setattr(forward, "_listen", listen)
    monkeypatch.setattr(cluster[0], "_listeners", listeners)
    return pods


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_a_service_by_its_name(cluster: tuple[Apiserver, Client]) -> None:
    assert named(cluster[1], "mon", "prom") == PLACE
    with pytest.raises(errors.NotFound, match="not found"):
        named(cluster[1], "mon", "other")


def test_the_pod_of_a_service(cluster: tuple[Apiserver, Client]) -> None:
    found = pod_of(cluster[1], PLACE)
    assert (found.namespace, found.pod, found.port) == ("mon", "prom-0", 19090)


def test_credentials_pass_a_forwarded_port(
    forwarding: list[tuple[str, str]], cluster: tuple[Apiserver, Client], quirky: Quirky
) -> None:
    quirky.guard = lambda asked: asked.headers.get("authorization") == f"Bearer {SECRET}"
    found = Prometheus(way.by_port_forward(cluster[1], PLACE, Login(token=SECRET, tenant="t")))

    assert found.name == "mon/prom"
    assert [found.query("up"), found.query("up")] == [ONE, ONE]
    assert forwarding == [("mon", "prom-0")]  # one connection, kept
    assert {asked.headers["host"] for asked in quirky.asked} == {"prom.mon.svc:9090"}
    assert {asked.headers["x-scope-orgid"] for asked in quirky.asked} == {"t"}
    long = list(found.parts("x", START, START + 40_000, 1, series=1))
    assert [at for part in long for at, _ in part.series[1].values] == [START + index for index in range(40_001)]


def test_a_port_that_cannot_be_forwarded(
    forwarding: list[tuple[str, str]], cluster: tuple[Apiserver, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster[0], "_listeners", lambda *_: {})
    with pytest.raises(errors.ConnectionFailed):
        Prometheus(way.by_port_forward(cluster[1], PLACE, Login(token=SECRET))).query("up")


def test_who_may_only_read_gets_long_queries_through(quirky: Quirky, served: tuple[Quirky, str]) -> None:
    """Through the apiserver, POST takes `create` on services/proxy, which roles for readers lack."""
    refusal = (
        'services "http:prom:9090" is forbidden: User "u" cannot create resource "services/proxy" in API group "" '
        'in the namespace "mon"'
    )
    body = {"kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden", "message": refusal}
    quirky.prefix = "/api/v1/namespaces/mon/services/http:prom:9090/proxy"
    found = Prometheus(way.by_service(Client(Connection(server=served[1])), PLACE))
    assert found.query("up") == ONE
    quirky.queue.append(reply(body, 403))
    assert found.query("up or " * 1000 + "up") == ONE
    assert found.query("up or " * 1000 + "up") == ONE
    assert [asked.method for asked in quirky.asked] == ["GET", "POST", "GET", "GET"]
