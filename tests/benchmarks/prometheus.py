"""`top vclusters --source prometheus` on a real Prometheus with many pods, beside `kubectl top pods -A` on as many.

    python -m tests.benchmarks.prometheus [PODS [FOLDER]]

Run by hand; nothing is asserted. Each pod has what cAdvisor and kube-state-metrics have of a pod in the recording: its
cgroup, a pause container and one of its own; 100 of them are a virtual cluster, and 40 are on a node. promtool makes
blocks of ten minutes of that, some thousand pods at a time; Prometheus merges them before anything is measured.
200,000 pods take some 15 minutes and 2 GiB of disk; with a FOLDER that is kept, the blocks are made once.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.rules import cpu
from tests.benchmarks.top_pods import KUBECTL, URL, VMETRICS, Cost, demo, median, run
from tests.conftest import write_kubeconfig
from tests.prometheus import instant_query, promtool, running

TENANTS, ON_A_NODE = 100, 40
BATCH = 10_000
START, INTERVAL, SAMPLES = 1_700_006_400, 60, 11
"""Ten minutes, within one block."""
AT = START + INTERVAL * (SAMPLES - 1) + 5
RUNS = 3
CPU, MEMORY = "container_cpu_usage_seconds_total", "container_memory_working_set_bytes"


def of_pod(number: int) -> Iterator[tuple[str, float, float]]:
    """Series of one pod, their first value, and by how much they grow each second."""
    tenant, node = number // TENANTS, f"node-{number // ON_A_NODE}"
    uid = f"{number:08x}-0000-4000-8000-{number:012x}"
    name, space = f"web-{number % TENANTS:05d}-7d9c5b8f6d-x2k4p", f"shop-{number % 7}"
    host = f'namespace="tenant-{tenant}",pod="{name}-x-{space}-x-vc"'
    target = f'job="kubelet",metrics_path="/metrics/cadvisor",instance="{node}:10250",node="{node}",{host}'
    group = f"/kubepods/burstable/pod{uid}"
    runs = (
        f'id="{group}"',
        f'id="{group}/{"a" * 56}{number:08x}",image="registry.k8s.io/pause:3.10",name="{"a" * 56}{number:08x}"',
        f'id="{group}/{"b" * 56}{number:08x}",image="docker.io/library/nginx:1.27",name="{"b" * 56}{number:08x}",'
        'container="web"',
    )
    for own in runs:
        yield f'{CPU}{{cpu="total",{target},{own}}}', 5.0, 0.05
        yield f"{MEMORY}{{{target},{own}}}", 50_000_000.0, 0.0
    state = f'job="kube-state-metrics",instance="kube-state-metrics:8080",uid="{uid}",{host}'
    for phase in ("Pending", "Running", "Succeeded", "Failed", "Unknown"):
        yield f'kube_pod_status_phase{{{state},phase="{phase}"}}', float(phase == "Running"), 0.0
    yield f'kube_pod_container_status_running{{{state},container="web"}}', 1.0, 0.0
    yield f'kube_pod_info{{{state},node="{node}",host_network="false"}}', 1.0, 0.0
    yield f'kube_pod_owner{{{state},owner_kind="Service",owner_name="vc"}}', 1.0, 0.0
    keys = f'label_vcluster_loft_sh_managed_by="vc",label_vcluster_loft_sh_namespace="{space}"'
    yield f"kube_pod_labels{{{state},{keys}}}", 1.0, 0.0
    yield f'kube_pod_annotations{{{state},annotation_vcluster_loft_sh_object_name="{name}"}}', 1.0, 0.0


def of_host(pods: int) -> Iterator[tuple[str, float, float]]:
    """Series of the nodes and the virtual clusters."""
    state = 'job="kube-state-metrics",instance="kube-state-metrics:8080"'
    for number in range(-(-pods // ON_A_NODE)):
        node = f"node-{number}"
        target = f'job="kubelet",metrics_path="/metrics/cadvisor",instance="{node}:10250",node="{node}"'
        yield f"machine_memory_bytes{{{target}}}", 2.0**35, 0.0
        yield f'kube_node_info{{{state},node="{node}",internal_ip="10.0.{number // 250}.{number % 250}"}}', 1.0, 0.0
        yield f'kube_node_status_allocatable{{{state},node="{node}",resource="cpu"}}', 16.0, 0.0
        yield f'kube_node_status_allocatable{{{state},node="{node}",resource="memory"}}', 2.0**35, 0.0
    for tenant in range(-(-pods // TENANTS)):
        yield f'kube_statefulset_created{{{state},namespace="tenant-{tenant}",statefulset="vc"}}', 1.0, 0.0


def write(path: Path, series: Iterator[tuple[str, float, float]]) -> int:
    """Write ten minutes of series as OpenMetrics, which wants the samples of a family together; returns their number."""
    families: dict[str, list[tuple[str, float, float]]] = {}
    for item in series:
        families.setdefault(item[0].split("{", 1)[0], []).append(item)
    times = [START + INTERVAL * index for index in range(SAMPLES)]
    with path.open("w") as file:
        for found in families.values():
            for name, value, rate in found:
                file.writelines(f"{name} {value + rate * (at - START):g} {at}\n" for at in times)
        file.write("# EOF\n")
    return sum(len(found) for found in families.values())


def make(folder: Path, pods: int) -> None:
    """Make the blocks."""
    text, series, started = folder / "samples.om", 0, time.perf_counter()
    parts = [of_host(pods)]
    for first in range(0, pods, BATCH):
        numbers = range(first, min(pods, first + BATCH))
        parts.append(item for number in numbers for item in of_pod(number))
    for part in parts:
        series += write(text, part)
        promtool("tsdb", "create-blocks-from", "openmetrics", str(text), str(folder / "data"))
        text.unlink()
    print(f"{pods} pods: {series} series in {time.perf_counter() - started:.0f} s")
    with serving(folder) as (url, _):
        instant_query(url, "vector(1)", AT)
        while len(list((folder / "data").glob("*/meta.json"))) > 1:
            time.sleep(2)
    print(f"merged after {time.perf_counter() - started:.0f} s")


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[tuple[str, int]]:
    """A Prometheus on the blocks; gives its URL and process."""
    flags = ("--storage.tsdb.retention.time=100y",)
    with running({"scrape_configs": []}, folder, *flags) as url:
        for _ in range(600):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/-/ready", timeout=5):
                break
            time.sleep(0.5)
        yield url, process(url)


def process(url: str) -> int:
    """The Prometheus that listens there."""
    port = url.rpartition(":")[2]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if f"--web.listen-address=127.0.0.1:{port}".encode() in path.read_bytes():
                return int(path.parent.name)
    raise SystemExit(f"no Prometheus listens on {port}")


def memory(pid: int, line: str = "VmHWM:") -> float:
    """Peak of the resident memory of a process, in MiB."""
    return int(Path(f"/proc/{pid}/status").read_text().split(line)[1].split()[0]) / 1024


def show(what: str, cost: Cost, more: str = "") -> None:
    """One line of figures."""
    print(f"{what:<45} {cost.wall:7.2f} s {cost.peak:7.0f} MiB {cost.cpu:7.2f} s of CPU{more}", flush=True)


def main(pods: int, folder: Path) -> None:
    """Print the figures."""
    if not (folder / "data").exists():
        # In a process of its own: the peak of this one counts for those that it starts.
        subprocess.run([sys.executable, "-m", __spec__.name, str(pods), str(folder), "make"], check=True)
    config = write_kubeconfig(folder, "http://127.0.0.1:1", token="t")
    commands = (
        ["vclusters"],
        ["vclusters", "-n", "tenant-7"],
        ["pods", "-A"],
        ["pods", "--vcluster", "tenant-7/vc"],
        ["nodes"],
    )
    for words in commands:
        with serving(folder) as (url, pid):
            idle, before = memory(pid), cpu(pid)
            line = [VMETRICS, "top", *words, "--prometheus", url, "--at", str_of(AT), f"--kubeconfig={config}"]
            cost = median([run(line) for _ in range(RUNS)])
            theirs = f"Prometheus {idle:.0f} -> {memory(pid):.0f} MiB, {(cpu(pid) - before) / RUNS:.2f} s of CPU"
            show(f"top {' '.join(words)} --source prometheus", cost, f"; {theirs}")
    with demo(pods):
        options = [f"--server={URL}"]
        show("kubectl top pods -A", median([run([KUBECTL, "top", "pods", "-A", *options]) for _ in range(RUNS)]))
        show("top pods -A (Metrics API)", median([run([VMETRICS, "top", "pods", "-A", *options]) for _ in range(RUNS)]))
        show(
            "top vclusters (Metrics API)", median([run([VMETRICS, "top", "vclusters", *options]) for _ in range(RUNS)])
        )


def str_of(at: int) -> str:
    """A time as --at takes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


if __name__ == "__main__":
    os.environ.pop("VMETRICS_PROMETHEUS", None)
    for program in ("prometheus", "promtool"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is not on the PATH (Debian: prometheus)")
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with tempfile.TemporaryDirectory() as name:
        place = Path(sys.argv[2] if len(sys.argv) > 2 else name)
        place.mkdir(parents=True, exist_ok=True)
        if sys.argv[3:] == ["make"]:
            make(place, number)
        else:
            main(number, place)
