"""A host of twelve virtual clusters that have every reason to be mixed up.

Same names in several host namespaces, two in one, hashed names, namespaces that were synced whole, target namespaces,
a control plane that is gone, pods and Namespaces with forged labels, and kubelets whose series name what others mount.
Every name, uid, claim, sandbox, device and number of it is one word that occurs nowhere else: where a tenant finds one
that is not its own, something leaks.
"""

from __future__ import annotations

import base64
import json
import random
import re
import threading
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from kubectl_vmetrics.demo import watch
from kubectl_vmetrics.demo.exchange import Request
from kubectl_vmetrics.kube.selector import parse_labels
from kubectl_vmetrics.vcluster import naming
from kubectl_vmetrics.vcluster.identity import VClusterRef

Object = dict[str, Any]
NODES = ("node-1", "node-2")
METRICS = "/apis/metrics.k8s.io/v1beta1"
_DICE = random.Random(12)
_LONG = "with-a-name-that-is-far-too-long-for-the-host-to-keep"


def word() -> str:
    """A word that occurs once."""
    return "".join(_DICE.choices("bcdfghjklmnpqrstvwxz", k=12))


def words(*texts: str) -> set[str]:
    """The words that names are made of."""
    return set(re.findall("[bcdfghjklmnpqrstvwxz]{12}", " ".join(texts)))


def uid() -> str:
    """A uid that occurs once."""
    return str(uuid.UUID(int=_DICE.getrandbits(128), version=4))


def number() -> int:
    """A number that occurs once."""
    return _DICE.randrange(10**11, 10**12)


class Thing(NamedTuple):
    """A pod of the host, with its claim, and the virtual ones behind them.

    Attributes:
        namespace, name, uid: on the host; claim: likewise.
        own: words that whoever owns it may see.
        hidden: words that only the host may see.
        numbers: of its usage, which its owner may see.
    """

    namespace: str
    name: str
    uid: str
    claim: str
    virtual: tuple[str, str, str, str]
    labels: dict[str, str]
    annotations: dict[str, str]
    claim_annotations: dict[str, str]
    node: str
    sandbox: str
    container: str
    own: frozenset[str]
    hidden: frozenset[str]
    numbers: tuple[int, int, int]


class Tenant(NamedTuple):
    """A virtual cluster; `ref` is None for the host itself, and for whoever forges labels."""

    ref: VClusterRef | None
    things: tuple[Thing, ...]
    hidden: frozenset[str] = frozenset()

    @property
    def own(self) -> frozenset[str]:
        """What it may see, numbers included."""
        return frozenset().union(*(t.own | {str(n) for n in t.numbers} for t in self.things))

    @property
    def secrets(self) -> frozenset[str]:
        """What nobody else may see; and of `hidden`, not even itself."""
        return self.own | self.hidden.union(*(t.hidden for t in self.things))


def _forms(found: str) -> set[str]:
    """A uid as it is written in paths and cgroups, and so much of it as a cut one would keep."""
    return {found[:13], found[:13].replace("-", "_"), found.replace("-", "")[:12]}


def _thing(
    namespace: str, vcluster: str, space: str, name: str, claim: str, node: str, *, whole: bool = False
) -> Thing:
    host_name = name if whole else naming.host_name(name, space, vcluster)
    host_claim = claim if whole else naming.host_name(claim, space, vcluster)
    host_uid, virtual_uid, claim_uid = uid(), uid(), uid()
    sandbox, container = (f"{_DICE.getrandbits(256):064x}" for _ in range(2))
    secret = word()

    def annotations(kind: str, virtual: str, host: str, own: str) -> dict[str, str]:
        return {
            "vcluster.loft.sh/object-name": virtual,
            "vcluster.loft.sh/object-namespace": space,
            "vcluster.loft.sh/object-kind": f"/v1, Kind={kind}",
            "vcluster.loft.sh/object-host-name": host,
            "vcluster.loft.sh/object-host-namespace": namespace,
            "vcluster.loft.sh/object-uid": own,
            "vcluster.loft.sh/token-x": secret,
        }

    label = word()
    labels = {naming.MANAGED_BY: vcluster, naming.NAMESPACE: space, "app": label}
    return Thing(
        namespace,
        host_name,
        host_uid,
        host_claim,
        (space, name, virtual_uid, claim),
        labels,
        annotations("Pod", name, host_name, virtual_uid),
        annotations("PersistentVolumeClaim", claim, host_claim, claim_uid),
        node,
        sandbox,
        container,
        frozenset({*words(name, claim, space), label, virtual_uid[:13], sandbox[:12], container[:12]}),
        frozenset({*_forms(host_uid), secret}),
        (number(), number(), number()),
    )


