"""A proxy under attack, as a process of its own: how long health takes, what tenants get, how much memory it takes."""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import trustme

from tests.conftest import write_kubeconfig

TOKEN = "0123456789abcdef"
HEALTH = 1.0
"""Seconds that 99 of 100 requests for health take at most, on a machine that has nothing else to do."""
MEMORY = 256.0
"""MiB at most."""
ATTACKER = "127.0.0.9"
"""Another address than the tenants' and the kubelet's, who ask for health: all of 127/8 is this machine."""


class Bench:
    """The proxy, seen from outside."""

    def __init__(self, pid: int, port: int, context: ssl.SSLContext, authority: Path) -> None:
        self.pid, self.port, self.context, self.authority = pid, port, context, authority

    def connection(self, source: str = "127.0.0.1", timeout: float = 30.0) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(
            "127.0.0.1", self.port, context=self.context, timeout=timeout, source_address=(source, 0)
        )

    def raw(self) -> socket.socket:
        """An attacker's connection, without TLS so far."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30, source_address=(ATTACKER, 0))

    def secured(self, bare: socket.socket) -> ssl.SSLSocket:
        """The same connection with TLS."""
        try:
            return self.context.wrap_socket(bare, server_hostname="127.0.0.1")
        except OSError:
            bare.close()
            raise

    def get(self, path: str, source: str = "127.0.0.1", **headers: str) -> tuple[int, bytes]:
        with contextlib.closing(self.connection(source)) as peer:
            peer.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}", "Host": "localhost", **headers})
            answer = peer.getresponse()
            return answer.status, answer.read()

    def peak(self) -> float:
        """The most memory that it ever took, MiB."""
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found
        return int(found[1]) / 1024


@contextlib.contextmanager
def running(folder: Path, host: str) -> Iterator[Bench]:
    """The proxy before a host, with TLS and a token."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(folder / "cert")
    issued.private_key_pem.write_to_path(folder / "key")
    authority.cert_pem.write_to_path(folder / "ca")
    (folder / "token").write_text(TOKEN)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    files = [f"--token-file={folder}/token", f"--tls-cert-file={folder}/cert", f"--tls-private-key-file={folder}/key"]
    command = [sys.executable, "-m", "kubectl_vmetrics", "proxy", "--port=0", *files]
    variables = {**os.environ, "KUBECONFIG": str(write_kubeconfig(folder, host))}
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=variables, text=True) as process,
    ):
        try:
            assert process.stdout
            line = process.stdout.readline()
            found = re.search(r":(\d+)$", line.strip())
            assert found, line + (folder / "log").read_text()
            yield Bench(process.pid, int(found[1]), context, folder / "ca")
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
        finally:
            process.kill()


class Watcher:
    """Asks for health all the time, from another address than attackers, in a process of its own."""

    def __init__(self, bench: Bench) -> None:
        self.took: list[float] = []
        self.late: list[float] = []
        self.wrong: list[str] = []
        command = [sys.executable, "-m", "tests.abuse.watch", str(bench.port), str(bench.authority)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        found = json.loads(self._process.communicate("", timeout=60)[0])
        self.took, self.late, self.wrong = found["took"], found["late"], found["wrong"]

    def p99(self) -> float:
        """Of 100 requests for health 99 took less."""
        return _p99(self.took)

    def busy(self) -> float:
        """What of that a busy machine takes: a request and its handshake wait for the processor six times."""
        return 6 * _p99(self.late)


def views(names: str) -> list[str]:
    """The paths of tenants' views, given what /metrics/names is."""
    pattern = r'(?m)^vcluster_info\{vcluster_name="(.+?)",vcluster_host_namespace="(.+?)"'
    return [f"/vclusters/{namespace}/{name}" for name, namespace in re.findall(pattern, names)]


def _p99(values: list[float]) -> float:
    return sorted(values)[math.ceil(len(values) * 0.99) - 1]


def of_tenants(bench: Bench, hostile: set[str]) -> dict[str, bytes]:
    """What each tenant gets while nothing is wrong: a scrape of a node that is not hostile, and its pods."""
    paths = []
    for prefix in ("", *views(bench.get("/metrics/names")[1].decode())):
        targets = json.loads(bench.get(f"{prefix}/sd?endpoints=metrics/cadvisor")[1])
        mine = [target["labels"] for target in targets if target["labels"]["node"] not in hostile]
        paths.append(mine[0]["__metrics_path__"])
    paths += [path.partition("/api/v1/nodes/")[0] + "/apis/metrics.k8s.io/v1beta1/pods" for path in paths]
    expected = {}
    for path in paths:
        status, body = bench.get(path)
        assert status == 200, path
        expected[path] = body
    return expected


def under(bench: Bench, hostile: set[str], attack: Callable[[threading.Event], Any], seconds: float) -> None:
    """Attack, and hold that nobody else notices.

    Args:
        bench: the proxy.
        hostile: nodes whose kubelets attack.
        attack: attacks until the event is set, in a thread.
        seconds: for how long.
    """
    assert bench.get("/readyz") == (200, b"ok")
    expected = of_tenants(bench, hostile)
    assert len(expected) == 2 * 13  # the host and twelve tenants
    stopped = threading.Event()
    thread = threading.Thread(target=attack, args=(stopped,), daemon=True)
    thread.start()
    time.sleep(0.3)
    end = time.monotonic() + seconds
    with Watcher(bench) as watcher:
        rounds = 0
        while time.monotonic() < end or rounds == 0:
            wrong = [path for path, body in expected.items() if bench.get(path) != (200, body)]
            assert wrong == []
            rounds += 1
    stopped.set()
    thread.join(30)
    figures = f"{len(watcher.took)} times health, p99 {watcher.p99():.3f} s, {watcher.busy():.3f} the machine's; {bench.peak():.0f} MiB; {rounds} rounds"
    print(figures)
    assert watcher.wrong == [], figures
    assert watcher.p99() < HEALTH + watcher.busy(), figures
    assert bench.peak() < MEMORY, figures
