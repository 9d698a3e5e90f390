"""An overview of the host: pods, virtual clusters and node capacity, requested concurrently."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import VmetricsError
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.metrics import capacity
from kubectl_vmetrics.metrics.capacity import Available
from kubectl_vmetrics.metrics.metrics_api import PodMetrics, Scope

from . import discovery, identity, pods
from .discovery import VCluster
from .homes import Homes, Pair, warning
from .identity import VClusterRef


class Survey(NamedTuple):
    """The overview, as far as the user's rights allow.

    Attributes:
        whole: all nodes' allocatable; None where nodes cannot be listed.
    """

    found: pods.Found[PodMetrics]
    known: list[VCluster]
    whole: Available | None
    warnings: tuple[str, ...]


def survey(client: Client, namespace: str | None, targets: Iterable[tuple[str, VClusterRef]] = ()) -> Survey:
    """Read a host namespace, or all of them. Raises as metrics_api.pods and discovery.look.

    Args:
        client: the host.
        namespace: None for all.
        targets: host namespaces to which virtual clusters elsewhere sync their pods, as given by the user.
    """
    calls: list[Any] = [
        lambda: pods.on_host(client, Scope(namespace), PodMetrics, names=False),
        lambda: discovery.look(client, namespace),
        lambda: identity.read_synced_namespaces(client),
        lambda: capacity.of_host(client),
    ]
    answers: list[Any] = gather(calls)
    for answer in answers:
        if isinstance(answer, VmetricsError):
            raise answer
    found, inventory, synced, (whole, why) = answers
    homes = Homes(inventory, targets)
    doubtful = _correct(found, identity.Resolver(homes.proven(synced), homes=homes), homes)
    if doubtful:
        homes.widen(client)
        homes.settle(client, doubtful)
        _correct(found, identity.Resolver(homes.proven(synced), homes=homes), homes)
    here = {pod.vcluster for pod in found.pods}
    known = [item for item in homes.clusters if item in inventory.clusters or item.ref in here]
    notes = (why, *inventory.gaps, warning(pods.unproven(found.pods), homes=homes), *found.warnings)
    return Survey(found, known, whole, tuple(filter(None, notes)))


def _correct(found: pods.Found[PodMetrics], resolver: identity.Resolver, homes: Homes) -> set[Pair]:
    """Resolve the pods again, now that everything else is known.

    Returns:
        Where labels name a virtual cluster that is not known in that namespace.
    """
    doubtful = set()
    for pod in found.pods:
        namespace, owner = pod.host.namespace, pod.owner
        if namespace not in resolver.synced and (owner.managed_by is None or owner.namespace is None):
            continue
        pod.vcluster, pod.virtual = resolver.resolve(namespace, pod.host.name, owner)
        if pod.virtual is not None and "-x-" in pod.virtual.name:
            pod.virtual = identity.nested(pod.virtual, pod.metrics.labels())
            pod.vcluster = pod.virtual.vcluster
        name = owner.managed_by or ""
        if namespace not in resolver.synced and not homes.exists(VClusterRef(namespace, name)):
            doubtful.add((namespace, name))
    return doubtful
