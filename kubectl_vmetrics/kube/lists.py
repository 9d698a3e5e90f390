"""Whole lists, page by page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Generic, TypeVar

import msgspec

from .client import JSON, Client, escape
from .errors import Expired

Item = TypeVar("Item")

PAGE = 500
"""Items a page: kubectl's --chunk-size."""


class ListMeta(msgspec.Struct):
    """metadata of a list (metav1.ListMeta)."""

    continue_: str = msgspec.field(default="", name="continue")
    resource_version: str = msgspec.field(default="", name="resourceVersion")


class ObjectList(msgspec.Struct, Generic[Item]):
    """Any Kubernetes list, decoded no further than its items' type."""

    items: list[Item] | None = None
    metadata: ListMeta = msgspec.field(default_factory=ListMeta)


class Listed(list[Item]):
    """The items of a whole list.

    Attributes:
        resource_version: the version of the cluster that they show: where a watch goes on.
    """

    resource_version = ""


@cache
def decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """A decoder for a type, made once."""
    return msgspec.json.Decoder(kind)


def pods_path(namespace: str | None) -> str:
    """The path of a list of pods: of a namespace, or of all."""
    return f"/api/v1/namespaces/{escape(namespace)}/pods" if namespace else "/api/v1/pods"


def list_all(
    client: Client,
    path: str,
    decoder: msgspec.json.Decoder[ObjectList[Item]],
    params: Mapping[str, str | int | None] | None = None,
    *,
    accept: str = JSON,
    page: int = PAGE,
    keep: Callable[[Item], bool] | None = None,
) -> Listed[Item]:
    """Every item of a list.

    A list that takes longer than etcd keeps its history expires between two pages (410); it is then read again in
    one piece, as kubectl does (k8s.io/client-go/tools/pager).

    Raises:
        StatusError, ConnectionFailed, BadAnswer: as Client.decode.
    """
    found: Listed[Item] = Listed()
    query: dict[str, str | int | None] = {**(params or {}), "limit": page}
    while True:
        try:
            answer = client.decode(path, decoder, query, accept=accept)
        except Expired:
            if "continue" not in query:
                raise
            found.clear()
            query = dict(params or {})
            continue
        items = answer.items or []
        found += filter(keep, items) if keep else items
        if not answer.metadata.continue_:
            found.resource_version = answer.metadata.resource_version
            return found
        query["continue"] = answer.metadata.continue_
