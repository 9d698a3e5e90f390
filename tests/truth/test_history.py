"""`history` of the recorded host, against its cgroups and against what `top` printed.

Through the command line, on a real Prometheus, for each way in which it may know names: with pods that were recreated,
hashed, paused and deleted, two kube-state-metrics for 45 s, and none for two minutes.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from kubectl_vmetrics.history import names, ways
from tests.conftest import Result, invoke, write_kubeconfig
from tests.prometheus import MISSING, instant_query
from tests.truth import evaluated, oracle, victoria
from tests.truth.oracle import FIRST, LAST, Counter, moment
from tests.truth.test_rules import without_short

pytestmark = MISSING

WAYS = [way.name for way in ways.WAYS]
TEAM_A, TEAM_B, TEAM_C = ("team-a", "vc1"), ("team-b", "vc2"), ("team-c", "vc1")
LITTLE = 0.0001
"""Cores: a tenth of what kubectl shows."""
PROCESS = 512 * 1024
"""Bytes: a process more or less."""
SPAN = "2026-11-24T16:10:00Z,2026-11-24T16:42:30Z"


@pytest.fixture(scope="module")
def prometheus(every_way: Path) -> Iterator[str]:
    with evaluated.recorded(every_way) as url:
        yield url


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A kubeconfig for a host that does not answer: all that is known comes from the Prometheus."""
    return write_kubeconfig(tmp_path, "http://127.0.0.1:1")


def ran(url: str, home: Path, *words: str, since: str = SPAN) -> Result:
    return invoke("history", *words, f"--prometheus={url}", f"--since={since}", kubeconfig=home)


