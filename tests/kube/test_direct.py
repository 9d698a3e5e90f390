"""Connections to a server without a proxy between: what is sent over them, and which of them are kept."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import BadAnswer, ConnectionFailed
from kubectl_vmetrics.kube.kubeconfig import Connection

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
UNTIL_THE_END = b"HTTP/1.0 200 OK\r\n\r\n{}"
NOTHING = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
REFUSED = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Server:
    """Answers each connection's requests with the next answers of a list, and remembers the requests by connection."""

    def __init__(self, answers: Sequence[bytes], family: int = socket.AF_INET) -> None:
        self._answers = iter(answers)
        self.requests: list[list[str]] = []
        self._listener = socket.create_server(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0), family=family)
        self.port = self._listener.getsockname()[1]
        self._stop = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self._stop:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            mine: list[str] = []
            self.requests.append(mine)
            threading.Thread(target=self._serve, args=(peer, mine), daemon=True).start()

    def _serve(self, peer: socket.socket, mine: list[str]) -> None:
        with peer, contextlib.suppress(OSError):
            data = b""
            while True:
                while b"\r\n\r\n" not in data:
                    more = peer.recv(65536)
                    if not more:
                        return
                    data += more
                head, _, data = data.partition(b"\r\n\r\n")
                mine.append(head.decode("latin-1"))
                answer = next(self._answers)
                peer.sendall(answer)
                if answer in (CLOSING, UNTIL_THE_END):
                    return

    def close(self) -> None:
        self._stop = True
        self._listener.close()


@contextlib.contextmanager
def serving(*answers: bytes, family: int = socket.AF_INET) -> Iterator[Server]:
    server = Server(answers, family)
    try:
        yield server
    finally:
        server.close()


def client(server: Server, base: str = "", **more: Any) -> Client:
    return Client(Connection(server=f"http://127.0.0.1:{server.port}{base}", timeout=5.0, **more))


def test_what_is_sent() -> None:
    with serving(HELLO) as server:
        client(server, "/k8s/c1", impersonate=(("Impersonate-Group", "a"), ("Impersonate-Group", "b"))).get(
            "/api/v1/pods", {"limit": 5}
        )

    assert server.requests == [
        [
            "GET /k8s/c1/api/v1/pods?limit=5 HTTP/1.1\r\n"
            f"Host: 127.0.0.1:{server.port}\r\n"
            "User-Agent: kubectl-vmetrics/0.1.0\r\n"
            "Accept-Encoding: gzip\r\n"
            "Impersonate-Group: a\r\n"
            "Impersonate-Group: b\r\n"
            "Accept: application/json"
        ]
    ]


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/a b", "/a%20b"),
        ("/ü", "/%C3%BC"),
        ("/a%2Fb", "/a%2Fb"),
        ("/a\r\nX-Injected: 1", "/a%0D%0AX-Injected:%201"),
        ("/a#b", "/a%23b"),
        ("/x?labelSelector=a%3Db&limit=5", "/x?labelSelector=a%3Db&limit=5"),
    ],
)
def test_paths_are_escaped(path: str, sent: str) -> None:
    with serving(HELLO) as server:
        client(server).get(path)

    assert server.requests[0][0].splitlines()[0] == f"GET {sent} HTTP/1.1"
    assert "\nX-Injected" not in server.requests[0][0]


@pytest.mark.parametrize("answer", [HELLO, CHUNKED, NOTHING, CONTINUE + HELLO, CONTINUE * 2 + CHUNKED])
def test_a_connection_whose_answer_was_read_is_kept(answer: bytes) -> None:
    with serving(answer, answer, answer) as server:
        asking = client(server)
        bodies = [bytes(asking.get("/x").body) for _ in range(3)]

    assert bodies == [b"" if answer is NOTHING else b"{}"] * 3
    assert [len(mine) for mine in server.requests] == [3]


@pytest.mark.parametrize("answer", [CLOSING, UNTIL_THE_END])
def test_a_connection_that_the_server_closes_is_not_kept(answer: bytes) -> None:
    with serving(answer, answer) as server:
        asking = client(server)
        assert [bytes(asking.get("/x").body) for _ in range(2)] == [b"{}", b"{}"]

    assert [len(mine) for mine in server.requests] == [1, 1]


def test_a_connection_with_an_answer_that_was_not_read_is_closed() -> None:
    with serving(HELLO, HELLO) as server:
        asking = client(server)
        with asking.stream("/x"):
            pass
        assert asking.get("/x").body == b"{}"

    assert [len(mine) for mine in server.requests] == [1, 1]


def test_what_is_left_over_is_no_answer() -> None:
    """What a server sends without having been asked is never taken for the next answer."""
    with serving(HELLO + b'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"evil"', HELLO, HELLO) as server:
        asking = client(server)
        assert [bytes(asking.get("/x").body) for _ in range(3)] == [b"{}"] * 3


def test_refusals_and_redirects_keep_the_connection() -> None:
    with serving(REFUSED, HELLO) as server:
        asking = client(server)
        with pytest.raises(Exception, match="could not find"):
            asking.get("/x")
        assert asking.get("/x").body == b"{}"

    assert [len(mine) for mine in server.requests] == [2]


def test_threads_do_not_share_connections() -> None:
    with serving(*[HELLO] * 40) as server:
        asking = client(server)
        bodies: list[bytes] = []
        threads = [threading.Thread(target=lambda: bodies.append(bytes(asking.get("/x").body))) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert bodies == [b"{}"] * 40
    assert sum(map(len, server.requests)) == 40


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_ipv6() -> None:
    try:
        with serving(HELLO, family=socket.AF_INET6) as server:
            Client(Connection(server=f"http://[::1]:{server.port}", timeout=5.0)).get("/x")
    except OSError:
        pytest.skip("no IPv6 here")

    assert f"Host: [::1]:{server.port}" in server.requests[0][0]


@pytest.mark.parametrize("port", ["99999", "-1", "x"])
def test_ports_that_are_none(port: str) -> None:
    with pytest.raises(ConnectionFailed) as caught:
        Client(Connection(server=f"https://127.0.0.1:{port}"))

    assert caught.value.line == f"Unable to connect to the server: dial tcp: address {port}: invalid port"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\r\n", ConnectionFailed),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", ConnectionFailed),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", BadAnswer),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n", ConnectionFailed),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", ConnectionFailed),
    ],
    ids=["a chunk cut short", "a size that is none", "gzip that is none", "500 headers", "a long header"],
)
def test_answers_that_break(answer: bytes, error: type[Exception]) -> None:
    with serving(answer) as server, pytest.raises(error):
        Client(Connection(server=f"http://127.0.0.1:{server.port}", timeout=1.0)).get("/x")
