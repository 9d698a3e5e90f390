"""Lists and single objects: selectors, pages, versions, and the forms that a client may ask for.

Words are those of k8s.io/apiserver (pkg/endpoints/handlers/negotiation, pkg/storage) and of the kinds' own conversions.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from kubectl_vmetrics.kube.errors import UsageError
from kubectl_vmetrics.kube.selector import LabelSelector, parse_fields, parse_labels

from . import tables, watch
from .attributes import parts_of
from .exchange import Key, Refusal, Reply, Request, Resource, missing
from .objects import Object

VERSION = int(watch.VERSION)
Fields = tuple[tuple[str, bool, str], ...]
_ALWAYS = ("metadata.name", "metadata.namespace")
_FIELDS = {
    ("", "pods"): ("spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "status.phase", "status.podIP"),
    ("", "nodes"): ("spec.unschedulable",),
    ("", "namespaces"): ("status.phase",),
    ("", "secrets"): ("type",),
    ("", "services"): ("spec.clusterIP", "spec.type"),
}
"""What kinds can be selected by beside their names; others have the words of apimachinery for it."""
_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


def dumps(body: Any) -> Reply:
    """A document as an answer."""
    return Reply(200, msgspec.json.encode(body))


def find(request: Request, resources: Sequence[Resource]) -> tuple[Resource, str | None, str | None] | None:
    """The kind that a path is about, the namespace and the name; None for a path that leads to no kind."""
    parts = parts_of(request.path)
    if parts[:1] == ["api"] and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = None
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    found = [r for r in resources if (r.api.group, r.api.version, r.api.name) == (group, version, rest[0])]
    if not found or len(rest) > 2 or (namespace is not None and not found[0].api.namespaced):
        return None
    return found[0], namespace, rest[1] if len(rest) > 1 else None


def answer(request: Request, resources: Sequence[Resource]) -> Reply | None:
    """A list, or an object. Raises Refusal."""
    found = find(request, resources)
    if found is None:
        return None
    resource, namespace, name = found
    accepted(request)
    if name is None:
        return _list(request, resource, resource.entries(namespace))
    key = next((key for key in resource.entries(namespace) if key.name == name), None)
    if key is None or (resource.api.namespaced and namespace is None):
        raise missing(resource.api.name, name, resource.api.group)
    return dumps(_as_asked(request, resource, [key.make()], single=True))


def accepted(request: Request) -> None:
    """Raises Refusal where the client takes nothing that is served here."""
    wanted = [part.partition(";")[0].strip() for part in request.accept.split(",")]
    if request.accept and not {"application/json", "application/*", "*/*"} & set(wanted):
        message = "only the following media types are accepted: application/json"
        raise Refusal(406, "NotAcceptable", message)


def selectors(request: Request) -> tuple[LabelSelector, Fields]:
    """What a request selects by. Raises Refusal."""
    try:
        return parse_labels(request.query.get("labelSelector", "")), parse_fields(
            request.query.get("fieldSelector", "")
        )
    except UsageError as error:
        raise Refusal(400, "BadRequest", error.message) from None


def match(values: dict[str, str], fields: Fields) -> bool:
    """Whether an object has these values."""
    return all((values.get(field, "") == value) == equal for field, equal, value in fields)


def unknown_field(field: str) -> Refusal:
    """As apimachinery refuses what a kind cannot be selected by."""
    known = 'only "metadata.name", "metadata.namespace"'
    return Refusal(400, "BadRequest", f'"{field}" is not a known field selector: {known}')


def check_version(request: Request) -> None:
    """Raises Refusal for a version of which nothing is known."""
    given = request.query.get("resourceVersion", "")
    if not given or given == "0":
        return
    if not given.isdigit():
        text = f'resourceVersion: Invalid value: "{given}": strconv.ParseUint: parsing "{given}": invalid syntax'
        raise Refusal(400, "BadRequest", text)
    if int(given) > VERSION:
        raise Refusal(504, "Timeout", f"Too large resource version: {given}, current: {VERSION}")
    if int(given) < VERSION and request.query.get("resourceVersionMatch") == "Exact":
        raise Refusal(410, "Expired", "The resourceVersion for the provided list is too old.")


def selected(request: Request, resource: Resource, keys: Iterable[Key]) -> list[Key]:
    """Those that a request selects. Raises Refusal."""
    labels, fields = selectors(request)
    _check_fields(resource, fields)
    return [
        key
        for key in keys
        if (not labels.requirements or labels.matches(key.labels.get))
        and (
            not fields or match({**key.fields, "metadata.name": key.name, "metadata.namespace": key.namespace}, fields)
        )
    ]


def _check_fields(resource: Resource, fields: Fields) -> None:
    own = _FIELDS.get((resource.api.group, resource.api.name))
    for field, _, _ in fields:
        if field in _ALWAYS or (own and field in own):
            continue
        if own:
            raise Refusal(400, "BadRequest", f"field label not supported: {field}")
        raise unknown_field(field)


def _list(request: Request, resource: Resource, keys: Sequence[Key]) -> Reply:
    check_version(request)
    matching = selected(request, resource, keys)
    start, limit = _page(request)
    page = matching[start : start + limit] if limit else matching[start:]
    body = _as_asked(request, resource, [key.make() for key in page], single=False)
    if limit and start + limit < len(matching):
        body["metadata"]["continue"] = _token(start + limit)
        if not request.query.get("labelSelector") and not request.query.get("fieldSelector"):
            body["metadata"]["remainingItemCount"] = len(matching) - start - limit
    return dumps(body)


def _token(start: int) -> str:
    return base64.urlsafe_b64encode(json.dumps({"rv": VERSION, "start": start}).encode()).decode().rstrip("=")


def _page(request: Request) -> tuple[int, int]:
    """Where a page starts, and how long it may be; 0 for all."""
    limit, token = request.query.get("limit", "") or "0", request.query.get("continue", "")
    if not limit.lstrip("-").isdigit():
        raise Refusal(400, "BadRequest", f'strconv.ParseInt: parsing "{limit}": invalid syntax')
    if not token:
        return 0, max(0, int(limit))
    if request.query.get("resourceVersion", "0") not in ("", "0"):
        raise Refusal(400, "BadRequest", "specifying resource version is not allowed when using continue")
    try:
        given = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        version, start = int(given["rv"]), int(given["start"])
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise Refusal(400, "BadRequest", "continue key is not valid") from None
    if version != VERSION:
        raise Refusal(410, "Expired", _OLD)
    return start, max(0, int(limit))


def _as_asked(request: Request, resource: Resource, items: list[Object], *, single: bool) -> Object:
    if request.wants("Table"):
        return tables.table(resource.api.name, items, request.query.get("includeObject", "Metadata"))
    if request.wants("PartialObjectMetadata"):
        partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        items = [{**partial, "metadata": item["metadata"]} for item in items]
        kind, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
    else:
        kind, version = f"{resource.api.kind}List", resource.api.group_version
    if single:
        return items[0]
    if kind != "PartialObjectMetadataList":
        items = [{key: value for key, value in item.items() if key not in ("kind", "apiVersion")} for item in items]
    return {"kind": kind, "apiVersion": version, "metadata": {"resourceVersion": str(VERSION)}, "items": items}
