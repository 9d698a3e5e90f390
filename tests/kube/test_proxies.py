"""Through which proxy a cluster is asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.kubeconfig import Connection
from kubectl_vmetrics.kube.transport import loopback, proxies
from tests.conftest import Cli

NOWHERE = "http://127.0.0.1:1"


class Proxy:
    """Answers {} to everything, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.asked.append(connection.recv(65536).decode().partition("\r\n")[0])
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    b"Content-Length: 2\r\nConnection: close\r\n\r\n{}"
                )

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    made = Proxy()
    yield made
    made.close()


def test_the_environments(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    client = Client(Connection(server="http://cluster.test"))

    assert client.get("/version").body == b"{}"
    assert proxy.asked == ["GET http://cluster.test/version HTTP/1.1"]


def test_the_kubeconfigs_counts_more_and_for_all(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", NOWHERE)
    for server in ("http://cluster.test", "http://127.0.0.1:2"):
        Client(Connection(server=server, proxy_url=proxy.url)).get("/version")

    assert proxy.asked == [f"GET {server}/version HTTP/1.1" for server in ("http://cluster.test", "http://127.0.0.1:2")]


@pytest.mark.parametrize("server", ["https://cluster.test", "https://10.0.0.1:6443"])
def test_no_proxy(server: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    assert proxies(Connection(server=server))["https"] == proxy.url
    monkeypatch.setenv("NO_PROXY", "cluster.test,10.0.0.0/8")
    assert not proxies(Connection(server=server)).get("https")


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"])
def test_this_machine_needs_none(name: str, proxy: Proxy, on_demo: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with kubectl; so `demo` works behind a proxy of which nobody excluded 127.0.0.1."""
    monkeypatch.setenv(name, NOWHERE)

    assert on_demo("top", "nodes").code == 0
    assert on_demo("controlplanes", "shop", "-n", "team-a", "--interval=1s").code == 0


def test_what_this_machine_is() -> None:
    assert all(loopback(host) for host in ("localhost", "127.0.0.1", "127.9.9.9", "::1"))
    assert not any(loopback(host) for host in ("", "10.0.0.1", "localhost.example", "0.0.0.0", "::"))
