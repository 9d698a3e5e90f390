"""The tables of `controlplanes`: components of each replica, and a verdict for each control plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from kubectl_vmetrics.controlplane.figures import Figures
from kubectl_vmetrics.controlplane.health import Health, Verdict, why
from kubectl_vmetrics.controlplane.plane import APISERVER
from kubectl_vmetrics.metrics.process import Unanswered
from kubectl_vmetrics.output.formats import View
from kubectl_vmetrics.output.table import Row
from kubectl_vmetrics.output.units import NONE, UNKNOWN, mebibytes, millicores

from . import cells, fields

_HEADERS = ["KIND", "NAMESPACE", "NAME", "COMPONENT", "INSTANCE", "UP", "VERSION", "LEADER", "REQ/S", "ERR(%)", "P99"]
_HEADERS += ["INFLIGHT", "CPU(cores)", "MEMORY(bytes)"]
_WIDE = [
    "P99-READ",
    "P99-WRITE",
    "WATCHES",
    "QUEUED",
    "PENDING",
    "SCHEDULED",
    "ETCD-P99",
    "OBJECTS",
    "LOST",
    "CERT-ENDS",
]
PROBLEM = "PROBLEM"
_MOST = 20
"""Servers that did not answer a component, in a document; a tenant may have any number of them."""


def view(found: Sequence[Verdict], *, wide: bool = False) -> View:
    """One row for each component of each replica, or one for a control plane about which nothing else is known."""
    rows: list[Row] = []
    names: list[str] = []
    for verdict in found:
        whole = _whole(verdict)
        if whole:
            rows.append([*_lead(verdict, NONE, NONE), *whole[0], *(["-"] * len(_WIDE) if wide else []), whole[1]])
        for item in verdict.components if not whole else []:
            more = _wide(verdict, item) if wide else []
            rows.append(
                [*_lead(verdict, item.component.name, item.component.pod), *_cells(item), *more, _problem(item)]
            )
        names.append(f"{verdict.plane.kind}/{verdict.plane.path}")
    headers = [*_HEADERS, *(_WIDE if wide else [])]
    if any(row[-1] for row in rows):
        headers.append(PROBLEM)
    else:
        rows = [row[:-1] for row in rows]
    return View(
        headers,
        rows,
        lambda: _document(found),
        lambda: names,
        spare=("INSTANCE", "VERSION", "KIND"),
        plain=lambda: fields.table(
            fields.each(_document(found)["items"], "components", always=True), _COMPONENT_FIELDS
        ),
    )


def _lead(verdict: Verdict, component: str, instance: str) -> list[str]:
    plane = verdict.plane
    return [plane.kind, plane.namespace, plane.name, component, instance]


def _whole(verdict: Verdict) -> tuple[list[str], str] | None:
    """The only row of a control plane that is stopped, has no pods, or cannot be scraped; and the reason."""
    plane, empty = verdict.plane, ["-", *[UNKNOWN] * 3, "-", UNKNOWN, UNKNOWN]
    if plane.asleep:
        return [plane.status.lower(), plane.version or "-", *empty], ""
    if not verdict.components:
        return ["no", plane.version or "-", *empty], "it has no pods"
    causes = {why(item.error) if item.error else "" for item in verdict.components}
    if len(causes) == 1 and "" not in causes and len(verdict.components) > 1:
        return ["no", plane.version or "-", *empty], causes.pop()
    return None


def _problem(item: Health) -> str:
    return why(item.error) if item.error else ""


def _cells(item: Health) -> Row:
    if item.error:
        return ["no", item.plane.version or "-", "-", *[UNKNOWN] * 3, "-", UNKNOWN, UNKNOWN]
    found = item.figures
    used = found.process
    return [
        "yes",
        found.version or "-",
        cells.yes_no(found.leading),
        cells.count(found.requests),
        cells.percent(found.failed),
        cells.milliseconds(found.p99),
        "-" if found.inflight is None else f"{found.inflight:.0f}",
        "-" if used.cores is None else millicores(round(used.cores * 1e9)),
        "-" if used.memory_bytes is None else mebibytes(int(used.memory_bytes)),
    ]


def _wide(verdict: Verdict, item: Health) -> Row:
    found = item.figures
    ends = verdict.credential.expires if verdict.credential and item.component.authorized else None
    return [
        cells.milliseconds(found.p99_read),
        cells.milliseconds(found.p99_write),
        _whole_number(found.watches),
        _whole_number(found.queued),
        _each(found.pending, "{:.0f}"),
        _each(found.attempts, "{:.1f}/s"),
        cells.milliseconds(found.etcd_p99),
        _whole_number(found.objects),
        _whole_number(found.lost),
        cells.moment(ends),
    ]


def _whole_number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _each(found: dict[str, float], form: str) -> str:
    return ",".join(f"{key}:{form.format(value)}" for key, value in sorted(found.items()) if value) or "-"


# ------------------------------------------------------------------------------------------------------------ summary

_SUMMARY = [
    "KIND",
    "NAMESPACE",
    "NAME",
    "VERSION",
    "STATUS",
    "READY",
    "COMPONENTS",
    "REQ/S",
    "ERR(%)",
    "P99",
    "CPU(cores)",
]
_SUMMARY += ["MEMORY(bytes)", "VERDICT"]


def summary(found: Sequence[Verdict]) -> View:
    """One row for each control plane."""
    rows = [_summed(verdict) for verdict in found]
    return View(
        _SUMMARY,
        rows,
        lambda: _document(found),
        lambda: [f"{v.plane.kind}/{v.plane.path}" for v in found],
        plain=lambda: fields.table(_document(found)["items"], _PLANE_FIELDS),
    )


_PLANE_FIELDS = {
    "kind": "controlPlaneKind",
    "namespace": "metadata.namespace",
    "name": "metadata.name",
    "version": "version",
    "status": "status",
    "ready_replicas": "readyReplicas",
    "replicas": "replicas",
    "requests_per_second": "requestsPerSecond",
    "error_share": "errorShare",
    "p99_seconds": "p99Seconds",
    "cpu_cores": "cpuCores",
    "memory_bytes": "memoryBytes",
    "verdict": "verdict",
    "reasons": "reasons",
}
_COMPONENT_FIELDS = {
    "kind": "controlPlaneKind",
    "namespace": "metadata.namespace",
    "name": "metadata.name",
    "component": "part.name",
    "instance": "part.instance",
    "up": "part.up",
    "error": "part.error",
    "version": "part.version",
    "leader": "part.leader",
    "requests_per_second": "part.requestsPerSecond",
    "error_share": "part.errorShare",
    "p99_seconds": "part.p99Seconds",
    "p99_read_seconds": "part.p99ReadSeconds",
    "p99_write_seconds": "part.p99WriteSeconds",
    "inflight": "part.inflight",
    "watches": "part.watches",
    "queued": "part.queued",
    "pending_pods": "part.pendingPods",
    "scheduling_attempts_per_second": "part.schedulingAttemptsPerSecond",
    "etcd_p99_seconds": "part.etcdP99Seconds",
    "objects": "part.objects",
    "cpu_cores": "part.cpuCores",
    "memory_bytes": "part.memoryBytes",
    "started_seconds": "part.startTimeSeconds",
    "connection_errors": "part.connectionErrors",
    "connection_errors_grown": "part.connectionErrorsGrown",
    "certificate_expires_seconds": "part.certificateExpiresSeconds",
}


class _Totals(NamedTuple):
    """Of one control plane; None for what is not known."""

    up: int
    version: str
    requests: float | None
    failed: float | None
    p99: float | None
    cores: float | None
    memory: float | None


def _totals(verdict: Verdict) -> _Totals:
    up = [item.figures for item in verdict.components if item.up]
    servers = [item.figures for item in verdict.components if item.up and item.component.name == APISERVER]
    requests = _sum([item.requests for item in servers])
    failed = _sum([(item.failed or 0.0) * (item.requests or 0.0) for item in servers])
    slowest = max((item.p99 for item in servers if item.p99 is not None), default=None)
    return _Totals(
        len(up),
        verdict.plane.version or next((item.version for item in up if item.version), ""),
        requests,
        (failed or 0.0) / requests if requests else None,
        slowest,
        _sum([item.process.cores for item in up]),
        _sum([item.process.memory_bytes for item in up]),
    )


def _summed(verdict: Verdict) -> Row:
    plane, totals = verdict.plane, _totals(verdict)
    cores, memory = totals.cores, totals.memory
    word = verdict.word + (f": {'; '.join(verdict.because)}" if verdict.because else "")
    return [
        plane.kind,
        plane.namespace,
        plane.name,
        totals.version or "-",
        plane.status or "-",
        f"{plane.ready}/{plane.wanted}",
        f"{totals.up}/{len(verdict.components)}",
        cells.count(totals.requests),
        cells.percent(totals.failed),
        cells.milliseconds(totals.p99),
        "-" if cores is None else millicores(round(cores * 1e9)),
        "-" if memory is None else mebibytes(int(memory)),
        word,
    ]


def _sum(values: Sequence[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return sum(found) if found else None


# ----------------------------------------------------------------------------------------------------------- document


def _document(found: Sequence[Verdict]) -> dict[str, Any]:
    """Base units: cores, bytes, seconds, and per-second rates; unknown values are omitted."""
    return {
        "kind": "ControlPlaneList",
        "apiVersion": "vmetrics/v1",
        "metadata": {},
        "items": [_item(verdict) for verdict in found],
    }


def _item(verdict: Verdict) -> dict[str, Any]:
    totals = _totals(verdict)
    sums = {
        "requestsPerSecond": totals.requests,
        "errorShare": totals.failed,
        "p99Seconds": totals.p99,
        "cpuCores": totals.cores,
        "memoryBytes": totals.memory,
    }
    return {
        "kind": "ControlPlane",
        "metadata": {"name": verdict.plane.name, "namespace": verdict.plane.namespace},
        "controlPlaneKind": verdict.plane.kind,
        "version": verdict.plane.version,
        "status": verdict.plane.status,
        "readyReplicas": verdict.plane.ready,
        "replicas": verdict.plane.wanted,
        "verdict": verdict.word,
        "reasons": verdict.because,
        "notes": verdict.notes,
        **cells.told(sums),
        "components": [_component(verdict, item) for item in verdict.components],
    }


def _component(verdict: Verdict, item: Health) -> dict[str, Any]:
    ends = verdict.credential.expires if verdict.credential and item.component.authorized else None
    shown = {
        "name": item.component.name,
        "instance": item.component.pod,
        "up": item.up,
        "error": item.error.message if item.error else None,
    }
    return cells.told(shown | (_figures(item.figures) if item.up else {}) | {"certificateExpiresSeconds": ends})


def _figures(found: Figures) -> dict[str, Any]:
    used = found.process
    return {
        "version": found.version or None,
        "leader": found.leading,
        "requestsPerSecond": found.requests,
        "errorShare": found.failed,
        "p99Seconds": found.p99,
        "p99ReadSeconds": found.p99_read,
        "p99WriteSeconds": found.p99_write,
        "inflight": found.inflight,
        "watches": found.watches,
        "queued": found.queued,
        "pendingPods": found.pending or None,
        "schedulingAttemptsPerSecond": found.attempts or None,
        "etcdP99Seconds": found.etcd_p99,
        "objects": found.objects,
        "tenants": found.tenants or None,
        "cpuCores": used.cores,
        "memoryBytes": used.memory_bytes,
        "startTimeSeconds": used.started,
        "connectionErrors": found.lost,
        "connectionErrorsGrown": found.losing,
        "unanswered": [_unanswered(item) for item in found.unanswered[:_MOST]] or None,
    }


def _unanswered(item: Unanswered) -> dict[str, Any]:
    """A webhook, an extension API server or a tenant that did not answer."""
    return cells.told({"host": item.host, "requests": item.total, "requestsGrown": item.grown})
