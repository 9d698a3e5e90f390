"""Checks as text for a person: one line each, and below it what to do."""

from __future__ import annotations

from collections.abc import Iterable

from . import safe

_COLOURS = {"PASS": "32", "WARN": "1;33", "FAIL": "1;31", "SKIP": "2"}
"""Of results: how a terminal is told (ECMA-48, select graphic rendition)."""


def render(lines: Iterable[tuple[str, str, str, str]], *, coloured: bool = False) -> str:
    """Lines of result, name, text and remedy; a remedy stands alone on its line, to be copied."""
    found = []
    for result, name, text, remedy in lines:
        shown = f"\033[{_COLOURS[result]}m{result:<4}\033[0m" if coloured else f"{result:<4}"
        found.append(f"{shown}  {safe.line(name)}: {safe.line(text)}\n")
        if remedy:
            found.append(f"      -> {safe.line(remedy)}\n")
    return "".join(found)
