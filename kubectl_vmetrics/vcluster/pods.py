"""Pods with their usage and owner: the view of the host, and the view from inside one virtual cluster."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic

import msgspec

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import BadAnswer, NotFound, UsageError, VmetricsError
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.kube.selector import LabelSelector, parse_fields, parse_labels
from kubectl_vmetrics.metrics import metrics_api
from kubectl_vmetrics.metrics.metrics_api import AnyPod, Owner, Scope, Skipped
from kubectl_vmetrics.metrics.usage import HostPod, Usage

from . import identity, labels, naming
from .identity import Resolver, SyncedNamespace, VClusterRef, VirtualPod

# The host namespaces of the multi-namespace mode of v0.14 to v0.25, whose pods carry no label of vCluster's.
_MULTI_NAMESPACE = re.compile(r"vcluster-[0-9a-f]{8}-[0-9a-f]{8}")


if TYPE_CHECKING:
    from kubectl_vmetrics.metrics.sources import Source

    from .homes import Homes, Pair

METRICS_API: Source = metrics_api


class Pod(msgspec.Struct, Generic[AnyPod], gc=False):
    """A host pod, what it uses, and the virtual pod behind it.

    Attributes:
        metrics: as the API reports them, with host names.
        usage: the sum over its containers.
        owner: the labels that identify its owner.
        vcluster: the virtual cluster it belongs to; None for a pod of the host itself.
        virtual: its virtual names; None for a pod of the host itself, and for one whose names could not be resolved.
    """

    metrics: AnyPod
    usage: Usage
    owner: Owner
    vcluster: VClusterRef | None = None
    virtual: VirtualPod | None = None

    @property
    def unproven(self) -> bool:
        """Whether it has labels of a virtual cluster, but nothing proves that it belongs to one."""
        return self.vcluster is None and self.owner.managed_by is not None and self.owner.namespace is not None

    @property
    def host(self) -> HostPod:
        """Its host names."""
        return HostPod(self.metrics.metadata.namespace, self.metrics.metadata.name)


class Found(msgspec.Struct, Generic[AnyPod]):
    """The result of a query.

    Attributes:
        pods: in the server's order.
        skipped: items that could not be read.
        warnings: what could not be resolved, and what is needed to resolve it.
    """

    pods: list[Pod[AnyPod]]
    skipped: list[Skipped]
    warnings: list[str]


def on_host(
    client: Client,
    scope: Scope,
    kind: type[AnyPod],
    *,
    owners: bool = True,
    names: bool = True,
    source: Source = METRICS_API,
    homes: Homes | None = None,
) -> Found[AnyPod]:
    """All pods of a scope of the host, each with the virtual pod behind it.

    One request is enough: labels on a pod refer to a virtual cluster in the pod's own namespace, whether it exists or
    not, and never to one in another namespace.

    Args:
        client: the host.
        scope: in host terms.
        kind: which fields of the metrics are needed.
        owners: False if host names are enough: nothing is resolved, and nothing else is requested.
        names: False if only owners are needed: hashed names are not looked up.
        source: where the numbers come from.
        homes: decides owners, if more is known.

    Raises:
        MetricsNotAvailable, StatusError, ConnectionFailed, BadAnswer: as metrics_api.pods.
    """
    listed, skipped = source.pods(client, scope, kind)
    found: Found[AnyPod] = Found([], skipped, [])
    if not owners:
        found.pods = _used(listed, skipped)
        return found
    resolver = Resolver(homes=homes) if homes else Resolver()
    found.pods = _used(listed, skipped, resolver)
    _resolve_rest(client, found, resolver, homes, names=names)
    for pod in found.pods:
        if pod.virtual is not None and "-x-" in pod.virtual.name:
            pod.virtual = identity.nested(pod.virtual, pod.metrics.labels())
            pod.vcluster = pod.virtual.vcluster
    return found


def unproven(pods: Iterable[Pod[Any]]) -> Counter[Pair]:
    """The number of pods with labels of a virtual cluster that count as the host's; see homes.warning."""
    return Counter((pod.host.namespace, pod.owner.managed_by or "") for pod in pods if pod.unproven)


