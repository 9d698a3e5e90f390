"""The demo cluster's control planes: tenants of Kamaji, and those of its virtual clusters, with their metrics.

Of the tenants, the first is well, with two replicas; the second's certificate has lost its group, and its
administrator's Secret is gone, so nothing can be read; further ones are as the first, with one replica.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, NamedTuple

from kubectl_vmetrics.kube.discovery import ApiResource

from . import expositions, private_nodes
from .certificates import Authority, Pair
from .cluster import Container, DemoPod, DemoVCluster
from .exchange import Key, Refusal, Reply, Request, User
from .expositions import Process
from .forward import Listener
from .machines import same_uid
from .objects import Object
from .usage import memory, worked
from .world import World

NAMESPACE, STORES = "tenants", "kamaji-system"
VERSION, OPERATOR_VERSION = "v1.35.7", "26.8.2"
PORT = 6443
_MINUTES = 8_000
"""The age of every control plane when the demo starts."""
_THROUGH = re.compile(r"/api/v1/namespaces/([^/]+)/pods/http:([^/:]+):(\d+)/proxy/metrics")
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_OPERATOR, _ETCD = "kamaji-6f7b9c5d4-x2x7l", "etcd-0"
_SHARES = {"apiserver": 0.55, "controller-manager": 0.2, "syncer": 0.25}
"""What the processes in the container of a virtual cluster's control plane use of it."""
_COMPONENTS = {
    "apiserver": ("kube-apiserver", f"registry.k8s.io/kube-apiserver:{VERSION}", f"--secure-port={PORT}"),
    "scheduler": ("kube-scheduler", "registry.example/kube-scheduler:1.0", "--bind-address=0.0.0.0"),
    "controller-manager": (
        "kube-controller-manager",
        "registry.example/kube-controller-manager:1.0",
        "--bind-address=0.0.0.0",
    ),
}
"""Containers of a tenant's pods: name, image, argument."""


class Tenant(NamedTuple):
    """A tenant control plane.

    Attributes:
        lost: whether its certificate names no group, and the administrator's Secret is gone.
    """

    name: str
    replicas: int = 1
    lost: bool = False

    def pod(self, replica: int) -> str:
        """The name of one of its pods."""
        digest = hashlib.sha256(self.name.encode()).hexdigest()
        return f"{self.name}-{digest[:8]}-{digest[8 + 5 * replica : 13 + 5 * replica]}"


def tenants(count: int) -> list[Tenant]:
    """So many."""
    known = [Tenant("acme", 2), Tenant("globex", lost=True)]
    return (known + [Tenant(f"tenant-{index}") for index in range(2, count)])[:count]


class Certificates:
    """Of one control plane, made when they are first asked for."""

    def __init__(self, names: Sequence[str], *, groups: tuple[str, ...]) -> None:
        self._names = names
        self._groups = groups

    @cached_property
    def authority(self) -> Authority:
        """Signs all of them."""
        return Authority("kubernetes")

    @cached_property
    def client(self) -> Pair:
        """Of the kubelets' client, or of a virtual cluster's administrator."""
        return self.authority.client("kube-apiserver-kubelet-client", *self._groups)

    @cached_property
    def server(self) -> Any:
        """TLS of the apiserver."""
        return self.authority.server(*self._names)


