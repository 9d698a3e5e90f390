"""The demo's history, asked in a real Prometheus: it agrees with the live numbers, and holds what it is said to hold."""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import struct
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kubectl_vmetrics.demo import engine, history, past
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.demo.remote_write import Encoder, Series
from kubectl_vmetrics.metrics.quantity import cpu_nanocores, memory_bytes
from tests.conftest import invoke
from tests.demo.asking import Clock, answer, ask
from tests.prometheus import MISSING
from tests.remote_write import STALE, field, snappy, varint

BASE = "/api/v1/namespaces/monitoring/services/http:prometheus-k8s:9090/proxy/api/v1"
DAY = 86_400.0
CGROUPS = 'container_cpu_usage_seconds_total{container="",image="",pod!=""}'


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def demo(clock: Clock) -> Iterator[Apiserver]:
    server = Apiserver(build(Shape(nodes=2, pods=24, vclusters=2, machines=5, tenants=0, gpu_nodes=2)), clock)
    yield server
    server.close()


def result(demo: Apiserver, expression: str, **more: Any) -> list[Any]:
    found = answer(demo, f"{BASE}/query", urlencode({"query": expression, **more}))
    listed: list[Any] = found["data"]["result"]
    return listed


def numbers(demo: Apiserver, expression: str, *labels: str, **more: Any) -> dict[tuple[str, ...], float]:
    found = result(demo, expression, **more)
    return {tuple(item["metric"].get(label, "") for label in labels): float(item["value"][1]) for item in found}


def live(demo: Apiserver) -> dict[tuple[str, ...], tuple[float, int]]:
    """Cores and bytes of each container that runs, from metrics.k8s.io."""
    found = {}
    for item in answer(demo, "/apis/metrics.k8s.io/v1beta1/pods")["items"]:
        for container in item["containers"]:
            meta, usage = item["metadata"], container["usage"]
            key = (meta["namespace"], meta["name"], container["name"])
            found[key] = (cpu_nanocores(usage["cpu"]) / 1e9, memory_bytes(usage["memory"]))
    return found


@MISSING
def test_the_end_of_the_history_is_what_the_metrics_api_reports(demo: Apiserver, clock: Clock) -> None:
    key = ("namespace", "pod", "container")
    for _ in range(2):
        expected = live(demo)
        cores = numbers(demo, 'rate(container_cpu_usage_seconds_total{container!=""}[16s])', *key)
        octets = numbers(demo, 'container_memory_working_set_bytes{container!=""}', *key)
        assert set(cores) == set(octets) == set(expected)
        assert octets == {name: float(size) for name, (_, size) in expected.items()}
        for name, value in cores.items():
            assert math.isclose(value, expected[name][0], abs_tol=2e-9), name
        clock.now += 300  # what has passed since is there with the next query


EXACT = re.compile(r"container_(cpu_usage_seconds|memory_working_set_bytes|(network|fs)_[a-z]+_bytes)|DCGM_")
WHICH = ("__name__", "namespace", "pod", "container", "id", "UUID", "GPU_I_ID")


@MISSING
def test_samples_are_those_of_live_expositions(demo: Apiserver, clock: Clock) -> None:
    """All that kubelets and GPU exporters report of pods at this moment, to the last digit, under the same cgroups."""
    expected = {}
    places = [f"/api/v1/nodes/{node.name}/proxy/metrics/cadvisor" for node in demo.world.cluster.nodes]
    exporters = [pod.name for pod in demo.world.pods_in("gpu-operator")]
    places += [f"/api/v1/namespaces/gpu-operator/pods/{name}:9400/proxy/metrics" for name in exporters]
    for place in places:
        for family in text_string_to_metric_families(ask(demo, place)[2].decode()):
            for sample in family.samples:
                if EXACT.match(sample.name) and (sample.labels.get("pod") or "UUID" in sample.labels):
                    labels = {**sample.labels, "__name__": sample.name}
                    expected[tuple(labels.get(label, "") for label in WHICH)] = sample.value
    found = numbers(demo, '{__name__=~"container_(cpu_usage|memory|network|fs)_.*|DCGM_.*",id!="/"}', *WHICH)

    kinds = {key[0] for key in found}
    assert len(kinds) == 12
    assert found == pytest.approx(
        {key: value for key, value in expected.items() if key[0] in kinds}, rel=1e-7, abs=1e-6
    )


