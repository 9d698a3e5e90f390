"""`doctor` on what a real cluster answered: while all was well, and while something was down."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kubectl_vmetrics.demo.exchange import Reply
from kubectl_vmetrics.doctor import catalogue, metrics_api
from tests.conftest import Cli, Result
from tests.replay import Replay

FAILURES = Path(__file__).parents[1] / "recordings" / "k8s-1.36" / "failures"
APISERVICE = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io"
NODES, PODS = "/apis/metrics.k8s.io/v1beta1/nodes", "/apis/metrics.k8s.io/v1beta1/pods"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def recorded(name: str) -> Reply:
    """A status, a content type and a body, as they came."""
    head = (FAILURES / f"{name}.headers").read_text().splitlines()
    kinds = [line.partition(": ")[2] for line in head if line.lower().startswith("content-type")]
    body = (FAILURES / f"{name}.body").read_bytes()
    return Reply(int(head[0].split()[1]), body, kinds[0] if kinds else "text/plain")


@pytest.fixture
def run(host: Replay, on_host: Cli, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, dict[str, Any]]]:
    """The doctor at the time of the recordings."""
    listed = json.loads(host._answer(NODES, {}, "application/json", "").body)["items"]
    moment = datetime.datetime.fromisoformat(listed[0]["timestamp"].replace("Z", "+00:00")).timestamp() + 20
    monkeypatch.setattr(metrics_api, "time", SimpleNamespace(time=lambda: moment))
    host.override[REVIEWS] = Reply(200, b'{"status":{"allowed":true}}')
    for path in ("/api/v1/services", "/apis/apps/v1/daemonsets"):  # not recorded
        host.override[path] = Reply(200, b'{"items":[]}')

    def doctor(*args: str) -> dict[str, dict[str, Any]]:
        result: Result = on_host("doctor", *args, "-o", "json")
        assert result.stderr == ""
        return {item["id"]: item for item in json.loads(result.stdout)["items"]}

    return doctor


def failed(found: dict[str, dict[str, Any]]) -> list[str]:
    return [item["id"] for item in found.values() if item["result"] == "FAIL"]


def cause(id_: str, name: str) -> str:
    return next(item for item in catalogue.CHECKS if item.id == id_).causes[name].text


def test_a_real_cluster_that_is_well(run: Callable[..., dict[str, dict[str, Any]]]) -> None:
    found = run()

    assert failed(found) == []
    # The recorded machine ran on cgroup v1.
    assert [item["id"] for item in found.values() if item["result"] == "WARN"] == ["VM205"]
    # Which leaves the fields of pressure there, and zero.
    assert (found["VM205"]["found"], found["VM206"]["result"], found["VM206"]["found"]) == (
        "vm runs on cgroup v1",
        "SKIP",
        "cgroup v1 measures no pressure (PSI)",
    )
    for passed in ("VM101", "VM102", "VM105", "VM106", "VM107", "VM202", "VM203", "VM301", "VM302", "VM303", "VM601"):
        assert found[passed]["result"] == "PASS"


def test_metrics_server_was_down(host: Replay, run: Callable[..., dict[str, dict[str, Any]]]) -> None:
    host.override |= {
        APISERVICE: recorded("metrics-server-down-apiservice"),
        NODES: recorded("metrics-server-down-list"),
        PODS: recorded("metrics-server-down-list-later"),
    }
    found = run()

    assert failed(found) == ["VM105"]
    assert found["VM105"]["found"].startswith(
        "FailedDiscoveryCheck: failing or missing response from https://10.244.0.1"
    )
    assert found["VM105"]["cause"] == cause("VM105", "refused")
    assert found["VM106"]["found"] == found["VM107"]["found"] == "because of VM105"


def test_metrics_server_had_just_started(host: Replay, run: Callable[..., dict[str, dict[str, Any]]]) -> None:
    empty = recorded("metrics-server-starting-pods")
    assert json.loads(empty.body)["items"] == []
    host.override |= {NODES: empty, PODS: empty}
    found = run()

    assert failed(found) == ["VM106"]
    assert found["VM106"]["cause"] == cause("VM106", "starting")


def test_a_kubelet_was_down(host: Replay, run: Callable[..., dict[str, dict[str, Any]]]) -> None:
    for name, recording in (("metrics/resource", "cadvisor"), ("stats/summary", "summary"), ("metrics", "cadvisor")):
        host.override[f"/api/v1/nodes/vm/proxy/{name}"] = recorded(f"kubelet-down-{recording}")
    found = run()

    assert failed(found) == ["VM202"]
    assert found["VM202"]["cause"] == cause("VM202", "refused")
    assert "dial tcp 10.244.0.1:10250: connect: connection refused" in found["VM202"]["found"]


def test_nobody_was_logged_in(host: Replay, run: Callable[..., dict[str, dict[str, Any]]]) -> None:
    host.override |= {NODES: recorded("anonymous"), PODS: recorded("anonymous")}
    found = run("metrics-api")

    assert failed(found) == []
    assert found["VM106"]["result"] == "SKIP"
    assert 'User "system:anonymous" cannot list resource "pods"' in found["VM106"]["found"]


def test_a_token_was_wrong(host: Replay, run: Callable[..., dict[str, dict[str, Any]]]) -> None:
    host.override |= {NODES: recorded("bad-token")}
    found = run("metrics-api")

    assert failed(found) == ["VM106"]
    assert found["VM106"]["found"] == "Unauthorized"
