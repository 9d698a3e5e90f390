"""A step of time, and whose the amounts in it are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from .queries import Metric


class Container(NamedTuple):
    """Whose an amount is, by names of the host.

    Attributes:
        namespace: "" for a node.
        pod: or the claim, the node, the VirtualMachineInstance, the ResourceQuota.
        container: "" for what belongs to the pod as a whole; the resource of a quota.
    """

    namespace: str
    pod: str
    container: str = ""


class Step(NamedTuple):
    """What was used in a step.

    Attributes:
        start: seconds since the epoch.
        end: seconds since the epoch.
        amounts: integrals, or increases, as Metric says; what is not there is 0.
        present: for which share of the step there was data of a metric at all, 0 to 1.
        brief: if MEMORY is read, pods that were there for a sample or two of it only: their CPU is incomplete.
    """

    start: float
    end: float
    amounts: Mapping[Metric, Mapping[Container, float]]
    present: Mapping[Metric, float]
    brief: Collection[Container] = ()
