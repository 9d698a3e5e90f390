"""A bill without a Prometheus, from samples of the metrics API and the pods' specs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from kubectl_vmetrics.history.window import Window
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.vcluster.discovery import VCluster
from kubectl_vmetrics.vcluster.identity import VClusterRef

from . import look
from .account import By
from .bill import Bill
from .directory import Facts, HostDirectory
from .gather import by_name
from .ledger import Ledger
from .making import Question, Sources, make
from .samples import INTERVAL, Sampler

SOURCE = "samples of the metrics API"


def bill(
    client: Client,
    seconds: float,
    ask: Callable[[list[VCluster]], Question],
    *,
    targets: Iterable[tuple[str, VClusterRef]] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Bill:
    """A bill for the time from now on; Ctrl-C ends it early, and bills what was seen.

    Args:
        client: the host.
        seconds: for how long.
        ask: what to show, from the virtual clusters that there are.
        targets: host namespaces to which virtual clusters elsewhere sync their pods, as given by the user.
        progress: called with how many seconds are over, of how many.

    Raises:
        VmetricsError: the first sample cannot be taken; as Client.get.
    """
    sampler = Sampler(client, targets)
    sampler.first()
    question = ask(sampler.clusters)
    warnings: list[str] = []
    facts = look.with_live(client, Facts(), label=question.owner_label, nodes=True, warn=warnings.append)
    # These grow with each sample, and the directory sees it.
    facts = facts._replace(machines=sampler.machines, nodes=sampler.nodes)

    pool = question.prices.pool if question.prices and question.prices.pools else None
    ledger = Ledger(HostDirectory(sampler, facts, by_name, pool, detailed=question.by is By.WORKLOAD))
    moments = [time.time()]
    for step in sampler.steps(seconds, progress):
        ledger.add(step)
        moments = [moments[0] if len(ledger.lengths) > 1 else step.start, step.end]
    if sampler.failed:
        warnings.append(f"some samples could not be taken: {sampler.failed}")
    estimated = (
        f"everything, from {len(ledger.lengths)} samples, {INTERVAL:.0f}s apart: what starts and ends between two is "
        "not seen, and a window as short as this says little about a month",
    )
    sources = Sources(
        Window(moments[0], moments[-1]), INTERVAL, SOURCE, "live cluster", (*sampler.warnings, *warnings), estimated
    )
    found = make(ledger, facts, question, sources)
    return found._replace(notes=(*found.notes, "volumes and network are not sampled"))
