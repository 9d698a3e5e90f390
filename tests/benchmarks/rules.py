"""The recording rules and alerts of `manifests rules` on many pods: evaluation time, series, memory of Prometheus.

    python tests/benchmarks/rules.py [PODS [NAMES]]

Run by hand; nothing is asserted. 100,000 pods in 1,000 virtual clusters on 1,000 nodes take about 12 GiB of memory. Each pod
has what cAdvisor and kube-state-metrics have of a pod in the recording: its cgroup, a pause container and one of its own.

Prometheus gets the series by remote write, thirty seconds apart, from six minutes ago to some minutes from now: its rules then
run at their own times, with its default limits, on what a Prometheus that scrapes has in its head.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.conftest import invoke
from tests.prometheus import instant_query, running
from tests.remote_write import field, send, varint

TENANTS, NODES = 100, 100
"""Pods of a virtual cluster, and of a node."""
INTERVAL, BEFORE = 30, 360
BATCH = 4000
Labels = dict[str, str]


def pod_series(number: int) -> Iterator[tuple[Labels, float]]:
    """Series of one pod, and by how much they grow each second; 0 for what stays 1."""
    tenant, node = number // TENANTS, f"node-{number % NODES}"
    uid = f"{number:08x}-0000-4000-8000-{number:012x}"
    name, space = f"web-{number % TENANTS:05d}-7d9c5b8f6d-x2k4p", f"shop-{number % 7}"
    host = {"cluster": "lab", "namespace": f"tenant-{tenant}", "pod": f"{name}-x-{space}-x-vc"}
    target = {"job": "kubelet", "metrics_path": "/metrics/cadvisor", "instance": node, "node": node}
    group = f"/kubepods/burstable/pod{uid}"
    cgroup, pause, app = (
        {**host, **target, "id": f"{group}{path}", "image": image, "container": container, "name": path[1:]}
        for path, image, container in (
            ("", "", ""),
            ("/" + "a" * 56 + f"{number:08x}", "registry.k8s.io/pause:3.10", ""),
            ("/" + "b" * 56 + f"{number:08x}", "docker.io/library/nginx:1.27", "web"),
        )
    )
    for labels in (cgroup, pause, app):
        yield {"__name__": "container_cpu_usage_seconds_total", "cpu": "total", **labels}, 0.05
        yield {"__name__": "container_memory_working_set_bytes", **labels}, 4096
    yield {"__name__": "container_cpu_cfs_periods_total", **app}, 10
    yield {"__name__": "container_cpu_cfs_throttled_periods_total", **app}, 1
    for way in ("receive", "transmit"):
        yield {"__name__": f"container_network_{way}_bytes_total", "interface": "eth0", **pause}, 1000
    state = {**host, "uid": uid, "job": "kube-state-metrics", "instance": "kube-state-metrics"}
    for phase in ("Pending", "Running", "Succeeded", "Failed", "Unknown"):
        yield {"__name__": "kube_pod_status_phase", "phase": phase, **state}, 0 if phase == "Running" else -1
    for kind in ("requests", "limits"):
        for resource, unit in (("cpu", "core"), ("memory", "byte")):
            more = {"container": "web", "resource": resource, "unit": unit, "node": node}
            yield {"__name__": f"kube_pod_container_resource_{kind}", **more, **state}, 0
    yield {"__name__": "kube_pod_container_status_restarts_total", "container": "web", **state}, 0
    yield {"__name__": "kube_pod_info", "host_network": "false", "node": node, **state}, 0
    yield {"__name__": "kube_pod_owner", "owner_kind": "Service", "owner_name": "vc", **state}, 0
    virtual = {"label_vcluster_loft_sh_managed_by": "vc", "label_vcluster_loft_sh_namespace": space}
    yield {"__name__": "kube_pod_labels", **virtual, **state}, 0
    yield {"__name__": "kube_pod_annotations", "annotation_vcluster_loft_sh_object_name": name, **state}, 0
    names = {"vcluster_name": "vc", "vcluster_host_namespace": host["namespace"], "vcluster_virtual_namespace": space}
    info = {**host, **names, "vcluster_virtual_pod": name, "uid": uid, "job": "vmetrics-names", "instance": "proxy"}
    yield {"__name__": "vcluster_pod_info", **info}, 0


def samples(times: list[int]) -> dict[float, bytes]:
    """Encoded samples by growth: counters from 0; 1 for what stays; 0 for a phase that is not."""
    import struct

    found = {}
    for growth in (0.05, 4096, 10, 1, 1000, 0, -1):
        values = [growth * (at - times[0]) if growth > 0 else growth + 1.0 for at in times]
        found[float(growth)] = b"".join(
            field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(at * 1000))
            for at, value in zip(times, values, strict=True)
        )
    return found


def fill(url: str, pods: int, times: list[int]) -> int:
    """Write the series of so many pods; returns how many series these are."""
    encoded, cache = samples(times), {}
    series: list[bytes] = []
    count = 0

    def pair(item: tuple[str, str]) -> bytes:
        if item not in cache or len(cache) > 500_000:
            cache[item] = field(1, field(1, item[0].encode()) + field(2, item[1].encode()))
        return cache[item]

    for number in range(pods):
        for labels, growth in pod_series(number):
            content = b"".join(map(pair, sorted(item for item in labels.items() if item[1])))
            series.append(field(1, content + encoded[float(growth)]))
            count += 1
        if len(series) >= BATCH:
            send(url, b"".join(series))
            series.clear()
    send(url, b"".join(series))
    return count


def groups(url: str) -> list[dict[str, Any]]:
    """What Prometheus says about its rules."""
    with urllib.request.urlopen(f"{url}/api/v1/rules", timeout=60) as answer:
        found: list[dict[str, Any]] = json.loads(answer.read())["data"]["groups"]
        return found


def memory(pid: int) -> float:
    """Peak of the resident memory of a process, in GiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 2**20


