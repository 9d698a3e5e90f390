"""Checks as text for a person: one line each, and below it what to do."""

from __future__ import annotations

from collections.abc import Iterable

from . import safe


def render(lines: Iterable[tuple[str, str, str, str]]) -> str:
    """Lines of result, name, text and remedy; a remedy stands alone on its line, to be copied."""
    found = []
    for result, name, text, remedy in lines:
        found.append(f"{result:<4}  {safe.line(name)}: {safe.line(text)}\n")
        if remedy:
            found.append(f"      -> {safe.line(remedy)}\n")
    return "".join(found)
