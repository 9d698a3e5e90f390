"""Colours of shares in a table, by the thresholds of k9s: from 70 % a warning, from 90 % critical.

The thresholds are those that k9s has for CPU and memory (github.com/derailed/k9s, `thresholds` in its configuration).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .table import Paint

WARNING, CRITICAL = 70.0, 90.0
"""Percent."""
_YELLOW, _RED, _PLAIN = "\x1b[33m", "\x1b[31m", "\x1b[0m"
_SHARE = re.compile(r"(\d+(?:\.\d+)?)%")
_CODE = re.compile(r"\x1b\[[0-9;]*m")


def shares(headers: Sequence[str]) -> list[int]:
    """Which columns hold shares, by their headers: CPU(%), %MEM/L.

    >>> shares(["NAME", "CPU(cores)", "CPU(%)"])
    [2]
    """
    return [index for index, header in enumerate(headers) if "%" in header]


def by_threshold(headers: Sequence[str]) -> Mapping[int, Paint]:
    """How to color each column of shares."""
    return dict.fromkeys(shares(headers), share)


def percent(cell: str) -> float | None:
    """The number in a cell of a share; None for a dash or <unknown>.

    >>> percent("7.5%"), percent("-")
    (7.5, None)
    """
    found = _SHARE.fullmatch(cell.strip())
    return float(found[1]) if found else None


def share(cell: str) -> str:
    """A cell of a share, in the color of its threshold; the padding is left plain."""
    found = percent(cell)
    if found is None or found < WARNING:
        return cell
    text = cell.rstrip()
    return f"{_RED if found >= CRITICAL else _YELLOW}{text}{_PLAIN}{cell[len(text) :]}"


def plain(text: str) -> str:
    """A text without colors."""
    return _CODE.sub("", text)


def cut(line: str, columns: int) -> str:
    """A line of at most that many characters on the screen, in which no color is left on."""
    if "\x1b" not in line:
        return line[:columns]
    shown, left = [], columns
    at = 0
    for code in _CODE.finditer(line):
        part = line[at : code.start()][:left]
        left -= len(part)
        shown += [part, code[0]]
        at = code.end()
    return "".join([*shown, line[at:][:left]])
