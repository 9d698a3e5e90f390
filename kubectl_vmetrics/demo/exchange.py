"""What is asked of the embedded cluster, and what is answered."""

from __future__ import annotations

from typing import NamedTuple


class Request(NamedTuple):
    """What was asked for."""

    path: str
    query: dict[str, str]
    accept: str
    method: str = "GET"

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
