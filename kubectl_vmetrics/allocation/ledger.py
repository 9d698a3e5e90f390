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
_USED, _REQUESTED, _BILLED = range(3)
"""Places in a cell."""


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
        exclusive: whether a request takes all of a device, so that use never adds to the bill. Use of GPUs is known
            by pod, and of slices (MIG) as well, which are no GPUs.
    """

    resource: Resource
    used: Metric
    requested: Metric
    allocatable: Metric
    scale: int
    exclusive: bool = False


COMPARED = (
    Compared(Resource.CPU, Metric.CPU, Metric.CPU_REQUEST, Metric.NODE_CPU_ALLOCATABLE, NANO),
    Compared(Resource.MEMORY, Metric.MEMORY, Metric.MEMORY_REQUEST, Metric.NODE_MEMORY_ALLOCATABLE, 1),
    Compared(Resource.GPU, Metric.GPU, Metric.GPU_REQUEST, Metric.NODE_GPU_ALLOCATABLE, NANO, exclusive=True),
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
        cells: by position, what was used, requested and billed, in base units.
        seen: the steps in which it had anything, a bit for each.
    """

    __slots__ = ("cells", "last", "seen")

    def __init__(self) -> None:
        self.cells: dict[Position, list[int]] = {}
        self.seen = 0
        self.last = -1

    @property
    def used(self) -> dict[Position, int]:
        """What was used, in base units."""
        return self._of(_USED)

    @property
    def requested(self) -> dict[Position, int]:
        """What was requested, in base units."""
        return self._of(_REQUESTED)

    @property
    def billed(self) -> dict[Position, int]:
        """What is billed, in base units."""
        return self._of(_BILLED)

    def _of(self, place: int) -> dict[Position, int]:
        return {position: cell[place] for position, cell in self.cells.items() if cell[place]}


class _Entry:
    """Where the amounts of one container and resource go.

    Attributes:
        account: whose it is, if its time is billed as well; None otherwise.
        cell: of the line and the position.
        whole: of the position, what all containers are billed for in this step.
        heard: whether it has used anything.
    """

    __slots__ = ("account", "cell", "heard", "line", "whole")

    def __init__(self, account: Account | None, line: Line, cell: list[int], whole: list[int]) -> None:
        self.account = account
        self.line = line
        self.cell = cell
        self.whole = whole
        self.heard = False


