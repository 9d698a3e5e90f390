"""JSONPath templates as `kubectl get -o jsonpath=` understands them (k8s.io/client-go/util/jsonpath).

Pure: a template is parsed once, and evaluated on documents of dicts, lists and scalars. What a document lacks is
empty, as with kubectl's --allow-missing-template-keys, which is its default.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from . import safe
from .paths import Bad, Field, Filter, Literal, Node, Recursive, Slice, Union_, Wildcard, parse_action, relaxed

LONGEST = 1 << 16
"""Characters of a template."""
MOST = 5_000_000
"""Values that a template may look at: nested recursive descents multiply."""


class Template:
    """A template. Raises Bad, a ValueError, if it cannot be parsed.

    Args:
        text: free text with {expressions}.
    """

    def __init__(self, text: str) -> None:
        if not text:
            raise Bad("template format specified but no template given")
        if len(text) > LONGEST:
            raise Bad(f"a JSONPath template may have {LONGEST:,} characters at most")
        self.text = text
        try:
            self._parts = _blocks(iter(_pieces(text)))
        except Bad as error:
            raise Bad(f"error parsing jsonpath {text}, {error}") from None

    def render(self, document: Any) -> str:
        """The text for a document. Raises Bad where a path does not fit it."""
        try:
            return "".join(_rendered(self._parts, document, _Steps()))
        except Bad as error:
            raise Bad(f'error executing jsonpath "{self.text}": {error}') from None


class Path:
    """One path, such as .metadata.name, for --sort-by and custom columns; braces and the first dot may be left out.

    Raises Bad, a ValueError, if it cannot be parsed.
    """

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise Bad(f"a JSONPath expression may have {LONGEST:,} characters at most")
        self._text = relaxed(text)
        self._nodes = parse_action(self._text)[0]

    def __str__(self) -> str:
        return self._text

    def find(self, document: Any) -> list[Any]:
        """The values that it leads to. Raises Bad where it does not fit the document."""
        return _walk([document], self._nodes, _Steps())


class _Range(NamedTuple):
    """{range …} … {end}."""

    nodes: Sequence[Node]
    parts: Sequence[_Part]


_Part = str | Sequence[Node] | _Range


class _Own(str):
    """Text of the template itself, which may hold any character."""

    __slots__ = ()


class _Steps:
    """How many values were looked at."""

    def __init__(self) -> None:
        self.left = MOST

    def take(self, count: int) -> None:
        self.left -= count + 1
        if self.left < 0:
            raise Bad("the template matches too many values")


def _pieces(text: str) -> Iterator[tuple[str, Any]]:
    """Free text, and actions taken apart."""
    at = 0
    while at < len(text):
        start = text.find("{", at)
        if start < 0:
            yield "text", text[at:]
            return
        if start > at:
            yield "text", text[at:start]
        nodes, length = parse_action(text[start:])
        at = start + length
        word = nodes[0] if nodes else None
        if isinstance(word, str):
            if word not in ("range", "end"):
                raise Bad(f"unrecognized identifier {word}")
            yield word, nodes[1:]
        else:
            yield "nodes", nodes


def _blocks(pieces: Iterator[tuple[str, Any]], *, inner: bool = False) -> list[_Part]:
    parts: list[_Part] = []
    for kind, what in pieces:
        if kind == "end":
            if not inner:
                raise Bad("not in range, nothing to end")
            return parts
        parts.append(_Range(what, _blocks(pieces, inner=True)) if kind == "range" else what)
    return parts


def _rendered(parts: Sequence[_Part], current: Any, steps: _Steps) -> Iterator[str]:
    for part in parts:
        if isinstance(part, str):
            yield part
        elif isinstance(part, _Range):
            for value in _walk([current], part.nodes, steps):
                yield from _rendered(part.parts, value, steps)
        else:
            yield " ".join(text(value) for value in _walk([current], part, steps))


# ------------------------------------------------------------------------------------------------------- evaluation


def _walk(values: list[Any], nodes: Sequence[Node], steps: _Steps) -> list[Any]:
    for node in nodes:
        steps.take(len(values))
        values = _step(values, node, steps)
    return values


def _step(values: list[Any], node: Node, steps: _Steps) -> list[Any]:
    if isinstance(node, Field):
        return [value[node.name] for value in values if isinstance(value, dict) and node.name in value]
    if isinstance(node, Literal):
        own = _Own(node.value) if isinstance(node.value, str) else node.value
        return [own for _ in values]
    if isinstance(node, Wildcard):
        return [inner for value in values for inner in _inside(value)]
    if isinstance(node, Recursive):
        return _descend(values, steps)
    if isinstance(node, Union_):
        return [found for nodes in node.choices for found in _walk(values, nodes, steps)]
    if isinstance(node, str):
        raise Bad(f"unrecognized identifier {node}")
    lists = [value for value in values if value is not None]
    for value in lists:
        if not isinstance(value, list):
            raise Bad(f"{_kind(value)} is not array or slice{' and cannot be filtered' * isinstance(node, Filter)}")
    if isinstance(node, Slice):
        return [item for value in lists for item in _sliced(value, node)]
    return [item for value in lists for item in value if _passes(item, node, steps)]


def _inside(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _descend(values: list[Any], steps: _Steps) -> list[Any]:
    found = []
    for value in values:
        if inner := _inside(value):
            steps.take(len(inner))
            found += [value, *_descend(inner, steps)]
    return found


def _sliced(value: list[Any], node: Slice) -> list[Any]:
    length = len(value)
    start, end = node.start or 0, length if node.end is None else node.end
    start += length if start < 0 else 0
    end += length if end < 0 or (end == 0 and node.single) else 0
    if start == end:
        return []
    for index, fits in ((start, 0 <= start < length), (end - 1, 0 <= end <= length)):
        if not fits:
            raise Bad(f"array index out of bounds: index {index}, length {length}")
    if start > end:
        raise Bad(f"starting index {start} is greater than ending index {end}")
    if node.step is not None and node.step <= 0:
        raise Bad("step must be > 0")
    return value[start : end : node.step or 1]


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


def _passes(item: Any, node: Filter, steps: _Steps) -> bool:
    left = _walk([item], node.left, steps)
    if node.operator == "exists":
        return bool(left)
    if not left:
        return False
    right = _walk([item], node.right, steps)
    if not right:
        return False
    if len(left) > 1 or len(right) > 1:
        raise Bad("can only compare one element at a time")
    kinds = {_comparable(left[0]), _comparable(right[0])}
    if len(kinds) > 1 or None in kinds or (kinds == {"bool"} and node.operator not in ("==", "!=")):
        raise Bad("incompatible types for comparison")
    return _COMPARE[node.operator](left[0], right[0])


def _comparable(value: Any) -> str | None:
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, (int, float)) else "string" if isinstance(value, str) else None


def _kind(value: Any) -> str:
    """The type of a value, in Go's words."""
    if isinstance(value, dict):
        return "map[string]interface {}"
    return {bool: "bool", int: "int64", float: "float64"}.get(type(value), "string")


# -------------------------------------------------------------------------------------------------------------- text


def text(value: Any) -> str:
    """A value as kubectl prints it: JSON in one line for what is not a scalar."""
    if isinstance(value, (dict, list)):
        written = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return safe.line(re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", written))
    return scalar(value, nothing="null")


def scalar(value: Any, *, nothing: str) -> str:
    """A number, truth or text as Go's fmt prints it; `nothing` for null."""
    if value is None:
        return nothing
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return number(value)
    if isinstance(value, _Own):
        return value
    return safe.line(str(value))


def number(value: float) -> str:
    """A float as Go's %v: as short as it can be, with an exponent only below 1e-4 and from 1e21 on.

    >>> [number(value) for value in (1.0, 0.25, 1e20, 1e21, 0.00001)]
    ['1', '0.25', '100000000000000000000', '1e+21', '1e-05']
    """
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    return repr(value)
