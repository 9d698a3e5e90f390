"""The proxy under load: many clients for a minute, with the apiserver killed in the middle and started again.

    python -m tests.benchmarks.load [SECONDS [CLIENTS]]

Run by hand. Wrong answers end it with an error: a body with 200 that is not what it was before, or a refusal that is
none of ours. The apiserver is the embedded one, in a process of its own; clients are in two more.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

from kubectl_vmetrics.demo import server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.metrics import kubelet
from tests.abuse.bench import views
from tests.benchmarks.proxy import resident
from tests.conftest import write_kubeconfig

PROCESSES = 2
OURS = {429, 502, 503, 504}


def apiserver(port: int) -> None:
    """Serve the demo cluster, whose clock stands still, until killed."""
    with server.serving(Apiserver(build(Shape(vclusters=12, pods=160)), clock=lambda: 1_700_000_000.0), port) as url:
        print(url, flush=True)
        threading.Event().wait()


def clients(url: str, seconds: float, count: int, folder: Path) -> None:
    """Ask for what is expected, again and again; print what came."""
    expected: dict[str, str] = json.loads((folder / "expected").read_text())
    paths = list(expected)
    statuses: Counter[str] = Counter()
    took: list[float] = []
    wrong: list[str] = []
    end = time.monotonic() + seconds
    place = urlsplit(url).netloc

    def run(number: int) -> None:
        peer = http.client.HTTPConnection(place, timeout=30)
        at = number
        while time.monotonic() < end:
            at += 7
            path = paths[at % len(paths)]
            started = time.monotonic()
            try:
                peer.request("GET", path, headers={"X-Prometheus-Scrape-Timeout-Seconds": "10"})
                answer = peer.getresponse()
                body = answer.read().decode()
                statuses[str(answer.status)] += 1
                if answer.status == 200 and body != expected[path]:
                    wrong.append(f"{path}: {len(body)} characters, not {len(expected[path])}")
                elif answer.status != 200 and (answer.status not in OURS or json.loads(body)["kind"] != "Status"):
                    wrong.append(f"{path}: {answer.status} {body[:100]}")
                elif answer.status == 200:
                    took.append(time.monotonic() - started)
                else:
                    time.sleep(0.2)
            except (OSError, http.client.HTTPException) as error:
                statuses[type(error).__name__] += 1
                peer.close()
                peer = http.client.HTTPConnection(place, timeout=30)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"statuses": statuses, "took": took, "wrong": wrong}))


def start(port: int) -> subprocess.Popen[str]:
    """An apiserver, once it answers."""
    command = [sys.executable, "-m", "tests.benchmarks.load", "--apiserver", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    process.stdout.readline()
    return process


def expected(url: str) -> dict[str, str]:
    """What is asked for: a scrape of each endpoint of each view, and each view's pods."""
    found = {}

    def get(path: str) -> str:
        peer = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        with contextlib.closing(peer):
            peer.request("GET", path)
            answer = peer.getresponse()
            assert answer.status == 200, (path, answer.status)
            return answer.read().decode()

    names = found["/metrics/names"] = get("/metrics/names")
    for prefix in ("", *views(names)):
        for target in json.loads(get(f"{prefix}/sd?endpoints={','.join(kubelet.TEXTS)}")):
            path = target["labels"]["__metrics_path__"]
            found[path] = get(path)
        pods = f"{prefix}/apis/metrics.k8s.io/v1beta1/pods"
        found[pods] = get(pods)
    return found


def main(seconds: float, count: int) -> int:
    """Run it; 1 where an answer was wrong."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        host = start(23_456)
        config = write_kubeconfig(folder, "http://127.0.0.1:23456")
        command = [sys.executable, "-m", "kubectl_vmetrics", "proxy", "--port=0"]
        log = (folder / "log").open("w")
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, env={**os.environ, "KUBECONFIG": str(config)}, text=True
        )
        try:
            assert process.stdout
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found
            asked = expected(found[0])
            (folder / "expected").write_text(json.dumps(asked))
            idle = resident(process.pid, "VmRSS")
            arguments = ["--clients", found[0], str(seconds), str(count // PROCESSES), name]
            running = [
                subprocess.Popen(
                    [sys.executable, "-m", "tests.benchmarks.load", *arguments], stdout=subprocess.PIPE, text=True
                )
                for _ in range(PROCESSES)
            ]
            memory = []
            began, killed = time.monotonic(), False
            while time.monotonic() - began < seconds:
                time.sleep(1)
                memory.append(resident(process.pid, "VmRSS"))
                if not killed and time.monotonic() - began > seconds / 2:
                    host.kill()
                    host.wait()
                    killed = True
                    time.sleep(3)
                    host = start(23_456)
            results = [json.loads(one.communicate()[0]) for one in running]
            peak = resident(process.pid, "VmHWM")
        finally:
            process.terminate()
            process.wait(40)
            host.kill()
            log.close()
        statuses: Counter[str] = Counter()
        for result in results:
            statuses.update(result["statuses"])
        took = sorted(value for result in results for value in result["took"])
        wrong = [line for result in results for line in result["wrong"]]
        quarter = max(1, len(memory) // 4)
        print(
            f"{count} clients, {seconds:.0f} s, apiserver away for 3 s: {len(took) / seconds:.0f} good answers/s, "
            f"p50 {took[len(took) // 2]:.2f} s, p99 {took[int(len(took) * 0.99)]:.2f} s; {dict(statuses)}; "
            f"{len(wrong)} wrong\n"
            f"memory: idle {idle:.0f} MiB, then by quarters at most "
            f"{', '.join(f'{max(memory[at : at + quarter]):.0f}' for at in range(0, quarter * 4, quarter))}, "
            f"peak {peak:.0f} MiB; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
        )
        for line in wrong[:10]:
            print("wrong:", line)
        return int(bool(wrong))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--apiserver", port]:
            apiserver(int(port))
        case ["--clients", url, seconds, count, folder]:
            clients(url, float(seconds), int(count), Path(folder))
        case numbers:
            given = [float(number) for number in numbers]
            raise SystemExit(main(*([given[0] if given else 60.0, int(given[1]) if len(given) > 1 else 150])))
