"""Adds up steps of time into accounts, in integers, and balances them with what the host had.

Of each container and step, the greater of what it used and what it requested is billed (OpenCost's rule,
github.com/opencost/opencost/blob/develop/spec/opencost-specv01.md). What the host had is split without a remainder:

    allocatable x time = billed + idle + unmeasured + overcommitted

Idle is never negative: where more was billed than there was, because one container used more than it requested while
the requests of others filled the host, the difference is `overcommitted`, below zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from kubectl_vmetrics.history.steps import Container, Metric, Step

from .account import Account, Kind
from .balance import Balance
from .quantities import NANO, Position, Resource

_MANY = 200_000
"""Containers whose account is remembered between steps: some 60 MB; more are looked up again. So many pods are checked
for usage, too."""


class Directory(Protocol):
    """Says who is who on the host; every name is the host's."""

    def account(self, container: Container) -> Account:
        """The workload, virtual machine or control plane of a container."""

    def claimant(self, claim: Container) -> Account:
        """The account to which a volume claim (namespace, claim, "") is billed."""

    def place(self, container: Container) -> tuple[str, str]:
        """The pool of a container's node, and the model of that node's GPUs; "" where unknown."""

    def node(self, name: str) -> tuple[str, str]:
        """The pool of a node, and the model of its GPUs."""

    def storage_class(self, claim: Container) -> str:
        """The storage class of a claim; "" if unknown."""

    def size(self, machine: Account) -> str:
        """The size of a virtual machine's guest: "2 CPUs, 4Gi"; "" if unknown."""


class Compared(NamedTuple):
    """A resource of which the greater of use and request is billed.

    Attributes:
        used, requested, allocatable: where each is found.
        scale: base units of quantities.UNITS in one unit of history.
    """

    resource: Resource
    used: Metric
    requested: Metric
    allocatable: Metric
    scale: int


COMPARED = (
    Compared(Resource.CPU, Metric.CPU, Metric.CPU_REQUEST, Metric.NODE_CPU_ALLOCATABLE, NANO),
    Compared(Resource.MEMORY, Metric.MEMORY, Metric.MEMORY_REQUEST, Metric.NODE_MEMORY_ALLOCATABLE, 1),
    Compared(Resource.GPU, Metric.GPU, Metric.GPU_REQUEST, Metric.NODE_GPU_ALLOCATABLE, NANO),
)
_NETWORK = ((Resource.NETWORK_OUT, Metric.NETWORK_TRANSMIT), (Resource.NETWORK_IN, Metric.NETWORK_RECEIVE))
METRICS = (
    *(metric for item in COMPARED for metric in (item.used, item.requested, item.allocatable)),
    *(metric for _, metric in _NETWORK),
    Metric.VOLUME_USED,
    Metric.VOLUME_REQUEST,
    Metric.RUNNING,
)
"""What a bill reads from history."""


class Line:
    """What one of the smallest accounts has so far.

    Attributes:
        used, requested, billed: in base units.
        seen: the steps in which it had anything, a bit for each.
    """

    __slots__ = ("billed", "last", "requested", "seen", "used")

    def __init__(self) -> None:
        self.used: dict[Position, int] = {}
        self.requested: dict[Position, int] = {}
        self.billed: dict[Position, int] = {}
        self.seen = 0
        self.last = -1


