"""Pods of the demo cluster's past: what ran before those of now, jobs of every night, and one that ran out of memory.

All times are seconds since the start of the demo; those of the past are negative.
"""

from __future__ import annotations

import random
import uuid
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from kubectl_vmetrics.vcluster import naming

from .cluster import SAFE, Container, DemoPod, DemoVCluster, Origin
from .usage import DAY, size, worked
from .world import World

DAYS = 32
"""How far back the past goes: more than the longest month."""
BEGIN = -DAYS * DAY
NIGHTLY = "nightly-report"
_JOB = Container("main", f"registry.example/{NIGHTLY}:1.4.2", 450, 380, (1.0, 1.3))
_NIGHT = 3 * 3600.0
_KILLS = (7_200.0, 18_000.0, 28_800.0)
"""How long before its end a pod was killed."""


class Life(NamedTuple):
    """A pod, and when it lived.

    Attributes:
        start, end: seconds; end is None for what still runs.
        kills: when its first container ran out of memory, and was started again.
    """

    pod: DemoPod
    start: float
    end: float | None = None
    kills: tuple[float, ...] = ()


class Lived:
    """A life over some moments, and what its pod used by then.

    Args:
        life: whose.
        moments: seconds, in order.

    Attributes:
        first, count: the moments at which it was there.
        there: these moments.
        used: as `usage.worked`; swollen: as `usage.size`; one for each.
        ends: whether it is over before the last moment.
    """

    def __init__(self, life: Life, moments: list[float]) -> None:
        self.life, self.pod = life, life.pod
        self.first = bisect_left(moments, life.start)
        last = len(moments) if life.end is None else bisect_left(moments, life.end)
        self.there = moments[self.first : last]
        self.count = len(self.there)
        self.used = [worked(life.pod, moment) for moment in self.there]
        self.swollen = [size(life.pod, moment) for moment in self.there]
        self.ends = last < len(moments)


def lives(world: World) -> list[Life]:
    """All pods from BEGIN on, those of now included."""
    own = {pod.uid for pod in world.cluster.pods}
    found = [Life(pod, max(BEGIN, -pod.minutes * 60.0)) for pod in world.pods]
    before = [old for life in found if life.pod.uid in own for old in _before(life, world)]
    found += _killed(before)
    for vcluster in world.cluster.vclusters:
        found += _jobs(world, vcluster)
    return found


def _before(life: Life, world: World) -> Iterator[Life]:
    """Those that a pod replaced, the last one first: releases, evictions, moves to other nodes."""
    chance = random.Random(life.pod.uid)  # noqa: S311 - made-up numbers, not secrets
    pod, end = life.pod, life.start
    while end > BEGIN:
        start = max(BEGIN, end - 60.0 * chance.randrange(3 * 1440, 16 * 1440))
        pod = _replaced(pod, chance, world, start)
        yield Life(pod, start, end)
        end = start


def _replaced(pod: DemoPod, chance: random.Random, world: World, start: float) -> DemoPod:
    kind, owner = pod.owner
    name = pod.origin.name if pod.origin else pod.name
    labels = pod.labels
    if kind == "ReplicaSet":
        if chance.random() < 0.5:  # an older release
            owner = f"{owner.rpartition('-')[0]}-{_suffix(chance, 10)}"
            labels = labels | {"pod-template-hash": owner.rpartition("-")[2]}
        name = f"{owner}-{_suffix(chance, 5)}"
    elif kind == "DaemonSet":
        name = f"{owner}-{_suffix(chance, 5)}"
    origin, host = None, name
    if pod.origin:
        origin = pod.origin._replace(name=name, uid=_uid(chance))
        host = naming.host_name(name, origin.namespace, origin.vcluster)
    scale = chance.uniform(0.8, 1.2)
    containers = tuple(
        item._replace(
            millicores=max(1, round(item.millicores * scale)), mebibytes=max(1, round(item.mebibytes * scale))
        )
        for item in pod.containers
    )
    node = pod.node if kind != "ReplicaSet" else chance.choice(world.cluster.workers).name
    return msgspec.structs.replace(
        pod,
        name=host,
        uid=_uid(chance),
        node=node,
        labels=labels,
        containers=containers,
        owner=(kind, owner),
        origin=origin,
        phase=chance.uniform(0, 6.28),
        minutes=round(-start / 60),
    )


def _killed(before: list[Life]) -> list[Life]:
    """The same, but one ran out of memory a few times, until it was replaced: the last one that lived for a day."""
    fit = [life for life in before if life.pod.origin and life.end is not None and life.end - life.start > DAY]
    fit = [life for life in fit if life.end is not None and life.end < -DAY / 2 and life.pod.containers[0].limited[1]]
    if not fit:
        return before
    chosen = max(fit, key=lambda life: life.end or 0.0)
    end = chosen.end or 0.0
    return [
        life._replace(kills=tuple(sorted(end - ago for ago in _KILLS))) if life is chosen else life for life in before
    ]


def _jobs(world: World, vcluster: DemoVCluster) -> Iterator[Life]:
    """A pod for each night, in a virtual cluster that has a namespace for it."""
    inside = [pod for pod in world.pods_in(vcluster.namespace) if pod.origin and pod.origin.vcluster == vcluster.name]
    if not any(pod.origin and pod.origin.namespace == "batch" for pod in inside):
        return
    chance = random.Random(f"{vcluster.namespace}/{vcluster.name} nightly")  # noqa: S311
    for night in range(1, DAYS):
        start = -night * DAY + _NIGHT + 60.0 * chance.randrange(5)
        # Kubernetes names the jobs of a CronJob by the minute that they are due.
        owner = f"{NIGHTLY}-{29_471_040 - night * 1440}"
        name = f"{owner}-{_suffix(chance, 5)}"
        labels = {
            "app": NIGHTLY,
            "batch.kubernetes.io/job-name": owner,
            naming.MANAGED_BY: vcluster.name,
            naming.NAMESPACE: "batch",
        }
        pod = DemoPod(
            vcluster.namespace,
            naming.host_name(name, "batch", vcluster.name),
            _uid(chance),
            chance.choice(world.cluster.workers).name,
            labels,
            (_JOB,),
            ("Job", owner),
            Origin(vcluster.name, "batch", name, _uid(chance)),
            chance.uniform(0, 6.28),
            round(-start / 60),
        )
        yield Life(pod, start, start + 60.0 * chance.randrange(16, 29))


def _suffix(chance: random.Random, length: int) -> str:
    return "".join(chance.choices(SAFE, k=length))


def _uid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))
