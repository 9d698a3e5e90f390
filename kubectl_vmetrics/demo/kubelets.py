"""The demo cluster's kubelets: stats/summary, metrics, metrics/cadvisor, metrics/resource, metrics/probes.

Shapes are those of kubelet 1.36: label order, sample timestamps in milliseconds, host names and host uids. A kubelet
measures once a window; until then it tells the same again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec

from . import traffic
from .cluster import Claim, DemoNode, DemoPod
from .exchange import Reply, Request, missing
from .usage import Metrics, daemons, worked
from .world import World

_PATH = re.compile(r"/api/v1/nodes/([^/]+)/proxy/(healthz|stats/summary|metrics(?:/(?:cadvisor|resource|probes))?)/?")
_TEXT = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
_GIBI = 1 << 30
VOLUMES = (
    ("available_bytes", "availableBytes", "Number of available bytes in"),
    ("capacity_bytes", "capacityBytes", "Capacity in bytes of"),
    ("inodes", "inodes", "Maximum number of inodes in"),
    ("inodes_free", "inodesFree", "Number of free inodes in"),
    ("inodes_used", "inodesUsed", "Number of used inodes in"),
    ("used_bytes", "usedBytes", "Number of used bytes in"),
)
"""Families of volumes, the figures of stats/summary that they hold, and their help."""


class Scope(NamedTuple):
    """What one kubelet reports."""

    node: DemoNode
    pods: list[DemoPod]
    metrics: Metrics


def sign_up(world: World) -> None:
    """Serve the endpoints of every node's kubelet through the apiserver."""
    nodes = {node.name: node for node in world.cluster.nodes}
    lines = {
        "metrics": _kubelet,
        "metrics/cadvisor": _cadvisor,
        "metrics/resource": _resource,
        "metrics/probes": _probes,
    }

    def route(request: Request) -> Reply | None:
        found = _PATH.fullmatch(request.path)
        if not found:
            return None
        name, endpoint = unquote(found[1]), found[2]
        if name not in nodes:
            raise missing("nodes", name)
        if endpoint == "healthz":
            return Reply(200, b"ok", "text/plain; charset=utf-8")
        metrics = world.metrics()
        scope = Scope(nodes[name], world.pods_on(name), metrics)
        if endpoint == "stats/summary":
            return Reply(200, metrics.cached((name, endpoint), lambda: msgspec.json.encode(_summary(scope))))
        return Reply(200, metrics.cached((name, endpoint), lambda: "".join(lines[endpoint](scope)).encode()), _TEXT)

    world.routes.append(route)


# ------------------------------------------------------------------------------------------------------- the summary


def _summary(scope: Scope) -> dict[str, Any]:
    metrics = scope.metrics
    cpu, kibibytes, seconds = metrics.node(scope.node)
    own = daemons(scope.node)
    beside = zip(metrics.containers(own), metrics.seconds(own), strict=True)
    system = [{"name": name, **_used(metrics, nano, kib, used)} for (name, nano, kib), used in beside]
    shown = {"nodeName": scope.node.name, "startTime": metrics.stamp(metrics.age(own)), "systemContainers": system}
    return {
        "node": {**shown, **_used(metrics, cpu, kibibytes, seconds)},
        "pods": [_pod(pod, metrics) for pod in scope.pods],
    }


def _used(metrics: Metrics, nanocores: int, kibibytes: int, seconds: float) -> dict[str, Any]:
    """The cpu, memory and io of a cgroup."""
    stamp, psi = metrics.timestamp, _psi(nanocores, seconds)
    return {
        "cpu": {"time": stamp, "usageNanoCores": nanocores, "usageCoreNanoSeconds": int(seconds * 1e9), "psi": psi},
        "memory": {"time": stamp, "workingSetBytes": kibibytes * 1024, "psi": psi},
        "io": {"time": stamp, "psi": psi},
    }


def _pod(pod: DemoPod, metrics: Metrics) -> dict[str, Any]:
    stamp, began = metrics.timestamp, metrics.stamp(metrics.age(pod))
    used, seconds = metrics.containers(pod), metrics.seconds(pod)
    containers = [
        {
            "name": name,
            "startTime": began,
            **_used(metrics, nanocores, kibibytes, total),
            "rootfs": {"time": stamp, "usedBytes": 4096 * (1 + len(name))},
            "logs": {"time": stamp, "usedBytes": kibibytes * 8},
            "swap": {"time": stamp, "swapUsageBytes": 0},
        }
        for (name, nanocores, kibibytes), total in zip(used, seconds, strict=True)
    ]
    item: dict[str, Any] = {
        "podRef": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
        "startTime": began,
        "containers": containers,
        **_used(metrics, sum(item[1] for item in used), sum(item[2] for item in used), sum(seconds)),
        "ephemeral-storage": {
            "time": stamp,
            "usedBytes": sum(c["rootfs"]["usedBytes"] + c["logs"]["usedBytes"] for c in containers),
        },
    }
    counted = traffic.of(pod, worked(pod, metrics.until))
    interface = {"name": "eth0", "rxBytes": counted.received, "rxErrors": counted.errors}
    interface |= {"txBytes": counted.sent, "txErrors": 0}
    item["network"] = {"time": stamp, **interface, "interfaces": [interface]}
    if pod.claim:
        reference = {"name": pod.claim.host_name, "namespace": pod.namespace}
        item["volume"] = [{"time": stamp, "name": "data", "pvcRef": reference, **volume(pod.claim)}]
    return item