class Ledger:
    """Call `add` with each step, in order, then read the attributes.

    Its size depends on the number of accounts, not on that of steps.

    Attributes:
        lines: by account, the smallest ones.
        balance: what the host had.
        covered: seconds with data, by metric.
        lengths: seconds of each step.
        dropped: values that were no amounts: negative, infinite or NaN.
        silent: pods, by namespace and name, that ran and have no usage.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._known: dict[tuple[Resource, Container], tuple[Account, Line, Position]] = {}
        self._ran: dict[Account, float] = {}
        self.lines: dict[Account, Line] = {}
        self.balance = Balance(directory.node)
        self.covered: dict[Metric, float] = dict.fromkeys(METRICS, 0.0)
        self.lengths: list[float] = []
        self.dropped = 0
        self.silent: set[tuple[str, str]] = set()
        self._heard: set[tuple[str, str]] = set()

    def add(self, step: Step) -> None:
        """Add a step."""
        self.lengths.append(step.end - step.start)
        for metric in METRICS:
            self.covered[metric] += min(1.0, step.present.get(metric, 0.0)) * (step.end - step.start)
        for item in COMPARED:
            billed = self._compare(item, step)
            nodes = {
                node.pod: self._whole(amount, item.scale)
                for node, amount in step.amounts.get(item.allocatable, {}).items()
            }
            known = step.present.get(item.allocatable, 0.0)
            measured = max(step.present.get(item.used, 0.0), step.present.get(item.requested, 0.0))
            self.balance.add(item.resource, step.end - step.start, nodes, known, billed, measured)
        for resource, metric in _NETWORK:
            for pod, amount in step.amounts.get(metric, {}).items():
                self._plain(resource, pod, self._whole(amount, 1), step)
        self._claims(step)
        self._times()
        self._listen(step)

    def seconds(self, lines: Iterable[Line]) -> float:
        """Of the steps in which at least one of the lines had anything."""
        seen = 0
        for line in lines:
            seen |= line.seen
        return sum(length for index, length in enumerate(self.lengths) if seen >> index & 1)

    def _listen(self, step: Step) -> None:
        """Notice pods without usage: they end before they are measured for the first time."""
        if len(self._heard) >= _MANY:
            return
        # A pod that waits has memory, and no CPU time at all.
        for metric in (Metric.CPU, Metric.MEMORY):
            self._heard.update((container.namespace, container.pod) for container in step.amounts.get(metric, ()))
        if step.present.get(Metric.MEMORY, 0.0) > 0:
            self.silent.update((pod.namespace, pod.pod) for pod in step.amounts.get(Metric.RUNNING, ()))
        self.silent -= self._heard

    def _compare(self, item: Compared, step: Step) -> dict[Position, int]:
        """Bill the greater of both for each container; returns what was billed by position."""
        used, requested = step.amounts.get(item.used, {}), step.amounts.get(item.requested, {})
        found: dict[Position, int] = {}
        nothing: Mapping[Container, float] = {}
        for first, second in ((used, requested), (requested, nothing)):
            for container, amount in first.items():
                if second is nothing and container in used:
                    continue  # seen in the first round
                one, other = self._whole(amount, item.scale), self._whole(second.get(container, 0.0), item.scale)
                if not one and not other:
                    continue
                line, position = self._entry(item.resource, container, step)
                use, request = (one, other) if first is used else (other, one)
                if use:
                    line.used[position] = line.used.get(position, 0) + use
                if request:
                    line.requested[position] = line.requested.get(position, 0) + request
                most = max(use, request)
                line.billed[position] = line.billed.get(position, 0) + most
                found[position] = found.get(position, 0) + most
        return found

    def _plain(self, resource: Resource, container: Container, amount: int, step: Step) -> None:
        if amount:
            line, position = self._entry(resource, container, step)
            line.used[position] = line.used.get(position, 0) + amount
            line.billed[position] = line.billed.get(position, 0) + amount

    def _claims(self, step: Step) -> None:
        for metric in (Metric.VOLUME_USED, Metric.VOLUME_REQUEST):
            for claim, value in step.amounts.get(metric, {}).items():
                if amount := self._whole(value, 1):
                    line, position = self._entry(Resource.CLAIM, claim, step)
                    if metric is Metric.VOLUME_USED:
                        line.used[position] = line.used.get(position, 0) + amount
                    else:
                        line.requested[position] = line.requested.get(position, 0) + amount
                        line.billed[position] = line.billed.get(position, 0) + amount

    def _entry(self, resource: Resource, container: Container, step: Step) -> tuple[Line, Position]:
        found = self._known.get((resource, container))
        if found is None:
            found = self._looked_up(resource, container)
        account, line, position = found
        if line.last != (now := len(self.lengths) - 1):
            line.last = now
            line.seen |= 1 << now
        if account.kind in (Kind.VM, Kind.CONTROL_PLANE) and resource in (Resource.CPU, Resource.MEMORY):
            pod, length = Container(container.namespace, container.pod, ""), self.lengths[now]
            ran = step.amounts.get(Metric.RUNNING, {}).get(pod, length)
            self._ran[account] = max(self._ran.get(account, 0.0), min(ran, length))
        return line, position

    def _times(self) -> None:
        """Bill the time of virtual machines and control planes: of the longest pod, however many there are."""
        for account, seconds in self._ran.items():
            machine = account.kind is Kind.VM
            detail = self._directory.size(account) if machine else ""
            position = Position(Resource.VM if machine else Resource.CONTROL_PLANE, detail)
            line = self.lines[account]
            for amounts in (line.used, line.billed):
                amounts[position] = amounts.get(position, 0) + self._whole(seconds, NANO)
        self._ran.clear()

    def _looked_up(self, resource: Resource, container: Container) -> tuple[Account, Line, Position]:
        if len(self._known) >= _MANY:
            self._known.clear()
        if resource is Resource.CLAIM:
            account = self._directory.claimant(container)
            position = Position(resource, self._directory.storage_class(container))
        else:
            account = self._directory.account(container)
            pool, model = self._directory.place(container)
            detail = model if resource is Resource.GPU else ""
            position = Position(resource, detail, pool if resource in (Resource.CPU, Resource.MEMORY) else "")
        line = self.lines.setdefault(account, Line())
        found = account, line, position
        self._known[resource, container] = found
        return found

    def _whole(self, amount: float, scale: int) -> int:
        """Floats become integers here and nowhere else."""
        if 0 <= amount < math.inf:
            return round(amount * scale)
        self.dropped += 1
        return 0
