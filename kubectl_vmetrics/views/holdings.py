"""Columns and fields of what groups of pods hold: requests, limits, quotas, volumes, nodes and restarts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubectl_vmetrics.metrics.quantity import render_cpu, render_memory
from kubectl_vmetrics.metrics.usage import Usage
from kubectl_vmetrics.vcluster.holdings import Holding, amount

from .cells import told
from .columns import COUNT, CPU, MEMORY, SHARE, Column, Kind, rounded

_SHORT = {"cpu": "CPU", "memory": "MEM"}


def columns(*, gpus: bool = True) -> list[Column]:
    """The columns of -o wide; items have `usage` and `holding`. `gpus` where a pod requests any."""
    shown = _gpu_columns() if gpus else []
    return [*reserved_columns(), *shown, *_quota_columns(), *_volume_columns(), *_place_columns()]


DEVICES = Kind(lambda value: f"{value:.2f}", rounded)
"""How many devices are busy, on average."""


def _gpu_columns() -> list[Column]:
    return [
        Column("GPU-REQ", "gpus_requested", COUNT, lambda item: _known(item, "gpus"), summed=True),
        Column("GPU-USED", "gpus_used", DEVICES, _gpus_used, summed=True),
    ]


def _gpus_used(item: Any) -> float | None:
    percent = _known(item, "gpu_percent")
    return None if percent is None else percent / 100


def reserved_columns() -> list[Column]:
    """Requests and limits, and the shares of them that are used."""
    found = []
    for resource, kind, unit in (("cpu", CPU, "cores"), ("memory", MEMORY, "bytes")):
        short = _SHORT[resource]
        found += [
            Column(f"{short}-{word}({unit})", f"{resource}_{name}_{unit}", kind, _amount(name, resource), summed=True)
            for word, name in (("REQ", "requests"), ("LIM", "limits"))
        ]
        found += [
            Column(f"%{short}/R", f"{resource}_requests_share", SHARE, _share("requests", resource)),
            Column(f"%{short}/L", f"{resource}_limits_share", SHARE, _share("limits", resource)),
        ]
    return found


def _holding(item: Any) -> Holding | None:
    found: Holding | None = item.holding
    return found


def _amount(kind: str, resource: str) -> Any:
    def value(item: Any) -> int | None:
        holding = _holding(item)
        if holding is None or not holding.pods:
            return None
        found: dict[str, int] = getattr(holding, kind)
        return found.get(resource)

    return value


def used(usage: Usage, resource: str) -> int:
    """Usage of a resource in base units."""
    return usage.cpu_nanocores if resource == "cpu" else usage.memory_bytes


def _share(kind: str, resource: str) -> Any:
    def value(item: Any) -> float | None:
        return share(item.usage, _holding(item), kind, resource)

    return value


def share(usage: Usage, holding: Holding | None, kind: str, resource: str) -> float | None:
    """The share of requests or limits that is used; None without, and for limits if a pod has none."""
    if holding is None:
        return None
    whole = holding.limit(resource) if kind == "limits" else holding.requests.get(resource)
    return used(usage, resource) / whole if whole else None


def _quota_columns() -> list[Column]:
    return [
        Column(
            f"QUOTA-{short}-{word.upper()}", f"quota_requests_{resource}_{word}_{unit}", kind, _quota(resource, word)
        )
        for resource, short, kind, unit in (("cpu", "CPU", CPU, "cores"), ("memory", "MEM", MEMORY, "bytes"))
        for word in ("used", "hard")
    ]


def _quota(resource: str, word: str) -> Any:
    def value(item: Any) -> int | None:
        holding = _holding(item)
        quota = (holding.quotas or {}).get(f"requests.{resource}") if holding else None
        return None if quota is None else amount(resource, getattr(quota, word))

    return value


def _volume_columns() -> list[Column]:
    return [
        Column("VOL-REQ(bytes)", "volumes_requested_bytes", MEMORY, lambda i: _known(i, "requested"), summed=True),
        Column("VOL-USED(bytes)", "volumes_used_bytes", MEMORY, lambda i: _known(i, "used"), summed=True),
    ]


def _place_columns() -> list[Column]:
    return [
        Column("NODES", "nodes", COUNT, lambda item: len(item.holding.nodes) if item.holding else None),
        restarts(),
    ]


def restarts() -> Column:
    """How often containers were restarted since their pods were created."""
    return Column("RESTARTS", "restarts", COUNT, lambda item: _known(item, "restarts"), summed=True)


def _known(item: Any, field: str) -> Any:
    holding = _holding(item)
    return getattr(holding, field) if holding else None


def quantities(amounts: dict[str, int]) -> dict[str, str]:
    """Amounts of resources in a document."""
    return {
        name: render_cpu(value) if name == "cpu" else render_memory(value) if name == "memory" else str(value)
        for name, value in sorted(amounts.items())
    }


def shares(usage: Usage, holding: Holding) -> dict[str, Any]:
    """The shares of requests and limits that are used, in a document."""
    return {
        f"{kind}Share": told(
            {
                resource: None if value is None else rounded(value)
                for resource in ("cpu", "memory")
                for value in [share(usage, holding, kind, resource)]
            }
        )
        for kind in ("requests", "limits")
    }


def total(held: Sequence[Holding]) -> dict[str, Any]:
    """The sums in a document."""
    found = Holding()
    for holding in held:
        for mine, more in ((found.requests, holding.requests), (found.limits, holding.limits)):
            for name, value in more.items():
                mine[name] = mine.get(name, 0) + value
        found.nodes |= holding.nodes
    volumes = {
        "count": _sum([holding.claims for holding in held]),
        "requestedBytes": _sum([holding.requested for holding in held]),
        "usedBytes": _sum([holding.used for holding in held]),
    }
    return {
        "requests": quantities(found.requests),
        "limits": quantities(found.limits),
        "nodes": sorted(found.nodes),
        "restarts": sum(holding.restarts for holding in held),
        **({"volumes": told(volumes)} if volumes["count"] is not None else {}),
    }


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def document(usage: Usage, holding: Holding | None) -> dict[str, Any]:
    """The fields of an item."""
    if holding is None:
        return {}
    found: dict[str, Any] = {
        "requests": quantities(holding.requests),
        "limits": quantities(holding.limits),
        **shares(usage, holding),
        "nodes": sorted(holding.nodes),
        "restarts": holding.restarts,
    }
    if holding.gpus:
        busy = None if holding.gpu_percent is None else rounded(holding.gpu_percent / 100)
        found["gpus"] = told({"requested": holding.gpus, "used": busy})
    if holding.claims is not None:
        volumes = {"count": holding.claims, "requestedBytes": holding.requested, "usedBytes": holding.used}
        found["volumes"] = told(volumes)
    if holding.quotas:
        found["quota"] = {
            "hard": {name: quota.hard for name, quota in holding.quotas.items()},
            "used": {name: quota.used for name, quota in holding.quotas.items()},
        }
    return found
