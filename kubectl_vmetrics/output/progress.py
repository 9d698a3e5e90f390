"""A progress bar on stderr, for a person who waits; nothing at all anywhere else."""

from __future__ import annotations

from . import transient
from .terminal import Environment

_PARTS = " ▏▎▍▌▋▊▉█"
_WIDTH = 24
FEW = 4
"""What is done with so few is done before a bar is read."""


class Progress:
    """Call it with how many are done, of how many; the bar is gone when all are.

    Args:
        environment: where to.
        what: what is counted: "nodes".
    """

    def __init__(self, environment: Environment, what: str) -> None:
        self._environment = environment
        self._what = what

    def __call__(self, done: int, total: int) -> None:
        """Draw."""
        if total <= FEW or not self._environment.advises or self._environment.variables.get("TERM") == "dumb":
            return
        stderr = self._environment.stderr
        if done >= total:
            transient.clear(stderr, own=self)
        else:
            transient.draw(stderr, f"{bar(done, total)} {done}/{total} {self._what}", own=self)


def bar(done: int, total: int) -> str:
    """A bar of eighths of a cell.

    >>> bar(1, 2)
    '████████████            '
    """
    eighths = round(8 * _WIDTH * done / total)
    full, part = divmod(eighths, 8)
    return ("█" * full + (_PARTS[part] if part else "")).ljust(_WIDTH)
