"""VictoriaMetrics with the recording and with what its own vmalert makes of the rules.

Samples come in by remote write, as from a Prometheus or a vmagent, so staleness markers are kept: vmctl and the JSON
import drop them.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import struct
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.prometheus import instant_query, promtool
from tests.remote_write import STALE, write
from tests.truth.evaluated import END, INTERVAL, START, passes

MISSING = pytest.mark.skipif(
    not (shutil.which("victoria-metrics") and shutil.which("vmalert")),
    reason="victoria-metrics and vmalert are not on the PATH (Debian: victoria-metrics)",
)
FAMILIES = (
    "container_(cpu_usage_seconds|cpu_cfs_(throttled_)?periods|network_(receive|transmit)_bytes)_total",
    "container_memory_working_set_bytes",
    "kube_pod_(labels|annotations|owner|info|status_phase|(init_)?container_(info|resource_.*|status_restarts_total))",
    "kube_persistentvolumeclaim_resource_requests_storage_bytes|kube_resourcequota",
    "kubelet_volume_stats_(used|capacity)_bytes",
    "machine_memory_bytes|kube_node_(info|status_allocatable)|kube_(statefulset|deployment)_created",
    "kube_pod_(init_)?container_status_running",
    "vcluster_.*",
)
"""All that rules and tables read."""
LINE = re.compile(r"\{(.*)\} (\S+) (\d+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@contextlib.contextmanager
def running(folder: Path) -> Iterator[str]:
    """An empty VictoriaMetrics; gives its URL."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [
        *("victoria-metrics", f"-storageDataPath={folder / 'victoria'}", f"-httpListenAddr={address}"),
        *("-retentionPeriod=100y", "-search.latencyOffset=0s", "-search.disableCache", "-memory.allowedBytes=256MB"),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(200):
                with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{address}/health", timeout=5):
                    break
                time.sleep(0.1)
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait(30)


def fill(url: str, data: Path) -> int:
    """Write what the rules read of the data of a Prometheus; returns the number of samples."""
    found: dict[str, list[tuple[int, bytes]]] = {}
    dumped = promtool("tsdb", "dump", f'--match={{__name__=~"{"|".join(FAMILIES)}"}}', str(data))
    for line in dumped.splitlines():
        labels, value, at = LINE.match(line).groups()  # type: ignore[union-attr]
        packed = STALE if value == "NaN" else struct.pack("<d", float(value))
        found.setdefault(labels, []).append((int(at), packed))
    series = [(dict(LABEL.findall(labels)), samples) for labels, samples in found.items()]
    for index in range(0, len(series), 500):
        write(url, series[index : index + 500])
    flush(url)
    return sum(len(samples) for samples in found.values())


def flush(url: str) -> None:
    """Make queries see what was written."""
    with urllib.request.urlopen(f"{url}/internal/force_flush", timeout=60):
        pass


def evaluate(url: str, folder: Path, rules: Sequence[dict[str, Any]]) -> None:
    """Let vmalert replay rules over the recording, once a minute; like promtool, it then writes no staleness markers."""
    start, end = (datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ") for at in (START, END))
    for part in passes(rules):
        path = folder / "replayed.yaml"
        group: dict[str, Any] = {"name": "all", "interval": f"{INTERVAL}s", "rules": part}
        path.write_text(json.dumps({"groups": [group]}))
        command = [
            *("vmalert", f"-rule={path}", f"-datasource.url={url}", f"-remoteWrite.url={url}"),
            *(f"-replay.timeFrom={start}", f"-replay.timeTo={end}", "-replay.disableProgressBar"),
            *(f"-datasource.queryStep={INTERVAL}s", "-replay.rulesDelay=0s", "-httpListenAddr=127.0.0.1:0"),
        ]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-2000:]
        flush(url)


def each_minute(url: str, series: str, *labels: str) -> dict[tuple[str, ...], dict[int, float]]:
    """Values of recorded series by the labels' values and by time: what was written, without any look-back."""
    return {
        tuple(item["metric"].get(label, "") for label in labels): {
            int(at): float(value) for at, value in item["values"]
        }
        for item in instant_query(url, f"{series}[{END - START + INTERVAL}s]", END)
    }