def cpu(pid: int) -> float:
    """Seconds of CPU that a process used so far, which other work on the machine disturbs least."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(pods: int, way: str) -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        printed = invoke("manifests", "rules", "--raw", f"--names={way}")
        assert printed.code == 0, printed.stderr
        (folder / "rules.yaml").write_text(printed.stdout)
        config = {"rule_files": [str(folder / "rules.yaml")], "scrape_configs": []}
        url = stack.enter_context(running(config, folder, "--web.enable-remote-write-receiver"))
        ready(url)
        after = 300 + pods // 100
        start = time.time()
        now = int(start) // INTERVAL * INTERVAL
        count = fill(url, pods, list(range(now - BEFORE, now + after, INTERVAL)))
        print(f"{pods} pods, names from {way}: {count} series written in {time.time() - start:.0f} s")
        pid = int(subprocess.run(["pgrep", "-f", name], check=True, capture_output=True, text=True).stdout.split()[0])
        spent = []
        for _ in range(3):  # the first may have begun before all was written
            before = [group["lastEvaluation"] for group in groups(url)]
            while any(group["lastEvaluation"] in before for group in groups(url)):
                if time.time() - now > after:
                    raise SystemExit("the rules take longer than the samples last: try fewer pods")
                time.sleep(1)
            spent.append(cpu(pid))
        print(f"{spent[-1] - spent[-2]:.1f} s of CPU for one evaluation of all groups")
        made = instant_query(url, 'count({__name__=~"vcluster.*:.+:.+"})', time.time())
        print(f"{made[0]['value'][1]} series recorded")
        for group in groups(url):
            print(f"group {group['name']}: {group['evaluationTime']:.2f} s each {group['interval']:.0f} s")
            for rule in sorted(group["rules"], key=lambda rule: -rule["evaluationTime"])[:6]:
                print(f"  {rule['evaluationTime']:6.2f} s {rule['name']} {rule['health']}")
            bad = [rule["name"] for rule in group["rules"] if rule["health"] != "ok"]
            print(f"  not ok: {bad or 'none'}")
        print(f"Prometheus: {memory(pid):.1f} GiB at most")


def stamp(at: float) -> str:
    """As Prometheus writes times."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))


def ready(url: str) -> None:
    """Wait until Prometheus answers."""
    for _ in range(200):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/-/ready", timeout=5):
            return
        time.sleep(0.1)
    raise SystemExit("Prometheus does not answer")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000, sys.argv[2] if len(sys.argv) > 2 else "pod-info")
