"""metrics.k8s.io of the demo cluster, as metrics-server answers it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubectl_vmetrics.kube.discovery import ApiResource
from kubectl_vmetrics.kube.selector import LabelSelector

from .attributes import parts_of
from .cluster import DemoPod
from .exchange import Refusal, Reply, Request, missing
from .listing import Fields, accepted, dumps, match, selectors, unknown_field
from .world import World

_GROUP = "metrics.k8s.io"


def sign_up(world: World) -> None:
    """Serve the metrics of pods and nodes, in each version."""
    for version in world.cluster.metrics_api:
        world.add(ApiResource(_GROUP, version, "nodes", "NodeMetrics", False))
        world.add(ApiResource(_GROUP, version, "pods", "PodMetrics", True))
    world.routes.append(lambda request: _route(world, request))


def _route(world: World, request: Request) -> Reply | None:
    parts = parts_of(request.path)
    if parts[:2] != ["apis", _GROUP] or len(parts) < 4 or parts[2] not in world.cluster.metrics_api:
        return None
    version = f"{_GROUP}/{parts[2]}"
    metrics, rest = world.metrics(), parts[3:]
    if rest[0] == "nodes" and len(rest) <= 2:
        accepted(request)
        return _nodes(world, request, version, rest[1:])
    namespace = None
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    if rest[0] != "pods" or len(rest) > 2 or (len(rest) == 2 and namespace is None):
        return None
    accepted(request)
    if len(rest) == 2:
        pod = next((pod for pod in world.pods_in(namespace) if pod.name == rest[1]), None)
        if pod is None:
            raise missing("pods", rest[1])
        return Reply(200, f'{{"kind":"PodMetrics","apiVersion":"{version}",{metrics.pod(pod)[1:]}'.encode())
    labels, fields = _selectors(request)
    key = ("pods", version, namespace, request.query.get("labelSelector", ""), request.query.get("fieldSelector", ""))
    return Reply(
        200, metrics.cached(key, lambda: metrics.pods(_selected(world.pods_in(namespace), labels, fields), version))
    )


def _selectors(request: Request) -> tuple[LabelSelector, Fields]:
    labels, fields = selectors(request)
    for field, _, _ in fields:
        if field not in ("metadata.name", "metadata.namespace"):
            raise unknown_field(field)
    return labels, fields


def _selected(pods: list[DemoPod], labels: LabelSelector, fields: Fields) -> Iterator[DemoPod]:
    for pod in pods:
        values = {"metadata.name": pod.name, "metadata.namespace": pod.namespace}
        if (not labels.requirements or labels.matches(pod.labels.get)) and match(values, fields):
            yield pod


def _nodes(world: World, request: Request, version: str, name: list[str]) -> Reply:
    labels, fields = _selectors(request)
    nodes = [
        node
        for node in world.cluster.nodes
        if (name == [node.name] if name else match({"metadata.name": node.name}, fields))
    ]
    items = world.metrics().nodes(nodes, LabelSelector() if name else labels)
    if not name:
        head: dict[str, Any] = {"kind": "NodeMetricsList", "apiVersion": version, "metadata": {}}
        return dumps({**head, "items": items})
    if not items:
        # metrics-server names the kind in the singular here: NewNotFound(v1.Resource("node"), …) in pkg/api/node.go.
        details = {"name": name[0], "kind": "node"}
        raise Refusal(404, "NotFound", f'node "{name[0]}" not found', details)
    return dumps({"kind": "NodeMetrics", "apiVersion": version, **items[0]})
