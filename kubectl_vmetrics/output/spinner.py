"""A sign of life on stderr, for a person who has waited for two seconds; nothing at all anywhere else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

from . import transient
from .terminal import Environment

PATIENCE = 2.0
"""Seconds before it is drawn."""
_STEP = 0.1
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_PLAIN = "|/-\\"


class Spinner:
    """Use it with `with`, around what may take long; it is gone at the end.

    Args:
        environment: where to.
        hidden: whether the terminal is in use: by a plugin for credentials that asks for a password.
        patience: seconds before it is drawn.

    Attributes:
        gives_way: to a progress bar; see `transient`.
    """

    gives_way = True

    def __init__(
        self, environment: Environment, hidden: Callable[[], bool] = lambda: False, patience: float = PATIENCE
    ) -> None:
        self._environment = environment
        self._hidden = hidden
        self._patience = patience
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Spinner:
        """Start to wait."""
        environment = self._environment
        if environment.advises and environment.variables.get("TERM", "dumb") != "dumb":
            self._thread = threading.Thread(target=self._run, name="spinner", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # no more threads: those that do the work matter more
                self._thread = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and clear the line."""
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        started = time.monotonic()
        if self._done.wait(self._patience):
            return
        stderr = self._environment.stderr
        frames = _FRAMES if "utf" in (getattr(stderr, "encoding", None) or "").lower() else _PLAIN
        turn = 0
        while not self._done.wait(_STEP):
            if self._hidden():
                transient.clear(stderr)
                continue
            seconds = int(time.monotonic() - started)
            transient.draw(stderr, f"{frames[turn % len(frames)]} waiting for the server: {seconds}s", own=self)
            turn += 1
        transient.clear(stderr, own=self)
