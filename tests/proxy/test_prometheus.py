"""A real Prometheus finds the proxy's targets through /sd, scrapes them, and adds up what `top vclusters` adds up.

The demo's clock goes on once all targets have been scraped, so that all sources have the same samples of some minutes
after some seconds.
"""

from __future__ import annotations

import json
import math
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import ANY

import pytest

from kubectl_vmetrics.demo import server as demo_server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.demo.usage import WINDOW
from kubectl_vmetrics.proxy.flights import Flights
from tests.conftest import invoke, write_kubeconfig
from tests.prometheus import MISSING, query, running
from tests.proxy.test_proxy import serve

pytestmark = MISSING

ENDPOINTS = ("metrics", "metrics/cadvisor", "metrics/probes")
TENANT = ("team-a", "shop")
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "prometheus.md"
OWNER = ("vcluster_host_namespace", "vcluster_name")
CPU = "rate(container_cpu_usage_seconds_total{{container!='',source='{}'}}[1m])"
MEMORY = "container_memory_working_set_bytes{{container!='',source='{}'}}"
NAMES = "max by (namespace, pod, vcluster_host_namespace, vcluster_name) (vcluster_pod_info{source='proxy'})"


class Clock:
    """Seconds since the epoch, as the test sets them."""

    def __init__(self) -> None:
        self.now = time.time() - 330

    def __call__(self) -> float:
        return self.now


class World(NamedTuple):
    """A Prometheus that has scraped the demo three ways, and the demo.

    Attributes:
        url: of Prometheus.
        end: when the demo's clock stopped.
        recorded: when rules had been evaluated with all that was scraped.
        kubeconfig: of the demo.
    """

    url: str
    end: float
    recorded: float
    kubeconfig: Path


def _own(host: str) -> list[dict[str, Any]]:
    """The kubelets, as a Prometheus of the host finds them; here through the apiserver."""
    return [
        {
            "targets": [host.removeprefix("http://")],
            "labels": {
                "__metrics_path__": f"/api/v1/nodes/{node.name}/proxy/{endpoint}",
                "job": "kubelet",
                "metrics_path": f"/{endpoint}",
                "node": node.name,
                "instance": node.name,
                "source": "own",
            },
        }
        for node in build(Shape()).nodes
        for endpoint in ENDPOINTS
    ]


def _found(url: str, source: str) -> dict[str, Any]:
    discovery = {"http_sd_configs": [{"url": url, "refresh_interval": "1s"}]}
    label = {"relabel_configs": [{"target_label": "source", "replacement": source}]}
    return {"job_name": source, "honor_labels": True, **discovery, **label}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder, clock = tmp_path_factory.mktemp("prometheus"), Clock()
    shape = build(Shape())
    targets = len(ENDPOINTS) * 3 * len(shape.nodes) + 2
    with (
        demo_server.serving(Apiserver(shape, clock)) as host,
        # Every scrape sees what the demo's clock says, and nothing that is some seconds old.
        serve(None, host, views={"flights": Flights[Any](age=0.0)}) as proxy,
    ):
        rules = invoke("manifests", "rules", "--raw")
        assert (rules.code, rules.stderr) == (0, "")
        (folder / "rules.yml").write_text(rules.stdout.replace("interval: 1m", "interval: 1s"))
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "rule_files": [str(folder / "rules.yml")],
            "scrape_configs": [
                _found(f"{proxy}/sd", "proxy"),
                _found(f"{proxy}/vclusters/{'/'.join(TENANT)}/sd", "tenant"),
                {"job_name": "own", "honor_labels": True, "static_configs": _own(host)},
            ],
        }
        with running(config, folder) as url:
            # Windows of the demo: some minutes at first, then one after the other until it is as late as it is.
            started, windows = clock.now, 0
            for _ in range(4):
                _scraped(url, targets)
                windows += 5
                clock.now = started + windows * WINDOW
            last = max(windows + 3, math.ceil((time.time() - started) / WINDOW))
            for window in range(last - 3, last + 1):
                _scraped(url, targets)
                clock.now = started + window * WINDOW
            _scraped(url, targets)
            time.sleep(max(0.0, clock.now - time.time()) + 3)
            yield World(url, clock.now, time.time(), write_kubeconfig(folder, host))


def _scraped(url: str, targets: int) -> None:
    """Wait until all targets are scraped once more."""
    # Of a selector alone does `timestamp` give the samples' own.
    query(url, f"count((timestamp(up) > {time.time()}) and (up == 1)) == {targets}", 90)


def ask(world: World, expression: str, when: float | None = None) -> list[dict[str, Any]]:
    """The answer to a query, at a time or when the demo's clock stopped."""
    asked = urllib.parse.urlencode({"query": expression, "time": when or world.end + 1})
    with urllib.request.urlopen(f"{world.url}/api/v1/query?{asked}", timeout=20) as answer:
        found: list[dict[str, Any]] = json.loads(answer.read())["data"]["result"]
        return found


