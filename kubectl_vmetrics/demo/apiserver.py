"""A small read-only apiserver as a WSGI application. Its parts sign up to the world that they share.

Shapes, paths, headers and refusals are those of Kubernetes 1.36. A further part is one more name in `PARTS`: it holds
objects, runs pods, answers paths of its own, and knows the world, never the apiserver.
"""

from __future__ import annotations

import gzip
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.client import responses
from typing import Any
from urllib.parse import parse_qs

from kubectl_vmetrics.kube import discovery

from . import (
    authentication,
    controlplanes,
    forward,
    gpus,
    kubelets,
    kubevirt,
    listing,
    metrics_server,
    monitoring,
    pod_metrics,
    private_nodes,
    prometheus,
    quotas,
    rbac,
    reviews,
    watch,
    workloads,
)
from .attributes import attributes
from .authorization import Authorizer
from .cluster import Cluster
from .exchange import CONNECTION, Change, Refusal, Reply, Request, missing, status
from .forward import Listener
from .objects import Object
from .world import World

GZIP_FROM = 128 * 1024
"""An apiserver compresses what is larger (k8s.io/apiserver endpoints/handlers/responsewriters)."""
GIT_VERSION = "v1.36.2"
PARTS: tuple[Callable[[World], Any], ...] = (
    workloads.sign_up,
    pod_metrics.sign_up,
    kubelets.sign_up,
    kubevirt.sign_up,
    controlplanes.sign_up,
    metrics_server.sign_up,
    monitoring.sign_up,
    gpus.sign_up,
    prometheus.sign_up,
    quotas.sign_up,
    rbac.sign_up,
)
_FORM = "application/x-www-form-urlencoded"
_FORWARD = re.compile(r"/api/v1/namespaces/([^/]+)/pods/([^/]+)/portforward")
StartResponse = Callable[[str, list[tuple[str, str]]], Any]


