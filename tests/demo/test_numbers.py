"""The demo's numbers against each other: counters only grow, and their rates are what metrics.k8s.io tells."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Container, DemoPod, Shape, build
from kubectl_vmetrics.demo.controlplanes import ControlPlanes
from kubectl_vmetrics.demo.exchange import User
from kubectl_vmetrics.demo.usage import SWING, WINDOW, worked
from kubectl_vmetrics.metrics.quantity import cpu_nanocores, memory_bytes
from tests.demo.asking import START, Clock, answer, ask

NODES = ("worker-1", "worker-2", "worker-3")
METRICS = "/apis/metrics.k8s.io/v1beta1"
TENANT = User("x", ("system:masters",))
Series = tuple[str, tuple[tuple[str, str], ...]]
Values = dict[Series, float]


def series(text: str) -> Values:
    """Samples of an exposition, read by an independent parser."""
    found: Values = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    return found


def exposed(server: Apiserver) -> Iterator[tuple[str, str]]:
    """All expositions of the demo: their place and their text."""
    for node in NODES:
        for endpoint in ("metrics", "metrics/cadvisor", "metrics/resource", "metrics/probes"):
            path = f"/api/v1/nodes/{node}/proxy/{endpoint}"
            yield path, ask(server, path)[2].decode()
    for item in answer(server, "/api/v1/namespaces/kubevirt/pods")["items"]:
        path = f"/api/v1/namespaces/kubevirt/pods/https:{item['metadata']['name']}:8443/proxy/metrics"
        yield path, ask(server, path)[2].decode()
    for pod, port in (("etcd-0", 2381), ("kamaji-6f7b9c5d4-x2x7l", 8080)):
        path = f"/api/v1/namespaces/kamaji-system/pods/http:{pod}:{port}/proxy/metrics"
        yield path, ask(server, path)[2].decode()
    planes = next(part for part in server.parts if isinstance(part, ControlPlanes))
    for pod in server.world.pods:
        for port, listener in (planes.listeners(pod.namespace, pod.name) or {}).items():
            paths = ("/metrics", "/metrics/controller-manager", "/metrics/syncer") if port == 8443 else ("/metrics",)
            for path in paths:
                status, body, _ = listener.respond(path, TENANT)
                assert status == 200
                yield f"{pod.namespace}/{pod.name}:{port}{path}", body.decode()


def counters(server: Apiserver) -> dict[tuple[str, str], float]:
    """All counters, those of summaries among them; by where they are, and by their text."""
    found = {}
    for place, text in exposed(server):
        for line in text.splitlines():
            if line[:1] == "#":
                continue
            cut = line.rindex("}") + 1 if "}" in line else line.index(" ")
            if line.partition("{")[0][:cut].endswith(("_total", "_bucket")):
                found[place, line[:cut]] = float(line[cut:].split()[0])
    for node in NODES:
        summary = answer(server, f"/api/v1/nodes/{node}/proxy/stats/summary")
        for way, value in numbers(summary, ()):
            if way[-1] in ("usageCoreNanoSeconds", "total"):
                found[node, "/".join(map(str, way))] = value
    return found


def numbers(value: Any, way: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], float]]:
    """All numbers of a document, by the way to them."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from numbers(item, (*way, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from numbers(item, (*way, index))
    elif isinstance(value, (int, float)):
        yield way, value


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Apiserver:
    return Apiserver(build(Shape()), clock)


def test_no_counter_ever_goes_down(server: Apiserver, clock: Clock) -> None:
    """Hundreds of samples at odd times, of everything that there is: thousands of counters."""
    last = counters(server)
    assert len(last) > 2_000
    grown = set()
    for index in range(200):
        # From fractions of a second to most of an hour.
        clock.now += 0.37 * 1.04**index
        found = counters(server)
        assert set(found) == set(last)
        down = {key: (last[key], value) for key, value in found.items() if value < last[key]}
        assert down == {}
        grown |= {key for key, value in found.items() if value > last[key]}
        last = found
    # All of them count something, but for connections that were lost long ago, packets, and requests that failed.
    still = {name.partition("{")[0] for _, name in set(last) - grown}
    assert still <= {
        "container_network_receive_errors_total",
        "container_network_receive_packets_dropped_total",
        "container_network_transmit_errors_total",
        "container_network_transmit_packets_dropped_total",
        "kubevirt_rest_client_requests_total",
        "kubevirt_vmi_migration_data_bytes_total",  # all that there is to move
        "scheduler_schedule_attempts_total",
        "scheduler_scheduling_attempt_duration_seconds_bucket",
    }


