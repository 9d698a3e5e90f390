"""The executable: `kubectl-vmetrics …`, `kubectl vmetrics …` and `python -m kubectl_vmetrics …`."""

import gc


def main() -> None:
    """Run one command and leave the process with its exit code."""
    # Start-up allocates tens of thousands of objects that all live on, and the lists that follow hold
    # no cycles: the collector would walk them many times and free nothing. `watch` and servers turn it on.
    gc.disable()
    from kubectl_vmetrics.cli.main import run

    raise SystemExit(run())


if __name__ == "__main__":
    main()
