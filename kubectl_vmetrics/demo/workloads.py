"""The demo cluster's own objects: nodes, namespaces, pods and their claims, and what runs virtual clusters."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

from kubectl_vmetrics.kube.discovery import ApiResource

from .cluster import DemoPod
from .exchange import Key, Resource
from .usage import node_labels
from .world import DEPLOYMENTS, World


def sign_up(world: World) -> None:
    """Hold all of them."""
    objects, cluster = world.objects, world.cluster
    nodes = [Key("", node.name, node_labels(node.name), {}, partial(objects.node, node)) for node in cluster.nodes]
    sets = [
        Key(v.namespace, v.name, {"app": "vcluster", "release": v.name}, {}, partial(objects.stateful_set, v))
        for v in cluster.vclusters
    ]
    pods, lock = dict[str, list[Key]](), threading.Lock()

    def pods_in(namespace: str | None) -> list[Key]:
        with lock:
            if (namespace or "") not in pods:
                pods[namespace or ""] = [_pod(world, pod) for pod in world.pods_in(namespace)]
            return pods[namespace or ""]

    def claims(namespace: str | None) -> list[Key]:
        return list(_claims(world, namespace))

    def spaces(_: str | None) -> list[Key]:
        names = sorted({*cluster.namespaces, *(pod.namespace for pod in world.pods)})
        return [
            Key(
                "",
                name,
                {"kubernetes.io/metadata.name": name},
                {"status.phase": "Active"},
                partial(objects.namespace, name),
            )
            for name in names
        ]

    world.add_kind(Resource(ApiResource("", "v1", "namespaces", "Namespace", False, ("ns",)), spaces))
    world.add(ApiResource("", "v1", "nodes", "Node", False, ("no",)), nodes)
    kind = ApiResource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", True, ("pvc",))
    world.add_kind(Resource(kind, claims))
    world.add_kind(Resource(ApiResource("", "v1", "pods", "Pod", True, ("po",)), pods_in))
    world.add(DEPLOYMENTS)
    world.add(ApiResource("apps", "v1", "statefulsets", "StatefulSet", True, ("sts",)), sets)


def _pod(world: World, pod: DemoPod) -> Key:
    fields = {"spec.nodeName": pod.node, "status.phase": "Running"}
    return Key(pod.namespace, pod.name, pod.labels, fields, partial(world.rendered, pod))


def _claims(world: World, namespace: str | None) -> Iterator[Key]:
    """Also of pods that are no more."""
    stopped = (pod for pod in world.cluster.stopped if namespace in (None, pod.namespace))
    for pod in sorted((*world.pods_in(namespace), *stopped), key=lambda pod: (pod.namespace, pod.name)):
        if pod.claim:
            made = world.objects.claim(pod, pod.claim)
            labels = made["metadata"].get("labels", {})
            yield Key(pod.namespace, pod.claim.host_name, labels, {}, partial(dict, made))
