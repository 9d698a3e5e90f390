"""Statements of the OpenTelemetry Transformation Language.

Grammar: https://github.com/open-telemetry/opentelemetry-collector-contrib/blob/main/pkg/ottl/LANGUAGE.md; functions:
pkg/ottl/ottlfuncs. Only functions whose arguments have not changed since v0.120 are used. Conditions are evaluated from
the left and stop at the first that decides.
"""

from __future__ import annotations

from collections.abc import Sequence


def attribute(key: str) -> str:
    """The path of a resource attribute.

    >>> attribute("k8s.pod.name")
    'resource.attributes["k8s.pod.name"]'
    """
    return f"resource.attributes[{quoted(key)}]"


def quoted(text: str) -> str:
    """A string literal. The collector would replace `$NAME` by a variable; `$$` is a dollar sign."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{escaped}"'


def put(key: str, value: str, *conditions: str) -> str:
    """Set a resource attribute to a value (an expression) where all conditions hold."""
    return f"set({attribute(key)}, {value}){where(*conditions)}"


def remove(key: str, *conditions: str) -> str:
    """Delete a resource attribute where all conditions hold."""
    return f"delete_key(resource.attributes, {quoted(key)}){where(*conditions)}"


def remove_all(prefixes: Sequence[str]) -> str:
    """Delete all resource attributes that begin with one of these words and a dot."""
    return f'delete_matching_keys(resource.attributes, "^({"|".join(prefixes)})[.]")'


def keep(keys: Sequence[str]) -> str:
    """Delete all resource attributes but these."""
    return f"keep_keys(resource.attributes, [{', '.join(map(quoted, keys))}])"


def where(*conditions: str) -> str:
    """The clause of all conditions; "" without any."""
    return f" where {' and '.join(conditions)}" if conditions else ""


def given(key: str) -> str:
    """Whether a resource attribute is there and is not empty."""
    return f'{attribute(key)} != nil and {attribute(key)} != ""'


def missing(key: str) -> str:
    """Whether a resource attribute is not there."""
    return f"{attribute(key)} == nil"


def equal(key: str, value: str) -> str:
    """Whether a resource attribute equals an expression."""
    return f"{attribute(key)} == {value}"


def joined(values: Sequence[str], separator: str) -> str:
    """Expressions as one string."""
    return f"Concat([{', '.join(values)}], {quoted(separator)})"


def head(key: str, tail: str) -> str:
    """A resource attribute without as many characters at its end as another one has."""
    return f"Substring({attribute(key)}, 0, Len({attribute(key)}) - Len({attribute(tail)}))"


def longer(key: str, than: str) -> str:
    """Whether one resource attribute is longer than another."""
    return f"Len({attribute(key)}) > Len({attribute(than)})"
