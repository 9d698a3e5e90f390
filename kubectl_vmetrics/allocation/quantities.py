"""What is billed: positions, and amounts of them as integers, which add up without rounding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from fractions import Fraction
from types import MappingProxyType
from typing import NamedTuple

NANO = 10**9
_HOUR = 3600


class Resource(str, Enum):
    """What is billed. The names are those of price lists and documents."""

    CPU = "cpu"
    MEMORY = "memory"
    GPU = "gpu"
    CLAIM = "claim"
    NETWORK_OUT = "networkOut"
    NETWORK_IN = "networkIn"
    CONTROL_PLANE = "controlPlane"
    VM = "vm"


UNITS: Mapping[Resource, tuple[str, int]] = {
    Resource.CPU: ("core-hours", NANO * _HOUR),  # nanocore-seconds
    Resource.MEMORY: ("GiB-hours", 2**30 * _HOUR),  # byte-seconds
    Resource.GPU: ("GPU-hours", NANO * _HOUR),  # billionths of a GPU, times seconds
    Resource.CLAIM: ("GiB-hours", 2**30 * _HOUR),  # byte-seconds
    Resource.NETWORK_OUT: ("GB", 10**9),  # bytes
    Resource.NETWORK_IN: ("GB", 10**9),  # bytes
    Resource.CONTROL_PLANE: ("hours", NANO * _HOUR),  # nanoseconds
    Resource.VM: ("hours", NANO * _HOUR),  # nanoseconds
}
"""The unit in which each is shown and priced, and how many of the integers make one."""


class Position(NamedTuple):
    """One line of a price list.

    Attributes:
        resource: what.
        detail: the model of a GPU, the storage class of a claim, the size of a virtual machine; "" for the rest.
        pool: the pool of nodes, where the price list has several; "" otherwise.
    """

    resource: Resource
    detail: str = ""
    pool: str = ""


Quantities = Mapping[Position, int]
"""Integers in the base units of UNITS."""
NONE: Quantities = MappingProxyType({})


def total(amounts: Quantities, resource: Resource) -> int:
    """All of one resource, in base units."""
    return sum(amount for position, amount in amounts.items() if position.resource is resource)


def by_detail(amounts: Quantities, resource: Resource) -> dict[str, int]:
    """One resource by model, class or size, in base units."""
    found: dict[str, int] = {}
    for position, amount in sorted(amounts.items()):
        if position.resource is resource:
            found[position.detail] = found.get(position.detail, 0) + amount
    return found


def shown(amount: int, resource: Resource) -> float:
    """An amount in the unit of UNITS."""
    return float(Fraction(amount, UNITS[resource][1]))


def added(parts: Iterable[Quantities]) -> dict[Position, int]:
    """The sum, position by position."""
    found: dict[Position, int] = {}
    for part in parts:
        for position, amount in part.items():
            found[position] = found.get(position, 0) + amount
    return found


def apportioned(whole: int, weights: list[int]) -> list[int]:
    """Split a number by weights into integers that add up to it; evenly if all weights are zero.

    What is left after rounding down goes to the largest remainders (Hamilton's method), the first of equals first.

    >>> apportioned(100, [1, 1, 1])
    [34, 33, 33]
    """
    if not weights:
        return []
    if not any(weights):
        weights = [1] * len(weights)
    of = sum(weights)
    parts = [divmod(whole * weight, of) for weight in weights]
    left = whole - sum(part for part, _ in parts)
    order = sorted(range(len(parts)), key=lambda index: (-parts[index][1], index))
    result = [part for part, _ in parts]
    for index in order[:left]:
        result[index] += 1
    return result


def rounded(amounts: Sequence[Fraction]) -> list[int]:
    """Integers near the amounts, whose sum is that of the amounts, rounded (largest remainder)."""
    floors = [amount.__floor__() for amount in amounts]
    rest = [amount - floor for amount, floor in zip(amounts, floors, strict=True)]
    left = round(sum(amounts, Fraction(0))) - sum(floors)
    for index in sorted(range(len(amounts)), key=lambda index: (-rest[index], index))[:left]:
        floors[index] += 1
    return floors
