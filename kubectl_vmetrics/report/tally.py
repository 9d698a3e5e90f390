"""What a window of steps adds up to, kept small: a number per step and tenant, and a few per pod, claim and machine."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from kubectl_vmetrics.history import statistics
from kubectl_vmetrics.history.names import Identity, Names
from kubectl_vmetrics.history.queries import Metric
from kubectl_vmetrics.history.statistics import Statistics
from kubectl_vmetrics.history.steps import Step
from kubectl_vmetrics.vcluster.identity import VClusterRef

from .growth import Growth

SERIES = (
    *(Metric.CPU, Metric.MEMORY, Metric.CPU_REQUEST, Metric.MEMORY_REQUEST),
    *(Metric.PERIODS, Metric.THROTTLED, Metric.OOM_KILLS, Metric.RESTARTS),
)
"""What is kept per step and tenant."""
WHOLE = (Metric.NODE_CPU_ALLOCATABLE, Metric.NODE_MEMORY_ALLOCATABLE)
"""What is kept per step of the host."""
VOLUMES = (Metric.VOLUME_USED, Metric.VOLUME_CAPACITY, Metric.VOLUME_REQUEST)
MACHINES = (Metric.VM_CPU, Metric.VM_MEMORY, Metric.VM_RUNNING)
_LAUNCHER = re.compile(r"virt-launcher-(.+)-[a-z0-9]{5}")
QUOTAS = (Metric.QUOTA_USED, Metric.QUOTA_HARD)
METRICS = (*SERIES, *WHOLE, *VOLUMES, *MACHINES, *QUOTAS)
"""What a report is made of, beside the bill."""


UNNAMED = "(unnamed)"
"""Pods and namespaces of a virtual cluster whose virtual names are not known, all together."""


class Group(NamedTuple):
    """A row of the report: a virtual cluster, one of its namespaces, or the host's own pods (all empty).

    Attributes:
        vcluster: None for the host's own.
        namespace: the virtual namespace, in a report of one virtual cluster; "" otherwise.
    """

    vcluster: VClusterRef | None
    namespace: str = ""


class Pod(NamedTuple):
    """A pod by the names that its row belongs to."""

    group: Group
    namespace: str
    name: str


class Machine:
    """A virtual machine: unit-seconds over the window, and the largest means of a step.

    `seen` are the seconds of steps in which it used CPU, for sources that do not say when it was running.
    """

    __slots__ = ("cpu", "cpu_peak", "memory", "memory_peak", "running", "seen")

    def __init__(self) -> None:
        self.cpu = self.cpu_peak = self.memory = self.memory_peak = self.running = self.seen = 0.0


class Claim:
    """A volume: how it grows, and its last size in bytes."""

    __slots__ = ("capacity", "growth", "request")

    def __init__(self, origin: float) -> None:
        self.growth = Growth(origin)
        self.capacity: float | None = None
        self.request: float | None = None


class Tally:
    """Adds up steps.

    Args:
        names: whose pods and claims are.
        tenant: the only virtual cluster of the report; nothing of others is kept. None for the whole host.
        machine: whose a virtual machine is, by host namespace and name.

    Attributes:
        starts: of each step, seconds since the epoch.
        lengths: of each step, seconds.
        pods: CPU in core-seconds and memory in byte-seconds, used and requested (four numbers), by pod.
        claims: by identity, and host namespace and name for those without one.
        machines: likewise.
        planes: CPU and memory of virtual clusters' own control planes, as `pods`.
        quotas: the last means of used and hard, by host namespace, and by quota and resource.
    """

    def __init__(
        self,
        names: Names,
        tenant: VClusterRef | None = None,
        machine: Callable[[str, str], Identity] | None = None,
    ) -> None:
        self._names = names
        self._tenant = tenant
        self._machine = machine
        self._known: dict[tuple[str, str], tuple[Group | None, array[float] | None]] = {}
        self._series: dict[Metric, dict[Group, array[float]]] = {metric: {} for metric in SERIES}
        self._whole: dict[Metric, array[float]] = {metric: array("d") for metric in WHOLE}
        self._present: dict[Metric, array[float]] = {metric: array("d") for metric in METRICS}
        self.starts = array("d")
        self.lengths = array("d")
        self.nodes: set[str] = set()
        self.pods: dict[Pod, array[float]] = {}
        self.planes: dict[VClusterRef, array[float]] = {}
        self.claims: dict[tuple[Identity, str, str], Claim] = {}
        self.machines: dict[tuple[Identity, str, str], Machine] = {}
        self.quotas: dict[str, dict[tuple[str, str], list[float]]] = {}

    def add(self, step: Step) -> None:
        """Add one step, in order of time."""
        index = len(self.starts)
        self.starts.append(step.start)
        self.lengths.append(step.end - step.start)
        for metric in METRICS:
            self._present[metric].append(step.present.get(metric, 0.0))
        for number, metric in enumerate(SERIES):
            self._add_series(index, metric, step, number if number < 4 else None)
        for metric in WHOLE:
            amounts = step.amounts.get(metric, {})
            self._whole[metric].append(sum(amounts.values()))
            if self._tenant is None:
                self.nodes.update(node for _, node, _ in amounts)
        self._add_claims(step)
        self._add_machines(step)
        self._add_quotas(step)

    @property
    def known(self) -> list[VClusterRef]:
        """All virtual clusters of the host, whichever the report is about."""
        return self._names.known

    def groups(self) -> list[Group]:
        """All rows that used or requested anything, and virtual clusters that are known; in order of their paths."""
        found = {group for series in self._series.values() for group in series}
        if self._tenant is None:
            found |= {Group(ref) for ref in self._names.known}
        return sorted(found, key=lambda group: (group.vcluster is None, group.vcluster and group.vcluster.path, group))

    def means(self, group: Group, metric: Metric) -> list[float | None]:
        """What a row used in each step on average: cores, bytes; of counters, the increase. None without data."""
        found = self._series[metric].get(group, array("d"))
        present = self._present[metric]
        padded = [*found, *([0.0] * (len(self.starts) - len(found)))]
        if metric.increase:
            return [value if there else None for value, there in zip(padded, present, strict=True)]
        return [
            value / length if there else None
            for value, there, length in zip(padded, present, self.lengths, strict=True)
        ]

    def statistics(self, values: Sequence[float | None], first: int = 0) -> Statistics:
        """Of means of steps, as `history` computes them.

        Args:
            values: of as many steps as there are, or of some.
            first: the step of the first value.
        """
        lengths = self.lengths[first : first + len(values)]
        return statistics.of([math.nan if value is None else value for value in values], lengths)

    def total(self, group: Group, metric: Metric) -> float:
        """The sum of a row over all steps: unit-seconds; of counters, the increase."""
        return sum(self._series[metric].get(group, ()))

    def whole(self, metric: Metric) -> list[float | None]:
        """What the host had in each step: cores, bytes."""
        return [
            value / length if there else None
            for value, there, length in zip(self._whole[metric], self._present[metric], self.lengths, strict=True)
        ]

    def covered(self, metric: Metric) -> float:
        """0 to 1: the share of the time that has data."""
        seconds = sum(self.lengths)
        there = sum(share * length for share, length in zip(self._present[metric], self.lengths, strict=True))
        return min(there / seconds, 1.0) if seconds else 0.0

    def _whose(self, namespace: str, name: str) -> Pod | VClusterRef | None:
        """The row and the names of a pod, or whose control plane it is; None if it is none of this report's."""
        plane = self._names.is_control_plane(namespace, name)
        if plane is not None:
            return plane if self._tenant in (None, plane) else None
        found: Pod | None = None
        identity = self._names.of(namespace, name)
        if identity.name is None and self._machine and (launcher := _LAUNCHER.fullmatch(name)):
            # KubeVirt made this pod; the machine in it is what a virtual cluster synced.
            virtual = self._machine(namespace, launcher[1])
            if virtual.vcluster is not None and identity.vcluster in (None, virtual.vcluster):
                identity = virtual
        if self._tenant is None and identity.vcluster is None:
            found = Pod(Group(None), namespace, name)
        elif self._tenant in (None, identity.vcluster):
            # A pod of a tenant whose virtual name is not known has none in this report: its host name is not public.
            namespace = identity.namespace or UNNAMED
            group = Group(identity.vcluster, namespace if self._tenant else "")
            found = Pod(group, namespace, identity.name or UNNAMED)
        return found

    def _add_series(self, index: int, metric: Metric, step: Step, column: int | None) -> None:
        sums: dict[Group, float] = {}
        known = self._known
        for (namespace, name, _), amount in step.amounts.get(metric, {}).items():
            key = namespace, name
            found = known.get(key)
            if found is None:
                found = known[key] = self._numbers(namespace, name)
            group, numbers = found
            if numbers is None:
                continue
            if group is not None:
                sums[group] = sums.get(group, 0.0) + amount
            if column is not None:
                numbers[column] += amount
        series = self._series[metric]
        for group, amount in sums.items():
            values = series.setdefault(group, array("d"))
            values.extend([0.0] * (index - len(values)))
            values.append(amount)

    def _numbers(self, namespace: str, name: str) -> tuple[Group | None, array[float] | None]:
        """The row of a pod, None for control planes; and where its amounts are added up, None for nowhere."""
        whose = self._whose(namespace, name)
        if whose is None:
            return None, None
        if isinstance(whose, Pod):
            return whose.group, self.pods.setdefault(whose, array("d", bytes(32)))
        return None, self.planes.setdefault(whose, array("d", bytes(32)))

    def _add_claims(self, step: Step) -> None:
        seconds = step.end - step.start
        for metric in VOLUMES:
            for (namespace, name, _), amount in step.amounts.get(metric, {}).items():
                identity = self._names.of_claim(namespace, name)
                if self._tenant is not None and identity.vcluster != self._tenant:
                    continue
                claim = self.claims.setdefault((identity, namespace, name), Claim(step.start))
                mean = amount / seconds
                if metric is Metric.VOLUME_USED:
                    claim.growth.add(step.end, mean)
                elif metric is Metric.VOLUME_CAPACITY:
                    claim.capacity = mean
                else:
                    claim.request = mean

    def _add_machines(self, step: Step) -> None:
        seconds = step.end - step.start
        for metric in MACHINES:
            for (namespace, name, _), amount in step.amounts.get(metric, {}).items():
                identity = self._machine(namespace, name) if self._machine else Identity(None, None, None)
                if self._tenant is not None and identity.vcluster != self._tenant:
                    continue
                machine = self.machines.setdefault((identity, namespace, name), Machine())
                if metric is Metric.VM_CPU:
                    machine.seen += seconds
                    machine.cpu += amount
                    machine.cpu_peak = max(machine.cpu_peak, amount / seconds)
                elif metric is Metric.VM_MEMORY:
                    machine.memory += amount
                    machine.memory_peak = max(machine.memory_peak, amount / seconds)
                else:
                    machine.running += amount

    def _add_quotas(self, step: Step) -> None:
        seconds = step.end - step.start
        own = self._tenant.host_namespace if self._tenant else None
        for number, metric in enumerate(QUOTAS):
            for (namespace, quota, resource), amount in step.amounts.get(metric, {}).items():
                if own in (None, namespace):
                    found = self.quotas.setdefault(namespace, {}).setdefault((quota, resource), [0.0, 0.0])
                    found[number] = amount / seconds


def there(values: Iterable[float | None]) -> list[float]:
    """The values that are known."""
    return [value for value in values if value is not None]
