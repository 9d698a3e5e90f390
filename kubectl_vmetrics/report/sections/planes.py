"""Control planes of tenants: whether they are healthy now, and what they used."""

from __future__ import annotations

from collections.abc import Sequence

from kubectl_vmetrics.controlplane.health import DEGRADED, HEALTHY, UNKNOWN, Verdict
from kubectl_vmetrics.controlplane.plane import APISERVER, VCLUSTER
from kubectl_vmetrics.vcluster.identity import VClusterRef

from ..given import Given, Made
from ..numbers import GIB, HOUR, NONE, decimal, moment, percent
from ..page import Block, Cell, Column, Level, Number, Section, Table, Text

_LEVELS = {HEALTHY: Level.GOOD, DEGRADED: Level.BAD, UNKNOWN: Level.WARNING}


def make(given: Given) -> Made | None:
    """The section; None if there is nothing to say."""
    verdicts = list(given.verdicts or ())
    blocks: list[Block] = [_health(given, verdicts)] if given.verdicts is not None else []
    if given.tally.planes:
        blocks.append(_use(given))
    if not blocks:
        return None
    about = (
        "Health is of the moment at which this page was made"
        f"{f', {moment(given.now)}' if given.now else ''}, not of the period: rates and latencies come from two "
        "samples of each component. What control planes used is of the period."
    )
    alerts = [
        Text(f"The control plane of {_name(given, verdict)} is degraded.", Level.BAD, _why(given, verdict))
        for verdict in verdicts
        if verdict.word == DEGRADED
    ]
    return Made(Section("planes", "Control planes", about, blocks), alerts)


def _name(given: Given, verdict: Verdict) -> str:
    plane = verdict.plane
    if not given.labels.public:
        return f"{plane.namespace}/{plane.name}"
    # Names are not unique, and reports number those that are the same.
    return given.labels.name(VClusterRef(plane.namespace, plane.name)) if plane.kind == VCLUSTER else plane.name


def _why(given: Given, verdict: Verdict) -> str:
    # Reasons name pods, Secrets and servers of the host.
    return "" if given.labels.public else "; ".join(verdict.because)


def _health(given: Given, verdicts: Sequence[Verdict]) -> Table:
    public = given.labels.public
    columns = [
        Column("Control plane"),
        Column("Kind"),
        Column("Health"),
        *(Column(title, numeric=True) for title in ("Requests per second", "Errors", "p99 of requests, ms")),
        *([] if public else [Column("Why")]),
    ]
    rows: list[list[Cell]] = []
    for verdict in verdicts:
        servers = [item.figures for item in verdict.components if item.component.name == APISERVER and item.up]
        rates = [figures.requests for figures in servers if figures.requests is not None]
        failed = [figures.failed for figures in servers if figures.failed is not None]
        slow = [figures.p99 for figures in servers if figures.p99 is not None]
        rate, worst, p99 = sum(rates) if rates else None, max(failed, default=None), max(slow, default=None)
        plane = verdict.plane
        rows.append(
            [
                Text(_name(given, verdict)) if public else Text(plane.name, below=f"host namespace {plane.namespace}"),
                Text(plane.kind),
                Text(verdict.word, _LEVELS.get(verdict.word, Level.PLAIN)),
                Number(rate, decimal(rate)),
                Number(worst, NONE if worst is None else percent(worst)),
                Number(p99, NONE if p99 is None else decimal(p99 * 1000)),
                *([] if public else [Text(_why(given, verdict))]),
            ]
        )
    return Table("Health of control planes", columns, rows, empty="No control planes found.")


def _use(given: Given) -> Table:
    columns = [
        Column("Control plane"),
        *(Column(f"CPU {kind}, core-hours", numeric=True) for kind in ("used", "requested")),
        *(Column(f"Memory {kind}, GiB-hours", numeric=True) for kind in ("used", "requested")),
    ]

    def row(ref: VClusterRef) -> list[Cell]:
        cpu, memory, cpu_request, memory_request = given.tally.planes[ref]
        values = (cpu / HOUR, cpu_request / HOUR, memory / HOUR / GIB, memory_request / HOUR / GIB)
        return [given.labels.vcluster(ref), *(Number(value, decimal(value)) for value in values)]

    refs = sorted(given.tally.planes, key=lambda ref: ref.path)
    return Table("What control planes used", columns, [row(ref) for ref in refs])
