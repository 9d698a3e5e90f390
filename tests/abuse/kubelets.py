"""What a hostile kubelet answers: each attack writes to the connection for as long as somebody reads."""

from __future__ import annotations

import contextlib
import gzip
import re
import socket
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.demo.exchange import CONNECTION

LONGEST = 40.0
"""Seconds after which an attack ends, whatever reads it."""

Attack = Callable[[socket.socket, threading.Event], None]


class Cluster:
    """A demo cluster with twelve virtual clusters, of which some kubelets are hostile.

    Args:
        attacks: by node.

    Attributes:
        attacked: how often each was asked.
    """

    def __init__(self, attacks: Mapping[str, Attack]) -> None:
        self.attacked: Counter[str] = Counter()
        self._attacks = attacks
        self._stopped = threading.Event()
        self._good = Apiserver(build(Shape(nodes=10, vclusters=12, pods=160)), clock=lambda: 1_700_000_000.0)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        found = re.match(r"/api/v1/nodes/([^/]+)/proxy/", environ["PATH_INFO"])
        attack = self._attacks.get(found[1]) if found else None
        if not found or not attack:
            return self._good(environ, start_response)
        self.attacked[found[1]] += 1
        connection = environ[CONNECTION]()
        connection.settimeout(LONGEST)
        with contextlib.suppress(OSError):
            attack(connection, self._stopped)
        start_response("200 OK", [])
        return []

    def close(self) -> None:
        """End attacks and watches."""
        self._stopped.set()
        self._good.close()


def _until(stopped: threading.Event) -> Iterator[None]:
    end = time.monotonic() + LONGEST
    while time.monotonic() < end and not stopped.is_set():
        yield


def _head(kind: str, *more: str) -> bytes:
    lines = ("HTTP/1.1 200 OK", f"Content-Type: {kind}", "Connection: close", *more)
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


def hangs(connection: socket.socket, stopped: threading.Event) -> None:
    """Say nothing."""
    stopped.wait(LONGEST)


def drips(connection: socket.socket, stopped: threading.Event) -> None:
    """A head, a byte at a time."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    for _ in _until(stopped):
        connection.sendall(b"a")
        time.sleep(0.1)


def drips_a_body(connection: socket.socket, stopped: threading.Event) -> None:
    """A line that has no end, a byte at a time."""
    connection.sendall(_head("text/plain"))
    for _ in _until(stopped):
        connection.sendall(b"a")
        time.sleep(0.1)


def goes_on(connection: socket.socket, stopped: threading.Event) -> None:
    """100 Continue, for ever."""
    for _ in _until(stopped):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def _bomb(kind: str, first: bytes, block: bytes) -> Attack:
    """Three gigabytes of a block, of which some megabytes are sent."""

    def attack(connection: socket.socket, stopped: threading.Event) -> None:
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        connection.sendall(_head(kind, "Content-Encoding: gzip"))
        connection.sendall(packer.compress(first) + packer.flush(zlib.Z_FULL_FLUSH))
        # After a full flush nothing refers to what was before: one piece may be sent again and again.
        piece = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
        for _, _ in zip(range((3 << 30) // len(block)), _until(stopped), strict=False):
            connection.sendall(piece)

    return attack


def _stream(kind: str, first: bytes, block: bytes, *more: str) -> Attack:
    """Without end."""

    def attack(connection: socket.socket, stopped: threading.Event) -> None:
        connection.sendall(_head(kind, *more) + first)
        for _ in _until(stopped):
            connection.sendall(block)

    return attack


def whole(kind: str, body: bytes) -> Attack:
    def attack(connection: socket.socket, stopped: threading.Event) -> None:
        connection.sendall(_head(kind, f"Content-Length: {len(body)}") + body)

    return attack


def _refusal(connection: socket.socket, stopped: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 500 No\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n")
    for _ in _until(stopped):
        connection.sendall(b"x" * 65536)


def _cut(connection: socket.socket, stopped: threading.Event) -> None:
    body = gzip.compress(b'up{a="b"} 1\n' * 10_000)[:-20]
    connection.sendall(_head("text/plain", "Content-Encoding: gzip", f"Content-Length: {len(body)}") + body)


TEXT, JSON = "text/plain; version=0.0.4", "application/json"
SAMPLES = b"".join(b'container_cpu{pod="p%d",namespace="n%d",id="/%d"} 1\n' % (n, n, n) for n in range(2000))
WAITING = {
    "worker-1": ("metrics", hangs),
    "worker-2": ("metrics", drips),
    "worker-3": ("metrics", drips_a_body),
    "worker-4": ("metrics/resource", goes_on),
}
"""By node: what is asked for, and what is answered. These hold up."""
TEXTS = {
    "worker-1": ("metrics/cadvisor", _bomb(TEXT, b"# HELP a ", b"a" * (1 << 20))),
    "worker-2": ("metrics/cadvisor", _bomb(TEXT, b"# TYPE container_cpu gauge\n", SAMPLES * 8)),
    "worker-3": ("metrics/cadvisor", _stream(TEXT, b"# HELP a ", b"a" * 65536)),
    "worker-4": ("metrics/cadvisor", _stream(TEXT, b"# TYPE container_cpu gauge\n", SAMPLES)),
    "worker-5": ("metrics", _cut),
    "worker-6": ("metrics", _refusal),
}
"""These fill memory with text."""
DOCUMENTS = {
    "worker-1": ("stats/summary", _bomb(JSON, b'{"pods":[', b" " * (1 << 20))),
    "worker-2": ("stats/summary", _stream(JSON, b'{"pods":[', b"{}," * 20_000)),
    "worker-3": ("stats/summary", whole(JSON, b'{"pods":[' + b"{}," * 2_000_000 + b"{}]}")),
    "worker-4": ("stats/summary", whole(JSON, b'{"pods":' + b"[" * 1_000_000)),
    "worker-5": ("stats/summary", whole(JSON, b'{"pods":[{"podRef":{"name":NaN}},{"cpu":1e999},{"cpu":-Infinity}]}')),
}
"""These fill it with JSON."""
