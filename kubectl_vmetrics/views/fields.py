"""Tables for programs from the items of a document, where the document has everything that the table has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Fields = Mapping[str, str]
"""The path in an item, by the name of the column."""
Table = tuple[list[str], list[list[Any]]]


def table(items: Iterable[Mapping[str, Any]], fields: Fields, total: Mapping[str, Any] | None = None) -> Table:
    """Names and values; what an item does not have is None.

    Args:
        items: of a document.
        fields: which of their values.
        total: the sums, for a last row.
    """
    rows = [[_value(item, path) for path in fields.values()] for item in items]
    if total is not None:
        rows.append([_value(total, path) for path in fields.values()])
    return list(fields), rows


def each(
    items: Iterable[Mapping[str, Any]], path: str, name: str = "", *, always: bool = False
) -> Iterable[dict[str, Any]]:
    """One item for each member of a list or map in every item: the item with `part`, the member.

    Args:
        items: of a document.
        path: where the list or map is.
        name: where the key of a map goes in `part`.
        always: whether an item without members is there once, with nothing in `part`.
    """
    for item in items:
        found = _find(item, path)
        parts = [{name: key, **part} for key, part in found.items()] if isinstance(found, dict) else found or []
        yield from ({**item, "part": part} for part in parts or ([{}] if always else []))


def _find(item: Any, path: str) -> Any:
    for key in path.split("."):
        item = item.get(key) if isinstance(item, dict) else None
    return item


def _value(item: Any, path: str) -> Any:
    """A value; of several, a text."""
    found = _find(item, path)
    if isinstance(found, dict):
        return ";".join(f"{key}={value}" for key, value in found.items())
    return ";".join(map(str, found)) if isinstance(found, list) else found
