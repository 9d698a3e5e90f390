"""The table of `rightsize`, its document, and the patches of -o yaml."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from kubectl_vmetrics.history.rightsize import MEBI, Advice, Key, Numbers, Sum, sums
from kubectl_vmetrics.history.window import Window
from kubectl_vmetrics.output import safe
from kubectl_vmetrics.output.formats import View
from kubectl_vmetrics.output.table import Row
from kubectl_vmetrics.output.units import NONE

from .pods import vcluster_object

NOTHING = "-"
SORTS = ("cpu", "memory")
"""What --sort-by takes: by what the advice saves."""
_API = {
    **dict.fromkeys(("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"), "apps/v1"),
    "CronJob": "batch/v1",
}
"""Kinds whose pod template can be patched."""


class Options(NamedTuple):
    """How to show advice.

    Attributes:
        window: that it rests on.
        days: of data in it.
        percentile: of CPU.
        inside: whether it is that of one virtual cluster, without a column for it.
        sort_by: of SORTS, or "".
    """

    window: Window
    days: float
    percentile: float = 95.0
    inside: bool = False
    wide: bool = False
    sort_by: str = ""


def view(advice: Sequence[Advice], options: Options) -> View:
    """Two rows for each container, for CPU and memory; below them the sums of virtual clusters."""
    ordered = _ordered(advice, options.sort_by)
    headers = [
        *([] if options.inside else ["VCLUSTER"]),
        *["NAMESPACE", "WORKLOAD", "CONTAINER", "RESOURCE", "REQUEST", "LIMIT", f"P{options.percentile:g}", "MAX"],
        *["SUGGESTED", "SAVES"],
        *(["LIMIT(suggested)", "REPLICAS", "DAYS"] if options.wide else []),
        "NOTES",
    ]
    rows: list[Row] = [row for item in ordered for row in _rows(item, options)]
    footer: list[Row] = [row for item in sums(advice) for row in _sum(item, options)]

    def names() -> list[str]:
        return list(dict.fromkeys(_path(item.key) for item in ordered))

    return View(
        headers,
        rows,
        lambda: _document(ordered, options),
        names,
        [[""] * (len(headers) - 1), *footer] if footer else [],
        lambda: [*rows, *[[*row, *[""] * (len(headers) - len(row))] for row in footer]],
    )


def _ordered(advice: Sequence[Advice], sort_by: str) -> list[Advice]:
    if sort_by == "cpu":
        return sorted(advice, key=lambda item: -item.cpu.saves)
    if sort_by == "memory":
        return sorted(advice, key=lambda item: -item.memory.saves)
    return list(advice)


def _rows(item: Advice, options: Options) -> list[Row]:
    key, more = item.key, []
    names = [*([] if options.inside else [_vcluster(key)]), key.namespace or NONE, _workload(key), key.container]
    found: list[Row] = []
    for resource, numbers, text in (("cpu", item.cpu, millicores), ("memory", item.memory, mebibytes)):
        values = [numbers.request, numbers.limit, numbers.percentile, numbers.most, numbers.suggested]
        cells = [NOTHING if value is None else text(value) for value in values]
        cells.append(text(numbers.saves) if item.known else NOTHING)
        if options.wide:
            limit = numbers.suggested_limit
            more = [NOTHING if limit is None else text(limit), f"{item.replicas:.2g}", f"{item.days:.1f}"]
        found.append([*names, resource, *cells, *more, ", ".join(notes(item, resource)) or NOTHING])
    return found


def notes(item: Advice, resource: str) -> list[str]:
    """What is noted about a container, in a few words."""
    numbers = item.cpu if resource == "cpu" else item.memory
    found = [] if numbers.request else ["no request"]
    if resource == "cpu" and item.throttled is not None and item.throttled >= 0.01:
        found.append(f"throttled in {item.throttled * 100:.0f}% of periods")
    if resource == "memory":
        found += [f"killed {item.kills} {'time' if item.kills == 1 else 'times'} for memory"] if item.kills else []
        found += ["grows"] if item.grows else []
    return found if item.known else [*found, "less than 1d of data"]


def _sum(item: Sum, options: Options) -> list[Row]:
    name = item.vcluster.path if item.vcluster else "host"
    lead = ["sum", "", ""] if options.inside else [name, "", "", ""]
    values = (
        ("cpu", millicores, item.requested_cores, item.suggested_cores, item.saves_cores),
        ("memory", mebibytes, item.requested_bytes, item.suggested_bytes, item.saves_bytes),
    )
    return [
        [*lead, resource, text(now), "", "", "", text(then), text(saves)] for resource, text, now, then, saves in values
    ]


def millicores(cores: float) -> str:
    """CPU in millicores; what is used is rounded up, as in `top`."""
    return f"{math.ceil(cores * 1000 - 1e-6)}m"


def mebibytes(count: float) -> str:
    """Memory in MiB, rounded up."""
    return f"{math.ceil(count / MEBI - 1e-6)}Mi"


def _vcluster(key: Key) -> str:
    return key.vcluster.path if key.vcluster else NONE


def _workload(key: Key) -> str:
    """As kubectl takes it: deployment/cart."""
    kind, name = key.workload
    return f"{kind.lower()}/{name}" if kind else name


def _path(key: Key) -> str:
    kind, name = key.workload
    own = f"{key.namespace}/{name}"
    return f"{kind.lower() or 'workload'}/{f'{key.vcluster.path}/{own}' if key.vcluster else own}"


# ----------------------------------------------------------------------------------------------------- the documents


def _document(advice: Sequence[Advice], options: Options) -> dict[str, Any]:
    return {
        "kind": "RightsizeList",
        "apiVersion": "vmetrics/v1",
        "metadata": {},
        "window": {"start": stamp(options.window.start), "end": stamp(options.window.end), "daysOfData": options.days},
        "cpuPercentile": options.percentile,
        "items": [_item(item) for item in advice],
        "sums": [_sum_object(item) for item in sums(advice)],
    }


def _item(item: Advice) -> dict[str, Any]:
    key = item.key
    found: dict[str, Any] = {
        "kind": "Rightsize",
        "apiVersion": "vmetrics/v1",
        "metadata": {"name": key.workload.name, "namespace": key.namespace},
        "workload": {"kind": key.workload.kind or None, "name": key.workload.name},
        "container": key.container,
        **({"vcluster": vcluster_object(key.vcluster)} if key.vcluster else {}),
        "replicas": round(item.replicas, 4),
        "days": round(item.days, 3),
        "cpu": {
            **_numbers(item.cpu, "Cores", 6),
            **({} if item.throttled is None else {"throttledShare": round(item.throttled, 4)}),
        },
        "memory": {**_numbers(item.memory, "Bytes", None), "oomKills": item.kills, "grows": item.grows},
    }
    return found


def _numbers(numbers: Numbers, unit: str, digits: int | None) -> dict[str, Any]:
    values = {
        "request": numbers.request,
        "limit": numbers.limit,
        "percentile": numbers.percentile,
        "max": numbers.most,
        "suggestedRequest": numbers.suggested,
        "suggestedLimit": numbers.suggested_limit,
        "saves": numbers.saves if numbers.suggested is not None else None,
    }
    return {f"{name}{unit}": round(value, digits) for name, value in values.items() if value is not None}


def _sum_object(item: Sum) -> dict[str, Any]:
    return {
        **({"vcluster": vcluster_object(item.vcluster)} if item.vcluster else {"host": True}),
        "cpu": {
            "requestCores": round(item.requested_cores, 6),
            "suggestedRequestCores": round(item.suggested_cores, 6),
            "savesCores": round(item.saves_cores, 6),
        },
        "memory": {
            "requestBytes": round(item.requested_bytes),
            "suggestedRequestBytes": round(item.suggested_bytes),
            "savesBytes": round(item.saves_bytes),
        },
    }


def stamp(seconds: float) -> str:
    """A time in RFC 3339, in UTC."""
    import datetime

    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


# ------------------------------------------------------------------------------------------------------- the patches


def patches(advice: Sequence[Advice], window: Window, days: float) -> str:
    """Strategic merge patches for each workload, in the terms of its virtual cluster, as YAML documents.

    Workloads whose template cannot be patched, and those without advice, are comments.
    """
    import yaml

    groups: dict[tuple[Any, ...], list[Advice]] = {}
    for item in advice:
        groups.setdefault(item.key[:3], []).append(item)
    texts = [
        f"# Requests and limits by what was used from {stamp(window.start)} to {stamp(window.end)}.\n"
        f"# Days with data: {days:.1f}.\n"
    ]
    for items in groups.values():
        key, known = items[0].key, [item for item in items if item.known]
        place = f"Virtual cluster {key.vcluster.path}" if key.vcluster else "The host"
        path = f"{key.workload.kind or 'workload'} {key.namespace}/{key.workload.name}"
        api = _API.get(key.workload.kind)
        head = safe.line(f"# {place}: {path}")
        if api is None or not known:
            why = "less than 1d of data" if api else "no pod template to patch"
            texts.append(f"{head}: no patch ({why})\n")
            continue
        document = _patch(key, api, known)
        texts.append(f"---\n{head}\n{yaml.safe_dump(document, sort_keys=False, allow_unicode=False)}")
    return "".join(texts)


def _patch(key: Key, api: str, known: Sequence[Advice]) -> dict[str, Any]:
    containers = [{"name": item.key.container, "resources": _resources(item)} for item in known]
    template: dict[str, Any] = {"template": {"spec": {"containers": containers}}}
    if key.workload.kind == "CronJob":
        template = {"jobTemplate": {"spec": template}}
    meta = {"name": key.workload.name, **({"namespace": key.namespace} if key.namespace else {})}
    return {"apiVersion": api, "kind": key.workload.kind, "metadata": meta, "spec": template}


def _resources(item: Advice) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {"requests": {}, "limits": {}}
    for resource, numbers, text in (("cpu", item.cpu, millicores), ("memory", item.memory, mebibytes)):
        if numbers.suggested is not None:
            found["requests"][resource] = text(numbers.suggested)
        if numbers.suggested_limit is not None:
            found["limits"][resource] = text(numbers.suggested_limit)
    return {name: values for name, values in found.items() if values}