def by_owner(world: World, expression: str, when: float | None = None) -> dict[tuple[str, ...], float]:
    """Sums by virtual cluster; what belongs to none has two empty names."""
    answer = ask(world, f"sum by ({', '.join(OWNER)}) ({expression})", when)
    return {tuple(item["metric"].get(label, "") for label in OWNER): float(item["value"][1]) for item in answer}


def top(world: World) -> dict[tuple[str, ...], tuple[float, float]]:
    """Cores and bytes by virtual cluster as `top vclusters` has them; control planes count towards the host."""
    result = invoke("top", "vclusters", "-o", "json", kubeconfig=world.kubeconfig)
    assert (result.code, result.stderr) == (0, "")
    found: dict[tuple[str, ...], tuple[float, float]] = {}
    planes = [0.0, 0.0]
    for item in json.loads(result.stdout)["items"]:
        name = ("", "") if item["kind"] == "HostUsage" else (item["metadata"]["namespace"], item["metadata"]["name"])
        found[name] = _usage(item)
        if "controlPlane" in item:
            planes = [sum(pair) for pair in zip(planes, _usage(item["controlPlane"]), strict=True)]
    cores, size = found["", ""]
    return {**found, ("", ""): (cores + planes[0], size + planes[1])}


def _usage(item: Any) -> tuple[float, float]:
    cpu, memory = item["usage"]["cpu"], item["usage"]["memory"]
    units = {"n": 1e-9, "u": 1e-6, "m": 1e-3}
    cores = float(cpu[:-1]) * units[cpu[-1]] if cpu[-1] in units else float(cpu)
    return cores, float(memory.removesuffix("Ki")) * 1024


def whole(sums: dict[tuple[str, ...], float]) -> float:
    """What the whole host uses."""
    return sum(sums.values())


def test_the_hosts_discovery_leads_to_the_kubelets_once(world: World) -> None:
    found = {
        tuple(item["metric"].get(label, "") for label in ("job", "metrics_path", "node", "instance"))
        for item in ask(world, "up{source='proxy'}")
    }
    address = next(item["metric"]["instance"] for item in ask(world, "up{job='vmetrics-proxy'}"))

    assert found == {
        *(("kubelet", f"/{e}", node.name, node.name) for e in ENDPOINTS for node in build(Shape()).nodes),
        ("vmetrics-names", "", "", address),
        ("vmetrics-proxy", "", "", address),
    }


@pytest.mark.parametrize("source", ["proxy", "own"])
def test_nothing_is_there_twice(source: str, world: World) -> None:
    """Neither by another endpoint of the kubelets, nor by another view, nor by the names."""
    everything = f"{{source='{source}',namespace!='',__name__=~'container_.+|kubelet_.+|prober_.+|vcluster_.+'}}"
    named = f"label_replace({everything}, 'family', '$1', '__name__', '(.+)')"
    counted = f"count by (family, namespace, pod, container, persistentvolumeclaim, probe_type) ({named})"

    assert {item["metric"]["family"] for item in ask(world, counted)} >= {"container_cpu_usage_seconds_total"}
    assert ask(world, f"{counted} > 1") == []


def test_the_proxys_series_add_up_to_top_vclusters(world: World) -> None:
    shown, cpu, memory = top(world), by_owner(world, CPU.format("proxy")), by_owner(world, MEMORY.format("proxy"))

    assert {name: (cpu[name], memory[name]) for name in cpu} == {
        name: (pytest.approx(cores, rel=0.05), pytest.approx(size, rel=0.05)) for name, (cores, size) in shown.items()
    }
    assert whole(cpu) == pytest.approx(sum(cores for cores, _ in shown.values()), rel=0.05)
    assert whole(memory) == pytest.approx(sum(size for _, size in shown.values()), rel=0.05)


def test_names_joined_with_the_hosts_own_scrape_give_the_same(world: World) -> None:
    for usage in (CPU, MEMORY):
        pods = f"sum by (namespace, pod) ({usage.format('own')})"
        named = f"{pods} * on (namespace, pod) group_left ({', '.join(OWNER)}) {NAMES}"
        rest = f"{pods} unless on (namespace, pod) vcluster_pod_info"
        joined = by_owner(world, f"({named}) or ({rest})")

        assert joined == {
            name: pytest.approx(value, rel=1e-9) for name, value in by_owner(world, usage.format("proxy")).items()
        }


def test_claims_joined_with_the_hosts_own_scrape_give_the_same(world: World) -> None:
    labels = (
        "vcluster_host_namespace, vcluster_name, vcluster_virtual_namespace, vcluster_virtual_persistentvolumeclaim"
    )
    used = "kubelet_volume_stats_used_bytes{{source='{}'}}"
    names = "vcluster_persistentvolumeclaim_info{source='proxy'}"
    joined = ask(
        world,
        f"sum by ({labels}) ({used.format('own')} * on (namespace, persistentvolumeclaim) group_left ({labels}) {names})",
    )
    proxied = ask(world, f"sum by ({labels}) ({used.format('proxy')}) and on ({labels}) {names}")

    assert len(joined) == 3
    assert sorted(map(str, joined)) == sorted(map(str, proxied))


