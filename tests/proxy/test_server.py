"""What the server does about clients that are slow, silent, gone or too many, and about a host that hangs."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from kubectl_vmetrics.demo import server as demo_server
from kubectl_vmetrics.demo.exchange import Reply
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.kubeconfig import Connection
from kubectl_vmetrics.proxy import circuit, server
from kubectl_vmetrics.proxy.application import Proxy
from kubectl_vmetrics.proxy.limits import Limits
from kubectl_vmetrics.proxy.views import Views
from kubectl_vmetrics.vcluster.answers import Answers
from tests.conftest import write_kubeconfig
from tests.kube.test_reflector import soon
from tests.proxy.test_proxy import LOCAL, METRICS, NODE, VC1, get, serve
from tests.replay import Replay

OTHER = "/api/v1/nodes/other/proxy"
"""A node that answers; not in the recording."""


class Host(Replay):
    """The recorded host; its node hangs while `hangs` is set."""

    def __init__(self) -> None:
        super().__init__("host")
        self.hangs = False
        self.waiting = 0
        self.asked = 0
        self.goes_on = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"].startswith(f"{NODE}/"):
            self.asked += 1
            if self.hangs:
                self.waiting += 1
                self.goes_on.wait(30)
                self.waiting -= 1
        elif environ["PATH_INFO"].startswith(f"{OTHER}/"):
            environ = {**environ, "PATH_INFO": environ["PATH_INFO"].replace("/other/", "/vm/")}
        return super().__call__(environ, start_response)


@pytest.fixture
def host() -> Iterator[tuple[Host, str]]:
    application = Host()
    with demo_server.serving(application) as url:
        yield application, url
        application.goes_on.set()


def place(url: str) -> tuple[str, int]:
    found = re.fullmatch(r"https?://([\d.]+):(\d+)", url)
    assert found
    return found[1], int(found[2])


def connect(url: str, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(place(url), timeout=20, source_address=(source, 0))


def ask(peer: socket.socket, path: str) -> None:
    peer.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())


def counted(url: str, name: str) -> float:
    found = re.search(rf"^vmetrics_proxy_{re.escape(name)} (\S+)$", get(f"{url}/metrics")[1].decode(), re.M)
    assert found, name
    return float(found[1])


def whole(url: str, timeout: float = 20, **headers: str) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


# ------------------------------------------------------------------------------------------------------- the clients


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, trustme.CA]:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert", folder / "key"
    issued.cert_chain_pems[0].write_to_path(cert)
    issued.private_key_pem.write_to_path(key)
    return cert, key, authority


def test_silent_handshakes_hold_nobody_up_and_are_ended(
    host: tuple[Host, str], certificate: tuple[Path, Path, trustme.CA]
) -> None:
    cert, key, authority = certificate
    views = Views(Client(Connection(server=host[1])), VC1)
    proxy = Proxy(views, accept_hosts=LOCAL)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with (
        contextlib.closing(views),
        server.serving(proxy, "127.0.0.1", 0, (str(cert), str(key)), Limits(handshake=1.0)) as url,
        contextlib.ExitStack() as stack,
    ):
        silent = [stack.enter_context(connect(url)) for _ in range(40)]
        started = time.monotonic()
        with urllib.request.urlopen(f"{url}{NODE}/metrics/resource", timeout=20, context=context) as answer:
            assert answer.status == 200
        assert time.monotonic() - started < 1.0
        for peer in silent:
            assert peer.recv(1) == b""
        assert time.monotonic() - started < 5
        assert b'dropped_connections_total{reason="handshake"} 40\n' in proxy.telemetry.exposition(
            views.informer, views.circuits, views.flights
        )


def test_a_head_has_one_limit_however_many_bytes_come(host: tuple[Host, str]) -> None:
    with serve(VC1, host[1], limits=Limits(head=1.0)) as url, connect(url) as peer:
        started = time.monotonic()
        with pytest.raises(OSError):  # noqa: PT012
            for _ in range(100):
                peer.sendall(b"G")
                time.sleep(0.1)
        assert 0.8 < time.monotonic() - started < 4


def test_a_connection_that_is_kept_is_not_kept_forever(host: tuple[Host, str]) -> None:
    with serve(VC1, host[1], limits=Limits(head=1.0)) as url, connect(url) as peer:
        ask(peer, "/healthz")
        assert b"200 OK" in peer.recv(4096)
        assert peer.recv(1) == b""


def test_who_does_not_read_is_dropped_and_holds_no_thread(host: tuple[Host, str]) -> None:
    host[0].override[f"{NODE}/metrics"] = Reply(200, b'up{a="b"} 1\n' * 1_000_000, "text/plain")
    with serve(None, host[1], limits=Limits(write=1.5, threads=2)) as url, contextlib.ExitStack() as stack:
        assert get(f"{url}/readyz")[0] == 200
        for _ in range(12):
            peer = socket.socket()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stack.enter_context(peer).connect(place(url))
            ask(peer, f"{NODE}/metrics")
        started = time.monotonic()
        assert get(f"{url}{METRICS}/pods")[0] == 200
        assert get(f"{url}/healthz")[0] == 200
        assert time.monotonic() - started < 10
        soon(lambda: counted(url, "connections") == 1, 40)  # this one
        assert counted(url, 'dropped_connections_total{reason="slow-reader"}') > 6


def test_the_slowest_reader_makes_room(host: tuple[Host, str]) -> None:
    host[0].override[f"{NODE}/metrics"] = Reply(200, b'up{a="b"} 1\n' * 1_000_000, "text/plain")
    with serve(None, host[1], limits=Limits(slow=2)) as url, contextlib.ExitStack() as stack:
        for _ in range(5):
            peer = socket.socket()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stack.enter_context(peer).connect(place(url))
            ask(peer, f"{NODE}/metrics")
        soon(lambda: b'{reason="slow-reader"} 3\n' in get(f"{url}/metrics")[1], 15)


def test_one_address_has_its_connections_and_health_beside_them(host: tuple[Host, str]) -> None:
    host[0].hangs = True
    with serve(VC1, host[1], limits=Limits(per_client=4)) as url, contextlib.ExitStack() as stack:
        assert get(f"{url}/readyz")[0] == 200
        for _ in range(4):
            ask(stack.enter_context(connect(url)), f"{NODE}/metrics")
        soon(lambda: host[0].waiting > 0)
        status, headers, _ = whole(f"{url}{METRICS}/pods")
        assert (status, headers["Retry-After"], headers["Connection"]) == (429, "1", "close")
        assert get(f"{url}/healthz") == get(f"{url}/readyz") == (200, b"ok")
        peer = stack.enter_context(connect(url, "127.0.0.2"))
        ask(peer, f"{METRICS}/pods")
        assert peer.recv(12) == b"HTTP/1.1 200"


def test_idle_connections_of_an_address_make_room_for_its_new_ones(host: tuple[Host, str]) -> None:
    with serve(VC1, host[1], limits=Limits(per_client=4)) as url, contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connect(url)) for _ in range(60)]
        assert get(f"{url}/healthz")[0] == 200
        assert idle[0].recv(1) == b""


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{}",
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nFFFF\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nA: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\n" + b"".join(b"A%d: b\r\n" % n for n in range(200)) + b"Host: localhost\r\n\r\n",
        b"GET /metrics?" + b"a" * 5_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x00\xa5\x01\x00\r\n\r\n",
        b"GET\r\n\r\n",
    ],
    ids=["body", "endless body", "long header", "many headers", "long query", "TLS", "no request"],
)
def test_what_is_too_much_or_no_request_is_refused_at_once(request_: bytes, host: tuple[Host, str]) -> None:
    with serve(VC1, host[1]) as url, connect(url) as peer:
        peer.settimeout(5)
        peer.sendall(request_)
        assert re.match(rb"HTTP/1.1 40\d |$", peer.recv(100))
        assert get(f"{url}/healthz")[0] == 200


# ---------------------------------------------------------------------------------------------------------- the host


def test_a_hanging_node_is_given_up_within_the_scrapes_time_and_then_left_alone(
    host: tuple[Host, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuit, "FAIR", 0.5)
    host[0].hangs = True
    with serve(None, host[1]) as url:
        assert get(f"{url}{METRICS}/pods")[0] == 200
        for _ in range(3):
            started = time.monotonic()
            assert whole(f"{url}{NODE}/metrics", **{"X-Prometheus-Scrape-Timeout-Seconds": "1"})[0] == 504
            assert 0.8 < time.monotonic() - started < 2.5
        asked = host[0].asked
        for path in (f"{NODE}/metrics", f"{NODE}/stats/summary"):
            started = time.monotonic()
            status, headers, body = whole(f"{url}{path}")
            assert (status, headers["Retry-After"]) == (503, "5")
            assert json.loads(body)["message"] == "the node is not responding: try again later"
            assert time.monotonic() - started < 1.0
        assert host[0].asked == asked
        assert get(f"{url}{OTHER}/metrics")[0] == get(f"{url}{METRICS}/pods")[0] == 200
        assert counted(url, "circuits_open") == counted(url, "circuit_opened_total") == 1
        assert counted(url, "circuit_refused_total") == 2


def test_a_node_that_answers_again_is_asked_again(host: tuple[Host, str], monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setattr(circuit, "FIRST_PAUSE", 0.5)
    monkeypatch.setattr(circuit, "FAIR", 0.2)
    host[0].hangs = True
    with serve(None, host[1]) as url:
        for _ in range(3):
            assert whole(f"{url}{NODE}/metrics", **{"X-Prometheus-Scrape-Timeout-Seconds": "0.3"})[0] == 504
        host[0].hangs = False
        host[0].goes_on.set()
        soon(lambda: get(f"{url}{NODE}/metrics")[0] == 200)
        assert counted(url, "circuits_open") == 0


def test_a_hanging_node_holds_few_threads_and_others_are_answered(host: tuple[Host, str]) -> None:
    host[0].hangs = True
    with serve(None, host[1]) as url, contextlib.ExitStack() as stack:
        assert get(f"{url}{METRICS}/pods")[0] == 200
        for _ in range(60):
            ask(stack.enter_context(connect(url)), f"{NODE}/metrics")
        soon(lambda: host[0].waiting == Limits().per_node)
        for _ in range(5):
            started = time.monotonic()
            assert get(f"{url}{OTHER}/metrics/resource")[0] == get(f"{url}{METRICS}/pods")[0] == 200
            assert time.monotonic() - started < 2
        assert host[0].waiting == Limits().per_node


def test_the_host_is_let_go_when_the_client_hangs_up(host: tuple[Host, str]) -> None:
    host[0].hangs = True
    with serve(None, host[1]) as url:
        assert get(f"{url}{METRICS}/pods")[0] == 200
        with contextlib.ExitStack() as stack:
            for _ in range(Limits().per_node):
                ask(stack.enter_context(connect(url)), f"{NODE}/metrics")
            soon(lambda: host[0].waiting == Limits().per_node)
        soon(lambda: counted(url, "abandoned_total") == Limits().per_node, 3)
        assert counted(url, "circuits_open") == 0  # it says nothing of the node
        host[0].hangs = False
        assert get(f"{url}{NODE}/metrics")[0] == 200


def test_impatient_clients_and_slow_readers_cannot_have_a_node_left_alone(host: tuple[Host, str]) -> None:
    """Neither a time limit that no kubelet could keep, nor an answer that is not read, is the node's failure."""
    host[0].override[f"{NODE}/metrics"] = Reply(200, b'up{a="b"} 1\n' * 1_000_000, "text/plain")
    with serve(None, host[1]) as url, contextlib.ExitStack() as stack:
        assert get(f"{url}{METRICS}/pods")[0] == 200
        for _ in range(10):
            whole(f"{url}{NODE}/metrics/resource", **{"X-Prometheus-Scrape-Timeout-Seconds": "0.0001"})
        for _ in range(4):
            peer = socket.socket()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stack.enter_context(peer).connect(place(url))
            head = f"GET {NODE}/metrics HTTP/1.1\r\nHost: localhost\r\nX-Prometheus-Scrape-Timeout-Seconds: 2\r\n\r\n"
            peer.sendall(head.encode())
            time.sleep(0.5)
        time.sleep(2.5)
        assert counted(url, "circuits_open") == 0
        assert get(f"{url}{NODE}/metrics/resource")[0] == 200