@given(
    phase=st.floats(0, 6.28),
    minutes=st.integers(0, 60 * 24 * 40),
    times=st.lists(st.floats(-5e6, 5e6, allow_nan=False), min_size=2, max_size=50),
)
@settings(deadline=None)
def test_what_was_used_is_an_integral(phase: float, minutes: int, times: list[float]) -> None:
    """Also of times before the start: nothing before the pod's own, and never less than the least it uses."""
    pod = DemoPod("n", "p", "", "", {}, (Container("c", "", 1000, 1),), ("", ""), None, phase, minutes)
    for before, after in zip(sorted(times), sorted(times)[1:], strict=False):
        used = worked(pod, after) - worked(pod, before)
        alive = max(0.0, after + minutes * 60) - max(0.0, before + minutes * 60)
        slack = 1e-6
        assert (1 - SWING) * alive - slack <= used <= (1 + SWING) * alive + slack
        middle = (before + after) / 2
        assert math.isclose(used, worked(pod, after) - worked(pod, middle) + worked(pod, middle) - worked(pod, before))


def usages(server: Apiserver) -> dict[tuple[str, str, str], tuple[int, int]]:
    """Nanocores and bytes that metrics.k8s.io tells of each container."""
    found = {}
    for item in answer(server, f"{METRICS}/pods")["items"]:
        meta = item["metadata"]
        for container in item["containers"]:
            usage = container["usage"]
            key = (meta["namespace"], meta["name"], container["name"])
            found[key] = (cpu_nanocores(usage["cpu"]), memory_bytes(usage["memory"]))
    return found


def nodes(server: Apiserver) -> dict[str, tuple[int, int]]:
    return {
        item["metadata"]["name"]: (cpu_nanocores(item["usage"]["cpu"]), memory_bytes(item["usage"]["memory"]))
        for item in answer(server, f"{METRICS}/nodes")["items"]
    }


