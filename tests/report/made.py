"""A made-up host: 14 days in steps of six hours, with numbers that are easy to check by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from kubectl_vmetrics.allocation.account import Account, By, Kind, Owner
from kubectl_vmetrics.allocation.bill import Bill, Covered, Row, Share
from kubectl_vmetrics.allocation.quantities import Position, Resource
from kubectl_vmetrics.controlplane.figures import Figures
from kubectl_vmetrics.controlplane.health import Health, Verdict
from kubectl_vmetrics.controlplane.plane import APISERVER, Component, Plane
from kubectl_vmetrics.history.names import HOST, Identity, Names
from kubectl_vmetrics.history.queries import Metric
from kubectl_vmetrics.history.rightsize import Advice, Key, Numbers
from kubectl_vmetrics.history.steps import Container, Step
from kubectl_vmetrics.history.window import Window
from kubectl_vmetrics.history.workloads import Workload
from kubectl_vmetrics.report.given import Given, Labels
from kubectl_vmetrics.report.tally import METRICS, Tally
from kubectl_vmetrics.vcluster.identity import VClusterRef

DAY = 86_400.0
GIB = 2.0**30
START = 1_793_491_200.0  # 2026-11-01 00:00 UTC
STEP = DAY / 4
STEPS = 56
WINDOW = Window(START, START + STEP * STEPS)
HOSTILE = '<script>document.title="owned"</script>"><img src=x onerror=alert(1)>=cmd|\'/c calc\'!A1\u202e\x1b[31m'

ACME = VClusterRef("host-a", "acme")
GLOBEX = VClusterRef("host-b", "globex")
LAB = VClusterRef("host-labs", "acme")
EVIL = VClusterRef("host-evil", HOSTILE)


class Known(Names):
    """Names that are given: host pods and claims, by host namespace and name."""

    def __init__(
        self, refs: list[VClusterRef], pods: dict[tuple[str, str], Identity], claims: dict[tuple[str, str], Identity]
    ) -> None:
        super().__init__()
        self.way = "vcluster_pod_info"
        self._refs = refs
        self._pods = pods
        self._claims = claims
        self._own = {(ref.host_namespace, f"{ref.name}-0"): ref for ref in refs}

    @property
    def known(self) -> list[VClusterRef]:
        return sorted(self._refs, key=lambda ref: ref.path)

    def is_control_plane(self, namespace: str, pod: str) -> VClusterRef | None:
        return self._own.get((namespace, pod))


PODS = {
    ("host-a", "frontend-x-shop-x-acme"): Identity(ACME, "shop", "frontend"),
    ("host-a", "orders-db-x-shop-x-acme"): Identity(ACME, "shop", "orders-db"),
    ("host-a", "runner-x-buildfarm-x-acme"): Identity(ACME, "buildfarm", "runner"),
    ("host-b", "gateway-x-invoicing-x-globex"): Identity(GLOBEX, "invoicing", "gateway"),
    ("host-labs", "notebook-1-x-physics-x-acme"): Identity(LAB, "physics", "notebook-1"),
    ("host-evil", "hostile"): Identity(EVIL, HOSTILE, HOSTILE),
}
CLAIMS = {
    ("host-a", "pgdata-x-shop-x-acme"): Identity(ACME, "shop", "pgdata"),
    ("host-b", "applogs-x-invoicing-x-globex"): Identity(GLOBEX, "invoicing", "applogs"),
}
USE: dict[tuple[str, str], tuple[float, float, float, float]] = {
    # cores and GiB used, cores and GiB requested
    ("host-a", "frontend-x-shop-x-acme"): (1.0, 2.0, 2.0, 4.0),
    ("host-a", "orders-db-x-shop-x-acme"): (0.5, 3.0, 0.5, 4.0),
    ("host-a", "runner-x-buildfarm-x-acme"): (0.25, 0.5, 1.0, 1.0),
    ("host-b", "gateway-x-invoicing-x-globex"): (0.1, 0.25, 4.0, 8.0),
    ("host-labs", "notebook-1-x-physics-x-acme"): (2.0, 8.0, 1.0, 4.0),
    ("kube-system", "coredns-1"): (0.2, 0.1, 0.1, 0.1),
    ("host-a", "acme-0"): (0.3, 0.5, 0.2, 0.25),
}


def names(*, hostile: bool = False) -> Known:
    """Who is who."""
    refs = [ACME, GLOBEX, LAB, *([EVIL] if hostile else [])]
    return Known(refs, PODS, CLAIMS)


def steps(*, hostile: bool = False) -> Iterator[Step]:
    """The steps; CPU swings by a tenth around what USE says, the volume of `pgdata` grows by 1 GiB a day."""
    for index in range(STEPS):
        start = START + index * STEP
        swing = 1 + 0.1 * math.sin(index)
        amounts: dict[Metric, dict[Container, float]] = {metric: {} for metric in METRICS}
        use = {**USE, **({("host-evil", "hostile"): (1.0, 1.0, 1.0, 1.0)} if hostile else {})}
        for (namespace, pod), (cpu, memory, cpu_request, memory_request) in use.items():
            key = Container(namespace, pod, "main")
            amounts[Metric.CPU][key] = cpu * swing * STEP
            amounts[Metric.MEMORY][key] = memory * GIB * STEP
            amounts[Metric.CPU_REQUEST][key] = cpu_request * STEP
            amounts[Metric.MEMORY_REQUEST][key] = memory_request * GIB * STEP
        lab = Container("host-labs", "notebook-1-x-physics-x-acme", "main")
        amounts[Metric.PERIODS][lab], amounts[Metric.THROTTLED][lab] = 1000.0, 400.0
        if index == 10:
            amounts[Metric.OOM_KILLS][lab] = 3.0
        for node in ("node-1", "node-2"):
            amounts[Metric.NODE_CPU_ALLOCATABLE][Container("", node)] = 4.0 * STEP
            amounts[Metric.NODE_MEMORY_ALLOCATABLE][Container("", node)] = 16.0 * GIB * STEP
        for (namespace, claim), used, size in (
            (("host-a", "pgdata-x-shop-x-acme"), 2.0 + (index + 1) / 4, 20.0),
            (("host-b", "applogs-x-invoicing-x-globex"), 9.5, 10.0),
        ):
            key = Container(namespace, claim)
            amounts[Metric.VOLUME_USED][key] = used * GIB * STEP
            amounts[Metric.VOLUME_CAPACITY][key] = size * GIB * STEP
        machine = Container("host-vms", "win")
        amounts[Metric.VM_CPU][machine] = 1.5 * STEP
        amounts[Metric.VM_MEMORY][machine] = 2.0 * GIB * STEP
        amounts[Metric.VM_RUNNING][machine] = STEP
        quota = Container("host-labs", "quota", "requests.cpu")
        amounts[Metric.QUOTA_USED][quota], amounts[Metric.QUOTA_HARD][quota] = 1.9 * STEP, 2.0 * STEP
        present = dict.fromkeys(METRICS, 1.0)
        present[Metric.RESTARTS] = 0.0
        present[Metric.VOLUME_REQUEST] = 0.5
        yield Step(start, start + STEP, amounts, present)


def bill(*, priced: bool = True, hostile: bool = False, tenant: VClusterRef | None = None) -> Bill:
    """A bill; its rows add up to 8 cores and 32 GiB for 14 days."""
    hours = WINDOW.seconds / 3600

    def amounts(cores: float, gib: float) -> dict[Position, int]:
        return {
            Position(Resource.CPU): round(cores * hours * 3600 * 10**9),
            Position(Resource.MEMORY): round(gib * hours * 3600 * 2**30),
        }

    def row(account: Account, used: tuple[float, float], asked: tuple[float, float], cost: str = "0") -> Row:
        billed = max(used[0], asked[0]), max(used[1], asked[1])
        costs = {Resource.CPU: Decimal(cost), Resource.MEMORY: Decimal(0)} if priced else None
        owner = Owner("team blue", "shop") if account.vcluster == ACME else Owner()
        return Row(account, owner, WINDOW.seconds, amounts(*used), amounts(*asked), amounts(*billed), {}, costs)

    rows = [
        row(Account(Kind.VCLUSTER, ACME), (1.75, 5.5), (3.5, 9.0), "50.00"),
        row(Account(Kind.VCLUSTER, GLOBEX), (0.1, 0.25), (4.0, 8.0), "60.00"),
        row(Account(Kind.VCLUSTER, LAB), (2.0, 8.0), (1.0, 4.0), "30.50"),
        *([row(Account(Kind.VCLUSTER, EVIL), (1.0, 1.0), (1.0, 1.0), "1.00")] if hostile else []),
    ]
    rows[0] = rows[0]._replace(
        billed={**rows[0].billed, Position(Resource.CLAIM, "fast"): round(20 * hours * 3600 * 2**30)}
    )
    if tenant:
        rows = [found for found in rows if found.account.vcluster == tenant]
    else:
        rows += [
            row(Account(Kind.SHARED), (0.2, 0.1), (0.1, 0.1)),
            row(Account(Kind.IDLE), (0.0, 0.0), (0.0, 6.9)),
            Row(Account(Kind.OVERCOMMITTED), billed=amounts(-1.7, 0.0), costs={} if priced else None),
        ]
    return Bill(
        WINDOW,
        STEP,
        By.VCLUSTER,
        Share.NONE,
        tuple(rows),
        {} if tenant else amounts(8.0, 32.0),
        "monitoring/prometheus-k8s",
        "vcluster_pod_info",
        (Covered("cpu", 1.0),),
        ("allocatable capacity of 1.0h, from the nearest step that has it",),
        (),
        "EUR" if priced else "",
        tenant.path if tenant else "",
    )


def verdicts(*, hostile: bool = False) -> list[Verdict]:
    """Control planes: one healthy, one degraded."""
    good = Plane("vcluster", "host-a", "acme", "0.30.0", "Running", wanted=1, ready=1)
    bad = Plane("kamaji", "host-kamaji", HOSTILE if hostile else "beta", "v1.34.0", "Ready", wanted=2, ready=1)
    server = Component(APISERVER, "acme-0", "10.0.0.9", 8443)
    figures = Figures(version="v1.34.0", requests=12.5, failed=0.01, p99=0.045)
    return [
        Verdict(good, [Health(good, server, figures)], [], [], [], []),
        Verdict(bad, [], ["1 of 2 replicas is ready"], [], [], []),
    ]


def advice(*, hostile: bool = False) -> list[Advice]:
    """Of workloads: one that requests too much, one that gets too little, one that is too young, one that is right."""

    def made(ref: VClusterRef, names: tuple[str, str, str], numbers: tuple[Numbers, Numbers], **more: Any) -> Advice:
        namespace, kind, name = names
        return Advice(
            Key(ref, namespace, Workload(kind, name), "main"), more.pop("replicas", 1.0), 13.5, *numbers, **more
        )

    right = Numbers(1.0, None, 0.9, 1.0, 1.0), Numbers(GIB, None, GIB, GIB, GIB)
    found = [
        made(
            ACME,
            ("shop", "Deployment", "frontend"),
            (
                Numbers(2.0, None, 1.0, 1.5, 1.0, None, 2.0),
                Numbers(4 * GIB, None, GIB / 2, GIB * 0.875, GIB, None, 6 * GIB),
            ),
            replicas=2.0,
            grows=True,
        ),
        made(
            LAB,
            ("physics", "StatefulSet", "notebook"),
            (
                Numbers(1.0, 2.0, 2.5, 2.6, 2.5, 3.0, -1.5),
                Numbers(4 * GIB, 8 * GIB, GIB, 8 * GIB, 9 * GIB, None, -5 * GIB),
            ),
            throttled=0.4,
            kills=3,
        ),
        made(GLOBEX, ("invoicing", "Job", "young"), (Numbers(1.0, None, 0.1, 0.1), Numbers(GIB, None, 1.0, 1.0))),
    ]
    return [*found, *([made(EVIL, (HOSTILE, HOSTILE, HOSTILE), right, kills=1)] if hostile else [])]


def given(*, public: bool = False, tenant: VClusterRef | None = None, hostile: bool = False) -> Given:
    """All of it."""
    who = names(hostile=hostile)
    tally = Tally(who, tenant, lambda *_: HOST)
    for step in steps(hostile=hostile):
        tally.add(step)
    return Given(
        WINDOW,
        STEP,
        tally,
        Labels([tenant] if tenant else who.known, public=public),
        "the host's Prometheus" if public else "monitoring/prometheus-k8s",
        who.way,
        bill(hostile=hostile, tenant=tenant),
        [] if tenant else verdicts(hostile=hostile),
        [item for item in advice(hostile=hostile) if tenant in (None, item.key.vcluster)],
        tenant=tenant,
        failures=[("Names of virtual machines", "the server refused the query")],
        now=WINDOW.end,
    )
