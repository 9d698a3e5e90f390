"""Numbers in tables that kubectl does not have; "-" means not known."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

ABOUT = "~"
"""Before a number that stands for another one that is not told, or that is made of too little."""

LONGEST = 48
"""Characters of what a guest wrote itself, in one cell."""


def percent(share: float | None) -> str:
    """A share of 1 as a percentage, with a decimal if it is small."""
    if share is None:
        return "-"
    return f"{share * 100:.1f}%" if share < 0.1 else f"{share * 100:.0f}%"


def speed(count: float | None) -> str:
    """Bytes per second."""
    if count is None:
        return "-"
    for suffix, size in (("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)):
        if count >= size:
            return f"{count / size:.1f}{suffix}/s"
    return f"{count:.0f}B/s"


def count(value: float | None) -> str:
    """Events per second."""
    return "-" if value is None else f"{value:.0f}/s" if value >= 10 else f"{value:.1f}/s"


def milliseconds(seconds: float | None) -> str:
    """A duration, from seconds."""
    return "-" if seconds is None else f"{seconds * 1000:.2f}ms"


def moment(seconds: float | None) -> str:
    """A time, from seconds since 1970."""
    try:
        return "-" if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return "-"


def yes_no(value: bool | None) -> str:
    """A truth."""
    return "-" if value is None else "yes" if value else "no"


def short(text: str, longest: int) -> str:
    """A text of unknown origin, truncated."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def told(found: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is not known."""
    return {key: value for key, value in found.items() if value is not None}
