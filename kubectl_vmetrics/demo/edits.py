"""Edits of JSON documents that are data: which items, and what is done to them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

import msgspec


class Edit(msgspec.Struct, forbid_unknown_fields=True):
    """What is done to a document, or to some of its items.

    Attributes:
        items: to which items: "first", or a pattern of their names; to the document itself without one of these three.
        label: to items that have this label.
        namespace: to items of this namespace.
        set: values by dotted paths; numbers there are places in lists.
        remove: paths that are taken away.
        append: elements that are added to lists, by paths; where there is none, nothing is.
        argument: an argument of the first container, in place of that with the same name.
        copy: an item is there once more, by this name.
        drop: whether items are taken away.
        keep: how many items stay, of a list.
        without: the name of items, or groups, that are taken away.
    """

    items: str = ""
    label: str = ""
    namespace: str = ""
    set: dict[str, Any] = {}
    remove: list[str] = []
    append: dict[str, list[Any]] = {}
    argument: str = ""
    copy: str = ""
    drop: bool = False
    keep: int | None = None
    without: str = ""


def edited(edits: Iterable[Edit], body: Any) -> None:
    """Edit a document in place."""
    for edit in edits:
        key = "groups" if "groups" in body else "items"
        if edit.keep is not None and key in body:
            body[key] = body[key][: edit.keep]
        if edit.without:
            body[key] = [item for item in body[key] if edit.without not in (item.get("name"), _name(item))]
        chosen = _chosen(edit, body)
        for item in chosen:
            _apply(edit, item)
        if edit.drop:
            body[key] = [item for item in body[key] if all(item is not other for other in chosen)]
        if edit.copy:
            for item in chosen:
                second = json.loads(json.dumps(item))
                second["metadata"]["name"] = edit.copy
                body[key].append(second)


def _chosen(edit: Edit, body: Any) -> list[Any]:
    if not (edit.items or edit.label or edit.namespace):
        return [body]
    listed = body.get("items", [])
    if edit.items == "first":
        return listed[:1]  # type: ignore[no-any-return]
    return [
        item
        for item in listed
        if fnmatchcase(_name(item), edit.items or "*")
        and (not edit.label or edit.label in item["metadata"].get("labels", {}))
        and edit.namespace in ("", item["metadata"].get("namespace"))
    ]


def _name(item: Any) -> str:
    return str(item.get("metadata", {}).get("name", ""))


def _apply(edit: Edit, item: Any) -> None:
    for path, value in edit.set.items():
        at, last = _parent(item, path)
        at[last] = value
    for path in edit.remove:
        at, last = _parent(item, path)
        del at[last]
    for path, more in edit.append.items():
        if path.partition(".")[0] in item:
            at, last = _parent(item, path)
            at[last] = [*at[last], *more]
    if edit.argument:
        container = item["spec"]["containers"][0]
        name = edit.argument.partition("=")[0]
        container["args"] = [arg for arg in container["args"] if not arg.startswith(name)] + [edit.argument]


def _parent(item: Any, path: str) -> tuple[Any, Any]:
    """What holds the value of a path, and its key there."""
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in way:
        item = item[part]
    return item, last
