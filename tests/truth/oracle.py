"""What pods really used: from their cgroups and from `top`, without PromQL and without the package.

`cgroup-truth.json.gz` holds the CPU counter of each pod's cgroup, read on the host. `snapshots.jsonl.gz` holds what
`top vclusters` and `top pods` printed every minute from the Metrics API.
"""

from __future__ import annotations

import gzip
import json
import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parents[1] / "recordings" / "prometheus"
FIRST, LAST = 1795536600, 1795538550
"""Between these moments the cgroups were read: 2026-11-24 16:10:00 to 16:42:30 UTC."""
EDGE = 50
"""Seconds: two of the longest intervals between cAdvisor's readings."""
UNITS = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30}

Tenant = tuple[str, str]
"""Host namespace and name of a virtual cluster."""


def moment(clock: str) -> int:
    """Seconds since 1970 of a time of day of the recording."""
    return int(datetime.fromisoformat(f"2026-11-24T{clock}+00:00").timestamp())


class Counter(NamedTuple):
    """A CPU counter of one cgroup: seconds, at increasing times.

    Between two readings it grows evenly. A pod that was born while somebody looked started at 0. After the last reading
    it stays as it is.
    """

    times: Sequence[float]
    values: Sequence[float]
    born: bool

    def at(self, time: float) -> float:
        """The counter at a time; NaN before the first reading of a pod that is older."""
        index = bisect_right(self.times, time)
        if index == 0:
            return 0.0 if self.born else math.nan
        if index == len(self.times):
            return self.values[-1]
        (before, after), (low, high) = self.times[index - 1 : index + 1], self.values[index - 1 : index + 1]
        return low + (high - low) * (time - before) / (after - before)

    def used(self, start: float, end: float) -> float:
        """CPU seconds between two times."""
        return self.at(end) - self.at(start)

    def at_the_edges(self, start: float, end: float) -> float:
        """CPU seconds between two times that were used just after the birth or just before the end of the pod.

        cAdvisor reads a cgroup every 10 to 25 seconds, and a rate needs two readings in its window.
        """
        first, last = self.times[0], self.times[-1]
        found = []
        if self.born:
            found.append((first - 1, first + EDGE))
        if last < LAST:
            found.append((last - EDGE, last))
        seconds, until = 0.0, start
        for low, high in sorted(found):
            if max(low, until) < min(high, end):
                seconds += self.used(max(low, until), min(high, end))
                until = min(high, end)
        return seconds


class Pod(NamedTuple):
    """A pod of the host."""

    uid: str
    namespace: str
    name: str
    cpu: Counter


@cache
def pods() -> list[Pod]:
    """Pods whose cgroups were read, all but those of team-b."""
    with gzip.open(FOLDER / "cgroup-truth.json.gz") as file:
        document = json.load(file)
    readings: dict[str, dict[float, float]] = {uid: {} for uid in document["pods"]}
    for time, found in document["every30s"].items():
        for uid, usage in found.items():
            readings[uid][float(time)] = usage / 1e9
    start = min(first for first, _, _, _ in document["pods"].values())
    made = []
    for uid, (first, usage, last, final) in document["pods"].items():
        points = sorted({**readings[uid], first: usage / 1e9, last: final / 1e9}.items())
        counter = Counter([time for time, _ in points], [value for _, value in points], born=first > start)
        namespace, name = document["names"].get(uid, ("", ""))
        made.append(Pod(uid, namespace, name, counter))
    return made


def tenant(pod: Pod) -> Tenant | None:
    """The virtual cluster of a pod; None for the host's own and for control planes.

    Host namespaces of the recording hold one virtual cluster each. In them, all but the control plane is synced.
    """
    name = {"team-a": "vc1", "team-b": "vc2", "team-c": "vc1"}.get(pod.namespace)
    return None if name is None or pod.name == f"{name}-0" else (pod.namespace, name)


def cpu(start: float, end: float, chosen: Callable[[Pod], object] = tenant) -> dict[Any, float]:
    """Mean cores between two times, summed by what `chosen` gives for a pod; None leaves a pod out."""
    found: dict[Any, float] = {}
    for pod in pods():
        key = chosen(pod)
        if key is not None:
            found[key] = found.get(key, 0.0) + pod.cpu.used(start, end) / (end - start)
    return found


def edges(start: float, end: float) -> dict[Tenant, float]:
    """Of `cpu`, what cAdvisor need not have seen."""
    found: dict[Tenant, float] = {}
    for pod in pods():
        key = tenant(pod)
        if key is not None:
            found[key] = found.get(key, 0.0) + pod.cpu.at_the_edges(start, end) / (end - start)
    return found


def number(quantity: str) -> float:
    """A quantity as `top -o json` prints it: cores, bytes."""
    digits = quantity.rstrip("numKMGi")
    return float(digits) * UNITS[quantity[len(digits) :]]


class Snapshot(NamedTuple):
    """What `top vclusters` printed at one time: memory in bytes, CPU in cores, pods.

    `pod_memory` is what `top pods` printed, by host namespace, virtual cluster, virtual namespace and virtual pod.
    """

    at: float
    memory: dict[Tenant, float]
    cpu: dict[Tenant, float]
    pods: dict[Tenant, int]
    pod_memory: dict[tuple[str, str, str, str], float]


@cache
def snapshots() -> list[Snapshot]:
    """One a minute, without team-b."""
    with gzip.open(FOLDER / "snapshots.jsonl.gz", "rt") as file:
        return list(_snapshots(file))


def _snapshots(file: Any) -> Iterator[Snapshot]:
    for line in file:
        document = json.loads(line)
        items = {
            (item["metadata"]["namespace"], item["metadata"]["name"]): item
            for item in document["vclusters"]["items"]
            if item["metadata"]
        }
        yield Snapshot(
            datetime.fromisoformat(document["vclusters"]["at"].replace("Z", "+00:00")).timestamp(),
            {key: number(item["usage"]["memory"]) for key, item in items.items()},
            {key: number(item["usage"]["cpu"]) for key, item in items.items()},
            {key: item["pods"] for key, item in items.items()},
            {
                (
                    *(item["vcluster"]["hostNamespace"], item["vcluster"]["name"]),
                    *(item["metadata"]["namespace"], item["metadata"]["name"]),
                ): sum(number(container["usage"]["memory"]) for container in item["containers"])
                for item in document["pods"]["items"]
                if "vcluster" in item
            },
        )
