"""The kubelets' own endpoints, through the apiserver: /api/v1/nodes/NODE/proxy/….

Contents: k8s.io/kubelet/pkg/apis/stats/v1alpha1 for stats/summary, Prometheus text for the others. The
apiserver sets no time limit on proxied requests and no seat in its queues, so callers limit both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from kubectl_vmetrics.kube.client import Client, escape
from kubectl_vmetrics.kube.errors import VmetricsError
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.kube.lists import decoder

from .usage import Usage

SUMMARY = "stats/summary"
TEXTS = ("metrics", "metrics/cadvisor", "metrics/resource", "metrics/probes")
TWICE = "metrics/resource"
"""Scraped only where asked for: container_cpu_usage_seconds_total and others are in metrics/cadvisor, too."""
ONCE = tuple(endpoint for endpoint in TEXTS if endpoint != TWICE)
"""The endpoints that count nothing twice."""
TEXT = "text/plain;version=0.0.4"
"""Asked for by name: a kubelet would rather answer protobuf to those who accept anything."""

CONCURRENCY = 16


class Stall(msgspec.Struct):
    """Pressure stall information: the share of the last ten seconds in which tasks waited, in percent."""

    avg10: float = 0.0


class Psi(msgspec.Struct):
    """Stalls for some of the tasks of a cgroup, and for all of them at once."""

    some: Stall = msgspec.field(default_factory=Stall)
    full: Stall = msgspec.field(default_factory=Stall)


class _Cpu(msgspec.Struct):
    nanocores: int = msgspec.field(default=0, name="usageNanoCores")
    psi: Psi | None = None


class _Memory(msgspec.Struct):
    working_set: int = msgspec.field(default=0, name="workingSetBytes")
    psi: Psi | None = None


class _Io(msgspec.Struct):
    psi: Psi | None = None


class _Fs(msgspec.Struct):
    used: int | None = msgspec.field(default=None, name="usedBytes")


class _Swap(msgspec.Struct):
    usage: int = msgspec.field(default=0, name="swapUsageBytes")


class _Pressured(msgspec.Struct):
    cpu: _Cpu = msgspec.field(default_factory=_Cpu)
    memory: _Memory = msgspec.field(default_factory=_Memory)
    io: _Io = msgspec.field(default_factory=_Io)

    @property
    def pressure(self) -> dict[str, Psi | None]:
        """By resource, cpu, memory and io; None where it is not reported (cgroup v1, kubelets before v1.34)."""
        return {"cpu": self.cpu.psi, "memory": self.memory.psi, "io": self.io.psi}


class Container(_Pressured, kw_only=True):
    """Usage of one container, as the kubelet reports it."""

    name: str
    swap: _Swap = msgspec.field(default_factory=_Swap)
    rootfs: _Fs = msgspec.field(default_factory=_Fs)
    logs: _Fs = msgspec.field(default_factory=_Fs)

    @property
    def ephemeral_bytes(self) -> int | None:
        """Ephemeral storage: its writable layer and its logs; None if neither is reported."""
        found = [used for used in (self.rootfs.used, self.logs.used) if used is not None]
        return sum(found) if found else None

    @property
    def usage(self) -> Usage:
        """As metrics-server would report it: the same kernel counters, over the kubelet's own window."""
        return Usage(self.cpu.nanocores, self.memory.working_set, self.swap.usage)


class PodRef(msgspec.Struct, frozen=True):
    """A pod as its kubelet knows it: host names and host uid."""

    name: str
    namespace: str
    uid: str = ""


class PvcRef(msgspec.Struct, frozen=True):
    """The claim behind a volume, by its host name."""

    name: str
    namespace: str


class Volume(msgspec.Struct):
    """A volume as mounted into a pod; None for what the driver does not report."""

    name: str
    pvc: PvcRef | None = msgspec.field(default=None, name="pvcRef")
    used: int | None = msgspec.field(default=None, name="usedBytes")
    capacity: int | None = msgspec.field(default=None, name="capacityBytes")
    available: int | None = msgspec.field(default=None, name="availableBytes")
    inodes: int | None = None
    inodes_used: int | None = msgspec.field(default=None, name="inodesUsed")


class Pod(_Pressured, kw_only=True):
    """Usage of one pod, as the kubelet reports it."""

    ref: PodRef = msgspec.field(name="podRef")
    containers: list[Container] = []
    ephemeral: _Fs = msgspec.field(default_factory=_Fs, name="ephemeral-storage")
    volumes: list[Volume] = msgspec.field(default_factory=list, name="volume")

    @property
    def ephemeral_bytes(self) -> int | None:
        """Ephemeral storage of its containers and its emptyDir volumes; None if it is not reported."""
        return self.ephemeral.used


class Node(msgspec.Struct):
    """Usage of a node, system and pods together, as the kubelet reports it."""

    cpu: _Cpu = msgspec.field(default_factory=_Cpu)
    memory: _Memory = msgspec.field(default_factory=_Memory)
    swap: _Swap = msgspec.field(default_factory=_Swap)


class Summary(msgspec.Struct):
    """stats/summary of one node."""

    node: Node = msgspec.field(default_factory=Node)
    pods: list[Pod] = []


class Failure(NamedTuple):
    """A kubelet that did not respond, and why."""

    node: str
    error: VmetricsError


def path(node: str, endpoint: str) -> str:
    """The path of an endpoint of a node's kubelet."""
    return f"/api/v1/nodes/{escape(node)}/proxy/{endpoint}"


def summaries(
    client: Client, nodes: Sequence[str], *, done: Callable[[], None] | None = None
) -> tuple[dict[str, Summary], list[Failure]]:
    """stats/summary of these nodes, requested concurrently, and the nodes that did not respond.

    Args:
        client: the host.
        nodes: their names.
        done: called after each node.
    """
    calls = [partial(client.decode, path(node, SUMMARY), decoder(Summary)) for node in nodes]
    answers = gather(calls, limit=CONCURRENCY, done=done)
    found: dict[str, Summary] = {}
    failures: list[Failure] = []
    for node, answer in zip(nodes, answers, strict=True):
        if isinstance(answer, VmetricsError):
            failures.append(Failure(node, answer))
        else:
            found[node] = answer
    return found, failures
