"""What pods send, receive, read and write a second: two samples of the kubelets' metrics/cadvisor.

cAdvisor's samples have times of their own, 10 to 25 seconds apart, so each rate is over the time between two of them.
Interfaces belong to the pause container of a pod, disks and stalls to its containers. What a container did not have in
the earlier sample has no rate, and nor has its pod, since a partial sum would look complete.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import VmetricsError
from kubectl_vmetrics.kube.gather import gather

from . import kubelet
from .earlier import Earlier
from .kubelet import Failure
from .recall import Recall
from .samples import Reader, Sample
from .sampling import Progress, pause
from .usage import HostPod

APART = 15.0
"""Seconds between two samples."""
SHORTEST = 5.0
"""Seconds between two samples below which most of cAdvisor's would be the same."""
_LIMIT = 30.0
"""Seconds for one node."""
_ENOUGH = 0.9
"""The share of pods that must have an earlier sample, or a new one, before anything is shown."""
_AGAIN = 3
"""How many more times to ask for new samples of cAdvisor, each time after half of the time between two."""
_ENDPOINT = "metrics/cadvisor"
_FAMILIES = {
    "container_network_receive_bytes_total": "received",
    "container_network_transmit_bytes_total": "sent",
    "container_network_receive_errors_total": "errors",
    "container_network_transmit_errors_total": "errors",
    "container_network_receive_packets_dropped_total": "drops",
    "container_network_transmit_packets_dropped_total": "drops",
    "container_fs_reads_bytes_total": "read",
    "container_fs_writes_bytes_total": "written",
    "container_fs_reads_total": "reads",
    "container_fs_writes_total": "writes",
    "container_pressure_io_waiting_seconds_total": "waiting",
    "container_pressure_io_stalled_seconds_total": "stalled",
}
NETWORK = ("received", "sent", "errors", "drops")
DISK = ("read", "written", "reads", "writes")
STALLS = ("waiting", "stalled")
_GUESTS = re.compile(r"k6t|tap")
"""Interfaces inside the pod of a virtual machine, which count again what passes through its own."""


class Part(msgspec.Struct, array_like=True):
    """Counters of one cgroup, and when cAdvisor read them, in seconds since 1970."""

    at: float
    values: dict[str, float]


class Counters(msgspec.Struct):
    """A sample of one pod.

    Attributes:
        at: when its kubelet was asked, in seconds since 1970.
        network, disk, stalls: counters by cgroup: a container that was started again is another one.
    """

    namespace: str
    name: str
    at: float
    network: dict[str, Part] = {}
    disk: dict[str, Part] = {}
    stalls: dict[str, Part] = {}

    @property
    def key(self) -> tuple[str, str]:
        """The pod's host namespace and name."""
        return self.namespace, self.name


class Rates(msgspec.Struct):
    """A second, of one pod; None for what is not known.

    Attributes:
        received, sent: bytes.
        errors, drops: packets, in both directions.
        read, written: bytes.
        reads, writes: operations.
        waiting, stalled: share of the time in which some, or all, of its tasks waited for a disk, 0 to 1.
    """

    received: float | None = None
    sent: float | None = None
    errors: float | None = None
    drops: float | None = None
    read: float | None = None
    written: float | None = None
    reads: float | None = None
    writes: float | None = None
    waiting: float | None = None
    stalled: float | None = None


class Sampled(NamedTuple):
    """Rates of pods, and the nodes that did not answer."""

    rates: dict[HostPod, Rates]
    failures: list[Failure]


