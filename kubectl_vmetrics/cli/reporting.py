"""What a report is made of, read part by part: a part that fails costs its own section."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from kubectl_vmetrics.allocation import gather as billing
from kubectl_vmetrics.allocation.account import By
from kubectl_vmetrics.allocation.bill import Bill, Share
from kubectl_vmetrics.allocation.making import Question
from kubectl_vmetrics.allocation.prices import Prices
from kubectl_vmetrics.controlplane import figures, health
from kubectl_vmetrics.controlplane.health import Verdict
from kubectl_vmetrics.controlplane.plane import KINDS, VCLUSTER
from kubectl_vmetrics.controlplane.scrape import Instance, Scraper
from kubectl_vmetrics.history import names as names_
from kubectl_vmetrics.history import rightsize, workloads
from kubectl_vmetrics.history import window as windows
from kubectl_vmetrics.history.names import HOST, Identity, Names
from kubectl_vmetrics.history.steps import Step
from kubectl_vmetrics.history.window import Window
from kubectl_vmetrics.history.workloads import Workload
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import VmetricsError
from kubectl_vmetrics.metrics.sampling import Sampler
from kubectl_vmetrics.output.progress import Progress
from kubectl_vmetrics.output.terminal import Environment
from kubectl_vmetrics.prometheus.api import Prometheus
from kubectl_vmetrics.report.given import Given, Labels
from kubectl_vmetrics.report.tally import METRICS, Tally
from kubectl_vmetrics.vcluster import discovery, machines
from kubectl_vmetrics.vcluster.discovery import Inventory
from kubectl_vmetrics.vcluster.homes import Homes
from kubectl_vmetrics.vcluster.identity import VClusterRef

from . import planes as finder
from .components import SHORTEST
from .top.choose import Targets

_T = TypeVar("_T")
PUBLIC = "the host's Prometheus"
MACHINE = "VirtualMachineInstance"


class Asked(NamedTuple):
    """What the command line asks for.

    Attributes:
        window: from when to when.
        step: a duration; "" to choose one.
        vcluster: the only tenant, as written; None for all.
        public: whether names of the host stay out.
        planes: whether control planes are scraped.
        prices: None for a bill without costs.
        share: how the host's own pods are split.
        owner_label: label of host namespaces with the owner.
        targets: host namespaces of virtual clusters elsewhere.
    """

    window: Window
    step: str
    vcluster: str | None
    public: bool
    planes: bool
    prices: Prices | None
    share: str
    owner_label: str
    targets: Targets


def gather(client: Client, server: Prometheus, asked: Asked, environment: Environment) -> Given:
    """All parts.

    Raises:
        VmetricsError: names or the first steps cannot be read, or there is no such virtual cluster.
    """
    failures: list[tuple[str, str]] = []
    names = names_.read(server, asked.window, client, targets=asked.targets)
    tenant = discovery.select(names.clusters, asked.vcluster) if asked.vcluster else None
    known = _tried(failures, "Names of virtual machines", lambda: _machines(client, tenant, names, asked.targets), None)
    tally = Tally(names, tenant, lambda namespace, name: (known or {}).get((namespace, name), HOST))
    usage = _tried(failures, "Rightsizing", lambda: _usage(client, server, asked, names, tenant), None)
    step = windows.step(asked.window, asked.step) if asked.step else billing.step(asked.window)
    question = Question(
        By.NAMESPACE if tenant else By.VCLUSTER, Share(asked.share), asked.prices, asked.owner_label, tenant
    )

    def read() -> Bill | None:
        return billing.bill(
            server,
            asked.window,
            step,
            names,
            question,
            client=client,
            also=add,
            extra=(*METRICS, *rightsize.METRICS),
            progress=Progress(environment, "steps"),
        )

    def add(item: Step) -> None:
        tally.add(item)
        if usage is not None:
            usage.add(item)

    try:
        bill = read()
    except VmetricsError as error:
        if not tally.starts:
            raise
        failures.append(("The rest of the period, and the bill,", error.message))
        bill = None
    verdicts = None
    if asked.planes:
        verdicts = _tried(failures, "The health of control planes", lambda: _planes(client, tenant, environment), None)
    return Given(
        asked.window,
        step,
        tally,
        Labels([tenant] if tenant else names.known, public=asked.public),
        PUBLIC if asked.public else server.name,
        names.way or "nothing that was found",
        bill,
        verdicts,
        usage.advice(rightsize.Settings()) if usage is not None else None,
        tenant=tenant,
        failures=failures,
        warnings=sorted(server.warnings),
        now=time.time(),
    )


def _tried(failures: list[tuple[str, str]], title: str, read: Callable[[], _T], otherwise: _T) -> _T:
    try:
        return read()
    except VmetricsError as error:
        failures.append((title, error.message))
        return otherwise


def _usage(
    client: Client, server: Prometheus, asked: Asked, names: Names, tenant: VClusterRef | None
) -> rightsize.Usage:
    """What adds up the use of workloads."""
    found = workloads.read(server, asked.window, names, client)

    def whose(namespace: str, pod: str) -> tuple[VClusterRef | None, str, Workload] | None:
        identity = names.of(namespace, pod)
        if tenant not in (None, identity.vcluster) or names.is_control_plane(namespace, pod):
            return None
        workload = found.of(namespace, pod)
        if workload.kind == MACHINE:
            return None  # KubeVirt sizes its pod
        if identity.vcluster is None or identity.name is None:
            # Known by names of the host alone.
            return None if asked.public or identity.vcluster else (None, namespace, workload)
        return identity.vcluster, identity.namespace or "", workload

    return rightsize.Usage(asked.window, whose)


def _machines(
    client: Client, tenant: VClusterRef | None, names: Names, targets: Targets
) -> dict[tuple[str, str], Identity]:
    """The virtual names of virtual machines that exist now, by host namespace and name."""
    homes = Homes(Inventory(names.clusters, everywhere=True), targets)
    found, _ = machines.names(client, tenant.host_namespace if tenant else None, homes)
    return {key: Identity(item.vcluster, item.namespace, item.name) for key, item in found.items()}


def _planes(client: Client, tenant: VClusterRef | None, environment: Environment) -> Sequence[Verdict]:
    """The health of control planes now, from two samples."""
    found, _ = finder.find(client, tenant.host_namespace if tenant else None, [VCLUSTER] if tenant else KINDS)
    if tenant:
        found = [plane for plane in found if plane.name == tenant.name]
    if not found:
        return []
    scraper = Scraper(client, figures.wanted)
    sampler: Sampler[Instance] = Sampler(SHORTEST, Progress(environment, "seconds until the second sample"))
    sampled = sampler.sample(lambda: scraper.take(found))
    return [
        health.judge(plane, components, scraper.used.get(plane.key))
        for plane, components in zip(found, health.read(found, sampled), strict=True)
    ]
