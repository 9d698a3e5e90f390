"""The executable: `kubectl-vmetrics …`, `kubectl vmetrics …` and `python -m kubectl_vmetrics …`."""

import atexit
import gc
import os
import sys


def main() -> None:
    """Run one command and leave the process with its exit code."""
    # Start-up allocates tens of thousands of objects that all live on, and the lists that follow hold
    # no cycles: the collector would walk them many times and free nothing. `watch` and servers turn it on.
    gc.disable()
    from kubectl_vmetrics.cli.main import run

    code = run()
    threading = sys.modules.get("threading")
    if threading is None or threading.active_count() == 1:
        leave(code)
    raise SystemExit(code)


def leave(code: int) -> None:
    """End the process at once, after its exit handlers; return if there is output left that cannot be written.

    Without this, the interpreter first frees every object, which takes a tenth of the time of a small command.
    """
    atexit._run_exitfuncs()  # files with the keys of credential plugins, for one
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        return
    os._exit(code)


if __name__ == "__main__":
    main()
