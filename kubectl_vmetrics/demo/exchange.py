"""What is asked of the embedded cluster, and what is answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from kubectl_vmetrics.kube.discovery import ApiResource

CONNECTION = "vmetrics.connection"
"""In a WSGI environment: takes the client's connection from the server, which then sends nothing more."""


class Request(NamedTuple):
    """What was asked for."""

    path: str
    query: dict[str, str]
    accept: str
    method: str = "GET"
    body: bytes = b""

    def wants(self, kind: str) -> bool:
        """Whether the client would rather have a kind (Table, PartialObjectMetadataList) than the object."""
        return f"as={kind}" in self.accept


class Reply(NamedTuple):
    """What is answered."""

    status: int
    body: bytes
    content_type: str = "application/json"


class Refusal(Exception):
    """Answered as a metav1.Status."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


class Resource(NamedTuple):
    """A kind of object that can be listed.

    Attributes:
        entries: what there is in a namespace, or in all; each before it is made.
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