class Ledger:
    """Call `add` with each step, in order, then read the attributes.

    Its size depends on the number of accounts, not on that of steps.

    Attributes:
        lines: by account, the smallest ones.
        balance: what the host had.
        covered: seconds with data, by metric.
        lengths: seconds of each step.
        dropped: values that were no amounts: negative, infinite or NaN.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._known: dict[Resource, dict[Container, _Entry]] = {resource: {} for resource in Resource}
        self._wholes: dict[Resource, dict[Position, list[int]]] = {resource: {} for resource in Resource}
        self._running: Mapping[Container, float] = {}
        self._ran: dict[Account, float] = {}
        self._pods: set[Container] = set()
        self._heard: set[Container] = set()
        self.lines: dict[Account, Line] = {}
        self.balance = Balance(directory.node)
        self.covered: dict[Metric, float] = dict.fromkeys(METRICS, 0.0)
        self.lengths: list[float] = []
        self.dropped = 0

    @property
    def silent(self) -> int:
        """How many pods ran and have no usage: they ended before they were measured for the first time."""
        return len(self._pods - self._heard) if max(len(self._pods), len(self._heard)) < _MANY else 0

    def add(self, step: Step) -> None:
        """Add a step."""
        seconds = step.end - step.start
        self.lengths.append(seconds)
        self._running = step.amounts.get(Metric.RUNNING, {})
        for metric in METRICS:
            self.covered[metric] += min(1.0, step.present.get(metric, 0.0)) * seconds
        for item in COMPARED:
            used, requested = step.amounts.get(item.used, {}), step.amounts.get(item.requested, {})
            if item.exclusive:
                self._plain(item.resource, used, (_USED,), item.scale)
                used = {}
            self._compare(item.resource, item.scale, used, requested)
            allocatable = step.amounts.get(item.allocatable, {})
            nodes = {node.pod: self._whole(amount, item.scale) for node, amount in allocatable.items()}
            known = step.present.get(item.allocatable, 0.0)
            measured = max(step.present.get(item.used, 0.0), step.present.get(item.requested, 0.0))
            self.balance.add(item.resource, seconds, nodes, known, self._taken(item.resource), measured)
        for resource, metric in _NETWORK:
            self._plain(resource, step.amounts.get(metric, {}), (_USED, _BILLED))
        self._plain(Resource.CLAIM, step.amounts.get(Metric.VOLUME_USED, {}), (_USED,))
        self._plain(Resource.CLAIM, step.amounts.get(Metric.VOLUME_REQUEST, {}), (_REQUESTED, _BILLED))
        self._times()
        if len(self._pods) < _MANY and step.present.get(Metric.MEMORY, 0.0) > 0:
            self._pods.update(self._running)

    def seconds(self, lines: Iterable[Line]) -> float:
        """Of the steps in which at least one of the lines had anything."""
        seen = 0
        for line in lines:
            seen |= line.seen
        return sum(length for index, length in enumerate(self.lengths) if seen >> index & 1)

    def _compare(
        self, resource: Resource, scale: int, used: Mapping[Container, float], requested: Mapping[Container, float]
    ) -> None:
        """Bill the greater of both for each container: the loop that every pod and step goes through."""
        known, now = self._known[resource], len(self.lengths) - 1
        for container, amount in used.items():
            use = round(amount * scale) if 0 <= amount < math.inf else self._whole(amount, scale)
            asked = requested.get(container)
            request = 0 if asked is None else self._whole(asked, scale)
            if not use and not request:
                continue
            entry = known.get(container) or self._looked_up(resource, container)
            if not entry.heard:
                entry.heard = True
                self._heard.add(Container(container.namespace, container.pod))
            cell, most = entry.cell, use if use > request else request
            cell[_USED] += use
            cell[_REQUESTED] += request
            cell[_BILLED] += most
            entry.whole[0] += most
            if entry.line.last != now:
                self._see(entry.line)
            if entry.account is not None:
                self._run(entry.account, container)
        for container, amount in requested.items():
            if container not in used and (request := self._whole(amount, scale)):
                entry = known.get(container) or self._looked_up(resource, container)
                entry.cell[_REQUESTED] += request
                entry.cell[_BILLED] += request
                entry.whole[0] += request
                self._see(entry.line)
                if entry.account is not None:
                    self._run(entry.account, container)

    def _taken(self, resource: Resource) -> dict[Position, int]:
        """What all containers are billed for in this step; ready for the next one."""
        found = {}
        for position, whole in self._wholes[resource].items():
            if whole[0]:
                found[position] = whole[0]
                whole[0] = 0
        return found

    def _plain(
        self, resource: Resource, amounts: Mapping[Container, float], places: tuple[int, ...], scale: int = 1
    ) -> None:
        known = self._known[resource]
        for container, value in amounts.items():
            if amount := self._whole(value, scale):
                entry = known.get(container) or self._looked_up(resource, container)
                for place in places:
                    entry.cell[place] += amount
                self._see(entry.line)

    def _see(self, line: Line) -> None:
        now = len(self.lengths) - 1
        if line.last != now:
            line.last = now
            line.seen |= 1 << now

    def _run(self, account: Account, container: Container) -> None:
        """Note how long a pod of a virtual machine or control plane ran in this step."""
        length = self.lengths[-1]
        ran = self._running.get(Container(container.namespace, container.pod), length)
        self._ran[account] = max(self._ran.get(account, 0.0), min(ran, length))

    def _times(self) -> None:
        """Bill the time of virtual machines and control planes: of the longest pod, however many there are."""
        for account, seconds in self._ran.items():
            machine = account.kind is Kind.VM
            detail = self._directory.size(account) if machine else ""
            position = Position(Resource.VM if machine else Resource.CONTROL_PLANE, detail)
            cell = self.lines[account].cells.setdefault(position, [0, 0, 0])
            amount = self._whole(seconds, NANO)
            cell[_USED] += amount
            cell[_BILLED] += amount
        self._ran.clear()

    def _looked_up(self, resource: Resource, container: Container) -> _Entry:
        known = self._known[resource]
        if len(known) >= _MANY:
            known.clear()
        if resource is Resource.CLAIM:
            account = self._directory.claimant(container)
            position = Position(resource, self._directory.storage_class(container))
        else:
            account = self._directory.account(container)
            pool, model = self._directory.place(container)
            detail = model if resource is Resource.GPU else ""
            position = Position(resource, detail, pool if resource in (Resource.CPU, Resource.MEMORY) else "")
        line = self.lines.setdefault(account, Line())
        cell = line.cells.setdefault(position, [0, 0, 0])
        whole = self._wholes[resource].setdefault(position, [0])
        timed = account.kind in (Kind.VM, Kind.CONTROL_PLANE) and resource in (Resource.CPU, Resource.MEMORY)
        found = known[container] = _Entry(account if timed else None, line, cell, whole)
        return found

    def _whole(self, amount: float, scale: int) -> int:
        """Floats become integers here, and in `_compare` by the same rule."""
        if 0 <= amount < math.inf:
            return round(amount * scale)
        self.dropped += 1
        return 0
