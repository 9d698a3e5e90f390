"""Rewriting a cadvisor text of 250 pods in both views against parsing and printing it with prometheus_client.

    python tests/benchmarks/rewriting.py

Run by hand; nothing is asserted. The text is the recorded one, multiplied under new pod names.
"""

from __future__ import annotations

import gc
import json
import re
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from kubectl_vmetrics.vcluster.identity import Origin, VClusterRef
from kubectl_vmetrics.vcluster.origins import PODS, Origins
from kubectl_vmetrics.vcluster.rewrite import exposition

RECORDINGS = Path(__file__).parents[1] / "recordings" / "k8s-1.36" / "host"
COPIES = 25
CHUNK = 256 * 1024


def multiplied() -> tuple[bytes, list[dict[str, Any]]]:
    """The recorded text and the metadata of its pods, each pod COPIES times under a name and a uid of its own."""
    items: list[dict[str, Any]] = []
    pods = json.loads((RECORDINGS / "api-v1-pods.json").read_text())["items"]
    names = {}
    for item in pods:
        meta = item["metadata"]
        annotations = meta.get("annotations", {})
        for copy in range(COPIES):
            name, uid = f"{meta['name']}-{copy}", f"{copy:08x}{meta['uid'][8:]}"
            names[meta["uid"], copy] = (meta["name"], name, uid)
            changed = {**annotations, "vcluster.loft.sh/object-host-name": name}
            if "vcluster.loft.sh/object-name" in annotations:
                changed["vcluster.loft.sh/object-name"] = f"{annotations['vcluster.loft.sh/object-name']}-{copy}"
            items.append({"metadata": {**meta, "name": name, "uid": uid, "annotations": changed}})
    lines: list[bytes] = []
    pattern = re.compile(rb'pod([0-9a-f-]{36}).*?pod="([^"]+)"')
    for line in (RECORDINGS / "api-v1-nodes-vm-proxy-metrics-cadvisor.txt").read_bytes().splitlines():
        found = pattern.search(line)
        if not found:
            lines.append(line)
            continue
        for copy in range(COPIES):
            old, name, uid = names[found[1].decode(), copy]
            changed_ = line.replace(b'pod="%s"' % old.encode(), b'pod="%s"' % name.encode())
            lines.append(changed_.replace(found[1], uid.encode()))
    return b"\n".join(lines) + b"\n", items


def chunks(text: bytes) -> Iterator[bytes]:
    """As they come from a socket."""
    for start in range(0, len(text), CHUNK):
        yield text[start : start + CHUNK]


def seconds(work: Callable[[], object], runs: int) -> float:
    """The median of some runs."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def reprinted(text: bytes) -> int:
    """Parse and print, as a rewriter on top of prometheus_client would."""
    size = 0
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = ",".join(f'{key}="{value}"' for key, value in sample.labels.items())
            size += len(f"{sample.name}{{{labels}}} {sample.value} {sample.timestamp}\n")
    return size


def main() -> None:
    """Print MB/s and ratios."""
    text, items = multiplied()
    origins = Origins()
    for item in items:
        origins.add(PODS, msgspec.convert(item, Origin))
    size = len(text) / 1e6
    vc1 = VClusterRef("team-a", "vc1")
    parse = seconds(lambda: reprinted(text), 1)
    print(f"{size:.1f} MB, {text.count(b'pod=')} samples; prometheus_client parses and prints {size / parse:.1f} MB/s")
    views: dict[str, Callable[[], object]] = {
        "tenant": lambda: sum(map(len, exposition.tenant(origins, vc1).rewrite(chunks(text)))),
        "tenant, isolated": lambda: sum(map(len, exposition.tenant(origins, vc1, isolate=True).rewrite(chunks(text)))),
        "host": lambda: sum(map(len, exposition.host(origins).rewrite(chunks(text)))),
    }
    gc.disable()  # as the program itself does
    for name, work in views.items():
        took = seconds(work, 7)
        print(f"{name:22} {size / took:6.0f} MB/s, x{parse / took:.0f}")
    known = exposition.tenant(origins, vc1)
    took = seconds(lambda: sum(map(len, known.rewrite(chunks(text)))), 7)
    print(f"{'tenant, second scrape':22} {size / took:6.0f} MB/s, x{parse / took:.0f}")


if __name__ == "__main__":
    main()
