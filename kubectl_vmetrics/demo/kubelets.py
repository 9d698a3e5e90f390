"""The embedded cluster's kubelets: stats/summary, metrics, metrics/cadvisor, metrics/resource, metrics/probes.

Shapes are those of kubelet 1.36: label order, sample timestamps in milliseconds, host names and host uids.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec

from .cluster import DemoPod
from .exchange import Refusal, Reply, Request
from .usage import SYSTEM_MEBIBYTES, SYSTEM_MILLICORES

if TYPE_CHECKING:
    from .apiserver import Apiserver
    from .usage import Metrics

_PATH = re.compile(r"/api/v1/nodes/([^/]+)/proxy/(healthz|stats/summary|metrics(?:/(?:cadvisor|resource|probes))?)/?")
_TEXT = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
_GIBI = 1 << 30


class Kubelets:
    """All of them; a route of the apiserver."""

    def __init__(self, apiserver: Apiserver) -> None:
        self._apiserver = apiserver
        self._by_node: dict[str, list[DemoPod]] = {node.name: [] for node in apiserver.cluster.nodes}
        for pod in apiserver.cluster.pods:
            self._by_node[pod.node].append(pod)

    def route(self, request: Request) -> Reply | None:
        """Answer a path of a kubelet."""
        found = _PATH.fullmatch(request.path)
        if not found:
            return None
        node, endpoint = unquote(found[1]), found[2]
        if node not in self._by_node:
            raise Refusal(404, "NotFound", f'nodes "{node}" not found')
        if endpoint == "healthz":
            return Reply(200, b"ok", "text/plain; charset=utf-8")
        metrics = self._apiserver.metrics()
        pods = self._by_node[node]
        if endpoint == "stats/summary":
            body = self._apiserver.cached((node, endpoint), lambda: msgspec.json.encode(_summary(node, pods, metrics)))
            return Reply(200, body)
        lines = {
            "metrics": _kubelet,
            "metrics/cadvisor": _cadvisor,
            "metrics/resource": _resource,
            "metrics/probes": _probes,
        }
        body = self._apiserver.cached((node, endpoint), lambda: "".join(lines[endpoint](pods, metrics)).encode())
        return Reply(200, body, _TEXT)


def _summary(node: str, pods: Iterable[DemoPod], metrics: Metrics) -> dict[str, Any]:
    shown = []
    cpu, memory = SYSTEM_MILLICORES * 1_000_000, SYSTEM_MEBIBYTES << 20
    for pod in pods:
        containers: list[dict[str, Any]] = []
        together = 0
        for name, nanocores, kibibytes in metrics.containers(pod):
            cpu, memory = cpu + nanocores, memory + kibibytes * 1024
            together += nanocores
            psi = _psi(nanocores, metrics.tick)
            containers.append(
                {
                    "name": name,
                    "startTime": metrics.timestamp,
                    "cpu": {
                        "time": metrics.timestamp,
                        "usageNanoCores": nanocores,
                        "psi": psi,
                    },
                    "memory": {
                        "time": metrics.timestamp,
                        "workingSetBytes": kibibytes * 1024,
                        "psi": psi,
                    },
                    "io": {"time": metrics.timestamp, "psi": psi},
                    "rootfs": {"time": metrics.timestamp, "usedBytes": 4096 * (1 + len(name))},
                    "logs": {"time": metrics.timestamp, "usedBytes": kibibytes * 8},
                    "swap": {"time": metrics.timestamp, "swapUsageBytes": 0},
                }
            )
        stored = sum(c["rootfs"]["usedBytes"] + c["logs"]["usedBytes"] for c in containers)
        whole = {"time": metrics.timestamp, "psi": _psi(together, metrics.tick)}
        item: dict[str, Any] = {
            "podRef": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
            "startTime": metrics.timestamp,
            "containers": containers,
            "cpu": {**whole, "usageNanoCores": together},
            "memory": whole,
            "io": whole,
            "ephemeral-storage": {"time": metrics.timestamp, "usedBytes": stored},
        }
        if pod.claim:
            capacity = pod.claim.gibibytes * _GIBI
            used = int(capacity * pod.claim.used)
            inodes = pod.claim.gibibytes * 65_536
            item["volume"] = [
                {
                    "time": metrics.timestamp,
                    "name": "data",
                    "pvcRef": {"name": pod.claim.host_name, "namespace": pod.namespace},
                    "capacityBytes": capacity,
                    "usedBytes": used,
                    "availableBytes": capacity - used,
                    "inodes": inodes,
                    "inodesUsed": int(inodes * pod.claim.used / 7),
                    "inodesFree": inodes - int(inodes * pod.claim.used / 7),
                }
            ]
        shown.append(item)
    total = {"cpu": {"usageNanoCores": cpu}, "memory": {"workingSetBytes": memory}}
    return {"node": {"nodeName": node, "startTime": metrics.timestamp, **total}, "pods": shown}


def _family(name: str, text: str, kind: str) -> str:
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"


def _samples(pods: Iterable[DemoPod], metrics: Metrics) -> Iterator[tuple[DemoPod, str, int, int]]:
    for pod in pods:
        for name, nanocores, kibibytes in metrics.containers(pod):
            yield pod, name, nanocores, kibibytes


def _resource(pods: list[DemoPod], metrics: Metrics) -> Iterator[str]:
    stamp = metrics.milliseconds
    yield _family("container_cpu_usage_seconds_total", "[STABLE] Cumulative cpu time", "counter")
    for pod, name, nanocores, _ in _samples(pods, metrics):
        labels = f'container="{name}",namespace="{pod.namespace}",pod="{pod.name}"'
        yield f"container_cpu_usage_seconds_total{{{labels}}} {_seconds(metrics, nanocores)} {stamp}\n"
    yield _family("container_memory_working_set_bytes", "[STABLE] Current working set", "gauge")
    for pod, name, _, kibibytes in _samples(pods, metrics):
        labels = f'container="{name}",namespace="{pod.namespace}",pod="{pod.name}"'
        yield f"container_memory_working_set_bytes{{{labels}}} {kibibytes * 1024} {stamp}\n"
    yield _family("resource_scrape_error", "[STABLE] 1 if there was an error", "gauge") + "resource_scrape_error 0\n"


def _cadvisor(pods: list[DemoPod], metrics: Metrics) -> Iterator[str]:
    stamp = metrics.milliseconds
    families = (
        ("container_cpu_usage_seconds_total", "Cumulative cpu time consumed in seconds.", "counter"),
        ("container_memory_working_set_bytes", "Current working set in bytes.", "gauge"),
        ("container_memory_rss", "Size of RSS in bytes.", "gauge"),
    )
    for family, text, kind in families:
        yield _family(family, text, kind)
        yield f'{family}{{container="",id="/",image="",name="",namespace="",pod=""}} 1 {stamp}\n'
        for pod, name, nanocores, kibibytes in _samples(pods, metrics):
            value = _seconds(metrics, nanocores) if kind == "counter" else str(kibibytes * 1024)
            sandbox = f"{pod.uid.replace('-', '')}{len(name):032x}"
            cpu = ',cpu="total"' if kind == "counter" else ""
            labels = (
                f'container="{name}"{cpu},id="/kubepods/burstable/pod{pod.uid}/{sandbox}",image="registry.example/{name}",'
                f'name="{sandbox}",namespace="{pod.namespace}",pod="{pod.name}"'
            )
            yield f"{family}{{{labels}}} {value} {stamp}\n"


def _probes(pods: list[DemoPod], metrics: Metrics) -> Iterator[str]:
    yield _family("prober_probe_total", "[BETA] Cumulative number of probes", "counter")
    for pod, name, _, _ in _samples(pods, metrics):
        labels = f'container="{name}",namespace="{pod.namespace}",pod="{pod.name}",pod_uid="{pod.uid}"'
        yield f'prober_probe_total{{{labels},probe_type="Liveness",result="successful"}} {metrics.tick + 10}\n'


def _kubelet(pods: list[DemoPod], _: Metrics) -> Iterator[str]:
    yield _family("kubelet_running_pods", "[BETA] Number of pods that have a running sandbox", "gauge")
    yield f"kubelet_running_pods {len(pods)}\n"
    yield _family("kubelet_volume_stats_used_bytes", "[BETA] Number of used bytes in the volume", "gauge")
    for pod in pods:
        if pod.claim:
            labels = f'namespace="{pod.namespace}",persistentvolumeclaim="{pod.claim.host_name}"'
            yield f"kubelet_volume_stats_used_bytes{{{labels}}} {int(pod.claim.gibibytes * _GIBI * pod.claim.used)}\n"


def _seconds(metrics: Metrics, nanocores: int) -> str:
    return f"{1000 + metrics.tick * 15 * nanocores / 1e9:.6f}"


def _psi(nanocores: int, tick: int) -> dict[str, Any]:
    """The busier, the more its tasks wait; never all of them for long."""
    some, total = nanocores / 4e8, tick * 1000
    return {
        kind: {"avg10": round(some * part, 2), "avg60": 0, "avg300": 0, "total": int(total * part)}
        for kind, part in (("some", 1.0), ("full", 0.25))
    }
