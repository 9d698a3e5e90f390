"""The proxy's memory and speed for a cadvisor text of 250 pods: one scrape, and twenty at once; then `sharing`.

    python -m tests.benchmarks.proxy

Run by hand; nothing is asserted. The host is the recorded one, its cadvisor text multiplied.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from kubectl_vmetrics.demo import server
from kubectl_vmetrics.demo.exchange import Reply
from tests.benchmarks.rewriting import multiplied
from tests.conftest import write_kubeconfig
from tests.replay import Replay

PATH = "/api/v1/nodes/vm/proxy/metrics/cadvisor"


def resident(pid: int, kind: str) -> float:
    """Resident memory in MiB: VmRSS now, VmHWM at its highest."""
    found = re.search(rf"{kind}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def scrape(url: str) -> int:
    """The size of one answer."""
    with urllib.request.urlopen(url, timeout=120) as answer:
        size = 0
        while chunk := answer.read(1 << 20):
            size += len(chunk)
        return size


def keep(sizes: list[int], url: str) -> None:
    """Scrape, for a thread."""
    sizes.append(scrape(url))


def main() -> None:
    """Print MiB and seconds."""
    text, items = multiplied()
    host = Replay("host")
    host.override["/api/v1/pods"] = Reply(200, json.dumps({"items": items}).encode())
    host.override[PATH] = Reply(200, text, "text/plain; version=0.0.4")
    with server.serving(host) as url, tempfile.TemporaryDirectory() as folder:
        variables = {**os.environ, "KUBECONFIG": str(write_kubeconfig(Path(folder), url))}
        command = [sys.executable, "-m", "kubectl_vmetrics", "proxy", "--port=0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=variables, text=True) as process:
            assert process.stdout
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found
            for view in ("", "/vclusters/team-a/vc1"):
                scrape(f"{found[0]}{view}/api/v1/nodes/vm/proxy/metrics/resource")  # the map is read
                idle = resident(process.pid, "VmRSS")
                started = time.perf_counter()
                size = scrape(f"{found[0]}{view}{PATH}")
                took = time.perf_counter() - started
                one = resident(process.pid, "VmHWM")
                sizes: list[int] = []
                threads = [threading.Thread(target=keep, args=(sizes, f"{found[0]}{view}{PATH}")) for _ in range(20)]
                started = time.perf_counter()
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                print(
                    f"{view or '/':24} idle {idle:.0f} MiB; one scrape: {took:.2f} s, {size / 1e6:.1f} MB out, "
                    f"peak {one - idle:+.0f} MiB; twenty at once: {time.perf_counter() - started:.2f} s, "
                    f"{len(set(sizes)) == 1 and len(sizes)} whole, peak {resident(process.pid, 'VmHWM') - idle:+.0f} MiB"
                )
            process.terminate()
    from tests.benchmarks import sharing

    sharing.main()


if __name__ == "__main__":
    main()
