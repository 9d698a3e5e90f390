"""Work that is cancelled ends at once, wherever it waits, and takes nobody else's connection with it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import trustme

from kubectl_vmetrics.kube import cancel
from kubectl_vmetrics.kube.cancel import Cancelled, CancelScope, Crowded
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import ConnectionFailed
from kubectl_vmetrics.kube.kubeconfig import Connection

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n"
BUSY = b"HTTP/1.1 503 Busy\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n"


@contextlib.contextmanager
def silent(said: bytes, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server that says so much to each request, and then nothing."""
    listener = socket.create_server(("127.0.0.1", 0))
    kept = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listener.accept()
                kept.append(context.wrap_socket(peer, server_side=True) if context else peer)
                kept[-1].recv(65536)
                kept[-1].sendall(said)

    threading.Thread(target=serve, daemon=True).start()
    yield f"{'https' if context else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()
    for peer in kept:
        peer.close()


def outcome(scope: CancelScope, work: Callable[[], object]) -> tuple[list[BaseException], threading.Thread]:
    found: list[BaseException] = []

    def run() -> None:
        try:
            with scope.active():
                work()
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return found, thread


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("said", [b"", HEAD + b"some", BUSY], ids=["no head", "half a body", "told to come back"])
def test_what_waits_ends_at_once(said: bytes, tls: bool) -> None:
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with silent(said, context) as url:
        client = Client(Connection(server=url, timeout=30.0, insecure=tls))
        scope = CancelScope()
        found, thread = outcome(scope, lambda: client.get("/x"))
        time.sleep(0.5)
        assert thread.is_alive()
        scope.cancel()
        thread.join(3)
        assert not thread.is_alive()
        assert [type(error) for error in found] == [Cancelled]


def test_nothing_is_asked_after_it() -> None:
    scope = CancelScope()
    scope.cancel()
    with scope.active(), pytest.raises(Cancelled):
        Client(Connection(server="http://127.0.0.1:9")).get("/x")


def test_a_deadline_holds_for_every_request() -> None:
    with silent(b"") as url:
        scope, started = CancelScope(0.5), time.monotonic()
        with scope.active(), pytest.raises(ConnectionFailed, match=r"Client\.Timeout exceeded"):
            Client(Connection(server=url, timeout=30.0)).get("/x")
        assert time.monotonic() - started < 5


def test_a_connection_back_in_the_pool_is_not_the_scopes_any_more(scripted: Callable[..., tuple[object, str]]) -> None:
    _, url = scripted({"/x": b"good"})
    client = Client(Connection(server=url))
    first = CancelScope()
    with first.active():
        assert client.get("/x").body == b"good"
    assert first._sockets == set()
    first.cancel()
    assert client.get("/x").body == b"good"


def test_scopes_nest_and_are_their_threads() -> None:
    outer, inner = CancelScope(), CancelScope()
    with outer.active():
        with inner.active():
            assert cancel.current() is inner
            found: list[object] = []
            thread = threading.Thread(target=lambda: found.append(cancel.current()))
            thread.start()
            thread.join()
            assert found == [None]
        assert cancel.current() is outer
    assert cancel.current() is None


def test_large_documents_wait_for_one_another(scripted: Callable[..., tuple[object, str]]) -> None:
    summary = "/api/v1/nodes/n1/proxy/stats/summary"
    _, url = scripted({summary: b" " * (cancel.LARGE + 1), "/api/v1/nodes/n2/proxy/stats/summary": b"{}"})
    client, large = Client(Connection(server=url)), threading.Semaphore(1)
    first, second, small = (CancelScope(limit, large=large) for limit in (20.0, 0.3, 20.0))
    with first.active():
        client.get(summary)
    with small.active():
        assert client.get("/api/v1/nodes/n2/proxy/stats/summary").body == b"{}"
    with second.active(), pytest.raises(Crowded):
        client.get(summary)
    first.finish()
    first.finish()
    third = CancelScope(20.0, large=large)
    with third.active():
        client.get(summary)
    third.finish()
    assert large.acquire(blocking=False)
    assert not large.acquire(blocking=False)


def test_work_that_waits_for_something_else_than_a_socket_is_called() -> None:
    scope = CancelScope()
    called: list[str] = []

    def one() -> None:
        called.append("one")

    def two() -> None:
        called.append("two")

    scope.tell(one)
    scope.tell(two)
    scope.forget(two)
    scope.cancel()
    assert called == ["one"]
    with pytest.raises(Cancelled):
        scope.tell(two)
