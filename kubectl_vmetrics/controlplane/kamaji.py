"""Kamaji's tenant control planes, its operator and its datastores (clastix/kamaji api/v1alpha1)."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from kubectl_vmetrics.kube.client import Client, escape
from kubectl_vmetrics.kube.core import ObjectMeta
from kubectl_vmetrics.kube.errors import Forbidden, NotFound
from kubectl_vmetrics.kube.lists import ObjectList, decoder, list_all

from . import pods, stores
from .plane import (
    APISERVER,
    CONTROLLER_MANAGER,
    KAMAJI,
    KINE,
    KONNECTIVITY,
    OPERATOR,
    SCHEDULER,
    Component,
    Plane,
)
from .pods import Pod

GROUP = "kamaji.clastix.io"
NAME_LABEL = "kamaji.clastix.io/name"
KUBELET, ADMIN, CA = "kubelet", "admin", "ca"
"""The kinds of Secrets; those of generators are `generator:NAME`."""
SLEEPING = "Sleeping"
KONNECTIVITY_TELLS = (0, 34)
"""The version from which konnectivity-server serves metrics on its health port, without authentication."""


class _Deployment(msgspec.Struct):
    replicas: int | None = None


class _ControlPlane(msgspec.Struct):
    deployment: _Deployment = msgspec.field(default_factory=_Deployment)


class _Network(msgspec.Struct):
    port: int = 6443


class _Spec(msgspec.Struct):
    control_plane: _ControlPlane = msgspec.field(default_factory=_ControlPlane, name="controlPlane")
    network: _Network = msgspec.field(default_factory=_Network, name="networkProfile")


class _Version(msgspec.Struct):
    version: str = ""
    status: str = ""


class _Ready(msgspec.Struct):
    ready: int = msgspec.field(default=0, name="readyReplicas")


class _Resources(msgspec.Struct):
    version: _Version = msgspec.field(default_factory=_Version)
    deployment: _Ready = msgspec.field(default_factory=_Ready)


class _Secret(msgspec.Struct):
    name: str = msgspec.field(default="", name="secretName")


class _Certificates(msgspec.Struct):
    ca: _Secret = msgspec.field(default_factory=_Secret)
    kubelet: _Secret = msgspec.field(default_factory=_Secret, name="apiServerKubeletClient")


class _Kubeconfigs(msgspec.Struct):
    admin: _Secret = msgspec.field(default_factory=_Secret)


class _Status(msgspec.Struct):
    resources: _Resources = msgspec.field(default_factory=_Resources, name="kubernetesResources")
    certificates: _Certificates = msgspec.field(default_factory=_Certificates)
    kubeconfig: _Kubeconfigs = msgspec.field(default_factory=_Kubeconfigs)


class _Tenant(msgspec.Struct):
    metadata: ObjectMeta
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


class _Named(msgspec.Struct):
    metadata: ObjectMeta


class _GroupVersion(msgspec.Struct):
    version: str = ""


class _Group(msgspec.Struct):
    preferred: _GroupVersion = msgspec.field(default_factory=_GroupVersion, name="preferredVersion")


def served(client: Client) -> str | None:
    """The path of the preferred version of Kamaji's API; None if Kamaji is not installed."""
    try:
        found = client.decode(f"/apis/{GROUP}", decoder(_Group))
    except NotFound:
        return None
    return f"/apis/{GROUP}/{found.preferred.version or 'v1alpha1'}"


def find(client: Client, namespace: str | None, api: str) -> list[Plane]:
    """The tenant control planes of one namespace, or of all namespaces.

    Args:
        client: the cluster.
        namespace: None for all.
        api: see `served`.

    Raises:
        StatusError, ConnectionFailed, BadAnswer: as Client.get.
    """
    scope = f"namespaces/{escape(namespace)}/" if namespace else ""
    tenants: list[_Tenant] = list_all(client, f"{api}/{scope}tenantcontrolplanes", decoder(ObjectList[_Tenant]))
    if not tenants:
        return []
    generators = _generators(client, api)
    found: dict[tuple[str, str], list[Pod]] = {}
    for pod in pods.find(client, namespace, NAME_LABEL):
        found.setdefault((pod.metadata.namespace, pod.metadata.labels.get(NAME_LABEL, "")), []).append(pod)
    return [
        _plane(tenant, found.get((tenant.metadata.namespace, tenant.metadata.name), []), generators)
        for tenant in tenants
    ]