def read(url: str, home: Path, *words: str, since: str = SPAN) -> dict[str, Any]:
    """The document."""
    result = ran(url, home, *words, "-o", "json", since=since)
    assert result.code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def by_tenant(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """The items of virtual clusters."""
    return {
        (item["vcluster"]["hostNamespace"], item["vcluster"]["name"]): item
        for item in document["items"]
        if "vcluster" in item
    }


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """One way to know names alone."""
    chosen = tuple(way for way in ways.WAYS if way.name == request.param)
    monkeypatch.setattr(names, "WAYS", chosen)
    return str(request.param)


def short() -> float:
    """CPU seconds of the six pods that lived for 12 s."""
    return sum(pod.cpu.used(FIRST, LAST) for pod in oracle.pods() if pod.name.startswith("flash-"))


def test_core_seconds_are_those_of_the_cgroups(way: str, prometheus: str, home: Path) -> None:
    """Within 2 % over the whole range, whatever the step; but for the six pods of 12 s, of which cAdvisor saw nothing."""
    wanted = {tenant: cores * (LAST - FIRST) for tenant, cores in oracle.cpu(FIRST, LAST, without_short).items()}
    whole = {tenant: cores * (LAST - FIRST) for tenant, cores in oracle.cpu(FIRST, LAST).items()}
    assert whole[TEAM_A] - wanted[TEAM_A] == pytest.approx(short())
    for step in ("15s", "1m", "5m", "7m", "1h"):
        found = by_tenant(read(prometheus, home, "--step", step))
        assert set(found) == {TEAM_A, TEAM_B, TEAM_C}
        for tenant, seconds in wanted.items():
            shown = found[tenant]["cpu"]["coreSeconds"]
            assert shown == pytest.approx(seconds, rel=0.02), (tenant, step)
            assert found[tenant]["cpu"]["mean"] == pytest.approx(shown / (LAST - FIRST))
        # What is not in it are those pods.
        assert whole[TEAM_A] - found[TEAM_A]["cpu"]["coreSeconds"] == pytest.approx(short(), abs=0.02 * whole[TEAM_A])


def test_pods_that_were_there_for_seconds_are_mentioned(prometheus: str, home: Path) -> None:
    """cAdvisor has a sample or two of half of them, and none of the others."""
    document = read(prometheus, home, "--step", "1m")
    assert document["coverage"]["briefPods"] == 3
    result = ran(prometheus, home, "--step", "1m")
    assert (
        "Warning: 3 pods were gone before cAdvisor had read what they used: their CPU is incomplete\n" in result.stderr
    )
    calm = ran(prometheus, home, "--step", "1m", since="2026-11-24T16:10:00Z,2026-11-24T16:28:00Z")
    assert calm.stderr == ""


def cgroups(url: str) -> dict[str, list[Counter]]:
    """Pods of team-b by the raw samples of their cgroups, of which the oracle has none."""
    cgroup = 'container_cpu_usage_seconds_total{job="kubelet",metrics_path="/metrics/cadvisor",container="",image=""'
    found: dict[str, list[Counter]] = {}
    for series in instant_query(url, f'{cgroup},namespace="team-b",pod!="vc2-0"}}[45m]', moment("16:43:00")):
        times, values = zip(*[(float(time), float(value)) for time, value in series["values"]], strict=True)
        born = times[0] > moment("16:01:00")
        found.setdefault(series["metric"]["pod"], []).append(Counter(times, values, born=born))
    return found


def test_hashed_pods_are_in_it(way: str, prometheus: str, home: Path) -> None:
    """team-b, by cAdvisor's samples; a third of what it used is a pod with a hashed name that was deleted."""
    counters = cgroups(prometheus)
    wanted = {pod: sum(item.used(FIRST, LAST) for item in items) for pod, items in counters.items()}
    shown = by_tenant(read(prometheus, home, "--step", "1m"))[TEAM_B]["cpu"]["coreSeconds"]
    assert shown == pytest.approx(sum(wanted.values()), rel=0.02)
    hashed = sum(seconds for pod, seconds in wanted.items() if pod.startswith("nightly"))
    assert hashed > 0.3 * shown

    document = read(prometheus, home, "pods", "-n", "team-b", "--step", "1m")
    item = next(item for item in document["items"] if item["host"]["name"].startswith("nightly"))
    assert item["cpu"]["coreSeconds"] == pytest.approx(hashed, rel=0.02)
    assert item["cpu"]["last"] is None
    assert item["vcluster"] == {"name": "vc2", "hostNamespace": "team-b"}
    if way == "pod owners":
        assert "name" not in item
    else:
        name = "nightly-reconciliation-of-the-general-ledger-with-all-subsidiaries"
        assert (item["namespace"], item["name"]) == ("batch", name)


def test_each_pod_at_each_step(prometheus: str, home: Path) -> None:
    """CPU within 5 % of its cgroup in each step of 5 minutes, recreated pods included; of all steps, within 2 %."""
    document = read(
        prometheus, home, "pods", "-A", "--points", "--step", "5m", since=f"{SPAN[:20]},2026-11-24T16:40:00Z"
    )
    found = {(item["host"]["namespace"], item["host"]["name"]): item for item in document["items"]}
    steps = [(FIRST + index * 300, FIRST + (index + 1) * 300) for index in range(6)]
    compared = 0
    for namespace, name in {(pod.namespace, pod.name) for pod in oracle.pods() if without_short(pod)}:
        runs = [pod.cpu for pod in oracle.pods() if (pod.namespace, pod.name) == (namespace, name)]
        item = found[namespace, name]
        for (start, end), point in zip(steps, item["points"], strict=True):
            used = sum(run.used(start, end) for run in runs)
            edges = sum(run.at_the_edges(start, end) for run in runs)
            shown = (point["cpu"] or 0.0) * (end - start)
            assert shown == pytest.approx(used, rel=0.05, abs=edges + LITTLE * (end - start)), (name, start)
            compared += used > 1
        total = sum(run.used(FIRST, steps[-1][1]) for run in runs)
        assert item["cpu"]["coreSeconds"] == pytest.approx(total, rel=0.02, abs=0.05), name
    assert compared == 12  # the burner, recreated at 16:20:30, and the sized pod


def quiet(tenant: oracle.Tenant, start: float, end: float) -> bool:
    """Whether no pod of a virtual cluster came or went between two times."""
    edges = [
        edge
        for pod in oracle.pods()
        if oracle.tenant(pod) == tenant
        for edge, counts in ((pod.cpu.times[0], pod.cpu.born), (pod.cpu.times[-1], pod.cpu.times[-1] < LAST))
        if counts
    ]
    return not any(start - 30 <= edge <= end + 30 for edge in edges)


def test_memory_is_what_top_printed(way: str, prometheus: str, home: Path) -> None:
    """Within 5 % per virtual cluster at each minute, wherever no pod came or went."""
    found = by_tenant(read(prometheus, home, "--points", "--step", "1m", "--metric", "memory", since=minutes()))
    pods = read(
        prometheus, home, "pods", "-n", "team-a", "--points", "--step", "1m", "--metric", "memory", since=minutes()
    )
    crashing = next(item for item in pods["items"] if item["host"]["name"].startswith("crasher"))["points"]
    compared = 0
    for snapshot in oracle.snapshots():
        end = math.ceil(snapshot.at / 60) * 60
        index = (end - FIRST) // 60 - 1
        for tenant, wanted in snapshot.memory.items():
            points = found[tenant]["points"]
            if 0 <= index < len(points) and quiet(tenant, end - 60, end):
                # The crashing container runs for a second every few minutes.
                listed = snapshot.pod_memory.items()
                running = sum(used for pod, used in listed if pod[:2] == tenant and pod[3] == "crasher")
                extra = (crashing[index]["memory"] or 0.0) if tenant == TEAM_A else 0.0
                shown = points[index]["memory"] - extra
                assert shown == pytest.approx(wanted - running, rel=0.05, abs=PROCESS), (tenant, end)
                compared += 1
    assert compared > 40


def minutes() -> str:
    return "2026-11-24T16:10:00Z,2026-11-24T16:42:00Z"


def test_memory_of_pods_is_what_top_printed(prometheus: str, home: Path) -> None:
    document = read(prometheus, home, "pods", "-A", "--points", "--step", "1m", "--metric", "memory", since=minutes())
    found = {
        (item["vcluster"]["hostNamespace"], item["vcluster"]["name"], item["namespace"], item["name"]): {
            point["time"]: point["memory"] for point in item["points"]
        }
        for item in document["items"]
        if "vcluster" in item
    }
    compared = 0
    for snapshot in oracle.snapshots():
        end = math.ceil(snapshot.at / 60) * 60
        time = datetime.fromtimestamp(end, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        for pod, wanted in snapshot.pod_memory.items():
            if quiet(pod[:2], end - 60, end) and pod[3] != "crasher" and end > FIRST and end <= moment("16:42:00"):
                assert found[pod][time] == pytest.approx(wanted, rel=0.05, abs=512 * 1024), (
                    pod,
                    end,
                )  # a process more or less
                compared += 1
    assert compared > 240


def test_a_paused_virtual_cluster_uses_nothing(prometheus: str, home: Path) -> None:
    """team-c, from 16:16:27 to 16:24:34; the vc1 of team-a is another one."""
    found = by_tenant(
        read(prometheus, home, "--points", "--step", "2m", since="2026-11-24T16:12:00Z,2026-11-24T16:30:00Z")
    )
    shown = [bool(point["memory"]) for point in found[TEAM_C]["points"]]
    # The last sample of a pod is up to 20 s older than its end, and these had none in that time.
    assert shown == [True, True, False, False, False, False, True, True, True]
    assert [point["cpu"] > 0 for point in found[TEAM_C]["points"]][3:] == shown[3:]
    assert all(point["cpu"] > 0.05 for point in found[TEAM_A]["points"])
    assert found[TEAM_C]["memory"]["min"] == 0


def test_requests_are_there_without_kube_state_metrics(prometheus: str, home: Path) -> None:
    """For two minutes there is none, and for 45 s there are two: the sums are what the quota says it had used."""
    document = read(prometheus, home, "--metric", "requests", "--step", "1m", "--points", since=minutes())
    used = instant_query(prometheus, 'kube_resourcequota{type="used",resource="requests.cpu"}', moment("16:41:30"))
    assert [item["cpuRequest"]["last"] for item in by_tenant(document).values()][:1] == [0.2]
    assert {item["metric"]["namespace"]: float(item["value"][1]) for item in used} == {
        "team-a": 0.32
    }  # with 120m of vc1-0
    points = by_tenant(document)[TEAM_A]["points"]
    shown = [point["cpuRequest"] for point in points if "16:32" <= point["time"][11:16] <= "16:36"]
    steady = pytest.approx(0.19)
    assert shown == [steady, steady, None, steady, steady]
    assert all(point["cpuRequest"] <= 0.25 for point in points if "16:39" <= point["time"][11:16] <= "16:41")
    assert 0.93 < document["coverage"]["shares"]["cpuRequest"] < 0.97


def test_the_view_from_inside_holds_nothing_of_others(way: str, prometheus: str, home: Path) -> None:
    for kind in ("pods", "namespaces", "vclusters"):
        for form in ("json", "csv", "wide", ""):
            words = [kind, "--vcluster", "team-c/vc1", "--step", "5m", *(["-o", form] if form else [])]
            result = ran(prometheus, home, *words)
            assert result.code == 0, result.stderr
            for foreign in ("team-a", "team-b", "vc2", "burner", "sized", "kube-system", "vc1-0", "vm"):
                assert foreign not in result.stdout.replace("vmetrics", ""), (kind, form)
            assert len(result.stdout.splitlines()) >= 2
    document = read(prometheus, home, "pods", "--vcluster", "team-c/vc1", "--step", "5m")
    if way != "pod owners":
        assert [(item["namespace"], item["name"]) for item in document["items"]] == [
            ("default", "web"),
            ("shop", "only-in-team-c"),
        ]
    assert all("host" not in item for item in document["items"])


def test_csv_has_the_same_numbers(prometheus: str, home: Path) -> None:
    document = read(prometheus, home, "--step", "5m", "--points")
    rows = list(csv.DictReader(io.StringIO(ran(prometheus, home, "--step", "5m", "-o", "csv").stdout)))
    assert [(row["namespace"], row["name"]) for row in rows] == [TEAM_A, TEAM_B, TEAM_C, ("", "")]
    for row, item in zip(rows, document["items"], strict=True):
        for name, unit, total in (("cpu", "cores", "coreSeconds"), ("memory", "bytes", "byteSeconds")):
            for key in ("min", "mean", "p95", "max", "last"):
                assert float(row[f"{name}_{key}_{unit}"]) == pytest.approx(item[name][key])
            assert float(row[f"{name}_{total.replace('S', '_s')}"]) == pytest.approx(item[name][total])
    points = list(csv.DictReader(io.StringIO(ran(prometheus, home, "--step", "5m", "--points", "-o", "csv").stdout)))
    assert [(row["time"], float(row["cpu_cores"]), float(row["memory_bytes"])) for row in points] == [
        (point["time"], pytest.approx(point["cpu"]), pytest.approx(point["memory"]))
        for item in document["items"]
        for point in item["points"]
    ]


@victoria.MISSING
def test_victoriametrics_says_the_same(every_way: Path, prometheus: str, home: Path, tmp_path: Path) -> None:
    """Totals within 2 %, and each step within 10 %."""
    (every_way / "data" / "wal").mkdir(exist_ok=True)  # promtool asks for it
    with victoria.running(tmp_path) as url:
        victoria.fill(url, every_way / "data")
        for step in ("1m", "5m"):
            one, other = (read(each, home, "--step", step, "--points") for each in (prometheus, url))
            ours, theirs = by_tenant(one), by_tenant(other)
            assert set(ours) == set(theirs) == {TEAM_A, TEAM_B, TEAM_C}
            for tenant, item in ours.items():
                same = theirs[tenant]
                assert same["cpu"]["coreSeconds"] == pytest.approx(item["cpu"]["coreSeconds"], rel=0.02)
                assert same["memory"]["byteSeconds"] == pytest.approx(item["memory"]["byteSeconds"], rel=0.02)
