"""An overview of the host: pods, virtual clusters and node capacity, requested concurrently."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import VmetricsError
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.metrics import capacity
from kubectl_vmetrics.metrics.capacity import Available
from kubectl_vmetrics.metrics.metrics_api import Owner, PodMeta, PodMetrics, Scope
from kubectl_vmetrics.metrics.usage import NOTHING

from . import discovery, identity, naming, pods
from .discovery import VCluster
from .groups import Details, OwnedClaim
from .holdings import Held
from .homes import Homes, Pair, warning
from .identity import VClusterRef
from .pods import Pod


class Survey(NamedTuple):
    """The overview, as far as the user's rights allow.

    Attributes:
        whole: all nodes' allocatable; None where nodes cannot be listed.
        details: what pods hold; None if that was not asked for.
    """

    found: pods.Found[PodMetrics]
    known: list[VCluster]
    whole: Available | None
    warnings: tuple[str, ...]
    details: Details | None = None


def survey(
    client: Client,
    namespace: str | None,
    targets: Iterable[tuple[str, VClusterRef]] = (),
    *,
    held: Callable[[], Held] | None = None,
) -> Survey:
    """Read a host namespace, or all of them. Raises as metrics_api.pods and discovery.look.

    Args:
        client: the host.
        namespace: None for all.
        targets: host namespaces to which virtual clusters elsewhere sync their pods, as given by the user.
        held: reads what pods hold; None if nobody asked for it.
    """
    calls: list[Any] = [
        lambda: pods.on_host(client, Scope(namespace), PodMetrics, names=False),
        lambda: discovery.look(client, namespace),
        lambda: identity.read_synced_namespaces(client),
        lambda: capacity.of_host(client),
        held or _nothing,
    ]
    answers: list[Any] = gather(calls)
    for answer in answers:
        if isinstance(answer, VmetricsError):
            raise answer
    found, inventory, synced, (whole, why), holds = answers
    homes = Homes(inventory, targets)
    resolver = identity.Resolver(homes.proven(synced), homes=homes)
    if doubtful := _correct(found.pods, resolver, homes):
        homes.widen(client)
        homes.settle(client, doubtful)
        resolver = identity.Resolver(homes.proven(synced), homes=homes)
        _correct(found.pods, resolver, homes)
    here = {pod.vcluster for pod in found.pods}
    known = [item for item in homes.clusters if item in inventory.clusters or item.ref in here]
    notes = (
        why,
        *inventory.gaps,
        warning(pods.unproven(found.pods), homes=homes),
        *found.warnings,
        *(holds.warnings if holds else ()),
    )
    details = detailed(holds, found.pods, resolver, homes) if holds else None
    return Survey(found, known, whole, tuple(filter(None, notes)), details)


def of_vcluster(held: Held, with_metrics: Iterable[Pod[Any]], vcluster: VClusterRef, homes: Homes) -> Details:
    """What pods and claims of one virtual cluster hold; quotas are those of its host namespace."""
    resolver = identity.Resolver(homes=homes)
    found = detailed(held, with_metrics, resolver, homes)
    claims = None if found.claims is None else [item for item in found.claims if item.vcluster == vcluster]
    return found._replace(others=[pod for pod in found.others if pod.vcluster == vcluster], claims=claims)


def _nothing() -> None:
    return None


def detailed(held: Held, with_metrics: Iterable[Pod[Any]], resolver: identity.Resolver, homes: Homes) -> Details:
    """What pods and claims hold, each with its owner.

    Args:
        held: as it was listed.
        with_metrics: the pods whose owners are known.
        resolver: decides the owners of everything else.
        homes: what it decides by.
    """
    known = {pod.host for pod in with_metrics}
    others: list[Pod[Any]] = []
    for host, facts in (held.pods or {}).items():
        if host not in known:
            labels = msgspec.Raw(msgspec.json.encode(facts.labels))
            metrics = PodMetrics(PodMeta(host.name, host.namespace, labels))
            others.append(pods.Pod(metrics, NOTHING, metrics.owner()))
    _correct(others, resolver, homes)
    return Details(held.pods, others, _claims(held, resolver), held.quotas)


def _claims(held: Held, resolver: identity.Resolver) -> list[OwnedClaim] | None:
    if held.claims is None:
        return None
    found = []
    for item in held.claims:
        owner = Owner(item.labels.get(naming.MANAGED_BY), item.labels.get(naming.NAMESPACE))
        vcluster, virtual = resolver.resolve(item.namespace, item.name, owner)
        found.append(OwnedClaim(item, vcluster, virtual.namespace if virtual else owner.namespace))
    return found


def _correct(found: Iterable[Pod[Any]], resolver: identity.Resolver, homes: Homes) -> set[Pair]:
    """Resolve the pods again, now that everything else is known.

    Returns:
        Where labels name a virtual cluster that is not known in that namespace.
    """
    doubtful = set()
    for pod in found:
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