def inside(
    client: Client,
    vcluster: VClusterRef,
    homes: Homes,
    question: Scope,
    kind: type[AnyPod],
    *,
    names: bool = True,
    source: Source = METRICS_API,
) -> Found[AnyPod]:
    """The pods that the virtual cluster itself would list.

    Args:
        client: the host.
        vcluster: which one.
        homes: decides owners, as far as virtual clusters can be listed.
        question: in virtual terms: namespace, name, selectors.
        kind: which fields of the metrics are needed.
        names: False if only numbers are shown: hashed names are not looked up.
        source: where the numbers come from.

    Raises:
        NotFound: no pod of that name.
        UsageError: a selector that cannot be parsed.
        MetricsNotAvailable, StatusError, ConnectionFailed, BadAnswer: as metrics_api.pods.
    """
    matches = _question(question)
    base = vcluster
    while base.parent:
        base = base.parent
    synced = homes.proven(identity.read_synced_namespaces(client))
    listed, skipped = _tenant_metrics(client, base, homes, synced, kind, source)
    resolver = Resolver(synced, homes=homes)
    found = Found(_used(listed, skipped, resolver), skipped, [])
    found.pods = [pod for pod in found.pods if pod.vcluster == base]
    _resolve_rest(client, found, resolver, names=names or vcluster is not base)
    kept = []
    for pod in found.pods:
        level = _level(pod, vcluster)
        if level is not None and matches(level, pod):
            pod.vcluster, pod.virtual = vcluster, level
            kept.append(pod)
        elif (
            pod.virtual is None
            and vcluster is base
            and question.name is None
            and question.namespace in (None, pod.owner.namespace)
        ):
            kept.append(pod)
    found.pods = kept
    if question.name and not kept:
        raise NotFound(f'pods "{question.name}" not found', code=404, reason="NotFound")
    return found


def _tenant_metrics(
    client: Client,
    base: VClusterRef,
    homes: Homes,
    synced: dict[str, SyncedNamespace],
    kind: type[AnyPod],
    source: Source,
) -> tuple[list[AnyPod], list[Skipped]]:
    selector = f"{naming.MANAGED_BY}={base.name}"
    targets = homes.places(client, base)
    scopes = [Scope(namespace, labels=selector) for namespace in (base.host_namespace, *targets)]
    scopes += [
        Scope(namespace)
        for namespace, item in synced.items()
        if item.vcluster == base and namespace != base.host_namespace
    ]
    pods, skipped = _asked(client, scopes, kind, source)
    if not pods and homes.settle_for(client, base):
        # Up to v0.28 pods could live in a namespace of their own, apart from their control plane.
        return _asked(client, [Scope(namespace, labels=selector) for namespace in homes.targets_of(base)], kind, source)
    return pods, skipped


def _asked(
    client: Client, scopes: Iterable[Scope], kind: type[AnyPod], source: Source
) -> tuple[list[AnyPod], list[Skipped]]:
    calls = [functools.partial(source.pods, client, scope, kind) for scope in scopes]
    pods: list[AnyPod] = []
    skipped: list[Skipped] = []
    for answer in gather(calls):
        if isinstance(answer, VmetricsError):
            raise answer
        pods += answer[0]
        skipped += answer[1]
    return pods, skipped


_NOBODY = Owner()


def _used(listed: list[AnyPod], skipped: list[Skipped], resolver: Resolver | None = None) -> list[Pod[AnyPod]]:
    # The loop that every pod of a host goes through: short of calls, at the cost of its looks.
    found: list[Pod[AnyPod]] = []
    usage_of = metrics_api.pod_usage
    for metrics in listed:
        try:
            usage = usage_of(metrics)
            if resolver is None:
                found.append(Pod(metrics, usage, _NOBODY))
                continue
            owner = metrics.owner()
        except (ValueError, BadAnswer) as error:
            skipped.append(Skipped(f"pod {metrics.metadata.namespace}/{metrics.metadata.name}", str(error)))
            continue
        meta = metrics.metadata
        vcluster, virtual = resolver.resolve(meta.namespace, meta.name, owner)
        found.append(Pod(metrics, usage, owner, vcluster, virtual))
    return found