def volume(claim: Claim) -> dict[str, int]:
    """The size and usage of a volume, by the names of stats/summary."""
    capacity, inodes = claim.gibibytes * _GIBI, claim.gibibytes * 65_536
    full, taken = int(capacity * claim.used), int(inodes * claim.used / 7)
    return {
        "capacityBytes": capacity,
        "usedBytes": full,
        "availableBytes": capacity - full,
        "inodes": inodes,
        "inodesUsed": taken,
        "inodesFree": inodes - taken,
    }


def _psi(nanocores: int, seconds: float) -> dict[str, Any]:
    """The busier, the more its tasks wait (in percent, and microseconds in all); never all of them for long."""
    some = nanocores / 4e8
    return {
        kind: {"avg10": round(some * part, 2), "avg60": 0, "avg300": 0, "total": int(seconds * 2500 * part)}
        for kind, part in (("some", 1.0), ("full", 0.25))
    }


# ------------------------------------------------------------------------------------------------------- expositions


def _family(name: str, text: str, kind: str) -> str:
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"


class _Sample(NamedTuple):
    pod: DemoPod
    container: str
    seconds: float
    octets: int

    @property
    def labels(self) -> str:
        return f'container="{self.container}",namespace="{self.pod.namespace}",pod="{self.pod.name}"'


def _samples(scope: Scope) -> Iterator[_Sample]:
    for pod in scope.pods:
        used = zip(scope.metrics.containers(pod), scope.metrics.seconds(pod), strict=True)
        for (name, _, kibibytes), seconds in used:
            yield _Sample(pod, name, seconds, kibibytes * 1024)


def _sums(scope: Scope) -> Iterator[_Sample]:
    """The cgroup of each pod, whose container has no name."""
    for pod in scope.pods:
        size = sum(kibibytes for _, _, kibibytes in scope.metrics.containers(pod))
        yield _Sample(pod, "", sum(scope.metrics.seconds(pod)), size * 1024)


def _resource(scope: Scope) -> Iterator[str]:
    metrics, stamp = scope.metrics, scope.metrics.milliseconds
    _, kibibytes, total = metrics.node(scope.node)
    containers, pods = list(_samples(scope)), list(_sums(scope))
    name = "container_cpu_usage_seconds_total"
    yield _family(name, "[STABLE] Cumulative cpu time consumed by the container in core-seconds", "counter")
    yield from (f"{name}{{{item.labels}}} {item.seconds:.9f} {stamp}\n" for item in containers)
    name = "container_memory_working_set_bytes"
    yield _family(name, "[STABLE] Current working set of the container in bytes", "gauge")
    yield from (f"{name}{{{item.labels}}} {item.octets} {stamp}\n" for item in containers)
    name = "container_start_time_seconds"
    yield _family(name, "[STABLE] Start time of the container since unix epoch in seconds", "gauge")
    for item in containers:
        yield f"{name}{{{item.labels}}} {stamp / 1000 - metrics.age(item.pod):.3f}\n"
    name = "node_cpu_usage_seconds_total"
    yield _family(name, "[STABLE] Cumulative cpu time consumed by the node in core-seconds", "counter")
    yield f"{name} {total:.9f} {stamp}\n"
    name = "node_memory_working_set_bytes"
    yield _family(name, "[STABLE] Current working set of the node in bytes", "gauge")
    yield f"{name} {kibibytes * 1024} {stamp}\n"
    for name, text, kind in (
        ("pod_cpu_usage_seconds_total", "[STABLE] Cumulative cpu time consumed by the pod in core-seconds", "counter"),
        ("pod_memory_working_set_bytes", "[STABLE] Current working set of the pod in bytes", "gauge"),
    ):
        yield _family(name, text, kind)
        for item in pods:
            value = f"{item.seconds:.9f}" if kind == "counter" else str(item.octets)
            yield f'{name}{{namespace="{item.pod.namespace}",pod="{item.pod.name}"}} {value} {stamp}\n'
    text = "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise"
    yield _family("resource_scrape_error", text, "gauge") + "resource_scrape_error 0\n"


