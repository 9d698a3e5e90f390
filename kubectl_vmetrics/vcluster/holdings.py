"""What pods reserve, where they run, and the volumes and quotas beside them: the numbers that need more lists.

Quotas count for a host namespace as a whole. Whose share of one is used is known only where one virtual cluster, or
one namespace, is all that there is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import msgspec

from kubectl_vmetrics.kube import core
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import VmetricsError
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.metrics import requests
from kubectl_vmetrics.metrics.quantity import cpu_nanocores, memory_bytes
from kubectl_vmetrics.metrics.requests import Amounts, Reserved
from kubectl_vmetrics.metrics.sources import Kubelets
from kubectl_vmetrics.metrics.usage import HostPod

_ENDED = ("Succeeded", "Failed")
_SAME = {"cpu": "requests.cpu", "memory": "requests.memory"}
"""Two names of one resource in quotas."""


class Facts(NamedTuple):
    """What is known of one pod besides its usage.

    Attributes:
        labels: of the pod.
        reserved: requests and limits; None if one of them cannot be read.
        restarts: of its containers, since the pod was created.
        host_network: whether its interfaces are those of its node.
    """

    labels: Mapping[str, str]
    reserved: Reserved | None
    restarts: int
    node: str
    host_network: bool = False


class Claimed(NamedTuple):
    """A PersistentVolumeClaim.

    Attributes:
        requested: bytes; None if that cannot be read.
        used: bytes, by the kubelet of a pod that mounts it; None if none does, or its driver does not report it.
    """

    namespace: str
    name: str
    labels: Mapping[str, str]
    requested: int | None
    used: int | None


class Quota(NamedTuple):
    """A resource of a namespace's ResourceQuotas: of several, the one that leaves the least."""

    hard: str
    used: str


class Holding(msgspec.Struct):
    """What the pods and claims of a group hold.

    Attributes:
        pods: that run, or are about to.
        requests, limits: CPU in billionths of a core, memory in bytes, devices by number.
        unlimited: resources for which one of the pods has no limit.
        nodes: where they run.
        claims: how many PersistentVolumeClaims; None if they are not known.
        requested, used: bytes of these; None if not known of any.
        gpu_percent: how busy the GPUs and MIG slices assigned to its pods are, 150 for one and a half; None if that is
            not known of any.
        quotas: of the host namespace, by resource; None if they are not known, or are not this group's alone.
    """

    pods: int = 0
    requests: Amounts = {}
    limits: Amounts = {}
    unlimited: set[str] = set()
    restarts: int = 0
    nodes: set[str] = set()
    claims: int | None = None
    requested: int | None = None
    used: int | None = None
    gpu_percent: float | None = None
    quotas: Mapping[str, Quota] | None = None

    def add(self, facts: Facts) -> None:
        """Count a pod."""
        self.pods += 1
        self.restarts += facts.restarts
        self.nodes.add(facts.node)
        if facts.reserved is None:
            return
        for mine, more in ((self.requests, facts.reserved.requests), (self.limits, facts.reserved.limits)):
            for name, amount in more.items():
                mine[name] = mine.get(name, 0) + amount
        self.unlimited |= facts.reserved.unlimited
        self.unlimited |= {name for name in ("cpu", "memory") if name not in facts.reserved.limits}

    def claim(self, item: Claimed) -> None:
        """Count a claim."""
        self.claims = (self.claims or 0) + 1
        if item.requested is not None:
            self.requested = (self.requested or 0) + item.requested
        if item.used is not None:
            self.used = (self.used or 0) + item.used

    @property
    def gpus(self) -> int:
        """GPUs and MIG slices that its pods request."""
        from kubectl_vmetrics.metrics import gpus

        return gpus.count(self.requests)

    def limit(self, resource: str) -> int | None:
        """What all of them together cannot use more of; None if there is no such limit."""
        return None if resource in self.unlimited else self.limits.get(resource)


class Held(NamedTuple):
    """The pods, claims and quotas of a host namespace, or of all; None for what could not be listed.

    Attributes:
        warnings: why.
    """

    pods: dict[HostPod, Facts] | None
    claims: list[Claimed] | None
    quotas: dict[str, dict[str, Quota]] | None
    warnings: tuple[str, ...] = ()