def of_kubelets(server: Apiserver, endpoint: str, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """A family of all kubelets, by some of its labels, summed up over the rest; a node's name is the first."""
    found: dict[tuple[str, ...], float] = defaultdict(float)
    for node in NODES:
        for (family, known), value in series(ask(server, f"/api/v1/nodes/{node}/proxy/{endpoint}")[2].decode()).items():
            if family == name:
                given = dict(known)
                found[(node, *(given.get(label, "") for label in labels))] += value
    return found


@pytest.mark.parametrize("windows", [1, 7, 240])
def test_rates_of_kubelets_are_what_the_metrics_api_tells(windows: int, server: Apiserver, clock: Clock) -> None:
    """Over one window it is the same number; over several it is the mean of them."""
    cpu = "container_cpu_usage_seconds_total"
    labels = ("namespace", "pod", "container")
    before = {e: of_kubelets(server, f"metrics/{e}", cpu, *labels) for e in ("cadvisor", "resource")}
    told: dict[tuple[str, str, str], float] = defaultdict(float)
    for _ in range(windows):
        clock.now += WINDOW
        for key, (nanocores, _) in usages(server).items():
            told[key] += nanocores / windows
    for endpoint, first in before.items():
        last = of_kubelets(server, f"metrics/{endpoint}", cpu, *labels)
        rates = {key[1:]: (value - first[key]) / (WINDOW * windows) * 1e9 for key, value in last.items() if key[3]}
        assert set(rates) == set(told)
        for key, rate in rates.items():
            assert rate == pytest.approx(told[key], rel=1e-4, abs=20)


def test_sums_agree(server: Apiserver, clock: Clock) -> None:
    """A node is its pods and what runs beside them: in every source, by counters, by rates, and in bytes."""
    cpu, memory = "container_cpu_usage_seconds_total", "container_memory_working_set_bytes"
    clock.now += 1000
    roots = {name: of_kubelets(server, "metrics/cadvisor", name, "id", "container") for name in (cpu, memory)}
    by_pod = {name: of_kubelets(server, "metrics/cadvisor", name, "pod", "container") for name in (cpu, memory)}
    machine = of_kubelets(server, "metrics/resource", "node_cpu_usage_seconds_total")
    size = of_kubelets(server, "metrics/resource", "node_memory_working_set_bytes")
    told, used = nodes(server), usages(server)
    on = {(p.namespace, p.name): p.node for p in server.world.pods}
    for node in NODES:
        for name in (cpu, memory):
            beside = sum(v for (n, c, _), v in roots[name].items() if n == node and c.startswith("/system.slice/"))
            pods = roots[name][node, "/kubepods", ""]
            containers = sum(v for (n, pod, c), v in by_pod[name].items() if n == node and c and pod)
            cgroups = sum(v for (n, pod, c), v in by_pod[name].items() if n == node and not c and pod)
            assert roots[name][node, "/", ""] == pytest.approx(beside + pods)
            assert pods == pytest.approx(containers)
            assert pods == pytest.approx(cgroups)
        assert machine[node,] == pytest.approx(roots[cpu][node, "/", ""])
        assert size[node,] == roots[memory][node, "/", ""] == told[node][1]
        summary = answer(server, f"/api/v1/nodes/{node}/proxy/stats/summary")
        beside_nano = sum(item["cpu"]["usageNanoCores"] for item in summary["node"]["systemContainers"])
        of_pods = sum(nano for key, (nano, _) in used.items() if on[key[:2]] == node)
        assert beside_nano > 0
        assert told[node][0] == of_pods + beside_nano == summary["node"]["cpu"]["usageNanoCores"]
        assert summary["node"]["cpu"]["usageCoreNanoSeconds"] == pytest.approx(machine[node,] * 1e9)
        for pod in summary["pods"]:
            for container in pod["containers"]:
                key = (pod["podRef"]["namespace"], pod["podRef"]["name"], container["name"])
                assert (container["cpu"]["usageNanoCores"], container["memory"]["workingSetBytes"]) == used[key]
    assert 0 < told["worker-3"][0] < 16e9


def test_every_pod_is_measured_and_every_measured_pod_exists(server: Apiserver) -> None:
    listed = {(i["metadata"]["namespace"], i["metadata"]["name"]) for i in answer(server, "/api/v1/pods")["items"]}
    spaces = {item["metadata"]["name"] for item in answer(server, "/api/v1/namespaces")["items"]}

    assert listed == {key[:2] for key in usages(server)}
    assert all(nanocores > 0 and size > 0 for nanocores, size in usages(server).values())
    assert {namespace for namespace, _ in listed} <= spaces
    assert {"kubevirt", "kamaji-system", "tenants", "kube-system", "monitoring"} <= {space for space, _ in listed}


def test_rates_of_virtual_machines_are_what_their_pods_use(server: Apiserver, clock: Clock) -> None:
    def seconds() -> dict[tuple[str, str], float]:
        found = {}
        for place, text in exposed(server):
            if "https:virt-handler" in place:
                for (name, labels), value in series(text).items():
                    if name == "kubevirt_vmi_cpu_usage_seconds_total":
                        found[dict(labels)["namespace"], dict(labels)["name"]] = value
        return found

    before = seconds()
    clock.now += WINDOW
    launchers = {
        (i["metadata"]["namespace"], i["metadata"]["ownerReferences"][0]["name"]): i["metadata"]["name"]
        for i in answer(server, "/api/v1/pods", "labelSelector=kubevirt.io%3Dvirt-launcher")["items"]
    }
    used, rates = usages(server), {key: (value - before[key]) / WINDOW * 1e9 for key, value in seconds().items()}

    assert len(rates) == 5
    for (namespace, name), rate in rates.items():
        pod = used[namespace, launchers[namespace, name], "compute"][0]
        assert 0 < pod - rate < 15e6  # what virt-launcher itself uses


def test_rates_of_processes_are_what_their_containers_use(server: Apiserver, clock: Clock) -> None:
    """Control planes of tenants and of virtual clusters, etcd, Kamaji, KubeVirt: process_cpu_seconds_total."""

    def seconds() -> dict[str, tuple[float, float]]:
        found = {}
        for place, text in exposed(server):
            known = series(text)
            if ("process_cpu_seconds_total", ()) in known:
                found[place] = (
                    known["process_cpu_seconds_total", ()],
                    known["process_resident_memory_bytes", ()],
                )
        return found

    def container(place: str) -> tuple[str, str]:
        """Its pod and its name, from where it is served."""
        ports = {"6443": "kube-apiserver", "10257": "kube-controller-manager", "10259": "kube-scheduler"}
        if not place.startswith("/api/"):
            pod, _, port = place.partition("/metrics")[0].rpartition("/")[2].partition(":")
            return f"{place.partition('/')[0]}/{pod}", ports.get(port, "syncer")
        space, pod = place.split("/")[4], place.split("/")[6].split(":")[1]
        return f"{space}/{pod}", {"etcd-0": "etcd"}.get(pod, "manager" if space == "kamaji-system" else "")

    windows = 40  # the counters have hundredths of seconds
    before, told = seconds(), defaultdict(float)
    for _ in range(windows):
        clock.now += WINDOW
        for (namespace, pod, name), (nanocores, _) in usages(server).items():
            told[f"{namespace}/{pod}", name] += nanocores / windows
            told[f"{namespace}/{pod}", ""] += nanocores / windows
    rates: dict[tuple[str, str], float] = defaultdict(float)
    sizes: dict[tuple[str, str], float] = defaultdict(float)
    for place, (value, size) in seconds().items():
        rates[container(place)] += (value - before[place][0]) / (WINDOW * windows) * 1e9
        sizes[container(place)] += size

    assert len(rates) == 3 * 3 + 3 + 2 + 9
    for key, rate in rates.items():
        assert rate == pytest.approx(told[key], rel=0.01, abs=2e5), key
    for (pod, name), size in sizes.items():
        if name:
            namespace, _, own = pod.partition("/")
            assert size == pytest.approx(usages(server)[namespace, own, name][1], rel=0.001)


def test_numbers_are_those_of_the_seed_and_the_clock() -> None:
    def told(at: float, seed: int = 0) -> bytes:
        clock = Clock()
        server = Apiserver(build(Shape(seed=seed)), clock)
        clock.now = START + at
        return b"".join(
            ask(server, path)[2]
            for path in (f"{METRICS}/pods", f"{METRICS}/nodes", "/api/v1/nodes/worker-1/proxy/metrics/cadvisor")
        )

    assert told(100) == told(100)
    assert told(100) != told(120)
    assert told(100) != told(100, seed=1)


def test_a_window_is_what_it_says(server: Apiserver, clock: Clock) -> None:
    """Numbers are those of the window that ended last, and say so."""
    clock.now += 3 * WINDOW + 4
    (item,) = answer(server, f"{METRICS}/namespaces/team-a/pods", "fieldSelector=metadata.name%3Dshop-0")["items"]
    lines = ask(server, "/api/v1/nodes/worker-2/proxy/metrics/resource")[2].decode().splitlines()
    stamps = {line.rpartition(" ")[2] for line in lines if line.startswith(("node_cpu", "container_cpu"))}

    assert (item["timestamp"], item["window"]) == ("2023-11-14T22:14:05Z", "15s")
    assert stamps == {str(int((START + 3 * WINDOW) * 1000))}
    assert json.loads(ask(server, f"{METRICS}/nodes")[2])["items"][0]["timestamp"] == item["timestamp"]


def test_volumes_are_the_same_in_both_endpoints_of_a_kubelet() -> None:
    """With the families of a real kubelet 1.36."""
    server = Apiserver(build(Shape()), Clock())
    figures = {"available_bytes": "availableBytes", "capacity_bytes": "capacityBytes", "used_bytes": "usedBytes"}
    figures |= {"inodes": "inodes", "inodes_free": "inodesFree", "inodes_used": "inodesUsed"}
    count = 0
    for node in NODES:
        found = series(ask(server, f"/api/v1/nodes/{node}/proxy/metrics")[2].decode())
        volumes = {
            (item["pvcRef"]["namespace"], item["pvcRef"]["name"]): item
            for pod in answer(server, f"/api/v1/nodes/{node}/proxy/stats/summary")["pods"]
            for item in pod.get("volume", [])
        }
        count += len(volumes)
        assert {
            (name.removeprefix("kubelet_volume_stats_"), *(value for _, value in labels)): value
            for (name, labels), value in found.items()
            if name.startswith("kubelet_volume_stats_")
        } == {(family, *claim): item[key] for claim, item in volumes.items() for family, key in figures.items()}
    assert count > 2
