"""Which virtual clusters there are on a host.

As `vcluster list` finds them (loft-sh/vcluster pkg/cli/find/find.go): StatefulSets and Deployments with the label
app=vcluster, each named by its label release.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from kubectl_vmetrics.kube.client import Client, escape
from kubectl_vmetrics.kube.core import ContainerSpec
from kubectl_vmetrics.kube.errors import Forbidden, UsageError, VmetricsError
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.kube.lists import ObjectList, decoder, list_all

from .identity import VClusterRef

RUNNING = "Running"
NOT_READY = "NotReady"
PAUSED = "Paused"
SCALED_DOWN = "ScaledDown"

CONTROL_PLANE_APPS = ("vcluster", "vcluster-etcd", "vcluster-api", "vcluster-controller")
"""The label app of control plane pods; the last two are of charts up to v0.19."""


class VCluster(msgspec.Struct, frozen=True):
    """A virtual cluster and how it is.

    Attributes:
        ref: its identity.
        status: Running, NotReady, Paused or ScaledDown.
        version: the tag of its syncer's image, "" where the image has none.
    """

    ref: VClusterRef
    status: str = RUNNING
    version: str = ""


class _Labels(msgspec.Struct):
    release: str = ""
    sleep_mode: str = msgspec.field(default="", name="loft.sh/sleep-mode")


class _Annotations(msgspec.Struct):
    paused: str = msgspec.field(default="", name="loft.sh/paused")


class _Meta(msgspec.Struct):
    name: str
    namespace: str = ""
    labels: _Labels = msgspec.field(default_factory=_Labels)
    annotations: _Annotations = msgspec.field(default_factory=_Annotations)


class _PodSpec(msgspec.Struct):
    containers: list[ContainerSpec] = []
    init_containers: list[ContainerSpec] = msgspec.field(default_factory=list, name="initContainers")


class _Template(msgspec.Struct):
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)


class _Spec(msgspec.Struct):
    replicas: int = 1
    template: _Template = msgspec.field(default_factory=_Template)


class _Status(msgspec.Struct):
    ready: int = msgspec.field(default=0, name="readyReplicas")


class _Workload(msgspec.Struct):
    metadata: _Meta
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


def find(
    client: Client, namespace: str | None = None, warn: Callable[[str], object] = lambda _: None
) -> list[VCluster]:
    """The virtual clusters of a host namespace, or of all, in order of namespace and name.

    Without the right to list the whole host, the kubeconfig's namespace alone is looked at, as `vcluster list` does.

    Args:
        client: the host.
        namespace: None for all.
        warn: told what could not be listed, so that virtual clusters may be missing.

    Raises:
        StatusError, ConnectionFailed, BadAnswer: as Client.get.
    """
    answers = gather([_workloads(client, kind, namespace) for kind in ("statefulsets", "deployments")])
    failed = [answer for answer in answers if isinstance(answer, VmetricsError)]
    if len(failed) == len(answers) and namespace is None and all(isinstance(error, Forbidden) for error in failed):
        try:
            found = find(client, client.namespace)
        except Forbidden:
            raise failed[0] from None
        warn(f"virtual clusters in other namespaces than {client.namespace} are not known: {failed[0].message}")
        return found
    # One of the two kinds may be forbidden where the other is not; a virtual cluster is one or the other.
    if len(failed) == len(answers) or any(not isinstance(error, Forbidden) for error in failed):
        raise failed[0]
    for error in failed:
        warn(f"virtual clusters may be missing: {error.message}")
    clusters: dict[VClusterRef, VCluster] = {}
    for answer in answers:
        for workload in [] if isinstance(answer, VmetricsError) else answer:
            if name := workload.metadata.labels.release:
                ref = VClusterRef(workload.metadata.namespace, name)
                clusters[ref] = VCluster(ref, _status(workload), _version(workload))
    return [clusters[ref] for ref in sorted(clusters, key=lambda ref: (ref.host_namespace, ref.name))]


def select(known: Sequence[VCluster], text: str) -> VClusterRef:
    """The virtual cluster that --vcluster names.

    Args:
        known: those to choose from.
        text: [HOSTNS/]NAME, with /NAMESPACE/NAME behind it for one that runs inside another.

    Raises:
        UsageError: none or several of that name, with those that there are.
    """
    parts = text.split("/")
    if not all(parts):
        raise UsageError(f'--vcluster: "{text}" is not [HOSTNS/]NAME')
    host_namespace = parts.pop(0) if len(parts) % 2 == 0 else None
    name = parts.pop(0)
    matching = [v.ref for v in known if v.ref.name == name and host_namespace in (None, v.ref.host_namespace)]
    if not matching:
        names = ", ".join(v.ref.path for v in known)
        asked = f"{host_namespace}/{name}" if host_namespace else name
        raise UsageError(
            f'virtual cluster "{asked}" not found; ' + (f"there are: {names}" if names else "there are none here")
        )
    if len(matching) > 1:
        raise UsageError(
            f'there are several virtual clusters "{name}": say which with --vcluster '
            + " or ".join(ref.path for ref in matching)
        )
    ref = matching[0]
    while parts:
        ref = VClusterRef(parts.pop(0), parts.pop(0), ref)
    return ref


def homes(known: Sequence[VCluster]) -> Callable[[str, str], str]:
    """From a pod's host namespace and its virtual cluster's name to the host namespace of the control plane.

    They are the same but for a target namespace (up to v0.28); then the only virtual cluster of that name is meant.
    """
    refs = {(v.ref.host_namespace, v.ref.name) for v in known}
    by_name: dict[str, list[str]] = {}
    for host_namespace, name in refs:
        by_name.setdefault(name, []).append(host_namespace)

    def home(namespace: str, name: str) -> str:
        if (namespace, name) in refs or len(by_name.get(name, ())) != 1:
            return namespace
        return by_name[name][0]

    return home


def _workloads(client: Client, kind: str, namespace: str | None) -> Callable[[], list[_Workload]]:
    scope = f"namespaces/{escape(namespace)}/" if namespace else ""
    return lambda: list_all(
        client, f"/apis/apps/v1/{scope}{kind}", decoder(ObjectList[_Workload]), {"labelSelector": "app=vcluster"}
    )


def _status(workload: _Workload) -> str:
    if workload.metadata.annotations.paused == "true" or workload.metadata.labels.sleep_mode == "true":
        return PAUSED
    if workload.spec.replicas == 0:
        return SCALED_DOWN
    return RUNNING if workload.status.ready else NOT_READY


def _version(workload: _Workload) -> str:
    spec = workload.spec.template.spec
    images = {container.name: container.image for container in [*spec.init_containers, *spec.containers]}
    # A registry may have a port and an image a digest; only what follows the last colon of the last part is a tag.
    return images.get("syncer", "").partition("@")[0].rpartition("/")[2].partition(":")[2]
