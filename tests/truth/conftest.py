"""Prometheuses that hold the recording and what rules make of it, one for each way of naming."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.prometheus import blocks, unpack
from tests.truth import evaluated

Prometheus = Callable[[str], str]
"""The URL of a Prometheus, by the way of naming."""


@pytest.fixture(scope="session")
def prometheus_by(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheuses of this process; processes share the evaluation, which takes longer than all tests."""
    own = tmp_path_factory.mktemp("truth")
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    urls: dict[str, str] = {}

    with contextlib.ExitStack() as stack:

        def url(way: str) -> str:
            if way not in urls:
                folder = shared / f"evaluated-{way}"
                with open(shared / f"evaluated-{way}.lock", "w") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX)
                    if not folder.exists():
                        making = shared / f"making-{way}"
                        shutil.rmtree(making, ignore_errors=True)
                        making.mkdir()
                        evaluated.build(way, making)
                        making.rename(folder)
                shutil.copytree(folder / "data", own / way / "data")
                urls[way] = stack.enter_context(evaluated.recorded(own / way, evaluated.FRESH))
            return urls[way]

        yield url


@pytest.fixture(scope="session")
def every_way(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recording, with all ways to know names: as the proxy serves them, and as rules record them."""
    folder = tmp_path_factory.mktemp("every-way")
    unpack(folder)
    blocks(folder, evaluated.made_up_names(folder))
    recorded = [rule for rule in evaluated.rules("kube-state-metrics") if rule["record"] == "vcluster_pod:names:max"]
    evaluated.evaluate(folder, recorded)
    return folder
