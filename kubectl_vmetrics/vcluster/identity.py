"""Whose pod is this? From a host pod to the virtual pod behind it.

What is trusted, in this order (spec of vCluster's syncer: pkg/util/translate, controllers/resources/pods/translate):

1. The host Namespace: where vCluster synced a whole namespace, names are unchanged and the Namespace says whose.
   Outside of their control plane's own namespace, labels on a pod are no proof (see `homes`).
2. The labels managed-by and namespace, which the syncer overwrites: strip the exact suffix that they call for.
3. The annotations object-name and object-namespace, for names that were hashed, after checking that they are this
   pod's own (kind, host name and host namespace): host controllers copy annotations from one object to another.
4. Nothing else. `vcluster.loft.sh/name` and `/namespace` can be written by a tenant and are never read. What cannot
   be resolved keeps its host name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from kubectl_vmetrics.kube.client import PARTIAL_LIST, PARTIAL_OBJECT, Client, escape
from kubectl_vmetrics.kube.errors import Forbidden, NotFound, VmetricsError
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.kube.lists import ObjectList, decoder, list_all, pods_path
from kubectl_vmetrics.metrics.metrics_api import Owner
from kubectl_vmetrics.metrics.usage import HostPod

from . import naming

POD_KIND = "/v1, Kind=Pod"
NAMESPACE_KIND = "/v1, Kind=Namespace"

_FEW = 8
"""Up to as many pods are asked for one by one; more are found in a list."""


class VClusterRef(msgspec.Struct, frozen=True, order=True, gc=False, cache_hash=True):
    """A virtual cluster. Its name alone is not unique.

    Attributes:
        host_namespace: where its control plane runs; for a nested one, a namespace of `parent`.
        name: the name of its Helm release.
        parent: the virtual cluster in which it runs; None on the host itself.
    """

    host_namespace: str
    name: str
    parent: VClusterRef | None = None

    @property
    def path(self) -> str:
        """The path for --vcluster: HOSTNS/NAME, after the parent's path if it is nested."""
        own = f"{self.host_namespace}/{self.name}"
        return f"{self.parent.path}/{own}" if self.parent else own


class VirtualPod(msgspec.Struct, frozen=True, gc=False):
    """A pod by its names inside its virtual cluster."""

    vcluster: VClusterRef
    namespace: str
    name: str


class SyncedNamespace(msgspec.Struct, frozen=True):
    """A host namespace synced from a virtual cluster as a whole, with unchanged names."""

    vcluster: VClusterRef
    namespace: str


class Claim(msgspec.Struct, frozen=True):
    """The origin of a host pod according to its annotations, already checked."""

    namespace: str
    name: str


class _Annotations(msgspec.Struct):
    # The only annotations that are ever decoded: those beside them hold the tenant's tokens.
    name: str | None = msgspec.field(default=None, name="vcluster.loft.sh/object-name")
    namespace: str | None = msgspec.field(default=None, name="vcluster.loft.sh/object-namespace")
    kind: str | None = msgspec.field(default=None, name="vcluster.loft.sh/object-kind")
    host_name: str | None = msgspec.field(default=None, name="vcluster.loft.sh/object-host-name")
    host_namespace: str | None = msgspec.field(default=None, name="vcluster.loft.sh/object-host-namespace")
    uid: str | None = msgspec.field(default=None, name="vcluster.loft.sh/object-uid")


class _Owner(msgspec.Struct):
    kind: str = ""
    name: str = ""


class _Meta(msgspec.Struct):
    name: str
    namespace: str = ""
    uid: str = ""
    owners: list[_Owner] = msgspec.field(default_factory=list, name="ownerReferences")
    annotations: _Annotations = msgspec.field(default_factory=_Annotations)
    labels: dict[str, str] = {}

    @property
    def managed_by(self) -> str:
        return self.labels.get(naming.MANAGED_BY, "")


class Origin(msgspec.Struct):
    """The metadata of an object that identifies its origin."""

    metadata: _Meta


