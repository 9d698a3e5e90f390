"""What the host had, and what nobody was billed for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from .quantities import NANO, Position, Resource

_COMPLETE = 0.999
"""A share of a step from which on it counts as complete: the first and last sample are rarely on its edges."""


class _Open(NamedTuple):
    """A step before allocatable was known for the first time."""

    seconds: float
    billed: Mapping[Position, int]
    measured: float


class Balance:
    """Splits allocatable of each step into billed, idle, unmeasured and overcommitted.

    Args:
        node: the pool of a node, and the model of its GPUs.

    Attributes:
        whole: allocatable times time, in base units; empty for what is not known at all.
        idle: allocated to nobody.
        unmeasured: not billed, while nothing was measured.
        overcommitted: billed beyond `whole`; never positive.
        estimated: seconds by resource for which allocatable was not measured but carried over.
    """

    def __init__(self, node: Callable[[str], tuple[str, str]]) -> None:
        self._node = node
        self._last: dict[Resource, dict[Position, float]] = {}
        self._open: dict[Resource, list[_Open]] = {}
        self.whole: dict[Position, int] = {}
        self.idle: dict[Position, int] = {}
        self.unmeasured: dict[Position, int] = {}
        self.overcommitted: dict[Position, int] = {}
        self.estimated: dict[Resource, float] = {}

    def add(
        self,
        resource: Resource,
        seconds: float,
        nodes: Mapping[str, int],
        known: float,
        billed: Mapping[Position, int],
        measured: float,
    ) -> None:
        """Add one resource of a step.

        Args:
            resource: which one.
            seconds: the length of the step.
            nodes: allocatable times time of each node, in base units.
            known: 0 to 1: the share of the step for which allocatable was measured; without any node although it was,
                the host has nothing of this resource.
            billed: of this resource, by position.
            measured: 0 to 1: the share of the step for which use or requests were measured.
        """
        if seconds <= 0:
            return
        if known > 0 and (nodes or not billed):
            whole: dict[Position, int] = {}
            for name, amount in nodes.items():
                position = self._position(resource, name)
                whole[position] = whole.get(position, 0) + amount
            if known < _COMPLETE:  # history lets gauges stay as they were
                self._estimate(resource, seconds * (1 - known))
            self._last[resource] = {position: amount / seconds for position, amount in whole.items()}
            for before in self._open.pop(resource, []):
                self._carry(resource, before)
            self._split(whole, billed, measured)
        elif resource in self._last:
            self._carry(resource, _Open(seconds, billed, measured))
        else:
            self._open.setdefault(resource, []).append(_Open(seconds, billed, measured))

    def _carry(self, resource: Resource, step: _Open) -> None:
        """A step without allocatable has that of the nearest one that has it."""
        self._estimate(resource, step.seconds)
        whole = {position: round(rate * step.seconds) for position, rate in self._last[resource].items()}
        self._split(whole, step.billed, step.measured)

    def _split(self, whole: Mapping[Position, int], billed: Mapping[Position, int], measured: float) -> None:
        for position in whole.keys() | billed.keys():
            has, taken = whole.get(position, 0), billed.get(position, 0)
            self._add(self.whole, position, has)
            if taken > has:
                self._add(self.overcommitted, position, has - taken)
                continue
            left = has - taken
            blind = 0 if measured >= _COMPLETE else left - left * round(measured * NANO) // NANO
            self._add(self.unmeasured, position, blind)
            self._add(self.idle, position, left - blind)

    @staticmethod
    def _add(amounts: dict[Position, int], position: Position, amount: int) -> None:
        if amount:
            amounts[position] = amounts.get(position, 0) + amount

    def _position(self, resource: Resource, node: str) -> Position:
        pool, model = self._node(node)
        return Position(resource, model) if resource is Resource.GPU else Position(resource, "", pool)

    def _estimate(self, resource: Resource, seconds: float) -> None:
        self.estimated[resource] = self.estimated.get(resource, 0.0) + seconds
