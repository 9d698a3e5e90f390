"""`components` on recorded scrapes, and on everything that can be wrong with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Cli, Result, Scripted, invoke, write_kubeconfig
from tests.kubevirt.cluster import Clock, cluster, pod, recorded, scrapes

Serve = Callable[[dict[str, Any]], tuple[Scripted, str]]
PODS = "/api/v1/namespaces/kubevirt/pods"
T0, T15 = recorded("virt-handler-sample.prom"), recorded("virt-handler-sample-t15.prom")
QUIET = b"process_cpu_seconds_total 1\n"


def elected(kind: str, leads: bool) -> bytes:
    return f"kubevirt_{kind.replace('-', '_')}_leading_status {int(leads)}\nprocess_cpu_seconds_total 5\n".encode()


def well() -> dict[tuple[str, str], Any]:
    """Two of each, of which nothing is to be said."""
    found: dict[tuple[str, str], Any] = {}
    for index, node in enumerate(("node01", "node02")):
        found["virt-api-" + "ab"[index], node] = scrapes(QUIET)
        found["virt-handler-" + "ab"[index], node] = scrapes(T0)
        for kind in ("virt-controller", "virt-operator"):
            found[f"{kind}-{'ab'[index]}", node] = scrapes(elected(kind, index == 0))
    return found


@pytest.fixture
def run(scripted: Serve, tmp_path: Path, clock: Clock) -> Callable[..., Result]:
    def command(answers: dict[str, Any], *args: str, **more: Any) -> Result:
        path = write_kubeconfig(tmp_path, scripted(answers)[1])
        return invoke("components", *args, kubeconfig=path, **more)

    return command


def rows(result: Result) -> dict[str, dict[str, Any]]:
    return {item["metadata"]["name"]: item for item in json.loads(result.stdout)["items"]}


def requests(text: bytes, keep: Callable[[str], bool] = lambda code: True) -> float:
    return sum(
        sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if sample.name == "kubevirt_rest_client_requests_total" and keep(sample.labels["code"])
    )


def test_all_is_well(run: Callable[..., Result], clock: Clock) -> None:
    result = run(cluster(well()), "--fail-on-problems")

    assert (result.code, result.stderr) == (0, "")
    assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == [
        f"virt-{kind}" for kind in ("api", "controller", "handler", "operator") for _ in range(2)
    ]
    assert sum(clock.slept) == pytest.approx(15, abs=0.5)


def test_growing_errors_of_the_recorded_handler(run: Callable[..., Result]) -> None:
    handlers = well() | {("virt-handler-a", "node01"): scrapes(T0, T15)}
    result = run(cluster(handlers), "-o", "json")
    found = rows(result)["virt-handler-a"]

    assert result.code == 0
    assert (found["connectionErrors"], found["connectionErrorsGrown"]) == (12, 2)
    sent = requests(T15) - requests(T0)
    bad = requests(T15, lambda code: code[0] in "45<") - requests(T0, lambda code: code[0] in "45<")
    seconds = 15.0
    assert found["requestsPerSecond"] == pytest.approx(sent / seconds, rel=0.01)
    assert found["errorShare"] == bad / sent == 1.0
    assert found["cpuCores"] == pytest.approx((288.71 - 288.41) / seconds, rel=0.01)
    assert found["memoryBytes"] == 164823040
    assert found["version"] == "v1.9.0"
    assert result.stderr == (
        "Warning: virt-handler-a cannot reach the apiserver: 2 requests without a response in 15 s (WATCH kubevirts)\n"
    )
    table = run(cluster(handlers | {("virt-handler-a", "node01"): scrapes(T0, T15)}), "--fail-on-problems")
    assert table.code == 1
    assert "12 (+2)" in table.stdout


def test_errors_that_do_not_grow_are_no_problem(run: Callable[..., Result]) -> None:
    found = rows(run(cluster(well()), "-o", "json"))["virt-handler-a"]

    assert (found["connectionErrors"], found["connectionErrorsGrown"]) == (10, 0)


@pytest.mark.parametrize("name", ["rest_client_requests_total", "kubevirt_rest_client_requests_total"])
def test_both_names(name: str, run: Callable[..., Result]) -> None:
    before = f'{name}{{code="200"}} 100\n{name}{{code="500"}} 10\n'.encode()
    after = f'{name}{{code="200"}} 130\n{name}{{code="500"}} 40\n{name}{{code="<error>"}} 4\n'.encode()
    result = run(cluster(well() | {("virt-api-a", "node01"): scrapes(before, after)}), "-o", "json")
    found = rows(result)["virt-api-a"]

    assert found["requestsPerSecond"] == pytest.approx(4.0, rel=0.01)
    assert found["errorShare"] == 0.5
    # The first failure makes the series; it has nothing before it to be compared with, and is counted all the same.
    assert (found["connectionErrors"], found["connectionErrorsGrown"]) == (4, 4)
    assert "virt-api-a cannot reach the apiserver: 4 requests without a response" in result.stderr


def test_upstreams_alert(run: Callable[..., Result]) -> None:
    before = b'kubevirt_rest_client_requests_total{code="403"} 100\nkubevirt_rest_client_requests_total{code="200"} 1\n'
    after = b'kubevirt_rest_client_requests_total{code="403"} 180\nkubevirt_rest_client_requests_total{code="200"} 21\n'
    result = run(cluster(well() | {("virt-api-a", "node01"): scrapes(before, after)}))

    assert result.stderr == "Warning: virt-api-a: 80% of its requests to the apiserver fail\n"


def test_a_restart_is_no_wild_number(run: Callable[..., Result]) -> None:
    before, after = b"process_cpu_seconds_total 90000\n", b"process_cpu_seconds_total 3\n"
    found = rows(run(cluster(well() | {("virt-api-a", "node01"): scrapes(before, after)}), "-o", "json"))["virt-api-a"]

    assert found["cpuCores"] == pytest.approx(3 / 15, rel=0.01)


@pytest.mark.parametrize(
    ("leads", "said"),
    [
        ((False, False), "no virt-controller pod leads, so its work is not done"),
        ((True, True), "2 virt-controller pods are leaders: virt-controller-a, virt-controller-b"),
    ],
)
def test_elections(leads: tuple[bool, bool], said: str, run: Callable[..., Result]) -> None:
    handlers = well()
    for letter, node, one in zip("ab", ("node01", "node02"), leads, strict=True):
        handlers[f"virt-controller-{letter}", node] = scrapes(elected("virt-controller", one))

    assert run(cluster(handlers)).stderr == f"Warning: {said}\n"


def test_the_old_name_of_the_election(run: Callable[..., Result]) -> None:
    handlers = well()
    handlers["virt-controller-a", "node01"] = scrapes(b"kubevirt_virt_controller_leading 1\n")

    assert rows(run(cluster(handlers), "-o", "json"))["virt-controller-a"]["leader"] is True


def test_one_that_hangs_may_be_the_leader(run: Callable[..., Result]) -> None:
    refused = {
        "kind": "Status",
        "code": 503,
        "reason": "ServiceUnavailable",
        "message": "error trying to reach service",
    }
    handlers = well() | {("virt-controller-a", "node01"): lambda _: (503, refused)}
    result = run(cluster(handlers), "--fail-on-problems")

    assert result.code == 1
    assert result.stderr == (
        "Warning: virt-controller-a on node node01 could not be scraped: error trying to reach service\n"
    )
    row = next(line for line in result.stdout.splitlines() if "virt-controller-a" in line)
    assert row.split()[3:] == ["no", "v1.9.0", "-", "<unknown>", "<unknown>", "-", "-", "-"]


@pytest.mark.parametrize(
    ("answer", "up", "said"),
    [
        ((200, b"<html>"), "no", "could not be scraped: an HTML page instead of metrics"),
        ((503, b"Limit of concurrent requests\n"), "no", "could not be scraped: 503: Limit of concurrent requests"),
        (
            (200, b"kubevirt_virt_controller_leading_status 1\nrest of it\n"),
            "yes",
            '1 line of its response could not be parsed as metrics, starting with "rest of it"',
        ),
    ],
)
def test_one_that_answers_something_else(
    answer: tuple[int, bytes], up: str, said: str, run: Callable[..., Result]
) -> None:
    handlers = well() | {("virt-controller-a", "node01"): lambda _: answer}
    result = run(cluster(handlers))

    where = "virt-controller-a on node node01"
    assert f"Warning: {where}{':' if up == 'yes' else ''} {said}\n" in result.stderr
    row = next(line for line in result.stdout.splitlines() if "virt-controller-a" in line)
    assert row.split()[3] == up


def test_not_ready_other_version_none_at_all(run: Callable[..., Result]) -> None:
    handlers = {key: answer for key, answer in well().items() if "virt-api" not in key[0]}
    answers = cluster(handlers)
    answers["/apis/kubevirt.io/v1/kubevirts"]["items"][0]["status"] = {"observedKubeVirtVersion": "v1.9.0"}
    pods = [pod(name, node, ready=name != "virt-operator-b") for name, node in handlers]
    pods[1]["spec"]["containers"][0]["image"] = "quay.io:5000/kubevirt/virt-controller:v1.8.4@sha256:12"
    answers[PODS] = {"items": pods}
    result = run(answers)

    assert result.stderr.splitlines() == [
        "Warning: there is no virt-api pod that serves metrics",
        "Warning: virt-operator-b on node node02 is not ready",
        "Warning: virt-controller-a is at version v1.8.4, but KubeVirt is at v1.9.0",
    ]


def slices(port: str = "metrics") -> dict[str, Any]:
    """The handlers of `well` as EndpointSlices have them, the second one not ready."""

    def endpoint(name: str, node: str, ready: bool | None) -> dict[str, Any]:
        target = {"kind": "Pod", "name": name}
        return {"addresses": ["10.0.0.1"], "conditions": {"ready": ready}, "targetRef": target, "nodeName": node}

    names = [
        (f"{kind}-{'ab'[i]}", f"node0{i + 1}")
        for kind in ("virt-api", "virt-controller", "virt-handler", "virt-operator")
        for i in (0, 1)
    ]
    points = [endpoint(name, node, None if name[-1] == "a" else name != "virt-api-b") for name, node in names]
    ports = [{"name": port, "port": 8443}, {"name": "webhooks", "port": 8444}]
    return {
        "items": [{"metadata": {"name": "s"}, "ports": ports, "endpoints": points}, {"metadata": {"name": "empty"}}]
    }


def test_without_the_right_to_pods_the_service_tells(run: Callable[..., Result]) -> None:
    answers = cluster(well())
    answers[PODS] = lambda _: (
        403,
        {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "pods is forbidden"},
    )
    answers["/apis/discovery.k8s.io/v1/namespaces/kubevirt/endpointslices"] = slices()
    result = run(answers, "-o", "json")

    found = rows(result)
    assert len(found) == 8
    assert (found["virt-handler-a"]["node"], found["virt-handler-a"]["version"]) == ("node01", "v1.9.0")
    assert result.stderr == "Warning: virt-api-b on node node02 is not ready\n"

    del answers["/apis/discovery.k8s.io/v1/namespaces/kubevirt/endpointslices"]
    target = {"kind": "Pod", "name": "virt-api-a"}
    ports = [{"name": "metrics", "port": 8443}]
    answers["/api/v1/namespaces/kubevirt/endpoints/kubevirt-prometheus-metrics"] = {
        "subsets": [
            {"ports": ports, "addresses": [{"ip": "10.0.0.1", "targetRef": target}], "notReadyAddresses": None},
            {"ports": [{"name": "other", "port": 1}], "addresses": [{"ip": "10.0.0.2"}]},
        ]
    }
    assert list(rows(run(answers, "virt-api", "-o", "json"))) == ["virt-api-a"]

    del answers["/api/v1/namespaces/kubevirt/endpoints/kubevirt-prometheus-metrics"]
    assert run(answers).stderr == "Error from server (Forbidden): pods is forbidden\n"


def test_bad_input(on_demo: Cli) -> None:
    for interval in ("500ms", "0", "100ms"):
        assert on_demo("components", f"--interval={interval}").stderr == (
            "error: --interval must be 1s or more: rates need samples at least 1s apart\n"
        )
    assert on_demo("components", "virt-foo").stderr == (
        'error: unknown component "virt-foo"; choose from virt-api, virt-controller, virt-handler, virt-operator\n'
    )


def test_the_demo_is_well(on_demo: Cli, clock: Clock) -> None:
    result = on_demo("components", "--fail-on-problems", "-o", "wide")

    assert (result.code, result.stderr) == (0, "")
    assert len(result.stdout.splitlines()) == 10
