"""`report` of the recording: its numbers against what the cgroups had counted, and a tenant's page against all names."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Result, invoke, write_kubeconfig
from tests.prometheus import MISSING, unpack
from tests.report.read import Node, read, tables
from tests.truth import evaluated, oracle
from tests.truth.oracle import FIRST, FOLDER, Pod

pytestmark = MISSING

SECONDS = 1800
LONG = 150
"""Seconds for which the last sample of a pod may stand for it; see test_moment."""
PERIOD = "2026-11-24T16:10:00Z,2026-11-24T16:40:00Z"


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus with the recording; its URL."""
    folder = tmp_path_factory.mktemp("report")
    unpack(folder)
    with evaluated.recorded(folder) as url:
        yield url


@pytest.fixture(scope="module")
def reported(prometheus: str, host_url: tuple[Any, str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Runs `report` on the recording, and on the recorded host beside it."""
    path = write_kubeconfig(tmp_path_factory.mktemp("host"), host_url[1])
    words = ["report", f"--prometheus={prometheus}", f"--since={PERIOD}", "--no-controlplanes", "-o", "-"]

    def run(*more: str) -> Result:
        return invoke(*words, *more, kubeconfig=path)

    return run


@pytest.fixture(scope="module")
def page(reported: Any) -> Node:
    result = reported()
    assert (result.code, result.stderr) == (0, "")
    return read(result.stdout)


def numbers(page: Node, caption: str) -> dict[str, list[float | None]]:
    """What the cells of a table are sorted by, by the text of the first one."""
    [table] = [item for item in page.all("table") if item.all("caption") and item.all("caption")[0].text == caption]
    found = {}
    for row in table.all("tbody")[0].all("tr"):
        first, *rest = (child for child in row.children if isinstance(child, Node))
        values = [cell.attributes.get("data-v") for cell in rest]
        found[first.text] = [None if value is None else float(value) for value in values]
    return found


def lasting(pod: Pod) -> tuple[str, str] | None:
    """The virtual cluster of a pod that lived long enough for cAdvisor to see it."""
    return None if pod.name.startswith("flash-") else oracle.tenant(pod)


def test_mean_cpu_is_that_of_the_cgroups(page: Node) -> None:
    found = numbers(page, "CPU by virtual cluster")
    for (namespace, name), cores in oracle.cpu(FIRST, FIRST + SECONDS, lasting).items():
        mean = found[f"{name}host namespace {namespace}"][0]
        # 10 ms: pods of team-c wait, and used 0.17 CPU seconds in half an hour.
        assert mean == pytest.approx(cores, rel=0.02, abs=0.01 / SECONDS)


def test_mean_memory_is_what_top_printed(page: Node) -> None:
    found = numbers(page, "Memory by virtual cluster")
    within = [item for item in oracle.snapshots() if FIRST < item.at < FIRST + SECONDS]
    for namespace, name in {key for item in within for key in item.memory}:
        sizes = [item.memory[namespace, name] for item in within]
        # Pods of team-c were paused, and one that is gone may count for LONG.
        gone = max(sizes) * LONG / SECONDS if namespace == "team-c" else 0.0
        mean = sum(sizes) / len(sizes)
        assert found[f"{name}host namespace {namespace}"][0] == pytest.approx(mean, rel=0.05, abs=gone)


def test_control_planes_used_what_their_cgroups_counted(page: Node) -> None:
    found = numbers(page, "What control planes used")
    truth = oracle.cpu(FIRST, FIRST + SECONDS, lambda pod: pod.namespace if pod.name == "vc1-0" else None)
    assert set(truth) == {"team-a", "team-c"}
    for namespace, cores in truth.items():
        assert found[f"vc1host namespace {namespace}"][0] == pytest.approx(cores * SECONDS / 3600, rel=0.02)


def test_the_bill_in_the_page_is_that_of_bill(
    page: Node, prometheus: str, host_url: tuple[Any, str], tmp_path: Path
) -> None:
    result = invoke(
        *("bill", f"--prometheus={prometheus}", f"--since={PERIOD}", "-o", "json"),
        kubeconfig=write_kubeconfig(tmp_path, host_url[1]),
    )
    document = json.loads(result.stdout)
    billed = {path: item["cpuCoreHours"] for path, item in document["data"][0].items() if path.startswith("team-")}
    found = numbers(page, "Bill: CPU and memory")
    assert {name.partition("host namespace ")[2]: row[2] for name, row in found.items() if "vc" in name} == {
        path.partition("/")[0]: pytest.approx(hours) for path, hours in billed.items()
    }
    # Two cores for half an hour: all rows add up to them.
    total = tables(page)["Bill: CPU and memory"][-1]
    assert (total[0], total[3]) == ("Total", "1")
    assert document["whole"]["cpuCoreHours"] == pytest.approx(1)


def known() -> tuple[set[str], set[str]]:
    """Host names and uids of the recording: pods, namespaces and nodes; and virtual names of the tenant in team-a."""
    with gzip.open(FOLDER / "cgroup-truth.json.gz") as file:
        document = json.load(file)
    everything = set(document["pods"]) | {name for pair in document["names"].values() for name in pair}
    own: set[str] = set()
    with gzip.open(FOLDER / "snapshots.jsonl.gz", "rt") as file:
        for line in file:
            for item in json.loads(line)["pods"]["items"]:
                names = {item["metadata"]["name"], item["metadata"]["namespace"]}
                everything |= names | {item.get("host", {}).get("name", ""), item.get("host", {}).get("namespace", "")}
                if item.get("vcluster", {}).get("hostNamespace") == "team-a":
                    own |= names
    return everything - own - {""}, own


def test_a_tenants_page_holds_nothing_of_others(reported: Any) -> None:
    result = reported("--vcluster", "team-a/vc1")
    assert (result.code, result.stderr) == (0, "")
    body = result.stdout[result.stdout.index("<body>") : result.stdout.index("<script>")]
    foreign, own = known()
    assert len(foreign) > 60
    words = set(re.findall(r"[\w.-]+", body))
    # Words of the page's own that are somebody's names as well.
    assert foreign & words <= {"data"}
    assert {name for name in foreign if len(name) > 8 and name in body} == set()
    assert own & words >= {"shop", "default", "frontend-", "db-0"} - {"frontend-"}