def _resolve_rest(
    client: Client, found: Found[AnyPod], resolver: Resolver, homes: Homes | None = None, *, names: bool
) -> None:
    """Look up what the labels do not contain, for the pods concerned only."""
    missing = [pod for pod in found.pods if pod.virtual is None and pod.vcluster is not None]
    strange = [p for p in found.pods if p.vcluster is None and _MULTI_NAMESPACE.fullmatch(p.metrics.metadata.namespace)]
    # A name that was neither suffixed nor hashed is one of a namespace that was synced whole.
    if not resolver.synced and (strange or any(not naming.may_be_hashed(pod.metrics.metadata.name) for pod in missing)):
        synced = identity.read_synced_namespaces(client)
        resolver.synced = homes.proven(synced) if homes else synced
        for pod in found.pods if resolver.synced else ():
            _again(pod, resolver)
        missing = [pod for pod in missing if pod.virtual is None]
    if not missing or not names:
        return
    resolver.claims, errors = identity.read_claims(client, [(pod.host, pod.owner) for pod in missing])
    for pod in missing:
        _again(pod, resolver)
    if left := sum(pod.virtual is None and not _of_host(pod) for pod in missing):
        what = "1 pod is shown with its host name" if left == 1 else f"{left} pods are shown with their host names"
        why = (
            f": {errors[0].message}"
            if errors
            else ": the annotations with the virtual names are missing or belong to other objects"
        )
        found.warnings.append(f"{what}, marked *{why}")


def _of_host(pod: Pod[AnyPod]) -> bool:
    """Whether the host's KubeVirt created the pod for a synced machine: it does not exist inside."""
    return pod.metrics.labels().get("kubevirt.io") == "virt-launcher"


def _again(pod: Pod[AnyPod], resolver: Resolver) -> None:
    meta = pod.metrics.metadata
    pod.vcluster, pod.virtual = resolver.resolve(meta.namespace, meta.name, pod.owner)


def _level(pod: Pod[AnyPod], vcluster: VClusterRef) -> VirtualPod | None:
    """The pod by its names in one virtual cluster, which may run inside the one that the host knows."""
    virtual = pod.virtual
    if virtual is None or virtual.vcluster == vcluster or vcluster.parent is None:
        return virtual
    innermost = identity.nested(virtual, pod.metrics.labels())
    chain = []
    ref: VClusterRef | None = innermost.vcluster
    while ref:
        chain.append(ref)
        ref = ref.parent
    if vcluster not in chain:
        return None
    # From the innermost outwards, each name is translated once more.
    while innermost.vcluster != vcluster:
        inner = innermost.vcluster
        if inner.parent is None:
            return None
        name = naming.host_name(innermost.name, innermost.namespace, inner.name)
        innermost = VirtualPod(inner.parent, inner.host_namespace, name)
    return innermost


def _question(question: Scope) -> Callable[[VirtualPod, Pod[AnyPod]], bool]:
    selector: LabelSelector = parse_labels(question.labels or "")
    fields = parse_fields(question.fields or "")
    for field, _, _ in fields:
        if field not in ("metadata.name", "metadata.namespace"):
            raise UsageError(f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"')

    def matches(virtual: VirtualPod, pod: Pod[AnyPod]) -> bool:
        if question.namespace not in (None, virtual.namespace) or question.name not in (None, virtual.name):
            return False
        for field, equal, value in fields:
            if ((virtual.name if field == "metadata.name" else virtual.namespace) == value) != equal:
                return False
        return not selector.requirements or selector.matches(labels.lookup(pod.metrics.labels(), virtual.vcluster))

    return matches
