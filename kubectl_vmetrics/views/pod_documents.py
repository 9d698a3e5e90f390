"""The document of `top pods`: a list of PodMetrics as metrics.k8s.io has it, with whose each is and what it holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubectl_vmetrics.metrics.metrics_api import Container, TimedPodMetrics
from kubectl_vmetrics.metrics.quantity import render_cpu, render_memory
from kubectl_vmetrics.metrics.requests import Reserved
from kubectl_vmetrics.metrics.usage import Usage
from kubectl_vmetrics.vcluster import labels

from . import traffic
from .cells import told
from .columns import rounded
from .holdings import quantities
from .names import Names, vcluster_object, virtual_namespace
from .pod_columns import Shown

API_VERSION = "metrics.k8s.io/v1beta1"
"""Of documents in that API's own format, whichever version of it the cluster serves: both are the same."""


def document(items: Iterable[Shown], names: Names, *, pressure: bool, network: bool, io: bool) -> dict[str, Any]:
    """The list; items are whole pods."""
    found = [
        {
            **_item(item, names),
            **_held(item, pressure=pressure),
            **traffic.document(item.rates, network=network, io=io),
        }
        for item in items
    ]
    return {"kind": "PodMetricsList", "apiVersion": API_VERSION, "metadata": {}, "items": found}


def usage_object(usage: Usage) -> dict[str, str]:
    """Usage in a document: quantities."""
    return {"cpu": render_cpu(usage.cpu_nanocores), "memory": render_memory(usage.memory_bytes)}


def _item(row: Shown, names: Names) -> dict[str, Any]:
    # Of the host's view, metadata is the host's: names of virtual namespaces are not unique there.
    pod, metrics = row.pod, row.pod.metrics
    inside = names is Names.VIRTUAL
    virtual = pod.virtual if inside else None
    found = metrics.labels()
    shown = labels.inside(found, virtual.vcluster) if virtual else found
    item: dict[str, Any] = {
        "kind": "PodMetrics",
        "apiVersion": API_VERSION,
        "metadata": {
            "name": virtual.name if virtual else metrics.metadata.name,
            "namespace": virtual_namespace(pod) if inside else metrics.metadata.namespace,
            **({"labels": shown} if shown else {}),
        },
    }
    if isinstance(metrics, TimedPodMetrics):
        item |= {key: value for key, value in (("timestamp", metrics.timestamp), ("window", metrics.window)) if value}
    item["containers"] = [
        {"name": container.name, "usage": _quantities(container), **_of_container(row, container)}
        for container in sorted(metrics.containers, key=lambda container: container.name)
    ]
    if names is not Names.HOST and pod.vcluster:
        item["vcluster"] = vcluster_object(pod.vcluster)
        if not inside:
            item["virtual"] = {
                **({"name": pod.virtual.name} if pod.virtual else {}),
                "namespace": virtual_namespace(pod),
            }
        if pod.virtual is None:
            # The name in metadata is the host's, and so are its labels: what only the host knows of a tenant's pod.
            item["unresolved"] = True
    if pod.unproven:
        item["unproven"] = True
    item["host"] = {"name": metrics.metadata.name, "namespace": metrics.metadata.namespace}
    return item


def _held(item: Shown, *, pressure: bool) -> dict[str, Any]:
    """Where it runs, what it requests, and what kubelets report besides CPU and memory."""
    found: dict[str, Any] = {}
    if item.core:
        found["node"] = item.core.spec.node
    if reserved := item.reserved:
        found |= {"requests": quantities(reserved.requests), "limits": quantities(reserved.limits)}
        found |= _shares(item.usage, reserved)
    if item.reported is None:
        return found
    if item.reported.ephemeral_bytes is not None:
        found["ephemeralStorage"] = {"usedBytes": item.reported.ephemeral_bytes}
    if pressure:
        found["pressure"] = {
            resource: {"some": psi.some.avg10, "full": psi.full.avg10}
            for resource, psi in item.reported.pressure.items()
            if psi
        }
    return found


def _of_container(item: Shown, container: Container) -> dict[str, Any]:
    reserved = item._replace(container=container).reserved
    if reserved is None:
        return {}
    return {"requests": quantities(reserved.requests), "limits": quantities(reserved.limits)}


def _shares(usage: Usage, reserved: Reserved) -> dict[str, Any]:
    def share(resource: str, whole: int | None) -> float | None:
        used = usage.cpu_nanocores if resource == "cpu" else usage.memory_bytes
        return rounded(used / whole) if whole else None

    resources = ("cpu", "memory")
    return {
        "requestsShare": told({name: share(name, reserved.requests.get(name)) for name in resources}),
        "limitsShare": told({name: share(name, reserved.limit(name)) for name in resources}),
    }


def _quantities(container: Container) -> dict[str, str]:
    found = {"cpu": container.usage.cpu, "memory": container.usage.memory}
    return {**found, "swap": container.usage.swap} if container.usage.swap else found
