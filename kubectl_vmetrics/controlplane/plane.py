"""A control plane, its replicas, and the components in them that serve metrics."""

from __future__ import annotations

from typing import NamedTuple

KAMAJI, VCLUSTER = "kamaji", "vcluster"
KINDS = (KAMAJI, VCLUSTER)

APISERVER, CONTROLLER_MANAGER, SCHEDULER = "apiserver", "controller-manager", "scheduler"
SYNCER, KINE, ETCD, KONNECTIVITY, OPERATOR = "syncer", "kine", "etcd", "konnectivity", "operator"


class Component(NamedTuple):
    """A process of a replica that serves metrics.

    Attributes:
        pod: the replica's pod.
        address: the pod's IP, or its DNS name inside the cluster; "" while it has none.
        authorized: whether it requires a client certificate. If so, it is reached by port-forward, otherwise through
            the apiserver's proxy.
        verified: whether its certificate is signed by the control plane's CA; otherwise, it is self-signed.
        scheme: http or https.
        optional: whether it may be missing without a problem.
        fallback: the path to try if the first is not found.
    """

    name: str
    pod: str
    address: str
    port: int
    path: str = "/metrics"
    authorized: bool = True
    verified: bool = False
    scheme: str = "https"
    optional: bool = False
    fallback: str = ""


class Plane(NamedTuple):
    """A control plane.

    Attributes:
        kind: kamaji or vcluster.
        version: of Kubernetes (kamaji), or of vCluster.
        status: as reported by Kamaji or vCluster: Ready, Sleeping, Running, Paused, …
        asleep: whether it is not meant to run.
        wanted: desired replicas; ready: ready replicas.
        components: of all replicas.
        secrets: the names of Secrets that may hold credentials, by kind; see `credentials`.
    """

    kind: str
    namespace: str
    name: str
    version: str = ""
    status: str = ""
    asleep: bool = False
    wanted: int = 0
    ready: int = 0
    components: tuple[Component, ...] = ()
    secrets: tuple[tuple[str, str], ...] = ()

    @property
    def path(self) -> str:
        """namespace/name; also its `cluster` label, because names are unique only within a namespace."""
        return f"{self.namespace}/{self.name}"

    @property
    def key(self) -> tuple[str, str, str]:
        """What identifies it."""
        return self.kind, self.namespace, self.name

    @property
    def server_name(self) -> str:
        """A DNS name in the certificate of its apiserver."""
        return f"{self.name}.{self.namespace}.svc" if self.kind == KAMAJI else "kubernetes.default"

    def secret(self, what: str) -> str:
        """The name of one of its Secrets; "" if there is none of this kind."""
        return dict(self.secrets).get(what, "")
