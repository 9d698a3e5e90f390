"""Core objects that tables need: nodes, pods, namespaces and workloads, with only the fields in use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from .client import PARTIAL_LIST, Client, escape
from .errors import Forbidden
from .lists import ObjectList, decoder, list_all, pods_path


class ObjectMeta(msgspec.Struct):
    """metadata without annotations: those of synced pods hold tokens, and are read one by one where needed."""

    name: str
    namespace: str = ""
    labels: dict[str, str] = {}
    created: str | None = msgspec.field(default=None, name="creationTimestamp")


class Condition(msgspec.Struct):
    """A condition of an object's status."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


def holds(conditions: Iterable[Condition], kind: str) -> bool:
    """Whether the condition of that type is True; False if it is missing."""
    return any(item.type == kind and item.status == "True" for item in conditions)


class ContainerCommand(msgspec.Struct):
    """A container of a pod, by what it runs."""

    name: str = ""
    image: str = ""
    args: list[str] = []
    command: list[str] = []


class _Swap(msgspec.Struct):
    capacity: int | None = None


class _NodeInfo(msgspec.Struct):
    swap: _Swap | None = None


class _NodeStatus(msgspec.Struct):
    allocatable: dict[str, str] = {}
    capacity: dict[str, str] = {}
    node_info: _NodeInfo = msgspec.field(default_factory=_NodeInfo, name="nodeInfo")


class Node(msgspec.Struct):
    """v1.Node: what it has."""

    metadata: ObjectMeta
    status: _NodeStatus = msgspec.field(default_factory=_NodeStatus)

    @property
    def swap_bytes(self) -> int | None:
        """Swap of the machine; None if the kubelet does not report it."""
        return self.status.node_info.swap.capacity if self.status.node_info.swap else None


class Resources(msgspec.Struct):
    """Requests and limits as quantities."""

    requests: dict[str, str] = {}
    limits: dict[str, str] = {}


class ContainerSpec(msgspec.Struct):
    """A container as asked for.

    Attributes:
        restart: of init containers: "Always" makes one a sidecar.
    """

    name: str = ""
    resources: Resources = msgspec.field(default_factory=Resources)
    image: str = ""
    restart: str | None = msgspec.field(default=None, name="restartPolicy")


class ContainerStatus(msgspec.Struct):
    """What a container has: None before the kubelet reports it, and before Kubernetes 1.33."""

    name: str = ""
    restarts: int = msgspec.field(default=0, name="restartCount")
    resources: Resources | None = None
    allocated: dict[str, str] = msgspec.field(default_factory=dict, name="allocatedResources")


class _PodSpec(msgspec.Struct):
    node: str = msgspec.field(default="", name="nodeName")
    containers: list[ContainerSpec] = []
    init_containers: list[ContainerSpec] = msgspec.field(default_factory=list, name="initContainers")
    resources: Resources | None = None
    overhead: dict[str, str] = {}
    host_network: bool = msgspec.field(default=False, name="hostNetwork")


class _PodStatus(msgspec.Struct):
    phase: str = ""
    conditions: list[Condition] = []
    containers: list[ContainerStatus] = msgspec.field(default_factory=list, name="containerStatuses")
    init_containers: list[ContainerStatus] = msgspec.field(default_factory=list, name="initContainerStatuses")
    resources: Resources | None = None
    allocated: dict[str, str] = msgspec.field(default_factory=dict, name="allocatedResources")


class Pod(msgspec.Struct):
    """v1.Pod: where it runs, what it asked for and what it has."""

    metadata: ObjectMeta
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)
    status: _PodStatus = msgspec.field(default_factory=_PodStatus)


class _ClaimSpec(msgspec.Struct):
    resources: Resources = msgspec.field(default_factory=Resources)


class Claim(msgspec.Struct):
    """v1.PersistentVolumeClaim: what it requests."""

    metadata: ObjectMeta
    spec: _ClaimSpec = msgspec.field(default_factory=_ClaimSpec)


class _QuotaSpec(msgspec.Struct):
    scopes: list[str] = []
    selector: dict[str, Any] | None = msgspec.field(default=None, name="scopeSelector")


class _QuotaStatus(msgspec.Struct):
    hard: dict[str, str] = {}
    used: dict[str, str] = {}


class Quota(msgspec.Struct):
    """v1.ResourceQuota: limits of a namespace, and how much of each is used."""

    metadata: ObjectMeta
    spec: _QuotaSpec = msgspec.field(default_factory=_QuotaSpec)
    status: _QuotaStatus = msgspec.field(default_factory=_QuotaStatus)

    @property
    def scoped(self) -> bool:
        """Whether it is about some of the objects only."""
        return bool(self.spec.scopes or self.spec.selector)


class Named(msgspec.Struct):
    """The metadata of any object."""

    metadata: ObjectMeta


def nodes(client: Client, *, labels: str | None = None) -> list[Node]:
    """All nodes, in the server's order. Raises as Client.get."""
    found: list[Node] = list_all(client, "/api/v1/nodes", decoder(ObjectList[Node]), {"labelSelector": labels})
    return found


def node(client: Client, name: str) -> Node:
    """One node. Raises as Client.get."""
    found: Node = client.decode(f"/api/v1/nodes/{escape(name)}", decoder(Node))
    return found


def pods(client: Client, namespace: str | None, *, labels: str | None = None, fields: str | None = None) -> list[Pod]:
    """Pods of a namespace, or of all. Raises as Client.get."""
    params = {"labelSelector": labels, "fieldSelector": fields}
    found: list[Pod] = list_all(client, pods_path(namespace), decoder(ObjectList[Pod]), params)
    return found


def namespaces(client: Client, *, labels: str | None = None) -> list[Named]:
    """Namespaces by metadata. Raises as Client.get."""
    found: list[Named] = list_all(
        client, "/api/v1/namespaces", decoder(ObjectList[Named]), {"labelSelector": labels}, accept=PARTIAL_LIST
    )
    return found


def claims(client: Client, namespace: str | None) -> list[Claim]:
    """PersistentVolumeClaims of a namespace, or of all. Raises as Client.get."""
    found: list[Claim] = list_all(client, _path(namespace, "persistentvolumeclaims"), decoder(ObjectList[Claim]))
    return found


def quotas(client: Client, namespace: str | None) -> list[Quota]:
    """ResourceQuotas of a namespace, or of all. Raises as Client.get."""
    found: list[Quota] = list_all(client, _path(namespace, "resourcequotas"), decoder(ObjectList[Quota]))
    return found


def _path(namespace: str | None, resource: str) -> str:
    return f"/api/v1/namespaces/{escape(namespace)}/{resource}" if namespace else f"/api/v1/{resource}"


def count_claims(client: Client, namespace: str | None) -> int:
    """How many PersistentVolumeClaims there are in a namespace, or in all. Raises as Client.get."""
    return len(
        list_all(client, _path(namespace, "persistentvolumeclaims"), decoder(ObjectList[Named]), accept=PARTIAL_LIST)
    )


def labels_of_namespaces(client: Client) -> dict[str, dict[str, str]]:
    """The labels of each namespace; empty if they cannot be listed. Raises as Client.get otherwise."""
    try:
        return {item.metadata.name: item.metadata.labels for item in namespaces(client)}
    except Forbidden:
        return {}
