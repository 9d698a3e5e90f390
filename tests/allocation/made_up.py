"""Histories of a made-up host, minute by minute, and the steps that history would give for them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from hypothesis import strategies as st

from kubectl_vmetrics.allocation.account import Account, By, Kind, Owner
from kubectl_vmetrics.allocation.bill import Bill
from kubectl_vmetrics.allocation.directory import Facts
from kubectl_vmetrics.allocation.ledger import METRICS, Ledger
from kubectl_vmetrics.allocation.making import Question, Sources, make
from kubectl_vmetrics.allocation.prices import Prices
from kubectl_vmetrics.allocation.quantities import Resource
from kubectl_vmetrics.history.steps import Container, Metric, Step
from kubectl_vmetrics.history.window import Window
from kubectl_vmetrics.vcluster.identity import VClusterRef

MINUTE = 60.0
SHOP, BANK = VClusterRef("team-a", "shop"), VClusterRef("team-b", "bank")
NESTED = VClusterRef("inner", "deep", SHOP)


class Life(NamedTuple):
    """One container: from which minute to which it runs, on which node, and what it has there each minute."""

    container: Container
    node: str
    minutes: range
    used: Sequence[float]
    requested: Sequence[float]


class Host(NamedTuple):
    """A made-up host.

    Attributes:
        minutes: how long it is watched.
        lives: containers; one that moves has several, one after the other.
        nodes: minutes in which each node is there.
        blind: minutes without usage.
        unknown: minutes without kube-state-metrics.
    """

    minutes: int
    lives: list[Life]
    nodes: Mapping[str, range]
    blind: frozenset[int]
    unknown: frozenset[int]


ACCOUNTS: dict[str, Account] = {
    "web-0": Account(Kind.WORKLOAD, SHOP, "default", "Deployment", "web"),
    "web-1": Account(Kind.WORKLOAD, SHOP, "default", "Deployment", "web"),
    "db-0": Account(Kind.WORKLOAD, SHOP, "data", "StatefulSet", "db"),
    "deep-0": Account(Kind.WORKLOAD, NESTED, "default", "Deployment", "deep"),
    "shop-0": Account(Kind.CONTROL_PLANE, SHOP, "", "", "shop"),
    "teller": Account(Kind.WORKLOAD, BANK, "default", "Deployment", "teller"),
    "coredns": Account(Kind.WORKLOAD, None, "kube-system", "Deployment", "coredns"),
    "virt-launcher-a": Account(Kind.VM, None, "machines", "VirtualMachineInstance", "a"),
    "portal": Account(Kind.WORKLOAD, None, "owned", "Deployment", "portal"),
}
POOLS = {"node-1": ("", "A100"), "node-2": ("spot", "T4"), "node-3": ("spot", "")}


class Directory:
    """The one of a made-up host; a container's node is that of its name's last digit."""

    def __init__(self, host: Host) -> None:
        self._node = {life.container.pod: life.node for life in host.lives}

    def account(self, container: Container) -> Account:
        return ACCOUNTS[container.pod]

    def claimant(self, claim: Container) -> Account:
        return ACCOUNTS["db-0"]

    def place(self, container: Container) -> tuple[str, str]:
        return POOLS[self._node[container.pod]]

    def node(self, name: str) -> tuple[str, str]:
        return POOLS[name]

    def storage_class(self, claim: Container) -> str:
        return "fast"

    def size(self, machine: Account) -> str:
        return "2 CPUs, 4Gi"


def steps(host: Host, length: int) -> list[Step]:
    """Steps of so many minutes; each minute of a container is added once."""
    found = []
    for first in range(0, host.minutes, length):
        minutes = range(first, min(first + length, host.minutes))
        amounts: dict[Metric, dict[Container, float]] = {}

        def put(metric: Metric, key: Container, amount: float, into: dict[Metric, dict[Container, float]]) -> None:
            row = into.setdefault(metric, {})
            row[key] = row.get(key, 0.0) + amount

        for minute in minutes:
            for life in host.lives:
                if minute in life.minutes:
                    at = minute % len(life.used)
                    if minute not in host.blind:
                        put(Metric.CPU, life.container, life.used[at] * MINUTE, amounts)
                        put(Metric.MEMORY, life.container, life.used[at] * 2**30 * MINUTE, amounts)
                    if minute not in host.unknown:
                        put(Metric.CPU_REQUEST, life.container, life.requested[at] * MINUTE, amounts)
                        put(Metric.MEMORY_REQUEST, life.container, life.requested[at] * 2**30 * MINUTE, amounts)
                        put(Metric.GPU_REQUEST, life.container, float(life.requested[at] > 2) * MINUTE, amounts)
            for node, there in host.nodes.items():
                if minute in there and minute not in host.unknown:
                    put(Metric.NODE_CPU_ALLOCATABLE, Container("", node, ""), 4 * MINUTE, amounts)
                    put(Metric.NODE_MEMORY_ALLOCATABLE, Container("", node, ""), 8 * 2**30 * MINUTE, amounts)
                    put(Metric.NODE_GPU_ALLOCATABLE, Container("", node, ""), MINUTE, amounts)
        seen = 1 - len(host.blind & set(minutes)) / len(minutes)
        known = 1 - len(host.unknown & set(minutes)) / len(minutes)
        present = dict.fromkeys(Metric, known) | {Metric.CPU: seen, Metric.MEMORY: seen, Metric.GPU: 0.0}
        found.append(Step(minutes.start * MINUTE, minutes.stop * MINUTE, amounts, present))
    return found


@st.composite
def hosts(draw: st.DrawFn) -> Host:
    """Pods that come and go, change their requests and move; nodes that join and leave; gaps."""
    minutes = draw(st.integers(1, 12))
    cores = st.floats(0, 6, allow_nan=False)
    lives: list[Life] = []
    for pod in draw(st.lists(st.sampled_from(sorted(ACCOUNTS)), unique=True)):
        edges = (
            sorted(draw(st.lists(st.integers(0, minutes), min_size=2, max_size=4, unique=True)))
            if minutes > 1
            else [0, 1]
        )
        for start, end in itertools.pairwise(edges):
            node = draw(st.sampled_from(sorted(POOLS)))
            for name in draw(st.sampled_from([("main",), ("main", "sidecar")])):
                used, requested = (draw(st.lists(cores, min_size=1, max_size=3)) for _ in range(2))
                longest = max(len(used), len(requested))
                used, requested = (values + values[-1:] * (longest - len(values)) for values in (used, requested))
                lives.append(Life(Container(f"ns-{pod}", pod, name), node, range(start, end), used, requested))
    nodes = {
        node: range(*sorted(draw(st.tuples(st.integers(0, minutes), st.integers(0, minutes))))) for node in POOLS
    } | {"node-1": range(minutes)}
    gaps = st.frozensets(st.integers(0, minutes - 1))
    return Host(minutes, lives, nodes, draw(gaps), draw(gaps))


HOSTILE = VClusterRef("team-c", "=cmd|' /C calc'!A0")
"""No virtual cluster has such a name; a Prometheus may have such a label."""
OWNERS = {
    "team-a": Owner("ann", "web-shop"),
    "team-b": Owner('=HYPERLINK("http://example.com")', "@bank"),
    "owned": Owner("-2+3", ""),
}
PRICES = Prices(
    "EUR",
    2,
    {
        Resource.CPU: {"default": Decimal("0.0316")},
        Resource.MEMORY: {"default": Decimal("0.0042")},
        Resource.GPU: {"default": Decimal("1.2"), "A100": Decimal("3.1")},
        Resource.CLAIM: {"default": Decimal("0.0001"), "fast": Decimal("0.0003")},
        Resource.NETWORK_OUT: {"default": Decimal("0.08")},
        Resource.CONTROL_PLANE: {"default": Decimal("0.05")},
        Resource.VM: {"default": Decimal("0.01")},
    },
    provider="Platform team",
)


def bill(question: Question | None = None) -> Bill:
    """The bill of two hours of a host with four cores: two tenants, one that nobody names well, a VM, and the host."""
    host = Host(1, [], {}, frozenset(), frozenset())
    directory = Directory(host)
    directory._node.update(dict.fromkeys([*ACCOUNTS, "odd"], "node-1"))
    ACCOUNTS.setdefault("odd", Account(Kind.WORKLOAD, HOSTILE, "<script>", "Deployment", '"><img onerror=alert(1)>'))
    ledger = Ledger(directory)
    hour, gib = 3600.0, 2.0**30

    def of(**amounts: float) -> dict[Container, float]:
        names = {"web_0": "web-0", "shop_0": "shop-0", "db_0": "db-0", "vm": "virt-launcher-a"}
        return {Container(f"ns-{key}", names.get(key, key), "main"): value for key, value in amounts.items()}

    node, claim = Container("", "node-1"), Container("team-a", "data-x-data-x-shop")
    used = of(web_0=0.5 * hour, shop_0=0.1 * hour, teller=hour, coredns=0.1 * hour, vm=0.25 * hour, portal=0.05 * hour)
    first = {
        Metric.CPU: used | of(odd=0.125 * hour),
        Metric.CPU_REQUEST: of(web_0=0.25 * hour, shop_0=0.2 * hour, teller=0.5 * hour, coredns=0.1 * hour),
        Metric.MEMORY: {key: value * gib for key, value in used.items()},
        Metric.MEMORY_REQUEST: of(teller=2 * hour * gib, web_0=0.25 * hour * gib),
        Metric.GPU_REQUEST: of(teller=hour),
        Metric.NETWORK_TRANSMIT: of(web_0=5e9, teller=1e9, coredns=1e6),
        Metric.NETWORK_RECEIVE: of(web_0=1e9),
        Metric.VOLUME_REQUEST: {claim: 10 * gib * hour},
        Metric.RUNNING: {key._replace(container=""): hour for key in used},
        Metric.NODE_CPU_ALLOCATABLE: {node: 4 * hour},
        Metric.NODE_MEMORY_ALLOCATABLE: {node: 16 * gib * hour},
        Metric.NODE_GPU_ALLOCATABLE: {node: hour},
    }
    # In the second hour, a burst beside requests that fill the host.
    second = first | {Metric.CPU: of(web_0=3 * hour), Metric.CPU_REQUEST: of(teller=3 * hour, web_0=0.25 * hour)}
    start = 1_795_500_000.0
    present = dict.fromkeys(METRICS, 1.0)
    ledger.add(Step(start, start + hour, first, present))
    ledger.add(Step(start + hour, start + 2 * hour, second, present | {Metric.NETWORK_TRANSMIT: 0.5}))
    window = Window(start, start + 2 * hour)
    facts = Facts(owners=OWNERS, warnings=("=1+1 in team-b is not known",))
    sources = Sources(window, hour, "monitoring/prometheus-k8s", "vcluster_pod_info", ("team-b/bank is odd",))
    return make(ledger, facts, question or Question(By.WORKLOAD, prices=PRICES), sources)
