"""The bill, as it is: rows that add up to the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from kubectl_vmetrics.allocation.account import Kind
from kubectl_vmetrics.allocation.bill import Bill, Row
from kubectl_vmetrics.allocation.quantities import UNITS, Resource, shown, total

from ..given import Given, Made, leading
from ..numbers import NONE, decimal
from ..page import FREE, HOST, OTHERS, Block, Cell, Column, Items, Number, Part, Section, Table, Text, Whole

WORDS = {
    Kind.SHARED: "Shared: the host's own pods",
    Kind.IDLE: "Idle",
    Kind.UNMEASURED: "Not measured",
    Kind.OVERCOMMITTED: "Overcommitted",
}
_MORE = {
    Resource.GPU: "GPUs",
    Resource.CLAIM: "Volume claims",
    Resource.NETWORK_OUT: "Network sent",
    Resource.NETWORK_IN: "Network received",
    Resource.CONTROL_PLANE: "Control planes",
    Resource.VM: "Virtual machines",
}


def make(given: Given) -> Made | None:
    """The section; None without a bill."""
    bill = given.bill
    if bill is None:
        return None
    about = (
        "CPU and memory are billed by the greater of what was used and what was requested, for each container and "
        "step. Volume claims are billed by their requested size."
    )
    if bill.whole:
        about += (
            " The rows add up to what the host had to allocate in the period: idle is what nobody was billed for, and "
            "overcommitted takes back what was billed beyond it."
        )
    blocks: list[Block] = [
        *(whole(given, bill, resource) for resource in (Resource.CPU, Resource.MEMORY) if bill.whole),
        _main(given, bill),
    ]
    more = [
        resource
        for resource in _MORE
        if any(row.hours_billed(resource) or row.hours_used(resource) for row in bill.rows)
    ]
    if more:
        blocks.append(_more(given, bill, more))
    notes = [
        *(Text(f"Estimated: {note}.") for note in bill.estimated),
        *(Text(f"Note: {note}.") for note in bill.notes),
    ]
    return Made(Section("bill", "Bill", about, [*blocks, *([Items(notes)] if notes else [])]))


def name(given: Given, row: Row) -> Text:
    """What a row of the bill is called."""
    account = row.account
    if account.kind in WORDS:
        return Text(WORDS[account.kind])
    owner = " / ".join(part for part in (row.owner.name, row.owner.project) if part) if not given.labels.public else ""
    if account.kind is Kind.VCLUSTER and account.vcluster:
        label = given.labels.vcluster(account.vcluster)
        return label._replace(below="; ".join(part for part in (label.below, owner) if part))
    if account.kind is Kind.CONTROL_PLANE and account.vcluster:
        return Text(f"Control plane of {given.labels.name(account.vcluster)}", below=owner)
    inside = "/".join(part for part in (account.namespace, account.name) if part)
    if account.vcluster:
        return Text(inside, below="" if given.tenant else given.labels.name(account.vcluster))
    if given.labels.public:
        return Text("On the host")
    what = "control plane" if account.kind is Kind.CONTROL_PLANE else "host namespace"
    return Text(inside or account.path, below="; ".join(part for part in (what, owner) if part))


def whole(given: Given, bill: Bill, resource: Resource) -> Whole:
    """One bar: the largest rows, the rest of the tenants, and the host's own lines."""
    colours = {group.vcluster: colour for group, colour in leading(given).items()}
    found = {row.account.vcluster: row for row in bill.rows if row.account.kind is Kind.VCLUSTER}
    first = {ref: found[ref] for ref in colours if ref in found}
    rest = [row for row in bill.rows if row.account.tenant and row not in first.values()]
    parts = [
        Part(given.labels.name(ref), row.hours_billed(resource), "", colours[ref]) for ref, row in first.items() if ref
    ]
    if rest:
        parts.append(Part(f"{len(rest)} others", sum(row.hours_billed(resource) for row in rest), "", OTHERS))
    parts += [
        Part(WORDS[kind], row.hours_billed(resource), "", HOST if kind is Kind.SHARED else FREE)
        for row in bill.rows
        if (kind := row.account.kind) in WORDS
    ]
    unit = UNITS[resource][0]
    said = [
        part._replace(value=max(part.value, 0.0), text=f"{decimal(part.value)} {unit}") for part in parts if part.value
    ]
    amount = decimal(shown(total(bill.whole, resource), resource))
    return Whole(f"{'CPU' if resource is Resource.CPU else 'Memory'}: {amount} {unit}", said)


def _main(given: Given, bill: Bill) -> Table:
    columns = [Column(given.noun.capitalize())]
    for title, unit in (("CPU", "core-hours"), ("Memory", "GiB-hours")):
        columns += [Column(f"{title} {kind}, {unit}", numeric=True) for kind in ("used", "requested", "billed")]

    def numbers(rows: Sequence[Row]) -> list[Cell]:
        return [
            _number(sum(map(take, rows)))
            for resource in (Resource.CPU, Resource.MEMORY)
            for take in (_used(resource), _requested(resource), _billed(resource))
        ]

    return _table("Bill: CPU and memory", given, bill, columns, numbers)


def _more(given: Given, bill: Bill, resources: Sequence[Resource]) -> Table:
    columns = [Column(given.noun.capitalize())]
    columns += [Column(f"{_MORE[resource]}, {UNITS[resource][0]}", numeric=True) for resource in resources]

    def numbers(rows: Sequence[Row]) -> list[Cell]:
        return [_number(sum(map(_billed(resource), rows))) for resource in resources]

    return _table("Bill: everything else", given, bill, columns, numbers, cost=False)


def _table(
    caption: str,
    given: Given,
    bill: Bill,
    columns: list[Column],
    numbers: Callable[[Sequence[Row]], list[Cell]],
    *,
    cost: bool = True,
) -> Table:
    """Tenants can be sorted; the host's own lines and the sum stay below them."""

    def cells(label: Text, rows: Sequence[Row]) -> list[Cell]:
        costs = [row.cost for row in rows if row.cost is not None]
        money: list[Cell] = [_money(sum(costs, Decimal(0)) if costs else None)] if priced else []
        return [label, *numbers(rows), *money]

    priced = cost and bool(bill.currency)
    columns = [*columns, *([Column(f"Cost, {bill.currency}", numeric=True)] if priced else [])]
    tenants = [cells(name(given, row), [row]) for row in bill.rows if row.account.tenant]
    others = [cells(name(given, row), [row]) for row in bill.rows if not row.account.tenant]
    others = [row for row in others if any(isinstance(cell, Number) and cell.value for cell in row)]
    return Table(caption, columns, tenants, [*others, cells(Text("Total"), bill.rows)])


def _used(resource: Resource) -> Callable[[Row], float]:
    return lambda row: row.hours_used(resource)


def _requested(resource: Resource) -> Callable[[Row], float]:
    return lambda row: row.hours_requested(resource)


def _billed(resource: Resource) -> Callable[[Row], float]:
    return lambda row: row.hours_billed(resource)


def _number(value: float) -> Number:
    return Number(value, decimal(value) if value else NONE)


def _money(cost: Decimal | None) -> Number:
    return Number(None, NONE) if cost is None else Number(float(cost), f"{cost:,.2f}")
