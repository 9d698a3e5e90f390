"""Fifty tenants' Prometheus servers scrape twenty nodes: what that costs the host, with and without sharing.

    python -m tests.benchmarks.sharing [spread|together]

Run by hand; nothing is asserted. The host is the demo cluster with 250 pods on each node; the proxy is a process of its
own. "At once" is the start of all scrapes in the same second, "spread" what Prometheus does: each target has its own
moment within the scrape interval.
"""

from __future__ import annotations

import contextlib
import http.client
import math
import random
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kubectl_vmetrics.demo import server as demo_server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.kubeconfig import Connection
from kubectl_vmetrics.proxy import server
from kubectl_vmetrics.proxy.application import Proxy
from kubectl_vmetrics.proxy.flights import AGE, Flights
from kubectl_vmetrics.proxy.views import Views
from tests.benchmarks.proxy import resident

SHAPE = Shape(nodes=20, vclusters=50, pods=5_000)
INTERVAL = 30.0
"""Seconds, of the scrapes that are spread."""
ENDPOINT = "metrics/cadvisor"


class Metered:
    """The demo cluster.

    Attributes:
        requests: those to kubelets.
        sent: bytes of their responses, compressed.
    """

    def __init__(self) -> None:
        self.requests = self.sent = 0
        self._lock = threading.Lock()
        self._cluster = Apiserver(build(SHAPE))

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        found = self._cluster(environ, start_response)
        if "/proxy/" not in environ["PATH_INFO"]:
            return found
        parts = list(found)
        with self._lock:
            self.requests += 1
            self.sent += sum(map(len, parts))
        return parts

    def close(self) -> None:
        self._cluster.close()


def serve(host: str, age: float) -> None:
    """The proxy, until its input ends."""
    views = Views(Client(Connection(server=host)), flights=Flights(age=age))
    proxy = Proxy(views, accept_hosts=re.compile(r"127\.0\.0\.1"))
    with contextlib.closing(views), server.serving(proxy, "127.0.0.1", 0, None) as url:
        print(url, flush=True)
        sys.stdin.read()


@contextlib.contextmanager
def running(host: str, age: float) -> Iterator[tuple[int, str]]:
    """The proxy as a process: its id, and its URL."""
    command = [sys.executable, "-m", "tests.benchmarks.sharing", host, str(age)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.pid, process.stdout.readline().strip()
        process.communicate("")


def scrape(url: str, wait: float) -> tuple[float, int]:
    """Seconds and bytes of one scrape, which begins after a while; no seconds where it fails, no bytes for a 404."""
    time.sleep(wait)
    started = time.perf_counter()
    size = 0
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            while chunk := answer.read(1 << 20):
                size += len(chunk)
    except urllib.error.HTTPError as error:
        with error:
            return (math.nan, 0) if error.code != 404 else (0.0, 0)
    except (OSError, http.client.HTTPException):
        return math.nan, 0
    return time.perf_counter() - started, size


def measure(host: Metered, url: str, *, age: float, spread: bool, clients: int) -> str:
    """One line of the table."""
    cluster = build(SHAPE)
    with running(url, age) as (process, proxy):
        views = [f"{proxy}/vclusters/{item.namespace}/{item.name}" for item in cluster.vclusters]
        paths = [f"{view}/api/v1/nodes/{node.name}/proxy/{ENDPOINT}" for node in cluster.nodes for view in views]
        scrape(f"{proxy}/api/v1/nodes/{cluster.nodes[0].name}/proxy/metrics/probes", 0.0)  # the map is read
        dice = random.Random(0)
        waits = [dice.random() * INTERVAL if spread else 0.0 for _ in paths]
        idle = resident(process, "VmRSS")
        host.requests = host.sent = 0
        started = time.perf_counter()
        with ThreadPoolExecutor(len(paths) if spread else clients) as pool:
            found = list(pool.map(scrape, paths, waits))
        took = sorted(seconds for seconds, size in found if size)
        return (
            f"{'spread' if spread else 'at once':8} {'shared' if age > 0 else 'each its own':13} "
            f"{len(took)} scrapes, {sum(math.isnan(seconds) for seconds, _ in found)} failed; "
            f"requests to kubelets {host.requests:5}, "
            f"{host.sent / 1e6:6.1f} MB; {sum(size for _, size in found) / 1e6:.1f} MB out; "
            f"p50 {took[len(took) // 2]:.2f} s, p99 {took[int(len(took) * 0.99)]:.2f} s, "
            f"all in {time.perf_counter() - started:.1f} s; "
            f"idle {idle:.0f} MiB, peak {resident(process, 'VmHWM') - idle:+.0f} MiB"
        )


def main(spreads: tuple[bool, ...] = (False, True)) -> None:
    """Print the table."""
    host = Metered()
    with demo_server.serving(host) as url:
        for spread in spreads:
            for age in (-math.inf, AGE):
                print(measure(host, url, age=age, spread=spread, clients=50), flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        serve(sys.argv[1], float(sys.argv[2]))
    else:
        main((sys.argv[1] == "spread",) if len(sys.argv) == 2 else (False, True))
