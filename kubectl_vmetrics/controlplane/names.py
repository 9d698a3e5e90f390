"""The names of the objects that `manifests` prints for a control plane. Pure."""

from __future__ import annotations

from kubectl_vmetrics.kube.names import SUBDOMAIN, fitted

from .plane import KAMAJI, Plane

SUFFIX = "vmetrics"


def own(plane: Plane) -> str:
    """Of its Service and ServiceMonitor; a tenant of Kamaji and a virtual cluster of one name have different ones."""
    return fitted(f"{plane.name}-{SUFFIX}" if plane.kind == KAMAJI else f"vc-{plane.name}-{SUFFIX}")


def targets(plane: Plane) -> str:
    """Of Prometheus' role and its binding: to find the replicas."""
    return fitted(f"{own(plane)}-targets", SUBDOMAIN)


def secrets(plane: Plane) -> str:
    """Of the operator's role and its binding: to read the certificate."""
    return fitted(f"{own(plane)}-secrets", SUBDOMAIN)


def client(plane: Plane) -> str:
    """Of the Secret with a certificate that was made for monitoring, as Prometheus reads it."""
    return fitted(f"{own(plane)}-client", SUBDOMAIN)


def authority(plane: Plane) -> str:
    """Of the ConfigMap with the certificate of a tenant's authority."""
    return fitted(f"{own(plane)}-ca", SUBDOMAIN)


def generator(namespace: str) -> str:
    """Of what makes certificates for the tenants of a namespace; it is in none itself."""
    return fitted(f"{SUFFIX}-{namespace}", SUBDOMAIN)
