"""What the demo cluster holds: nodes, workloads of the host, virtual clusters and their pods."""

from __future__ import annotations

import random
import uuid
from typing import NamedTuple

import msgspec

from kubectl_vmetrics.vcluster import naming

SAFE = "bcdfghjklmnpqrstvwxz2456789"
"""What names end in (k8s.io/apimachinery/pkg/util/rand): no vowels, no words."""
MEBI = 1 << 20


class Shape(NamedTuple):
    """How large the cluster is, and which one of that size.

    Attributes:
        seed: the same seed gives the same names and numbers.
        metrics_api: the versions of metrics.k8s.io that it serves.
        gpu_nodes: how many nodes with GPUs, in addition to `nodes`; see `gpus`.
        private: how many virtual clusters with private nodes, in addition to `vclusters`; see `private_nodes`.
    """

    nodes: int = 3
    pods: int = 40
    vclusters: int = 3
    seed: int = 0
    machines: int = 5
    tenants: int = 2
    metrics_api: tuple[str, ...] = ("v1beta1",)
    gpu_nodes: int = 0
    private: int = 0


class Container(NamedTuple):
    """A container and what it uses on average.

    Attributes:
        generous: what it requests, as a multiple of what it uses on average: CPU, memory; 0 for no request.
        gpus: the resource, and how many of it.
    """

    name: str
    image: str
    millicores: int
    mebibytes: int
    generous: tuple[float, float] = (1.0, 1.0)
    gpus: tuple[str, int] = ("", 0)

    @property
    def requested(self) -> tuple[int, int]:
        """Millicores and MiB."""
        return round(self.millicores * self.generous[0]), round(self.mebibytes * self.generous[1])

    @property
    def limited(self) -> tuple[int, int]:
        """The same for its limits; without a request there is none, or it would be the request."""
        cpu, memory = self.requested
        return (max(self.millicores * 4, cpu), max(self.mebibytes * 2, memory)) if cpu else (0, 0)


class Origin(NamedTuple):
    """The virtual pod that a host pod was synced from."""

    vcluster: str
    namespace: str
    name: str
    uid: str


class Claim(NamedTuple):
    """A claim of a volume, mounted by one pod.

    Attributes:
        host_name: in the pod's namespace on the host.
        origin: the virtual claim; None for a claim of the host itself.
        gibibytes: capacity; used: the share of it that is full, 0 to 1.
    """

    host_name: str
    uid: str
    origin: Origin | None
    gibibytes: int
    used: float


class DemoPod(msgspec.Struct, gc=False):
    """A pod of the host.

    Attributes:
        owner: kind and name of its controller.
        origin: None for a pod of the host itself.
        phase: where in its cycle the pod's usage starts, in radians.
        minutes: its age when the cluster starts.
    """

    namespace: str
    name: str
    uid: str
    node: str
    labels: dict[str, str]
    containers: tuple[Container, ...]
    owner: tuple[str, str]
    origin: Origin | None
    phase: float
    minutes: int
    claim: Claim | None = None


class DemoVCluster(NamedTuple):
    """A virtual cluster: its control plane is a StatefulSet of that name in that namespace.

    Attributes:
        paused: as `vcluster pause` leaves it: scaled to zero, its pods deleted, its volumes kept.
        private: whether it has nodes of its own, so that its pods are not on the host.
    """

    namespace: str
    name: str
    version: str = "0.37.0"
    paused: bool = False
    private: bool = False


class DemoSlice(NamedTuple):
    """A MIG slice of a GPU, and its memory in MiB."""

    profile: str
    instance: int
    mebibytes: int


class DemoGpu(NamedTuple):
    """A GPU, as one device or in slices."""

    number: int
    model: str
    uuid: str
    mebibytes: int
    slices: tuple[DemoSlice, ...] = ()


class DemoNode(NamedTuple):
    """A node of the host. Those with GPUs are tainted: only what asks for a GPU runs there, and daemons."""

    name: str
    cores: int
    gibibytes: int
    address: str
    gpus: tuple[DemoGpu, ...] = ()


class Cluster(NamedTuple):
    """All of it. Pods are in order of namespace and name, as an apiserver lists them.

    Attributes:
        machines: how many virtual machines; see `kubevirt`.
        tenants: how many tenant control planes; see `controlplanes`.
        stopped: pods that were deleted, but left their claims.
        metrics_api: the versions of metrics.k8s.io.
        gpu_nodes: how many more nodes, with GPUs; see `gpus`.
        private: how many more virtual clusters, with private nodes; see `private_nodes`.
    """

    nodes: list[DemoNode]
    vclusters: list[DemoVCluster]
    pods: list[DemoPod]
    namespaces: list[str]
    machines: int = 0
    tenants: int = 0
    stopped: tuple[DemoPod, ...] = ()
    metrics_api: tuple[str, ...] = ("v1beta1",)
    gpu_nodes: int = 0
    private: int = 0

    @property
    def workers(self) -> list[DemoNode]:
        """The nodes without GPUs."""
        return [node for node in self.nodes if not node.gpus]


