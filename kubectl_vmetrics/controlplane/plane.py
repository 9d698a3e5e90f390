"""A control plane, its replicas, and what in them serves metrics."""

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
        address: the pod's IP, or its name for those inside of the cluster; "" while it has none.
        authorized: whether it asks for a client certificate; it is then reached by port-forward, else through the
            apiserver's proxy.
        verified: whether its certificate is signed by the control plane's authority; others make one for themselves.
        scheme: http or https.
        optional: whether it may not be there without anything being wrong.
        fallback: another path to try where the first is not found.
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
        status: in the words of whoever runs it: Ready, Sleeping, Running, Paused, …
        asleep: whether it is meant not to run.
        wanted: replicas; ready: those that are.
        components: of all replicas.
        secrets: names of what may hold credentials, by what they are; see `credentials`.
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
        """namespace/name: also its `cluster` label, since two may have the same name."""
        return f"{self.namespace}/{self.name}"

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from every other one."""
        return self.kind, self.namespace, self.name

    @property
    def server_name(self) -> str:
        """A name that the certificate of its apiserver holds."""
        return f"{self.name}.{self.namespace}.svc" if self.kind == KAMAJI else "kubernetes.default"

    def secret(self, what: str) -> str:
        """The name of one of its Secrets; "" where there is none of the sort."""
        return dict(self.secrets).get(what, "")
