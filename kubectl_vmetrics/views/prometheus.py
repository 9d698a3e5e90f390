"""The table of `targets prometheus`: the Prometheus servers of a cluster, and what each has."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from kubectl_vmetrics.output.formats import View
from kubectl_vmetrics.output.table import Row
from kubectl_vmetrics.output.units import NONE
from kubectl_vmetrics.prometheus.probe import Probe

from . import cells

HEADERS = ["PROMETHEUS", "KIND", "VERSION", "CADVISOR", "KUBE-STATE-METRICS", "NAMES", "SINCE", "USED", "STATUS"]
_WIDE = ["RETENTION", "TARGETS", "RECORDED"]


def view(items: Sequence[Probe], used: Probe | None, *, wide: bool = False) -> View:
    """The table, and the document.

    Args:
        items: the servers.
        used: the one that is asked where none is named.
        wide: whether the columns of -o wide are shown.
    """
    return View(
        [*HEADERS, *(_WIDE if wide else [])],
        [_row(item, used=item is used, wide=wide) for item in items],
        lambda: _document(items, used),
        lambda: [f"prometheus/{item.server.name}" for item in items],
        spare=("VERSION", "KIND"),
    )


def _row(item: Probe, *, used: bool, wide: bool) -> Row:
    if item.error:
        blank: Row = [item.server.name, item.kind or NONE, NONE, NONE, NONE, NONE, NONE, cells.yes_no(used)]
        return [*blank, item.error.message, *([NONE] * 3 if wide else [])]
    since = NONE if item.oldest is None else time.strftime("%Y-%m-%d", time.gmtime(item.oldest))
    found: Row = [
        item.server.name,
        item.kind or NONE,
        item.version or NONE,
        _pods(item.containers),
        _pods(item.state),
        _pods(item.names),
        since,
        cells.yes_no(used),
        "answers",
    ]
    return [*found, item.retention or NONE, str(item.targets), str(item.recorded)] if wide else found


def _pods(count: int) -> str:
    return f"{count} pod{'' if count == 1 else 's'}" if count else "no"


def _document(items: Sequence[Probe], used: Probe | None) -> dict[str, Any]:
    return {
        "kind": "PrometheusList",
        "apiVersion": "vmetrics/v1",
        "metadata": {},
        "items": [_object(item, used=item is used) for item in items],
    }


def _object(item: Probe, *, used: bool) -> dict[str, Any]:
    place = item.server.candidate
    found: dict[str, Any] = {"kind": "Prometheus", "name": item.server.name, "used": used, "answers": not item.error}
    if place:
        found["service"] = {
            "namespace": place.namespace,
            "name": place.name,
            "port": place.port,
            "scheme": place.scheme,
            "prefix": place.prefix,
        }
    if item.kind:
        found["serverKind"] = item.kind
    if item.error:
        return {**found, "error": item.error.message}
    oldest = None if item.oldest is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(item.oldest))
    return {
        **found,
        "version": item.version,
        "retention": item.retention,
        "oldestSample": oldest,
        "targets": item.targets,
        "cadvisorPods": item.containers,
        "kubeStateMetricsPods": item.state,
        "namedPods": item.names,
        "recordedSeries": item.recorded,
    }
