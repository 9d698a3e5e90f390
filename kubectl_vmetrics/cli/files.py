"""Files that commands write: all at once, so that readers see either the old one or the new one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from kubectl_vmetrics.kube.errors import UsageError


def replace(path: Path, text: str, option: str, mode: int) -> None:
    """Replace a file atomically.

    Args:
        path: of the file.
        text: its new content.
        option: of the command line, for messages.
        mode: the file's permissions.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise unwritable(path, error, option) from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(handle)  # else a crash may leave the name with nothing behind it
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        if isinstance(error, OSError):
            raise unwritable(path, error, option) from None
        raise


def unwritable(path: Path, error: OSError, option: str) -> UsageError:
    """The message about a file that cannot be written."""
    return UsageError(f"{option}: {path}: {(error.strerror or 'cannot be written').lower()}")
