"""Every metric of the proxy and every label it adds is described in docs/metrics.md, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from kubectl_vmetrics.proxy.circuit import Circuits
from kubectl_vmetrics.proxy.flights import Flights
from kubectl_vmetrics.proxy.names import FAMILIES
from kubectl_vmetrics.proxy.telemetry import Telemetry
from tests.conftest import Cli

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")


class Map:
    """As much of an informer as is reported."""

    def __len__(self) -> int:
        return 1

    def silence(self) -> float:
        return 0.0

    def cuts(self) -> int:
        return 0

    def expired(self) -> int:
        return 0

    def unresolved(self) -> int:
        return 0


def test_metrics_of_the_proxy() -> None:
    telemetry = Telemetry()
    telemetry.answered(200)
    stand_in: Any = Map()
    text = telemetry.exposition(stand_in, Circuits(), Flights()).decode()
    families = dict(re.findall(r"(?m)^# TYPE (\S+) (\S+)$", text))
    described = dict(re.findall(r"(?m)^\| `(vmetrics_\w+)` \| (\w+) \|", PAGE))
    helps = dict(re.findall(r"(?m)^# HELP (\S+) (.+)$", text))

    assert described == families
    assert all(words in PAGE for words in helps.values())
    for name, label in set(re.findall(r"(?m)^(\w+)\{(\w+)=", text)):
        assert re.search(rf"`{name}` \| \w+ \| `{label}`", PAGE), name


def test_labels_that_are_added(on_demo: Cli) -> None:
    added = set()
    for endpoint in ("metrics/cadvisor", "metrics"):
        text = on_demo("raw", f"/api/v1/nodes/worker-1/proxy/{endpoint}").stdout
        added |= set(re.findall(r"[{,](vcluster_\w+)=", text))

    assert added == set(re.findall(r"(?m)^\| `(vcluster_\w+)` \|", PAGE.partition("## Names")[0]))


def test_names() -> None:
    rows = re.findall(r"(?m)^\| `(vcluster_\w+_info|vcluster_info)` \| (.+?) \| ", PAGE)
    described = {name: tuple(re.findall(r"`(\w+)`", labels)) for name, labels in rows}

    same = described["vcluster_pod_info"]
    assert described == {
        name: labels[len(same) :] if name == "vcluster_nested_pod_info" else labels
        for name, (labels, _) in FAMILIES.items()
    }
    assert FAMILIES["vcluster_nested_pod_info"][0][: len(same)] == same