@MISSING
def test_requests_are_those_of_the_pods(demo: Apiserver, clock: Clock) -> None:
    expected = {}
    for item in answer(demo, "/api/v1/pods")["items"]:
        for container in item["spec"]["containers"]:
            for resource, text in container["resources"].get("requests", {}).items():
                value = cpu_nanocores(text) / 1e9 if resource == "cpu" else float(memory_bytes(text))
                key = (item["metadata"]["namespace"], item["metadata"]["name"], container["name"])
                expected[(*key, re.sub(r"[./-]", "_", resource))] = value
    found = numbers(demo, "kube_pod_container_resource_requests", "namespace", "pod", "container", "resource")
    # KubeVirt's own components have none in the objects, and the demo's Prometheus knows no exception.
    assert {key: value for key, value in found.items() if key[0] != "kubevirt"} == pytest.approx(expected)
    quotas = numbers(demo, 'kube_resourcequota{type="used",resource="requests.cpu"}', "namespace")
    for (namespace,), used in quotas.items():
        assert used == pytest.approx(
            sum(v for k, v in expected.items() if k[0] == namespace and k[3] == "cpu"), abs=1e-6
        )


@MISSING
def test_pods_add_up_to_their_nodes(demo: Apiserver, clock: Clock) -> None:
    """At any time: what ended is in the node's counter as well."""
    for days in (0.01, 3, 20):
        at = clock.now - days * DAY
        pods = numbers(demo, f"sum by (node) (increase({CGROUPS}[20m]))", "node", time=at)
        nodes = numbers(demo, 'increase(container_cpu_usage_seconds_total{id="/"}[20m])', "node", time=at)
        for node, total in nodes.items():  # kubelet and runtime: 120 millicores
            assert math.isclose(total, pods[node] + 0.12 * 1200, rel_tol=0.03), (days, node)


@MISSING
def test_each_pod_of_the_past_has_its_names_and_requests(demo: Apiserver, clock: Clock) -> None:
    at = clock.now - 10 * DAY
    pods = numbers(demo, CGROUPS, "namespace", "pod", time=at)
    synced = numbers(demo, 'kube_pod_labels{label_vcluster_loft_sh_managed_by!=""}', "namespace", "pod", time=at)
    named = numbers(
        demo, 'kube_pod_annotations{annotation_vcluster_loft_sh_object_name!=""}', "namespace", "pod", time=at
    )
    proven = numbers(demo, "vcluster_pod_info", "namespace", "pod", time=at)
    assert set(named) == set(synced) == set(proven)
    assert set(synced) < set(pods) == set(numbers(demo, "kube_pod_info", "namespace", "pod", time=at))
    # Pods come and go; what runs, and for whom, stays.
    now = numbers(demo, CGROUPS, "namespace", "pod")
    assert 0 < len(set(now) & set(pods)) < len(now)
    chosen = 'vcluster_pod_info{vcluster_virtual_pod!=""}'
    by = f"count by (vcluster_host_namespace, vcluster_name, vcluster_virtual_namespace) ({chosen})"
    labels = ("vcluster_host_namespace", "vcluster_name", "vcluster_virtual_namespace")
    assert numbers(demo, by, *labels, time=at) == numbers(demo, by, *labels)


@MISSING
def test_the_pod_of_a_machine_has_no_name_in_its_virtual_cluster(demo: Apiserver, clock: Clock) -> None:
    """As the proxy exports it: whose it is, and nothing more."""
    labels = ("namespace", "pod", "vcluster_name", "vcluster_virtual_namespace")
    found = numbers(demo, 'vcluster_pod_info{vcluster_virtual_pod=""}', *labels)
    launchers = [pod for pod in demo.world.pods if pod.name.startswith("virt-launcher-build-")]
    assert set(found) == {("team-a", launchers[0].name, "shop", "batch")}
    live = {(pod.namespace, pod.name) for pod in demo.world.pods if "vcluster.loft.sh/managed-by" in pod.labels}
    assert set(numbers(demo, "vcluster_pod_info", "namespace", "pod")) == live


@MISSING
def test_no_pod_stays_after_its_end(demo: Apiserver, clock: Clock) -> None:
    """As many pods on an average day as now, and jobs only at night."""
    lived = past.lives(demo.world)
    for days in (1.3, 9.6, 30.2):
        at = -days * DAY
        alive = {(life.pod.namespace, life.pod.name) for life in lived if life.start <= at < (life.end or 1)}
        found = numbers(demo, CGROUPS, "namespace", "pod", time=demo.started + at)
        # Scrapes are 5 min apart: what began since the last one is not there yet.
        begun = {(life.pod.namespace, life.pod.name) for life in lived if at - 300 < life.start <= at}
        assert alive - begun <= set(found) <= alive


