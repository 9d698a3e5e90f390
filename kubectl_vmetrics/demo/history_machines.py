"""The history of the demo's virtual machines and GPUs: series of virt-handlers and of NVIDIA's exporters."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from . import gpus
from .kubevirt import MINUTES, launcher, of_cluster
from .past import BEGIN
from .remote_write import Series
from .usage import worked
from .virt_handler import Ran, labels_of, samples
from .world import World

_JOB = {"job": "kubevirt-prometheus-metrics", "container": "virt-handler", "endpoint": "metrics"}


def series(world: World, moments: list[float]) -> Iterator[Series]:
    """All machines, since they run."""
    age = MINUTES * 60.0
    first = bisect_left(moments, max(-age, BEGIN))
    there = moments[first:]
    for machine in of_cluster(world.cluster):
        pod = launcher(machine)
        values: dict[tuple[str, tuple[tuple[str, str], ...]], list[float]] = {}
        for moment in there:
            for name, value, more in samples(machine, Ran(moment + age, worked(pod, moment))):
                values.setdefault((name, tuple(more.items())), []).append(value)
        own = {**_JOB, **labels_of(machine)}
        values["info", (("phase", "running"),)] = [1.0] * len(there)
        for (name, labels), listed in values.items():
            yield Series({"__name__": f"kubevirt_vmi_{name}", **own, **dict(labels)}, first, listed)


def of_gpus(world: World, moments: list[float]) -> Iterator[Series]:
    """All devices and slices of GPUs. Whose they are does not change: a StatefulSet's next pod has the same name."""
    for node in world.cluster.nodes:
        if not node.gpus:
            continue
        users = gpus.assigned(node, world.pods_on(node.name))
        own = {"job": gpus.DAEMON_SET, "instance": f"{node.address}:{gpus.PORT}", "node": node.name}
        found: dict[tuple[int, int], tuple[dict[str, str], list[float]]] = {}
        for moment in moments:
            for device, (labels, values) in enumerate(gpus.devices(node, users, moment)):
                for index, value in enumerate(values):
                    if value:
                        found.setdefault((index, device), (labels, []))[1].append(float(value))
        for (index, _), (labels, listed) in found.items():
            yield Series({"__name__": gpus.FAMILIES[index][0], **own, **labels}, 0, listed)
