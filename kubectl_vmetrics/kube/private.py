"""Small files in kubectl's cache folder that nobody else may read, and that are used only where nobody else wrote them.

The folder may be anywhere, including /tmp: anyone who can write there may put a link, or a file of their own, in place
of one of ours.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import NamedTuple

LARGEST = 64 << 20
"""Bytes that are read."""


class Kept(NamedTuple):
    """What was in a file, and when it was written, in seconds since 1970."""

    data: bytes
    at: float


def read(path: Path) -> Kept | None:
    """What is in a file; None if it is missing, is a link, or may have been written by someone else."""
    try:
        # O_NONBLOCK, since a pipe would be waited for.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with open(handle, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or not _own(status) or not _own(path.parent.stat()):
                return None
            data = file.read(LARGEST + 1)
    except OSError:
        return None
    return Kept(data, status.st_mtime) if len(data) <= LARGEST else None


def write(path: Path, data: bytes) -> None:
    """Put this in place of a file, all at once; a folder that cannot be written, or is not ours, is no error."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _own(path.parent.stat()):
            return
        handle, name = tempfile.mkstemp(dir=path.parent)  # 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(name).replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                Path(name).unlink()


def _own(status: os.stat_result) -> bool:
    """Whether it is this user's: a file that nobody else may read, a folder that nobody else may write."""
    if not hasattr(os, "getuid"):
        return True
    others = 0o022 if stat.S_ISDIR(status.st_mode) else 0o077
    return status.st_uid == os.getuid() and not status.st_mode & others
