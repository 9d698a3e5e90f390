"""The proxy as a WSGI application: what is answered, and what is refused.

GET and HEAD only, and only the paths below. What it asks the host for is decided by `vcluster.answers`, never by
passing a client's path on.
"""

from __future__ import annotations

import hmac
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, unquote

import msgspec

from kubectl_vmetrics.kube import discovery
from kubectl_vmetrics.kube.discovery import ApiResource
from kubectl_vmetrics.kube.errors import ConfigError, ConnectionFailed, NotFound, StatusError, UsageError, VmetricsError
from kubectl_vmetrics.metrics import kubelet
from kubectl_vmetrics.vcluster.identity import VClusterRef

from .telemetry import Telemetry
from .views import Views

JSON = "application/json"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
RESOURCES = (
    ApiResource("", "v1", "nodes", "Node", False, ("no",)),
    ApiResource("", "v1", "pods", "Pod", True, ("po",)),
    ApiResource("metrics.k8s.io", "v1beta1", "nodes", "NodeMetrics", False),
    ApiResource("metrics.k8s.io", "v1beta1", "pods", "PodMetrics", True),
)
HEALTH = ("/healthz", "/readyz")
STALE = 300.0
"""Seconds without a word from the host after which the proxy calls itself not ready."""
_VCLUSTER = re.compile(r"/vclusters/([^/]+)/([^/]+)(/.*)?")
_PHRASES = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}

_UPSTREAMS = (("kubelet", "/proxy/"), ("metrics-api", "/metrics.k8s.io/"), ("api", "/api/"))

_log = logging.getLogger("kubectl_vmetrics.proxy")
StartResponse = Callable[[str, list[tuple[str, str]]], Any]


class Answer(NamedTuple):
    """What is sent."""

    status: int
    body: Iterable[bytes]
    content_type: str = JSON


