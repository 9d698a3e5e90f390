"""Every field that JSON has is described in docs/fields.md, and every field that is described is there."""

from __future__ import annotations

import json
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_documented import SHOWN

PAGE = (Path(__file__).parents[2] / "docs" / "fields.md").read_text(encoding="utf-8")
LINES = (
    "top pods -A",
    "top pods -A --sum",
    "top pods --vcluster shop -A",
    "top pods -A --source kubelet --pressure",
    "top pods -A --network --io",
    "top pods -A --gpu",
    "top nodes",
    "top nodes --show-swap",
    "demo --break nodes-missing top nodes",
    "top nodes --vcluster shop",
    "top vclusters --network --io",
    "top vclusters --private-nodes",
    "top namespaces -A",
    "top volumes -A",
    "top gpus",
    "vmi -A",
    "components",
    "controlplanes -A",
    "targets",
    "targets kubelet",
    "targets controlplanes",
    "targets prometheus",
    "demo --break kubelet-down --break virt-handler-down doctor",
    "demo --break virt-handler-down components",
    "demo --break no-rights doctor rbac",
    "doctor --only VM201",
)
OF_HISTORY = (
    "history --since 6h --step 2h --points",
    "history pods -A --since 6h --step 3h --metric network --metric disk --metric restarts --metric requests --metric limits",
    "history namespaces --since 6h --step 3h --metric volumes --metric quota",
    "history nodes --since 6h --step 3h --metric allocatable",
)
"""Lines that need a Prometheus; their kinds are not compared without one."""
KINDS_OF_HISTORY = {"History"}
NAMED = ("filesystems", "vcpuRates", "interfaces", "disks", "migration")
OPEN = (
    "quotaUsed",
    "quotaHard",
    "points[].quotaUsed",
    "points[].quotaHard",
    "requests",
    "limits",
    "quota.hard",
    "quota.used",
    "capacity",
    "allocatable",
    "containers[].requests",
    "containers[].limits",
    "controlPlane.requests",
    "controlPlane.limits",
    "metadata.labels",
    "labels",
    "components[].pendingPods",
    "components[].schedulingAttemptsPerSecond",
    "components[].tenants",
)
"""Fields below which are names that the cluster gives."""


ELSEWHERE = {"vcluster.parent", "containers[].usage.swap", "usage.swap"}
ELSEWHERE |= {"disk.flush_latency", "network.drops", "network.errors", "KubeVirtComponent.startTimeSeconds"}
ELSEWHERE |= {
    "sharedBy",
    "gpu.estimated",
    "notes[]",
    *(f"components[].unanswered[]{name}" for name in ("", ".host", ".requests", ".requestsGrown")),
}
ELSEWHERE |= {
    f"{kind}.limitsShare.{name}" for kind in ("VirtualClusterUsage", "NamespaceUsage") for name in ("cpu", "memory")
}
ELSEWHERE |= {"NamespaceUsage.quota.hard", "NamespaceUsage.quota.used"}
ELSEWHERE |= {
    "VirtualMachineInstanceMetrics.memory.dirtyBytesPerSecond",
    "unproven",
    "unprovenPods",
    "load1",
    "goroutines",
    "connectionErrorsTo[]",
}
ELSEWHERE |= {f"History.{name}" for name in ("coverage.briefPods", "gpu", "gpuRequest")}
"""What the demo cluster does not have: nested virtual clusters, swap, faulty networks, flushes, start times, webhooks."""


def fields(value: Any, path: str = "") -> Iterator[str]:
    if path in OPEN:
        yield path
    elif isinstance(value, dict):
        for key, inner in value.items():
            parent = path.rpartition(".")[2]
            yield from fields(inner, f"{path}.{'NAME' if parent in NAMED[:4] else key}".removeprefix("."))
    elif isinstance(value, list):
        for inner in value:
            yield from fields(inner, f"{path}[]")
    else:
        yield path


@pytest.fixture(scope="module")
def found() -> dict[str, set[str]]:
    """The fields of each kind of item; those of a list itself are with its items."""
    kinds: dict[str, set[str]] = defaultdict(set)
    with SHOWN.cluster() as cluster, SHOWN.page(*cluster) as page:
        for line in (*LINES, *(OF_HISTORY if shutil.which("prometheus") else ())):
            printed = page.run(f"kubectl vmetrics {line} -o json")
            assert "{" in printed, (line, printed)
            document, _ = json.JSONDecoder().raw_decode(printed[printed.index("{") :])
            kind = document["kind"].removesuffix("List")
            for item in document.pop("items"):
                kinds[kind] |= set(fields(item))
            kinds[kind] |= set(fields(document))
    return kinds


def described() -> dict[str, set[str]]:
    kinds: dict[str, set[str]] = {}
    for section in re.split(r"(?m)^## ", PAGE):
        title = section.partition("\n")[0].strip()
        names = {name for row in re.findall(r"(?m)^\| (`.*?) \|", section) for name in re.findall(r"`([^`]+)`", row)}
        kinds["" if title.startswith("#") else title] = names
    return kinds


def test_every_field_is_described(found: dict[str, set[str]]) -> None:
    words = described()
    common = words.pop("")

    assert set(words) - set(found) <= (set() if shutil.which("prometheus") else KINDS_OF_HISTORY)
    assert set(found) <= set(words)
    for kind, names in found.items():
        known = words[kind] | common
        missing = {name for name in names if not any(name == each or name.startswith(f"{each}.") for each in known)}
        assert not missing, kind


def test_every_described_field_is_there(found: dict[str, set[str]]) -> None:
    words = described()
    common = words.pop("")
    everywhere = set().union(*found.values())

    for kind, there in found.items():
        gone = {name for name in words[kind] if not any(each == name or each.startswith(f"{name}.") for each in there)}
        assert not {name for name in gone if not {name, f"{kind}.{name}"} & ELSEWHERE}, kind
    gone = {name for name in common if not any(each == name or each.startswith(f"{name}.") for each in everywhere)}
    assert not gone - ELSEWHERE
