"""A serving certificate that cert-manager issues and renews (cert-manager.io/v1, https://cert-manager.io/docs/reference/api-docs/)."""

from __future__ import annotations

from typing import NamedTuple

from .bundle import Object

AUTHORITY = "ca.crt"
"""The key of the Secret with the issuer's own certificate; not every issuer writes it (ACME does not)."""


KINDS = {"issuer": "Issuer", "clusterissuer": "ClusterIssuer"}


class Issuer(NamedTuple):
    """Who signs.

    Attributes:
        name: of the object.
        kind: Issuer, in the namespace of the certificate, or ClusterIssuer.
    """

    name: str
    kind: str = "Issuer"


def certificate(meta: Object, secret: str, service: str, issuer: Issuer) -> Object:
    """A Certificate for the names of a Service.

    Args:
        meta: of the object; its namespace is the Service's.
        secret: of type kubernetes.io/tls, which cert-manager creates.
        service: its name.
        issuer: who signs it.
    """
    space = meta["namespace"]
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": meta,
        "spec": {
            "secretName": secret,
            "dnsNames": [f"{service}.{space}.svc", f"{service}.{space}", service],
            "usages": ["server auth"],
            # A new key with each renewal: cert-manager before v1.18 would keep the old one.
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
            "issuerRef": {"group": "cert-manager.io", "kind": issuer.kind, "name": issuer.name},
        },
    }
