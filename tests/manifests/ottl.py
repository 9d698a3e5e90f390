"""OTTL as far as configurations use it: the lexer's rules, the grammar, and what the functions do.

After opentelemetry-collector-contrib pkg/ottl (grammar.go, LANGUAGE.md, ottlfuncs); only resource attributes are known.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

Attributes = dict[str, Any]

# grammar.go, buildLexer: the first rule that matches counts.
_RULES = (
    ("Bytes", r"0x[a-fA-F0-9]+"),
    ("Float", r"[-+]?\d*\.\d+([eE][-+]?\d+)?"),
    ("Int", r"[-+]?\d+"),
    ("String", r'"(\\.|[^\\"])*"'),
    ("OpNot", r"\b(not)\b"),
    ("OpOr", r"\b(or)\b"),
    ("OpAnd", r"\b(and)\b"),
    ("OpComparison", r"==|!=|>=|<=|>|<"),
    ("OpAddSub", r"\+|\-"),
    ("OpMultDiv", r"\/|\*"),
    ("Boolean", r"\b(true|false)\b"),
    ("Equal", r"="),
    ("LParen", r"\("),
    ("RParen", r"\)"),
    ("Punct", r"[,.\[\]]"),
    ("Uppercase", r"[A-Z][A-Z0-9_]*"),
    ("Lowercase", r"[a-z][a-z0-9_]*"),
    ("whitespace", r"\s+"),
)
_LEXER = re.compile("|".join(f"(?P<{name}>{rule})" for name, rule in _RULES))


class Failure(Exception):
    """A statement that fails: with error_mode ignore, the collector goes on with the next."""


class Token(NamedTuple):
    kind: str
    text: str


def tokens(text: str) -> list[Token]:
    """Raises SyntaxError for what the lexer does not know."""
    found, at = [], 0
    while at < len(text):
        match = _LEXER.match(text, at)
        if not match or match.end() == at:
            raise SyntaxError(f"{text[at : at + 20]!r} in {text}")
        if match.lastgroup != "whitespace":
            # Groups inside of a rule have no name.
            kind = next(name for name, _ in _RULES if match.group(name) is not None)
            found.append(Token(kind, match[0]))
        at = match.end()
    return found


Value = Callable[[Attributes], Any]


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise Failure(f"expected string but got {value!r}")
    return value


def _concat(values: list[Any], delimiter: str) -> str:
    return delimiter.join("<nil>" if value is None else str(value) for value in values)


def _length(value: Any) -> int:
    if not isinstance(value, (str, list)):
        raise Failure(f"target arg must be of type string or slice, not {value!r}")
    return len(value.encode()) if isinstance(value, str) else len(value)


def _substring(value: Any, start: int, length: int) -> str:
    text = _string(value)
    if start < 0 or length <= 0 or start + length > len(text):
        raise Failure("invalid range for substring function")
    return text[start : start + length]


CONVERTERS: dict[str, Callable[..., Any]] = {"Concat": _concat, "Len": _length, "Substring": _substring}


def _delete_matching(found: Attributes, pattern: str) -> None:
    for key in [key for key in found if re.search(pattern, key)]:
        del found[key]


def _keep(found: Attributes, keys: list[str]) -> None:
    for key in [key for key in found if key not in keys]:
        del found[key]


EDITORS: dict[str, Callable[..., Any]] = {
    "delete_key": lambda found, key: found.pop(key, None),
    "delete_matching_keys": _delete_matching,
    "keep_keys": _keep,
}
"""Those whose target is the map of attributes; `set` is below."""


class _Parser:
    """By recursive descent, as grammar.go nests."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.rest = tokens(text)

    def peek(self, *texts: str) -> bool:
        return bool(self.rest) and self.rest[0].text in texts

    def kind(self) -> str:
        return self.rest[0].kind if self.rest else "end"

    def take(self, text: str | None = None) -> Token:
        if not self.rest or (text is not None and self.rest[0].text != text):
            raise SyntaxError(f"expected {text}, found {self.rest[:1]} in {self.text}")
        return self.rest.pop(0)

    def end(self) -> None:
        if self.rest:
            raise SyntaxError(f"unexpected {self.rest[0].text!r} in {self.text}")

    def name(self) -> str:
        """`Lowercase(Uppercase | Lowercase)*` and the like: words of both cases without a space between them."""
        found = self.take().text
        while self.kind() in ("Uppercase", "Lowercase") and f"{found}{self.rest[0].text}" in self.text:
            found += self.take().text
        return found

    def boolean(self) -> Value:
        found = [self.term()]
        while self.peek("or"):
            self.take()
            found.append(self.term())
        return lambda attributes: any(item(attributes) for item in found)

    def term(self) -> Value:
        found = [self.truth()]
        while self.peek("and"):
            self.take()
            found.append(self.truth())
        return lambda attributes: all(item(attributes) for item in found)

    def truth(self) -> Value:
        if self.peek("not"):
            self.take()
            inner = self.truth()
            return lambda attributes: not inner(attributes)
        if self.peek("("):
            self.take("(")
            inner = self.boolean()
            self.take(")")
            return inner
        left = self.sum()
        if self.kind() != "OpComparison":
            raise SyntaxError(f"a comparison is missing in {self.text}")
        operator, right = self.take().text, self.sum()
        if operator in ("<", ">", "<=", ">="):
            return lambda attributes: _ordered(operator, left(attributes), right(attributes))
        return lambda attributes: (left(attributes) == right(attributes)) == (operator == "==")

    def sum(self) -> Value:
        found = self.value()
        while self.kind() == "OpAddSub":
            found = _added(found, self.take().text, self.value())
        return found

    def value(self) -> Value:
        kind = self.kind()
        if kind == "String":
            text = re.sub(r"\\(.)", r"\1", self.take().text[1:-1])
            return lambda _: text
        if kind == "Int":
            number = int(self.take().text)
            return lambda _: number
        if self.peek("nil"):
            self.take()
            return lambda _: None
        if self.peek("["):
            return self.list()
        if kind == "Uppercase":
            return self.converter()
        return self.path()

    def list(self) -> Value:
        self.take("[")
        found: list[Value] = []
        while not self.peek("]"):
            if found:
                self.take(",")
            found.append(self.sum())
        self.take("]")
        return lambda attributes: [item(attributes) for item in found]

    def arguments(self) -> list[Value]:
        self.take("(")
        found: list[Value] = []
        while not self.peek(")"):
            if found:
                self.take(",")
            found.append(self.sum())
        self.take(")")
        return found

    def converter(self) -> Value:
        function = CONVERTERS[self.name()]
        arguments = self.arguments()
        return lambda attributes: function(*(item(attributes) for item in arguments))

    def key(self) -> str | None:
        """`resource.attributes["key"]`; None for all attributes."""
        for part in ("resource", ".", "attributes"):
            self.take(part)
        if not self.peek("["):
            return None
        self.take("[")
        token = self.take()
        self.take("]")
        if token.kind != "String":
            raise SyntaxError(f"the key {token.text} in {self.text}")
        return token.text[1:-1]

    def path(self) -> Value:
        key = self.key()
        return (lambda attributes: attributes) if key is None else (lambda attributes: attributes.get(key))

    def statement(self) -> Callable[[Attributes], None]:
        editor = self.name()
        if editor == "set":
            self.take("(")
            key = self.key()
            self.take(",")
            value = self.sum()
            self.take(")")
            run = _setter(key, value)
        else:
            function, arguments = EDITORS[editor], self.arguments()

            def run(attributes: Attributes) -> None:
                function(*(item(attributes) for item in arguments))

        condition: Value = lambda _: True  # noqa: E731
        if self.peek("where"):
            self.take()
            condition = self.boolean()
        self.end()
        return lambda attributes: run(attributes) if condition(attributes) else None


def _setter(key: str | None, value: Value) -> Callable[[Attributes], None]:
    if key is None:
        raise SyntaxError("set of all attributes")

    def run(attributes: Attributes) -> None:
        found = value(attributes)
        if found is not None:  # func_set.go: nil changes nothing
            attributes[key] = found

    return run


def _added(left: Value, operator: str, right: Value) -> Value:
    sign = 1 if operator == "+" else -1
    return lambda attributes: left(attributes) + sign * right(attributes)


def _ordered(operator: str, left: Any, right: Any) -> bool:
    if type(left) is not type(right):
        return False
    found: bool = {"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[operator]
    return found


def statement(text: str) -> Callable[[Attributes], None]:
    """What a statement does to attributes. Raises SyntaxError, KeyError for functions that are not known here."""
    return _Parser(text).statement()


def condition(text: str) -> Value:
    """What a condition says of attributes. Raises SyntaxError."""
    parser = _Parser(text)
    found = parser.boolean()
    parser.end()
    return found
