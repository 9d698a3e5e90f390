"""What the configuration of an OpenTelemetry collector takes from synced pods. Nothing of it is kept or shown.

Attributes of pods come from the processor k8sattributes, whose `extract.annotations` and `extract.labels` name keys, or
patterns of keys as `key_regex` (open-telemetry/opentelemetry-collector-contrib processor/k8sattributesprocessor).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import yaml

from .allowlists import TOKENS

NAME = re.compile(r"vcluster\\?\.loft\\?\.sh/name(?![\w./-])")
"""The annotation with a pod's virtual name that a tenant can write, as a key or in a pattern."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEPEST, _LONGEST = 60, 1 << 20
_SIMPLE = 4
"""Quantifiers in a pattern up to which it is tried; one with more takes too long, and is judged by its beginning."""
_META = re.compile(r"[*+?(\[{|$^]|\.[*+?{]|\\[^.]")


class Taken(NamedTuple):
    """What a configuration takes.

    Attributes:
        name: whether it takes the virtual name from an annotation that tenants can write.
        tokens: whether it takes annotations that hold tokens.
    """

    name: bool
    tokens: bool


def taken(text: str) -> Taken:
    """What a configuration takes. One that is no YAML, or is too large or deep, takes nothing that can be told.

    >>> taken("{extract: {annotations: [{tag_name: a, key: vcluster.loft.sh/name, from: pod}]}}")
    Taken(name=True, tokens=False)
    >>> taken("{extract: {annotations: [{tag_name: $1, key_regex: '(.*)', from: pod}]}}")
    Taken(name=False, tokens=True)
    """
    name = tokens = False
    rules: dict[int, dict[str, str]] = {}
    for scalar in _scalars(text):
        name = name or bool(NAME.search(scalar.value))
        if "annotations" in scalar.path and scalar.path[-1] in ("key", "key_regex", "from"):
            rules.setdefault(scalar.mapping, {})[scalar.path[-1]] = scalar.value
    for rule in rules.values():
        if rule.get("from", "pod") == "pod":
            tokens = tokens or _matches(rule.get("key_regex", "")) or rule.get("key", "").startswith(TOKENS)
    return Taken(name, tokens)


class _Scalar(NamedTuple):
    """A scalar of a YAML document.

    Attributes:
        path: the keys that lead to it.
        mapping: tells the mappings of a document apart.
    """

    path: tuple[str, ...]
    mapping: int
    value: str


def _scalars(text: str) -> Iterator[_Scalar]:
    """Scalars with the keys that lead to them, event by event: nothing is built, and aliases are not followed."""
    way: list[str | None] = []
    """For each open collection, the key that is being read; None where the next scalar of a mapping is a key."""
    kinds: list[bool] = []
    mappings: list[int] = [0]
    count = 0
    if len(text) > _LONGEST:
        return
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                if len(kinds) >= _DEEPEST:
                    return
                kinds.append(isinstance(event, yaml.MappingStartEvent))
                way.append(None)
                count += 1
                mappings.append(count)
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                kinds.pop()
                way.pop()
                mappings.pop()
                _close(kinds, way)
            elif isinstance(event, yaml.ScalarEvent):
                path = tuple(key for key in way if key is not None)
                yield _Scalar(path, mappings[-1], event.value)
                if kinds and kinds[-1] and way[-1] is None:
                    way[-1] = event.value
                else:
                    _close(kinds, way)
            elif isinstance(event, yaml.AliasEvent):
                _close(kinds, way)
    except (yaml.YAMLError, RecursionError):
        return


def _close(kinds: list[bool], way: list[str | None]) -> None:
    """The value of a key has been read: the next scalar of the mapping is a key."""
    if kinds and kinds[-1]:
        way[-1] = None


def _matches(pattern: str) -> bool:
    """Whether a pattern of keys, which must match all of a key, matches annotations that hold tokens."""
    if len(pattern) <= 200 and len(re.findall(r"[*+?{]", pattern)) <= _SIMPLE and not re.search(r"\)[*+{]", pattern):
        try:
            return re.fullmatch(pattern, f"{TOKENS}a1b2c3d4") is not None
        except re.error:
            return False
    start = _META.search(pattern.lstrip("^"))
    literal = pattern.lstrip("^")[: start.start() if start else None].replace("\\.", ".")
    return TOKENS.startswith(literal) or literal.startswith(TOKENS)