class Apiserver:
    """The application.

    Args:
        cluster: what it holds.
        clock: seconds; numbers are those of the window in which it is asked.

    Attributes:
        world: what it serves.
        parts: what signed up to it.
    """

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.started = clock()
        self._change: Change | None = None
        self._whole = cluster
        self._stopping = threading.Event()
        self._hold(cluster)

    @property
    def change(self) -> Change | None:
        """What answers instead; see `breakage`."""
        return self._change

    @change.setter
    def change(self, change: Change | None) -> None:
        self._change = change
        # Some are of the cluster itself: no answer would agree with another without that.
        applied: Callable[[Cluster], Cluster] = getattr(change, "applied", lambda cluster: cluster)
        cluster = applied(self._whole)
        if cluster != self.cluster:
            self._end()
            self._hold(cluster)

    def _hold(self, cluster: Cluster) -> None:
        """Serve a cluster from now on, which has run as long as this one."""
        self.cluster = cluster
        self.world = World(private_nodes.furnished(gpus.furnished(cluster)), self.clock, self.started)
        self.parts = [part(self.world) for part in PARTS]
        self.resources = self.world.complete()
        held = [resource for resource in self.resources if resource.api.group == rbac.GROUP]
        self.authorizer = Authorizer(key.make() for resource in held for key in resource.entries(None))
        self.routes = [self._discovery, reviews.route(self.authorizer), *self.world.routes, self._objects]

    def grant(self, objects: Iterable[Object]) -> None:
        """Hold more roles and bindings."""
        self.authorizer.add(objects)

    def revoke(self, objects: Iterable[Object]) -> None:
        """Hold them no more."""
        self.authorizer.remove(objects)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        try:
            request = self._request(environ)
            if found := _FORWARD.fullmatch(request.path):
                reply = self._asked(request, self._admit)
                if reply.status == 101:
                    return self._forward(environ, *found.groups())
            else:
                reply = self._asked(request, self.answer)
            if watch.wanted(request) and reply.status == 200:
                events = self._watched(request)
                start_response("200 OK", [("Content-Type", "application/json")])
                return events
        except Refusal as refusal:
            reply = status(refusal)
        body, headers = reply.body, [("Content-Type", reply.content_type), ("Cache-Control", "no-cache, private")]
        encodings = [part.strip() for part in environ.get("HTTP_ACCEPT_ENCODING", "").split(",")]
        if len(body) > GZIP_FROM and "gzip" in encodings:
            body = self._gzipped(body)
            headers += [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
        headers.append(("Content-Length", str(len(body))))
        start_response(f"{reply.status} {responses.get(reply.status, 'Unknown')}", headers)
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]

    def close(self) -> None:
        """End the watches, and what parts have started."""
        self._stopping.set()
        self._end()

    def _end(self) -> None:
        for close in self.world.closing:
            close()

    def answer(self, request: Request) -> Reply:
        """The answer to a request. Raises Refusal."""
        self.authorizer.check(request.user, attributes(request))
        posted = request.path.rpartition("/")[2] in reviews.GROUPS or "/proxy/" in request.path
        if request.method not in ("GET", "HEAD") and not (request.method == "POST" and posted):
            raise Refusal(
                405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {}
            )
        for route in self.routes:
            reply = route(request)
            if reply is not None:
                return reply
        return Reply(404, b"404 page not found\n", "text/plain; charset=utf-8")

    def _asked(self, request: Request, answer: Callable[[Request], Reply]) -> Reply:
        return self._change(request, answer) if self._change else answer(request)

    def _request(self, environ: dict[str, Any]) -> Request:
        body = _body(environ)
        query = environ.get("QUERY_STRING", "")
        if environ.get("CONTENT_TYPE", "").startswith(_FORM):
            # To those that answer it is the same; so a break of a query is one of both.
            query += "&" + body.decode("utf-8", "replace")
        return Request(
            path=environ.get("PATH_INFO", "/"),
            query={key: values[-1] for key, values in parse_qs(query, keep_blank_values=True).items()},
            accept=environ.get("HTTP_ACCEPT", ""),
            method=environ.get("REQUEST_METHOD", "GET"),
            body=body,
            user=authentication.user(_headers(environ), self.authorizer.check),
        )

    def _admit(self, request: Request) -> Reply:
        """Whether a port may be forwarded: the WebSocket is a GET, and since 1.35 it takes `create` as well."""
        asked = attributes(request)
        for verb in dict.fromkeys((asked.verb, "create")):
            self.authorizer.check(request.user, asked._replace(verb=verb))
        return Reply(101, b"")

    def _forward(self, environ: dict[str, Any], namespace: str, pod: str) -> list[bytes]:
        """Carry TCP to a pod's listeners for as long as the client wants."""
        listeners = self._listeners(namespace, pod)
        key = environ.get("HTTP_SEC_WEBSOCKET_KEY")
        if not key or CONNECTION not in environ:
            raise Refusal(400, "BadRequest", "unable to upgrade: a WebSocket is expected")
        ports = [int(port) for port in parse_qs(environ.get("QUERY_STRING", "")).get("ports", []) if port.isdigit()]
        forward.serve(environ[CONNECTION](), key, ports, listeners)
        return []

    def _listeners(self, namespace: str, pod: str) -> Mapping[int, Listener]:
        """What listens in a pod. Raises Refusal where there is no such pod."""
        if not self.world.runs(namespace, pod):
            raise missing("pods", pod)
        found = (listeners(namespace, pod) for listeners in self.world.listeners)
        return next((item for item in found if item is not None), {})

    def _watched(self, request: Request) -> Iterator[bytes]:
        listing.check_version(request)
        found = listing.find(request, self.resources)
        if found is None:
            return watch.held(request, self._stopping)
        resource, namespace, _ = found
        keys = listing.selected(request, resource, resource.entries(namespace))
        return watch.held(request, self._stopping, lambda: (key.make() for key in keys))

    def _gzipped(self, body: bytes) -> bytes:
        return self.world.metrics().cached(("gzip", len(body), hash(body)), lambda: gzip.compress(body, 1))

    def _objects(self, request: Request) -> Reply | None:
        if watch.wanted(request):
            # What is watched is told one by one, not as a list.
            return Reply(200, b"") if listing.find(request, self.resources) else None
        return listing.answer(request, self.resources)

    def _discovery(self, request: Request) -> Reply | None:
        path = request.path.rstrip("/") or "/"
        if path in ("/healthz", "/livez", "/readyz"):
            return Reply(200, b"ok", "text/plain; charset=utf-8")
        if path == "/version":
            body = {"major": "1", "minor": "36", "gitVersion": GIT_VERSION, "platform": "linux/amd64"}
            return listing.dumps(body)
        found = discovery.document([resource.api for resource in self.resources], path, request.accept)
        return listing.dumps(found[0])._replace(content_type=found[1]) if found else None


def _headers(environ: Mapping[str, Any]) -> dict[str, list[str]]:
    """Headers by names in lower case. The server joins what comes several times with a comma and a space."""
    return {
        key[5:].replace("_", "-").lower(): str(value).split(", ") if key == "HTTP_IMPERSONATE_GROUP" else [str(value)]
        for key, value in environ.items()
        if key.startswith("HTTP_")
    }


def _body(environ: Mapping[str, Any]) -> bytes:
    length = environ.get("CONTENT_LENGTH") or "0"
    found: bytes = environ["wsgi.input"].read(min(int(length), 1 << 20)) if length.isdigit() and int(length) else b""
    return found
