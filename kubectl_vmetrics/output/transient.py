"""The one line of a terminal that is drawn over and over: a progress bar, or the spinner; messages clear it first."""

from __future__ import annotations

import threading
from typing import TextIO

_lock = threading.Lock()
_CLEAR = "\r\x1b[K"


class _Line:
    owner: object | None = None


_line = _Line()


def draw(stream: TextIO, text: str, own: object) -> None:
    """Show a text in place of what stands there. While a bar is drawn, nobody else is.

    Args:
        stream: the terminal.
        text: one line, shorter than a terminal is wide.
        own: who draws; a spinner gives way to a progress bar.
    """
    with _lock:
        if _line.owner is not None and _line.owner is not own and _spins(own):
            return
        _line.owner = own
        stream.write(f"{_CLEAR}{text}")
        stream.flush()


def clear(stream: TextIO, own: object | None = None) -> None:
    """Remove what stands there, if anything does; with `own`, only what that one has drawn."""
    with _lock:
        if _line.owner is None or (own is not None and _line.owner is not own):
            return
        _line.owner = None
        stream.write(_CLEAR)
        stream.flush()


def _spins(own: object) -> bool:
    return bool(getattr(own, "gives_way", False))