@MISSING
def test_jobs_run_every_night(demo: Apiserver, clock: Clock) -> None:
    found = numbers(
        demo, f'count by (namespace) (count_over_time({CGROUPS[:-1]},pod=~"nightly-report-.*"}}[30d]))', "namespace"
    )
    vclusters = {(v.namespace,) for v in demo.cluster.vclusters}
    assert set(found) <= vclusters
    assert set(found.values()) == {30.0}


@MISSING
def test_one_container_was_killed_at_its_limit(demo: Apiserver, clock: Clock) -> None:
    labels = ("namespace", "pod", "container")
    killed = numbers(demo, "max_over_time(container_oom_events_total[32d])", *labels)
    assert list(killed.values()) == [3.0]
    (name,) = killed
    chosen = "{" + ",".join(f'{label}="{text}"' for label, text in zip(labels, name, strict=True)) + "}"
    restarts = numbers(demo, f"max_over_time(kube_pod_container_status_restarts_total{chosen}[32d])", *labels)
    assert restarts == killed
    limit = numbers(
        demo, f'max_over_time(kube_pod_container_resource_limits{{resource="memory",{chosen[1:]}[32d])', *labels
    )
    most = numbers(
        demo,
        f"max by (namespace, pod, container) (max_over_time(container_memory_working_set_bytes{chosen}[32d]))",
        *labels,
    )
    assert 0.9 * limit[name] < most[name] <= limit[name]
    containers = result(demo, f"count_over_time(container_cpu_usage_seconds_total{chosen}[32d])")
    assert len(containers) == 4  # another one after each kill


@MISSING
def test_a_volume_fills_up(demo: Apiserver, clock: Clock) -> None:
    used = "kubelet_volume_stats_used_bytes"
    grown = numbers(demo, f"{used} / {used} offset 31d > 1", "namespace", "persistentvolumeclaim")
    assert len(grown) == 1
    ((namespace, claim),) = grown
    full = numbers(demo, f'{used}{{persistentvolumeclaim="{claim}"}}', "namespace")
    node = next(pod.node for pod in demo.world.pods if pod.claim and pod.claim.host_name == claim)
    summary = answer(demo, f"/api/v1/nodes/{node}/proxy/stats/summary")
    reported = [
        v["usedBytes"] for pod in summary["pods"] for v in pod.get("volume", []) if v["pvcRef"]["name"] == claim
    ]
    assert full == {(namespace,): float(reported[0])}


@MISSING
def test_machines_have_used_what_their_launchers_report(demo: Apiserver, clock: Clock) -> None:
    found = numbers(demo, "rate(kubevirt_vmi_cpu_usage_seconds_total[2m])", "namespace", "name", "node")
    assert {key[:2] for key in found} > {("prod", "db-0"), ("prod", "web")}
    for (namespace, name, node), cores in found.items():
        pod = numbers(demo, f'rate({CGROUPS[:-1]},pod=~"virt-launcher-{name}-.*"}}[2m])', "namespace", "node")
        # The pod uses 10 millicores more, for itself.
        assert 0 < pod[namespace, node] - cores < 0.015


@MISSING
def test_get_and_post_are_the_same(demo: Apiserver, clock: Clock) -> None:
    form = {"query": "sum(vcluster_info)", "start": clock.now - 600, "end": clock.now, "step": 300}
    got = answer(demo, f"{BASE}/query_range", urlencode(form))
    assert [value for _, value in got["data"]["result"][0]["values"]] == ["2", "2", "2"]
    assert answer(demo, f"{BASE}/label/vcluster_name/values")["data"] == ["dev", "shop"]
    refused = ask(demo, f"{BASE}/query", urlencode({"query": "sum("}))
    assert (refused[0], json.loads(refused[2])["errorType"]) == ("400 Bad Request", "bad_data")


