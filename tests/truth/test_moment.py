"""`top --source prometheus --at T` of the recorded host, against what `top` printed then, and against the cgroups.

Through the command line, on a real Prometheus, for each way in which it may know names: with pods that were recreated,
hashed, paused and deleted, with two kube-state-metrics (16:39:50) and with none (16:32 to 16:34).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from kubectl_vmetrics.history import names, ways
from tests.conftest import Result, invoke, write_kubeconfig
from tests.prometheus import MISSING
from tests.truth import evaluated, oracle, victoria
from tests.truth.oracle import moment, number

pytestmark = MISSING

WAYS = [way.name for way in ways.WAYS]
TOLERANCE, LITTLE = 0.05, 0.0001
SHORT, LONG = 50, 150
"""Seconds for which a pod that is gone may still count: cAdvisor's samples are up to 25 s old, and kube-state-metrics
says what runs every 15 s; while there is none, a sample of memory counts for two minutes. Rules run once a minute."""
TEAM_A = ("team-a", "vc1")
TWO = ("16:39:20", "16:39:50", "16:40:15", "16:41:30")
MINUTES = [snapshot for snapshot in oracle.snapshots() if snapshot.at > oracle.FIRST]
"""Since the cgroups were read: when pods came and went before is not known."""


@pytest.fixture(scope="module")
def prometheus(every_way: Path) -> Iterator[str]:
    """A Prometheus with that; its URL."""
    with evaluated.recorded(every_way) as url:
        yield url


@pytest.fixture(scope="module")
def victoria_metrics(every_way: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A VictoriaMetrics with the same; its URL."""
    with victoria.running(tmp_path_factory.mktemp("victoria")) as url:
        victoria.fill(url, every_way / "data")
        yield url


def top(url: str, tmp_path: Path, *words: str, at: float) -> Result:
    """`top`; the cluster of the kubeconfig does not answer."""
    config = write_kubeconfig(tmp_path, "http://127.0.0.1:1", token="t")
    when = datetime.fromtimestamp(at, timezone.utc).isoformat()
    return invoke("top", *words, "--prometheus", url, "--at", when, kubeconfig=config)


def items(result: Result) -> list[Any]:
    assert result.code == 0, result.stderr
    found: list[Any] = json.loads(result.stdout)["items"]
    return found


