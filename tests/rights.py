"""Whether roles allow what was asked, and whether they allow more than that."""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit


class Request(NamedTuple):
    """A request as RBAC sees it."""

    namespace: str | None
    group: str
    resource: str
    verb: str


def request(path: str) -> Request | None:
    """From a path to what RBAC asks; None for what everybody may read (discovery, version)."""
    split = urlsplit(path)
    parts = [unquote(part) for part in split.path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) > 2:
        group, rest = "", parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, rest = parts[1], parts[3:]
    else:
        return None
    namespace = None
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    watch = parse_qs(split.query).get("watch", [""])[0] in ("1", "true")
    verb = "get" if len(rest) > 1 else "watch" if watch else "list"
    return Request(namespace, group, "/".join([rest[0], *rest[2:3]]), verb)


def asked(environ: dict[str, Any]) -> list[Request]:
    """All that a request takes.

    A verb comes from the method, not from what is meant: a port-forward over a WebSocket is a GET of pods/portforward, and
    an apiserver from 1.35 on checks `create` beside it, which older clients' POST always took.
    """
    path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
    found = request(f"{path}?{query}")
    if found is None or found.resource in EVERYBODY:
        return []
    if environ["REQUEST_METHOD"] == "POST":
        return [found._replace(verb="create")]
    if environ.get("HTTP_UPGRADE", "").lower() == "websocket":
        return [found, found._replace(verb="create")]
    return [found]


EVERYBODY = ("selfsubjectaccessreviews",)
"""What every user may do, by system:basic-user."""


class Guard:
    """An apiserver behind RBAC.

    Args:
        application: what answers.
        rights: of whoever asks; None for all.

    Attributes:
        asked: what was asked; refused: what of it was not allowed.
    """

    def __init__(self, application: Any, rights: Rights | None = None) -> None:
        self.application = application
        self.rights = rights
        self.asked: list[Request] = []
        self.refused: list[Request] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        for item in asked(environ):
            self.asked.append(item)
            if self.rights is None or self.rights.allow(item):
                continue
            self.refused.append(item)
            where = f'in the namespace "{item.namespace}"' if item.namespace else "at the cluster scope"
            what = f'{item.resource.partition("/")[0]} is forbidden: User "alice" cannot {item.verb} resource'
            message = f'{what} "{item.resource}" in API group "{item.group}" {where}'
            body = json.dumps({"kind": "Status", "code": 403, "reason": "Forbidden", "message": message}).encode()
            headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
            start_response("403 Forbidden", headers)
            return [body]
        return self.application(environ, start_response)

    def close(self) -> None:
        """Of the application."""
        self.application.close()


class Rights:
    """What the roles among some objects allow, all bound to one subject."""

    def __init__(self, objects: list[dict[str, Any]]) -> None:
        bound = {
            (item["kind"].removesuffix("Binding"), item["metadata"].get("namespace"), item["roleRef"]["name"])
            for item in objects
            if item["kind"].endswith("Binding")
        }
        self.allowed: set[tuple[str | None, str, str, str]] = set()
        for item in objects:
            if item["kind"] not in ("Role", "ClusterRole"):
                continue
            namespace = item["metadata"].get("namespace")
            assert (item["kind"], namespace, item["metadata"]["name"]) in bound
            for rule in item["rules"]:
                for group in rule["apiGroups"]:
                    for resource in rule["resources"]:
                        for verb in rule["verbs"]:
                            self.allowed.add((namespace, group, resource, verb))
        self.used: set[tuple[str | None, str, str, str]] = set()

    def allow(self, asked: Request) -> bool:
        """Whether a request is allowed; remembers by which rule."""
        for namespace in {None, asked.namespace}:
            rule = (namespace, asked.group, asked.resource, asked.verb)
            if rule in self.allowed:
                self.used.add(rule)
                return True
        return False
