"""From a ledger to the rows of a bill: grouped, with the host's own pods split among tenants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .account import Account, By, Grouping, Kind, Owner
from .bill import Row, Share
from .ledger import Ledger, Line
from .quantities import Position, Quantities, added, apportioned, total

_LAST = (Kind.SHARED, Kind.IDLE, Kind.UNMEASURED, Kind.OVERCOMMITTED)


def rows(ledger: Ledger, by: By, share: Share, owners: Mapping[str, Owner]) -> list[Row]:
    """All rows of a bill; what they are billed for, and what is shared, adds up to the whole of the ledger's balance.

    Args:
        ledger: with all steps.
        by: what the rows are.
        share: how the host's own pods are split.
        owners: by host namespace, where there is a label.
    """
    lines, balance = ledger.lines, ledger.balance
    tenants = frozenset(account.namespace for account in lines if account.kind is Kind.VM and not account.vcluster)
    grouping = Grouping(by, owners, tenants)
    payers = Grouping(By.OWNER if by is By.OWNER else By.VCLUSTER, owners, tenants)
    groups: dict[Account, list[Line]] = {}
    payer: dict[Account, Account] = {}
    known: dict[Account, Owner] = {}
    for account, line in lines.items():
        row = grouping.of(account)
        groups.setdefault(row, []).append(line)
        payer.setdefault(row, payers.of(account))
        known.setdefault(row, grouping.owner(account) if row.tenant else Owner())
    found = [
        Row(
            account,
            known[account],
            ledger.seconds(group),
            added(line.used for line in group),
            added(line.requested for line in group),
            added(line.billed for line in group),
        )
        for account, group in groups.items()
    ]
    found.sort(key=_order)
    if share is not Share.NONE:
        found = _shared(found, payer, share)
    for kind, amounts in (
        (Kind.IDLE, balance.idle),
        (Kind.UNMEASURED, balance.unmeasured),
        (Kind.OVERCOMMITTED, balance.overcommitted),
    ):
        if amounts:
            found.append(Row(Account(kind), seconds=sum(ledger.lengths), billed=amounts))
    return found


def _order(row: Row) -> tuple[object, ...]:
    account = row.account
    last = _LAST.index(account.kind) + 1 if account.kind in _LAST else 0
    vcluster = account.vcluster.path if account.vcluster else ""
    return last, not vcluster, vcluster, account.kind is not Kind.CONTROL_PLANE, account.path


def _shared(found: Sequence[Row], payer: Mapping[Account, Account], share: Share) -> list[Row]:
    """Give the host's own to tenants: to each payer its part, and of that to each of its rows by what it is billed."""
    tenants = [row for row in found if row.account.tenant]
    if not tenants:
        return list(found)
    whole = added(row.billed for row in found if not row.account.tenant)
    parts: dict[Account, dict[Position, int]] = {row.account: {} for row in tenants}
    groups: dict[Account, list[Row]] = {}
    for row in tenants:
        groups.setdefault(payer[row.account], []).append(row)
    for position, amount in sorted(whole.items()):
        weights = [_weight(group, position, share) for group in groups.values()]
        for group, part in zip(groups.values(), apportioned(amount, weights), strict=True):
            inside = [total(row.billed, position.resource) for row in group]
            for row, own in zip(group, apportioned(part, inside), strict=True):
                if own:
                    parts[row.account][position] = own
    nothing: Quantities = {}
    return [
        row._replace(shared=parts[row.account]) if row.account.tenant else row._replace(billed=nothing) for row in found
    ]


def _weight(group: Sequence[Row], position: Position, share: Share) -> int:
    return 1 if share is Share.EVEN else sum(total(row.billed, position.resource) for row in group)
