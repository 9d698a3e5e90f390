"""The user's rights according to the apiserver (authorization.k8s.io/v1, SelfSubjectAccessReview)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from .client import Client
from .errors import VmetricsError
from .gather import gather
from .lists import decoder

PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class Right(NamedTuple):
    """A verb on a resource.

    Attributes:
        resource: with its subresource, if one is meant: pods/proxy.
        namespace: "" for all.
    """

    group: str
    resource: str
    verb: str
    namespace: str = ""

    @property
    def title(self) -> str:
        """As kubectl auth can-i writes it: "get pods/proxy", "list nodes.metrics.k8s.io"."""
        name, slash, sub = self.resource.partition("/")
        return f"{self.verb} {name}{f'.{self.group}' if self.group else ''}{slash}{sub}"


class _Status(msgspec.Struct):
    allowed: bool = False


class _Review(msgspec.Struct):
    status: _Status = msgspec.field(default_factory=_Status)


def allowed(client: Client, rights: Sequence[Right]) -> list[bool | VmetricsError]:
    """Whether each right is granted, reviewed concurrently; or the error if the review failed."""
    return gather([partial(_ask, client, right) for right in rights], limit=16)


def _ask(client: Client, right: Right) -> bool:
    name, _, sub = right.resource.partition("/")
    attributes = {
        "group": right.group,
        "resource": name,
        "subresource": sub,
        "verb": right.verb,
        "namespace": right.namespace,
    }
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
    }
    found: _Review = client.create(PATH, body, decoder(_Review))
    return found.status.allowed
