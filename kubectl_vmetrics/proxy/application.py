"""The proxy as an application: what is answered, and what is refused.

GET and HEAD only, and only the paths below. What it asks the host for is decided by `vcluster.answers`, never by
passing a client's path on.
"""

from __future__ import annotations

import hmac
import logging
import math
import re
import time
from collections.abc import Callable
from functools import partial
from urllib.parse import parse_qs, unquote

import msgspec

from kubectl_vmetrics.kube import discovery
from kubectl_vmetrics.kube.cancel import Cancelled, CancelScope
from kubectl_vmetrics.kube.errors import (
    ConfigError,
    ConnectionFailed,
    NotFound,
    StatusError,
    TimedOut,
    UsageError,
    VmetricsError,
)
from kubectl_vmetrics.metrics import kubelet
from kubectl_vmetrics.vcluster.identity import VClusterRef

from . import names
from .body import Body, begin
from .circuit import Open
from .exchange import TEXT, Answer, Refusal, Request, status
from .targets import NAMES, OWN, chosen, targets
from .telemetry import Telemetry
from .views import Views

HEALTH = ("/healthz", "/readyz")
NAMES_ONLY = (names.PATH, "/metrics", "/sd")
STALE = 300.0
"""Seconds without a word from the host after which the proxy calls itself not ready."""
NODE_LIMIT = 9.5
"""Seconds for a kubelet where the client does not say how long it waits: Prometheus waits ten."""
OTHER_LIMIT = 30.0
"""Seconds for anything else then."""
LONGEST_LIMIT = 60.0
SCRAPE_TIMEOUT = "x-prometheus-scrape-timeout-seconds"
LONGEST_QUERY, MOST_HEADERS = 4096, 100
_VCLUSTER = re.compile(r"/vclusters/([^/]+)/([^/]+)(/.*)?")
_NODE = re.compile(r"(?:/vclusters/[^/]+/[^/]+)?/api/v1/nodes/([^/]+)/proxy/.*")
_QUERY = {"labelSelector", "fieldSelector", "limit", "continue", "resourceVersion", "timeout", "pretty"}
_UPSTREAMS = (("kubelet", "/proxy/"), ("metrics-api", "/metrics.k8s.io/"), ("api", "/api/"))

_log = logging.getLogger("kubectl_vmetrics.proxy")


