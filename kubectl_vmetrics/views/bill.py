"""The table and the document of `bill`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from kubectl_vmetrics.allocation.account import By, Kind
from kubectl_vmetrics.allocation.bill import Bill, Row
from kubectl_vmetrics.allocation.quantities import UNITS, Quantities, Resource, added, by_detail, rounded, shown, total
from kubectl_vmetrics.output.formats import View
from kubectl_vmetrics.output.table import Row as Cells
from kubectl_vmetrics.output.units import NONE

from .cells import moment
from .pods import RULE, vcluster_object

KIND = "Bill"
VERSION = "vmetrics/v1"
_DECIMALS = ((100, 3), (10_000, 2))
"""Decimals of a column of amounts, by its sum; one for larger ones."""


class _Column(NamedTuple):
    """A column of amounts, which add up as they are printed.

    Attributes:
        kept: whether it is shown although all of it is zero.
        wide: whether it is shown with -o wide only.
    """

    header: str
    resource: Resource
    amounts: Callable[[Row], Quantities]
    kept: bool = False
    wide: bool = False


def _used(row: Row) -> Quantities:
    return row.used


def _requested(row: Row) -> Quantities:
    return row.requested


def _billed(row: Row) -> Quantities:
    return added((row.billed, row.shared))


_COLUMNS = (
    _Column("CPU-USED", Resource.CPU, _used, kept=True),
    _Column("CPU-REQ", Resource.CPU, _requested, kept=True),
    _Column("CPU(core-h)", Resource.CPU, _billed, kept=True),
    _Column("MEM-USED", Resource.MEMORY, _used, kept=True),
    _Column("MEM-REQ", Resource.MEMORY, _requested, kept=True),
    _Column("MEMORY(GiB-h)", Resource.MEMORY, _billed, kept=True),
    _Column("GPU(h)", Resource.GPU, _billed),
    _Column("VOL(GiB-h)", Resource.CLAIM, _billed),
    _Column("SENT(GB)", Resource.NETWORK_OUT, _billed, wide=True),
    _Column("RECEIVED(GB)", Resource.NETWORK_IN, _billed, wide=True),
    _Column("CP(h)", Resource.CONTROL_PLANE, _billed, wide=True),
    _Column("VM(h)", Resource.VM, _billed, wide=True),
)
_SPARE = ("PROJECT", "OWNER")
PLANE = "<control plane>"
_NAMES: dict[By, tuple[str, ...]] = {
    By.VCLUSTER: ("NAME",),
    By.NAMESPACE: ("VCLUSTER", "NAMESPACE"),
    By.WORKLOAD: ("VCLUSTER", "NAMESPACE", "KIND", "NAME"),
    By.VM: ("VCLUSTER", "NAMESPACE", "VM"),
    By.OWNER: ("OWNER",),
}


def view(bill: Bill, *, wide: bool = True) -> View:
    """A row for each account, and the sums; with all columns that have anything, or the more important ones."""
    rows = bill.rows
    owners = bill.by is not By.OWNER and any(row.owner.name for row in rows)
    projects = bill.by is not By.OWNER and any(row.owner.project for row in rows)
    names = _NAMES[bill.by]
    columns = [item for item in _COLUMNS if wide or not item.wide or (item.resource, bill.by) == (Resource.VM, By.VM)]
    columns = [item for item in columns if item.kept or any(total(item.amounts(row), item.resource) for row in rows)]
    headers = [*names, *(["OWNER"] if owners else []), *(["PROJECT"] if projects else [])]
    lead = len(headers)
    headers += [item.header for item in columns]
    amounts = [_cells([total(item.amounts(row), item.resource) for row in rows], item.resource) for item in columns]
    if bill.currency:
        headers.append(f"COST({bill.currency})")
        costs = [row.cost for row in rows if row.cost is not None]
        amounts.append([*map(str, costs), str(bill.cost)])
    cells: list[Cells] = []
    for index, row in enumerate(rows):
        who = [row.owner.name or NONE] if owners else []
        who += [row.owner.project or NONE] if projects else []
        cells.append([*_name(row, bill.by), *who, *(column[index] for column in amounts)])
    sums = [*[""] * lead, *(column[-1] for column in amounts)]
    footer: list[Cells] = [[RULE if cell else "" for cell in sums], sums] if rows else []
    return View(headers, cells, lambda: document(bill), lambda: object_names(bill), footer, lambda: cells, _SPARE)


def _cells(amounts: Sequence[int], resource: Resource) -> list[str]:
    """A column and its sum: rounded together, so that what is printed adds up."""
    whole = shown(sum(amounts), resource)
    decimals = next((decimals for below, decimals in _DECIMALS if whole < below), 1)
    found = rounded([Fraction(amount * 10**decimals, UNITS[resource][1]) for amount in amounts])
    return [str(Decimal(part).scaleb(-decimals)) for part in (*found, sum(found))]


def _name(row: Row, by: By) -> list[str]:
    account = row.account
    count = len(_NAMES[by])
    if not account.tenant:
        inside = [account.namespace, account.controller, account.name] if account.namespace else []
        return [f"<{account.kind.value}>", *(part or NONE for part in (*inside, "", "", "")[: count - 1])]
    vcluster = account.vcluster.path if account.vcluster else NONE
    if by is By.OWNER:
        return [account.name or NONE]
    if by is By.VCLUSTER:
        return [account.path]
    if account.kind is Kind.CONTROL_PLANE:
        where = account.namespace or NONE
        return {
            By.NAMESPACE: [vcluster, PLANE if account.vcluster else f"{account.namespace}/{account.name}"],
            By.WORKLOAD: [vcluster, where, PLANE, account.name],
        }.get(by, [vcluster, where, account.name])
    parts = {"NAMESPACE": account.namespace, "KIND": account.controller, "NAME": account.name, "VM": account.name}
    return [vcluster, *(parts[header] or NONE for header in _NAMES[by][1:])]


def object_names(bill: Bill) -> list[str]:
    """TYPE/NAME of each account of a tenant."""
    return [f"{row.account.kind.value}/{row.account.path}" for row in bill.rows if row.account.tenant]


def said(bill: Bill) -> list[str]:
    """What a bill rests on, in lines below a table."""
    lines = [
        f"Window: {period(bill)}, compared every {_length(bill.step)}",
        f"Source: {bill.source}" + (f"; names: {bill.names}" if bill.names else ""),
    ]
    if bill.coverage:
        lines.append("Coverage: " + ", ".join(f"{item.metric} {_percent(item.share)}" for item in bill.coverage))
    lines += [f"Estimated: {text}" for text in bill.estimated]
    return [*lines, *(f"Note: {text}" for text in bill.notes)]


def period(bill: Bill) -> str:
    """From when to when."""
    return f"{moment(bill.window.start)} to {moment(bill.window.end)}"


def _length(seconds: float) -> str:
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:g}s"


def _percent(share: float) -> str:
    """Cut off: only what is complete is 100%."""
    return f"{int(share * 1000) / 10:g}%"


def document(bill: Bill) -> dict[str, Any]:
    """The bill as an object; `data` has the shape of OpenCost's /allocation."""
    found: dict[str, Any] = {"kind": KIND, "apiVersion": VERSION, "metadata": {}, "window": _window(bill)}
    found |= {"stepSeconds": bill.step, "by": bill.by.value, "share": bill.share.value}
    if bill.vcluster:
        found["vcluster"] = bill.vcluster
    found |= {
        "source": bill.source,
        "names": bill.names,
        "coverage": {item.metric: round(item.share, 4) for item in bill.coverage},
        "estimated": list(bill.estimated),
        "notes": list(bill.notes),
    }
    if bill.currency:
        found |= {"currency": bill.currency, "totalCost": float(bill.cost or 0)}
    if bill.whole:
        found["whole"] = _hours(bill.whole, _WHOLE)
    return {**found, "data": [{row.account.path: allocation(row, bill) for row in bill.rows}]}


