"""metrics.k8s.io as Tables: what `kubectl get pods.metrics.k8s.io` asks for.

Columns as metrics-server's (sigs.k8s.io/metrics-server pkg/api/table.go): the sum over a pod's containers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .quantity import cpu_nanocores, memory_bytes, render_cpu, render_memory

_COLUMNS = ("Name", "cpu", "memory", "Window")


def table(document: Mapping[str, Any]) -> dict[str, Any]:
    """A list of PodMetrics or NodeMetrics, or one of them, as a meta.k8s.io/v1 Table. Raises ValueError."""
    items = document.get("items", [document])
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": [
            {
                "name": name,
                "type": "string",
                "format": "name" if name == "Name" else "",
                "description": "",
                "priority": 0,
            }
            for name in _COLUMNS
        ],
        "rows": [_row(item) for item in items],
    }


def _row(item: Mapping[str, Any]) -> dict[str, Any]:
    used: Sequence[Mapping[str, str]] = (
        [container.get("usage") or {} for container in item.get("containers") or []]
        if "usage" not in item
        else [item["usage"]]
    )
    cpu = sum(cpu_nanocores(usage.get("cpu", "0")) for usage in used)
    memory = sum(memory_bytes(usage.get("memory", "0")) for usage in used)
    meta = item["metadata"]
    return {
        "cells": [meta["name"], render_cpu(cpu), render_memory(memory), item.get("window", "")],
        "object": {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta},
    }
