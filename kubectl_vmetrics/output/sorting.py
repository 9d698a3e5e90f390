"""--sort-by with a path: the items of a document in the order of what a JSONPath expression finds in each.

As `kubectl get --sort-by` (k8s.io/kubectl/pkg/cmd/get/sorter.go): ascending, items without a value first, quantities
by what they amount to, and other text in natural order, in which item-2 comes before item-10.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .jsonpath import Path
from .paths import Bad

_QUANTITY = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d{1,3})|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei))?", re.ASCII
)
_UNITS = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3} | {
    f"{letter}{binary}": (1024.0 if binary else 1000.0) ** power
    for power, letter in enumerate("KMGTPE", start=1)
    for binary in ("", "i")
    if letter + binary != "K"
}
_LONGEST = 63
"""Characters of a text that may be a quantity; no real one has more."""


def by(path: Path, items: Sequence[Any]) -> list[Any]:
    """The items in order; equal ones stay as they are. Raises Bad where there are none, or they have no order."""
    keys = [_key(path.find(item)) for item in items]
    kinds = {key[0] for key in keys} - {_ABSENT}
    if items and not kinds:
        raise Bad(f'couldn\'t find any field with path "{path}" in the list of objects')
    if len(kinds) > 1:
        # A text among quantities makes all of them text.
        keys = [_as_text(key) for key in keys]
    return [items[index] for index in sorted(range(len(items)), key=lambda index: keys[index][:2])]


_ABSENT, _NUMBER, _TEXT = range(3)
_Key = tuple[int, Any, str]


def _key(found: list[Any]) -> _Key:
    """How to compare a value: its kind, the value, and how it was written."""
    value = found[0] if found else None
    if value is None:
        return _ABSENT, 0, ""
    if isinstance(value, (bool, int, float)):
        return _NUMBER, value, str(value)
    if not isinstance(value, str):
        raise Bad("--sort-by: the field is a list or an object, which has no order")
    quantity = _QUANTITY.fullmatch(value) if len(value) <= _LONGEST else None
    if quantity:
        scale = 10.0 ** int(quantity[2]) if quantity[2] else _UNITS[quantity[3]] if quantity[3] else 1.0
        return _NUMBER, float(quantity[1]) * scale, value
    return _TEXT, _natural(value), value


def _as_text(key: _Key) -> _Key:
    return key if key[0] == _ABSENT else (_TEXT, _natural(key[2]), key[2])


def _natural(text: str) -> list[tuple[int, int, str]]:
    parts = re.findall(r"\d+|\D+", text, re.ASCII)
    return [(0, int(part), part) if part.isdecimal() and len(part) < 19 else (1, 0, part) for part in parts]
