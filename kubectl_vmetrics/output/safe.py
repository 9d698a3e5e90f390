"""Text from a cluster is written by tenants: nothing in it may steer a terminal or hide a character."""

from __future__ import annotations

import re


def line(text: str) -> str:
    r"""One printable line: control, format and other invisible characters become visible escapes.

    >>> line("a\x1b[31mb\n")
    'a^[[31mb\\n'
    """
    return text if text.isprintable() else "".join(map(_visible, text))


def lines(text: str) -> str:
    """As `line`, line breaks kept: for messages of several lines."""
    return "\n".join(line(part) for part in text.split("\n"))


def column(cells: list[str]) -> list[str]:
    """`line` for many cells at once; nearly always there is nothing to do, and one look at all of them tells."""
    return cells if "".join(cells).isprintable() else [line(cell) for cell in cells]


def ascii_json(text: str) -> str:
    r"""JSON with every character beyond printable ASCII as \uXXXX, which means the same to every reader."""
    return re.sub(r"[^\n\x20-\x7e]", _json_escape, text) if not text.isascii() or "\x7f" in text else text


def _visible(char: str) -> str:
    if char.isprintable():
        return char
    if char == "\x1b":
        return "^["
    return char.encode("unicode_escape").decode()


def _json_escape(found: re.Match[str]) -> str:
    data = found[0].encode("utf-16-be")
    return "".join(f"\\u{data[i]:02x}{data[i + 1]:02x}" for i in range(0, len(data), 2))
