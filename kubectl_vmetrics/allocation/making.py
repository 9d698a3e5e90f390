"""From a ledger to a bill: rows, costs, coverage, and what the reader should know."""

from __future__ import annotations

from typing import NamedTuple

from kubectl_vmetrics.history.steps import Metric
from kubectl_vmetrics.history.window import Window
from kubectl_vmetrics.vcluster.identity import VClusterRef

from .account import By, Kind
from .bill import Bill, Covered, Row, Share
from .directory import Facts
from .ledger import Ledger
from .look import USER
from .prices import KEYS, Prices, priced
from .quantities import NONE, Resource, added, shown, total
from .sharing import rows

_COVERED = {
    "cpu": Metric.CPU,
    "memory": Metric.MEMORY,
    "requests": Metric.CPU_REQUEST,
    "network": Metric.NETWORK_TRANSMIT,
    "volumes": Metric.VOLUME_REQUEST,
    "allocatable": Metric.NODE_CPU_ALLOCATABLE,
}
_OVERCOMMITTED = (
    "overcommitted is what was billed beyond the host's allocatable capacity: some containers used more than they "
    "requested while the requests of others were billed as well"
)


class Question(NamedTuple):
    """What a bill is to show.

    Attributes:
        by: what the rows are.
        share: how the host's own pods are split.
        prices: None for unit-hours alone.
        owner_label: label of host namespaces with the owner.
        vcluster: the only tenant to show; None for all.
    """

    by: By = By.VCLUSTER
    share: Share = Share.NONE
    prices: Prices | None = None
    owner_label: str = USER
    vcluster: VClusterRef | None = None


class Sources(NamedTuple):
    """Where a bill comes from.

    Attributes:
        window: from when to when.
        step: seconds of a step.
        source: for the reader: the name of a Prometheus.
        names: how virtual names were found.
        warnings: what could not be read or resolved; may name any tenant.
        estimated: what is not exact.
    """

    window: Window
    step: float
    source: str
    names: str = ""
    warnings: tuple[str, ...] = ()
    estimated: tuple[str, ...] = ()


def make(ledger: Ledger, facts: Facts, question: Question, sources: Sources) -> Bill:
    """The bill. That of one tenant has no row, name or sum of anybody else."""
    found = rows(ledger, question.by, question.share, facts.owners)
    if question.prices is not None:
        found = priced(found, question.prices)
    mine = question.vcluster
    if mine is not None:
        found = [row for row in found if row.account.within(mine)]
    estimated = (*sources.estimated, *(() if mine else facts.estimated), *_estimated(ledger))
    notes = _notes(ledger, found, question, whole=mine is None)
    return Bill(
        sources.window,
        sources.step,
        question.by,
        question.share,
        tuple(found),
        NONE if mine else ledger.balance.whole,
        sources.source,
        sources.names,
        _coverage(ledger, found),
        estimated,
        (*notes, *(() if mine else sources.warnings)),
        question.prices.currency if question.prices else "",
        question.prices.provider if question.prices else "host",
        mine.path if mine else "",
    )


def _coverage(ledger: Ledger, found: list[Row]) -> tuple[Covered, ...]:
    length = sum(ledger.lengths)
    asked = dict(_COVERED)
    if any(total(row.billed, Resource.GPU) for row in found):
        asked["gpu"] = Metric.GPU_REQUEST
    return tuple(
        Covered(name, min(1.0, ledger.covered[metric] / length) if length else 0.0) for name, metric in asked.items()
    )


def _estimated(ledger: Ledger) -> tuple[str, ...]:
    texts = []
    seconds = max(ledger.balance.estimated.values(), default=0.0)
    if seconds >= 1:
        texts.append(f"allocatable capacity of {_hours(seconds)}, from the nearest step that has it")
    return tuple(texts)


def _notes(ledger: Ledger, found: list[Row], question: Question, *, whole: bool) -> list[str]:
    texts = []
    balance = ledger.balance
    if whole and total(balance.whole, Resource.CPU) == 0:
        texts.append("the host's allocatable capacity is not known (kube-state-metrics), so nothing is idle")
    if whole and balance.overcommitted:
        texts.append(_OVERCOMMITTED)
    if whole and balance.unmeasured:
        texts.append(
            "unmeasured is the host's capacity while no usage and no requests were recorded: no tenant pays for it"
        )
    if whole and (count := ledger.silent):
        subject = "1 pod ran" if count == 1 else f"{count} pods ran"
        texts.append(
            f"{subject} without any recorded usage, as pods do that end within seconds: billed by request alone"
        )
    if ledger.dropped:
        texts.append(f"{ledger.dropped} values were negative or not a number, and count as nothing")
    prices = question.prices
    if prices is not None:
        billed = added(part for row in found if row.account.kind not in _FREE for part in (row.billed, row.shared))
        for key, resource in KEYS.items():
            priced_ = resource in prices.prices or any(resource in pool.prices for pool in prices.pools)
            if not priced_ and resource not in _EXTRA and (amount := total(billed, resource)):
                texts.append(f"there is no {key} among the prices: {shown(amount, resource):.3f} of it cost nothing")
    return texts


_FREE = (Kind.IDLE, Kind.UNMEASURED, Kind.OVERCOMMITTED)
_EXTRA = (Resource.NETWORK_IN, Resource.NETWORK_OUT, Resource.CONTROL_PLANE, Resource.VM)
"""What few price: no word about it if it is not."""


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f}h" if seconds >= 3600 else f"{max(1, round(seconds / 60))}m"
