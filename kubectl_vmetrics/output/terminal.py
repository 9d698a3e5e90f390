"""The streams of one run and what is known of them; passed down, and replaced in tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import NamedTuple, TextIO

from . import safe, transient


class Environment(NamedTuple):
    """Where a command reads and writes.

    Attributes:
        stdout: data, nothing else.
        stderr: errors, warnings, progress.
        variables: environment variables.
    """

    stdout: TextIO
    stderr: TextIO
    variables: Mapping[str, str]

    @classmethod
    def of_process(cls) -> Environment:
        """The real one. Characters that the locale cannot show are escaped rather than fatal."""
        for stream in (sys.stdout, sys.stderr):
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure:
                reconfigure(errors="backslashreplace")
        return cls(sys.stdout, sys.stderr, os.environ)

    @property
    def paints(self) -> bool:
        """Whether stdout is a terminal that understands cursor movements."""
        return self.stdout.isatty() and self.variables.get("TERM", "") not in ("", "dumb")

    @property
    def colours(self) -> bool:
        """Whether stdout shows colours, and nobody asked for none (no-color.org: the variable counts even if empty)."""
        windows = os.name == "nt" and "WT_SESSION" not in self.variables
        return self.paints and "NO_COLOR" not in self.variables and not windows

    @property
    def advises(self) -> bool:
        """Whether a person reads stderr: hints are for people, scripts get kubectl's own words alone."""
        return self.stderr.isatty()

    @property
    def width(self) -> int | None:
        """Columns of the terminal on stdout; None if stdout is not a terminal, or has no width."""
        if not self.stdout.isatty():
            return None
        if (columns := self.variables.get("COLUMNS", "")).isdecimal():
            return int(columns) or None
        try:
            return os.get_terminal_size(self.stdout.fileno()).columns or None
        except (OSError, ValueError):  # a stream without a descriptor raises io.UnsupportedOperation, which is both
            return None

    def size(self) -> tuple[int, int]:
        """Columns and lines of the terminal."""
        import shutil

        size = shutil.get_terminal_size()
        return size.columns, size.lines

    def say(self, text: str) -> None:
        """A message on stderr; text from a cluster in it cannot do harm."""
        transient.clear(self.stderr)
        self.stderr.write(safe.lines(text.rstrip("\n")) + "\n")
        self.stderr.flush()

    def warn(self, text: str) -> None:
        """A warning on stderr, marked as the apiserver's own are by kubectl."""
        self.say(f"Warning: {text}")
