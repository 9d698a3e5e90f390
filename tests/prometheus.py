"""A real Prometheus, and promtool."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import tarfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

RECORDED = Path(__file__).parent / "recordings" / "prometheus"

MISSING = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="prometheus is not on the PATH (Debian: prometheus)"
)


def checked(config: dict[str, Any], folder: Path) -> Path:
    """Write a configuration, once promtool has nothing against it."""
    path = folder / "prometheus.yml"
    path.write_text(json.dumps(config))
    found = subprocess.run(
        ["promtool", "check", "config", str(path)], check=False, capture_output=True, text=True, timeout=60
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return path


@contextlib.contextmanager
def running(config: dict[str, Any], folder: Path, *more: str) -> Iterator[str]:
    """Run Prometheus with a configuration and more flags; gives its URL."""
    path = checked(config, folder)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [
        "prometheus",
        f"--config.file={path}",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        *more,
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


@contextlib.contextmanager
def answering(config: dict[str, Any], folder: Path, *more: str) -> Iterator[str]:
    """The same, once it answers."""
    with running(config, folder, *more) as url:
        query(url, "vector(1)")
        yield url


def query(url: str, expression: str, seconds: float = 40) -> list[dict[str, Any]]:
    """The answer to a query, as soon as there is one."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(
                f"{url}/api/v1/query?query={urllib.parse.quote(expression)}", timeout=5
            ) as answer:
                result: list[dict[str, Any]] = json.loads(answer.read())["data"]["result"]
                if result:
                    return result
        except OSError:
            pass
        time.sleep(0.3)
    raise AssertionError(f"no answer to {expression}")


def range_query(url: str, expression: str, start: float, end: float, step: float = 60) -> list[dict[str, Any]]:
    """Series over a time; each has `metric` and `values`. Raises AssertionError with what Prometheus says."""
    arguments = {"query": expression, "start": start, "end": end, "step": step}
    return _asked(url, "query_range", arguments)


def instant_query(url: str, expression: str, time: float) -> list[dict[str, Any]]:
    """Series at one time; each has `metric` and `value`. Raises AssertionError with what Prometheus says."""
    return _asked(url, "query", {"query": expression, "time": time})


def _asked(url: str, path: str, arguments: dict[str, Any]) -> list[dict[str, Any]]:
    data = urllib.parse.urlencode(arguments).encode()
    try:
        with urllib.request.urlopen(f"{url}/api/v1/{path}", data=data, timeout=60) as answer:
            result: list[dict[str, Any]] = json.loads(answer.read())["data"]["result"]
            return result
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{arguments['query']}: {error.read().decode()}") from None


def unpack(folder: Path) -> Path:
    """The recording as the data of a Prometheus in a folder; gives where blocks belong."""
    with tarfile.open(RECORDED / "tsdb-snapshot.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    (folder / "tsdb").rename(folder / "data")
    return folder / "data"


def blocks(folder: Path, samples: str) -> None:
    """Add samples, as OpenMetrics, to the data in a folder."""
    text = folder / "samples.om"
    text.write_text(samples)
    promtool("tsdb", "create-blocks-from", "openmetrics", str(text), str(folder / "data"))


def promtool(*arguments: str, folder: Path | None = None) -> str:
    """What promtool prints, run in a folder; raises AssertionError with what it complains about."""
    command = ["promtool", *arguments]
    found = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout
