"""The tests use the environment that runs them, whatever is first on PATH."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import installed

ROOT = Path(__file__).parents[1]
USERS = (
    "tests/cli/test_completion.py::test_commands_need_no_imports_of_what_they_are",
    "tests/cli/test_completion.py::test_a_real_bash",
    "tests/cli/test_completion.py::test_the_real_kubectl",
    "tests/clients/test_kubectl.py::test_as_a_plugin",
)
"""Tests that run the program as it is installed."""


@pytest.mark.skipif(installed.SCRIPT is None, reason="kubectl-vmetrics is not installed here")
def test_another_program_of_that_name_comes_first_on_the_path(tmp_path: Path) -> None:
    """As krew puts it there: without a Python beside it, and another version."""
    fake = tmp_path / "kubectl-vmetrics"
    fake.write_text("#!/bin/sh\necho another program\nexit 7\n")
    fake.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n0", "-rs", "--no-header", *USERS],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "kubectl-vmetrics is not" not in done.stdout


def test_the_program_is_the_one_beside_this_python() -> None:
    """Where it is installed at all; a subprocess of it imports what the tests import."""
    if installed.SCRIPT is None:
        pytest.skip("kubectl-vmetrics is not installed here")
    import kubectl_vmetrics

    done = subprocess.run([str(installed.SCRIPT), "--version"], capture_output=True, text=True, timeout=60, check=True)

    assert installed.SCRIPT.parent == Path(sys.executable).parent
    assert done.stdout == f"kubectl vmetrics {kubectl_vmetrics.__version__}\n"