_WHOLE = {
    Resource.CPU: ("cpuCoreHours", 1),
    Resource.MEMORY: ("ramByteHours", 2**30),
    Resource.GPU: ("gpuHours", 1),
}
_ALL = {
    **_WHOLE,
    Resource.CLAIM: ("pvByteHours", 2**30),
    Resource.NETWORK_OUT: ("networkTransferBytes", 10**9),
    Resource.NETWORK_IN: ("networkReceiveBytes", 10**9),
    Resource.CONTROL_PLANE: ("controlPlaneHours", 1),
    Resource.VM: ("vmHours", 1),
}


def _hours(amounts: Quantities, names: dict[Resource, tuple[str, int]]) -> dict[str, float]:
    return {name: shown(total(amounts, resource), resource) * scale for resource, (name, scale) in names.items()}


def _window(bill: Bill) -> dict[str, str]:
    return {"start": moment(bill.window.start), "end": moment(bill.window.end)}


def allocation(row: Row, bill: Bill) -> dict[str, Any]:
    """One row with the fields of OpenCost's AllocationJSON, and ours beside them.

    github.com/opencost/opencost/blob/develop/core/pkg/opencost/allocation_json.go
    """
    account, hours = row.account, row.seconds / 3600
    properties: dict[str, Any] = {"kind": account.kind.value}
    properties |= {
        key: value
        for key, value in (
            ("namespace", account.namespace),
            ("controllerKind", account.controller),
            ("controller", account.name),
            ("owner", row.owner.name),
            ("project", row.owner.project),
        )
        if value
    }
    if account.vcluster:
        properties["vcluster"] = vcluster_object(account.vcluster)
    billed = added((row.billed, row.shared))
    used, asked, own = (_hours(amounts, _ALL) for amounts in (row.used, row.requested, billed))

    def mean(amount: float) -> float:
        return amount / hours if hours else 0.0

    found: dict[str, Any] = {
        "name": account.path,
        "properties": properties,
        "window": _window(bill),
        **_window(bill),
        "minutes": row.seconds / 60,
        "cpuCores": mean(own["cpuCoreHours"]),
        "cpuCoreRequestAverage": mean(asked["cpuCoreHours"]),
        "cpuCoreUsageAverage": mean(used["cpuCoreHours"]),
        "cpuCoreHours": own["cpuCoreHours"],
        "cpuCoreHoursRequested": asked["cpuCoreHours"],
        "cpuCoreHoursUsed": used["cpuCoreHours"],
        "cpuEfficiency": _efficiency(used["cpuCoreHours"], asked["cpuCoreHours"]),
        "ramBytes": mean(own["ramByteHours"]),
        "ramByteRequestAverage": mean(asked["ramByteHours"]),
        "ramByteUsageAverage": mean(used["ramByteHours"]),
        "ramByteHours": own["ramByteHours"],
        "ramByteHoursRequested": asked["ramByteHours"],
        "ramByteHoursUsed": used["ramByteHours"],
        "ramEfficiency": _efficiency(used["ramByteHours"], asked["ramByteHours"]),
        "gpuCount": mean(own["gpuHours"]),
        "gpuHours": own["gpuHours"],
        "gpuHoursByModel": _details(billed, Resource.GPU, 1),
        "pvBytes": mean(own["pvByteHours"]),
        "pvByteHours": own["pvByteHours"],
        "pvByteHoursByStorageClass": _details(billed, Resource.CLAIM, 2**30),
        "networkTransferBytes": own["networkTransferBytes"],
        "networkReceiveBytes": own["networkReceiveBytes"],
        "controlPlaneHours": own["controlPlaneHours"],
        "vmHours": own["vmHours"],
        "vmHoursBySize": _details(billed, Resource.VM, 1),
    }
    if row.shared:
        found["shared"] = {name: value for name, value in _hours(row.shared, _ALL).items() if value}
    return found | _costs(row)


def _details(amounts: Quantities, resource: Resource, scale: int) -> dict[str, float]:
    return {
        detail or "unknown": shown(amount, resource) * scale for detail, amount in by_detail(amounts, resource).items()
    }


def _efficiency(used: float, requested: float) -> float:
    """What was used of a request; 1 for use without a request, as OpenCost counts it."""
    return used / requested if requested else float(used > 0)


def _costs(row: Row) -> dict[str, float]:
    if row.costs is None:
        return {}
    network = row.costs[Resource.NETWORK_OUT] + row.costs[Resource.NETWORK_IN]
    return {
        "cpuCost": float(row.costs[Resource.CPU]),
        "ramCost": float(row.costs[Resource.MEMORY]),
        "gpuCost": float(row.costs[Resource.GPU]),
        "pvCost": float(row.costs[Resource.CLAIM]),
        "networkCost": float(network),
        "controlPlaneCost": float(row.costs[Resource.CONTROL_PLANE]),
        "vmCost": float(row.costs[Resource.VM]),
        "sharedCost": float(row.shared_cost or 0),
        "totalCost": float(row.cost or 0),
    }
