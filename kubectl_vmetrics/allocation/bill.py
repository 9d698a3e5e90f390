"""A bill: rows that add up to the host, what they cost, and what they rest on."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import NamedTuple

from kubectl_vmetrics.history.window import Window

from .account import NOBODY, Account, By, Owner
from .quantities import NONE, Quantities, Resource, shown, total


class Share(str, Enum):
    """How the host's own pods are split among tenants: values of --share."""

    NONE = "none"
    EVEN = "even"
    BY_USAGE = "by-usage"


class Row(NamedTuple):
    """One account and what it is billed for.

    Attributes:
        account: whose.
        owner: who pays.
        seconds: for how long anything was measured for it.
        used: what was used; CPU, memory, GPUs and network.
        requested: what was requested; CPU, memory, GPUs and claims.
        billed: what is billed: of CPU and memory the greater of both per container and step.
        shared: its part of the host's own pods, with --share.
        costs: by resource, of `billed`; None without prices.
        shared_cost: of `shared`; None without prices.
    """

    account: Account
    owner: Owner = NOBODY
    seconds: float = 0.0
    used: Quantities = NONE
    requested: Quantities = NONE
    billed: Quantities = NONE
    shared: Quantities = NONE
    costs: Mapping[Resource, Decimal] | None = None
    shared_cost: Decimal | None = None

    def hours_used(self, resource: Resource) -> float:
        """What was used, in the unit of quantities.UNITS."""
        return shown(total(self.used, resource), resource)

    def hours_requested(self, resource: Resource) -> float:
        """What was requested, in the unit of quantities.UNITS."""
        return shown(total(self.requested, resource), resource)

    def hours_billed(self, resource: Resource) -> float:
        """What is billed, with its part of what is shared, in the unit of quantities.UNITS."""
        return shown(total(self.billed, resource) + total(self.shared, resource), resource)

    @property
    def cost(self) -> Decimal | None:
        """What the row costs in all; None without prices."""
        if self.costs is None:
            return None
        return sum(self.costs.values(), self.shared_cost or Decimal(0))


class Covered(NamedTuple):
    """How much of the window one metric covers.

    Attributes:
        metric: its name: "cpu", "memory", "cpu_request".
        share: 0 to 1: the share of the window's minutes that have data.
    """

    metric: str
    share: float


class Bill(NamedTuple):
    """A bill.

    Attributes:
        window: from when to when.
        step: seconds over which what was used and requested are compared.
        by: what the rows are.
        share: how the host's own pods are split.
        rows: tenants in the order of their paths, then the host's own, idle, unmeasured and overcommitted.
        whole: the host's allocatable CPU, memory and GPUs times the window: what `billed` and `shared` of all rows
            add up to. Empty in the bill of one tenant.
        source: where the numbers come from: the name of a Prometheus, or "samples".
        names: how virtual names were found.
        coverage: by metric.
        estimated: what was estimated, and how, a sentence each.
        notes: what else the reader should know, a sentence each.
        currency: of the costs, "EUR"; "" without prices.
        provider: who runs the host, for FOCUS.
        vcluster: the path of the only tenant in the bill; "" if it is of the whole host.
    """

    window: Window
    step: float
    by: By
    share: Share
    rows: tuple[Row, ...]
    whole: Quantities
    source: str
    names: str = ""
    coverage: tuple[Covered, ...] = ()
    estimated: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    currency: str = ""
    provider: str = "host"
    vcluster: str = ""

    @property
    def cost(self) -> Decimal | None:
        """The sum of all rows; None without prices."""
        costs = [row.cost for row in self.rows if row.cost is not None]
        return sum(costs, Decimal(0)) if self.currency else None