def claim(found: Origin, kind: str = POD_KIND) -> Claim | None:
    """The origin in an object's annotations; None if they are missing, or copied from another object.

    The annotations present show which version wrote them: v0.21 has the kind and both host names, up to v0.20
    there is none of the three, and pre-releases of v0.21 have the kind alone (host names came with
    https://github.com/loft-sh/vcluster/pull/2083). Without host names the object's own name must prove the claim.
    """
    meta, said = found.metadata, found.metadata.annotations
    if not said.name or not said.namespace or not meta.managed_by:
        return None
    if (said.kind, said.host_name, said.host_namespace) == (kind, meta.name, meta.namespace):
        return Claim(said.namespace, said.name)
    if said.kind in (None, kind) and said.host_name is None and said.host_namespace is None:
        names = (said.name, naming.host_name(said.name, said.namespace, meta.managed_by))
        return Claim(said.namespace, said.name) if meta.name in names else None
    return None


def synced_namespace(found: Origin) -> SyncedNamespace | None:
    """The origin in a host Namespace's labels and annotations; None if they are not its own.

    A tenant chooses labels of namespaces that are synced, but not managed-by, which the syncer overwrites with a marker
    of its own (pkg/util/translate, MarkerLabel): it must agree with the rest.
    """
    meta, said = found.metadata, found.metadata.annotations
    vcluster, home = (
        meta.labels.get(key) for key in ("vcluster.loft.sh/vcluster-name", "vcluster.loft.sh/vcluster-namespace")
    )
    if not vcluster or not home or not said.name:
        return None
    if meta.managed_by != naming.cluster_marker(home, vcluster):
        return None
    if said.kind not in (None, NAMESPACE_KIND) or said.host_name not in (None, meta.name):
        return None
    return SyncedNamespace(VClusterRef(home, vcluster), said.name)


class Resolver:
    """Resolves host pods from the given data; pure, makes no requests.

    Args:
        synced: host namespaces that virtual clusters synced as a whole.
        claims: checked annotations of pods whose names were hashed.
        homes: whose a pod is, given its host namespace and the virtual cluster's name of its labels; None for the
            host's (see homes.Homes). Without, it is one in the pod's own namespace, and never one elsewhere.
    """

    def __init__(
        self,
        synced: Mapping[str, SyncedNamespace] | None = None,
        claims: Mapping[HostPod, Claim] | None = None,
        homes: Callable[[str, str], VClusterRef | None] = VClusterRef,
    ) -> None:
        self.synced = dict(synced or {})
        self.claims = dict(claims or {})
        self._homes = homes
        self._refs: dict[tuple[str, str], VClusterRef | None] = {}

    def resolve(self, namespace: str, name: str, owner: Owner) -> tuple[VClusterRef | None, VirtualPod | None]:
        """The virtual cluster that a host pod belongs to, and its virtual pod.

        Returns:
            Nothing of both for a pod of the host itself, and for one whose labels name a virtual cluster that it cannot
            be of; a virtual cluster and no pod where the virtual name is not known (yet).
        """
        if self.synced and (synced := self.synced.get(namespace)):
            return synced.vcluster, VirtualPod(synced.vcluster, synced.namespace, name)
        vcluster, virtual_namespace = owner.managed_by, owner.namespace
        if vcluster is None or virtual_namespace is None:
            return None, None
        try:
            ref = self._refs[namespace, vcluster]
        except KeyError:
            ref = self._refs[namespace, vcluster] = self._homes(namespace, vcluster)
        if ref is None:
            return None, None
        virtual = naming.virtual_name(name, virtual_namespace, vcluster)
        if virtual is not None:
            return ref, VirtualPod(ref, virtual_namespace, virtual)
        if self.claims and (found := self.claims.get(HostPod(namespace, name))):
            return ref, VirtualPod(ref, found.namespace, found.name)
        return ref, None


