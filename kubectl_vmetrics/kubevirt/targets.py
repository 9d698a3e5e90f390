"""Scrape targets of KubeVirt's components."""

from __future__ import annotations

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.metrics.targets import Target

from . import discovery, installation
from .components import LIMIT, Component
from .discovery import PORT, SERVICE

KIND = "kubevirt"


def find(client: Client, source: str | None = None) -> list[Target]:
    """Each pod of KubeVirt that serves metrics, labelled as its ServiceMonitor would.

    Args:
        client: the cluster.
        source: one of discovery.SOURCES; None for the first that may be read.

    Raises:
        MetricsNotAvailable: there is no KubeVirt.
        StatusError, ConnectionFailed, BadAnswer: as Client.get.
    """
    return [_target(item) for item in discovery.find(client, installation.find(client), source)]


def _target(item: Component) -> Target:
    labels = {
        "container": item.kind,
        "endpoint": PORT,
        "namespace": item.namespace,
        "node": item.node,
        "pod": item.name,
        "service": SERVICE,
    }
    return Target(
        KIND,
        SERVICE,
        item.address,
        item.port,
        through=item.path,
        labels=tuple((key, value) for key, value in labels.items() if value),
        ready=item.ready,
        seconds=int(LIMIT),
        honor=True,  # a machine's series carry its own namespace, not that of the handler that reports it
    )
