"""Finds KubeVirt's pods that serve metrics, by their label or by the endpoints of their Service."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from kubectl_vmetrics.kube import endpoints
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.core import Condition, ObjectMeta, holds
from kubectl_vmetrics.kube.endpoints import Address
from kubectl_vmetrics.kube.errors import Forbidden, NotFound, StatusError
from kubectl_vmetrics.kube.lists import ObjectList, decoder, list_all, pods_path

from .components import Component
from .installation import METRICS_LABEL, Installation

KIND_LABEL = "kubevirt.io"
PORT = "metrics"
SERVICE = "kubevirt-prometheus-metrics"
"""Of all components; its selector is the label of those pods (pkg/virt-operator/resource/generate/components)."""
KINDS = ("virt-api", "virt-controller", "virt-handler", "virt-operator", "virt-exportproxy")


class _Port(msgspec.Struct):
    number: int = msgspec.field(name="containerPort")
    name: str = ""


class _Container(msgspec.Struct):
    image: str = ""
    ports: list[_Port] = []


class _Spec(msgspec.Struct):
    node: str = msgspec.field(default="", name="nodeName")
    containers: list[_Container] = []


class _Status(msgspec.Struct):
    phase: str = ""
    ip: str = msgspec.field(default="", name="podIP")
    conditions: list[Condition] = []


class _Pod(msgspec.Struct):
    metadata: ObjectMeta
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


def by_pods(client: Client, installation: Installation) -> list[Component]:
    """Pods with the label, and a container port of the name. Raises as Client.get."""
    found: list[_Pod] = list_all(
        client, pods_path(installation.namespace), decoder(ObjectList[_Pod]), {"labelSelector": METRICS_LABEL}
    )
    listed = []
    for pod in found:
        at = next(((c.image, port.number) for c in pod.spec.containers for port in c.ports if port.name == PORT), None)
        if at is None or pod.status.phase in ("Succeeded", "Failed"):
            continue
        image, number = at
        ready = holds(pod.status.conditions, "Ready")
        kind, meta = pod.metadata.labels.get(KIND_LABEL, ""), pod.metadata
        listed.append(Component(kind, meta.namespace, meta.name, pod.spec.node, number, pod.status.ip, ready, image))
    return listed


def by_slices(client: Client, installation: Installation) -> list[Component]:
    """The pods in the EndpointSlices of the Service. Raises as Client.get."""
    return _components(endpoints.slices(client, installation.namespace, SERVICE, PORT))


def by_endpoints(client: Client, installation: Installation) -> list[Component]:
    """The pods in its Endpoints. Raises as Client.get."""
    return _components(endpoints.endpoints(client, installation.namespace, SERVICE, PORT))


SOURCES: dict[str, Callable[[Client, Installation], list[Component]]] = {
    "pods": by_pods,
    "endpointslices": by_slices,
    "endpoints": by_endpoints,
}
"""Ways to find them, the one that tells most first."""


def find(client: Client, installation: Installation, source: str | None = None) -> list[Component]:
    """The pods that serve metrics, by kind, node and name.

    Args:
        client: the cluster.
        installation: where KubeVirt is.
        source: one of SOURCES; None for the first that you are allowed to read.

    Raises:
        StatusError, ConnectionFailed, BadAnswer: as Client.get; if all sources fail, the error of the first.
    """
    found: list[Component] | StatusError = []
    for way in [SOURCES[source]] if source else SOURCES.values():
        try:
            found = way(client, installation)
            break
        except (Forbidden, NotFound) as error:
            found = found or error
    if isinstance(found, StatusError):
        raise found
    return sorted(found, key=lambda item: (item.kind, item.node, item.name))


def _components(addresses: list[Address]) -> list[Component]:
    """The component behind an address, according to the pod's name."""
    return [
        Component(
            next((kind for kind in KINDS if item.pod.startswith(f"{kind}-")), ""),
            item.namespace,
            item.pod,
            item.node,
            item.port,
            item.ip,
            item.ready,
        )
        for item in addresses
        if item.pod
    ]
