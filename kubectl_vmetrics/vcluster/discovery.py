"""Finds the virtual clusters on a host.

As `vcluster list` finds them (loft-sh/vcluster pkg/cli/find/find.go): StatefulSets and Deployments with the label
app=vcluster, each named by its label release.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from kubectl_vmetrics.kube.client import Client, escape
from kubectl_vmetrics.kube.core import ContainerCommand
from kubectl_vmetrics.kube.errors import Forbidden, UsageError, VmetricsError
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.kube.lists import ObjectList, decoder, list_all
from kubectl_vmetrics.metrics.findings import either

from .identity import VClusterRef

RUNNING = "Running"
NOT_READY = "NotReady"
PAUSED = "Paused"
SCALED_DOWN = "ScaledDown"

LISTED = 10
"""Virtual clusters that an error lists at most."""

CONTROL_PLANE_APPS = ("vcluster", "vcluster-etcd", "vcluster-api", "vcluster-controller")
"""The label app of control plane pods; the last two are of charts up to v0.19."""


class VCluster(msgspec.Struct, frozen=True):
    """A virtual cluster and its status.

    Attributes:
        ref: its identity.
        status: Running, NotReady, Paused or ScaledDown.
        version: the tag of its syncer's image, "" where the image has none.
        target: the host namespace to which its syncer's flags send all pods (up to v0.19), "" for its own.
        private: whether its image shows that it has private nodes; see `private_nodes`.
    """

    ref: VClusterRef
    status: str = RUNNING
    version: str = ""
    target: str = ""
    private: bool = False


class Inventory(NamedTuple):
    """The virtual clusters that were found, and where the list is complete.

    Attributes:
        everywhere: whether the list is complete for the host.
        namespace: otherwise, the host namespace for which it is complete; None if any may be missing.
        gaps: what could not be listed.
    """

    clusters: Sequence[VCluster] = ()
    everywhere: bool = False
    namespace: str | None = None
    gaps: tuple[str, ...] = ()

    def covers(self, namespace: str) -> bool:
        """Whether the list is complete for a host namespace."""
        return self.everywhere or namespace == self.namespace


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
    containers: list[ContainerCommand] = []
    init_containers: list[ContainerCommand] = msgspec.field(default_factory=list, name="initContainers")


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
    """The virtual clusters of a host namespace, or of all; see `look`.

    Args:
        client: the host.
        namespace: None for all.
        warn: called with what could not be listed, so that virtual clusters may be missing.

    Raises:
        StatusError, ConnectionFailed, BadAnswer: as Client.get.
    """
    found = look(client, namespace)
    for gap in found.gaps:
        warn(gap)
    return list(found.clusters)


def look(client: Client, namespace: str | None = None) -> Inventory:
    """The virtual clusters of a host namespace, or of all, in order of namespace and name.

    Without the right to list the whole host, only the kubeconfig's namespace is searched, as in `vcluster list`.

    Raises:
        StatusError, ConnectionFailed, BadAnswer: as Client.get.
    """
    answers = gather([_workloads(client, kind, namespace) for kind in ("statefulsets", "deployments")])
    failed = [answer for answer in answers if isinstance(answer, VmetricsError)]
    if len(failed) == len(answers) and namespace is None and all(isinstance(error, Forbidden) for error in failed):
        try:
            found = look(client, client.namespace)
        except Forbidden:
            raise failed[0] from None
        gap = f"virtual clusters outside namespace {client.namespace} are not known: {failed[0].message}"
        return found._replace(gaps=(gap, *found.gaps))
    # One of the two kinds may be forbidden where the other is not; a virtual cluster is one or the other.
    if len(failed) == len(answers) or any(not isinstance(error, Forbidden) for error in failed):
        raise failed[0]
    clusters: dict[VClusterRef, VCluster] = {}
    for answer in answers:
        for workload in [] if isinstance(answer, VmetricsError) else answer:
            if name := workload.metadata.labels.release:
                ref = VClusterRef(workload.metadata.namespace, name)
                clusters[ref] = VCluster(
                    ref, _status(workload), _version(workload), _target(workload), _private(workload)
                )
    ordered = [clusters[ref] for ref in sorted(clusters, key=lambda ref: (ref.host_namespace, ref.name))]
    if failed:  # not being allowed to list is no proof that there is nothing
        return Inventory(ordered, gaps=tuple(f"virtual clusters may be missing: {error.message}" for error in failed))
    return Inventory(ordered, namespace is None, namespace)


def select(known: Sequence[VCluster], text: str) -> VClusterRef:
    """The virtual cluster that --vcluster names.

    Args:
        known: those to choose from.
        text: [HOSTNS/]NAME, followed by /NAMESPACE/NAME for one that runs inside another.

    Raises:
        UsageError: no virtual cluster of that name, or several; the message lists the choices.
    """
    parts = text.split("/")
    if not all(parts):
        raise UsageError(f'--vcluster: "{text}" is not [HOSTNS/]NAME')
    host_namespace = parts.pop(0) if len(parts) % 2 == 0 else None
    name = parts.pop(0)
    matching = [v.ref for v in known if v.ref.name == name and host_namespace in (None, v.ref.host_namespace)]
    if not matching:
        raise not_found(f"{host_namespace}/{name}" if host_namespace else name, known, host_namespace)
    if len(matching) > 1:
        raise UsageError(
            f'there are several virtual clusters "{name}": specify one with --vcluster '
            + either([ref.path for ref in matching], LISTED)
        )
    ref = matching[0]
    while parts:
        ref = VClusterRef(parts.pop(0), parts.pop(0), ref)
    return ref


def not_found(asked: str, known: Sequence[VCluster], namespace: str | None) -> UsageError:
    """The error for a virtual cluster that does not exist, with the names to choose from.

    Args:
        asked: its name, as the user wrote it.
        known: the virtual clusters that were found.
        namespace: the host namespace that was searched; None for all of them.
    """
    where = f"in namespace {namespace}" if namespace else "on the host"
    names = [v.ref.path for v in known]
    more = f" and {len(names) - LISTED} more; `top vclusters` lists all" if len(names) > LISTED else ""
    listed = f"; choose from {', '.join(names[:LISTED])}{more}" if names else f": there are no virtual clusters {where}"
    return UsageError(f'virtual cluster "{asked}" not found{listed}')


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


def _private(workload: _Workload) -> bool:
    images = {container.name: container.image for container in workload.spec.template.spec.init_containers}
    return images.get("kubernetes", "").partition("@")[0].endswith("-full")


def _syncer(workload: _Workload) -> ContainerCommand:
    spec = workload.spec.template.spec
    containers = {container.name: container for container in [*spec.init_containers, *spec.containers]}
    return containers.get("syncer", ContainerCommand())


def _version(workload: _Workload) -> str:
    # A registry may have a port and an image a digest; only what follows the last colon of the last part is a tag.
    return _syncer(workload).image.partition("@")[0].rpartition("/")[2].partition(":")[2]


def _target(workload: _Workload) -> str:
    syncer = _syncer(workload)
    given = [*syncer.command, *syncer.args]
    for flag, value in zip(given, [*given[1:], ""], strict=False):
        name, sign, own = flag.partition("=")
        if name == "--target-namespace":
            return own if sign else value
    return ""
