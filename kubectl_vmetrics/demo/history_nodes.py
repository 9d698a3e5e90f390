"""The history of the demo's nodes and volumes: series of the kubelets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .cluster import MEBI, Claim, DemoNode
from .history_containers import CADVISOR
from .history_state import NAMES, STATE
from .kubelets import VOLUMES, volume
from .objects import capacity
from .past import BEGIN, Lived
from .remote_write import Series
from .usage import daemons, size, worked
from .world import World

_KUBELET = {**CADVISOR, "metrics_path": "/metrics"}
_FULL_AT_FIRST = 0.25
"""What was on the volume that fills up, as a share of what is on it now."""


def up(world: World, count: int) -> Iterator[Series]:
    """Whether targets could be scraped: always."""
    for node in world.cluster.nodes:
        for path in ("/metrics", "/metrics/cadvisor", "/metrics/probes"):
            labels = {**CADVISOR, "metrics_path": path, "node": node.name, "instance": f"{node.name}:10250"}
            yield Series({"__name__": "up", **labels}, 0, [1.0] * count)
    for target in (STATE, NAMES):
        yield Series({"__name__": "up", **target}, 0, [1.0] * count)


class Nodes:
    """What nodes have used. What a pod used stays in its node's counter when it is gone.

    Args:
        world: whose nodes.
        moments: seconds since its start.
    """

    def __init__(self, world: World, moments: list[float]) -> None:
        self._world = world
        self._moments = moments
        self._cpu = {node.name: [0.0] * len(moments) for node in world.cluster.nodes}
        self._memory = {node.name: [0.0] * len(moments) for node in world.cluster.nodes}

    def add(self, lived: Lived) -> None:
        """Add a pod."""
        pod, life = lived.pod, lived.life
        cores = sum(container.millicores for container in pod.containers) / 1000
        octets = float(sum(container.mebibytes for container in pod.containers) * MEBI)
        cpu, memory = self._cpu[pod.node], self._memory[pod.node]
        for index, used in enumerate(lived.used, lived.first):
            cpu[index] += cores * used
        for index, swollen in enumerate(lived.swollen, lived.first):
            memory[index] += octets * swollen
        if life.end is not None:
            rest = cores * worked(pod, life.end)
            for index in range(lived.first + lived.count, len(cpu)):
                cpu[index] += rest

    def series(self) -> Iterator[Series]:
        """Of the nodes, and of all volumes."""
        for node in self._world.cluster.nodes:
            yield from self._node(node)
        fills = min((pod.claim.host_name for pod in self._world.pods if pod.claim and pod.claim.origin), default="")
        for pod in self._world.pods:
            if pod.claim:
                yield from self._volume(pod.namespace, pod.node, pod.claim, fills=pod.claim.host_name == fills)

    def _node(self, node: DemoNode) -> Iterator[Series]:
        own = daemons(node)
        cores = sum(container.millicores for container in own.containers) / 1000
        octets = float(sum(container.mebibytes for container in own.containers) * MEBI)
        labels = {**CADVISOR, "node": node.name, "instance": f"{node.name}:10250"}
        cpu = [total + cores * worked(own, at) for total, at in zip(self._cpu[node.name], self._moments, strict=True)]
        yield Series({"__name__": "container_cpu_usage_seconds_total", **labels, "id": "/", "cpu": "total"}, 0, cpu)
        memory = [
            total + octets * size(own, at) for total, at in zip(self._memory[node.name], self._moments, strict=True)
        ]
        yield Series({"__name__": "container_memory_working_set_bytes", **labels, "id": "/"}, 0, memory)
        running = [float(len(self._world.pods_on(node.name)))] * len(self._moments)
        yield Series({"__name__": "kubelet_running_pods", **labels, "metrics_path": "/metrics"}, 0, running)
        cpus, kibibytes = capacity(node)
        for name, value in (("machine_cpu_cores", float(cpus)), ("machine_memory_bytes", float(kibibytes * 1024))):
            yield Series({"__name__": name, **labels}, 0, [value] * len(self._moments))

    def _volume(self, namespace: str, node: str, claim: Claim, *, fills: bool) -> Iterator[Series]:
        labels = {
            **_KUBELET,
            "namespace": namespace,
            "persistentvolumeclaim": claim.host_name,
            "node": node,
            "instance": f"{node}:10250",
        }
        now = volume(claim)
        shares: Sequence[float] = [1.0] * len(self._moments)
        if fills:
            shares = [min(1.0, 1 - (1 - _FULL_AT_FIRST) * at / BEGIN) for at in self._moments]
        for family, figure, _ in VOLUMES:
            values: Sequence[float]
            if figure == "usedBytes":
                values = [float(int(now[figure] * share)) for share in shares]
            elif figure == "availableBytes":
                values = [float(now["capacityBytes"] - int(now["usedBytes"] * share)) for share in shares]
            else:
                values = [float(now[figure])] * len(shares)
            yield Series({"__name__": f"kubelet_volume_stats_{family}", **labels}, 0, values)
