"""What can be chosen of the proxy in the host cluster, and the names that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from kubectl_vmetrics.kube import names
from kubectl_vmetrics.vcluster.identity import VClusterRef

from . import certificate, monitor
from .certificate import Issuer
from .monitor import Access, Secret

NAME = "vmetrics-proxy"


class Settings(NamedTuple):
    """What can be chosen.

    Attributes:
        image: holds the plugin, and runs it without further arguments.
        name: of the objects; no two proxies of a namespace may share it.
        token_secret: Secret with the key `token`, which clients present.
        tls_secret: Secret of type kubernetes.io/tls.
        vcluster: the one virtual cluster to serve; None for all.
        clients: namespaces whose pods may connect; all of the cluster's where there are none.
        targets: host namespaces, and the virtual cluster elsewhere that syncs its pods there.
        only_names: whether the proxy serves names and no metrics, so that it needs no rights on nodes.
        monitor: one of monitor.KINDS.
        labels: of what is printed for the Prometheus Operator.
        issuer: the cert-manager issuer of its certificate; None for one that the user creates.
    """

    image: str
    namespace: str
    name: str = NAME
    replicas: int = 2
    token_secret: str = f"{NAME}-client-token"
    tls_secret: str = f"{NAME}-serving-cert"
    vcluster: VClusterRef | None = None
    isolate: bool = False
    clients: tuple[str, ...] = ()
    targets: tuple[tuple[str, VClusterRef], ...] = ()
    only_names: bool = False
    monitor: str = monitor.NONE
    labels: Mapping[str, str] = MappingProxyType({})
    issuer: Issuer | None = None

    @property
    def host(self) -> str:
        """The name of the Service, as the certificate has it."""
        return f"{self.name}.{self.namespace}.svc"

    @property
    def access(self) -> Access:
        """How Prometheus is let in. It trusts the issuer's certificate, or else the proxy's own."""
        authority = Secret(self.tls_secret, certificate.AUTHORITY if self.issuer else "tls.crt")
        return Access(self.host, Secret(self.token_secret, "token"), authority)


def secret_names(name: str) -> tuple[str, str]:
    """The Secrets of a proxy, named after what they open: the token of its clients, and what it serves with."""
    return names.fitted(f"{name}-client-token"), names.fitted(f"{name}-serving-cert")


def own_name(vcluster: VClusterRef | None) -> str:
    """The name of a proxy for all virtual clusters, or for one: no other one's has it, so each has its own token."""
    return names.joined(NAME, vcluster.host_namespace, vcluster.name) if vcluster else NAME
