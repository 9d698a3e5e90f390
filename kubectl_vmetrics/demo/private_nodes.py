"""The demo's virtual clusters with private nodes: on the host is only their control plane.

It serves a Metrics API of its own, for nodes and pods that the host does not know.
"""

from __future__ import annotations

import json
import random
from urllib.parse import parse_qs, urlsplit

from kubectl_vmetrics.kube.errors import UsageError
from kubectl_vmetrics.kube.selector import parse_labels

from .cluster import Cluster, Container, DemoNode, DemoPod, DemoVCluster
from .exchange import User
from .machines import same_uid
from .usage import WINDOW, Metrics
from .world import World

GROUP = "/apis/metrics.k8s.io/v1beta1"
_JSON = "application/json"
_APPS = (
    ("kube-system", "coredns", 5, 22, 2),
    ("kube-system", "kube-flannel", 9, 40, 2),
    ("kube-system", "metrics-server", 6, 38, 1),
    ("edge", "gateway", 140, 210, 2),
    ("edge", "telemetry", 75, 330, 3),
)
"""Namespace, name, millicores, MiB and replicas."""


def furnished(cluster: Cluster) -> Cluster:
    """The same with its virtual clusters that have private nodes."""
    if not cluster.private:
        return cluster
    made = [
        DemoVCluster(f"team-{'edge' if not i else f'edge-{i}'}", "edge", private=True) for i in range(cluster.private)
    ]
    syncer = Container("syncer", f"ghcr.io/loft-sh/vcluster-pro:{made[0].version}", 85, 460)
    pods = list(cluster.pods)
    for index, item in enumerate(made):
        labels, uid = {"app": "vcluster", "release": item.name}, same_uid(f"{item.namespace}/{item.name}-0")
        node = cluster.workers[index % len(cluster.workers)].name
        owner = ("StatefulSet", item.name)
        pods.append(
            DemoPod(item.namespace, f"{item.name}-0", uid, node, labels, (syncer,), owner, None, 0.5 * index, 9_000)
        )
    pods.sort(key=lambda pod: (pod.namespace, pod.name))
    namespaces = sorted({*cluster.namespaces, *(item.namespace for item in made)})
    return cluster._replace(vclusters=[*cluster.vclusters, *made], pods=pods, namespaces=namespaces)


def nodes(vcluster: DemoVCluster) -> list[DemoNode]:
    """Its nodes."""
    return [DemoNode(f"{vcluster.name}-node-{index + 1}", 8, 32, f"192.168.7.{index + 1}") for index in range(2)]


def pods(vcluster: DemoVCluster) -> list[DemoPod]:
    """Its pods, by the names inside, in order."""
    source = random.Random(f"{vcluster.namespace}/{vcluster.name}")  # noqa: S311 - made-up names
    found = []
    for namespace, app, millicores, mebibytes, replicas in _APPS:
        main = Container("main", f"registry.example/{app}:3.1.0", millicores, mebibytes)
        suffixes = ["".join(source.choices("bcdfghjklmnpqrstvwxz2456789", k=5)) for _ in range(replicas)]
        owner = ("ReplicaSet", f"{app}-{source.randrange(10**9):09}")
        for index, suffix in enumerate(suffixes):
            name, node = f"{owner[1]}-{suffix}", nodes(vcluster)[index % 2].name
            phase = source.uniform(0, 6.28)
            pod = DemoPod(namespace, name, same_uid(name), node, {"app": app}, (main,), owner, None, phase, 9_000)
            found.append(pod)
    return sorted(found, key=lambda pod: (pod.namespace, pod.name))


def answer(world: World, vcluster: DemoVCluster, target: str, user: User) -> tuple[int, bytes, str] | None:
    """What the apiserver of a virtual cluster answers for its Metrics API; None for other paths."""
    asked = urlsplit(target)
    if not asked.path.startswith("/apis/metrics.k8s.io/"):
        return None
    if "system:masters" not in user.groups:
        return _status(403, "Forbidden", f'pods.metrics.k8s.io is forbidden: User "{user.name}" cannot list it')
    if not asked.path.startswith(GROUP):
        return 404, b"404 page not found\n", "text/plain"
    own, query = pods(vcluster), parse_qs(asked.query)
    tick = int(world.seconds() // WINDOW)
    metrics = Metrics(lambda node: [pod for pod in own if pod.node == node], tick, world.started)
    rest = asked.path.removeprefix(GROUP).strip("/").split("/")
    if rest == ["nodes"]:
        kind = {"kind": "NodeMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}}
        items = metrics.nodes(nodes(vcluster), parse_labels(""))
        return 200, json.dumps({**kind, "items": items}).encode(), _JSON
    namespace = None
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    if rest[0] != "pods" or len(rest) > 2:
        return 404, b"404 page not found\n", "text/plain"
    try:
        labels = parse_labels(query.get("labelSelector", [""])[0])
    except UsageError as error:
        return _status(400, "BadRequest", error.message)
    chosen = [pod for pod in own if namespace in (None, pod.namespace) and labels.matches(pod.labels.get)]
    if len(rest) == 1:
        return 200, metrics.pods(chosen), _JSON
    pod = next((pod for pod in chosen if pod.name == rest[1]), None)
    if pod is None:
        return _status(404, "NotFound", f'pods "{rest[1]}" not found')
    return 200, f'{{"kind":"PodMetrics","apiVersion":"metrics.k8s.io/v1beta1",{metrics.pod(pod)[1:]}'.encode(), _JSON


def _status(code: int, reason: str, message: str) -> tuple[int, bytes, str]:
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason, "code": code}
    return code, json.dumps({**body, "message": message}).encode(), _JSON