class Refusal(Exception):
    """A request that is not answered, and why."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


class Proxy:
    """The application.

    Args:
        views: what it serves.
        accept_hosts: the Host headers that are accepted, ports apart; others are a browser led astray (DNS rebinding).
        token: what a client must present; None where everybody on this machine may ask.
    """

    def __init__(self, views: Views, *, accept_hosts: re.Pattern[str], token: str | None = None) -> None:
        self._views = views
        self._accept_hosts = accept_hosts
        self._token = token
        self.telemetry = Telemetry()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        started = time.monotonic()
        try:
            answer = self._answer(environ)
        except Refusal as refusal:
            answer = _status(refusal.code, refusal.reason, refusal.message)
        except VmetricsError as error:
            answer = self._failed(environ, error)
        self.telemetry.answered(answer.status)
        headers = [
            ("Content-Type", answer.content_type),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        start_response(f"{answer.status} {_PHRASES.get(answer.status, 'Error')}", headers)
        if environ.get("REQUEST_METHOD") == "HEAD":
            _close(answer.body)
            return []
        return self._counted(environ, answer.body, started)

    def _failed(self, environ: dict[str, Any], error: VmetricsError) -> Answer:
        if isinstance(error, UsageError):
            return _status(400, "BadRequest", error.message)
        if isinstance(error, StatusError) and (isinstance(error, NotFound) or error.code == 400):
            return _status(error.code, error.reason, error.message)
        self._note(environ, error)
        # The host's own words may hold the host's names: a tenant is told what, not why.
        if isinstance(error, StatusError):
            return _status(502, error.reason, "the host refused")
        if isinstance(error, ConfigError):
            return _status(502, "ServiceUnavailable", "no credentials for the host")
        late = isinstance(error, ConnectionFailed) and "Timeout" in error.message
        return _status(504 if late else 502, "ServiceUnavailable", "the host did not answer")

    def _note(self, environ: dict[str, Any], error: VmetricsError) -> None:
        path = environ.get("PATH_INFO", "/")
        self.telemetry.failed(next((kind for kind, part in _UPSTREAMS if part in path), "other"))
        _log.warning("%s: %s", path, error.message)

    def _counted(self, environ: dict[str, Any], body: Iterable[bytes], started: float) -> Iterator[bytes]:
        count = 0
        try:
            for chunk in body:
                count += len(chunk)
                yield chunk
        except VmetricsError as error:
            self._note(environ, error)
            raise  # so that the connection ends without the last chunk: the client knows that something is missing
        finally:
            _close(body)
            self.telemetry.rewrote(count, time.monotonic() - started)

    def _answer(self, environ: dict[str, Any]) -> Answer:
        self._admit(environ)
        # The path as the server decoded it, encoded again: what was encoded twice stays so and matches nothing.
        path = quote(environ.get("PATH_INFO", "/"), safe="/:")
        if ".." in path.split("/") or "//" in path:
            raise Refusal(400, "BadRequest", "the path is not a plain one")
        query = {key: values[-1] for key, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
        if query.keys() - {
            "labelSelector",
            "fieldSelector",
            "limit",
            "continue",
            "resourceVersion",
            "timeout",
            "pretty",
        }:
            raise Refusal(400, "BadRequest", "only labelSelector and fieldSelector are understood")
        if path in HEALTH:
            return self._health(path)
        if path == "/metrics":
            return Answer(200, [self.telemetry.exposition(self._views.informer)], TEXT)
        if path == "/sd":
            return Answer(200, [msgspec.json.encode(self._targets(environ))])
        vcluster = self._views.only
        found = _VCLUSTER.fullmatch(path)
        if found and vcluster is None:
            vcluster, path = self._named(found[1], found[2]), found[3] or "/"
        return self._of_view(vcluster, path, query, environ.get("HTTP_ACCEPT", ""))

    def _admit(self, environ: dict[str, Any]) -> None:
        if environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
            raise Refusal(405, "MethodNotAllowed", "only GET and HEAD are answered")
        if "upgrade" in environ.get("HTTP_CONNECTION", "").lower() or environ.get("HTTP_UPGRADE"):
            raise Refusal(400, "BadRequest", "connections are not upgraded")
        if environ.get("PATH_INFO") in HEALTH:
            return  # kubelets ask by the pod's address and without a token; the answer holds nothing
        host = environ.get("HTTP_HOST", "")
        if not self._accept_hosts.fullmatch(re.sub(r":\d+$", "", host)):
            raise Refusal(403, "Forbidden", "this Host is not accepted: see --accept-hosts")
        if self._token is not None:
            given = environ.get("HTTP_AUTHORIZATION", "").encode("utf-8", "replace")
            if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
                raise Refusal(401, "Unauthorized", "Unauthorized")

    def _of_view(self, vcluster: VClusterRef | None, path: str, query: dict[str, str], accept: str) -> Answer:
        if path == "/version":
            return Answer(200, [msgspec.json.encode({"major": "1", "minor": "36", "gitVersion": "v1.36.0+vmetrics"})])
        if document := discovery.document(RESOURCES, path, accept):
            return Answer(200, [msgspec.json.encode(document[0])], document[1])
        view = self._views.get(vcluster)
        if found := re.fullmatch(r"/api/v1/nodes(?:/([^/]+))?/?", path):
            return Answer(200, [view.objects.node_documents(found[1], query)])
        if found := re.fullmatch(r"/api/v1/(?:namespaces/([^/]+)/)?pods(?:/([^/]+))?/?", path):
            namespace, name = (unquote(part) if part else None for part in found.groups())
            if namespace or not name:
                return Answer(200, [view.objects.pod_documents(namespace, name, query)])
        reply = view.answer(path, query, accept)
        return Answer(200, reply.chunks, reply.content_type)

    def _named(self, namespace: str, name: str) -> VClusterRef:
        ref = VClusterRef(namespace, name)
        if ref not in self._views.known():
            raise Refusal(404, "NotFound", f'virtual cluster "{namespace}/{name}" not found')
        return ref

    def _health(self, path: str) -> Answer:
        if path == "/readyz":
            self._views.get(self._views.only)  # raises where the host cannot be asked
            if self._views.informer.silence() > STALE:
                raise Refusal(503, "ServiceUnavailable", "the host was not heard of for too long")
        return Answer(200, [b"ok"], "text/plain; charset=utf-8")

    def _targets(self, environ: dict[str, Any]) -> list[dict[str, Any]]:
        """Prometheus HTTP service discovery (https://prometheus.io/docs/prometheus/latest/http_sd/)."""
        target = environ.get("HTTP_HOST", "")
        found = []
        served: list[VClusterRef | None] = [self._views.only] if self._views.only else [None, *self._views.known()]
        for vcluster in served:
            prefix = f"/vclusters/{vcluster.path}" if vcluster and not self._views.only else ""
            owner = (
                {"vcluster_name": vcluster.name, "vcluster_host_namespace": vcluster.host_namespace} if vcluster else {}
            )
            for node in sorted(self._views.get(vcluster).objects.nodes()):
                for endpoint in kubelet.TEXTS:
                    labels = {
                        "__metrics_path__": f"{prefix}{kubelet.path(node, endpoint)}",
                        "node": node,
                        "job": f"kubelet-{endpoint.replace('/', '-')}",
                    }
                    found.append({"targets": [target], "labels": {**labels, **({} if self._views.only else owner)}})
        return found


def _close(body: Iterable[bytes]) -> None:
    close = getattr(body, "close", None)
    if close:
        close()


def _status(code: int, reason: str, message: str) -> Answer:
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    return Answer(code, [msgspec.json.encode(body)])
