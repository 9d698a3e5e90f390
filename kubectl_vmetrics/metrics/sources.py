"""Where usage comes from: metrics.k8s.io, or the kubelets themselves where that is not served.

A kubelet's numbers are those that metrics-server scrapes, over the kubelet's own window of some ten seconds instead of
metrics-server's fifteen. It knows no labels: pods are listed as well, for their labels and nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, Protocol

import msgspec

from kubectl_vmetrics.kube import core
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import MetricsNotAvailable, NotFound, Unavailable

from . import kubelet, metrics_api
from .findings import counted
from .kubelet import Failure, Summary
from .metrics_api import AnyPod, Container, NodeMeta, NodeMetrics, PodMeta, Quantities, Scope, Skipped
from .quantity import render_cpu, render_memory
from .usage import HostPod, Usage

Name = Literal["metrics-api", "kubelet", "auto"]
NAMES: tuple[Name, ...] = ("metrics-api", "kubelet", "auto")


class Source(Protocol):
    """A source of pods' and nodes' usage; the module metrics_api is one."""

    def pods(self, client: Client, scope: Scope, kind: type[AnyPod]) -> tuple[list[AnyPod], list[Skipped]]:
        """As metrics_api.pods."""

    def nodes(self, client: Client, scope: Scope) -> tuple[list[NodeMetrics], list[Skipped]]:
        """As metrics_api.nodes."""


class Kubelets:
    """The kubelets, through the apiserver.

    Args:
        progress: called before the first node and after each: how many are done, of how many.

    Attributes:
        failures: the nodes that did not answer, of all questions so far.
        reported: what the last question for pods brought up, whole.
    """

    def __init__(self, progress: Callable[[int, int], None] | None = None) -> None:
        self.failures: list[Failure] = []
        self.reported: dict[HostPod, kubelet.Pod] = {}
        self._progress = progress

    def pods(self, client: Client, scope: Scope, kind: type[AnyPod]) -> tuple[list[AnyPod], list[Skipped]]:
        """As metrics_api.pods; pods on nodes that do not respond are left out."""
        fields = scope.fields
        if scope.name:
            fields = f"metadata.name={scope.name}"
        listed = core.pods(client, scope.namespace, labels=scope.labels, fields=fields)
        if scope.name and not listed:
            raise NotFound(f'pods "{scope.name}" not found', code=404, reason="NotFound")
        wanted = {(pod.metadata.namespace, pod.metadata.name): pod.metadata.labels for pod in listed if pod.spec.node}
        found = self.summaries(client, sorted({pod.spec.node for pod in listed if pod.spec.node}))
        pods: list[AnyPod] = []
        self.reported = {}
        for summary in found.values():
            for pod in summary.pods:
                labels = wanted.pop((pod.ref.namespace, pod.ref.name), None)
                if labels is None:
                    continue
                self.reported[HostPod(pod.ref.namespace, pod.ref.name)] = pod
                containers = [Container(c.name, _quantities(c.usage)) for c in pod.containers]
                raw = msgspec.Raw(msgspec.json.encode(labels))
                pods.append(kind(PodMeta(pod.ref.name, pod.ref.namespace, raw), containers))
        pods.sort(key=lambda pod: (pod.metadata.namespace, pod.metadata.name))
        return pods, []

    def nodes(self, client: Client, scope: Scope) -> tuple[list[NodeMetrics], list[Skipped]]:
        """As metrics_api.nodes."""
        listed = [core.node(client, scope.name)] if scope.name else core.nodes(client, labels=scope.labels)
        labels = {node.metadata.name: node.metadata.labels for node in listed}
        found = self.summaries(client, list(labels))
        return [
            NodeMetrics(NodeMeta(name, labels[name]), _node_quantities(summary)) for name, summary in found.items()
        ], []

    def warning(self) -> str | None:
        """All nodes that did not answer, in one line."""
        return unanswered(self.failures)

    def summaries(self, client: Client, nodes: list[str]) -> dict[str, Summary]:
        """stats/summary of these nodes; those that do not answer are remembered. Raises if none does."""
        count = 0
        progress = self._progress

        def done() -> None:
            nonlocal count
            count += 1
            if progress:
                progress(count, len(nodes))

        if progress:
            progress(0, len(nodes))
        found, failures = kubelet.summaries(client, nodes, done=done)
        if failures and not found:
            raise failures[0].error  # nothing at all: one clear error instead of a warning and an empty table
        self.failures += failures
        return found


def unanswered(failures: Iterable[Failure]) -> str | None:
    """Nodes that did not answer, in one line; None if there are none."""
    reasons: dict[str, list[str]] = {}
    for node, error in failures:
        reasons.setdefault(error.message, []).append(node)
    if not reasons:
        return None
    parts = [f"{', '.join(sorted(set(nodes)))} ({why})" for why, nodes in reasons.items()]
    count = len({node for nodes in reasons.values() for node in nodes})
    return f"{counted(count, 'node')} did not respond: " + "; ".join(parts)


class Auto:
    """metrics.k8s.io where it is served, else the kubelets.

    Args:
        note: called once, when the kubelets are used instead.
    """

    def __init__(self, kubelets: Kubelets, note: Callable[[str], None]) -> None:
        self._kubelets = kubelets
        self._note = note
        self._source: Source = metrics_api

    def pods(self, client: Client, scope: Scope, kind: type[AnyPod]) -> tuple[list[AnyPod], list[Skipped]]:
        """As metrics_api.pods."""
        try:
            return self._source.pods(client, scope, kind)
        except (MetricsNotAvailable, Unavailable) as error:
            return self._instead(error).pods(client, scope, kind)

    def nodes(self, client: Client, scope: Scope) -> tuple[list[NodeMetrics], list[Skipped]]:
        """As metrics_api.nodes."""
        try:
            return self._source.nodes(client, scope)
        except (MetricsNotAvailable, Unavailable) as error:
            return self._instead(error).nodes(client, scope)

    def _instead(self, error: Exception) -> Source:
        if self._source is self._kubelets:
            raise error
        self._note(f"{error}: using the kubelets' metrics instead")
        self._source = self._kubelets
        return self._source


def _quantities(usage: Usage) -> Quantities:
    swap = render_memory(usage.swap_bytes) if usage.swap_bytes else None
    return Quantities(render_cpu(usage.cpu_nanocores), render_memory(usage.memory_bytes), swap)


def _node_quantities(summary: Summary) -> Quantities:
    node = summary.node
    return _quantities(Usage(node.cpu.nanocores, node.memory.working_set, node.swap.usage))