def _things(namespace: str, vcluster: str, *, whole: str = "", spaces: int = 2) -> tuple[Thing, ...]:
    found = []
    for index in range(spaces):
        space = whole or f"space-{word()}"
        for node in NODES:
            long = f"-{_LONG}" if index and not whole else ""
            claim = f"data-{word()}{long}"
            found.append(_thing(namespace, vcluster, space, f"web-{word()}{long}", claim, node, whole=bool(whole)))
    return tuple(found)


class World:
    """What there is."""

    def __init__(self) -> None:
        self.tenants: list[Tenant] = []
        self.workloads: list[Object] = []
        self.spaces: list[Object] = []
        self.secrets: dict[str, Object] = {}
        for letter, name in zip("abcdef", ("dev", "dev", "dev", "shop", "shop", "one"), strict=True):
            self._plain(f"team-{letter}-{word()}", name)
        self._plain(str(self.tenants[-1].things[0].namespace), "two")
        for letter in "gh":
            self._whole(f"team-{letter}-{word()}")
        self._targets()
        self._gone()
        self._host()
        self._forged()

    def _plane(self, namespace: str, name: str, version: str = "0.37.0", *args: str) -> None:
        syncer = {"name": "syncer", "image": f"vcluster:{version}", "args": list(args)}
        meta = {"name": name, "namespace": namespace, "labels": {"app": "vcluster", "release": name}}
        spec = {"template": {"spec": {"containers": [syncer]}}}
        self.workloads.append({"metadata": meta, "spec": spec, "status": {"readyReplicas": 1}})

    def _add(self, namespace: str, name: str, things: Iterable[Thing], *more: str) -> None:
        self.tenants.append(Tenant(VClusterRef(namespace, name), tuple(things), frozenset(words(namespace, *more))))

    def _plain(self, namespace: str, name: str) -> None:
        self._plane(namespace, name)
        self._add(namespace, name, _things(namespace, name))

    def space(self, name: str, virtual: str, ref: VClusterRef, marker: str | None = None) -> None:
        """A Namespace that says it was synced."""
        labels = {
            "vcluster.loft.sh/vcluster-name": ref.name,
            "vcluster.loft.sh/vcluster-namespace": ref.host_namespace,
            naming.MANAGED_BY: naming.cluster_marker(ref.host_namespace, ref.name) if marker is None else marker,
        }
        annotations = {"vcluster.loft.sh/object-name": virtual}
        self.spaces.append({"metadata": {"name": name, "labels": labels, "annotations": annotations}})

    def _whole(self, namespace: str) -> None:
        self._plane(namespace, "whole")
        synced, virtual = f"synced-{word()}", f"inner-{word()}"
        self.space(synced, virtual, VClusterRef(namespace, "whole"))
        imported = [t._replace(labels={"app": t.labels["app"]}) for t in _things(synced, "whole", whole=virtual)]
        self._add(namespace, "whole", [*_things(namespace, "whole"), *imported], synced)

    def _targets(self) -> None:
        for letter, name, version in (("i", "old", "0.19.1"), ("j", "old", "0.27.0"), ("k", "given", "0.37.0")):
            namespace, target = f"team-{letter}-{word()}", f"pods-{word()}"
            flags = [f"--target-namespace={target}"] if letter == "i" else []
            self._plane(namespace, name, version, *flags)
            if letter == "j":
                text = f"controlPlane: {{password: {word()}}}\nexperimental: {{syncSettings: {{targetNamespace: {target}}}}}\n"
                path = f"/api/v1/namespaces/{namespace}/secrets/vc-config-{name}"
                self.secrets[path] = {"data": {"config.yaml": _base64(text)}}
            self._add(namespace, name, _things(target, name), target)

    @property
    def given(self) -> list[tuple[str, VClusterRef]]:
        """What nothing but --target-namespace tells."""
        (tenant,) = [t for t in self.tenants if t.ref and t.ref.name == "given"]
        assert tenant.ref
        return [(tenant.things[0].namespace, tenant.ref)]

    def _gone(self) -> None:
        """Pods whose control plane is gone, with the name of one that is there."""
        lost = f"lost-{word()}"
        self.tenants.append(Tenant(None, _things(lost, "shop"), frozenset(words(lost))))

    def _host(self) -> None:
        plain = [
            t._replace(labels={"app": t.labels["app"]}, annotations={}) for t in _things("kube-system", "x", whole="x")
        ]
        self.tenants.append(Tenant(None, tuple(plain)))

    def _forged(self) -> None:
        evil = f"evil-{word()}"
        copied = []
        for tenant in self.tenants[:12]:
            assert tenant.ref
            space, name, _, claim = tenant.things[0].virtual
            for node in NODES:
                made = _thing(evil, tenant.ref.name, space, f"fake-{word()}", f"fake-{word()}", node)
                copied.append(made)
            # Of the very name of a pod that there is.
            copied.append(_thing(evil, tenant.ref.name, space, name, claim, NODES[0]))
        theirs = frozenset().union(*(tenant.own for tenant in self.tenants[:12]))
        copied = [thing._replace(own=thing.own - theirs) for thing in copied]
        self.tenants.append(Tenant(None, tuple(copied), frozenset(words(evil))))
        first = self.tenants[0].ref
        assert first
        for marker in ("", "elsewhere-x-evil"):
            forged = f"forged-{word()}"
            self.space(forged, "x", first, marker)
            self.tenants.append(Tenant(None, _things(forged, "dev", whole="x"), frozenset(words(forged))))

    @property
    def things(self) -> list[Thing]:
        """All pods."""
        return [thing for tenant in self.tenants for thing in tenant.things]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Host:
    """The world as a WSGI application.

    Args:
        world: what there is.
        only: the one host namespace whose control planes may be listed; then Namespaces, claims and Secrets may not.

    Attributes:
        failing: path to (status, message), answered instead.
    """

    def __init__(self, world: World, only: str | None = None) -> None:
        self.world = world
        self.only = only
        self.failing: dict[str, tuple[int, str]] = {}
        self._stopping = threading.Event()

    def close(self) -> None:
        """End the watches."""
        self._stopping.set()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request."""
        query = {key: values[-1] for key, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
        path = environ["PATH_INFO"]
        status, body = self.failing.get(path) or self.answer(path, query)
        if status != 200:
            body = {"kind": "Status", "status": "Failure", "message": body, "reason": "Failed", "code": status}
        if status == 200 and query.get("watch") == "1":
            start_response("200 OK", [("Content-Type", "application/json")])
            return watch.held(Request(path, query, ""), self._stopping)
        text = isinstance(body, str)
        data = body.encode() if text else json.dumps(body).encode()
        kind = "text/plain; version=0.0.4" if text else "application/json"
        start_response(f"{status} Status", [("Content-Type", kind), ("Content-Length", str(len(data)))])
        return [data]

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        """Status and body."""
        parts = path.strip("/").split("/")
        if path.startswith("/api/v1/nodes/") and "/proxy/" in path:
            return self._kubelet(parts[3], path.partition("/proxy/")[2])
        if path in self.world.secrets:
            return (403, "forbidden") if self.only else (200, self.world.secrets[path])
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        namespace = None
        if rest[:1] == ["namespaces"] and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        kind, name = rest[0] if rest else "", rest[1] if len(rest) > 1 else None
        kind = f"{parts[1]}/{kind}" if parts[0] == "apis" else kind
        found = self._objects(kind, namespace)
        if found is None:
            return 403, f"{kind} is forbidden: {self.world.things[0].name}"
        labels = parse_labels(query.get("labelSelector", ""))
        kept = []
        for item in found:
            meta = item["metadata"]
            asked = namespace in (None, meta.get("namespace")) and name in (None, meta["name"])
            if asked and labels.matches(meta.get("labels", {}).get):
                kept.append(item)
        if name is None:
            return 200, {"metadata": {"resourceVersion": watch.VERSION}, "items": kept}
        return (200, kept[0]) if kept else (404, f'{kind} "{name}" not found beside {self.world.things[0].name}')

    def _objects(self, kind: str, namespace: str | None) -> list[Object] | None:
        if self.only and (
            kind in ("namespaces", "persistentvolumeclaims") or (kind.startswith("apps/") and namespace != self.only)
        ):
            return None
        makers = {
            "pods": lambda: [_pod(thing) for thing in self.world.things],
            "persistentvolumeclaims": lambda: [_claim(thing) for thing in self.world.things],
            "namespaces": lambda: self.world.spaces,
            "nodes": lambda: [_node(name) for name in NODES],
            "apps/statefulsets": lambda: self.world.workloads,
            "apps/deployments": list,
            "metrics.k8s.io/pods": lambda: [_usage(thing) for thing in self.world.things],
            "metrics.k8s.io/nodes": lambda: [_node_usage(name) for name in NODES],
        }
        made: list[Object] = makers[kind]() if kind in makers else []
        return made

    def _kubelet(self, node: str, endpoint: str) -> tuple[int, Any]:
        things = [thing for thing in self.world.things if thing.node == node]
        if node not in NODES:
            return 404, f'nodes "{node}" not found'
        if endpoint == "stats/summary":
            return 200, _summary(node, things)
        texts = {
            "metrics/cadvisor": _cadvisor,
            "metrics/resource": _resource,
            "metrics/probes": _probes,
            "metrics": _own,
        }
        return (200, "".join(texts[endpoint](things))) if endpoint in texts else (404, "404 page not found")


def _pod(thing: Thing) -> Object:
    meta = {
        "name": thing.name,
        "namespace": thing.namespace,
        "uid": thing.uid,
        "labels": thing.labels,
        "annotations": thing.annotations,
        "creationTimestamp": "2026-11-21T07:45:17Z",
    }
    return {"metadata": meta, "spec": {"nodeName": thing.node}, "status": {"phase": "Running"}}


def _claim(thing: Thing) -> Object:
    meta = {"name": thing.claim, "namespace": thing.namespace, "uid": uid(), "labels": thing.labels}
    return {"metadata": {**meta, "annotations": thing.claim_annotations}}


def _node(name: str) -> Object:
    status = {"allocatable": {"cpu": "8", "memory": "32Gi"}, "capacity": {"cpu": "8", "memory": "32Gi"}}
    return {"metadata": {"name": name, "labels": {"kubernetes.io/os": "linux"}}, "status": status}


def _usage(thing: Thing) -> Object:
    meta = {"name": thing.name, "namespace": thing.namespace, "labels": thing.labels}
    used = {"cpu": f"{thing.numbers[0]}n", "memory": f"{thing.numbers[1]}"}
    window = {"timestamp": "2026-11-21T07:45:17Z", "window": "15s"}
    return {"metadata": meta, **window, "containers": [{"name": "main", "usage": used}]}


def _node_usage(name: str) -> Object:
    return {"metadata": {"name": name}, "window": "15s", "usage": {"cpu": "1", "memory": "1Gi"}}


def _summary(node: str, things: list[Thing]) -> Object:
    pods = []
    for thing in things:
        volumes = [
            {
                "name": "data",
                "pvcRef": {"name": thing.claim, "namespace": thing.namespace},
                "usedBytes": thing.numbers[2],
            },
            {"name": "scratch", "usedBytes": 1},
        ]
        ref = {"name": thing.name, "namespace": thing.namespace, "uid": thing.uid}
        containers = [{"name": "main", "memory": {"workingSetBytes": thing.numbers[1]}}]
        other = things[(things.index(thing) + 1) % len(things)]
        interfaces = [{"name": "eth0"}, {"name": f"cali{other.sandbox[:11]}"}, {"name": f"lxc{other.sandbox[:12]}"}]
        pods.append({"podRef": ref, "containers": containers, "volume": volumes, "network": {"interfaces": interfaces}})
    return {"node": {"nodeName": node}, "pods": pods}


_NOBODY = 'container="",{},image="",name="",namespace="",pod=""'


def _mounts(thing: Thing) -> Iterator[str]:
    """How a pod shows in series about the machine."""
    yield f"/run/containerd/io.containerd.grpc.v1.cri/sandboxes/{thing.sandbox}/shm"
    yield f"/var/lib/kubelet/pods/{thing.uid}/volumes/kubernetes.io~projected/token"
    yield f"nfs.example:/exports/{thing.namespace}-{thing.claim}-pvc-{thing.uid}"
    yield f"/dev/longhorn/pvc-{thing.uid}"
    yield f"/dev/mapper/vg0-{thing.claim.replace('-', '--')}"
    yield f"/dev/mapper/{thing.sandbox}"
    yield f"/dev/{thing.claim}"
    yield thing.claim


def _cgroups(thing: Thing) -> Iterator[str]:
    yield f"/kubepods/burstable/pod{thing.uid}"
    yield f"/kubepods/burstable/pod{thing.uid}/{thing.sandbox}"
    yield f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{thing.uid.replace('-', '_')}.slice"
    yield f"/kubepods/pod{thing.uid.replace('-', '')}"
    yield f"/kubepods/pod{thing.uid[:18]}"
    yield f"/system.slice/run-containerd-sandboxes-{thing.sandbox}-shm.mount"
    yield f"/system.slice/var-lib-kubelet-pods-{thing.uid.replace('-', 'x2d')}.mount"
    yield f"/system.slice/{thing.name}.service"
    yield f"/{thing.sandbox}"


def _cadvisor(things: list[Thing]) -> Iterator[str]:
    yield "# HELP container_memory_rss Size of RSS.\n# TYPE container_memory_rss gauge\n"
    yield f"container_memory_rss{{{_NOBODY.format('id=~/~')}}} 1\n".replace("~", '"')
    for thing in things:
        names = f'namespace="{thing.namespace}",pod="{thing.name}"'
        cgroup = f"/kubepods/burstable/pod{thing.uid}/{thing.container}"
        yield (
            f'container_memory_rss{{container="main",id="{cgroup}",image="registry/x",name="{thing.container}",{names}}} '
            f"{thing.numbers[1]} 1795249655091\n"
        )
        for device in _mounts(thing):
            yield f"container_fs_usage_bytes{{{_NOBODY.format(f'device=~{device}~,id=~/~')}}} 1\n".replace("~", '"')
        for group in _cgroups(thing):
            yield f"container_memory_rss{{{_NOBODY.format(f'id=~{group}~')}}} 1\n".replace("~", '"')
        for interface in (f"cali{thing.sandbox[:11]}", f"veth{thing.sandbox[:8]}", thing.name):
            labels = f'container="",id="/",image="",interface="{interface}",name="",namespace="",pod=""'
            yield f"container_network_receive_bytes_total{{{labels}}} 1\n"
        yield from _malformed(thing)


def _malformed(thing: Thing) -> Iterator[str]:
    """What no kubelet should write, and one might."""
    yield f"# of {thing.name}\n"
    yield f'x{{pod ="{thing.name}",namespace="{thing.namespace}"}} 1\n'
    yield f'x{{persistentvolumeclaim ="{thing.claim}",namespace="{thing.namespace}"}} 1\n'
    yield f'x{{"pod"="{thing.name}","namespace"="{thing.namespace}"}} 1\n'
    yield f'x{{pod="{thing.name}" namespace="{thing.namespace}"}} 1\n'
    yield f'x{{pod="{thing.name} 1\n'
    yield f'x pod="{thing.name}" 1\n'
    yield f'x{{}} 1 # {{pod="{thing.name}"}} 1\n'
    yield f'x 1 # {{pod="{thing.name}"}} 1\n'
    yield f'x 1 pod="{thing.name}"\n'
    yield f'{{"{thing.name}"}} 1\n'
    yield f'x{{id="{thing.sandbox}",id="/"}} 1\n'
    yield f'x{{exported_pod="{thing.name}"}} 1\nx{{volume_name="pvc-{thing.uid}"}} 1\nx{{uid="{thing.uid}"}} 1\n'
    yield f'x{{namespace="{thing.namespace}"}} 1\nx{{name="{thing.name}"}} 1\nx{{path="containerLogs/{thing.name}"}} 1\n'


def _resource(things: list[Thing]) -> Iterator[str]:
    yield "node_memory_working_set_bytes 1\n"
    for thing in things:
        names = f'container="main",namespace="{thing.namespace}",pod="{thing.name}"'
        yield f"container_memory_working_set_bytes{{{names}}} {thing.numbers[1]}\n"


def _probes(things: list[Thing]) -> Iterator[str]:
    for thing in things:
        names = f'namespace="{thing.namespace}",pod="{thing.name}",pod_uid="{thing.uid}"'
        yield f'prober_probe_total{{container="main",{names},probe_type="Liveness"}} {thing.numbers[0]}\n'


def _own(things: list[Thing]) -> Iterator[str]:
    yield "kubelet_running_pods 3\n"
    for thing in things:
        names = f'namespace="{thing.namespace}",persistentvolumeclaim="{thing.claim}"'
        yield f"kubelet_volume_stats_used_bytes{{{names}}} {thing.numbers[2]}\n"
        both = f'namespace="{thing.namespace}",persistentvolumeclaim="{thing.claim}",pod="{thing.name}"'
        yield f"kubelet_volume_stats_health{{{both}}} 1\n"
        uids = f'namespace="{thing.namespace}",pod="{thing.name}",uid="{thing.uid}"'
        yield f'kubelet_container_log_filesystem_used_bytes{{container="main",{uids}}} {thing.numbers[0]}\n'
        yield from _malformed(thing)