def test_rules_of_the_kubernetes_mixin_find_the_same_series(world: World) -> None:
    """By the labels that kubernetes-mixin selects by, with the values of kube-prometheus."""

    def shown(source: str, expression: str) -> dict[tuple[Any, ...], float]:
        return {
            tuple(
                sorted(item for item in found["metric"].items() if not item[0].startswith(("source", "vcluster_")))
            ): (float(found["value"][1]))
            for found in ask(world, expression.replace("{", f"{{source='{source}',"))
        }

    for expression in (
        'sum by (cluster, namespace, pod, container) (rate(container_cpu_usage_seconds_total{job="kubelet", '
        'metrics_path="/metrics/cadvisor", image!=""}[5m]))',
        'container_memory_working_set_bytes{job="kubelet", metrics_path="/metrics/cadvisor", image!=""}',
        'kubelet_volume_stats_used_bytes{job="kubelet", namespace=~".*", metrics_path="/metrics"}',
        'sum by (cluster, instance) (kubelet_running_pods{job="kubelet", metrics_path="/metrics"})',
    ):
        found = shown("proxy", expression)
        assert found
        assert found == {name: pytest.approx(value, rel=1e-9) for name, value in shown("own", expression).items()}


def test_recorded_series_count_once_what_is_scraped_three_times(world: World) -> None:
    """`manifests rules` by names: of a Prometheus that scrapes the kubelets, the host's view and a tenant's."""
    shown = {name: sums for name, sums in top(world).items() if name != ("", "")}
    memory = by_owner(world, "vcluster:memory_working_set_bytes:sum", world.recorded)
    cpu = by_owner(world, "vcluster:cpu_usage_cores:sum", world.recorded)
    rate = by_owner(world, "rate(container_cpu_usage_seconds_total{container!='',source='proxy'}[5m])")

    assert memory == {name: pytest.approx(size, rel=1e-9) for name, (_, size) in shown.items()}
    assert cpu == {name: pytest.approx(rate[name], rel=0.05) for name in shown}
    assert ask(world, "ALERTS{alertstate='firing'}", world.recorded) == []


def test_the_queries_of_the_documentation(world: World) -> None:
    """One for the proxy's own series, one for the host's and names: they give the same for each virtual cluster."""
    proxied, joined = re.findall(r"(?s)```promql\n(.+?)```", DOCUMENTATION.read_text(encoding="utf-8"))
    found = [
        {
            tuple(item["metric"].get(label, "") for label in OWNER): float(item["value"][1])
            for item in ask(world, expression.replace('job="kubelet"', f'job="kubelet",source="{source}"'))
        }
        for expression, source in ((proxied, "proxy"), (joined, "own"))
    ]
    assert set(found[1]) == {("team-a", "shop"), ("team-b", "dev"), ("team-c", "dev")}
    assert found[0] == {**{name: pytest.approx(cores, rel=1e-9) for name, cores in found[1].items()}, ("", ""): ANY}


def test_a_tenants_own_prometheus_sees_its_own_sum(world: World) -> None:
    """Without what has no name inside: the pod of its virtual machine."""
    launcher = "namespace='team-a',vcluster_virtual_pod=''"
    for usage in (CPU, MEMORY):
        inside = by_owner(world, usage.format("tenant"))
        outside = by_owner(world, usage.format("proxy"))[TENANT]
        nameless = by_owner(world, usage.format("proxy").replace("{", f"{{vcluster_name!='',{launcher},", 1))[TENANT]

        assert nameless > 0
        assert inside == {TENANT: pytest.approx(outside - nameless, rel=1e-9)}


def test_the_hosts_series_carry_both_names(world: World) -> None:
    found = {
        tuple(item["metric"].get(label, "") for label in (*OWNER, "namespace", "pod"))
        for item in ask(world, "container_memory_rss{source='proxy',vcluster_virtual_pod='orders-db-0'}")
    }

    assert found == {
        ("team-a", "shop", "team-a", "orders-db-0-x-shop-x-shop"),
        ("team-b", "dev", "team-b", "orders-db-0-x-shop-x-dev"),
        ("team-c", "dev", "team-c", "orders-db-0-x-shop-x-dev"),
    }


def test_a_tenants_series_carry_the_tenants_names(world: World) -> None:
    pods = {item["metric"]["pod"] for item in ask(world, "container_memory_rss{source='tenant',namespace='shop'}")}

    assert {pod.rsplit("-", 2)[0] if pod.startswith(("cart", "reco")) else pod for pod in pods} == {
        "cart",
        "orders-db-0",
        "recommendations-for-the-landing-page",
    }
