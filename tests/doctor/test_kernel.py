"""`doctor kubelets` on nodes that differ: cgroups, pressure, and kubelets that do not answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kubectl_vmetrics.doctor import kernel
from tests.conftest import Scripted, invoke, write_kubeconfig

Serve = Callable[[dict[str, Any]], tuple[Scripted, str]]


class Kind(NamedTuple):
    """A node: what its kubelet answers, "" for one that does not."""

    kernel: str
    metrics: str = "kubelet_cgroup_version 2\n"
    summary: str = ""
    resource: str = 'container_cpu_usage_seconds_total{pod="a"} 1\n'
    ready: str = "True"


def psi(total: float, avg10: float = 0.0) -> str:
    stalls = {"total": total, "avg10": avg10, "avg60": 0, "avg300": 0}
    return json.dumps({"node": {"cpu": {"psi": {"some": stalls, "full": {"total": 0}}}}})


WELL = Kind("6.12", summary=psi(123456))
OLD = Kind("4.18", "kubelet_cgroup_version 1\n", psi(0))
OFF = Kind("6.1", summary=psi(0))
NONE = Kind("6.2", summary='{"node": {"cpu": {"usageNanoCores": 5}}}')
SILENT = Kind("6.12", "# nothing\n", psi(5))
DOWN = Kind("6.12", "", "", "")
GONE = Kind("6.12", "", "", "", ready="Unknown")


def answers(nodes: Mapping[str, Kind]) -> dict[str, Any]:
    items = [
        {
            "metadata": {"name": name},
            "status": {
                "conditions": [{"type": "Ready", "status": kind.ready}],
                "nodeInfo": {"kubeletVersion": "v1.36.2", "kernelVersion": kind.kernel, "osImage": "x"},
            },
        }
        for name, kind in nodes.items()
    ]
    found: dict[str, Any] = {"/version": {}, "/api/v1/nodes": {"items": items}}
    for name, kind in nodes.items():
        for endpoint, text in (
            ("metrics/resource", kind.resource),
            ("metrics", kind.metrics),
            ("stats/summary", kind.summary),
        ):
            refused = (503, {"kind": "Status", "message": "connection refused", "code": 503})
            path = f"/api/v1/nodes/{name}/proxy/{endpoint}"
            found[path] = text.encode() if text else lambda _, refused=refused: refused
    return found


@pytest.fixture
def run(scripted: Serve, tmp_path: Path) -> Callable[[Mapping[str, Kind]], tuple[dict[str, Any], Scripted]]:
    def doctor(nodes: Mapping[str, Kind]) -> tuple[dict[str, Any], Scripted]:
        server, url = scripted(answers(nodes))
        result = invoke("doctor", "kubelets", "-o", "json", kubeconfig=write_kubeconfig(tmp_path, url))
        return {item["id"]: item for item in json.loads(result.stdout)["items"]}, server

    return doctor


@pytest.mark.parametrize(
    ("nodes", "cgroups", "pressure"),
    [
        ({"a": WELL}, ("PASS", "cgroup v2"), ("PASS", "1 kubelet reports pressure (PSI)")),
        ({"a": WELL, "b": WELL}, ("PASS", "cgroup v2"), ("PASS", "2 kubelets report pressure (PSI)")),
        # On cgroup v1 the fields are there, and zero: that is no pressure that was measured.
        ({"a": OLD}, ("WARN", "a runs on cgroup v1"), ("SKIP", "cgroup v1 measures no pressure (PSI)")),
        ({"a": OLD, "b": OLD}, ("WARN", "a, b run on cgroup v1"), ("SKIP", "cgroup v1 measures no pressure (PSI)")),
        (
            {"a": OLD, "b": WELL},
            ("WARN", "a runs on cgroup v1"),
            ("PASS", "1 kubelet reports pressure (PSI); cgroup v1 on a measures none"),
        ),
        # So they are where the kernel was started without it; older kubelets have none.
        ({"a": OFF}, ("PASS", "cgroup v2"), ("WARN", "a reports no pressure (PSI)")),
        ({"a": NONE}, ("PASS", "cgroup v2"), ("WARN", "a reports no pressure (PSI)")),
        ({"a": OFF, "b": WELL, "c": NONE}, ("PASS", "cgroup v2"), ("WARN", "a, c report no pressure (PSI)")),
        (
            {"a": OLD, "b": OFF},
            ("WARN", "a runs on cgroup v1"),
            ("WARN", "b reports no pressure (PSI); cgroup v1 on a measures none"),
        ),
        # A version that is not reported is none that is known.
        (
            {"a": SILENT},
            ("SKIP", "kubelets do not report their cgroup version"),
            ("PASS", "1 kubelet reports pressure (PSI)"),
        ),
        (
            {"a": WELL, "b": SILENT._replace(kernel="5.4")},
            ("PASS", "cgroup v2; not reported by b"),
            ("PASS", "2 kubelets report pressure (PSI)"),
        ),
        # Those that do not answer are named, whether they are ready or not.
        (
            {"a": WELL, "b": DOWN, "c": GONE},
            ("PASS", "cgroup v2; without b, c, which do not answer"),
            ("PASS", "1 kubelet reports pressure (PSI); without b, c, which do not answer"),
        ),
        (
            {"a": OLD, "b": DOWN},
            ("WARN", "a runs on cgroup v1; without b, which does not answer"),
            ("SKIP", "cgroup v1 measures no pressure (PSI); without b, which does not answer"),
        ),
        ({"a": DOWN, "b": DOWN}, ("SKIP", "because of VM202"), ("SKIP", "because of VM202")),
        ({"a": GONE}, ("SKIP", "no kubelet answers"), ("SKIP", "no kubelet answers")),
        ({}, ("SKIP", "no kubelet answers"), ("SKIP", "no kubelet answers")),
        # A summary that is no JSON has no pressure.
        ({"a": WELL._replace(summary="<html>")}, ("PASS", "cgroup v2"), ("WARN", "a reports no pressure (PSI)")),
    ],
)
def test_nodes_that_differ(
    nodes: dict[str, Kind], cgroups: tuple[str, str], pressure: tuple[str, str], run: Callable[..., Any]
) -> None:
    found, _ = run(nodes)

    assert (found["VM205"]["result"], found["VM205"]["found"]) == cgroups
    assert (found["VM206"]["result"], found["VM206"]["found"]) == pressure


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        (
            {"a": WELL, "b": DOWN, "c": WELL},
            {
                "VM201": ("PASS", "all 3 nodes are ready"),
                "VM202": ("FAIL", "1 of 3 kubelets does not answer: b: connection refused"),
                "VM203": ("PASS", "2 kubelets report containers (0 KiB in total); without b, which does not answer"),
            },
        ),
        (
            {"a": WELL, "b": DOWN, "c": WELL._replace(resource="resource_scrape_error 1\n")},
            {"VM203": ("FAIL", "resource_scrape_error is 1 on c; without b, which does not answer")},
        ),
        (
            {"a": WELL, "b": DOWN, "c": WELL._replace(resource="node_cpu 1\n")},
            {"VM203": ("FAIL", "no container_* series on c; without b, which does not answer")},
        ),
        (
            {"a": WELL, "c": GONE},
            {
                "VM201": ("FAIL", "1 of 2 nodes is not ready: c"),
                "VM202": ("PASS", "1 kubelet answers through the apiserver"),
                "VM203": ("PASS", "1 kubelet reports containers (0 KiB in total); without c, which does not answer"),
            },
        ),
        (
            {"a": WELL},
            {
                "VM201": ("PASS", "1 node is ready"),
                "VM203": ("PASS", "1 kubelet reports containers (0 KiB in total)"),
            },
        ),
        (
            {"a": GONE, "b": GONE},
            {
                "VM201": ("FAIL", "2 of 2 nodes are not ready: a, b"),
                "VM202": ("SKIP", "no node is ready"),
                "VM203": ("SKIP", "no kubelet answers"),
                "VM204": ("SKIP", "no kubelet answers"),
            },
        ),
        (
            {},
            {
                "VM201": ("SKIP", "there are no nodes"),
                "VM202": ("SKIP", "no node is ready"),
                "VM203": ("SKIP", "no kubelet answers"),
                "VM204": ("SKIP", "no kubelet answers"),
            },
        ),
    ],
)
def test_checks_go_on_with_those_that_answer(
    nodes: dict[str, Kind], expected: dict[str, tuple[str, str]], run: Callable[..., Any]
) -> None:
    found, _ = run(nodes)

    assert {id_: (found[id_]["result"], found[id_]["found"]) for id_ in expected} == expected


def test_one_node_of_each_kind_is_asked(run: Callable[..., Any]) -> None:
    """A large text of each of a thousand nodes alike would say the same thousand times."""
    _, server = run({f"node-{index}": WELL for index in range(9)} | {"old-0": OLD, "old-1": OLD})

    asked = [path.split("/")[4] for path, *_ in server.seen if path.endswith("/proxy/metrics")]
    assert sorted(asked) == ["node-0", "old-0"]
    assert [path.split("/")[4] for path, *_ in server.seen if path.endswith("/stats/summary")] == ["node-0"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (psi(1), True),
        (psi(0, 0.01), True),
        (psi(0), False),
        ('{"node": {"io": {"psi": {"full": {"total": 2}}}}}', True),
        ('{"node": {"memory": {"psi": {"some": {"avg300": 2}}}}}', True),
        ('{"node": {"memory": {"psi": {"some": {"avg60": 2}}}}}', True),
        ('{"node": {"cpu": {"psi": {}}}}', False),
        ('{"node": {"cpu": {"psi": null}}}', None),
        ('{"pods": [{"cpu": {"psi": {"some": {"total": 1}}}}]}', True),
        ("{}", None),
        ("[]", None),
        ("", None),
        ('{"node": {"cpu": {"psi": {"some": {"total": "x"}}}}}', None),
    ],
)
def test_whether_pressure_is_measured(text: str, expected: bool | None) -> None:
    assert kernel.pressure(text.encode()) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kubelet_cgroup_version 1\n", "1"),
        ("# HELP kubelet_cgroup_version x\nkubelet_cgroup_version 2", "2"),
        ("kubelet_cgroup_version 2.0\n", "2"),
        ("kubelet_cgroup_version 12\n", ""),
        ("x_kubelet_cgroup_version 1\n", ""),
        ("kubelet_cgroup_version NaN\n", ""),
        ("", ""),
    ],
)
def test_the_version_of_cgroups(text: str, expected: str) -> None:
    assert kernel._version(text.encode()) == expected