def only(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a Prometheus know names in one way only."""
    chosen = tuple(item for item in ways.WAYS if item.name == way)
    monkeypatch.setattr(names, "WAYS", chosen)


def unsettled(tenant: oracle.Tenant, time: float, seconds: float) -> bool:
    """Whether pods of a virtual cluster came or went shortly before, or do so just now."""
    for pod in oracle.pods():
        if oracle.tenant(pod) == tenant:
            first, last = pod.cpu.times[0], pod.cpu.times[-1]
            if pod.cpu.born and time - seconds <= first <= time + 5:
                return True
            if last < oracle.LAST and time - seconds <= last <= time + 5:
                return True
    return False


def gone(time: float, pod: oracle.Pod) -> oracle.Tenant | None:
    """The virtual cluster of a pod that is over by then."""
    return oracle.tenant(pod) if pod.cpu.times[-1] < time else None


def compare(url: str, tmp_path: Path, way: str, tolerance: float = TOLERANCE) -> dict[str, int]:
    """Hold `top vclusters` and `top pods` against what was printed each minute; returns what was compared.

    Args:
        url: of the Prometheus.
        tmp_path: for a kubeconfig.
        way: how names are known.
        tolerance: of CPU, as a share; that of memory is TOLERANCE.
    """
    compared = {"vclusters": 0, "cpu": 0, "pods": 0}
    for snapshot in MINUTES:
        time = snapshot.at
        without = moment("16:31:30") < time < moment("16:36:00")
        seconds = LONG if without or way == "recorded rules" else SHORT
        quiet = {tenant for tenant in snapshot.memory if not unsettled(tenant, time, seconds)}
        pods = pods_of(items(top(url, tmp_path, "pods", "-A", "-o", "json", at=time)), way)
        wanted = {pod: used for pod, used in snapshot.pod_memory.items() if pod[:2] in quiet and pod[3] != "crasher"}
        if way == "pod owners":
            assert pods == {}
        else:
            shown = {pod: used for pod, used in pods.items() if pod[:2] in quiet and pod[3] != "crasher"}
            assert shown == pytest.approx(wanted, rel=TOLERANCE, abs=512 * 1024)  # a process more or less
            compared["pods"] += len(wanted)
        found = {
            (item["metadata"]["namespace"], item["metadata"]["name"]): item
            for item in items(top(url, tmp_path, "vclusters", "-o", "json", at=time))
            if item["metadata"].get("namespace", "team-b") != "team-b"
        }
        assert set(found) >= {tenant for tenant, count in snapshot.pods.items() if count}
        for tenant in quiet & set(found):
            crashing = [used for pod, used in pods.items() if pod[:2] == tenant and pod[3] == "crasher"]
            memory, running = number(found[tenant]["usage"]["memory"]), found[tenant]["pods"]
            listed = [used for pod, used in wanted.items() if pod[:2] == tenant]
            if way == "pod owners" and tenant == TEAM_A:  # which of them crashes is not known
                assert running - len(listed) in (0, 1)
                continue
            assert running - len(crashing) == len(listed), (tenant, time)
            assert memory - sum(crashing) == pytest.approx(sum(listed), rel=TOLERANCE), (tenant, time)
            compared["vclusters"] += 1
        if time - 300 >= oracle.FIRST:
            truth, edges = oracle.cpu(time - 300, time), oracle.edges(time - 300, time)
            over = oracle.cpu(time - 300, time, functools.partial(gone, time))
            for tenant in set(truth) & set(found):
                cores = number(found[tenant]["usage"]["cpu"])
                assert cores <= truth[tenant] * (1 + tolerance) + LITTLE, (tenant, time)
                # Pods that are over are not in the table, and cAdvisor does not see the first and last seconds of any.
                least = (truth[tenant] - over.get(tenant, 0.0) - edges[tenant]) * (1 - tolerance) - LITTLE
                assert cores >= least, (tenant, time)
                compared["cpu"] += 1
    return compared


def pods_of(found: list[Any], way: str) -> dict[tuple[str, str, str, str], float]:
    """Memory by virtual cluster, virtual namespace and virtual pod."""
    shown = {}
    for item in found:
        if "vcluster" in item:
            ref, virtual = item["vcluster"], item["virtual"]
            assert ("name" in virtual) == (way != "pod owners")
            if "name" in virtual:
                key = ref["hostNamespace"], ref["name"], virtual["namespace"], virtual["name"]
                shown[key] = sum(number(container["usage"]["memory"]) for container in item["containers"])
    return shown


@pytest.mark.parametrize("way", WAYS)
def test_each_minute_is_as_it_was(way: str, prometheus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory and pods are those that `top` printed within 5 %, and CPU that of the cgroups within 5 %."""
    only(way, monkeypatch)
    compared = compare(prometheus, tmp_path, way)
    assert compared == {
        "vclusters": {"pod owners": 31, "recorded rules": 44}.get(way, 57),
        "cpu": 54,
        "pods": {"pod owners": 0, "recorded rules": 215}.get(way, 317),
    }


@victoria.MISSING
@pytest.mark.parametrize("way", ["vcluster_pod_info", "kube-state-metrics"])
def test_victoria_metrics_says_the_same(
    way: str, victoria_metrics: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory within the same 5 %, and CPU within 6 %: its increase() leaves out what is before the first sample."""
    only(way, monkeypatch)
    assert compare(victoria_metrics, tmp_path, way, 0.06) == {"vclusters": 57, "cpu": 54, "pods": 317}


def test_the_best_way_is_taken(prometheus: str, tmp_path: Path) -> None:
    """Of several ways that a Prometheus has; -v names it, and STATUS and VERSION come with it."""
    result = top(prometheus, tmp_path, "vclusters", "-v=1", at=moment("16:42:29"))
    assert result.stderr == "names of virtual clusters: vcluster_pod_info\n"
    assert [line.split()[:5] for line in result.stdout.splitlines()] == [
        ["NAMESPACE", "NAME", "STATUS", "VERSION", "PODS"],
        ["team-a", "vc1", "Running", "0.37.0", "11"],
        ["team-b", "vc2", "Running", "0.37.0", "10"],
        ["team-c", "vc1", "Running", "0.37.0", "2"],
        ["<none>", "<none>", "<none>", "<none>", "20"],
    ]


def test_a_second_kube_state_metrics_changes_nothing(
    prometheus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From 16:39:44 to 16:40:30 two instances report each pod, and claim its labels."""
    only("kube-state-metrics", monkeypatch)
    shown = [pods(items(top(prometheus, tmp_path, "vclusters", "-o", "json", at=moment(clock)))) for clock in TWO]
    assert shown == [{"team-a/vc1": 11, "team-b/vc2": 10, "team-c/vc1": 2, "/host": 20}] * len(TWO)


def pods(found: list[Any]) -> dict[str, int]:
    """How many pods each virtual cluster has, and the rest of the host."""
    return {f"{item['metadata'].get('namespace', '')}/{item['metadata']['name']}": item["pods"] for item in found}


def test_a_paused_virtual_cluster(prometheus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """team-c/vc1 had no pods from 16:16:27 to 16:24:34, and the other vc1 stays as it was."""
    only("kube-state-metrics", monkeypatch)
    clocks = ("16:15:30", "16:18:00", "16:21:00", "16:24:00", "16:26:00")
    shown = [pods(items(top(prometheus, tmp_path, "vclusters", "-o", "json", at=moment(c)))) for c in clocks]
    assert [found.get("team-c/vc1", 0) for found in shown] == [2, 0, 0, 0, 2]
    assert [found["team-a/vc1"] for found in shown] == [10, 10, 10, 10, 10]


def test_no_data(prometheus: str, tmp_path: Path) -> None:
    """Before anything was recorded: between which times there is data."""
    result = top(prometheus, tmp_path, "vclusters", at=moment("12:00:00"))
    assert (result.code, result.stdout) == (1, "")
    assert result.stderr == (
        f"error: {prometheus} has no container metrics at 2026-11-24T12:00:00Z: "
        "it has data from 2026-11-24T16:00:00Z to 2026-11-24T16:45:00Z\n"
    )


def test_pods_of_a_host_namespace(prometheus: str, tmp_path: Path) -> None:
    """With virtual names, by container, and the sum; the control plane is the host's."""
    result = top(prometheus, tmp_path, "pods", "-n", "team-c", "--containers", "--sum", at=moment("16:42:29"))
    assert (result.code, result.stderr) == (0, "")
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["VCLUSTER", "VNAMESPACE", "POD", "NAME", "CPU(cores)", "MEMORY(bytes)"],
        ["<none>", "<none>", "vc1-0", "syncer", "36m", "283Mi"],
        ["vc1", "default", "web", "httpd", "1m", "0Mi"],
        ["vc1", "shop", "only-in-team-c", "main", "0m", "0Mi"],
        ["________", "________"],
        ["36m", "283Mi"],
    ]


def test_pods_from_inside(prometheus: str, tmp_path: Path) -> None:
    """As the virtual cluster names them, hashed ones included; with nodes, requests and limits."""
    words = "pods", "--vcluster", "team-a/vc1", "-o", "wide"
    result = top(prometheus, tmp_path, *words, at=moment("16:42:29"))
    assert (result.code, result.stderr) == (0, "")
    shown = {tuple(line.split()[:2]): line.split()[4:8] for line in result.stdout.splitlines()}
    space = "a-rather-long-namespace-name-for-the-observability-stack"
    assert list(shown) == [
        ("NAMESPACE", "NAME"),
        (space, "recommendation-engine-with-an-exceptionally-long-name-c6d64j4c5"),
        ("b-x-c", "a"),
        ("data", "keeper"),
        ("data", "scratch"),
        ("default", "a-x-b"),
        ("default", "burner"),
        ("default", "web"),
        ("shop", "db-0"),
        ("shop", "frontend-555bff6788-7vnbf"),
        ("shop", "frontend-555bff6788-cjj4d"),
        ("shop", "sized-8458b59c94-5jxfn"),
    ]
    assert shown["NAMESPACE", "NAME"] == ["%CPU/R", "%CPU/L", "%MEM/R", "%MEM/L"]
    assert shown["default", "burner"] == ["300%", "100%", "2.8%", "0.7%"]
    assert shown["data", "keeper"] == ["0.0%", "-", "3.3%", "-"]


def test_one_pod_by_its_virtual_name(prometheus: str, tmp_path: Path) -> None:
    """By the name inside; where several have it, the error says how to ask for each."""
    result = top(prometheus, tmp_path, "pods", "-n", "team-b", "a", at=moment("16:42:29"))
    assert [line.split()[:3] for line in result.stdout.splitlines()[1:]] == [["vc2", "b-x-c", "a"]]
    assert top(prometheus, tmp_path, "pods", "-A", "only-in-team-c", at=moment("16:42:29")).code == 0
    several = top(prometheus, tmp_path, "pods", "-A", "sized", at=moment("16:42:29"))
    assert several.stderr == 'Error from server (NotFound): pods "sized" not found\n'


def test_volumes(prometheus: str, tmp_path: Path) -> None:
    """With the claims' and the pods' virtual names."""
    result = top(prometheus, tmp_path, "volumes", "-A", at=moment("16:42:29"))
    assert (result.code, result.stderr) == (0, "")
    assert [line.split() for line in result.stdout.splitlines()[1:]] == [
        ["data", "<none>", "<none>", "store", "keeper", "258019Mi", "43590Mi", "60306Mi", "17%", "3.9%"],
        ["team-a", "vc1", "data", "store", "keeper", "258019Mi", "43590Mi", "60307Mi", "17%", "3.9%"],
        ["team-b", "vc2", "data", "store", "keeper", "258019Mi", "43590Mi", "60307Mi", "17%", "3.9%"],
    ]


def test_nodes(prometheus: str, tmp_path: Path) -> None:
    """The node, and one virtual cluster's share of it."""
    whole = top(prometheus, tmp_path, "nodes", at=moment("16:42:29"))
    assert [line.split() for line in whole.stdout.splitlines()[1:]] == [["vm", "734m", "36%", "5437Mi", "22%"]]
    share = top(prometheus, tmp_path, "nodes", "--vcluster", "team-c/vc1", at=moment("16:42:29"))
    assert [line.split() for line in share.stdout.splitlines()[1:]] == [["vm", "2", "1m", "0.0%", "0Mi", "0.0%"]]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (
            ("pods", "-l", "a=b"),
            "error: --selector and --at cannot be used together: Prometheus does not have all labels of pods\n",
        ),
        (
            ("pods", "--pressure"),
            "error: --pressure cannot be used with --source prometheus\n",
        ),
        (
            ("pods", "--source=kubelet"),
            "error: --at requires --source=prometheus: other sources know the present only\n",
        ),
        (("volumes", "--source=auto"), "error: --source accepts only kubelet or prometheus\n"),
        (
            ("pods", "--vcluster", "vc1"),
            'error: there are several virtual clusters "vc1": specify one with --vcluster ',
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_had(words: tuple[str, ...], error: str, prometheus: str, tmp_path: Path) -> None:
    result = top(prometheus, tmp_path, *words, at=moment("16:42:29"))
    assert (result.code, result.stdout, result.stderr[: len(error)]) == (1, "", error)
