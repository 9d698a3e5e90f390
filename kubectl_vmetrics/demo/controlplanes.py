"""The embedded cluster's control planes: tenants of Kamaji, and those of its virtual clusters, with their metrics.

Of the tenants, the first is well, with two replicas; the second's certificate has lost its group, and its
administrator's Secret is gone, so nothing can be read; further ones are as the first, with one replica.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from kubectl_vmetrics.kube.discovery import ApiResource

from .certificates import Authority, Pair
from .exchange import Key, Refusal, Reply, Request, Resource
from .forward import Listener, User
from .objects import Object

if TYPE_CHECKING:
    from .apiserver import Apiserver

NAMESPACE, STORES = "tenants", "kamaji-system"
VERSION, OPERATOR_VERSION = "v1.35.7", "26.8.2"
PORT = 6443
_AGE = 300_000.0
"""Seconds that every control plane has run when the demo starts."""
_BUCKETS = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 5.0, 10.0, 60.0)
_THROUGH = re.compile(r"/api/v1/namespaces/([^/]+)/pods/http:([^/:]+):(\d+)/proxy/metrics")
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


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
    """Objects, Secrets and listeners of the apiserver."""

    def __init__(self, apiserver: Apiserver, count: int) -> None:
        self._apiserver = apiserver
        self.tenants = tenants(count)
        self._certificates = {
            (NAMESPACE, tenant.name): Certificates(
                [f"{tenant.name}.{NAMESPACE}.svc", "localhost"],
                groups=() if tenant.lost else ("kubeadm:cluster-admins",),
            )
            for tenant in self.tenants
        }
        for item in apiserver.cluster.vclusters:
            names = ["kubernetes.default", "localhost", item.name]
            self._certificates[item.namespace, item.name] = Certificates(names, groups=("system:masters",))

    # ------------------------------------------------------------------------------------------------- objects

    def resources(self) -> list[Resource]:
        """Tenant control planes, datastores, generators and Secrets."""
        version = partial(ApiResource, "kamaji.clastix.io", "v1alpha1")
        listed = [Key(NAMESPACE, t.name, {}, {}, partial(self._tenant, t)) for t in self.tenants]
        store = [Key("", "default", {}, {}, self._store)] if self.tenants else []
        return [
            Resource(version("tenantcontrolplanes", "TenantControlPlane", True, ("tcp",)), _among(listed)),
            Resource(version("datastores", "DataStore", False), _among(store)),
            Resource(version("kubeconfiggenerators", "KubeconfigGenerator", False), _among([])),
            Resource(ApiResource("", "v1", "secrets", "Secret", True), _among(self._secrets())),
        ]

    def pods(self) -> list[Key]:
        """Replicas, Kamaji itself, and an etcd."""
        found = [
            self._pod_key(NAMESPACE, tenant.pod(replica), {"kamaji.clastix.io/name": tenant.name}, _CONTAINERS)
            for tenant in self.tenants
            for replica in range(tenant.replicas)
        ]
        if self.tenants:
            labels = {"app.kubernetes.io/name": "kamaji", "app.kubernetes.io/component": "controller-manager"}
            found.append(self._pod_key(STORES, "kamaji-6f7b9c5d4-x2x7l", labels, [_container("manager")]))
            found.append(self._pod_key(STORES, "etcd-0", {}, [_container("etcd")]))
        return found

    def _pod_key(self, namespace: str, name: str, labels: dict[str, str], containers: list[Object]) -> Key:
        def make() -> Object:
            return {
                "kind": "Pod",
                "apiVersion": "v1",
                "metadata": self._meta(name, namespace, labels),
                "spec": {"nodeName": self._apiserver.cluster.nodes[0].name, "containers": containers},
                "status": {"phase": "Running", "podIP": f"10.244.8.{sum(map(ord, name)) % 250 + 1}"},
            }

        return Key(namespace, name, labels, {"status.phase": "Running"}, make)

    def _meta(self, name: str, namespace: str, labels: dict[str, str] | None = None) -> Object:
        stamp = self._apiserver.objects.stamp(8_000)
        space = {"namespace": namespace} if namespace else {}
        return {"name": name, **space, "labels": labels or {}, "resourceVersion": "1000", "creationTimestamp": stamp}

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
        found += [
            self._secret(item.namespace, f"vc-{item.name}", self._certificates[item.namespace, item.name], _of_chart)
            for item in self._apiserver.cluster.vclusters
        ]
        values = {"config.yaml": b"sync: {fromHost: {nodes: {enabled: true}}}\n"}
        for item in self._apiserver.cluster.vclusters:
            own = self._certificates[item.namespace, item.name]
            found.append(self._secret(item.namespace, f"vc-config-{item.name}", own, lambda _: values))
        return found

    def _secret(
        self, namespace: str, name: str, own: Certificates, data: Callable[[Certificates], dict[str, bytes]]
    ) -> Key:
        def make() -> Object:
            encoded = {key: base64.b64encode(value).decode() for key, value in data(own).items()}
            meta = self._meta(name, namespace)
            return {"kind": "Secret", "apiVersion": "v1", "metadata": meta, "type": "Opaque", "data": encoded}

        return Key(namespace, name, {}, {}, make)

    # ------------------------------------------------------------------------------------------------- metrics

    def route(self, request: Request) -> Reply | None:
        """What asks for no certificate."""
        found = _THROUGH.fullmatch(request.path)
        if not found or found[1] != STORES:
            return None
        if found[2] == "etcd-0" and found[3] == "2381":
            lines = _etcd(self._seconds())
        elif found[2].startswith("kamaji-") and found[3] == "8080":
            lines = _operator(self.tenants, self._seconds())
        else:
            raise Refusal(503, "ServiceUnavailable", "error trying to reach service: connect: connection refused")
        return Reply(200, _text(lines), _TEXT)

    def listeners(self, namespace: str, pod: str) -> dict[int, Listener] | None:
        """What listens in a pod; None where there is no such control plane."""
        for tenant in self.tenants:
            for replica in range(tenant.replicas):
                if (namespace, pod) == (NAMESPACE, tenant.pod(replica)):
                    return self._of_tenant(tenant, replica)
        for item in self._apiserver.cluster.vclusters:
            if (namespace, pod) == (item.namespace, f"{item.name}-0"):
                own = self._certificates[namespace, item.name]
                return {8443: Listener(own.server, partial(self._of_vcluster, f"{namespace}/{item.name}"))}
        return None

    def _of_tenant(self, tenant: Tenant, replica: int) -> dict[int, Listener]:
        own = self._certificates[NAMESPACE, tenant.name]
        name, leads = f"{tenant.name}/{replica}", replica == 0

        def of(lines: Callable[[], Iterator[str]]) -> Listener:
            return Listener(own.server, partial(_guarded, lines))

        return {
            PORT: of(lambda: _apiserver(name, VERSION, self._seconds())),
            10257: of(lambda: _controller_manager(name, VERSION, self._seconds(), leads=leads)),
            10259: of(lambda: _scheduler(name, VERSION, self._seconds(), leads=leads)),
        }

    def _of_vcluster(self, name: str, path: str, user: User) -> tuple[int, bytes, str]:
        served: dict[str, Callable[[], Iterator[str]]] = {
            "/metrics": lambda: _apiserver(name, "v1.34.1", self._seconds()),
            "/metrics/controller-manager": lambda: _controller_manager(name, "v1.34.1", self._seconds(), leads=True),
            "/metrics/syncer": lambda: _process(name, self._seconds()),
        }
        if path not in served:
            return 404, b"404 page not found\n", "text/plain"
        return _guarded(served[path], path, user)

    def _seconds(self) -> float:
        return self._apiserver.clock() - self._apiserver.started + _AGE


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


def _among(keys: list[Key]) -> Callable[[str | None], list[Key]]:
    return lambda namespace: [key for key in keys if namespace in (None, key.namespace)]


def _container(name: str, *args: str, image: str = "") -> Object:
    return {"name": name, "image": image or f"registry.example/{name}:1.0", "args": list(args)}


_CONTAINERS = [
    _container("kube-apiserver", f"--secure-port={PORT}", image=f"registry.k8s.io/kube-apiserver:{VERSION}"),
    _container("kube-scheduler", "--bind-address=0.0.0.0"),
    _container("kube-controller-manager", "--bind-address=0.0.0.0"),
]


def _text(lines: Iterator[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _weight(name: str) -> int:
    return int(hashlib.sha256(name.encode()).hexdigest()[:4], 16) % 9 + 1


def _process(name: str, seconds: float, version: str = "") -> Iterator[str]:
    weight = _weight(name)
    if version:
        yield f'kubernetes_build_info{{git_version="{version}",platform="linux/amd64"}} 1'
    yield f"process_cpu_seconds_total {0.01 * weight * seconds:.2f}"
    yield f"process_resident_memory_bytes {float((180 + 40 * weight) << 20)!r}"
    yield "process_start_time_seconds 1.79e+09"
    for code, share in (("200", 1.5), ("409", 0.002)):
        labels = f'code="{code}",host="10.96.0.1:443",method="GET"'
        yield f"rest_client_requests_total{{{labels}}} {int(share * weight * seconds)}"


def _histogram(name: str, labels: str, count: int, typical: float) -> Iterator[str]:
    for bound in _BUCKETS:
        yield f'{name}_bucket{{{labels},le="{bound:g}"}} {int(count * min(1.0, (bound / typical / 4) ** 0.3))}'
    yield f'{name}_bucket{{{labels},le="+Inf"}} {count}'


def _apiserver(name: str, version: str, seconds: float) -> Iterator[str]:
    weight = _weight(name)
    yield from _process(f"{name}/apiserver", seconds, version)
    for verb, resource, code, share in (
        ("GET", "pods", "200", 3.0),
        ("LIST", "nodes", "200", 1.0),
        ("PUT", "leases", "200", 2.0),
        ("POST", "events", "201", 0.4),
        ("GET", "pods", "500", 0.003),
        ("WATCH", "pods", "200", 0.3),
    ):
        labels = f'component="apiserver",group="",resource="{resource}",scope="namespace",subresource="",verb="{verb}"'
        count = int(share * weight * seconds)
        yield f'apiserver_request_total{{code="{code}",dry_run="",{labels}}} {count}'
        if code[0] == "2":
            typical = 300.0 if verb == "WATCH" else 0.02
            yield from _histogram("apiserver_request_duration_seconds", labels, count, typical)
    for kind, number in (("mutating", weight % 3), ("readOnly", weight)):
        yield f'apiserver_current_inflight_requests{{request_kind="{kind}"}} {number}'
    yield f'apiserver_longrunning_requests{{resource="pods",verb="WATCH"}} {30 * weight}'
    yield from _histogram("etcd_request_duration_seconds", 'operation="get"', int(weight * seconds), 0.01)
    for resource, count in (("pods", 40 * weight), ("events", -1)):
        yield f'apiserver_resource_objects{{group="",resource="{resource}"}} {count}'


def _controller_manager(name: str, version: str, seconds: float, *, leads: bool) -> Iterator[str]:
    yield from _process(f"{name}/controller-manager", seconds, version)
    yield f'leader_election_master_status{{name="kube-controller-manager"}} {int(leads)}'
    for queue in ("deployment", "endpoint", "job"):
        yield f'workqueue_depth{{name="{queue}"}} {int(leads and seconds % 3)}'


def _scheduler(name: str, version: str, seconds: float, *, leads: bool) -> Iterator[str]:
    yield from _process(f"{name}/scheduler", seconds, version)
    yield f'leader_election_master_status{{name="kube-scheduler"}} {int(leads)}'
    for queue in ("active", "backoff", "gated", "unschedulable"):
        yield f'scheduler_pending_pods{{queue="{queue}"}} {int(leads and queue == "active")}'
    count = int(0.1 * _weight(name) * seconds) if leads else 0
    yield f'scheduler_schedule_attempts_total{{profile="default-scheduler",result="scheduled"}} {count}'
    labels = 'profile="default-scheduler",result="scheduled"'
    yield from _histogram("scheduler_scheduling_attempt_duration_seconds", labels, count, 0.01)


def _etcd(seconds: float) -> Iterator[str]:
    yield from _process("etcd", seconds)
    yield 'etcd_server_version{server_version="3.6.4"} 1'
    yield "etcd_server_has_leader 1"
    yield "etcd_server_is_leader 1"


def _operator(listed: Sequence[Tenant], seconds: float) -> Iterator[str]:
    yield from _process("kamaji", seconds)
    yield f'kamaji_build_info{{version="{OPERATOR_VERSION}"}} 1'
    for tenant in listed:
        labels = f'ready="true",status="Ready",tcp_name="{tenant.name}",tcp_namespace="{NAMESPACE}"'
        yield f"kamaji_tenant_control_plane_status{{{labels}}} 1"
