"""Finds one host pod by a name from a table: its host name, or its name inside its virtual cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import NotFound, UsageError, VmetricsError
from kubectl_vmetrics.metrics.findings import either
from kubectl_vmetrics.metrics.metrics_api import AnyPod, Scope

from . import pods
from .pods import Found

if TYPE_CHECKING:
    from kubectl_vmetrics.metrics.sources import Source

    from .homes import Homes


def find(
    client: Client, scope: Scope, kind: type[AnyPod], *, source: Source, homes: Homes | None = None
) -> Found[AnyPod]:
    """The pod with this host name, otherwise the only pod with this name inside its virtual cluster.

    Args:
        client: the host.
        scope: with a name, and in host terms otherwise.
        kind: which fields of the metrics are needed.
        source: where the numbers come from.
        homes: whose pods are, where that is known.

    Raises:
        NotFound: there is none of that name, in the server's own words.
        UsageError: several virtual pods have it; the message says how to specify each.
        MetricsNotAvailable, StatusError, ConnectionFailed, BadAnswer: as pods.on_host.
    """
    try:
        return pods.on_host(client, scope, kind, source=source, homes=homes)
    except NotFound as missing:
        try:
            found = pods.on_host(client, scope._replace(name=None), kind, source=source, homes=homes)
        except VmetricsError:
            raise missing from None  # who may get a pod need not be allowed to list them
        matching = [pod for pod in found.pods if pod.virtual and pod.virtual.name == scope.name]
        if not matching:
            raise missing from None
    if len(matching) > 1:
        places = sorted({(pod.virtual.vcluster.path, pod.virtual.namespace) for pod in matching if pod.virtual})
        ways = either([f"--vcluster {path} -n {namespace}" for path, namespace in places])
        raise UsageError(f'there are {len(matching)} pods "{scope.name}" in virtual clusters: specify one with {ways}')
    return Found(matching, [], [])
