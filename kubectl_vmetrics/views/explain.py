"""The text and the document of `explain pod`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubectl_vmetrics.explain.readings import Amounts, Reading
from kubectl_vmetrics.explain.subject import Subject
from kubectl_vmetrics.kube import duration
from kubectl_vmetrics.metrics.requests import Reserved
from kubectl_vmetrics.output import safe, table
from kubectl_vmetrics.output.table import Row
from kubectl_vmetrics.output.units import NONE, mebibytes, millicores
from kubectl_vmetrics.vcluster.identity import VClusterRef

from .names import vcluster_object

_HEADERS = ("SOURCE", "CPU(cores)", "MEMORY(bytes)", "RSS(bytes)", "WINDOW", "MEASURED")
_VERSION = "vmetrics/v1"
_WIDTH = 110


def text(
    subject: Subject,
    readings: Sequence[Reading],
    reserved: Reserved | None,
    notes: Sequence[str],
    now: float,
    *,
    containers: bool = False,
) -> str:
    """The page.

    Args:
        subject: the pod.
        readings: of all sources.
        reserved: requests and limits; None if they cannot be read.
        notes: sentences that explain the numbers.
        now: seconds since the epoch.
        containers: whether to show a row for each container.
    """
    owned = subject.ownership
    head = []
    if owned.virtual is not None:
        place = f"namespace {owned.virtual.namespace}, virtual cluster {owned.virtual.vcluster.path}"
        head.append(("Pod", f"{owned.virtual.name} ({place})"))
        head.append(("Host pod", _host(subject)))
    else:
        head.append(("Pod", _host(subject)))
        head.append(("Owner", f"virtual cluster {owned.vcluster.path}" if owned.vcluster else "the host"))
    head += [("Because" if not index else "", reason) for index, reason in enumerate(owned.reasons)]
    head.append(("Status", _status(subject, now)))
    lines = [_wrapped(f"{f'{title}:' if title else '':<10} {safe.line(value)}", 11) for title, value in head]
    rows: list[Row] = []
    for item in readings:
        rows += _rows(item, now, containers=containers)
    rows += _reserved(reserved)
    shown = [line.rstrip() for line in table.render(rows, _HEADERS).splitlines()]
    parts = ["\n".join(lines), "\n".join(shown)]
    if missing := [item for item in readings if item.missing]:
        parts.append(
            "\n".join(["Not available:", *(f"  {item.source}: {safe.line(item.missing)}" for item in missing)])
        )
    if notes:
        parts.append("\n".join(["Notes:", *(_wrapped(f"  - {safe.line(note)}", 4) for note in notes)]))
    return "\n\n".join(parts) + "\n"


def _wrapped(line: str, indent: int) -> str:
    import textwrap

    return "\n".join(
        textwrap.wrap(line, _WIDTH, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
    )


def _host(subject: Subject) -> str:
    node = f", node {subject.pod.spec.node}" if subject.pod.spec.node else ", not on a node yet"
    return f"{subject.name} (host namespace {subject.namespace}{node})"


def _status(subject: Subject, now: float) -> str:
    age = "" if subject.started is None else f" for {duration.human(now - subject.started)}"
    count = len(subject.pod.spec.containers)
    restarts = f", {subject.restarts} restarts" if subject.restarts != 1 else ", 1 restart"
    return f"{subject.phase or 'Unknown'}{age}, {count} container{'' if count == 1 else 's'}{restarts}"


def _rows(item: Reading, now: float, *, containers: bool) -> list[Row]:
    if item.missing:
        return [[item.source, *[NONE] * 5]]
    window = "-" if item.window is None else duration.render(round(item.window, 1))
    measured = "-" if item.at is None else f"{duration.human(max(0.0, now - item.at))} ago"
    rows: list[Row] = [[item.source, *_cells(item.total), window, measured]]
    if containers:
        rows += [[f"  {name}", *_cells(used), "", ""] for name, used in item.containers.items()]
    return rows


def _cells(used: Amounts) -> list[str]:
    cpu = "-" if used.cpu is None else millicores(used.cpu)
    if used.cpu is None and used.seconds is not None:
        cpu = f"{used.seconds:.0f}s in all"
    return [cpu, *("-" if value is None else mebibytes(value) for value in (used.memory, used.rss))]


def _reserved(reserved: Reserved | None) -> list[Row]:
    if reserved is None:
        return []
    requests = [reserved.requests.get(name) for name in ("cpu", "memory")]
    limits = [reserved.limit(name) for name in ("cpu", "memory")]
    return [
        [
            title,
            "-" if not cpu else millicores(cpu),
            "-" if not memory else mebibytes(memory),
            "",
            "",
            "",
        ]
        for title, (cpu, memory) in (("requests", requests), ("limits", limits))
    ]


def document(
    subject: Subject, readings: Sequence[Reading], reserved: Reserved | None, notes: Sequence[str]
) -> dict[str, Any]:
    """The same as an object: amounts are cores, bytes and seconds."""
    owned = subject.ownership
    found: dict[str, Any] = {
        "kind": "PodExplanation",
        "apiVersion": _VERSION,
        "host": {
            "namespace": subject.namespace,
            "name": subject.name,
            "uid": subject.uid,
            "node": subject.pod.spec.node or None,
        },
        "vcluster": _vcluster(owned.vcluster),
        "virtual": {"namespace": owned.virtual.namespace, "name": owned.virtual.name} if owned.virtual else None,
        "reasons": list(owned.reasons),
        "phase": subject.phase,
        "restarts": subject.restarts,
        "sources": [_source(item) for item in readings],
        "requests": _amounts(reserved.requests.get("cpu"), reserved.requests.get("memory")) if reserved else None,
        "limits": _amounts(reserved.limit("cpu"), reserved.limit("memory")) if reserved else None,
        "notes": list(notes),
    }
    return found


def _vcluster(ref: VClusterRef | None) -> dict[str, Any] | None:
    return None if ref is None else vcluster_object(ref)


def _source(item: Reading) -> dict[str, Any]:
    if item.missing:
        return {"name": item.source, "missing": safe.line(item.missing)}
    return {
        "name": item.source,
        "measuredAt": None if item.at is None else round(item.at, 3),
        "windowSeconds": item.window,
        **_used(item.total),
        "containers": [{"name": name, **_used(used)} for name, used in item.containers.items()],
    }


def _used(used: Amounts) -> dict[str, Any]:
    return {
        **_amounts(used.cpu, used.memory),
        "rssBytes": used.rss,
        "cpuSeconds": used.seconds,
    }


def _amounts(cpu: int | None, memory: int | None) -> dict[str, Any]:
    return {"cpuCores": None if cpu is None else cpu / 1e9, "memoryBytes": memory}
