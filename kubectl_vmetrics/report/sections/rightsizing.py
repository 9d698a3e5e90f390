"""Requests that are too large or too small, per workload and per tenant."""

from __future__ import annotations

from collections.abc import Sequence

from kubectl_vmetrics.history import rightsize
from kubectl_vmetrics.history.rightsize import Advice, Numbers
from kubectl_vmetrics.vcluster.identity import VClusterRef

from ..given import Given, Made
from ..numbers import NONE, decimal, percent, plural, size
from ..page import Block, Cell, Column, Level, Number, Section, Table, Text
from ..tally import Group

MOST = 50
"""Workloads that are listed."""
LEAST_CORES, LEAST_BYTES = 0.05, 64.0 * 2**20
"""Less is not worth a row, unless something was killed or throttled."""


def make(given: Given) -> Made | None:
    """The section; None if nobody looked."""
    if given.advice is None:
        return None
    known = [item for item in given.advice if item.known]
    young = len(given.advice) - len(known)
    about = (
        "What workloads should request: for CPU the 95th percentile of the replica that needs most, for memory the "
        "largest use and 15% more. Nothing is suggested below what was seen, nor for workloads that were seen for "
        "less than a day."
    )
    if young:
        about += f" That leaves out {plural(young, 'container')}."
    blocks: list[Block] = [_sums(given, known), _workloads(given, known)] if known else []
    if not known:
        blocks = [Table("Requests to change", [], [], empty="Nothing was seen for long enough.")]
    return Made(Section("rightsizing", "Rightsizing", about, blocks), _alerts(known))


def _sums(given: Given, known: Sequence[Advice]) -> Table:
    columns = [
        Column("Virtual cluster"),
        *(Column(f"CPU {what}, cores", numeric=True) for what in ("requested", "suggested", "saved")),
        *(Column(f"Memory {what}", numeric=True) for what in ("requested", "suggested", "saved")),
    ]
    rows: list[list[Cell]] = []
    for item in rightsize.sums(known):
        cores = (item.requested_cores, item.suggested_cores, item.saves_cores)
        memory = (item.requested_bytes, item.suggested_bytes, item.saves_bytes)
        rows.append(
            [
                given.labels.group(Group(item.vcluster)),
                *(Number(value, _saved(value)) for value in cores),
                *(Number(value, _signed(value)) for value in memory),
            ]
        )
    return Table("What requests could be", columns, rows)


def _workloads(given: Given, known: Sequence[Advice]) -> Table:
    columns = [
        Column("Workload"),
        *(Column(f"CPU {what}, cores", numeric=True) for what in ("request", "p95", "suggested", "saved")),
        *(Column(f"Memory {what}", numeric=True) for what in ("request", "maximum", "suggested", "saved")),
        Column("Why"),
    ]
    urgent = {id(item) for item in known if _short(item)}
    worth = [item for item in known if id(item) in urgent or _matters(item)]
    worth.sort(key=lambda item: (id(item) not in urgent, -_weight(item)))
    rows: list[list[Cell]] = [
        [
            _name(given, item),
            *_cores(item.cpu),
            *_bytes(item.memory),
            Text(_why(item), Level.BAD if id(item) in urgent else Level.PLAIN),
        ]
        for item in worth[:MOST]
    ]
    totals: list[list[Cell]] = []
    if rest := worth[MOST:]:
        cores, memory = (sum(getattr(item, name).saves for item in rest) for name in ("cpu", "memory"))
        saved: list[Cell] = [
            *[Text("")] * 3,
            Number(cores, _saved(cores)),
            *[Text("")] * 3,
            Number(memory, _signed(memory)),
            Text(""),
        ]
        totals = [[Text(plural(len(rest), "other container")), *saved]]
    return Table("Requests to change", columns, rows, totals, empty="No request needs to change.")


def _name(given: Given, item: Advice) -> Text:
    key = item.key
    whose = _whose(given, key.vcluster)
    kind = f"{key.workload.kind} " if key.workload.kind else ""
    below = ", ".join(part for part in (f"{kind}container {key.container}", whose) if part)
    return Text(f"{key.namespace}/{key.workload.name}", below=below)


def _whose(given: Given, ref: VClusterRef | None) -> str:
    return "host" if ref is None else "" if given.tenant else given.labels.name(ref)


def _cores(numbers: Numbers) -> list[Cell]:
    values = (numbers.request, numbers.percentile, numbers.suggested, numbers.saves)
    return [Number(value, _saved(value)) for value in values]


def _saved(value: float | None) -> str:
    return "0" if value is not None and abs(value) < 0.005 else decimal(value)


def _bytes(numbers: Numbers) -> list[Cell]:
    values = (numbers.request, numbers.most, numbers.suggested, numbers.saves)
    return [Number(value, NONE if value is None else _signed(value)) for value in values]


def _signed(value: float) -> str:
    return f"-{size(-value)}" if value < 0 else size(value)


def _short(item: Advice) -> bool:
    """Whether it was held back."""
    return item.kills > 0 or (item.throttled or 0.0) > rightsize.OFTEN


def _matters(item: Advice) -> bool:
    return abs(item.cpu.saves) >= LEAST_CORES or abs(item.memory.saves) >= LEAST_BYTES


def _weight(item: Advice) -> float:
    return abs(item.cpu.saves) / LEAST_CORES + abs(item.memory.saves) / LEAST_BYTES


def _why(item: Advice) -> str:
    found = []
    if item.kills:
        found.append(f"killed {plural(item.kills, 'time')} at its memory limit")
    if (item.throttled or 0.0) > rightsize.OFTEN:
        found.append(f"throttled in {percent(item.throttled)} of its periods")
    if item.grows:
        found.append("its memory grows")
    return ", ".join(found)


def _alerts(known: Sequence[Advice]) -> list[Text]:
    cores = sum(max(item.cpu.saves, 0.0) for item in known)
    memory = sum(max(item.memory.saves, 0.0) for item in known)
    if cores < LEAST_CORES and memory < LEAST_BYTES:
        return []
    return [Text("Requests could be smaller:", Level.PLAIN, f"by {decimal(cores)} cores and {size(memory)} of memory.")]
