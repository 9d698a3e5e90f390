"""Whose a host pod is, and why: the same rules as in `vcluster.identity` and `vcluster.homes`, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.metrics.metrics_api import Owner
from kubectl_vmetrics.metrics.usage import HostPod
from kubectl_vmetrics.vcluster import discovery, identity, naming
from kubectl_vmetrics.vcluster.homes import Homes
from kubectl_vmetrics.vcluster.identity import Origin, Resolver, SyncedNamespace, VClusterRef, VirtualPod


class Ownership(NamedTuple):
    """Whose a pod is.

    Attributes:
        vcluster: None for a pod of the host.
        virtual: its names inside; None if it has none, or they are not known.
        reasons: sentences without a full stop.
    """

    vcluster: VClusterRef | None
    virtual: VirtualPod | None
    reasons: tuple[str, ...]


def of_pod(client: Client, origin: Origin, homes: Homes, synced: Mapping[str, SyncedNamespace]) -> Ownership:
    """Whose a pod is.

    Args:
        client: the host; configurations of virtual clusters are read where labels alone prove nothing.
        origin: metadata of the pod.
        homes: the virtual clusters that are known.
        synced: host namespaces that virtual clusters synced as a whole.

    Raises:
        StatusError, ConnectionFailed, BadAnswer: as Homes.settle.
    """
    meta = origin.metadata
    name, namespace = meta.labels.get(naming.MANAGED_BY), meta.labels.get(naming.NAMESPACE)
    if meta.namespace not in synced and name and homes.exists(VClusterRef(meta.namespace, name)) is not True:
        homes.widen(client)
        homes.settle(client, {(meta.namespace, name)})
    claimed = identity.claim(origin)
    claims = {HostPod(meta.namespace, meta.name): claimed} if claimed else {}
    owner = Owner(name, namespace, meta.labels.get("app"), meta.labels.get("release"))
    vcluster, virtual = Resolver(synced, claims, homes).resolve(meta.namespace, meta.name, owner)
    reasons: list[str] = []
    if found := synced.get(meta.namespace):
        reasons.append(
            f"virtual cluster {found.vcluster.path} synced host namespace {meta.namespace} as a whole (labels and "
            f"annotations of the Namespace), as its namespace {found.namespace}; names are unchanged"
        )
    elif not name or not namespace:
        reasons.append(_of_host(owner, meta.namespace, homes))
    else:
        reasons.append(f"labels {naming.MANAGED_BY}={name} and {naming.NAMESPACE}={namespace}, which vCluster sets")
        reasons.append(_home(meta.namespace, name, vcluster, homes))
        if vcluster is not None:
            reasons.append(_name(origin, name, namespace, virtual))
    if virtual is not None and (inner := identity.nested(virtual, meta.labels)) is not virtual:
        reasons.append(
            f"labels of virtual cluster {inner.vcluster.path}, which runs inside {virtual.vcluster.path}: the pod is "
            f"{virtual.name} in namespace {virtual.namespace} there"
        )
        virtual, vcluster = inner, inner.vcluster
    return Ownership(vcluster, virtual, tuple(reasons))


def _of_host(owner: Owner, namespace: str, homes: Homes) -> str:
    ref = VClusterRef(namespace, owner.release or "")
    if owner.app in discovery.CONTROL_PLANE_APPS and owner.release and homes.exists(ref):
        return f"labels app={owner.app} and release={owner.release}: the control plane of virtual cluster {ref.path}"
    return f"no labels {naming.MANAGED_BY} and {naming.NAMESPACE}: no virtual cluster created the pod"


def _home(namespace: str, name: str, vcluster: VClusterRef | None, homes: Homes) -> str:
    if vcluster is None:
        return (
            f"virtual cluster {name} does not exist in host namespace {namespace}, and none elsewhere provably syncs "
            "there: the labels prove nothing, so the pod counts as the host's"
        )
    if vcluster.host_namespace != namespace:
        return (
            f"virtual cluster {vcluster.path} syncs its pods to host namespace {namespace}, by its configuration or "
            "--target-namespace"
        )
    if homes.exists(vcluster):
        return f"virtual cluster {vcluster.path} runs in the pod's own host namespace"
    return (
        f"the virtual clusters in host namespace {namespace} cannot be listed: the labels are taken at their word there"
    )


def _name(origin: Origin, vcluster: str, namespace: str, virtual: VirtualPod | None) -> str:
    host = origin.metadata.name
    if naming.virtual_name(host, namespace, vcluster) is not None:
        return f"the host name ends in -x-{namespace}-x-{vcluster}; what precedes it is the name inside"
    if virtual is None:
        return (
            "the name inside is not known: the host name has no ending of that virtual cluster, and the annotations "
            "object-name and object-namespace are missing or belong to another object"
        )
    text = (
        "the host name is shortened and ends in a hash; the name inside is in the annotation "
        "vcluster.loft.sh/object-name, checked against the host name in the annotations"
    )
    if naming.host_name(virtual.name, virtual.namespace, vcluster) == host:
        return f"{text}, and its hash is that of the host name"
    return f"{text}; its hash is another one, as vCluster v0.20 and older have it for some names"
