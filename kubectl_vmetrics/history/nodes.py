"""The nodes of a moment: what they used, and what they had."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from kubectl_vmetrics.kube.core import Node, ObjectMeta
from kubectl_vmetrics.metrics.metrics_api import NodeMeta, NodeMetrics, Quantities
from kubectl_vmetrics.metrics.quantity import NANOS, render_cpu, render_memory
from kubectl_vmetrics.metrics.usage import HostPod
from kubectl_vmetrics.prometheus.answer import Sample

from .moment import Moment

_EXPORTER = 'job=~"(.*[/-])?node-exporter|kubernetes-service-endpoints|integrations/node_exporter",job!~".*-x-.*"'
"""node_exporter, which has neither the name of its node nor always a job of that name."""


class Measured(NamedTuple):
    """The nodes of a moment.

    Attributes:
        used: usage of those that were measured.
        nodes: all that kube-state-metrics knew, with capacity and allocatable; without labels.
    """

    used: list[NodeMetrics]
    nodes: list[Node]

    @property
    def names(self) -> set[str]:
        """Of all of them."""
        return {item.metadata.name for item in self.used} | {item.metadata.name for item in self.nodes}


class _Way(NamedTuple):
    """Where usage comes from.

    Attributes:
        cpu: a counter of seconds, with a place for matchers; one of a node, or several to add up.
        memory: bytes.
        source: matchers.
    """

    cpu: str
    memory: str
    source: str


def read(moment: Moment) -> Measured:
    """The nodes of a moment.

    kube-prometheus-stack drops the kubelets' cgroup of the whole machine, and leaves /metrics/resource off: then it is
    node_exporter that knows.
    """
    nodes = _nodes(moment)
    addresses = _addresses(moment)
    jobs = moment.jobs
    ways = (
        _Way(
            'container_cpu_usage_seconds_total{%s,id="/"}',
            'container_memory_working_set_bytes{%s,id="/"}',
            jobs.cadvisor,
        ),
        _Way("node_cpu_usage_seconds_total{%s}", "node_memory_working_set_bytes{%s}", jobs.kubelet),
        _Way(
            'node_cpu_seconds_total{%s,mode!~"idle|iowait|steal"}',
            "node_memory_MemTotal_bytes{%s} - node_memory_MemAvailable_bytes{%s}",
            ",".join(filter(None, [_EXPORTER, moment.server.matchers])),
        ),
    )
    for way in ways:
        memory = _by_node(moment.query(_largest(way.memory.replace("%s", way.source))), addresses)
        if memory:
            window = moment.rhythm.window
            rate = f"increase({way.cpu.replace('%s', way.source)}[{window}s]) / {window}"
            # One series per node, or one per processor and mode.
            one = f"max by (node, nodename, instance, cpu, mode) ({rate})"
            cpu = _by_node(moment.query(f"sum by (node, nodename, instance) ({one})"), addresses)
            used = [
                NodeMetrics(
                    NodeMeta(name),
                    Quantities(render_cpu(round(cpu.get(name, 0.0) * NANOS)), render_memory(int(size))),
                    moment.taken,
                    f"{window}s",
                )
                for name, size in sorted(memory.items())
            ]
            return Measured(used, nodes)
    return Measured([], nodes)


def of_pods(moment: Moment, only: str = "") -> dict[HostPod, str]:
    """The node of each pod, as far as kube-state-metrics or the kubelets' series tell.

    Args:
        moment: to ask.
        only: what follows other matchers, as matchers_of.
    """
    chosen = f'kube_pod_info{{{moment.jobs.state},node!=""{only}}}'
    found = moment.query(f"group by (namespace, pod, node) ({chosen})")
    if not found:
        chosen = f'container_memory_working_set_bytes{{{moment.jobs.cadvisor},pod!="",node!=""{only}}}'
        found = moment.query(f"group by (namespace, pod, node) ({chosen})")
    return {
        HostPod(item.labels.get("namespace", ""), item.labels.get("pod", "")): item.labels.get("node", "")
        for item in found
    }


def _largest(expression: str) -> str:
    return f"max by (node, nodename, instance) ({expression})"


def _nodes(moment: Moment) -> list[Node]:
    found: dict[str, Node] = {}
    for family in ("allocatable", "capacity"):
        chosen = f'kube_node_status_{family}{{{moment.jobs.state},resource=~"cpu|memory|pods",node!=""}}'
        for sample in moment.query(f"max by (node, resource) ({chosen})"):
            name, resource, number = sample.labels["node"], sample.labels.get("resource", ""), sample.number
            node = found.setdefault(name, Node(ObjectMeta(name)))
            if math.isfinite(number):
                text = render_cpu(round(number * NANOS)) if resource == "cpu" else render_memory(int(number))
                has = node.status.allocatable if family == "allocatable" else node.status.capacity
                has[resource] = text
    return [found[name] for name in sorted(found)]


def _addresses(moment: Moment) -> dict[str, str]:
    """Nodes by their addresses: targets without a label `node` have their instance."""
    chosen = f'kube_node_info{{{moment.jobs.state},internal_ip!=""}}'
    found = moment.query(f"group by (node, internal_ip) ({chosen})")
    return {sample.labels["internal_ip"]: sample.labels.get("node", "") for sample in found}


def _by_node(found: Iterable[Sample], addresses: dict[str, str]) -> dict[str, float]:
    """The largest of each node: several jobs may scrape it."""
    nodes: dict[str, float] = {}
    for sample in found:
        labels, number = sample.labels, sample.number
        host = labels.get("instance", "").rpartition(":")[0].strip("[]")
        name = labels.get("node") or labels.get("nodename") or addresses.get(host) or host
        if name and math.isfinite(number):
            nodes[name] = max(nodes.get(name, 0.0), number)
    return nodes
