"""The rows of a bill add up to the host, to the last digit, whatever happens on it."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubectl_vmetrics.allocation.account import By, Kind, Owner
from kubectl_vmetrics.allocation.bill import Share
from kubectl_vmetrics.allocation.ledger import COMPARED, Ledger
from kubectl_vmetrics.allocation.prices import Pool, Prices, priced
from kubectl_vmetrics.allocation.quantities import Resource, added, apportioned, total
from kubectl_vmetrics.allocation.sharing import rows
from kubectl_vmetrics.history.steps import Metric

from .made_up import Directory, Host, hosts, steps

OWNERS = {"owned": Owner("ann", "portal"), "team-a": Owner("", "web-shop")}
BALANCED = (Resource.CPU, Resource.MEMORY, Resource.GPU)
PRICES = Prices(
    "EUR",
    2,
    {
        Resource.CPU: {"default": Decimal("0.0316")},
        Resource.MEMORY: {"default": Decimal("0.0042")},
        Resource.GPU: {"default": Decimal("1.2"), "A100": Decimal("3.1")},
        Resource.CONTROL_PLANE: {"default": Decimal("0.05")},
        Resource.VM: {"default": Decimal("0.01")},
    },
    (Pool("spot", {"life": "spot"}, {Resource.CPU: Decimal("0.0105")}),),
)


def kept(host: Host, length: int) -> Ledger:
    ledger = Ledger(Directory(host))
    for step in steps(host, length):
        ledger.add(step)
    return ledger


@given(hosts(), st.integers(1, 5), st.sampled_from(By), st.sampled_from(Share))
@settings(max_examples=300, deadline=None)
def test_rows_add_up_to_the_host(host: Host, length: int, by: By, share: Share) -> None:
    ledger = kept(host, length)
    found = rows(ledger, by, share, OWNERS)
    whole = ledger.balance.whole
    sums = added(part for row in found for part in (row.billed, row.shared))
    for resource in BALANCED:
        if total(whole, resource):
            assert total(sums, resource) == total(whole, resource)
    for row in found:
        amounts = [*row.billed.values(), *row.shared.values(), *row.used.values(), *row.requested.values()]
        assert all(amount <= 0 if row.account.kind is Kind.OVERCOMMITTED else amount >= 0 for amount in amounts)
    accounts = [row.account for row in found]
    assert len(set(accounts)) == len(accounts)
    if share is not Share.NONE and any(row.account.tenant for row in found):
        assert not any(row.billed for row in found if row.account.kind is Kind.SHARED)


@given(hosts(), st.integers(1, 5), st.sampled_from(By), st.sampled_from(Share))
@settings(max_examples=200, deadline=None)
def test_each_second_of_a_container_is_billed_once(host: Host, length: int, by: By, share: Share) -> None:
    ledger = kept(host, length)
    found = rows(ledger, by, share, OWNERS)
    billed = added(part for row in found if row.account.kind not in _HOST for part in (row.billed, row.shared))
    for item in COMPARED:
        expected = 0
        for step in steps(host, length):
            used, requested = step.amounts.get(item.used, {}), step.amounts.get(item.requested, {})
            for container in {*used, *requested}:
                expected += max(round(of.get(container, 0) * item.scale) for of in (used, requested))
        assert total(billed, item.resource) == expected


_HOST = (Kind.IDLE, Kind.UNMEASURED, Kind.OVERCOMMITTED)


@given(hosts(), st.integers(1, 5))
@settings(max_examples=200, deadline=None)
def test_what_the_host_had(host: Host, length: int) -> None:
    """Without gaps, allocatable times time is what the nodes had while they were there."""
    host = host._replace(blind=frozenset(), unknown=frozenset())
    ledger = kept(host, length)
    minutes = sum(len(there) for there in host.nodes.values())
    assert total(ledger.balance.whole, Resource.CPU) == minutes * 4 * 60 * 10**9
    assert total(ledger.balance.whole, Resource.MEMORY) == minutes * 8 * 2**30 * 60
    assert not ledger.balance.unmeasured
    assert not ledger.balance.estimated


@given(hosts(), st.integers(1, 5), st.sampled_from(By), st.sampled_from(Share))
@settings(max_examples=200, deadline=None)
def test_costs_add_up(host: Host, length: int, by: By, share: Share) -> None:
    """The sum of all cells is the exact total, rounded; no cell is a cent or more from its exact amount."""
    ledger = kept(host, length)
    found = priced(rows(ledger, by, share, OWNERS), PRICES)
    exact = sum((PRICES.cost(row.billed) + PRICES.cost(row.shared) for row in found), Fraction(0))
    costs = [row.cost for row in found]
    assert sum(cost for cost in costs if cost is not None) == Decimal(round(exact * 100)) / 100
    for row in found:
        assert row.costs is not None
        for resource, cost in row.costs.items():
            own = {position: amount for position, amount in row.billed.items() if position.resource is resource}
            assert abs(Fraction(cost) - PRICES.cost(own)) < Fraction(1, 100)


@given(st.integers(-(10**20), 10**20), st.lists(st.integers(0, 10**18), min_size=1, max_size=20))
def test_apportioned(whole: int, weights: list[int]) -> None:
    parts = apportioned(whole, weights)
    assert sum(parts) == whole
    fair = [
        Fraction(whole * weight, sum(weights)) if any(weights) else Fraction(whole, len(weights)) for weight in weights
    ]
    assert all(abs(part - exact) < 1 for part, exact in zip(parts, fair, strict=True))


def test_a_burst_beside_requests_is_overcommitted_and_idle_is_zero() -> None:
    from kubectl_vmetrics.history.steps import Container, Step

    from .made_up import MINUTE

    web, db, node = (
        Container("ns-web-0", "web-0", "main"),
        Container("ns-db-0", "db-0", "main"),
        Container("", "node-1", ""),
    )
    amounts = {
        Metric.CPU: {web: 3 * MINUTE, db: 0.5 * MINUTE},
        Metric.CPU_REQUEST: {web: 1 * MINUTE, db: 3 * MINUTE},
        Metric.NODE_CPU_ALLOCATABLE: {node: 4 * MINUTE},
    }
    host = Host(1, [], {"node-1": range(1)}, frozenset(), frozenset())
    directory = Directory(host)
    directory._node.update({"web-0": "node-1", "db-0": "node-1"})
    ledger = Ledger(directory)
    ledger.add(Step(0, MINUTE, amounts, dict.fromkeys(amounts, 1.0)))
    found = rows(ledger, By.NAMESPACE, Share.NONE, {})
    core_minute = 60 * 10**9
    assert [(row.account.path, total(row.billed, Resource.CPU) / core_minute) for row in found] == [
        ("team-a/shop/data", 3.0),
        ("team-a/shop/default", 3.0),
        ("overcommitted", -2.0),
    ]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_what_is_no_amount_is_counted_and_not_billed(value: float) -> None:
    from kubectl_vmetrics.history.steps import Container, Step

    ledger = Ledger(Directory(Host(1, [], {}, frozenset(), frozenset())))
    ledger.add(Step(0, 60, {Metric.CPU: {Container("ns", "web-0", "main"): value}}, {Metric.CPU: 1.0}))
    assert (ledger.lines, ledger.dropped) == ({}, 1)


def test_time_without_data_is_neither_idle_nor_billed() -> None:
    """Two hours of which the second has no data, and the first has them for three quarters."""
    from kubectl_vmetrics.history.steps import Container, Step

    web, node = Container("ns-web-0", "web-0", "main"), Container("", "node-1", "")
    directory = Directory(Host(1, [], {}, frozenset(), frozenset()))
    directory._node["web-0"] = "node-1"
    ledger = Ledger(directory)
    hour = {Metric.CPU: {web: 1 * 3600.0}, Metric.NODE_CPU_ALLOCATABLE: {node: 4 * 3600.0}}
    ledger.add(Step(0, 3600, hour, {Metric.CPU: 0.75, Metric.NODE_CPU_ALLOCATABLE: 0.75}))
    ledger.add(Step(3600, 7200, {}, {}))

    found = rows(ledger, By.VCLUSTER, Share.NONE, {})

    core_hour = 3600 * 10**9
    assert [(row.account.path, total(row.billed, Resource.CPU) / core_hour) for row in found] == [
        ("team-a/shop", 1.0),
        ("idle", 2.25),
        ("unmeasured", 0.75 + 4),
    ]
    assert ledger.balance.estimated == {Resource.CPU: 900 + 3600}


def test_a_gpu_is_billed_as_requested_however_busy_it_is() -> None:
    """Requests are by container and use is by pod, also use of slices that nobody requested as a GPU."""
    from kubectl_vmetrics.history.steps import Container, Step

    web, slices, node = Container("ns-web-0", "web-0"), Container("ns-db-0", "db-0"), Container("", "node-1")
    directory = Directory(Host(1, [], {}, frozenset(), frozenset()))
    directory._node.update({"web-0": "node-1", "db-0": "node-1"})
    ledger = Ledger(directory)
    amounts = {
        Metric.GPU: {web: 0.9 * 3600, slices: 0.5 * 3600},
        Metric.GPU_REQUEST: {web._replace(container="main"): 3600.0},
        Metric.NODE_GPU_ALLOCATABLE: {node: 2 * 3600.0},
    }
    ledger.add(Step(0, 3600, amounts, dict.fromkeys(amounts, 1.0)))
    found = rows(ledger, By.NAMESPACE, Share.NONE, {})

    hour = 3600 * 10**9
    assert [
        (row.account.path, *(total(part, Resource.GPU) / hour for part in (row.used, row.requested, row.billed)))
        for row in found
    ] == [("team-a/shop/data", 0.5, 0, 0), ("team-a/shop/default", 0.9, 1, 1), ("idle", 0, 0, 1)]
