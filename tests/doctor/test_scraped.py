"""`doctor prometheus` with a real Prometheus that scrapes the demo's kubelets, the proxy, and views of tenants."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kubectl_vmetrics.demo import server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from tests import prometheus
from tests.conftest import invoke, write_kubeconfig
from tests.doctor.test_prometheus import forwarded
from tests.proxy.test_proxy import serve

pytestmark = prometheus.MISSING

NODES = ("worker-1", "worker-2")
FRESH = 60.0
"""Seconds to wait for the first samples of all targets."""


class World:
    """The demo and its proxy."""

    def __init__(self, apiserver: Apiserver, host: str, proxy: str) -> None:
        self.apiserver, self.host, self.proxy = apiserver, host, proxy

    def own(self, job: str = "kubelet") -> dict[str, Any]:
        """Kubelets as kube-prometheus-stack scrapes them; here through the apiserver."""
        targets = [
            {
                "targets": [self.host.removeprefix("http://")],
                "labels": {
                    "__metrics_path__": f"/api/v1/nodes/{node}/proxy/metrics/cadvisor",
                    "metrics_path": "/metrics/cadvisor",
                    "job": job,
                    "node": node,
                    "instance": f"{node}:10250",
                },
            }
            for node in NODES
        ]
        return {"job_name": "own", "honor_labels": True, "static_configs": targets}

    def found(self, path: str) -> dict[str, Any]:
        """Targets that the proxy names."""
        discovery = [{"url": self.proxy + path, "refresh_interval": "1s"}]
        return {"job_name": path, "honor_labels": True, "http_sd_configs": discovery}

    def names(self) -> dict[str, Any]:
        """The proxy's names alone."""
        targets = [{"targets": [self.proxy.removeprefix("http://")]}]
        return {
            "job_name": "vmetrics-names",
            "honor_labels": True,
            "metrics_path": "/metrics/names",
            "static_configs": targets,
        }


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    apiserver = Apiserver(build(Shape(nodes=len(NODES), pods=24, vclusters=2, machines=0, tenants=0)))
    with server.serving(apiserver) as host, serve(None, host) as proxy:
        yield World(apiserver, host, proxy)


Judge = Callable[..., dict[str, tuple[str, str]]]


@pytest.fixture
def judge(world: World, tmp_path: Path) -> Iterator[Judge]:
    """What is found once Prometheus has scraped these jobs, up to `targets` of them."""

    def run(targets: int, *jobs: dict[str, Any]) -> dict[str, tuple[str, str]]:
        config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": list(jobs)}
        with prometheus.running(config, tmp_path) as url:
            prometheus.query(url, f"count(up == 1) == {targets}", FRESH)
            time.sleep(0.1)
            world.apiserver.change = forwarded(url)
            path = write_kubeconfig(tmp_path, world.host)
            result = invoke("doctor", "prometheus", "-o", "json", kubeconfig=path)
        found = {item["id"]: (item["result"], item["found"]) for item in json.loads(result.stdout)["items"]}
        return {id_: found[id_] for id_ in ("VM702", "VM704", "VM705")}

    yield run
    world.apiserver.change = None


ALL = ("PASS", "container metrics of 2 kubelets")
ONCE = ("PASS", "no container is scraped twice")
JOINED = "container metrics can be joined with virtual names"


def test_the_proxys_discovery(world: World, judge: Judge) -> None:
    assert judge(8, world.found("/sd")) == {
        "VM702": ALL,
        "VM704": ("PASS", f"{JOINED} (pod-info, proxy-labels)"),
        "VM705": ONCE,
    }


def test_kubelets_and_the_proxys_names(world: World, judge: Judge) -> None:
    assert judge(3, world.own(), world.names()) == {
        "VM702": ALL,
        "VM704": ("PASS", f"{JOINED} (pod-info)"),
        "VM705": ONCE,
    }


def test_kubelets_alone(world: World, judge: Judge) -> None:
    assert judge(2, world.own()) == {
        "VM702": ALL,
        "VM704": ("WARN", "container metrics cannot be joined with virtual names"),
        "VM705": ONCE,
    }


@pytest.mark.parametrize(
    ("job", "jobs"),
    [
        ("kubelet", "job kubelet (/metrics/cadvisor), with and without virtual names"),
        ("other", "job kubelet (/metrics/cadvisor) and job other (/metrics/cadvisor)"),
    ],
)
def test_the_proxys_discovery_beside_the_kubelets(job: str, jobs: str, world: World, judge: Judge) -> None:
    found = judge(10, world.found("/sd"), world.own(job))

    pods = world.apiserver.world.pods
    number = sum(pod.origin is not None for pod in pods) if job == "kubelet" else len(pods)
    assert found["VM705"] == ("WARN", f"monitoring/prometheus-k8s has {number} pods from {jobs}")


def test_the_view_of_a_tenant_beside_the_host(world: World, judge: Judge) -> None:
    view = world.found("/vclusters/team-a/shop/sd")
    expected = ("WARN", "monitoring/prometheus-k8s scrapes the host and 1 view of virtual clusters")
    assert judge(14, world.found("/sd"), view)["VM705"] == expected


def test_the_views_of_all_tenants_without_the_host(world: World, judge: Judge) -> None:
    views = [world.found(f"/vclusters/{item.namespace}/{item.name}/sd") for item in world.apiserver.cluster.vclusters]
    assert judge(12, *views) == {
        "VM702": ALL,
        "VM704": ("PASS", "container metrics are those of views of virtual clusters, with virtual names"),
        "VM705": ONCE,
    }
