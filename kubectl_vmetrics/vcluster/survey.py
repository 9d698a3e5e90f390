"""The whole host at one look: its pods, its virtual clusters and what its nodes have, asked for at once."""

from __future__ import annotations

from typing import Any, NamedTuple

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import VmetricsError
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.metrics import capacity
from kubectl_vmetrics.metrics.capacity import Available
from kubectl_vmetrics.metrics.metrics_api import PodMetrics, Scope

from . import discovery, identity, pods
from .discovery import VCluster


class Survey(NamedTuple):
    """What was found, as far as the user's rights go.

    Attributes:
        whole: all nodes' allocatable; None where nodes cannot be listed.
    """

    found: pods.Found[PodMetrics]
    known: list[VCluster]
    whole: Available | None
    warnings: tuple[str, ...]


def survey(client: Client, namespace: str | None) -> Survey:
    """Look at a host namespace, or at all. Raises as metrics_api.pods and discovery.find."""
    calls: list[Any] = [
        lambda: pods.on_host(client, Scope(namespace), PodMetrics, names=False),
        lambda: discovery.find(client, namespace),
        lambda: identity.read_synced_namespaces(client),
        lambda: capacity.of_host(client),
    ]
    answers: list[Any] = gather(calls)
    for answer in answers:
        if isinstance(answer, VmetricsError):
            raise answer
    found, known, synced, (whole, why) = answers
    _correct(found, identity.Resolver(synced, homes=discovery.homes(known)))
    return Survey(found, known, whole, (*([why] if why else []), *found.warnings))


def _correct(found: pods.Found[PodMetrics], resolver: identity.Resolver) -> None:
    # The pods were resolved while the rest was still being asked for; what that adds concerns few of them.
    for pod in found.pods:
        namespace = pod.host.namespace
        if namespace in resolver.synced:
            pod.vcluster, pod.virtual = resolver.resolve(namespace, pod.host.name, pod.owner)
        elif pod.vcluster and pod.vcluster.parent is None:
            pod.vcluster, _ = resolver.resolve(namespace, pod.host.name, pod.owner)
