"""The program as it is installed in the environment that runs the tests. PATH may lead to another one."""

from __future__ import annotations

import sysconfig
from pathlib import Path

_FOUND = Path(sysconfig.get_path("scripts"), "kubectl-vmetrics")
SCRIPT: Path | None = _FOUND if _FOUND.is_file() else None
"""None where the package is not installed: run from its source alone."""