def _generators(client: Client, api: str) -> list[str]:
    """KubeconfigGenerators; none if they cannot be listed, or their controller is not installed."""
    try:
        found: list[_Named] = list_all(client, f"{api}/kubeconfiggenerators", decoder(ObjectList[_Named]))
    except (Forbidden, NotFound):
        return []
    return [item.metadata.name for item in found]


def _plane(tenant: _Tenant, found: list[Pod], generators: list[str]) -> Plane:
    name, status = tenant.metadata.name, tenant.status
    wanted = tenant.spec.control_plane.deployment.replicas
    secrets = {f"generator:{generator}": f"{name}-{generator}" for generator in generators}
    secrets |= {
        KUBELET: status.certificates.kubelet.name or f"{name}-api-server-kubelet-client-certificate",
        ADMIN: status.kubeconfig.admin.name or f"{name}-admin-kubeconfig",
        CA: status.certificates.ca.name or f"{name}-ca",
    }
    port = tenant.spec.network.port
    return Plane(
        KAMAJI,
        tenant.metadata.namespace,
        name,
        status.resources.version.version,
        status.resources.version.status or "Unknown",
        wanted == 0 or status.resources.version.status == SLEEPING,
        2 if wanted is None else wanted,
        status.resources.deployment.ready,
        tuple(item for pod in found for item in _components(pod, port)),
        tuple(secrets.items()),
    )


def _components(pod: Pod, apiserver_port: int) -> list[Component]:
    name, address = pod.metadata.name, pod.status.ip
    port = pod.port("kube-apiserver", "--secure-port", apiserver_port)
    manager = pod.port("kube-controller-manager", "--secure-port", 10257)
    scheduler = pod.port("kube-scheduler", "--secure-port", 10259)
    found = [
        Component(APISERVER, name, address, port, verified=True),
        Component(CONTROLLER_MANAGER, name, address, manager),
        Component(SCHEDULER, name, address, scheduler),
    ]
    if pod.has("kine") and pod.flag("kine", "--metrics-bind-address") != "0":
        kine = pod.port("kine", "--metrics-bind-address", 8080)
        found.append(Component(KINE, name, address, kine, authorized=False, scheme="http"))
    if pod.version("konnectivity-server") >= KONNECTIVITY_TELLS:
        health = pod.port("konnectivity-server", "--health-port", 8134)
        found.append(Component(KONNECTIVITY, name, address, health, authorized=False, scheme="http"))
    return found


def operator(client: Client, api: str, warn: Callable[[str], object] = lambda _: None) -> list[Plane]:
    """Kamaji itself, which has its own series about all tenants, and the etcds of its datastores.

    Args:
        client: the cluster.
        api: see `served`.
        warn: called with what could not be read.

    Raises:
        StatusError, ConnectionFailed, BadAnswer: as Client.get.
    """
    found = []
    listed = pods.find(client, None, "app.kubernetes.io/name=kamaji,app.kubernetes.io/component=controller-manager")
    for namespace in sorted({pod.metadata.namespace for pod in listed}):
        here = [pod for pod in listed if pod.metadata.namespace == namespace]
        components = tuple(
            Component(
                OPERATOR,
                pod.metadata.name,
                pod.status.ip,
                pod.port("manager", "--metrics-bind-address", 8080),
                authorized=False,
                scheme="http",
            )
            for pod in here
        )
        found.append(Plane(KAMAJI, namespace, "kamaji", wanted=len(here), ready=len(here), components=components))
    return found + stores.planes(client, api, warn)