@MISSING
def test_it_ends_with_the_demo(tmp_path: Path) -> None:
    """Also if the demo is killed: neither a process nor a file remains."""
    code = (
        "import time\n"
        "from kubectl_vmetrics.demo.apiserver import Apiserver\n"
        "from kubectl_vmetrics.demo.cluster import Shape, build\n"
        "from kubectl_vmetrics.demo.engine import Engine\n"
        "server = Apiserver(build(Shape(nodes=1, pods=1, vclusters=0, machines=0, tenants=0)))\n"
        "engine = Engine(server.world)\n"
        "engine.ask('query', {'query': 'up'})\n"
        "print(engine._port, flush=True)\n"
        "time.sleep(600)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout
        assert process.stdout.readline().strip().isdigit()
        (folder,) = tmp_path.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700
        process.kill()
    end = time.monotonic() + 20
    while folder.exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert list(tmp_path.iterdir()) == []


def test_only_who_asks_for_history_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts and status are answered without a Prometheus, as `doctor` needs them."""
    monkeypatch.setattr(engine, "find", lambda: pytest.fail("a Prometheus was started"))
    clock = Clock()
    server = Apiserver(build(Shape(nodes=1, pods=3, vclusters=1)), clock)

    assert answer(server, f"{BASE}/query", urlencode({"query": "count(up)"}))["status"] == "success"
    assert answer(server, f"{BASE}/status/buildinfo")["status"] == "success"
    form = {"query": "group(up)", "start": clock.now - 40 * DAY, "end": clock.now, "step": DAY}
    (found,) = answer(server, f"{BASE}/query_range", urlencode(form))["data"]["result"]
    assert (len(found["values"]), found["values"][0][0]) == (33, clock.now - 32 * DAY)
    server.close()


def test_the_past_has_no_gaps() -> None:
    """Whatever runs now has run for the whole time, under one name or another."""
    server = Apiserver(build(Shape()), Clock())
    spans: dict[tuple[Any, ...], list[tuple[float, float]]] = defaultdict(list)
    for life in past.lives(server.world):
        if life.pod.origin and life.pod.owner[0] == "StatefulSet":
            spans[life.pod.namespace, life.pod.name].append((life.start, life.end or 0.0))
    assert spans
    for found in spans.values():
        ordered = sorted(found)
        assert ordered[0][0] == past.BEGIN
        assert ordered[-1][1] == 0.0
        assert all(before[1] == after[0] for before, after in itertools.pairwise(ordered))


def test_a_large_cluster_has_a_shorter_history() -> None:
    few = Apiserver(build(Shape()), Clock()).world
    many = Apiserver(build(Shape(nodes=20, pods=3000, vclusters=20, machines=0, tenants=0)), Clock()).world
    assert history.first(few) == -32 * DAY
    assert -DAY < history.first(many) < -3600
    assert len(history.begin(many)) * len(many.pods) * 26 <= history.SAMPLES


def test_scrapes_are_at_moments_that_the_live_numbers_have() -> None:
    world = Apiserver(build(Shape(pods=3)), Clock()).world
    moments = history.begin(world)
    assert {moment % 15 for moment in moments} == {0.0}
    assert {after - before for before, after in itertools.pairwise(moments)} == {15.0, 60.0, 300.0}
    assert history.after(30.0, 75.0) == [45.0, 60.0, 75.0]
    assert history.after(30.0, 30.0) == []


def test_samples_are_encoded_as_another_encoder_does_it() -> None:
    moments = [1_764_000_000_000, 1_764_000_015_000, 1_764_000_030_000]
    series = [
        Series({"__name__": "a", "job": "x", "empty": ""}, 0, [1.5, -2.0, math.pi]),
        Series({"__name__": "b"}, 1, [7.0], ends=True),
    ]
    expected = b""
    for labels, samples in (
        (
            {"__name__": "a", "job": "x"},
            [(at, struct.pack("<d", v)) for at, v in zip(moments, (1.5, -2.0, math.pi), strict=True)],
        ),
        ({"__name__": "b"}, [(moments[1], struct.pack("<d", 7.0)), (moments[2], STALE)]),
    ):
        pairs = b"".join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in labels.items())
        expected += field(1, pairs + b"".join(field(2, b"\x09" + v + b"\x10" + varint(at)) for at, v in samples))

    assert list(Encoder(moments).messages(series)) == [snappy(expected)]


def test_without_a_prometheus_the_demo_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    for command in (["history", "pods"], ["rightsize"], ["top", "pods", "--source=prometheus"]):
        result = invoke("demo", *command)
        assert (result.code, result.stdout, result.stderr) == (1, "", f"error: {engine.MISSING}\n")
    assert invoke("demo", "top", "nodes").code == 0
