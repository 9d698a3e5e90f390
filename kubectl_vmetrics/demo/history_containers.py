"""The history of the demo's pods and containers: series of the kubelets' cAdvisor."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from . import traffic
from .cluster import MEBI, Container, DemoPod
from .past import Lived
from .remote_write import Series

CADVISOR = {
    "job": "kubelet",
    "metrics_path": "/metrics/cadvisor",
    "endpoint": "https-metrics",
    "service": "kubelet",
}
"""Labels of a scrape of kubelets, as the Prometheus Operator gives them."""
THROTTLED = 0.12
"""The share of periods in which a container is throttled, if it uses more than it requested."""
_PAUSE = "registry.k8s.io/pause:3.10"
_PERIODS = 10.0
"""Each second: the kernel's period is 100 ms."""


class _Told:
    """What has the labels of one pod."""

    def __init__(self, lived: Lived) -> None:
        pod = lived.pod
        self._lived = lived
        self._own = {
            **CADVISOR,
            "namespace": pod.namespace,
            "pod": pod.name,
            "node": pod.node,
            "instance": f"{pod.node}:10250",
        }

    def series(self, name: str, values: Sequence[float], offset: int = 0, /, **labels: str) -> Series:
        """A series that begins so many moments after the pod."""
        lived = self._lived
        ends = lived.ends or offset + len(values) < lived.count
        return Series({"__name__": name, **self._own, **labels}, lived.first + offset, values, ends)


def series(lived: Lived) -> Iterator[Series]:
    """All of a pod: its own cgroup, the pause container with its network, and its containers."""
    pod, told = lived.pod, _Told(lived)
    total = sum(container.millicores for container in pod.containers)
    memory = [_memory(lived, index) for index in range(len(pod.containers))]
    cgroup = _cgroup(pod)
    used = [value * total / 1000 for value in lived.used]
    yield told.series("container_cpu_usage_seconds_total", used, id=cgroup, cpu="total")
    yield told.series(
        "container_memory_working_set_bytes", [sum(sizes) for sizes in zip(*memory, strict=True)], id=cgroup
    )
    pause = _labels(pod, "", _PAUSE, 0)
    moved = traffic.speeds(pod)
    for way, speed in (("receive", moved.received), ("transmit", moved.sent)):
        octets = [float(int(value * speed)) for value in lived.used]
        yield told.series(f"container_network_{way}_bytes_total", octets, interface="eth0", **pause)
    for index, container in enumerate(pod.containers):
        yield from _container(lived, told, container, memory[index], lived.life.kills if not index else ())


def _container(
    lived: Lived, told: _Told, container: Container, memory: list[float], kills: tuple[float, ...]
) -> Iterator[Series]:
    """A container; after each kill another one, whose counters begin at 0."""
    cuts = [bisect_left(lived.there, kill) for kill in kills]
    for number, (low, high) in enumerate(zip([0, *cuts], [*cuts, lived.count], strict=True)):
        if low == high:
            continue
        labels = {"container": container.name, **_labels(lived.pod, container.name, container.image, number)}
        base = lived.used[low] if number else 0.0
        used = [value - base for value in lived.used[low:high]]
        seconds = [value * container.millicores / 1000 for value in used]
        yield told.series("container_cpu_usage_seconds_total", seconds, low, cpu="total", **labels)
        yield told.series("container_memory_working_set_bytes", memory[low:high], low, **labels)
        moved = traffic.speeds(lived.pod, container.name)
        for way, speed in (("reads", moved.read), ("writes", moved.written)):
            octets = [float(int(value * speed)) for value in used]
            yield told.series(f"container_fs_{way}_bytes_total", octets, low, device="/dev/sda", **labels)
        if 0 < container.generous[0] < 1:
            periods = [float(int(value * _PERIODS)) for value in used]
            throttled = [float(int(value * THROTTLED)) for value in periods]
            yield told.series("container_cpu_cfs_periods_total", periods, low, **labels)
            yield told.series("container_cpu_cfs_throttled_periods_total", throttled, low, **labels)
            yield told.series(
                "container_cpu_cfs_throttled_seconds_total", [value * 0.05 for value in throttled], low, **labels
            )
    if kills:
        labels = {"container": container.name, **_labels(lived.pod, container.name, container.image, 0)}
        counts = [float(sum(kill <= moment for kill in kills)) for moment in lived.there]
        yield told.series("container_oom_events_total", counts, **labels)


def _memory(lived: Lived, index: int) -> list[float]:
    """Bytes of a container; of one that gets killed, more and more until it has all that it may have."""
    container = lived.pod.containers[index]
    # As `usage.memory`, in whole KiB.
    usual = [float(int(container.mebibytes * 1024 * value) * 1024) for value in lived.swollen]
    limit = container.limited[1] * MEBI
    begun = lived.life.start
    for kill in lived.life.kills if not index else ():
        for at in range(bisect_left(lived.there, max(begun, kill - 9000.0)), bisect_left(lived.there, kill)):
            left = (kill - lived.there[at]) / 9000.0
            usual[at] = max(usual[at], float(int(limit * (1 - left / 2))))
        begun = kill
    return usual


def _cgroup(pod: DemoPod) -> str:
    return f"/kubepods/burstable/pod{pod.uid}"


def _labels(pod: DemoPod, container: str, image: str, number: int) -> dict[str, str]:
    """The cgroup of a container, and of which image it is; as `kubelets` names it."""
    name = f"{pod.uid.replace('-', '')}{len(container) + 100 * number:032x}"
    return {"id": f"{_cgroup(pod)}/{name}", "image": image, "name": name}
