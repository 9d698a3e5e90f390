"""`top pods -A` against `kubectl top pods -A`, side by side on the demo cluster: time and peak memory as ratios.

    python tests/benchmarks/top_pods.py [PODS …]

Run by hand; nothing is asserted. KUBECTL and VMETRICS name the programs to compare. Of each figure the median; the
ratio of time is the median of the pairs' ratios, and behind it that of the shortest runs, which other work on the
machine disturbs least. CPU is user and system time of all threads.

What is measured is an installed program, whose modules pip compiles: where VMETRICS runs from a working copy, its
modules are compiled first, even where the environment forbids Python to do so by itself.
"""

from __future__ import annotations

import compileall
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import kubectl_vmetrics

PORT = 8790
URL = f"http://127.0.0.1:{PORT}"
VMETRICS = os.environ.get("VMETRICS") or str(Path(sysconfig.get_path("scripts"), "kubectl-vmetrics"))
KUBECTL = os.environ.get("KUBECTL") or shutil.which("kubectl") or "kubectl"


class Cost(NamedTuple):
    """Of one run: seconds, MiB, and seconds of CPU."""

    wall: float
    peak: float
    cpu: float


def run(command: list[str]) -> Cost:
    """Run to the end, output read and thrown away."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command}: exit code {process.returncode}")
    return Cost(time.perf_counter() - started, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime)


def median(costs: list[Cost]) -> Cost:
    """The median of each figure."""
    return Cost(*(statistics.median(figures) for figures in zip(*costs, strict=True)))


def pairs(ours: list[str], theirs: list[str], runs: int) -> tuple[Cost, Cost, float, float]:
    """Medians of both, run in turn after a warm-up, the median of the pairs' ratios of time, and that of the shortest."""
    run(ours), run(theirs)
    both = [(run(ours), run(theirs)) for _ in range(runs)]
    ratio = statistics.median(a.wall / b.wall for a, b in both)
    shortest = min(a.wall for a, _ in both) / min(b.wall for _, b in both)
    return median([a for a, _ in both]), median([b for _, b in both]), ratio, shortest


@contextlib.contextmanager
def demo(pods: int) -> Iterator[float]:
    """A demo cluster of that many pods, some 330 to a virtual cluster; gives the seconds until it answers."""
    command = [
        VMETRICS,
        "demo",
        f"--port={PORT}",
        f"--pods={pods}",
        f"--vclusters={max(3, pods // 330)}",
        "--nodes=100",
    ]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            while True:
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"{URL}/healthz").close()
                    break
                time.sleep(0.05)
            yield time.perf_counter() - started
        finally:
            server.terminate()


def main(sizes: list[int]) -> None:
    """Print a line for each size, and what start-up costs."""
    compileall.compile_dir(Path(kubectl_vmetrics.__file__).parent, quiet=1)
    names = (("top pods -A", []), ("top pods -A --host-names", ["--host-names"]))
    for pods in sizes:
        with demo(pods) as ready:
            print(f"{pods:,} pods; the demo answered after {ready:.1f} s")
            for name, more in names:
                ours = [VMETRICS, "-s", URL, "top", "pods", "-A", *more]
                theirs = [KUBECTL, "-s", URL, "top", "pods", "-A"]
                a, b, ratio, shortest = pairs(ours, theirs, 15 if pods < 10_000 else 7 if pods < 50_000 else 5)
                print(
                    f"  {name:26} {a.wall:6.2f} s ({a.cpu:.2f} CPU) {a.peak:5.0f} MiB   "
                    f"kubectl {b.wall:6.2f} s ({b.cpu:.2f} CPU) {b.peak:5.0f} MiB   "
                    f"time x{ratio:.2f} (shortest x{shortest:.2f})   memory x{a.peak / b.peak:.2f}"
                )
    with demo(40):
        bare = [sys.executable, "-c", "pass"]
        for name, command in (
            ("--version", [VMETRICS, "--version"]),
            ("top pods", [VMETRICS, "-s", URL, "top", "pods", "-n", "kube-system"]),
        ):
            a, b, _, _ = pairs(command, bare, 15)
            print(f"start-up of {name}: {a.wall - b.wall:.3f} s over bare python ({b.wall:.3f} s)")


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [1_000, 20_000, 100_000])
