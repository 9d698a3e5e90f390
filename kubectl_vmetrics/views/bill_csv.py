"""A bill for spreadsheets: the columns of OpenCost's CSV export, and ours.

github.com/opencost/opencost/blob/develop/pkg/costmodel/csv_export.go
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

from kubectl_vmetrics.allocation.bill import Bill, Row
from kubectl_vmetrics.allocation.quantities import (
    UNITS,
    Quantities,
    Resource,
    added,
    rounded,
    shown,
    total,
)
from kubectl_vmetrics.output.formats import View
from kubectl_vmetrics.output.table import Row as Cells

from .bill import object_names
from .cells import moment

COVERED = (
    *("CPUCoreHoursUsed", "CPUCoreHoursRequested", "CPUCoreHours"),
    *("RAMGiBHoursUsed", "RAMGiBHoursRequested", "RAMGiBHours"),
)
OPENCOST = (
    *("Date", "Namespace", "ControllerKind", "ControllerName", "Pod", "Container"),
    *("CPUCoreUsageAverage", "CPUCoreRequestAverage", "RAMBytesUsageAverage", "RAMBytesRequestAverage"),
    *("NetworkReceiveBytes", "NetworkTransferBytes", "GPUs", "PVBytes"),
    *("CPUCost", "RAMCost", "NetworkCost", "PVCost", "GPUCost", "TotalCost"),
)
"""OpenCost's, in its order; ours follow."""
OURS = (
    *("Kind", "VCluster", "Owner", "Project", "WindowStart", "WindowEnd", "Minutes", *COVERED),
    *("GPUHours", "PVGiBHours", "ControlPlaneHours", "VMHours"),
    *("SharedCost", "ControlPlaneCost", "VMCost", "Currency", "CPUCoverage", "RAMCoverage", "Source"),
)
PLACES = 6


def view(bill: Bill) -> View:
    """A row for each account. Costs are empty without prices."""
    columns = {
        (name, resource): rounded([_exact(amounts(row), resource) for row in bill.rows])
        for name, amounts in _AMOUNTS.items()
        for resource in (Resource.CPU, Resource.MEMORY)
    }
    coverage = {item.metric: item.share for item in bill.coverage}
    rows: list[Cells] = []
    for index, row in enumerate(bill.rows):
        hours = [
            str(Decimal(columns[name, resource][index]).scaleb(-PLACES))
            for resource in (Resource.CPU, Resource.MEMORY)
            for name in _AMOUNTS
        ]
        rows.append(_opencost(row, bill, hours, coverage))
    return View([*OPENCOST, *OURS], rows, dict, lambda: object_names(bill))


def _billed(row: Row) -> Quantities:
    return added((row.billed, row.shared))


_AMOUNTS = {"used": lambda row: row.used, "requested": lambda row: row.requested, "billed": _billed}


def _exact(amounts: Quantities, resource: Resource) -> Fraction:
    return Fraction(total(amounts, resource) * 10**PLACES, UNITS[resource][1])


def _opencost(row: Row, bill: Bill, hours: list[str], coverage: dict[str, float]) -> Cells:
    account, length, billed = row.account, row.seconds / 3600, _billed(row)
    costs: dict[Any, Decimal] = dict(row.costs) if row.costs is not None else {}

    def mean(amounts: Quantities, resource: Resource, scale: int = 1) -> str:
        return number(shown(total(amounts, resource), resource) * scale / length if length else 0.0)

    def money(*resources: Resource) -> str:
        return str(sum((costs[resource] for resource in resources), Decimal(0))) if costs else ""

    tenant = account.tenant
    return [
        moment(bill.window.start)[:10],
        account.namespace if tenant or account.namespace else f"__{account.kind.value}__",
        account.controller.lower(),
        account.name,
        "",
        "",
        mean(row.used, Resource.CPU),
        mean(row.requested, Resource.CPU),
        mean(row.used, Resource.MEMORY, 2**30),
        mean(row.requested, Resource.MEMORY, 2**30),
        str(total(billed, Resource.NETWORK_IN)),
        str(total(billed, Resource.NETWORK_OUT)),
        mean(billed, Resource.GPU),
        mean(billed, Resource.CLAIM, 2**30),
        money(Resource.CPU),
        money(Resource.MEMORY),
        money(Resource.NETWORK_IN, Resource.NETWORK_OUT),
        money(Resource.CLAIM),
        money(Resource.GPU),
        "" if row.cost is None else str(row.cost),
        account.kind.value,
        account.vcluster.path if account.vcluster else "",
        row.owner.name,
        row.owner.project,
        moment(bill.window.start),
        moment(bill.window.end),
        number(row.seconds / 60),
        *hours,
        *(
            number(shown(total(billed, resource), resource))
            for resource in (Resource.GPU, Resource.CLAIM, Resource.CONTROL_PLANE, Resource.VM)
        ),
        "" if row.shared_cost is None else str(row.shared_cost),
        money(Resource.CONTROL_PLANE),
        money(Resource.VM),
        bill.currency,
        *(number(coverage[key]) if key in coverage else "" for key in ("cpu", "memory")),
        bill.source,
    ]


def number(value: float) -> str:
    """A number without an exponent: a spreadsheet must not take it for text."""
    return f"{value:.{PLACES}f}".rstrip("0").rstrip(".") or "0"
