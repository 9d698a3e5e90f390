"""What the demo cluster's pods and nodes use.

Usage is a function of time with an integral: a counter is the integral up to a moment, and a rate over any span is the
difference of two counters. So all sources agree, and counters only grow. Later sources (a history, other resources)
are further functions of the same time, which may lie before the start.
"""

from __future__ import annotations

import datetime
import math
import threading
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kubectl_vmetrics.kube.selector import LabelSelector

from .cluster import Container, DemoNode, DemoPod

WINDOW = 15.0
"""Seconds between two measurements of kubelets, and two scrapes: --metric-resolution of metrics-server's manifests."""
SWING, PERIOD = 0.25, 1200.0
"""CPU goes up and down by this share of its average, once in so many seconds."""
MEMORY_SWING = 0.06
MEMORY_SHARE = 0.3
"""Of what CPU follows the day."""
DAY = 86_400.0
"""Beside that, it follows the day: see `rhythm`. Days begin when the demo starts, so that its first numbers are the
same at any hour."""
DAEMONS = (Container("kubelet", "", 70, 300), Container("runtime", "", 50, 600))
"""What a node uses beside its pods."""
_NODE_AGE = 57_600
_PULSE = 2 * math.pi / PERIOD
_TURN = 2 * math.pi / DAY


def rhythm(pod: DemoPod) -> float:
    """By which share of its average a pod's CPU goes up in one half of the day and down in the other.

    The same for all pods of an app: -0.3 for what works at night, up to 0.5.
    """
    app = pod.labels.get("app")
    return zlib.crc32(app.encode(), 5) % 9 / 10 - 0.3 if app else 0.0


def worked(pod: DemoPod, seconds: float) -> float:
    """For how many seconds a pod would have used its average, to have used what it has.

    Args:
        pod: whose.
        seconds: since the start of the demo; before the start of the pod there is nothing.
    """
    age = pod.minutes * 60.0
    if seconds <= -age:
        return 0.0
    swung = math.cos(pod.phase - _PULSE * age) - math.cos(pod.phase + _PULSE * seconds)
    daily = math.cos(_TURN * age) - math.cos(_TURN * seconds)
    return seconds + age + SWING / _PULSE * swung + rhythm(pod) / _TURN * daily


def memory(pod: DemoPod, container: Container, seconds: float) -> int:
    """The working set of a container in KiB."""
    return int(container.mebibytes * 1024 * size(pod, seconds))


def size(pod: DemoPod, seconds: float) -> float:
    """Its memory, as a multiple of the average."""
    swung = MEMORY_SWING * math.sin(pod.phase + _PULSE * seconds)
    return 1 + swung + rhythm(pod) * MEMORY_SHARE * math.sin(_TURN * seconds)


def daemons(node: DemoNode) -> DemoPod:
    """What runs on a node beside its pods, as if it were one."""
    phase = sum(map(ord, node.name)) % 628 / 100
    return DemoPod("", node.name, "", node.name, {}, DAEMONS, ("", ""), None, phase, _NODE_AGE)


class Metrics:
    """The numbers of one moment, and of the window that it ends.

    Args:
        on_node: the pods of a node.
        tick: how many windows have passed since the start.
        started: seconds since the epoch.
    """

    def __init__(self, on_node: Callable[[str], Sequence[DemoPod]], tick: int, started: float) -> None:
        self.tick = tick
        self.until = tick * WINDOW
        self._on_node = on_node
        self._started = started
        self._nodes: dict[str, tuple[int, int, float]] = {}
        self._lock = threading.Lock()
        self._cache: dict[tuple[Any, ...], bytes] = {}
        self.timestamp = self.stamp(0)
        self.milliseconds = int((started + self.until) * 1000)

    def cached(self, key: tuple[Any, ...], make: Callable[[], bytes]) -> bytes:
        """What `make` makes of these numbers, once: a load test measures clients, not this server."""
        with self._lock:
            if key not in self._cache:
                self._cache[key] = make()
            return self._cache[key]

    def stamp(self, ago: float) -> str:
        """A time so many seconds before the end of the window."""
        now = datetime.datetime.fromtimestamp(self._started + self.until - ago, datetime.timezone.utc)
        return now.strftime("%Y-%m-%dT%H:%M:%SZ")

    def age(self, pod: DemoPod) -> float:
        """Seconds since a pod's start."""
        return self.until + pod.minutes * 60.0

    def containers(self, pod: DemoPod) -> list[tuple[str, int, int]]:
        """Name, nanocores and KiB of each container."""
        busy = (worked(pod, self.until) - worked(pod, self.until - WINDOW)) / WINDOW
        swollen = size(pod, self.until)
        return [
            (
                container.name,
                int(container.millicores * 1_000_000 * busy) + 1,
                int(container.mebibytes * 1024 * swollen),
            )
            for container in pod.containers
        ]

    def seconds(self, pod: DemoPod) -> list[float]:
        """The CPU seconds that each container has used since it started."""
        total = worked(pod, self.until)
        return [container.millicores / 1000 * total for container in pod.containers]

    def pod(self, pod: DemoPod) -> str:
        """A PodMetrics as JSON."""
        # Names and labels of the demo are its own and need no escaping.
        labels = ",".join([f'"{key}":"{value}"' for key, value in sorted(pod.labels.items())])
        used = ",".join(
            [f'{{"name":"{n}","usage":{{"cpu":"{c}n","memory":"{m}Ki"}}}}' for n, c, m in self.containers(pod)]
        )
        return (
            f'{{"metadata":{{"name":"{pod.name}","namespace":"{pod.namespace}","creationTimestamp":"{self.timestamp}",'
            f'"labels":{{{labels}}}}},"timestamp":"{self.timestamp}","window":"{WINDOW:g}s","containers":[{used}]}}'
        )

    def pods(self, pods: Iterable[DemoPod], version: str = "metrics.k8s.io/v1beta1") -> bytes:
        """A PodMetricsList as JSON."""
        items = ",".join(map(self.pod, pods))
        head = f'{{"kind":"PodMetricsList","apiVersion":"{version}","metadata":{{}},"items":['
        return f"{head}{items}]}}".encode()

    def node(self, node: DemoNode) -> tuple[int, int, float]:
        """Nanocores, KiB and CPU seconds of a node: of its pods, and of what runs beside them."""
        found = self._nodes.get(node.name)
        if found is None:
            cpu, kibibytes, total = 0, 0, 0.0
            for pod in (daemons(node), *self._on_node(node.name)):
                for _, nanocores, size in self.containers(pod):
                    cpu += nanocores
                    kibibytes += size
                total += sum(self.seconds(pod))
            found = self._nodes[node.name] = (cpu, kibibytes, total)
        return found

    def nodes(self, nodes: Iterable[DemoNode], selector: LabelSelector) -> list[dict[str, Any]]:
        """The NodeMetrics of the nodes that match."""
        items = []
        for node in nodes:
            if not selector.matches(node_labels(node.name).get):
                continue
            cpu, kibibytes, _ = self.node(node)
            meta = {"name": node.name, "creationTimestamp": self.timestamp, "labels": node_labels(node.name)}
            items.append(
                {
                    "metadata": meta,
                    "timestamp": self.timestamp,
                    "window": f"{WINDOW:g}s",
                    "usage": {"cpu": f"{cpu}n", "memory": f"{kibibytes}Ki"},
                }
            )
        return items


def node_labels(name: str) -> dict[str, str]:
    """The labels of a node."""
    return {"kubernetes.io/arch": "amd64", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