def test_an_apiserver_that_is_gone_is_not_the_nodes_failure() -> None:
    with contextlib.ExitStack() as stack:
        with demo_server.serving(Replay("host")) as host:
            url = stack.enter_context(serve(None, host))
            assert get(f"{url}{NODE}/metrics/resource")[0] == 200
        for _ in range(6):
            assert get(f"{url}{NODE}/metrics/resource")[0] == 502
        assert counted(url, "circuits_open") == 0


@pytest.mark.parametrize(
    ("said", "limit"),
    [("10", 9.5), ("1", 0.9), ("0.5", 0.45), ("1000", 60), ("", 9.5), ("-1", 9.5), ("nan", 9.5), ("inf", 9.5)],
)
def test_the_limit_is_below_the_scrapes(said: str, limit: float, host: tuple[Host, str]) -> None:
    from kubectl_vmetrics.proxy.exchange import Request

    proxy = Proxy(Views(Client(Connection(server=host[1])), None), accept_hosts=LOCAL)
    headers = {"x-prometheus-scrape-timeout-seconds": said}
    assert proxy.limit(Request("GET", f"{NODE}/metrics", "", headers)) == pytest.approx(limit)


# ------------------------------------------------------------------------------------------------- surprises inside


@pytest.mark.parametrize(
    "error", [RecursionError, AttributeError, OverflowError, MemoryError, KeyError, LookupError, AssertionError]
)
def test_any_internal_error_is_caught_logged_once_and_counted(
    error: type[Exception], host: tuple[Host, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise error("secret of team-b")

    monkeypatch.setattr(Answers, "answer", broken)
    with serve(VC1, host[1]) as url:
        status, body = get(f"{url}{NODE}/metrics%0Aforged")
        assert status == 500
        assert json.loads(body)["message"] == "internal error; see the proxy's log"
        assert counted(url, "internal_errors_total") == 1
    logged = [record.getMessage() for record in caplog.records if "internal" in record.getMessage()]
    assert len(logged) == 1
    assert logged[0].startswith(f"{NODE}/metrics%0Aforged: internal error: {error.__name__}")
    assert "secret" not in caplog.text + body.decode()


def test_an_internal_error_in_the_middle_of_an_answer(
    host: tuple[Host, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from kubectl_vmetrics.vcluster.answers import Reply as Rewritten

    def chunks() -> Iterator[bytes]:
        for _ in range(10):
            yield b"x" * 100_000
        raise RecursionError("secret of team-b")

    monkeypatch.setattr(Answers, "answer", lambda *_: Rewritten(chunks(), "text/plain"))
    with serve(VC1, host[1]) as url:
        with pytest.raises((OSError, Exception), match=r"IncompleteRead|reset|closed"):
            get(f"{url}{NODE}/metrics")
        assert counted(url, "internal_errors_total") == 1
    assert [r.getMessage().partition(" in ")[0] for r in caplog.records] == [
        f"{NODE}/metrics: internal error: RecursionError"
    ]


SURPRISES = {
    "deep": b"[" * 100_000,
    "deep object": b'{"pods":' * 50_000,
    "pods are no list": b'{"pods": {"a": 1}}',
    "a pod is no object": b'{"pods": [1, null, "a", []]}',
    "podRef is a list": b'{"pods": [{"podRef": [1]}]}',
    "a name is a number": b'{"pods": [{"podRef": {"name": 1e999, "namespace": NaN}}]}',
    "volumes are no list": b'{"pods": [{"podRef": {"name": "vc1-0", "namespace": "team-a"}, "volume": 7}]}',
    "a volume is none": b'{"pods": [{"podRef": {"name": "vc1-0", "namespace": "team-a"}, "volume": [7]}]}',
    "a long number": b'{"pods": [' + b"9" * 100_000 + b"]}",
    "no text": b"\xff\xfe\x00",
    "nothing": b"",
    "null": b"null",
}


@pytest.mark.parametrize("body", SURPRISES.values(), ids=SURPRISES)
def test_surprising_json_has_an_answer_in_our_words(
    body: bytes, host: tuple[Host, str], caplog: pytest.LogCaptureFixture
) -> None:
    host[0].override[f"{NODE}/stats/summary"] = Reply(200, body)
    host[0].override[f"{METRICS}/namespaces/team-a/pods"] = Reply(200, body)
    with serve(VC1, host[1]) as url:
        for path in (f"{NODE}/stats/summary", f"{METRICS}/pods"):
            caplog.clear()
            status, answer = get(f"{url}{path}")
            assert status in (200, 500, 502)
            if status != 200:
                assert json.loads(answer)["kind"] == "Status"
                assert len([record for record in caplog.records if path in record.getMessage()]) == 1
        assert get(f"{url}/healthz")[0] == 200


# ----------------------------------------------------------------------------------------------------------- the end


class Slow(Replay):
    """Each request to the node takes a while."""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"].startswith(NODE):
            time.sleep(0.15)
        return super().__call__(environ, start_response)


def test_sigterm_cuts_nobody(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "kubectl_vmetrics", "proxy", "--port=0"]
    with demo_server.serving(Slow("host")) as host:
        variables = {**os.environ, "KUBECONFIG": str(write_kubeconfig(tmp_path, host))}
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=variables) as process:
            assert process.stdout
            assert process.stderr
            found = re.search(r"http://\S+", process.stdout.readline().decode())
            assert found
            url = found[0]
            expected = len(get(f"{url}{NODE}/metrics/cadvisor")[1])
            results: list[object] = []

            def scrape() -> None:
                try:
                    results.append(len(get(f"{url}{NODE}/metrics/cadvisor")[1]))
                except Exception as error:
                    results.append(repr(error))

            threads = [threading.Thread(target=scrape) for _ in range(100)]
            for thread in threads:
                thread.start()
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.7)
            assert get(f"{url}/readyz")[0] == 503
            for thread in threads:
                thread.join()
            assert results == [expected] * 100
            assert process.wait(30) == 0
            assert process.stderr.read() == b""
            with pytest.raises(OSError):
                connect(url)
