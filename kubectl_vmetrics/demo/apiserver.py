"""A small read-only apiserver as a WSGI application: discovery, lists, selectors, paging, tables, metrics.k8s.io.

Shapes, paths and headers are those of Kubernetes 1.36. Anything that later parts of the cluster serve is one more
function in `routes`: it takes a request and answers it, or returns None for a path that is not its own.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import gzip
import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec

from kubectl_vmetrics.kube import discovery
from kubectl_vmetrics.kube.discovery import ApiResource
from kubectl_vmetrics.kube.errors import UsageError
from kubectl_vmetrics.kube.selector import LabelSelector, parse_fields, parse_labels

from . import forward, monitoring, tables, watch
from .cluster import Cluster, DemoPod
from .controlplanes import ControlPlanes
from .exchange import CONNECTION, Key, Refusal, Reply, Request, Resource
from .kubelets import Kubelets
from .kubevirt import KubeVirt
from .metrics_server import MetricsServer
from .objects import Object, Objects
from .usage import WINDOW, Metrics, node_labels

GZIP_FROM = 128 * 1024
"""An apiserver compresses what is larger (k8s.io/apiserver endpoints/handlers/responsewriters)."""

GIT_VERSION = "v1.36.2"

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_FORWARD = re.compile(r"/api/v1/namespaces/([^/]+)/pods/([^/]+)/portforward")

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


Route = Callable[[Request], "Reply | None"]
Change = Callable[[Request, Callable[[Request], Reply]], Reply]
"""Answers in place of the apiserver, which it may ask."""


class Apiserver:
    """The application.

    Args:
        cluster: what it holds.
        clock: seconds; numbers are those of the window in which it is asked.

    Attributes:
        change: answers instead; see `breakage`.
    """

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.time) -> None:
        self.cluster = cluster
        self.clock = clock
        self.started = clock()
        self.objects = Objects(cluster, datetime.datetime.fromtimestamp(self.started, datetime.timezone.utc))
        self.change: Change | None = None
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._cache: dict[tuple[Any, ...], bytes] = {}
        self._cached_tick = -1
        self._pods: dict[str, list[DemoPod]] = {}
        for pod in cluster.pods:
            self._pods.setdefault(pod.namespace, []).append(pod)
        self._kubevirt = KubeVirt(self, cluster.machines)
        self._planes = ControlPlanes(self, cluster.tenants)
        self._server = MetricsServer(self)
        more = [*self._planes.resources(), *self._server.resources()]
        more += monitoring.resources(self._kubevirt.components, self._server.services())
        self.resources = [*self._resources(), *self._kubevirt.resources(), *more]
        self.routes: list[Route] = [
            self._discovery,
            self._metrics,
            Kubelets(self).route,
            self._kubevirt.route,
            self._planes.route,
            self._server.route,
            _review,
            self._objects,
        ]

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(
            path=environ.get("PATH_INFO", "/"),
            query={
                key: values[-1]
                for key, values in parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True).items()
            },
            accept=environ.get("HTTP_ACCEPT", ""),
            method=environ.get("REQUEST_METHOD", "GET"),
            body=_body(environ),
        )
        try:
            if found := _FORWARD.fullmatch(request.path):
                return self._forward(environ, *found.groups())
            reply = self.change(request, self.answer) if self.change else self.answer(request)
        except Refusal as refusal:
            reply = _status(refusal)
        if watch.wanted(request) and reply.status == 200:
            start_response("200 OK", [("Content-Type", "application/json")])
            return watch.held(request, self._stopping)
        body, headers = reply.body, [("Content-Type", reply.content_type), ("Cache-Control", "no-cache, private")]
        encodings = [part.strip() for part in environ.get("HTTP_ACCEPT_ENCODING", "").split(",")]
        if len(body) > GZIP_FROM and "gzip" in encodings:
            body = self._gzipped(body)
            headers += [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
        headers.append(("Content-Length", str(len(body))))
        start_response(f"{reply.status} {_PHRASES.get(reply.status, 'Unknown')}", headers)
        return [body]

    def _forward(self, environ: dict[str, Any], namespace: str, pod: str) -> list[bytes]:
        """Carry TCP to a pod's listeners for as long as the client wants."""
        listeners = self._planes.listeners(namespace, pod)
        if listeners is None:
            raise Refusal(404, "NotFound", f'pods "{pod}" not found')
        key = environ.get("HTTP_SEC_WEBSOCKET_KEY")
        if not key or CONNECTION not in environ:
            raise Refusal(400, "BadRequest", "unable to upgrade: a WebSocket is expected")
        ports = [int(port) for port in parse_qs(environ.get("QUERY_STRING", "")).get("ports", []) if port.isdigit()]
        forward.serve(environ[CONNECTION](), key, ports, listeners)
        return []

    def close(self) -> None:
        """End the watches."""
        self._stopping.set()

    def answer(self, request: Request) -> Reply:
        """The answer to a request. Raises Refusal."""
        if request.method not in ("GET", "HEAD") and request.path != _REVIEWS:
            raise Refusal(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        for route in self.routes:
            reply = route(request)
            if reply is not None:
                return reply
        return Reply(404, b"404 page not found\n", "text/plain; charset=utf-8")

    def metrics(self) -> Metrics:
        """The numbers of the current window."""
        tick = int((self.clock() - self.started) / WINDOW)
        with self._lock:
            if tick != self._cached_tick:
                self._cache.clear()
                self._cached_tick = tick
        now = datetime.datetime.fromtimestamp(self.started + tick * WINDOW, datetime.timezone.utc)
        return Metrics(self.cluster, tick, now)

    def pods(self, namespace: str | None) -> list[DemoPod]:
        """The pods of a namespace, or all."""
        return self.cluster.pods if namespace is None else self._pods.get(namespace, [])

    def cached(self, key: tuple[Any, ...], make: Callable[[], bytes]) -> bytes:
        """What `make` makes, once a window: a load test measures clients, not this server."""
        with self._lock:
            if key not in self._cache:
                self._cache[key] = make()
            return self._cache[key]

    def _gzipped(self, body: bytes) -> bytes:
        return self.cached(("gzip", len(body), hash(body)), lambda: gzip.compress(body, 1))

    # ------------------------------------------------------------------------------------------ metrics.k8s.io

    def _metrics(self, request: Request) -> Reply | None:
        parts = _parts(request.path)
        if parts[:3] != ["apis", "metrics.k8s.io", "v1beta1"] or len(parts) < 4:
            return None
        metrics, rest = self.metrics(), parts[3:]
        if rest[0] == "nodes" and len(rest) <= 2:
            return self._node_metrics(request, metrics, rest[1:])
        namespace = None
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        if rest[0] != "pods" or len(rest) > 2 or (len(rest) == 2 and namespace is None):
            return None
        if len(rest) == 2:
            pod = next((pod for pod in self.pods(namespace) if pod.name == rest[1]), None)
            if pod is None:
                raise Refusal(404, "NotFound", f'pods "{rest[1]}" not found')
            item = metrics.pod(pod)
            return Reply(200, f'{{"kind":"PodMetrics","apiVersion":"metrics.k8s.io/v1beta1",{item[1:]}'.encode())
        labels, fields = _selectors(request)
        for field in fields:
            if field[0] not in ("metadata.name", "metadata.namespace"):
                known = 'only "metadata.name", "metadata.namespace"'
                raise Refusal(400, "BadRequest", f'"{field[0]}" is not a known field selector: {known}')
        key = ("pods", namespace, request.query.get("labelSelector", ""), request.query.get("fieldSelector", ""))
        return Reply(200, self.cached(key, lambda: metrics.pods(self._selected(namespace, labels, fields))))

    def _selected(self, namespace: str | None, labels: LabelSelector, fields: Any) -> Iterable[DemoPod]:
        for pod in self.pods(namespace):
            values = {"metadata.name": pod.name, "metadata.namespace": pod.namespace}
            if (not labels.requirements or labels.matches(pod.labels.get)) and _fields_match(values, fields):
                yield pod

    def _node_metrics(self, request: Request, metrics: Metrics, name: list[str]) -> Reply:
        labels, _ = _selectors(request)
        items = metrics.nodes(labels if not name else LabelSelector())
        if not name:
            body = {"kind": "NodeMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": items}
            return _json(body)
        found = [item for item in items if item["metadata"]["name"] == name[0]]
        if not found:
            raise Refusal(404, "NotFound", f'nodemetrics.metrics.k8s.io "{name[0]}" not found')
        return _json({"kind": "NodeMetrics", "apiVersion": "metrics.k8s.io/v1beta1", **found[0]})

    # ------------------------------------------------------------------------------------------------- objects

    def _resources(self) -> list[Resource]:
        objects, cluster = self.objects, self.cluster
        nodes = [Key("", node.name, node_labels(node.name), {}, partial(objects.node, node)) for node in cluster.nodes]
        spaces = [
            Key("", name, {"kubernetes.io/metadata.name": name}, {}, partial(objects.namespace, name))
            for name in cluster.namespaces
        ]
        sets = [
            Key(v.namespace, v.name, {"app": "vcluster", "release": v.name}, {}, partial(objects.stateful_set, v))
            for v in cluster.vclusters
        ]

        system = [*self._kubevirt.pods(), *self._planes.pods(), *self._server.pods()]

        def pods(namespace: str | None) -> list[Key]:
            return [key for key in system if namespace in (None, key.namespace)] + [
                Key(
                    pod.namespace,
                    pod.name,
                    pod.labels,
                    {"spec.nodeName": pod.node, "status.phase": "Running"},
                    partial(objects.pod, pod),
                )
                for pod in self.pods(namespace)
            ]

        def claims(namespace: str | None) -> list[Key]:
            found = []
            for pod in self.pods(namespace):
                if pod.claim:
                    made = objects.claim(pod, pod.claim)
                    labels = made["metadata"].get("labels", {})
                    found.append(Key(pod.namespace, pod.claim.host_name, labels, {}, partial(dict, made)))
            return found

        def fixed(keys: list[Key]) -> Callable[[str | None], list[Key]]:
            return lambda namespace: [key for key in keys if namespace in (None, key.namespace)]

        return [
            Resource(ApiResource("", "v1", "namespaces", "Namespace", False, ("ns",)), fixed(spaces)),
            Resource(ApiResource("", "v1", "nodes", "Node", False, ("no",)), fixed(nodes)),
            Resource(ApiResource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", True, ("pvc",)), claims),
            Resource(ApiResource("", "v1", "pods", "Pod", True, ("po",)), pods),
            Resource(
                ApiResource("apps", "v1", "deployments", "Deployment", True, ("deploy",)),
                fixed(monitoring.deployments()),
            ),
            Resource(ApiResource("apps", "v1", "statefulsets", "StatefulSet", True, ("sts",)), fixed(sets)),
            Resource(ApiResource("metrics.k8s.io", "v1beta1", "nodes", "NodeMetrics", False), fixed([])),
            Resource(ApiResource("metrics.k8s.io", "v1beta1", "pods", "PodMetrics", True), fixed([])),
        ]

    def _objects(self, request: Request) -> Reply | None:
        parts = _parts(request.path)
        if parts[:1] == ["api"] and len(parts) > 2:
            group, version, rest = "", parts[1], parts[2:]
        elif parts[:1] == ["apis"] and len(parts) > 3:
            group, version, rest = parts[1], parts[2], parts[3:]
        else:
            return None
        namespace = None
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        found = [r for r in self.resources if (r.api.group, r.api.version, r.api.name) == (group, version, rest[0])]
        if not found or len(rest) > 2 or (namespace is not None and not found[0].api.namespaced):
            return None
        resource = found[0]
        keys = resource.entries(namespace)
        if len(rest) == 2:
            key = next((key for key in keys if key.name == rest[1]), None)
            if key is None or (resource.api.namespaced and namespace is None):
                what = f"{resource.api.name}.{group}" if group else resource.api.name
                raise Refusal(404, "NotFound", f'{what} "{rest[1]}" not found')
            return _json(_as_asked(request, resource, [key.make()], single=True))
        return self._list(request, resource, keys)

    def _list(self, request: Request, resource: Resource, keys: Sequence[Key]) -> Reply:
        labels, fields = _selectors(request)
        matching = [
            key
            for key in keys
            if labels.matches(key.labels.get)
            and _fields_match({**key.fields, "metadata.name": key.name, "metadata.namespace": key.namespace}, fields)
        ]
        start, limit = _page(request)
        page = matching[start : start + limit] if limit else matching[start:]
        body = _as_asked(request, resource, [key.make() for key in page], single=False)
        if limit and start + limit < len(matching):
            body["metadata"]["continue"] = base64.urlsafe_b64encode(str(start + limit).encode()).decode()
            if not labels.requirements and not fields:
                body["metadata"]["remainingItemCount"] = len(matching) - start - limit
        return _json(body)

    # ----------------------------------------------------------------------------------------------- discovery

    def _discovery(self, request: Request) -> Reply | None:
        path = request.path.rstrip("/") or "/"
        if path in ("/healthz", "/livez", "/readyz"):
            return Reply(200, b"ok", "text/plain; charset=utf-8")
        if path == "/version":
            return _json({"major": "1", "minor": "36", "gitVersion": GIT_VERSION, "platform": "linux/amd64"})
        found = discovery.document([resource.api for resource in self.resources], path, request.accept)
        return Reply(200, _dumps(found[0]), found[1]) if found else None


_PHRASES = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}


def _body(environ: dict[str, Any]) -> bytes:
    length = environ.get("CONTENT_LENGTH") or "0"
    found: bytes = environ["wsgi.input"].read(min(int(length), 1 << 20)) if length.isdigit() and int(length) else b""
    return found


def _review(request: Request) -> Reply | None:
    """Whoever asks may do everything."""
    return _json({"status": {"allowed": True}}) if request.path == _REVIEWS else None


def _parts(path: str) -> list[str]:
    return [unquote(part) for part in path.split("/") if part]


def _dumps(body: Any) -> bytes:
    return msgspec.json.encode(body)


def _json(body: Any) -> Reply:
    return Reply(200, _dumps(body))


def _status(refusal: Refusal) -> Reply:
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": refusal.message,
        "reason": refusal.reason,
        "code": refusal.code,
    }
    return Reply(refusal.code, _dumps(body))


