"""The executable of the archive."""

import os
import sys
from collections.abc import MutableMapping

LIBRARIES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LIBPATH")


def restore(environ: MutableMapping[str, str], bundle: str) -> None:
    """Let child processes find their own libraries again, not those of the archive.

    PyInstaller's bootloader puts its folder first, and what was there before under another name
    (https://pyinstaller.org/en/stable/common-issues-and-pitfalls.html, LD_LIBRARY_PATH): a credential plugin would load
    the archive's libssl.

    Args:
        environ: of the process.
        bundle: the archive's folder of libraries.
    """
    for name in LIBRARIES:
        before = environ.pop(f"{name}_ORIG", None)
        if before is not None:
            environ[name] = before
        elif environ.get(name, "").partition(os.pathsep)[0].rstrip("/") == bundle.rstrip("/"):
            del environ[name]


if __name__ == "__main__":
    if found := getattr(sys, "_MEIPASS", None):
        restore(os.environ, found)

    from kubectl_vmetrics.__main__ import main

    main()
