"""A bill from a Prometheus: one pass over its history, step by step, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kubectl_vmetrics.history import steps, workloads
from kubectl_vmetrics.history.names import Identity, Names
from kubectl_vmetrics.history.steps import Metric, Step
from kubectl_vmetrics.history.window import Window
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.prometheus.api import Prometheus
from kubectl_vmetrics.vcluster import homes

from . import look
from .account import By
from .bill import Bill
from .directory import HostDirectory, Workload
from .ledger import METRICS, Ledger
from .making import Question, Sources, make

_LADDER = ((2 * 3600.0, 60.0), (36 * 3600.0, 300.0), (63 * 86_400.0, 3600.0))
_LONGEST = 86_400.0
MOST = 10_000
"""Steps of a bill."""


def step(window: Window) -> float:
    """Seconds in which use and requests are compared, if nobody asks for others: an hour in the bill of a month."""
    return next((step for length, step in _LADDER if window.seconds <= length), _LONGEST)


def bill(
    server: Prometheus,
    window: Window,
    step: float,
    names: Names,
    question: Question,
    *,
    client: Client | None = None,
    also: Callable[[Step], object] | None = None,
    extra: Sequence[Metric] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Bill:
    """A bill for a window.

    Args:
        server: the Prometheus.
        window: from when to when.
        step: seconds; see `step`.
        names: of the same window.
        question: what the bill is to show.
        client: the host, for labels, sizes and Kamaji's tenants; None to leave it alone.
        also: called with each step, so that a report makes one pass as well.
        extra: metrics that `also` needs beside those of a bill.
        progress: called with how many steps are read, of how many.

    Raises:
        VmetricsError: as history.steps.read and history.names.read.
    """
    prices = question.prices
    pools = bool(prices and prices.pools)
    facts = look.read(server, window, names, client, label=question.owner_label, pools=pools)
    workload: Workload = by_name
    if question.by is By.WORKLOAD:
        known = workloads.read(server, window, names, client)
        workload = lambda namespace, pod, _: known.of(namespace, pod)  # noqa: E731
    pool = prices.pool if prices and pools else None
    ledger = Ledger(HostDirectory(names, facts, workload, pool, detailed=question.by is By.WORKLOAD))
    metrics = [*dict.fromkeys((*METRICS, *extra))]
    for item in steps.read(server, window, step, metrics, jobs=names.jobs, progress=progress):
        ledger.add(item)
        if also is not None:
            also(item)
    unproven = homes.warning(names.unproven)
    warnings = (*names.warnings, *([unproven] if unproven else []), *facts.warnings)
    return make(ledger, facts, question, Sources(window, step, server.name, names.way, warnings))


def by_name(_namespace: str, pod: str, identity: Identity) -> tuple[str, str]:
    """Kind and name of the workload, as far as a pod's name shows them."""
    return workloads.by_name(identity.name or pod)