def _selectors(request: Request) -> tuple[LabelSelector, tuple[tuple[str, bool, str], ...]]:
    try:
        return parse_labels(request.query.get("labelSelector", "")), parse_fields(
            request.query.get("fieldSelector", "")
        )
    except UsageError as error:
        raise Refusal(400, "BadRequest", error.message) from None


def _fields_match(values: dict[str, str], fields: Iterable[tuple[str, bool, str]]) -> bool:
    return all((values.get(field, "") == value) == equal for field, equal, value in fields)


def _page(request: Request) -> tuple[int, int]:
    limit = request.query.get("limit", "0")
    token = request.query.get("continue", "")
    try:
        return int(base64.urlsafe_b64decode(token.encode())) if token else 0, int(limit or "0")
    except (ValueError, binascii.Error):
        raise Refusal(400, "BadRequest", "continue key is not valid") from None


def _as_asked(request: Request, resource: Resource, items: list[Object], *, single: bool) -> Object:
    if request.wants("Table"):
        return tables.table(resource.api.name, items, request.query.get("includeObject", "Metadata"))
    if request.wants("PartialObjectMetadata"):
        partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        items = [{**partial, "metadata": item["metadata"]} for item in items]
        kind, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
    else:
        kind, version = f"{resource.api.kind}List", resource.api.group_version
    if single:
        return items[0]
    if kind != "PartialObjectMetadataList":
        items = [{key: value for key, value in item.items() if key not in ("kind", "apiVersion")} for item in items]
    return {"kind": kind, "apiVersion": version, "metadata": {"resourceVersion": "1000"}, "items": items}
