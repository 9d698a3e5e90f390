"""How much of an answer is read, and for how long; who sent too much is named."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time
import tracemalloc
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from http.client import IncompleteRead
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubectl_vmetrics.kube import body, limits
from kubectl_vmetrics.kube.body import STEP, pieces
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import BadAnswer, ConnectionFailed, Forbidden, TooLarge, VmetricsError
from kubectl_vmetrics.kube.kubeconfig import Connection
from kubectl_vmetrics.kube.limits import Limits
from tests.conftest import Scripted
from tests.hostile import gzipped

Serve = Callable[[dict[str, Any]], tuple[Scripted, str]]
MIB = 1 << 20
NODE = "/api/v1/nodes/n1/proxy/"
POD = "/api/v1/namespaces/team-a/pods/https:web-0:8443/proxy/metrics"


@pytest.mark.parametrize(
    ("path", "passed_on", "kept", "sender"),
    [
        ("/api/v1/pods?limit=500", limits.LIST, limits.LIST, "the server"),
        ("/api/v1/namespaces", limits.LIST, limits.LIST, "the server"),
        ("/api/v1/namespaces/a", limits.OBJECT, limits.OBJECT, "the server"),
        ("/api/v1/namespaces/a/pods", limits.LIST, limits.LIST, "the server"),
        ("/api/v1/namespaces/proxy/pods/log", limits.OBJECT, limits.OBJECT, "the server"),
        ("/api/v1/namespaces/a/pods/b/log", limits.LOG, limits.LOG, "the server"),
        ("/apis/metrics.k8s.io/v1beta1/pods", limits.LIST, limits.LIST, "the server"),
        ("/apis/kubevirt.io/v1/namespaces/a/virtualmachines/b", limits.OBJECT, limits.OBJECT, "the server"),
        ("/apis", limits.OBJECT, limits.OBJECT, "the server"),
        ("/version", limits.OBJECT, limits.OBJECT, "the server"),
        (NODE + "stats/summary", limits.SUMMARY, limits.SUMMARY, 'the kubelet of node "n1"'),
        (NODE + "metrics", limits.TEXT, limits.SCRAPE, 'the kubelet of node "n1"'),
        (NODE + "metrics/resource", limits.TEXT, limits.RESOURCE, 'the kubelet of node "n1"'),
        (POD, limits.SCRAPE, limits.SCRAPE, 'pod "team-a/web-0"'),
        ("/api/v1/namespaces/a/pods/b:80/proxy/x", limits.SCRAPE, limits.SCRAPE, 'pod "a/b"'),
        ("/api/v1/namespaces/a/services/b/proxy/x", limits.SCRAPE, limits.SCRAPE, 'service "a/b"'),
    ],
)
def test_each_path_has_limits_and_a_sender(path: str, passed_on: Limits, kept: Limits, sender: str) -> None:
    assert (limits.of(path), limits.of(path, kept=True), limits.sender(path)) == (passed_on, kept, sender)


def test_a_line_may_be_as_long_as_a_piece() -> None:
    """Else a line inside a piece could be too long, and nobody would look."""
    every = [value for value in vars(limits).values() if isinstance(value, Limits)]
    assert len(every) >= 9
    assert all(item.line is None or item.line >= STEP for item in every)


# ---------------------------------------------------------------------------------------------------------- pieces


def read(data: bytes, encoding: str = "", limit: Limits = limits.LIST, *, step: int = STEP) -> bytes:
    at = 0

    def some(size: int) -> bytes:
        nonlocal at
        found = data[at : at + min(size, step)]
        at += len(found)
        return found

    found = list(pieces(some, encoding, limit, POD))
    assert all(0 < len(piece) <= STEP for piece in found)
    return b"".join(found)


@settings(deadline=None)
@given(data=st.binary(max_size=400), parts=st.integers(1, 3), step=st.integers(1, 64), level=st.integers(0, 9))
def test_gzip_is_read_as_it_was(data: bytes, parts: int, step: int, level: int) -> None:
    packed = gzip.compress(data, level) * parts
    assert read(packed, "gzip", step=step) == data * parts
    assert read(packed, "X-GZIP ", step=step) == data * parts
    assert read(data, step=step) == data


def test_large_answers_are_read_as_they_were() -> None:
    data = b"".join(b'x{a="%d"} 1\n' % number for number in range(200_000))
    assert len(data) > 10 * STEP
    assert read(gzip.compress(data, 1), "gzip") == data
    assert read(data, "identity") == data


@settings(deadline=None)
@given(data=st.binary(max_size=100), step=st.integers(1, 64))
def test_any_bytes_as_gzip_are_an_error_or_its_content(data: bytes, step: int) -> None:
    with contextlib.suppress(VmetricsError, IncompleteRead):
        read(data, "gzip", step=step)


@pytest.mark.parametrize("cut", [1, 9, 10, 15, 40, -8, -1])
def test_gzip_that_is_cut_short_is_an_error(cut: int) -> None:
    packed = gzip.compress(bytes(range(256)) * 4)
    with pytest.raises(IncompleteRead):
        read(packed[:cut], "gzip")


@pytest.mark.parametrize("behind", [b"junk", b"\0\0\0\0"])
def test_what_follows_gzip_is_gzip(behind: bytes) -> None:
    with pytest.raises((BadAnswer, IncompleteRead)):
        read(gzip.compress(b"x") + behind, "gzip")


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "gzip, gzip", "gzip,deflate", "\x1b[31m", "x" * 99])
def test_only_gzip_was_asked_for(encoding: str) -> None:
    with pytest.raises(BadAnswer) as caught:
        read(zlib.compress(b"x"), encoding)

    shown = encoding if encoding.isprintable() and len(encoding) < 40 else "unknown"
    assert caught.value.message == (f'pod "team-a/web-0" answered {POD} with an unsupported encoding: {shown}')


@pytest.mark.parametrize(
    ("data", "encoding", "limit", "what"),
    [
        (b"x" * (3 * MIB), "", Limits(2 * MIB), "2 MiB"),
        (gzip.compress(b"x" * (3 * MIB)), "gzip", Limits(2 * MIB), "2 MiB"),
        (gzip.compress(gzip.compress(b"x" * 99)) * 1, "gzip", Limits(20), "0 KiB"),
        (gzip.compress(b"") * 500_000, "gzip", Limits(2 * MIB), "2 MiB"),
        (b"x" * (STEP + 1), "", Limits(None, line=STEP), "256 KiB in one line"),
        (b"a\n" + b"x" * STEP + b"y\n", "", Limits(None, line=STEP), "256 KiB in one line"),
        (gzip.compress(b"\0" * (100 * MIB)), "gzip", limits.TEXT, "256 KiB in one line"),
        (b"x\n" * 11, "", Limits(None, lines=10), "10 lines"),
    ],
    ids=["plain", "bomb", "small", "gzip of nothing", "one line", "a line among others", "no lines at all", "lines"],
)
def test_what_is_beyond_the_limits_is_an_error(data: bytes, encoding: str, limit: Limits, what: str) -> None:
    tracemalloc.start()
    with pytest.raises(TooLarge) as caught:
        deque(pieces(iter_of(data), encoding, limit, POD + "?x=y"), maxlen=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert caught.value.message == f'pod "team-a/web-0" sent more than {what} in answer to {POD}'
    assert peak < 4 * MIB


def iter_of(data: bytes) -> Callable[[int], bytes]:
    view, at = memoryview(data), 0

    def some(size: int) -> bytes:
        nonlocal at
        found = bytes(view[at : at + size])
        at += len(found)
        return found

    return some


@pytest.mark.parametrize(
    ("data", "limit"),
    [
        (b"x" * STEP + b"\n" + b"y" * STEP, Limits(None, line=STEP)),
        (b"x\n" * 10, Limits(None, lines=10)),
        (b"x" * 20, Limits(20)),
    ],
)
def test_what_is_just_within_them_is_read(data: bytes, limit: Limits) -> None:
    assert read(data, "", limit) == data
    assert read(gzip.compress(data), "gzip", limit) == data


def test_a_text_of_many_objects_is_not_decoded() -> None:
    limit = Limits(MIB, objects=10)
    assert body.whole(iter([b'{"a":[', b"{},{}]}"]), limit, POD) == b'{"a":[{},{}]}'
    with pytest.raises(TooLarge, match="10 objects"):
        body.whole(iter([b"[[[[[", b"{}{}{}{}{}{}"]), limit, POD)


def test_of_an_error_the_beginning_is_read() -> None:
    def some() -> Iterator[bytes]:
        yield b"x" * 100
        raise ConnectionFailed("gone")

    assert body.beginning(some(), Limits(50)) == b"x" * 50
    assert body.beginning(some(), Limits(500)) == b"x" * 100


# ---------------------------------------------------------------------------------------------------------- client


@pytest.mark.parametrize(
    ("path", "headers", "data", "message"),
    [
        (
            NODE + "stats/summary",
            [("Content-Encoding", "gzip")],
            gzipped(b" ", 1 << 28),
            f'the kubelet of node "n1" sent more than 16 MiB in answer to {NODE}stats/summary',
        ),
        (
            NODE + "stats/summary",
            [],
            b'{"pods":[' + b"{}," * 200_001,
            f'the kubelet of node "n1" sent more than 200,000 objects in answer to {NODE}stats/summary',
        ),
        (
            NODE + "stats/summary",
            [],
            b'{"pods":[' + b"1," * 800_001,
            f'the kubelet of node "n1" sent more than 800,000 values in answer to {NODE}stats/summary',
        ),
        (
            NODE + "stats/summary",
            [],
            b'{"pods":[' + b"-1234567890" * 1 + b"1" * 31 + b"]}",
            f'the kubelet of node "n1" sent more than 40 digits in a number in answer to {NODE}stats/summary',
        ),
        (
            NODE + "metrics/resource",
            [],
            b"a 1\n" * 100_001,
            f'the kubelet of node "n1" sent more than 100,000 lines in answer to {NODE}metrics/resource',
        ),
        (
            POD,
            [("Content-Encoding", "gzip")],
            gzipped(b"a" * 99 + b"\n", 1 << 27),
            f'pod "team-a/web-0" sent more than 400,000 lines in answer to {POD}',
        ),
        (
            "/api/v1/namespaces/a/secrets/b",
            [("Content-Encoding", "gzip")],
            gzipped(b" ", 1 << 28),
            "the server sent more than 16 MiB in answer to /api/v1/namespaces/a/secrets/b",
        ),
    ],
    ids=["bomb", "objects", "values", "digits", "resource", "scrape", "object"],
)
def test_a_client_names_who_sent_too_much(
    path: str, headers: list[tuple[str, str]], data: bytes, message: str, scripted: Serve
) -> None:
    _, url = scripted({path: lambda _: (200, data, headers)})

    with pytest.raises(TooLarge) as caught:
        Client(Connection(server=url)).get(path)

    assert caught.value.line == f"error: {message}"


def test_a_client_reads_the_beginning_of_an_error(scripted: Serve) -> None:
    status = msgspec.json.encode({"kind": "Status", "message": "no", "reason": "Forbidden"})
    answers = {
        "/x": lambda _: (403, b"no " * 100_000_000),
        "/y": lambda _: (403, status + b" " * 1000),
        "/z": lambda _: (403, gzipped(b"no ", 1 << 28), [("Content-Encoding", "gzip")]),
        "/junk": lambda _: (403, b"\x1f\x8bjunk", [("Content-Encoding", "gzip")]),
    }
    _, url = scripted(answers)
    client = Client(Connection(server=url))

    for path, message in (("/x", "no no no"), ("/y", "no"), ("/z", "no no no"), ("/junk", "did not return more")):
        with pytest.raises(Forbidden) as caught:
            client.get(path)
        assert message in caught.value.message
        assert len(caught.value.message) <= 600


@pytest.mark.parametrize(
    "content",
    [b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000, b"1e999", b"-1e999", b'"\\ud800"', b"\xff", b"NaN", b"{}x"],
    ids=["deep arrays", "deep objects", "long number", "inf", "-inf", "surrogate", "binary", "NaN", "more"],
)
@pytest.mark.parametrize("kind", [Any, dict[str, Any], list[int], dict[str, float]])
def test_json_that_cannot_be_read_is_a_bad_answer(content: bytes, kind: Any, scripted: Serve) -> None:
    _, url = scripted({"/x": lambda _: (200, content)})
    with pytest.raises(BadAnswer) as caught:
        Client(Connection(server=url)).decode("/x", msgspec.json.Decoder(kind))
    assert len(caught.value.message) < 300


# ------------------------------------------------------------------------------------------------------- deadlines


def speaking(head: bytes, again: bytes, pause: float) -> Iterator[str]:
    """A server that says one thing, and then another again and again."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def work() -> None:
            while not stop.is_set():
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    try:
                        peer.recv(65536)
                        peer.sendall(head)
                        while again and not stop.wait(pause):
                            peer.sendall(again)
                    except OSError:
                        pass

        threading.Thread(target=work, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        stop.set()


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "again", "pause", "message"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"a", 0.05, "Client.Timeout exceeded while awaiting headers"),
        (b"", CONTINUE, 0.05, "Client.Timeout exceeded while awaiting headers"),
        (b"", CONTINUE * 1000, 0, "headers exceeded 262144 bytes"),
        (b"HTTP/1.1 200 OK\r\n", b"X: " + b"a" * 60_000 + b"\r\n", 0, "headers exceeded 262144 bytes"),
        (CHUNKED + b"1\r\na\r\n0\r\n", b"X: a\r\n" * 1000, 0, "headers exceeded 262144 bytes"),
        (CHUNKED + b"1\r\na\r\n0\r\n", b"X: a\r\n", 0.05, "Client.Timeout exceeded while reading body"),
        (CHUNKED, b"1\r\na\r\n", 0.05, "Client.Timeout exceeded while reading body"),
        (CHUNKED + b"1", b"0", 0.05, "Client.Timeout exceeded while reading body"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"a", 0.05, "Client.Timeout exceeded while reading body"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na", b"", 0, "unexpected EOF"),
        (CHUNKED + b"9\r\na", b"", 0, "unexpected EOF"),
        (CHUNKED + b"1\r\na\r\n", b"", 0, "unexpected EOF"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"abc")[:-3], b"", 0, "unexpected EOF"),
    ],
    ids=[
        "a header byte by byte",
        "continue, now and then",
        "continue, without end",
        "headers without end",
        "trailers without end",
        "trailers, now and then",
        "chunks, now and then",
        "the size of a chunk, byte by byte",
        "a body byte by byte",
        "short",
        "a chunk cut short",
        "no last chunk",
        "gzip cut short",
    ],
)
def test_an_answer_ends_in_time(head: bytes, again: bytes, pause: float, message: str) -> None:
    for url in speaking(head, again, pause):
        started = time.monotonic()
        with pytest.raises(ConnectionFailed) as caught:
            Client(Connection(server=url, timeout=0.7)).get("/x")
        assert message in caught.value.message
        assert time.monotonic() - started < 2.5
