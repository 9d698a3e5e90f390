"""Label and field selectors: the whole grammar of kubectl's -l and --field-selector, evaluated here.

A selector in virtual terms cannot be sent to the host, where labels and names differ, so it is parsed and matched
on this side. Grammar and messages: k8s.io/apimachinery/pkg/labels/selector.go and pkg/fields/selector.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec

from .errors import UsageError

_TOKEN = re.compile(r"\s*(==|!=|=|<|>|\(|\)|,|!|[^\s=!<>(),]+)")
_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_END = "end of string"
_OPERATORS = ("=", "==", "!=", "in", "notin", "<", ">")


class Requirement(NamedTuple):
    """One condition of a label selector.

    Attributes:
        key: the label's key.
        operator: in, notin, exists, !, > or <; "=" and "==" are "in" with one value, "!=" is "notin".
        values: the values compared with; empty for exists and "!".
    """

    key: str
    operator: str
    values: frozenset[str]

    def matches(self, value: str | None) -> bool:
        """Whether a label's value, None where the label is absent, meets this condition."""
        if self.operator == "!":
            return value is None
        if self.operator == "notin":  # an absent label differs from every value
            return value not in self.values
        if value is None:
            return False
        if self.operator == "in":
            return value in self.values
        if self.operator in "<>":
            try:
                left, right = int(value), int(next(iter(self.values)))
            except ValueError:
                return False
            return left > right if self.operator == ">" else left < right
        return True


class LabelSelector(NamedTuple):
    """A parsed label selector: all requirements must hold."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, label: Callable[[str], str | None]) -> bool:
        """Whether an object matches, given a function from key to value (None where absent)."""
        return all(requirement.matches(label(requirement.key)) for requirement in self.requirements)


def parse_labels(text: str) -> LabelSelector:
    """Parse what follows -l. Raises UsageError."""
    return LabelSelector(tuple(_Parser(text).requirements()))


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        end = 0
        while found := _TOKEN.match(text, end):
            self.tokens.append(found[1])
            end = found.end()
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def next(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def requirements(self) -> Iterable[Requirement]:
        if not self.tokens:
            return
        while True:
            yield self.requirement()
            token = self.next()
            if not token:
                return
            if token != ",":
                raise UsageError(f"found '{token}', expected: ',' or '{_END}'")
            if not self.peek():
                raise UsageError("found '', expected: identifier after ','")

    def requirement(self) -> Requirement:
        token = self.next()
        absent = token == "!"
        if absent:
            token = self.next()
        if not token or token in "!=(),<>" or token == "==":
            raise _unparsable(f"found '{token}', expected: !, identifier, or '{_END}'")
        _check_key(token)
        if absent or self.peek() in ("", ","):
            return Requirement(token, "!" if absent else "exists", frozenset())
        operator = self.next()
        if operator not in _OPERATORS:
            raise _unparsable(f"found '{operator}', expected: in, notin, =, ==, !=, gt, lt")
        if operator in ("in", "notin"):
            values = self.values()
        else:
            following = self.peek()
            values = frozenset({"" if following in ("", ",") else self.next()})
        for value in values:
            _check_value(token, value)
        if operator in ("<", ">") and not all(re.fullmatch(r"-?\d+", value) for value in values):
            raise _unparsable("for 'Gt', 'Lt' operators, the value must be an integer")
        return Requirement(token, {"=": "in", "==": "in", "!=": "notin"}.get(operator, operator), values)

    def values(self) -> frozenset[str]:
        if (token := self.next()) != "(":
            raise _unparsable(f"found '{token}' expected: '('")
        values: set[str] = set()
        expect_value = True
        while True:
            token = self.next()
            if not token:
                raise _unparsable("found '', expected: ',', ')' or identifier")
            if token == ")":
                if expect_value:
                    values.add("")
                return frozenset(values)
            if token == ",":
                if expect_value:
                    values.add("")
                expect_value = True
            elif expect_value and token not in ("(", "=", "==", "!=", "<", ">", "!"):
                values.add(token)
                expect_value = False
            else:
                raise _unparsable(f"found '{token}', expected: ',', or ')'")


def _unparsable(why: str) -> UsageError:
    return UsageError(f"unable to parse requirement: {why}")


def _check_key(key: str) -> None:
    prefix, slash, name = key.rpartition("/")
    if (
        len(name) > 63
        or not _NAME.fullmatch(name)
        or (slash and not (len(prefix) <= 253 and _PREFIX.fullmatch(prefix)))
    ):
        raise _unparsable(f'Invalid value: "{key}": not a label key (e.g. "app" or "example.com/app")')


def _check_value(key: str, value: str) -> None:
    if value and (len(value) > 63 or not _NAME.fullmatch(value)):
        raise _unparsable(
            f'values[0][{key}]: Invalid value: "{value}": not a label value (e.g. "my-value", at most 63 characters)'
        )


def parse_fields(text: str) -> tuple[tuple[str, bool, str], ...]:
    """Parse what follows --field-selector into (field, must be equal, value). Raises UsageError."""
    terms = []
    for term in re.split(r"(?<!\\),", text):
        if not term:
            continue
        found = re.match(r"([^=!]*)(==|!=|=)(.*)", term, re.DOTALL)
        if not found:
            raise UsageError(f"invalid selector: '{text}'; can't understand '{term}'")
        value = re.sub(r"\\([\\,=])", r"\1", found[3])
        terms.append((found[1], found[2] != "!=", value))
    return tuple(terms)


class Expression(msgspec.Struct):
    """One of matchExpressions."""

    key: str
    operator: str
    values: list[str] = []


class ObjectSelector(msgspec.Struct):
    """A label selector as objects hold it (metav1.LabelSelector); one that is empty matches everything."""

    labels: dict[str, str] = msgspec.field(default={}, name="matchLabels")
    expressions: list[Expression] = msgspec.field(default=[], name="matchExpressions")

    def unmet(self, labels: Mapping[str, str]) -> list[str]:
        """The conditions that labels do not meet, each as kubectl writes it; none where they match."""
        wanted = [Requirement(key, "in", frozenset([value])) for key, value in sorted(self.labels.items())]
        wanted += [
            Requirement(item.key, _OBJECT_OPERATORS.get(item.operator, item.operator), frozenset(item.values))
            for item in self.expressions
        ]
        return [_written(item) for item in wanted if not item.matches(labels.get(item.key))]


_OBJECT_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


def _written(item: Requirement) -> str:
    if item.operator in ("in", "notin"):
        values = ",".join(sorted(item.values))
        if len(item.values) == 1:
            return f"{item.key}{'=' if item.operator == 'in' else '!='}{values}"
        return f"{item.key} {item.operator} ({values})"
    return f"!{item.key}" if item.operator == "!" else item.key
