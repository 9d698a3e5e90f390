"""What a request is about, as an authorizer sees it (k8s.io/apiserver pkg/endpoints/request/requestinfo.go)."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote

from .exchange import Request

_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_OF_NAMESPACES = ("status", "finalize")


class Attributes(NamedTuple):
    """A verb on a resource or, where there is none, on a path.

    Attributes:
        resource: without its subresource.
        namespace, name: "" for all, or where there is none.
    """

    verb: str
    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def combined(self) -> str:
        """As roles name it: pods/log."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def parts_of(path: str) -> list[str]:
    """A path's parts, unescaped."""
    return [unquote(part) for part in path.split("/") if part]


def attributes(request: Request) -> Attributes:
    """What is asked for."""
    parts, plain = parts_of(request.path), Attributes(request.method.lower(), request.path)
    if parts[:1] == ["api"] and len(parts) > 2:
        group, rest = "", parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, rest = parts[1], parts[3:]
    else:
        return plain
    verb = _VERBS.get(request.method, "")
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in _OF_NAMESPACES:
            rest = rest[2:]
    name = rest[1] if len(rest) > 1 else ""
    if not name:
        if verb == "get":
            verb = "watch" if request.query.get("watch") in ("1", "true") else "list"
        elif verb == "delete":
            verb = "deletecollection"
    return Attributes(verb, request.path, group, rest[0], rest[2] if len(rest) > 2 else "", namespace, name)