def paused(cluster: Cluster, namespace: str, name: str) -> Cluster:
    """The same with one of its virtual clusters paused."""

    def belongs(pod: DemoPod) -> bool:
        return pod.namespace == namespace and (
            pod.name == f"{name}-0" if pod.origin is None else pod.origin.vcluster == name
        )

    return cluster._replace(
        vclusters=[
            v._replace(paused=v.paused or (v.namespace, v.name) == (namespace, name)) for v in cluster.vclusters
        ],
        pods=[pod for pod in cluster.pods if not belongs(pod)],
        stopped=(*cluster.stopped, *(pod for pod in cluster.pods if belongs(pod))),
    )


class _App(NamedTuple):
    name: str
    kind: str
    containers: tuple[Container, ...]


def _app(
    name: str,
    millicores: int,
    mebibytes: int,
    kind: str = "Deployment",
    *more: Container,
    generous: tuple[float, float] = (1.0, 1.0),
) -> _App:
    main = Container("main", f"registry.example/{name}:1.4.2", millicores, mebibytes, generous)
    return _App(name, kind, (main, *more))


_SIDECAR = Container("sidecar", "registry.example/proxy:2.1.0", 6, 24, (8.0, 2.5))
_SYSTEM = _app("coredns", 4, 18)
_APPS = {
    "shop": (
        _app("cart", 55, 96, "Deployment", _SIDECAR, generous=(4.0, 2.5)),
        _app("orders-db", 140, 900, "StatefulSet", generous=(3.0, 1.5)),
    ),
    "web": (_app("frontend", 35, 120, generous=(6.0, 2.0)), _app("search", 90, 410, "Deployment", _SIDECAR)),
    "batch": (_app("reports", 320, 256, generous=(0.5, 1.5)), _app("worker", 180, 200, generous=(0.0, 0.0))),
    "default": (_app("a-x-b", 12, 30),),  # the trap: a name that looks translated already
}
_LONG = ("shop", _app("recommendations-for-the-landing-page", 210, 640))
"""Its pods' names are hashed on the host; only one virtual cluster runs it."""

_HOST_APPS = {
    "kube-system": (_app("snapshot-controller", 6, 40), _app("coredns", 5, 20)),
    "monitoring": (_app("prometheus", 260, 1800, "StatefulSet"), _app("grafana", 15, 180)),
    "ingress": (_app("ingress-nginx-controller", 80, 160),),
}
_FIRST = (DemoVCluster("team-a", "shop"), DemoVCluster("team-b", "dev", "0.36.1"), DemoVCluster("team-c", "dev"))


def build(shape: Shape) -> Cluster:
    """Make the cluster of a shape. Raises ValueError for a shape without nodes or with less than nothing."""
    if (
        shape.nodes < 1
        or min(shape.pods, shape.vclusters, shape.machines, shape.tenants, shape.gpu_nodes, shape.private) < 0
    ):
        raise ValueError("the demo needs at least one node and no negative counts")
    return _Builder(shape).cluster()


