"""Steps of history without a Prometheus: samples of the running cluster.

Each sample stands for the time until the next one. What starts and ends between two samples is not seen.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from kubectl_vmetrics.history.names import HOST, Identity
from kubectl_vmetrics.history.steps import Container, Metric, Step
from kubectl_vmetrics.kube import core
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import StatusError, VmetricsError
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.kubevirt import machines
from kubectl_vmetrics.metrics import requests, sampling
from kubectl_vmetrics.metrics.quantity import NANOS, cpu_nanocores, memory_bytes
from kubectl_vmetrics.vcluster import survey
from kubectl_vmetrics.vcluster.discovery import CONTROL_PLANE_APPS, VCluster
from kubectl_vmetrics.vcluster.identity import VClusterRef

from .directory import Key

INTERVAL = 15.0
"""Seconds between samples: metrics-server has new numbers that often."""
GPUS = ("nvidia.com/gpu", "amd.com/gpu")
_LAUNCHER = ("kubevirt.io", "virt-launcher")
_NODE = {"cpu": Metric.NODE_CPU_ALLOCATABLE, "memory": Metric.NODE_MEMORY_ALLOCATABLE}
_ASKED = {"cpu": Metric.CPU_REQUEST, "memory": Metric.MEMORY_REQUEST}
_METRICS = (Metric.CPU, Metric.MEMORY, Metric.RUNNING)

Rates = dict[Metric, dict[Container, float]]
"""Amounts per second: cores, bytes, GPUs."""


class _Sample(NamedTuple):
    rates: Rates
    present: dict[Metric, float]


class Sampler:
    """Takes samples; also the directory's names, of all objects that were seen so far.

    Args:
        client: the host.
        targets: host namespaces to which virtual clusters elsewhere sync their pods, as given by the user.

    Attributes:
        failed: why the last sample that failed did; "" if none did.
        warnings: what could not be resolved.
        machines, nodes: as in directory.Facts.
        clusters: the virtual clusters that there are.
    """

    def __init__(self, client: Client, targets: Iterable[tuple[str, VClusterRef]] = ()) -> None:
        self._client = client
        self._targets = targets
        self._pods: dict[Key, Identity] = {}
        self._planes: dict[Key, VClusterRef] = {}
        self.failed = ""
        self.warnings: dict[str, None] = {}
        self.machines: dict[Key, str] = {}
        self.nodes: dict[Key, str] = {}
        self.clusters: list[VCluster] = []
        self._held: _Sample | None = None
        self._uids: dict[str, str] = {}

    def first(self) -> None:
        """Take the first sample, which finds the virtual clusters. Raises as Client.get."""
        try:
            self._uids = {item.metadata.uid: item.metadata.name for item in machines.find(self._client, None)}
        except StatusError:
            self._uids = {}  # KubeVirt is not installed, or not for this user
        self._held = self._take()

    def innermost(self, namespace: str, pod: str) -> Identity:
        """Whose a pod is."""
        return self._pods.get((namespace, pod), HOST)

    def of_claim(self, namespace: str, claim: str) -> Identity:
        """Nobody's: claims are not sampled."""
        return HOST

    def is_control_plane(self, namespace: str, pod: str) -> VClusterRef | None:
        """The virtual cluster whose control plane a pod is part of."""
        return self._planes.get((namespace, pod))

    def steps(self, seconds: float, progress: Callable[[int, int], None] | None = None) -> Iterator[Step]:
        """Take samples for so many seconds; Ctrl-C ends that early.

        Raises:
            VmetricsError: the first sample cannot be taken. A later one that fails leaves a gap.
        """
        held = self._held or self._take()
        at = began = time.time()
        rounds = max(1, math.ceil(seconds / INTERVAL))
        for number in range(1, rounds + 1):
            ended = False
            try:
                # Samples take a while, and the next one is due when it is due.
                sampling.pause(
                    began + min(seconds, number * INTERVAL) - time.time(), _since(at - began, seconds, progress)
                )
            except KeyboardInterrupt:
                ended = True
            now = time.time()
            if now > at:
                yield _step(at, now, held)
            at = now
            if ended or number == rounds:
                break
            try:
                held = self._take()
            except KeyboardInterrupt:
                break
            except VmetricsError as error:
                self.failed = error.message
                held = _Sample({}, {})
        if progress is not None:
            progress(int(seconds), int(seconds))

    def _take(self) -> _Sample:
        """One sample. Raises as survey and core.pods."""
        client = self._client
        calls: list[Callable[[], Any]] = [
            lambda: survey.survey(client, None, self._targets),
            lambda: core.pods(client, None),
            lambda: core.nodes(client),
        ]
        answers: list[Any] = gather(calls)
        for answer in answers:
            if isinstance(answer, VmetricsError):
                raise answer
        seen, pods, nodes = answers
        self.warnings.update(dict.fromkeys(seen.warnings))
        self.clusters = seen.known
        rates: Rates = {}
        self._used(seen, rates)
        for pod in pods:
            self._known(pod)
            if pod.status.phase == "Running" and pod.spec.node:
                _requested(pod, rates)
        for node in nodes:
            for name, quantity in node.status.allocatable.items():
                metric = Metric.NODE_GPU_ALLOCATABLE if name in GPUS else _NODE.get(name)
                if metric is not None:
                    _put(rates, metric, Container("", node.metadata.name), _amount(name, quantity))
        whole = (*_METRICS, *_NODE.values(), *_ASKED.values(), Metric.GPU_REQUEST, Metric.NODE_GPU_ALLOCATABLE)
        return _Sample(rates, dict.fromkeys(whole, 1.0))

    def _used(self, seen: survey.Survey, rates: Rates) -> None:
        for pod in seen.found.pods:
            namespace, name = pod.host.namespace, pod.host.name
            if pod.vcluster is not None:
                space = pod.virtual.namespace if pod.virtual else pod.owner.namespace
                self._pods[namespace, name] = Identity(pod.vcluster, space, pod.virtual.name if pod.virtual else None)
            elif pod.owner.app in CONTROL_PLANE_APPS and pod.owner.release:
                ref = VClusterRef(namespace, pod.owner.release)
                if any(item.ref == ref for item in seen.known):
                    self._planes[namespace, name] = ref
            for container in pod.metrics.containers:
                key = Container(namespace, name, container.name)
                _put(rates, Metric.CPU, key, cpu_nanocores(container.usage.cpu) / NANOS)
                _put(rates, Metric.MEMORY, key, float(memory_bytes(container.usage.memory)))

    def _known(self, pod: core.Pod) -> None:
        key, labels = (pod.metadata.namespace, pod.metadata.name), pod.metadata.labels
        self.nodes[key] = pod.spec.node
        machine = self._uids.get(labels.get(machines.CREATED_BY, ""))
        if machine and labels.get(_LAUNCHER[0]) == _LAUNCHER[1]:
            self.machines[key] = machine


