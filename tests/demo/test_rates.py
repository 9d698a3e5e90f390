"""A real Prometheus scrapes the demo, and finds what metrics.k8s.io and `top` tell."""

from __future__ import annotations

import contextlib
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from kubectl_vmetrics.demo import server as demo_server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.demo.usage import WINDOW
from kubectl_vmetrics.metrics.quantity import cpu_nanocores
from tests.conftest import invoke, write_kubeconfig
from tests.demo.asking import answer
from tests.prometheus import MISSING, answering, query

pytestmark = MISSING
NODES = ("worker-1", "worker-2", "worker-3")
WITHIN = 0.05
Key = tuple[str, ...]


class Seen(NamedTuple):
    """What two windows looked like.

    Attributes:
        prometheus: its URL.
        at: the time at which to ask it, in seconds since the epoch.
        over: over how many seconds.
        told: the mean of what metrics.k8s.io told of containers in these windows, in cores.
        nodes: the same of nodes.
        vclusters: the same of what `top vclusters` told, whose numbers are those of the windows' ends.
    """

    prometheus: str
    at: float
    over: int
    told: dict[Key, float]
    nodes: dict[Key, float]
    vclusters: dict[Key, float]

    def rate(self, family: str, by: str) -> dict[Key, float]:
        """The rate of a counter, summed up by labels."""
        expression = f"sum by ({by}) (rate({family}[{self.over}s] @ {self.at:.3f}))"
        found = query(self.prometheus, expression)
        return {
            tuple(item["metric"].get(label, "") for label in by.split(",")): float(item["value"][1]) for item in found
        }


def config(url: str) -> dict[str, Any]:
    """Every kubelet and virt-handler, through the apiserver's proxy."""
    address = urlsplit(url).netloc
    kubelets = [
        {
            "job_name": f"{endpoint}-{node}",
            "metrics_path": f"/api/v1/nodes/{node}/proxy/metrics/{endpoint}",
            "static_configs": [{"targets": [address], "labels": {"node": node, "endpoint": endpoint}}],
        }
        for node in NODES
        for endpoint in ("cadvisor", "resource")
    ]
    return {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": kubelets}


def usage(server: Apiserver, kind: str) -> dict[Key, float]:
    found = {}
    for item in answer(server, f"/apis/metrics.k8s.io/v1beta1/{kind}")["items"]:
        meta = item["metadata"]
        if kind == "nodes":
            found[(meta["name"],)] = cpu_nanocores(item["usage"]["cpu"]) / 1e9
        for container in item.get("containers", []):
            key = (meta["namespace"], meta["name"], container["name"])
            found[key] = cpu_nanocores(container["usage"]["cpu"]) / 1e9
    return found


def mean(samples: list[dict[Key, float]]) -> dict[Key, float]:
    found: dict[Key, float] = defaultdict(float)
    for sample in samples:
        for key, value in sample.items():
            found[key] += value / len(samples)
    return dict(found)


@contextlib.contextmanager
def looking(folder: Path) -> Iterator[Seen]:
    """The demo as it runs, by the machine's clock, for two windows and a bit."""
    server = Apiserver(build(Shape()))
    of_containers, of_nodes, of_vclusters = [], [], []
    with demo_server.serving(server) as url, answering(config(url), folder) as prometheus:
        path = write_kubeconfig(folder, url)
        query(prometheus, 'count(up{endpoint="cadvisor"} == 1) == 3')
        # From the end of a window, which was scraped, to that of the next but one.
        first, into = divmod(time.time() - server.started, WINDOW)
        if into > WINDOW - 3:
            first += 1
        for window in (first + 1, first + 2):
            time.sleep(max(0.0, server.started + window * WINDOW + 1.5 - time.time()))
            of_containers.append(usage(server, "pods"))
            of_nodes.append(usage(server, "nodes"))
            shown = json.loads(invoke("top", "vclusters", "-o", "json", kubeconfig=path).stdout)["items"]
            told = {}
            for item in shown:
                meta = item["metadata"]
                told[meta.get("namespace", ""), meta["name"]] = cpu_nanocores(item["usage"]["cpu"]) / 1e9
            of_vclusters.append(told)
        at = server.started + (first + 2) * WINDOW + 0.5
        yield Seen(prometheus, at, int(2 * WINDOW) + 3, mean(of_containers), mean(of_nodes), mean(of_vclusters))


def close(found: dict[Key, float], expected: dict[Key, float]) -> None:
    """The same keys, and each value within 5 %."""
    assert set(found) == set(expected)
    off = {key: (value, expected[key]) for key, value in found.items() if value != pytest.approx(expected[key], WITHIN)}
    assert off == {}


def containers(seen: Seen) -> None:
    for endpoint in ("cadvisor", "resource"):
        selector = f'container_cpu_usage_seconds_total{{endpoint="{endpoint}",container!=""}}'
        close(seen.rate(selector, "namespace,pod,container"), seen.told)


def pods(seen: Seen) -> None:
    told: dict[Key, float] = defaultdict(float)
    for (namespace, pod, _), value in seen.told.items():
        told[namespace, pod] += value
    cgroups = 'container_cpu_usage_seconds_total{endpoint="cadvisor",container="",pod!=""}'
    close(seen.rate(cgroups, "namespace,pod"), told)
    close(seen.rate("pod_cpu_usage_seconds_total", "namespace,pod"), told)


def nodes(seen: Seen) -> None:
    root = 'container_cpu_usage_seconds_total{endpoint="cadvisor",id="/"}'
    close(seen.rate(root, "node"), seen.nodes)
    close(seen.rate("node_cpu_usage_seconds_total", "node"), seen.nodes)


def virtual_clusters(seen: Seen) -> None:
    """What `top vclusters` tells, by what a Prometheus knows of the host: names of pods, and nothing else."""
    rates = seen.rate('container_cpu_usage_seconds_total{endpoint="cadvisor",container!=""}', "namespace,pod")
    names = {"team-a": "shop", "team-b": "dev", "team-c": "dev"}
    # What a virtual cluster's own control plane uses is in columns of its own.
    planes = {("team-a", "shop-0"), ("team-b", "dev-0"), ("team-c", "dev-0")}
    by_owner: dict[Key, float] = defaultdict(float)
    for (namespace, pod), rate in rates.items():
        if (namespace, pod) not in planes:
            by_owner[(namespace, names[namespace]) if namespace in names else ("", "host")] += rate
    close(by_owner, seen.vclusters)


def test_rates_are_what_the_metrics_api_and_top_tell(tmp_path: Path) -> None:
    """One test, since it takes two windows to look: every container, pod, node and virtual cluster."""
    with looking(tmp_path) as seen:
        containers(seen)
        pods(seen)
        nodes(seen)
        virtual_clusters(seen)