class _Builder:
    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.random = random.Random(shape.seed)  # noqa: S311 - made-up numbers, not secrets
        # Volumes have a generator of their own: the rest of the cluster does not depend on how many there are.
        self.disks = random.Random(f"{shape.seed} volumes")  # noqa: S311
        self.nodes = [DemoNode(f"worker-{i + 1}", 16, 64, f"10.0.{i // 250}.{i % 250 + 1}") for i in range(shape.nodes)]
        extra = (DemoVCluster(f"tenant-{i:03d}", f"vc-{i:03d}") for i in range(4, shape.vclusters + 1))
        self.vclusters = [*_FIRST, *extra][: shape.vclusters]
        self.pods: list[DemoPod] = []

    def cluster(self) -> Cluster:
        planes = len(self.vclusters)
        self._control_planes()
        daemons = min(len(self.nodes), max(0, self.shape.pods - planes))
        self._host_daemons(daemons)
        rest = max(0, self.shape.pods - planes - daemons)
        of_host = rest if not self.vclusters else min(rest, max(4, rest // 10))
        self._host_apps(of_host)
        left = rest - of_host
        for index, vcluster in enumerate(self.vclusters):
            share = left // (len(self.vclusters) - index)
            self._synced(vcluster, share)
            left -= share
        self.pods.sort(key=lambda pod: (pod.namespace, pod.name))
        namespaces = sorted(
            {"default", *_HOST_APPS, *(v.namespace for v in self.vclusters), *(p.namespace for p in self.pods)}
        )
        shape = self.shape
        return Cluster(
            self.nodes,
            self.vclusters,
            self.pods,
            namespaces,
            shape.machines,
            shape.tenants,
            metrics_api=shape.metrics_api,
            gpu_nodes=shape.gpu_nodes,
            private=shape.private,
        )

    def _control_planes(self) -> None:
        containers = (Container("syncer", "ghcr.io/loft-sh/vcluster-pro:0.37.0", 60, 380),)
        for vcluster in self.vclusters:
            labels = {"app": "vcluster", "release": vcluster.name}
            self._add(vcluster.namespace, f"{vcluster.name}-0", labels, containers, ("StatefulSet", vcluster.name))

    def _host_daemons(self, count: int) -> None:
        containers = (Container("kube-proxy", "registry.k8s.io/kube-proxy:v1.36.2", 4, 28),)
        for node in self.nodes[:count]:
            name = f"kube-proxy-{self._suffix(5)}"
            self._add(
                "kube-system", name, {"k8s-app": "kube-proxy"}, containers, ("DaemonSet", "kube-proxy"), node=node.name
            )

    def _host_apps(self, count: int) -> None:
        apps = [(namespace, app) for namespace, apps in _HOST_APPS.items() for app in apps]
        for namespace, app, name, owner, labels in self._names(apps, count):
            claim = self._claim(f"data-{name}", None) if app.kind == "StatefulSet" else None
            self._add(namespace, name, labels, app.containers, owner, claim=claim)

    def _claim(self, host_name: str, origin: Origin | None) -> Claim:
        size, used = self.disks.choice((5, 20, 50)), self.disks.uniform(0.1, 0.95)
        return Claim(host_name, self._uid(self.disks), origin, size, used)

    def _synced(self, vcluster: DemoVCluster, count: int) -> None:
        apps = [("kube-system", _SYSTEM), *((namespace, app) for namespace, apps in _APPS.items() for app in apps)]
        apps += [_LONG] if vcluster == _FIRST[0] else []
        for namespace, app, name, owner, labels in self._names(apps, count):
            virtual = Origin(vcluster.name, namespace, name, self._uid())
            labels |= {
                naming.MANAGED_BY: vcluster.name,
                naming.NAMESPACE: namespace,
                naming.namespace_label_key(vcluster.name, "kubernetes.io/metadata.name"): namespace,
            }
            host = naming.host_name(name, namespace, vcluster.name)
            claim = None
            if app.kind == "StatefulSet":
                made = Origin(vcluster.name, namespace, f"data-{name}", self._uid(self.disks))
                claim = self._claim(naming.host_name(made.name, namespace, vcluster.name), made)
            self._add(vcluster.namespace, host, labels, app.containers, owner, origin=virtual, claim=claim)

    def _names(
        self, apps: list[tuple[str, _App]], count: int
    ) -> list[tuple[str, _App, str, tuple[str, str], dict[str, str]]]:
        """Pods of these apps in turn, as many as asked for, named as their controllers would."""
        hashes = [self._suffix(10) for _ in apps]
        made = []
        for index in range(count):
            replica, which = divmod(index, len(apps))
            namespace, app = apps[which]
            labels = {"app": app.name[:63].rstrip("-")}
            if app.kind == "StatefulSet":
                name, owner = f"{app.name}-{replica}", ("StatefulSet", app.name)
                labels["apps.kubernetes.io/pod-index"] = str(replica)
            else:
                owner = ("ReplicaSet", f"{app.name}-{hashes[which]}")
                name = f"{owner[1]}-{self._suffix(5)}"
                labels["pod-template-hash"] = hashes[which]
            made.append((namespace, app, name, owner, labels))
        return made

    def _add(
        self,
        namespace: str,
        name: str,
        labels: dict[str, str],
        containers: tuple[Container, ...],
        owner: tuple[str, str],
        *,
        node: str = "",
        origin: Origin | None = None,
        claim: Claim | None = None,
    ) -> None:
        scale = self.random.uniform(0.6, 1.4)
        containers = tuple(
            c._replace(millicores=max(1, int(c.millicores * scale)), mebibytes=max(1, int(c.mebibytes * scale)))
            for c in containers
        )
        node = node or self.nodes[self.random.randrange(len(self.nodes))].name
        phase, minutes = self.random.uniform(0, 6.28), self.random.randrange(10, 60 * 24 * 30)
        self.pods.append(
            DemoPod(namespace, name, self._uid(), node, labels, containers, owner, origin, phase, minutes, claim)
        )

    def _suffix(self, length: int) -> str:
        return "".join(self.random.choices(SAFE, k=length))

    def _uid(self, source: random.Random | None = None) -> str:
        return str(uuid.UUID(int=(source or self.random).getrandbits(128), version=4))
