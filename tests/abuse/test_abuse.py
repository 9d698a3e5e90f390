"""Hostile clients and hostile kubelets: health is answered, memory is bounded, and every other tenant gets its own.

The proxy runs as a process of its own, with TLS and a token, before a demo cluster of twelve virtual clusters.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kubectl_vmetrics.demo import server as demo_server
from tests.abuse import kubelets
from tests.abuse.bench import ATTACKER, TOKEN, Bench, running, under
from tests.abuse.kubelets import DOCUMENTS, TEXTS, WAITING, Attack, Cluster

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc, and clients are 127.0.0.x")

SECONDS = 3.0


# ------------------------------------------------------------------------------------------------- hostile kubelets


@pytest.mark.parametrize("attacks", [WAITING, TEXTS, DOCUMENTS], ids=["waiting", "texts", "documents"])
def test_hostile_kubelets(attacks: dict[str, tuple[str, Attack]], tmp_path: Path) -> None:
    cluster = Cluster({node: attack for node, (_, attack) in attacks.items()})

    def scrape(bench: Bench, path: str, stopped: threading.Event) -> None:
        while not stopped.is_set():
            peer = bench.connection(ATTACKER)
            with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(peer):
                headers = {"Authorization": f"Bearer {TOKEN}", "X-Prometheus-Scrape-Timeout-Seconds": "3"}
                peer.request("GET", path, headers={**headers, "Host": "localhost"})
                answer = peer.getresponse()
                while answer.read(1 << 16) and not stopped.is_set():
                    pass
            time.sleep(0.1)

    with demo_server.serving(cluster) as host, running(tmp_path, host) as bench:

        def attack(stopped: threading.Event) -> None:
            places = [f"/api/v1/nodes/{node}/proxy/{endpoint}" for node, (endpoint, _) in attacks.items()] * 3
            threads = [threading.Thread(target=scrape, args=(bench, place, stopped), daemon=True) for place in places]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)

        under(bench, set(attacks), attack, SECONDS)
        assert set(cluster.attacked) == set(attacks)


# -------------------------------------------------------------------------------------------------- hostile clients


def silent_tls(bench: Bench, stopped: threading.Event) -> None:
    """Connections that begin a handshake, and no more."""
    with contextlib.ExitStack() as stack:
        while not stopped.is_set():
            with contextlib.suppress(OSError):
                stack.enter_context(bench.raw()).sendall(b"\x16\x03\x01\x02\x00\x01")
            time.sleep(0.005)


def slowloris(bench: Bench, stopped: threading.Event) -> None:
    """Three hundred connections, each with a byte of a head now and then."""
    with contextlib.ExitStack() as stack:
        peers = []
        for _ in range(300):
            with contextlib.suppress(OSError):
                peer = stack.enter_context(bench.secured(bench.raw()))
                peer.sendall(b"GET /metrics HTTP/1.1\r\nX-Long: ")
                peers.append(peer)
        while not stopped.is_set():
            for peer in peers:
                with contextlib.suppress(OSError):
                    peer.sendall(b"a")
            time.sleep(0.3)


def slow_readers(bench: Bench, stopped: threading.Event) -> None:
    """Clients that ask for much, and read nothing."""
    request = f"GET /api/v1/nodes/worker-1/proxy/metrics/cadvisor HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(150):
            with contextlib.suppress(OSError):
                bare = socket.socket()
                bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                bare.bind((ATTACKER, 0))
                bare.settimeout(30)
                bare.connect(("127.0.0.1", bench.port))
                peer = stack.enter_context(bench.secured(bare))
                peer.sendall(request.encode())
        stopped.wait(60)


def without_a_token(bench: Bench, stopped: threading.Event) -> None:
    """Sixteen clients that ask as fast as they can."""

    def run() -> None:
        while not stopped.is_set():
            with (
                contextlib.suppress(OSError, http.client.HTTPException),
                contextlib.closing(bench.connection(ATTACKER)) as peer,
            ):
                for _ in range(50):
                    peer.request("GET", "/api/v1/nodes/worker-1/proxy/metrics", headers={"Host": "localhost"})
                    assert peer.getresponse().read()

    threads = [threading.Thread(target=run, daemon=True) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def long_heads(bench: Bench, stopped: threading.Event) -> None:
    """Heads as long as they may be, and longer."""
    while not stopped.is_set():
        with contextlib.suppress(OSError), bench.secured(bench.raw()) as peer:
            peer.sendall(b"GET /metrics?labelSelector=" + b"a," * 8_000 + b" HTTP/1.1\r\n")
            peer.sendall(b"A: b\r\n" * 100_000)


@pytest.mark.parametrize("attack", [silent_tls, slowloris, slow_readers, without_a_token, long_heads])
def test_hostile_clients(attack: Callable[[Bench, threading.Event], None], tmp_path: Path) -> None:
    much = kubelets.SAMPLES * 60
    cluster = Cluster({"worker-1": kubelets.whole("text/plain", much)} if attack is slow_readers else {})
    with demo_server.serving(cluster) as host, running(tmp_path, host) as bench:
        under(bench, {"worker-1"}, lambda stopped: attack(bench, stopped), SECONDS)
