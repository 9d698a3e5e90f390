"""Parses the expressions of JSONPath as kubectl does (k8s.io/client-go/util/jsonpath/parser.go), into nodes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple


class Bad(ValueError):
    """A template that cannot be parsed, or that does not fit its document."""


class Field(NamedTuple):
    """.name: a value of a map."""

    name: str


class Literal(NamedTuple):
    """A quoted text, a number or a truth."""

    value: Any


class Wildcard(NamedTuple):
    """* of a map or list: all that is inside."""


class Recursive(NamedTuple):
    """..: each map and list, at any depth."""


class Slice(NamedTuple):
    """[start:end:step]; `single` where it was [index]."""

    start: int | None
    end: int | None
    step: int | None
    single: bool = False


class Filter(NamedTuple):
    """[?(left operator right)]; the operator is "exists" where there is nothing to compare."""

    left: Sequence[Node]
    operator: str
    right: Sequence[Node]


class Union_(NamedTuple):  # noqa: N801
    """[a,b]: what each of them leads to."""

    choices: Sequence[Sequence[Node]]


Node = Field | Literal | Wildcard | Recursive | Slice | Filter | Union_ | str
"""A step of a path; a plain text is an identifier, `range` or `end`."""

_ENDS = "\r\n .,[]$@{}"
_SLICE = re.compile(r"(-?\d*)(?::(-?\d*))?(?::(-?\d*))?", re.ASCII)
_COMPARISON = re.compile(r"([^!<>=]+)([!<>=]+)(.+)", re.DOTALL)
_OPERATORS = ("==", "!=", "<", "<=", ">", ">=")
_RELAXED = re.compile(r"\{\.?([^{}]+)\}|\.?([^{}]+)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_DEEPEST = 50
"""Filters within filters."""


def relaxed(text: str) -> str:
    """An expression as --sort-by and custom columns take it, in braces and with its first dot. Raises Bad."""
    found = _RELAXED.fullmatch(text.strip())
    if not found:
        raise Bad(
            "unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or '{.name1.name2}'"
        )
    return f"{{.{found[1] or found[2]}}}"


def parse_action(text: str, depth: int = 0) -> tuple[list[Node], int]:
    """The nodes of the action in braces that a text begins with, and how long it is. Raises Bad."""
    if depth > _DEEPEST:
        raise Bad("too many filters within each other")
    return _Action(text, depth).parse()


class _Action:
    def __init__(self, text: str, depth: int) -> None:
        self.text = text
        self.at = 1
        self.depth = depth
        self.nodes: list[Node] = []

    def parse(self) -> tuple[list[Node], int]:
        while True:
            rest = self.text[self.at : self.at + 3]
            if not rest or rest[0] in "\r\n":
                raise Bad("unclosed action")
            character = rest[0]
            if character == "}":
                return self.nodes, self.at + 1
            if rest == "[?(":
                self._filter()
            elif rest[:2] == "..":
                self._recursive()
            elif character in " @$":
                self.at += 1
            elif character == "[":
                self._array()
            elif character in "\"'":
                self._quoted(character)
            elif character == ".":
                self.at += 1
                self._field()
            elif character in "+-" or (character.isascii() and character.isdigit()):
                self._number()
            elif character == "_" or character.isalnum():
                word = self._until_end()
                self.nodes.append(Literal(word == "true") if word in ("true", "false") else word)
            else:
                raise Bad(f"unrecognized character in action: U+{ord(character):04X} '{character}'")

    def _until_end(self) -> str:
        start = self.at
        while self.at < len(self.text) and self.text[self.at] not in _ENDS:
            self.at += 1
        return self.text[start : self.at]

    def _field(self) -> None:
        found = re.compile(r"(?:\\.|[^\r\n .,\[\]$@{}\\])*", re.DOTALL).match(self.text, self.at)
        name = found[0] if found else ""
        self.at += len(name)
        if self.text[self.at : self.at + 1] == "\\":
            raise Bad("unclosed action")
        self.nodes.append(Wildcard() if name == "*" else Field(name.replace("\\", "")))

    def _recursive(self) -> None:
        if self.nodes and isinstance(self.nodes[-1], Recursive):
            raise Bad("invalid multiple recursive descent")
        self.at += 2
        self.nodes.append(Recursive())
        following = self.text[self.at : self.at + 1]
        if following == "_" or following.isalnum():
            self._field()

    def _number(self) -> None:
        found = re.compile(r"[+-]?[\d.]*", re.ASCII).match(self.text, self.at)
        written = found[0] if found else ""
        self.at += len(written)
        try:
            self.nodes.append(Literal(float(written) if "." in written else int(written)))
        except ValueError:
            raise Bad(f"cannot parse number {written}") from None

    def _quoted(self, quote: str) -> None:
        found = re.compile(rf"{quote}((?:\\.|[^\\{quote}\n])*){quote}", re.DOTALL).match(self.text, self.at)
        if not found:
            raise Bad("unterminated quoted string")
        self.at += len(found[0])
        self.nodes.append(Literal(_unquoted(found[1])))

    def _array(self) -> None:
        end = self.text.find("]", self.at)
        if end < 0 or "\n" in self.text[self.at : end]:
            raise Bad("unterminated array")
        inside = self.text[self.at + 1 : end]
        self.at = end + 1
        choices = ("*" if inside == "*" else inside).split(",")
        if len(choices) > 1:
            self.nodes.append(Union_([self._inner(f"[{choice.strip(' ')}]") for choice in choices]))
        elif found := re.fullmatch(r"'([^']*)'", inside):
            self.nodes += self._inner(f".{found[1]}")
        else:
            self.nodes.append(_slice(":" if inside == "*" else inside))

    def _inner(self, expression: str) -> list[Node]:
        nodes, length = parse_action(f"{{{expression}}}", self.depth + 1)
        if length != len(expression) + 2:
            raise Bad("unclosed action")
        return nodes

    def _filter(self) -> None:
        start, quote = self.at + 3, ""
        at = start
        while True:
            character = self.text[at : at + 1]
            if not character or character == "\n":
                raise Bad("unterminated filter")
            if character in "\"'":
                quote = quote or character
                if quote == character and at > start and quote in self.text[start:at] and self.text[at - 1] != "\\":
                    quote = "" if _closed(self.text[start : at + 1], quote) else quote
            elif character == ")" and not quote:
                break
            at += 1
        if self.text[at + 1 : at + 2] != "]":
            raise Bad("unclosed array expect ]")
        inside = self.text[start:at]
        self.at = at + 2
        found = _COMPARISON.fullmatch(inside)
        if not found:
            self.nodes.append(Filter(self._inner(inside), "exists", ()))
            return
        left, operator, right = found.groups()
        nodes = Filter(self._inner(left), operator, self._inner(right))
        if operator not in _OPERATORS:
            raise Bad(f"unrecognized filter operator {operator}")
        self.nodes.append(nodes)


def _closed(text: str, quote: str) -> bool:
    return len(re.findall(rf"(?<!\\){quote}", text)) % 2 == 0


def _slice(text: str) -> Slice:
    found = _SLICE.fullmatch(text)
    if not found:
        raise Bad(f"invalid array index {text}")
    try:
        numbers = [int(part) if part else None for part in found.groups()]
    except ValueError:
        raise Bad(f"array index {text} is not a number") from None
    start, end, step = numbers
    if found[2] is None:
        return Slice(start, (start or 0) + 1, step, single=True)
    return Slice(start, end, step)


def _unquoted(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        if found[1] not in _ESCAPES:
            raise Bad(f'unquote string "{text}" error invalid syntax')
        return _ESCAPES[found[1]]

    return re.sub(r"\\(.)", one, text, flags=re.DOTALL)
