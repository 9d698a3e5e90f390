"""The names of the objects that `manifests` prints for a control plane. Pure."""

from __future__ import annotations

from kubectl_vmetrics.kube.names import SUBDOMAIN, fitted

from .plane import KAMAJI, Plane

SUFFIX = "vmetrics"


def own(plane: Plane) -> str:
    """The name of its Service and ServiceMonitor; a tenant and a virtual cluster of one name have different ones."""
    return fitted(f"{plane.name}-{SUFFIX}" if plane.kind == KAMAJI else f"vc-{plane.name}-{SUFFIX}")


def targets(plane: Plane) -> str:
    """The name of Prometheus' role and its binding, which allow it to discover the replicas."""
    return fitted(f"{own(plane)}-targets", SUBDOMAIN)


def secrets(plane: Plane) -> str:
    """The name of the operator's role and its binding, which allow it to read the certificate."""
    return fitted(f"{own(plane)}-secrets", SUBDOMAIN)


def client(plane: Plane) -> str:
    """The name of the Secret with a certificate for monitoring, in a format that Prometheus reads."""
    return fitted(f"{own(plane)}-client", SUBDOMAIN)


def authority(plane: Plane) -> str:
    """The name of the ConfigMap with the certificate of a tenant's CA."""
    return fitted(f"{own(plane)}-ca", SUBDOMAIN)


def generator(namespace: str) -> str:
    """The name of the KubeconfigGenerator for the tenants of a namespace; it is cluster-scoped."""
    return fitted(f"{SUFFIX}-{namespace}", SUBDOMAIN)