class Sampler:
    """Takes samples; waits only between the first two.

    Args:
        client: the host.
        apart: seconds between the first two.
        recall: the samples of earlier runs; None to use none.
        progress: called with the seconds waited so far, and in total.
    """

    def __init__(
        self,
        client: Client,
        *,
        apart: float = APART,
        recall: Recall[Counters] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._client = client
        self._apart = apart
        self._progress = progress
        self._earlier: Earlier[Counters] = Earlier(apart, _moved, recall, progress, _ENOUGH)
        self._failures: list[Failure] = []

    def sample(self, nodes: Sequence[str], host_network: Collection[HostPod] = ()) -> Sampled:
        """The rates of all pods on these nodes.

        Args:
            nodes: their names.
            host_network: pods whose interfaces are their node's, and are left out.
        """
        latest = self._earlier.take(lambda: self._scrape(nodes))
        for _ in range(_AGAIN):
            moved = sum(any(_moved(old, item) for old in self._earlier.of(item)) for item in latest.values())
            if moved >= _ENOUGH * len(latest):
                break
            pause(self._apart / 2, self._progress)
            latest = self._scrape(nodes)
        rates = {}
        for item in latest.values():
            pod = HostPod(*item.key)
            rates[pod] = self._rates(item, with_network=pod not in host_network)
        self._earlier.keep(latest)
        return Sampled(rates, self._failures)

    def _scrape(self, nodes: Sequence[str]) -> dict[tuple[str, str], Counters]:
        found: dict[tuple[str, str], Counters] = {}
        self._failures = []
        answers = gather([partial(_one, self._client, node) for node in nodes], limit=kubelet.CONCURRENCY)
        for node, answer in zip(nodes, answers, strict=True):
            if isinstance(answer, VmetricsError):
                self._failures.append(Failure(node, answer))
            else:
                found.update(answer)
        return found

    def _rates(self, item: Counters, *, with_network: bool) -> Rates:
        """Against the earliest sample that is about the same containers."""
        rates = Rates()
        for earlier in self._earlier.of(item):
            for field, value in _between(earlier, item, with_network=with_network).items():
                if getattr(rates, field) is None:
                    setattr(rates, field, value)
        return rates


def _one(client: Client, node: str) -> dict[tuple[str, str], Counters]:
    reader = Reader(lambda name: name in _FAMILIES)
    with client.stream(kubelet.path(node, _ENDPOINT), accept=kubelet.TEXT, limit=_LIMIT) as stream:
        return read(reader.read(stream.chunks), time.time())


def read(samples: Iterable[Sample], at: float) -> dict[tuple[str, str], Counters]:
    """The counters of each pod.

    Args:
        samples: of metrics/cadvisor.
        at: when it was asked, in seconds since 1970.
    """
    found: dict[tuple[str, str], Counters] = {}
    for sample in samples:
        labels, field = sample.labels, _FAMILIES.get(sample.name)
        namespace, name = labels.get("namespace"), labels.get("pod")
        if not field or not namespace or not name:
            continue
        container = labels.get("container", "")
        if field in NETWORK:
            if container not in ("", "POD") or _GUESTS.match(labels.get("interface", "")):
                continue
        elif container in ("", "POD"):
            continue  # the pod's own cgroup counts its containers again
        counters = found.setdefault((namespace, name), Counters(namespace, name, at))
        parts = counters.network if field in NETWORK else counters.disk if field in DISK else counters.stalls
        moment = at if sample.timestamp is None else sample.timestamp / 1000
        part = parts.setdefault(labels.get("id", ""), Part(moment, {}))
        part.at = max(part.at, moment)
        part.values[field] = part.values.get(field, 0.0) + sample.value
    return found


def _moved(before: Counters, after: Counters) -> bool:
    """Whether there is a newer reading of any of its cgroups."""
    return any(
        cgroup in old and part.at > old[cgroup].at
        for old, new in ((before.network, after.network), (before.disk, after.disk), (before.stalls, after.stalls))
        for cgroup, part in new.items()
    )


def _between(before: Counters, after: Counters, *, with_network: bool) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    if with_network:
        found |= {field: _sum(before.network, after.network, field) for field in NETWORK}
    found |= {field: _sum(before.disk, after.disk, field) for field in DISK}
    for field in STALLS:
        # Of several containers the one that waits most: their times overlap, so a sum would mean nothing.
        known = [value for value in _each(before.stalls, after.stalls, field) if value is not None]
        found[field] = min(1.0, max(known)) if known else None
    return found


def _sum(before: Mapping[str, Part], after: Mapping[str, Part], field: str) -> float | None:
    values = _each(before, after, field)
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _each(before: Mapping[str, Part], after: Mapping[str, Part], field: str) -> list[float | None]:
    """Per second, of each cgroup that has such a counter."""
    rate: Callable[[Part | None, Part], float | None] = partial(_rate, field)
    return [rate(before.get(cgroup), part) for cgroup, part in after.items() if field in part.values]


def _rate(field: str, before: Part | None, after: Part) -> float | None:
    if before is None or field not in before.values or after.at <= before.at:
        return None
    grown = after.values[field] - before.values[field]
    return grown / (after.at - before.at) if grown >= 0 else None


def total(rates: Iterable[Rates]) -> Rates:
    """The sums of what is known; shares of time have no sum."""
    listed = list(rates)
    found = Rates()
    for field in (*NETWORK, *DISK):
        known = [value for rate in listed if (value := getattr(rate, field)) is not None]
        setattr(found, field, sum(known) if known else None)
    return found
