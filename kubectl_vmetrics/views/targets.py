"""The table of `targets`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubectl_vmetrics.metrics.targets import Target
from kubectl_vmetrics.output.formats import View
from kubectl_vmetrics.output.table import Row
from kubectl_vmetrics.output.units import NONE

from . import cells, fields

HEADERS = ["KIND", "NAMESPACE", "NAME", "NODE", "ADDRESS", "PATH", "READY"]
_WIDE = ["JOB", "LABELS"]


def view(items: Sequence[Target], *, wide: bool = False) -> View:
    """The table, and the document, of scrape targets."""

    def names() -> list[str]:
        # Several targets may be one object; two namespaces may have one of the same name.
        objects = dict.fromkeys(
            ("pod" if item.label("pod") else "node", item.label("namespace"), _name(item)) for item in items
        )
        return [f"{kind}/{name}" for kind, _, name in objects]

    rows = [row(item, wide=wide) for item in items]
    return View(
        [*HEADERS, *(_WIDE if wide else [])],
        rows,
        lambda: _document(items),
        names,
        spare=("LABELS", "JOB", "NODE"),
        plain=lambda: fields.table(_document(items)["items"], _FIELDS),
    )


_FIELDS = {
    "kind": "targetKind",
    "namespace": "labels.namespace",
    "pod": "labels.pod",
    "node": "labels.node",
    "address": "address",
    "scheme": "scheme",
    "path": "path",
    "apiserver_path": "apiserverPath",
    "job": "job",
    "ready": "ready",
    "labels": "labels",
}


def row(item: Target, *, wide: bool = False) -> Row:
    """One target."""
    found = [
        item.kind,
        item.label("namespace") or NONE,
        _name(item),
        item.label("node") or NONE,
        item.address or NONE,
        item.path,
        cells.yes_no(item.ready),
    ]
    labels = ",".join(f"{key}={value}" for key, value in item.labels)
    return [*found, item.job, labels] if wide else found


def _name(item: Target) -> str:
    return item.label("pod") or item.label("node")


def _document(items: Sequence[Target]) -> dict[str, Any]:
    return {
        "kind": "ScrapeTargetList",
        "apiVersion": "vmetrics/v1",
        "metadata": {},
        "items": [
            {
                "kind": "ScrapeTarget",
                "targetKind": item.kind,
                "address": item.address,
                "scheme": item.scheme,
                "path": item.path,
                "apiserverPath": item.through,
                "job": item.job,
                "ready": item.ready,
                "labels": dict(item.labels),
            }
            for item in items
        ],
    }