class Proxy:
    """The application. `at_once` answers without the host, `answer` with it, in a thread that may wait.

    Args:
        views: what it serves.
        accept_hosts: the Host headers to accept, without ports; others may come from a browser (DNS rebinding).
        token: returns the token a client must present, "" to reject all clients; None if no token is required.
        only_names: serve the names of pods and claims, and no metrics.
    """

    def __init__(
        self,
        views: Views,
        *,
        accept_hosts: re.Pattern[str],
        token: Callable[[], str] | None = None,
        only_names: bool = False,
    ) -> None:
        self._views = views
        self._accept_hosts = accept_hosts
        self._token = token
        self._only_names = only_names
        self.telemetry = Telemetry()

    # ---------------------------------------------------------------------------------------------- without the host

    def at_once(self, request: Request) -> Answer | None:
        """Answer what takes no waiting: refusals, health, and what is about the proxy itself. None for the rest."""
        try:
            self._admit(request)
        except Refusal as refusal:
            return refusal.answer()
        if self._only_names and request.path not in (*HEALTH, *NAMES_ONLY):
            return status(404, "NotFound", f"this proxy serves only {', '.join(NAMES_ONLY)}")
        if request.path == "/healthz":
            return Answer(200, [b"ok"], "text/plain; charset=utf-8")
        if request.path == "/metrics":
            return Answer(
                200, [self.telemetry.exposition(self._views.informer, self._views.circuits, self._views.flights)], TEXT
            )
        return None

    def ready(self) -> Answer:
        """Answer /readyz; takes a second at most."""
        try:
            self._views.informer.origins(wait=1.0)  # raises where the host cannot be asked
        except VmetricsError as error:
            return status(503, "ServiceUnavailable", f"the pods of the host have not been listed yet: {_kind(error)}")
        if self._views.informer.silence() > STALE:
            return status(503, "ServiceUnavailable", "no contact with the host for too long")
        return Answer(200, [b"ok"], "text/plain; charset=utf-8")

    def lane(self, request: Request) -> str:
        """What a request needs of the host: a node, metrics.k8s.io, or (api) the apiserver itself."""
        if found := _NODE.fullmatch(request.path):
            return f"node/{found[1]}"
        return "metrics-api" if "/metrics.k8s.io/" in request.path else "api"

    def client(self, request: Request) -> str:
        """The key by which clients take turns: an address, and the view it requests.

        A Prometheus requests many views from one address. Only views that are known count, so that invented names
        give nobody more turns.
        """
        found = _VCLUSTER.match(request.path)
        if found and self._views.serves(VClusterRef(found[1], found[2])):
            return f"{request.address} {found[1]}/{found[2]}"
        return request.address

    def limit(self, request: Request) -> float:
        """Seconds that a request may take: a little less than the client waits, where it says so."""
        usual = NODE_LIMIT if _NODE.fullmatch(request.path) else OTHER_LIMIT
        try:
            asked = float(request.headers.get(SCRAPE_TIMEOUT, ""))
        except ValueError:
            return usual
        if not (math.isfinite(asked) and asked > 0):
            return usual
        return min(asked - min(0.5, asked / 10), LONGEST_LIMIT)

    def sweep(self) -> None:
        """Forget what is too old to be of use; to be called now and then."""
        self._views.flights.sweep()

    # ------------------------------------------------------------------------------------------------- with the host

    def answer(self, request: Request, scope: CancelScope) -> Answer:
        """Answer a request that `at_once` let pass. Raises nothing.

        The body's parts, where it is no list, come from the host: `next` may wait, and raises where it breaks off.
        """
        started = time.monotonic()
        try:
            with scope.active():
                reply = self._answer(request)
                first, whole = begin(reply.body)
        except Open as refused:
            seconds = math.ceil(refused.seconds)
            return status(503, "ServiceUnavailable", "the node is not responding: try again later", retry_after=seconds)
        except Exception as error:
            return self._failed(request, error)
        finally:
            scope.finish()
        if whole:
            self.telemetry.rewrote(sum(map(len, first)), time.monotonic() - started)
            return reply._replace(body=first)
        body = Body(first, reply.body, scope, self.telemetry, lambda error: self.note(request, error))
        return reply._replace(body=body)

    def _failed(self, request: Request, error: Exception) -> Answer:
        if isinstance(error, Refusal):
            return error.answer()
        if isinstance(error, UsageError):
            return status(400, "BadRequest", error.message)
        if isinstance(error, StatusError) and (isinstance(error, NotFound) or error.code == 400):
            return status(error.code, error.reason, error.message)
        self.note(request, error)
        if not isinstance(error, VmetricsError):
            return status(500, "InternalError", "internal error; see the proxy's log")
        # The host's own words may hold the host's names: a tenant is told what, not why.
        if isinstance(error, StatusError):
            return status(502, error.reason, "the host refused the request")
        if isinstance(error, ConfigError):
            return status(502, "ServiceUnavailable", "no credentials for the host")
        late = isinstance(error, (TimedOut, Cancelled))
        return status(504 if late else 502, "ServiceUnavailable", "the host did not answer")

    def note(self, request: Request, error: Exception) -> None:
        """Count and log what went wrong; of an error that nobody expected only its kind, which holds nobody's data."""
        path = request.path[:200]
        if isinstance(error, Cancelled):
            self.telemetry.gave_up()
        elif isinstance(error, VmetricsError):
            self.telemetry.failed(next((kind for kind, part in _UPSTREAMS if part in path), "other"))
            _log.warning("%s: %s", path, error.message)
        else:
            self.telemetry.broke()
            _log.error("%s: internal error: %s", path, _where(error))

    def _admit(self, request: Request) -> None:
        if request.method not in ("GET", "HEAD"):
            raise Refusal(405, "MethodNotAllowed", "only GET and HEAD are supported")
        headers = request.headers
        if "upgrade" in headers.get("connection", "").lower() or "upgrade" in headers:
            raise Refusal(400, "BadRequest", "connection upgrades are not supported")
        if request.path in HEALTH:
            return  # kubelets ask by the pod's address and without a token; the answer holds nothing
        if not self._accept_hosts.fullmatch(re.sub(r":\d+$", "", headers.get("host", ""))):
            raise Refusal(403, "Forbidden", "this Host header is not allowed: see --accept-hosts")
        if self._token is not None:
            token = self._token()
            given = headers.get("authorization", "").encode("utf-8", "replace")
            if not token or not hmac.compare_digest(given, f"Bearer {token}".encode()):
                raise Refusal(401, "Unauthorized", "Unauthorized")
        if not request.path:
            raise Refusal(400, "BadRequest", "the path is not canonical")
        if len(request.query) > LONGEST_QUERY or len(headers) > MOST_HEADERS:
            raise Refusal(400, "BadRequest", "the query is too long, or there are too many headers")

    def _answer(self, request: Request) -> Answer:
        try:
            asked = parse_qs(request.query, max_num_fields=len(_QUERY))
        except ValueError:
            asked = {"": [""]}
        query = {key: values[-1] for key, values in asked.items()}
        vcluster, path = self._place(request.path)
        if path == "/sd":
            return self._discovered(vcluster, query, request)
        if query.keys() - _QUERY:
            raise Refusal(400, "BadRequest", "unsupported query parameter; supported: labelSelector, fieldSelector")
        if path == names.PATH and request.path == path and (self._only_names or not self._views.only):
            return Answer(200, self._views.names(), TEXT)
        return self._of_view(vcluster, path, query, request.headers.get("accept", ""))

    def _place(self, path: str) -> tuple[VClusterRef | None, str]:
        """Whose view a path is in, and the path there."""
        found = None if self._views.only or self._only_names else _VCLUSTER.fullmatch(path)
        return (self._named(found[1], found[2]), found[3] or "/") if found else (self._views.only, path)

    def _of_view(self, vcluster: VClusterRef | None, path: str, query: dict[str, str], accept: str) -> Answer:
        if path == "/version":
            return Answer(200, [msgspec.json.encode({"major": "1", "minor": "36", "gitVersion": "v1.36.0+vmetrics"})])
        if path.startswith("/api") and (document := discovery.document(self._views.versions.resources(), path, accept)):
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

    def _discovered(self, vcluster: VClusterRef | None, query: dict[str, str], request: Request) -> Answer:
        """The targets of one view: the host's, which alone has the names of all, or a tenant's."""
        if query.keys() - {"endpoints"}:
            raise Refusal(400, "BadRequest", "unsupported query parameter; supported: endpoints")
        of_kubelets = () if self._only_names else kubelet.TEXTS
        more = (NAMES,) if self._only_names or not self._views.only else ()
        supported = [*of_kubelets, *more, OWN] if request.path == "/sd" else of_kubelets
        owner = vcluster if request.path != "/sd" else None
        found = targets(
            request.headers.get("host", ""),
            chosen(query.get("endpoints"), supported),
            partial(self._nodes, vcluster),
            prefix=f"/vclusters/{owner.path}" if owner else "",
            owner=owner,
        )
        return Answer(200, [msgspec.json.encode(found)])

    def _nodes(self, vcluster: VClusterRef | None) -> frozenset[str]:
        return self._views.get(vcluster).objects.nodes()


def _kind(error: VmetricsError) -> str:
    return "no answer" if isinstance(error, ConnectionFailed) else type(error).__name__


def _where(error: Exception) -> str:
    """The kind of an error and the line of ours that raised it, without its text."""
    trace, place = error.__traceback__, ""
    while trace:
        code = trace.tb_frame.f_code
        if "kubectl_vmetrics" in code.co_filename:
            place = f" in {code.co_qualname if hasattr(code, 'co_qualname') else code.co_name}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return type(error).__name__ + place