def read_pods(client: Client, namespace: str | None) -> Held:
    """List the pods of a host namespace, or of all, and nothing else. Raises as Client.get."""
    return Held(of_pods(core.pods(client, namespace)), None, None)


def read(client: Client, namespace: str | None, kubelets: Kubelets | None = None) -> Held:
    """List pods, claims and quotas of a host namespace, or of all.

    Args:
        client: the host.
        namespace: None for all.
        kubelets: asked how full volumes are; None to leave that out.
    """
    calls: list[Callable[[], Any]] = [
        partial(core.pods, client, namespace),
        partial(core.claims, client, namespace),
        partial(core.quotas, client, namespace),
    ]
    listed: list[Any] = gather(calls)
    what = ("nodes, restarts, requests and limits", "volumes", "quotas")
    warnings = [
        f"{name} are not available: {answer.message}"
        for name, answer in zip(what, listed, strict=True)
        if isinstance(answer, VmetricsError)
    ]
    pods, claims, quotas = (None if isinstance(answer, VmetricsError) else answer for answer in listed)
    facts = None if pods is None else of_pods(pods)
    used: dict[tuple[str, str], int] = {}
    if kubelets and claims and facts:
        try:
            used = _used(client, kubelets, sorted({item.node for item in facts.values()}))
        except VmetricsError as error:
            warnings.append(f"usage of volumes is not available: {error.message}")
        if missing := kubelets.warning():
            warnings.append(missing)
    return Held(
        facts,
        None if claims is None else [_claimed(item, used) for item in claims],
        None if quotas is None else tightest(quotas),
        tuple(warnings),
    )


def of_pods(pods: Iterable[core.Pod]) -> dict[HostPod, Facts]:
    """The facts of pods that hold something: those that are bound to a node, and have not ended."""
    found = {}
    for pod in pods:
        if not pod.spec.node or pod.status.phase in _ENDED:
            continue
        try:
            reserved = requests.of_pod(pod)
        except ValueError:
            reserved = None
        statuses = (*pod.status.containers, *pod.status.init_containers)
        restarts = sum(status.restarts for status in statuses)
        host = HostPod(pod.metadata.namespace, pod.metadata.name)
        found[host] = Facts(pod.metadata.labels, reserved, restarts, pod.spec.node, pod.spec.host_network)
    return found


def _used(client: Client, kubelets: Kubelets, nodes: list[str]) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for summary in kubelets.summaries(client, nodes).values():
        for pod in summary.pods:
            for volume in pod.volumes:
                if volume.pvc is not None and volume.used is not None:
                    key = volume.pvc.namespace, volume.pvc.name
                    found[key] = max(volume.used, found.get(key, 0))
    return found


def _claimed(item: core.Claim, used: Mapping[tuple[str, str], int]) -> Claimed:
    meta = item.metadata
    try:
        requested = memory_bytes(item.spec.resources.requests.get("storage", ""))
    except ValueError:
        requested = None
    return Claimed(meta.namespace, meta.name, meta.labels, requested, used.get((meta.namespace, meta.name)))


def tightest(quotas: Iterable[core.Quota]) -> dict[str, dict[str, Quota]]:
    """By host namespace and resource, the quota that leaves the least; those for some of the pods are left out."""
    found: dict[str, dict[str, tuple[int, Quota]]] = {}
    for item in quotas:
        if item.scoped:
            continue
        mine = found.setdefault(item.metadata.namespace, {})
        for name, hard in item.status.hard.items():
            resource, used = _SAME.get(name, name), item.status.used.get(name, "0")
            try:
                left = amount(resource, hard) - amount(resource, used)
            except ValueError:
                continue
            if resource not in mine or left < mine[resource][0]:
                mine[resource] = left, Quota(hard, used)
    return {namespace: {name: quota for name, (_, quota) in sorted(mine.items())} for namespace, mine in found.items()}


def amount(resource: str, quantity: str) -> int:
    """A quantity of a quota in base units: CPU in billionths of a core. Raises ValueError."""
    return cpu_nanocores(quantity) if resource.endswith("cpu") else memory_bytes(quantity)
