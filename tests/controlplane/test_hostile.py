"""Control planes belong to tenants, and one of them may be an attacker: it costs its own row, and nobody else's."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubectl_vmetrics.controlplane import figures, scrape
from kubectl_vmetrics.controlplane.plane import Component
from kubectl_vmetrics.demo import forward as demo_forward
from kubectl_vmetrics.demo import server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.demo.forward import Listener
from kubectl_vmetrics.metrics import sampling
from kubectl_vmetrics.metrics.samples import Reader
from kubectl_vmetrics.metrics.snapshot import Pair, Snapshot
from tests.conftest import Result, invoke, write_kubeconfig
from tests.hostile import document, gzipped

Talk = Callable[[Any], None]
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


class Raw:
    """Listens like the demo's listeners, and says bytes of its own."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk

    def __call__(self, *_: Any) -> Any:
        raise AssertionError("it is asked by its talk")


@pytest.fixture(autouse=True)
def raw_listeners(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = demo_forward._listen

    def listen(stream: socket.socket, listener: Listener) -> None:
        if not isinstance(listener.respond, Raw):
            usual(stream, listener)
            return
        with contextlib.suppress(OSError):
            if listener.tls:
                stream = listener.tls.wrap_socket(stream, server_side=True)
            with stream:
                stream.recv(65536)
                listener.respond.talk(stream)

    monkeypatch.setattr(demo_forward, "_listen", listen)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits."""
    fake = SimpleNamespace(time=time.time, monotonic=time.monotonic, sleep=lambda _: None)
    monkeypatch.setattr(sampling, "time", fake)


@contextlib.contextmanager
def attacked(talk: Talk | None, *, tls: bool = True) -> Iterator[str]:
    """The demo, in which every port of shop's control plane says what an attacker says."""
    host = Apiserver(build(Shape(pods=6, vclusters=1, machines=0)))
    listeners = host._listeners

    def of(namespace: str, pod: str) -> Any:
        found = listeners(namespace, pod)
        if talk and found and pod == "shop-0":
            return {port: Listener(item.tls if tls else None, Raw(talk)) for port, item in found.items()}
        return found

    host._listeners = of  # type: ignore[method-assign]
    with server.serving(host) as url:
        yield url


def saying(*parts: bytes, again: bytes = b"", pause: float = 0.0) -> Talk:
    def talk(stream: Any) -> None:
        for part in parts:
            stream.sendall(part)
        while again:
            stream.sendall(again)
            time.sleep(pause)

    return talk


def body(text: bytes, *headers: bytes) -> bytes:
    return b"".join([OK, *headers, b"Content-Length: %d\r\n\r\n" % len(text), text])


SERIES = b'apiserver_request_total{verb="GET",code="%d"} 1\n'
ODD = b"""apiserver_request_total{verb="GET",code="200"} NaN
apiserver_request_total{verb="LIST",code="200"} +Inf
apiserver_request_total{verb="PUT",code="200"} 1e999
apiserver_request_total{verb="POST",code="200"} 1 1e999
apiserver_request_total{verb="PATCH",code="200"} 1 NaN
apiserver_current_inflight_requests{request_kind="mutating"} -Inf
apiserver_request_duration_seconds_bucket{verb="GET",le="NaN"} 5
apiserver_request_duration_seconds_bucket{verb="GET",le="-Inf"} 5
apiserver_request_duration_seconds_bucket{verb="GET",le="1e308"} 5
apiserver_request_duration_seconds_bucket{verb="GET",le="+Inf"} 1e308
process_cpu_seconds_total NaN
process_resident_memory_bytes 1e400
process_start_time_seconds -1e300
workqueue_depth{name="a"} NaN
"""

GIVEN_UP = "while others answered"
ATTACKS: dict[str, tuple[Talk, str | None]] = {
    "gzip junk": (saying(body(b"\x1f\x8bjunk" * 9, b"Content-Encoding: gzip\r\n")), "invalid gzip data"),
    "gzip cut short": (saying(body(gzip.compress(ODD)[:-9], b"Content-Encoding: gzip\r\n")), "was lost"),
    "a bomb": (saying(body(gzipped(SERIES % 1, 1 << 28), b"Content-Encoding: gzip\r\n")), "100,000 series"),
    "a line without end": (saying(body(gzipped(b"a", 1 << 24), b"Content-Encoding: gzip\r\n")), "in one line"),
    "another encoding": (saying(body(b"x", b"Content-Encoding: br\r\n")), "unsupported encoding: br"),
    "400,000 series": (saying(body(b"".join(SERIES % n for n in range(400_000)))), "100,000 series"),
    "NaN and Inf": (saying(body(ODD)), None),
    "short": (saying(OK + b"Content-Length: 99\r\n\r\na 1\n"), "was lost"),
    "a chunk cut short": (saying(OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\na"), "was lost"),
    "a header byte by byte": (saying(OK + b"X: ", again=b"a", pause=0.05), GIVEN_UP),
    "continue without end": (saying(again=b"HTTP/1.1 100 Continue\r\n\r\n" * 99), "response headers exceeded"),
    "continue, now and then": (saying(again=b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.05), GIVEN_UP),
    "a body byte by byte": (saying(OK + b"\r\n", again=b"a", pause=0.05), GIVEN_UP),
    "trailers without end": (
        saying(OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\na 1\n\r\n0\r\n", again=b"X: a\r\n" * 99),
        "response headers exceeded",
    ),
    "silence": (lambda stream: time.sleep(30), GIVEN_UP),
    "an error without end": (saying(b"HTTP/1.1 500 Oops\r\n\r\n", again=b"oops " * 999), "oops"),
    "no HTTP": (saying(b"SSH-2.0-x\r\n"), "was lost"),
}


def usual(url: str, folder: Path) -> Result:
    return invoke("controlplanes", "-A", "-o", "json", "--interval=1s", kubeconfig=write_kubeconfig(folder, url))


def rows(result: Result) -> dict[str, Any]:
    """The components of each, and whether they are up, with what is known of any of them."""
    return {
        item["metadata"]["name"]: [
            (part["name"], part["instance"], part["up"], part.get("version"), "memoryBytes" in part)
            for part in item["components"]
        ]
        for item in document(result.stdout)["items"]
    }


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_costs_its_own_row(name: str, now: None, tmp_path: Path) -> None:
    talk, said = ATTACKS[name]
    heavy = said == "100,000 series"
    with attacked(None) as url:
        expected = rows(usual(url, tmp_path))
    with attacked(talk) as url:
        started = time.monotonic()
        result = usual(url, tmp_path)
        seconds = time.monotonic() - started

    found = rows(result)
    assert {key: item for key, item in found.items() if key != "shop"} == {
        key: item for key, item in expected.items() if key != "shop"
    }
    assert seconds < scrape.LIMIT
    [shop] = [item for item in document(result.stdout)["items"] if item["metadata"]["name"] == "shop"]
    if said is None:
        assert shop["components"][0]["up"]
    else:
        # What takes long to read is given up on a slow machine.
        error = shop["components"][0]["error"]
        assert said in error or (heavy and GIVEN_UP in error)
        assert not any(part["up"] for part in shop["components"])


def test_tls_that_never_comes_about(now: None, tmp_path: Path) -> None:
    """A listener in plain text that says nothing: the handshake hangs."""
    with attacked(lambda stream: time.sleep(30), tls=False) as url:
        started = time.monotonic()
        result = usual(url, tmp_path)
        assert time.monotonic() - started < scrape.LIMIT
    assert [part["up"] for part in document(result.stdout)["items"][2]["components"]] == [True] * 6


@settings(deadline=None, max_examples=300)
@given(
    lines=st.lists(
        st.tuples(
            st.sampled_from(
                [
                    figures.REQUESTS,
                    figures.DURATIONS,
                    figures.INFLIGHT,
                    figures.ETCD,
                    *figures.OBJECTS,
                    figures.QUEUE,
                    figures.LEADER,
                    "process_cpu_seconds_total",
                    "process_start_time_seconds",
                    "rest_client_requests_total",
                ]
            ),
            st.sampled_from(["GET", "LIST", "WATCH", "PUT"]),
            st.sampled_from(["0.1", "1", "+Inf", "-Inf", "NaN", "1e308", "-1", "", "x"]),
            st.sampled_from(["0", "1", "-1", "NaN", "+Inf", "-Inf", "1e308", "-1e308", "1e-308", "5e17", "1e999"]),
            st.sampled_from(["", " 1", " 1e999", " NaN", " -1.5", " x"]),
        ),
        max_size=12,
    )
)
def test_no_figure_is_nan_or_infinite(lines: list[tuple[str, ...]]) -> None:
    text = "".join(f'{name}{{verb="{verb}",le="{le}",code="500"}} {value}{at}\n' for name, verb, le, value, at in lines)
    for before in (
        None,
        Snapshot(Reader(figures.wanted).read([b""]), 0.0),
        _snapshot(text[::-1]),
        _snapshot(text, 0.0),
    ):
        for name in ("apiserver", "scheduler", "controller-manager"):
            found = figures.read(Component(name, "pod", "", 1), Pair(before, _snapshot(text)))
            json.dumps(msgspec.to_builtins(found), allow_nan=False)


def _snapshot(text: str, at: float = 1.0) -> Snapshot:
    return Snapshot(Reader(figures.wanted).read([text.encode()]), at)