def _requested(pod: core.Pod, rates: Rates) -> None:
    namespace, name = pod.metadata.namespace, pod.metadata.name
    _put(rates, Metric.RUNNING, Container(namespace, name), 1.0)
    try:
        left = dict(requests.of_pod(pod).requests)
        for spec in (*pod.spec.containers, *pod.spec.init_containers):
            sidecar = spec in pod.spec.containers or spec.restart == requests.SIDECAR
            for resource, amount in requests.of_container(pod, spec.name).requests.items() if sidecar else ():
                # Resources of the pod as a whole win over the sum of its containers.
                share = min(amount, left.get(resource, 0))
                left[resource] = left.get(resource, 0) - share
                _ask(rates, Container(namespace, name, spec.name), resource, share)
        for resource, amount in left.items() if pod.spec.resources else ():
            _ask(rates, Container(namespace, name), resource, amount)
    except ValueError:
        return  # a quantity that cannot be read


def _ask(rates: Rates, key: Container, resource: str, amount: int) -> None:
    metric = Metric.GPU_REQUEST if resource in GPUS else _ASKED.get(resource)
    if metric is not None and amount:
        _put(rates, metric, key, amount / NANOS if resource == "cpu" else float(amount))


def _amount(resource: str, quantity: str) -> float:
    try:
        return cpu_nanocores(quantity) / NANOS if resource == "cpu" else float(memory_bytes(quantity))
    except ValueError:
        return 0.0


def _put(rates: Rates, metric: Metric, key: Container, amount: float) -> None:
    row = rates.setdefault(metric, {})
    row[key] = row.get(key, 0.0) + amount


def _since(
    over: float, seconds: float, progress: Callable[[int, int], None] | None
) -> Callable[[int, int], None] | None:
    """Progress of one wait as that of all: so many seconds are over before it."""
    if progress is None:
        return None
    return lambda done, _: progress(min(int(over) + done, int(seconds) - 1), int(seconds))


def _step(start: float, end: float, sample: _Sample) -> Step:
    seconds = end - start
    amounts: dict[Metric, Mapping[Container, float]] = {
        metric: {key: rate * seconds for key, rate in row.items()} for metric, row in sample.rates.items()
    }
    return Step(start, end, amounts, sample.present)