def nested(pod: VirtualPod, labels: Mapping[str, str]) -> VirtualPod:
    """The pod of the innermost nested virtual cluster behind a virtual pod; the pod itself if it is not nested.

    A virtual cluster inside another writes its own labels on the pod, and the outer one moves them to hashed keys.
    A tenant of the outer one can write them too, so what they say only ever names something inside the outer one.
    """
    while "-x-" in pod.name:
        name = labels.get(naming.label_key(pod.vcluster.name, naming.MANAGED_BY))
        namespace = labels.get(naming.label_key(pod.vcluster.name, naming.NAMESPACE))
        if not name or not namespace or not (inner := naming.virtual_name(pod.name, namespace, name)):
            break
        pod = VirtualPod(VClusterRef(pod.namespace, name, pod.vcluster), namespace, inner)
    return pod


def inside(pod: VirtualPod, labels: Mapping[str, str]) -> tuple[str, ...]:
    """The way from a virtual cluster to the innermost pod behind one of its pods, as far as labels prove it.

    Returns:
        Of each virtual cluster on the way the namespace of its control plane, in the one around it, and its name; then
        namespace and name of the innermost pod. Nothing where no other virtual cluster is inside.
    """
    innermost = nested(pod, labels)
    if innermost is pod:
        return ()
    way: tuple[str, ...] = (innermost.namespace, innermost.name)
    ref = innermost.vcluster
    while ref.parent:
        way = (ref.host_namespace, ref.name, *way)
        ref = ref.parent
    return way


def read_synced_namespaces(client: Client) -> dict[str, SyncedNamespace]:
    """The host namespaces that virtual clusters synced as a whole; none without the right to list namespaces.

    Raises:
        ConnectionFailed, BadAnswer: as Client.get.
    """
    try:
        found: list[Origin] = list_all(
            client,
            "/api/v1/namespaces",
            decoder(ObjectList[Origin]),
            {"labelSelector": "vcluster.loft.sh/vcluster-name"},
            accept=PARTIAL_LIST,
        )
    except Forbidden:
        return {}
    return {item.metadata.name: synced for item in found if (synced := synced_namespace(item))}


def read_claims(client: Client, pods: list[tuple[HostPod, Owner]]) -> tuple[dict[HostPod, Claim], list[VmetricsError]]:
    """The checked annotations of these pods, from their metadata, and errors for what could not be read.

    A pod that was deleted in the meantime is not an error.
    """
    wanted = {pod for pod, _ in pods}
    if len(wanted) <= _FEW:
        answers = gather([_one(client, pod) for pod in wanted])
    else:
        lists = {(pod.namespace, owner.managed_by or "") for pod, owner in pods}
        answers = gather([_many(client, namespace, name) for namespace, name in sorted(lists)])
    claims: dict[HostPod, Claim] = {}
    errors: list[VmetricsError] = []
    for answer in answers:
        if isinstance(answer, VmetricsError):
            if not isinstance(answer, NotFound):
                errors.append(answer)
            continue
        for item in answer:
            pod = HostPod(item.metadata.namespace, item.metadata.name)
            if pod in wanted and (found := claim(item)):
                claims[pod] = found
    return claims, errors


def _one(client: Client, pod: HostPod) -> Callable[[], list[Origin]]:
    path = f"{pods_path(pod.namespace)}/{escape(pod.name)}"
    return lambda: [client.decode(path, decoder(Origin), accept=PARTIAL_OBJECT)]


def _many(client: Client, namespace: str, vcluster: str) -> Callable[[], list[Origin]]:
    params = {"labelSelector": f"{naming.MANAGED_BY}={vcluster}"}
    return lambda: list_all(
        client,
        pods_path(namespace),
        decoder(ObjectList[Origin]),
        params,
        accept=PARTIAL_LIST,
        keep=lambda item: (
            not naming.virtual_name(item.metadata.name, item.metadata.annotations.namespace or "", vcluster)
        ),
    )
