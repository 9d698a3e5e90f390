"""Prices, and what a bill costs by them.

Money is decimal, and rounded once: all cells of a bill together, so that rows, columns and the total agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from .bill import Row
from .quantities import UNITS, Position, Quantities, Resource, rounded

OTHERS = "default"
"""Stands for every model, class or size that has no price of its own."""

KEYS: Mapping[str, Resource] = {
    "cpuCoreHour": Resource.CPU,
    "memoryGiBHour": Resource.MEMORY,
    "gpuHour": Resource.GPU,
    "claimGiBHour": Resource.CLAIM,
    "networkOutGB": Resource.NETWORK_OUT,
    "networkInGB": Resource.NETWORK_IN,
    "controlPlaneHour": Resource.CONTROL_PLANE,
    "vmHour": Resource.VM,
}
"""Keys of the file; what each is a price for."""


class Pool(NamedTuple):
    """Nodes with prices of their own.

    Attributes:
        name: for rows and messages.
        labels: all of them, as a node must have them.
        prices: by resource.
    """

    name: str
    labels: Mapping[str, str]
    prices: Mapping[Resource, Decimal]


class Prices(NamedTuple):
    """A price list.

    Attributes:
        currency: three letters of ISO 4217.
        decimals: of amounts of money.
        prices: by resource and by model, class or size; OTHERS for all that are not named.
        pools: in the order of the file.
        provider: who runs the host, for FOCUS.
    """

    currency: str
    decimals: int
    prices: Mapping[Resource, Mapping[str, Decimal]]
    pools: tuple[Pool, ...] = ()
    provider: str = "host"

    def pool(self, labels: Mapping[str, str]) -> str:
        """The pool of a node with these labels; "" if it is in none."""
        for pool in self.pools:
            if all(labels.get(key) == value for key, value in pool.labels.items()):
                return pool.name
        return ""

    def price(self, position: Position) -> Decimal:
        """Of one unit of quantities.UNITS; 0 for what has no price."""
        if position.pool:
            for pool in self.pools:
                if pool.name == position.pool and position.resource in pool.prices:
                    return pool.prices[position.resource]
        known = self.prices.get(position.resource, {})
        return known.get(position.detail, known.get(OTHERS, Decimal(0)))

    def cost(self, amounts: Quantities) -> Fraction:
        """What amounts cost, not rounded."""
        parts = (
            Fraction(self.price(position)) * Fraction(amount, UNITS[position.resource][1])
            for position, amount in amounts.items()
        )
        return sum(parts, Fraction(0))


def priced(rows: Sequence[Row], prices: Prices) -> list[Row]:
    """The rows with their costs; all cells are rounded together, and add up to the rounded total."""
    cells: list[tuple[int, Resource | None]] = []
    exact: list[Fraction] = []
    for index, row in enumerate(rows):
        for resource in KEYS.values():
            cells.append((index, resource))
            own = {position: amount for position, amount in row.billed.items() if position.resource is resource}
            exact.append(prices.cost(own))
        cells.append((index, None))
        exact.append(prices.cost(row.shared))
    unit = 10**prices.decimals
    found: list[dict[Resource, Decimal]] = [{} for _ in rows]
    shared = [Decimal(0)] * len(rows)
    for (index, what), amount in zip(cells, rounded([part * unit for part in exact]), strict=True):
        money = Decimal(amount).scaleb(-prices.decimals)
        if what is None:
            shared[index] = money
        else:
            found[index][what] = money
    return [row._replace(costs=found[index], shared_cost=shared[index]) for index, row in enumerate(rows)]
