"""What is asked of the demo cluster, and what is answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from kubectl_vmetrics.kube.discovery import ApiResource

CONNECTION = "vmetrics.connection"
"""In a WSGI environment: takes the client's connection from the server, which then sends nothing more."""


class User(NamedTuple):
    """Who asks. Without credentials that is system:anonymous."""

    name: str = "system:anonymous"
    groups: tuple[str, ...] = ()


ADMIN = User("kubernetes-admin", ("kubeadm:cluster-admins", "system:authenticated"))
"""Who asks the demo cluster without credentials: it listens on loopback, as `kubectl proxy` does."""


class Request(NamedTuple):
    """What was asked for."""

    path: str
    query: dict[str, str]
    accept: str
    method: str = "GET"
    body: bytes = b""
    user: User = ADMIN

    def wants(self, kind: str) -> bool:
        """Whether the client would rather have a kind (Table, PartialObjectMetadataList) than the object."""
        return f"as={kind}" in self.accept


class Reply(NamedTuple):
    """What is answered."""

    status: int
    body: bytes
    content_type: str = "application/json"


Route = Callable[[Request], "Reply | None"]
"""Answers a request, or None for a path that is not its own."""
Change = Callable[[Request, Callable[[Request], Reply]], Reply]
"""Answers in place of the apiserver, which it may ask."""


class Refusal(Exception):
    """Answered as a metav1.Status.

    Args:
        code: the status code.
        reason: as in Status.reason.
        message: as in Status.message.
        details: as in Status.details; left out if None.
    """

    def __init__(self, code: int, reason: str, message: str, details: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.details = code, reason, message, details


class Resource(NamedTuple):
    """A kind of object that can be listed.

    Attributes:
        entries: the objects of a namespace, or of all; each before it is built.
    """

    api: ApiResource
    entries: Callable[[str | None], Sequence[Key]]


class Key(NamedTuple):
    """An object before it is made: what selectors look at."""

    namespace: str
    name: str
    labels: dict[str, str]
    fields: dict[str, str]
    make: Callable[[], dict[str, Any]]


def status(refusal: Refusal) -> Reply:
    """A refusal as an answer."""
    details = {} if refusal.details is None else {"details": refusal.details}
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": refusal.message,
        "reason": refusal.reason,
        **details,
        "code": refusal.code,
    }
    return Reply(refusal.code, msgspec.json.encode(body))


def missing(resource: str, name: str, group: str = "") -> Refusal:
    """404, as an apiserver answers for an object that does not exist."""
    full = f"{resource}.{group}" if group else resource
    details = {"name": name, **({"group": group} if group else {}), "kind": resource}
    return Refusal(404, "NotFound", f'{full} "{name}" not found', details)