def _cadvisor(scope: Scope) -> Iterator[str]:
    stamp = scope.metrics.milliseconds
    rows = [*_machine(scope), *(_labelled(item) for item in (*_sums(scope), *_samples(scope)))]
    size: Callable[[float, int], str] = lambda _, octets: str(octets)  # noqa: E731
    families: tuple[tuple[str, str, str, str, Callable[[float, int], str]], ...] = (
        (
            "container_cpu_usage_seconds_total",
            "Cumulative cpu time consumed in seconds.",
            "counter",
            ',cpu="total"',
            lambda seconds, _: f"{seconds:.9f}",
        ),
        ("container_memory_working_set_bytes", "Current working set in bytes.", "gauge", "", size),
        ("container_memory_rss", "Size of RSS in bytes.", "gauge", "", size),
    )
    for family, text, kind, extra, value in families:
        yield _family(family, text, kind)
        for container, labels, seconds, octets in rows:
            yield f'{family}{{container="{container}"{extra},{labels}}} {value(seconds, octets)} {stamp}\n'

    yield from _traffic(scope)


def _traffic(scope: Scope) -> Iterator[str]:
    """Of each pod the interface, which cAdvisor reports with the pause container, and of its containers the disk."""
    metrics, stamp = scope.metrics, scope.metrics.milliseconds
    rows = [(pod, traffic.of(pod, worked(pod, metrics.until))) for pod in scope.pods]
    parts = [(*_labelled(item)[:2], item) for item in _samples(scope)]
    for family, text, field, part in traffic.FAMILIES:
        yield _family(family, f"{text}.", "counter")
        if part == "interface":
            for pod, counted in rows:
                name = f"{pod.uid.replace('-', '')}{0:032x}"
                cgroup, image = f"/kubepods/burstable/pod{pod.uid}/{name}", "registry.k8s.io/pause:3.10"
                labels = f'container="",id="{cgroup}",image="{image}",interface="eth0",name="{name}"'
                where = f'namespace="{pod.namespace}",pod="{pod.name}"'
                yield f"{family}{{{labels},{where}}} {getattr(counted, field) if field else 0} {stamp}\n"
            continue
        device = 'device="/dev/sda",' if part == "device" else ""
        for container, labels, item in parts:
            counted = traffic.of(item.pod, worked(item.pod, metrics.until), container)
            yield f'{family}{{container="{container}",{device}{labels}}} {getattr(counted, field)} {stamp}\n'


def _labelled(item: _Sample) -> tuple[str, str, float, int]:
    """A cgroup's container, its other labels, and its numbers."""
    pod, cgroup = item.pod, f"/kubepods/burstable/pod{item.pod.uid}"
    image = name = ""
    if item.container:
        name = f"{pod.uid.replace('-', '')}{len(item.container):032x}"
        image = next(container.image for container in pod.containers if container.name == item.container)
        cgroup += f"/{name}"
    labels = f'id="{cgroup}",image="{image}",name="{name}",namespace="{pod.namespace}",pod="{pod.name}"'
    return item.container, labels, item.seconds, item.octets


def _machine(scope: Scope) -> Iterator[tuple[str, str, float, int]]:
    """The cgroups above those of pods, and beside them."""
    metrics, own = scope.metrics, daemons(scope.node)
    _, kibibytes, seconds = metrics.node(scope.node)
    sums = list(_sums(scope))

    def row(cgroup: str, total: float, octets: int) -> tuple[str, str, float, int]:
        return "", f'id="{cgroup}",image="",name="",namespace="",pod=""', total, octets

    yield row("/", seconds, kibibytes * 1024)
    yield row("/kubepods", sum(item.seconds for item in sums), sum(item.octets for item in sums))
    for (name, _, size), used in zip(metrics.containers(own), metrics.seconds(own), strict=True):
        yield row(f"/system.slice/{name}.service", used, size * 1024)


def _probes(scope: Scope) -> Iterator[str]:
    yield _family("prober_probe_total", "[BETA] Cumulative number of probes", "counter")
    for pod in scope.pods:
        count = int(scope.metrics.age(pod) / 10)
        for container in pod.containers:
            where = f'container="{container.name}",namespace="{pod.namespace}",pod="{pod.name}",pod_uid="{pod.uid}"'
            yield f'prober_probe_total{{{where},probe_type="Liveness",result="successful"}} {count}\n'


def _kubelet(scope: Scope) -> Iterator[str]:
    yield _family("kubelet_cgroup_version", "[ALPHA] cgroup version on the hosts.", "gauge")
    yield "kubelet_cgroup_version 2\n"
    yield _family("kubelet_running_pods", "[BETA] Number of pods that have a running sandbox", "gauge")
    yield f"kubelet_running_pods {len(scope.pods)}\n"
    for family, figure, text in VOLUMES:
        yield _family(f"kubelet_volume_stats_{family}", f"[ALPHA] {text} the volume", "gauge")
        for pod in scope.pods:
            if pod.claim:
                labels = f'namespace="{pod.namespace}",persistentvolumeclaim="{pod.claim.host_name}"'
                yield f"kubelet_volume_stats_{family}{{{labels}}} {volume(pod.claim)[figure]}\n"