class ControlPlanes:
    """Objects, Secrets, pods and listeners."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.tenants = tenants(world.cluster.tenants)
        self._certificates = {
            (NAMESPACE, tenant.name): Certificates(
                [f"{tenant.name}.{NAMESPACE}.svc", "localhost"],
                groups=() if tenant.lost else ("kubeadm:cluster-admins",),
            )
            for tenant in self.tenants
        }
        for item in world.cluster.vclusters:
            names = ["kubernetes.default", "localhost", item.name]
            self._certificates[item.namespace, item.name] = Certificates(names, groups=("system:masters",))
        self._replicas = {
            tenant.pod(replica): (tenant, replica) for tenant in self.tenants for replica in range(tenant.replicas)
        }
        self._pods = {name: self._replica(tenant, replica) for name, (tenant, replica) in self._replicas.items()}
        if self.tenants:
            labels = {"app.kubernetes.io/name": "kamaji", "app.kubernetes.io/component": "controller-manager"}
            self._pods[_OPERATOR] = self._made(STORES, _OPERATOR, labels, [_container("kamaji", "manager")])
            self._pods[_ETCD] = self._made(STORES, _ETCD, {}, [_container("etcd", "etcd")])
        self._planes = {(v.namespace, f"{v.name}-0"): v for v in world.cluster.vclusters if not v.paused}
        self._of_planes = {
            (p.namespace, p.name): p for p in world.cluster.pods if (p.namespace, p.name) in self._planes
        }

    def sign_up(self) -> None:
        """Hold the world."""
        world = self._world
        version = partial(ApiResource, "kamaji.clastix.io", "v1alpha1")
        listed = [Key(NAMESPACE, t.name, {}, {}, partial(self._tenant, t)) for t in self.tenants]
        store = [Key("", "default", {}, {}, self._store)] if self.tenants else []
        world.add(version("tenantcontrolplanes", "TenantControlPlane", True, ("tcp",)), listed)
        world.add(version("datastores", "DataStore", False), store)
        world.add(version("kubeconfiggenerators", "KubeconfigGenerator", False))
        world.add(ApiResource("", "v1", "secrets", "Secret", True), self._secrets())
        for pod in self._pods.values():
            world.add_pod(pod, partial(self._rendered, pod))
        world.routes.append(self.route)
        world.listeners.append(self.listeners)

    # ------------------------------------------------------------------------------------------------- objects

    def _replica(self, tenant: Tenant, replica: int) -> DemoPod:
        name = f"{tenant.name}/{replica}"
        containers = [_container(f"{name}/{part}", *names[:2]) for part, names in _COMPONENTS.items()]
        labels = {"kamaji.clastix.io/name": tenant.name}
        return self._made(NAMESPACE, tenant.pod(replica), labels, containers, replica)

    def _made(
        self, namespace: str, name: str, labels: dict[str, str], containers: list[Container], replica: int = 0
    ) -> DemoPod:
        nodes, owner = self._world.cluster.workers, ("ReplicaSet", name.rpartition("-")[0])
        node, phase = nodes[replica % len(nodes)].name, sum(map(ord, name)) % 628 / 100
        uid = same_uid(f"{namespace}/{name}")
        return DemoPod(namespace, name, uid, node, labels, tuple(containers), owner, None, phase, _MINUTES)

    def _rendered(self, pod: DemoPod) -> Object:
        made = self._world.objects.pod(pod)
        arguments = {name: argument for name, _, argument in _COMPONENTS.values()}
        for container in made["spec"]["containers"]:
            container["args"] = [arguments[container["name"]]] if container["name"] in arguments else []
        made["status"]["podIP"] = f"10.244.8.{sum(map(ord, pod.name)) % 250 + 1}"
        return made

    def _meta(self, name: str, namespace: str) -> Object:
        stamp = self._world.objects.stamp(_MINUTES)
        space = {"namespace": namespace} if namespace else {}
        return {"name": name, **space, "labels": {}, "resourceVersion": "1000", "creationTimestamp": stamp}

    def _tenant(self, tenant: Tenant) -> Object:
        name = tenant.name
        ready = {"replicas": tenant.replicas, "readyReplicas": tenant.replicas}
        return {
            "kind": "TenantControlPlane",
            "apiVersion": "kamaji.clastix.io/v1alpha1",
            "metadata": self._meta(name, NAMESPACE),
            "spec": {
                "kubernetes": {"version": VERSION},
                "controlPlane": {"deployment": {"replicas": tenant.replicas}},
                "networkProfile": {"port": PORT},
                "dataStore": "default",
            },
            "status": {
                "kubernetesResources": {"version": {"version": VERSION, "status": "Ready"}, "deployment": ready},
                "certificates": {
                    "ca": {"secretName": f"{name}-ca"},
                    "apiServerKubeletClient": {"secretName": f"{name}-api-server-kubelet-client-certificate"},
                },
                "kubeconfig": {"admin": {"secretName": f"{name}-admin-kubeconfig"}},
            },
        }

    def _store(self) -> Object:
        return {
            "kind": "DataStore",
            "apiVersion": "kamaji.clastix.io/v1alpha1",
            "metadata": self._meta("default", ""),
            "spec": {"driver": "etcd", "endpoints": [f"etcd-0.etcd.{STORES}.svc.cluster.local:2379"]},
            "status": {"ready": True, "usedBy": [f"{NAMESPACE}/{tenant.name}" for tenant in self.tenants]},
        }

    def _secrets(self) -> list[Key]:
        found = []
        for tenant in self.tenants:
            own = self._certificates[NAMESPACE, tenant.name]
            found.append(self._secret(NAMESPACE, f"{tenant.name}-ca", own, lambda c: {"ca.crt": c.authority.pem}))
            found.append(
                self._secret(
                    NAMESPACE,
                    f"{tenant.name}-api-server-kubelet-client-certificate",
                    own,
                    lambda c: {
                        "apiserver-kubelet-client.crt": c.client.certificate,
                        "apiserver-kubelet-client.key": c.client.key,
                    },
                )
            )
        values = {"config.yaml": b"sync: {fromHost: {nodes: {enabled: true}}}\n"}
        private = {"config.yaml": b"privateNodes: {enabled: true}\n"}
        for item in self._world.cluster.vclusters:
            own = self._certificates[item.namespace, item.name]
            found.append(self._secret(item.namespace, f"vc-{item.name}", own, _of_chart))
            found.append(
                self._secret(
                    item.namespace, f"vc-config-{item.name}", own, partial(_same, private if item.private else values)
                )
            )
        return found

    def _secret(
        self, namespace: str, name: str, own: Certificates, data: Callable[[Certificates], dict[str, bytes]]
    ) -> Key:
        def make() -> Object:
            encoded = {key: base64.b64encode(value).decode() for key, value in data(own).items()}
            meta = self._meta(name, namespace)
            return {"kind": "Secret", "apiVersion": "v1", "metadata": meta, "type": "Opaque", "data": encoded}

        return Key(namespace, name, {}, {"type": "Opaque"}, make)

    # ------------------------------------------------------------------------------------------------- metrics

    def route(self, request: Request) -> Reply | None:
        """What asks for no certificate."""
        found = _THROUGH.fullmatch(request.path)
        if not found or found[1] != STORES:
            return None
        if (found[2], found[3]) == (_ETCD, "2381"):
            lines = expositions.etcd(self._process(self._pods[_ETCD], "etcd", "etcd"))
        elif (found[2], found[3]) == (_OPERATOR, "8080"):
            known = [(NAMESPACE, tenant.name) for tenant in self.tenants]
            process = self._process(self._pods[_OPERATOR], "manager", "kamaji")
            lines = expositions.operator(process, OPERATOR_VERSION, known)
        else:
            raise Refusal(503, "ServiceUnavailable", "error trying to reach service: connect: connection refused")
        return Reply(200, _text(lines), _TEXT)

    def listeners(self, namespace: str, pod: str) -> Mapping[int, Listener] | None:
        """What listens in a pod; None where there is no such control plane."""
        if namespace == NAMESPACE and pod in self._replicas:
            return self._of_tenant(*self._replicas[pod])
        plane = self._planes.get((namespace, pod))
        if plane is None:
            return None
        own = self._certificates[namespace, plane.name]
        return {8443: Listener(own.server, partial(self._of_vcluster, plane))}

    def _of_tenant(self, tenant: Tenant, replica: int) -> dict[int, Listener]:
        own = self._certificates[NAMESPACE, tenant.name]
        pod, leads = self._pods[tenant.pod(replica)], replica == 0

        def of(part: str, lines: Callable[[Process], Iterator[str]]) -> Listener:
            name = f"{tenant.name}/{replica}/{part}"
            made = partial(self._process, pod, _COMPONENTS[part][0], name)
            return Listener(own.server, partial(_guarded, lambda: lines(made())))

        return {
            PORT: of("apiserver", lambda item: expositions.apiserver(item, VERSION)),
            10257: of("controller-manager", lambda i: expositions.controller_manager(i, VERSION, leads=leads)),
            10259: of("scheduler", lambda item: expositions.scheduler(item, VERSION, leads=leads)),
        }

    def _of_vcluster(self, plane: DemoVCluster, path: str, user: User) -> tuple[int, bytes, str]:
        if plane.private and (found := private_nodes.answer(self._world, plane, path, user)):
            return found
        pod = self._of_planes[plane.namespace, f"{plane.name}-0"]

        def of(part: str) -> Process:
            return self._process(pod, "syncer", f"{plane.namespace}/{plane.name}/{part}", _SHARES[part])

        served: dict[str, Callable[[], Iterator[str]]] = {
            "/metrics": lambda: expositions.apiserver(of("apiserver"), "v1.34.1"),
            "/metrics/controller-manager": lambda: expositions.controller_manager(
                of("controller-manager"), "v1.34.1", leads=True
            ),
            "/metrics/syncer": lambda: expositions.process(of("syncer")),
        }
        if path not in served:
            return 404, b"404 page not found\n", "text/plain"
        return _guarded(served[path], path, user)

    def _process(self, pod: DemoPod, container: str, name: str, share: float = 1.0) -> Process:
        """A process in a container, which it has to itself, or a share of it."""
        now, age = self._world.seconds(), pod.minutes * 60.0
        own = next(item for item in pod.containers if item.name == container)
        used = own.millicores / 1000 * worked(pod, now) * share
        size = int(memory(pod, own, now) * share) * 1024
        return Process(name, now + age, used, size, self._world.started - age)


def sign_up(world: World) -> ControlPlanes:
    """Run the control planes of tenants, and let those of virtual clusters be reached."""
    part = ControlPlanes(world)
    part.sign_up()
    return part


def _container(process: str, name: str, image: str = "") -> Container:
    """A container with one process in it."""
    found = image or f"registry.example/{name}:1.0"
    return Container(name, found, expositions.millicores(process), expositions.mebibytes(process))


def _same(data: dict[str, bytes], _: Certificates) -> dict[str, bytes]:
    return data


def _of_chart(own: Certificates) -> dict[str, bytes]:
    """What vCluster's chart has in the Secret vc-NAME."""
    return {
        "certificate-authority": own.authority.pem,
        "client-certificate": own.client.certificate,
        "client-key": own.client.key,
    }


def _guarded(lines: Callable[[], Iterator[str]], path: str, user: User) -> tuple[int, bytes, str]:
    if not {"system:masters", "kubeadm:cluster-admins", "system:monitoring"} & set(user.groups):
        message = f'forbidden: User "{user.name}" cannot get path "{path}"'
        body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403}
        return 403, json.dumps({**body, "message": message}).encode(), "application/json"
    return 200, _text(lines()), _TEXT


def _text(lines: Iterator[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
