"""An apiserver that answers with recordings of a real one, and with what can be cut out of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from kubectl_vmetrics.demo import watch
from kubectl_vmetrics.demo.exchange import Refusal, Reply, Request, status
from kubectl_vmetrics.kube.selector import parse_fields, parse_labels

RECORDINGS = Path(__file__).parent / "recordings" / "k8s-1.36"

_DERIVED = {
    "/api/v1/pods": "api-v1-pods.json",
    "/api/v1/namespaces": "api-v1-namespaces.json",
    "/api/v1/persistentvolumeclaims": "api-v1-persistentvolumeclaims.json",
    "/api/v1/nodes": "api-v1-nodes.json",
    "/apis/apps/v1/statefulsets": "apis-apps-v1-statefulsets.json",
    "/apis/apps/v1/deployments": "apis-apps-v1-deployments.json",
    "/apis/metrics.k8s.io/v1beta1/pods": "apis-metrics.k8s.io-v1beta1-pods.json",
    "/apis/metrics.k8s.io/v1beta1/nodes": "apis-metrics.k8s.io-v1beta1-nodes.json",
}


# What does not change which objects are meant.
_ASIDE = ("limit", "resourceVersion", "watch", "allowWatchBookmarks", "timeoutSeconds")


class Replay:
    """A WSGI application. `override` answers some paths differently; `seen` lists what was asked."""

    def __init__(self, folder: str) -> None:
        self.folder = RECORDINGS / folder
        self.index: dict[tuple[str, str, str], dict[str, Any]] = {}
        for entry in json.loads((self.folder / "index.json").read_text()):
            self.index[entry["path"], _kind(entry["accept"]), entry["as"]] = entry
        self.override: dict[str, Reply | Refusal] = {}
        self.seen: list[str] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def close(self) -> None:
        """End the watches."""
        self._stopping.set()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        query = environ.get("QUERY_STRING", "")
        path = quote(environ["PATH_INFO"], safe="/:")
        asked = f"{path}?{query}" if query else path
        with self._lock:
            self.seen.append(asked)
        from urllib.parse import parse_qs

        parsed = {key: values[-1] for key, values in parse_qs(query).items()}
        accept, user = environ.get("HTTP_ACCEPT", ""), environ.get("HTTP_IMPERSONATE_USER", "")
        try:
            reply = self._answer(path, parsed, accept, user)
        except Refusal as refusal:
            reply = status(refusal)
        if parsed.get("watch") == "1" and reply.status == 200:
            start_response("200 OK", [("Content-Type", "application/json")])
            return watch.held(Request(path, parsed, accept), self._stopping)
        start_response(
            f"{reply.status} Status", [("Content-Type", reply.content_type), ("Content-Length", str(len(reply.body)))]
        )
        return [reply.body]

    def _answer(self, path: str, query: dict[str, str], accept: str, user: str) -> Reply:
        if path in self.override:
            found = self.override[path]
            if isinstance(found, Refusal):
                raise found
            return found
        query = {key: value for key, value in query.items() if key not in _ASIDE}
        asked = f"{path}?{urlencode(query)}" if query else path
        kind = _kind(accept)
        # bob may do nothing; what was not recorded for him is refused like what was.
        entry = self.index.get((asked, kind, user))
        if entry is None and user:
            raise Refusal(403, "Forbidden", f'{path.rpartition("/")[2]} is forbidden: User "{user}" cannot do this')
        if entry:
            return Reply(entry["status"], (self.folder / entry["body"]).read_bytes(), entry["content_type"])
        return self._derived(Request(path, query, accept))

    def _derived(self, request: Request) -> Reply:
        path, namespace, name = request.path, None, None
        parts = path.split("/")
        if "namespaces" in parts and len(parts) > parts.index("namespaces") + 2:
            at = parts.index("namespaces")
            namespace = parts[at + 1]
            name = parts[at + 3] if len(parts) > at + 3 else None
            path = "/".join([*parts[:at], parts[at + 2]])
        if path not in _DERIVED:
            return Reply(404, b"404 page not found\n", "text/plain; charset=utf-8")
        body = json.loads((self.folder / _DERIVED[path]).read_text())
        labels = parse_labels(request.query.get("labelSelector", ""))
        fields = parse_fields(request.query.get("fieldSelector", ""))
        items = []
        for item in body["items"]:
            meta = item["metadata"]
            values = {"metadata.name": meta["name"], "metadata.namespace": meta.get("namespace", "")}
            if (
                namespace in (None, meta.get("namespace"))
                and name in (None, meta["name"])
                and labels.matches(meta.get("labels", {}).get)
                and all((values.get(field) == value) == equal for field, equal, value in fields)
            ):
                items.append(item)
        if "as=PartialObjectMetadata" in request.accept:
            items = [{"metadata": item["metadata"]} for item in items]
        if name is not None:
            if not items:
                raise Refusal(404, "NotFound", f'pods "{name}" not found')
            return Reply(200, json.dumps(items[0]).encode())
        return Reply(200, json.dumps({**body, "items": items}).encode())


def _kind(accept: str) -> str:
    for kind in ("APIGroupDiscoveryList", "Table", "PartialObjectMetadataList", "PartialObjectMetadata"):
        if f"as={kind}" in accept:
            return kind
    return "object"
