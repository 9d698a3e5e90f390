"""What the embedded cluster's pods and nodes use, as its metrics-server tells it: a new number every 15 seconds."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable
from typing import Any

from kubectl_vmetrics.kube.selector import LabelSelector

from .cluster import Cluster, DemoPod

WINDOW = 15.0
"""Seconds between two scrapes: --metric-resolution of metrics-server's own manifests."""

SYSTEM_MILLICORES, SYSTEM_MEBIBYTES = 120, 900
"""What a node uses beside its pods."""


class Metrics:
    """The numbers of one moment.

    Args:
        cluster: whose.
        tick: how many windows have passed since the start.
        now: the end of the window.
    """

    def __init__(self, cluster: Cluster, tick: int, now: datetime.datetime) -> None:
        self.cluster = cluster
        self.tick = tick
        self.timestamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        self.milliseconds = int(now.timestamp() * 1000)

    def containers(self, pod: DemoPod) -> list[tuple[str, int, int]]:
        """Name, nanocores and KiB of each container."""
        wave = math.sin(pod.phase + self.tick * 0.4)
        cpu, memory = 1 + 0.25 * wave, 1 + 0.06 * wave
        return [
            (container.name, int(container.millicores * 1_000_000 * cpu) + 1, int(container.mebibytes * 1024 * memory))
            for container in pod.containers
        ]

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

    def pods(self, pods: Iterable[DemoPod]) -> bytes:
        """A PodMetricsList as JSON."""
        items = ",".join(map(self.pod, pods))
        head = '{"kind":"PodMetricsList","apiVersion":"metrics.k8s.io/v1beta1","metadata":{},"items":['
        return f"{head}{items}]}}".encode()

    def nodes(self, selector: LabelSelector) -> list[dict[str, Any]]:
        """The NodeMetrics of the nodes that match."""
        cpu = {node.name: SYSTEM_MILLICORES * 1_000_000 for node in self.cluster.nodes}
        memory = {node.name: SYSTEM_MEBIBYTES * 1024 for node in self.cluster.nodes}
        for pod in self.cluster.pods:
            for _, nanocores, kibibytes in self.containers(pod):
                cpu[pod.node] += nanocores
                memory[pod.node] += kibibytes
        return [
            {
                "metadata": {"name": node.name, "creationTimestamp": self.timestamp, "labels": node_labels(node.name)},
                "timestamp": self.timestamp,
                "window": f"{WINDOW:g}s",
                "usage": {"cpu": f"{cpu[node.name]}n", "memory": f"{memory[node.name]}Ki"},
            }
            for node in self.cluster.nodes
            if selector.matches(node_labels(node.name).get)
        ]


def node_labels(name: str) -> dict[str, str]:
    """The labels of a node."""
    return {"kubernetes.io/arch": "amd64", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
