"""What goes wrong: one clear line on stderr, nothing on stdout but what is good, exit code 1."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kubectl_vmetrics.demo.exchange import Reply
from tests.conftest import Cli, Scripted, invoke, write_kubeconfig
from tests.replay import RECORDINGS, Replay

FAILURES = RECORDINGS / "failures"
PODS = "/apis/metrics.k8s.io/v1beta1/pods"
Serve = Callable[[dict[str, Any]], tuple[Scripted, str]]


def recorded(name: str) -> Reply:
    head = (FAILURES / f"{name}.headers").read_text().splitlines()
    fields = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
    return Reply(int(head[0].split()[1]), (FAILURES / f"{name}.body").read_bytes(), fields["content-type"])


STALE = json.dumps(
    {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "items": [{"metadata": {"name": "metrics.k8s.io"}, "versions": [{"version": "v1beta1", "freshness": "Stale"}]}],
    }
).encode()


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (
            {PODS: recorded("metrics-server-down-list"), "/apis": recorded("metrics-server-down-discovery")},
            "Error from server (ServiceUnavailable): the server is currently unable to handle the request (get pods.metrics.k8s.io)",
        ),
        (
            {PODS: recorded("metrics-server-down-list-later"), "/apis": Reply(200, STALE)},
            "error: Metrics API not available",
        ),
        (
            {PODS: recorded("metrics-server-starting-pods")},
            "error: Metrics not available for pod default/burner-6bfd9cb954-8msjh, age: ",
        ),
        (
            {PODS: recorded("anonymous")},
            'Error from server (Forbidden): pods.metrics.k8s.io is forbidden: User "system:anonymous" cannot list resource "pods" '
            'in API group "metrics.k8s.io" at the cluster scope',
        ),
        ({PODS: recorded("bad-token")}, "error: You must be logged in to the server (Unauthorized)"),
        (
            {PODS: recorded("kubelet-down-summary")},
            "Error from server (ServiceUnavailable): error trying to reach service: dial tcp 10.244.0.1:10250: connect: connection refused",
        ),
        (
            {PODS: recorded("kubelet-down-cadvisor")},
            "Error from server (ServiceUnavailable): error trying to reach service: dial tcp 10.244.0.1:10250: connect: connection refused",
        ),
        (
            {PODS: Reply(200, b'{"kind":"PodMetricsList","items":[{"meta')},
            f"error: the response to {PODS} is truncated: unexpected end of JSON input",
        ),
        (
            {PODS: Reply(200, b"<html>login</html>", "text/html")},
            f"error: the response to {PODS} is not JSON (text/html): is this an API server?",
        ),
        (
            {PODS: Reply(404, b"404 page not found\n", "text/plain"), "/apis": Reply(200, b'{"groups":[]}')},
            "error: Metrics API not available",
        ),
    ],
)
def test_recorded_failures(overrides: dict[str, Reply], line: str, host: Replay, on_host: Cli) -> None:
    host.override |= overrides

    result = on_host("top", "pods", "-A")

    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.startswith(line)
    assert result.stderr.count("\n") == 1
    assert result.stderr == line + "\n" or "age: " in line


def test_the_recorded_apiservice_of_a_metrics_server_that_is_down_is_no_surprise() -> None:
    condition = json.loads((FAILURES / "metrics-server-down-apiservice.body").read_text())["status"]["conditions"][0]

    assert (condition["type"], condition["status"]) == ("Available", "False")


def test_a_server_of_v1_alone(host: Replay, on_host: Cli) -> None:
    body = (host.folder / "apis-metrics.k8s.io-v1beta1-pods.json").read_bytes()
    groups = {"groups": [{"name": "metrics.k8s.io", "versions": [{"version": "v1"}]}]}
    host.override |= {
        PODS: Reply(404, b"404 page not found\n", "text/plain"),
        "/apis": Reply(200, json.dumps(groups).encode()),
        "/apis/metrics.k8s.io/v1/pods": Reply(200, body.replace(b"v1beta1", b"v1")),
    }

    assert on_host("top", "pods", "-A").stdout.count("\n") == 15


def test_too_young_for_metrics(scripted: Serve, tmp_path: Path) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    pod = {"metadata": {"name": "a", "namespace": "default", "creationTimestamp": now}, "status": {"phase": "Running"}}
    base = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods"
    _, url = scripted({base: {"items": []}, "/api/v1/namespaces/default/pods": {"items": [pod]}})

    result = invoke("top", "pods", kubeconfig=write_kubeconfig(tmp_path, url))

    assert result == (1, "", "error: metrics not available yet\n")


def test_hints_are_for_people(scripted: Serve, tmp_path: Path) -> None:
    _, url = scripted({"/apis": {"groups": []}})

    result = invoke("top", "pods", kubeconfig=write_kubeconfig(tmp_path, url), terminal=True)

    assert result.stderr.splitlines()[0] == "error: Metrics API not available"
    assert result.stderr.splitlines()[1].startswith("hint: ")


def test_rights_in_one_namespace_are_enough_for_a_full_name(on_demo: Cli) -> None:
    refused = on_demo("top", "pods", "--vcluster", "shop", "--as", "alice", terminal=True)

    assert (refused.code, refused.stdout) == (1, "")
    assert refused.stderr.splitlines() == [
        'Error from server (Forbidden): statefulsets.apps is forbidden: User "alice" cannot list resource '
        '"statefulsets" in API group "apps" at the cluster scope',
        "hint: --vcluster HOSTNS/shop needs rights in that namespace only",
        "see: kubectl vmetrics doctor VM601",
    ]
    assert on_demo("top", "pods", "--vcluster", "team-a/shop", "-n", "web", "--as", "alice").code == 0


def test_ten_thousand_pods_of_which_three_are_malformed(scripted: Serve, tmp_path: Path) -> None:
    def item(index: int) -> dict[str, Any]:
        containers = [{"name": "main", "usage": {"cpu": "1m", "memory": "1Mi"}}]
        return {"metadata": {"name": f"pod-{index:05d}", "namespace": "default"}, "containers": containers}

    items = [item(index) for index in range(10_000)]
    items[17]["containers"] = "none"
    items[18]["metadata"]["name"] = 5
    items[4000]["containers"][0]["usage"]["cpu"] = "1.2.3"
    _, url = scripted({PODS: {"items": items}})

    result = invoke("top", "pods", "-A", kubeconfig=write_kubeconfig(tmp_path, url))

    assert result.code == 1
    rows = result.stdout.splitlines()[1:]
    assert len(rows) == 9_997
    assert not [row for row in rows if "pod-00017" in row or "pod-04000" in row]
    assert result.stderr == (
        f"error: 3 items could not be read: item 17 of {PODS} (Expected `array`, got `str` - at `$.containers`); "
        f"item 18 of {PODS} (Expected `str`, got `int` - at `$.metadata.name`); pod default/pod-04000 (not a quantity: '1.2.3')\n"
    )


def test_malformed_labels_cost_one_pod(scripted: Serve, tmp_path: Path) -> None:
    items = [
        {"metadata": {"name": name, "namespace": "default", "labels": labels}, "containers": []}
        for name, labels in (("a", None), ("b", {"vcluster.loft.sh/managed-by": 5}))
    ]
    _, url = scripted({PODS: {"items": items}})

    result = invoke("top", "pods", "-A", kubeconfig=write_kubeconfig(tmp_path, url))

    assert (
        result.stdout
        == "NAMESPACE   NAME   CPU(cores)   MEMORY(bytes)   \ndefault     a      0m           0Mi             \n"
    )
    assert result.stderr.startswith(
        "error: 1 item could not be read: pod default/b (labels of pod default/b: Expected `str | null`, got `int`"
    )


def test_a_hung_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        started = time.monotonic()
        result = invoke("top", "pods", "-s", url, "--request-timeout=1s")

    assert time.monotonic() - started < 3
    assert result == (
        1,
        "",
        "Unable to connect to the server: net/http: request canceled (Client.Timeout exceeded while awaiting headers)\n",
    )


@pytest.mark.parametrize(
    ("args", "stderr"),
    [
        (["--context=nope"], 'error: context "nope" does not exist\n'),
        (["--kubeconfig=/nope"], "error: stat /nope: no such file or directory\n"),
        (
            ["--sort-by=nope"],
            "error: --sort-by accepts only cpu, memory, vcluster, vnamespace or name\n",
        ),
        (["a", "b"], "error: pod [NAME | -l label]\nSee 'kubectl vmetrics top pods -h' for help and examples\n"),
        (["-l", "a in ("], "error: unable to parse requirement: found '', expected: ',', ')' or identifier\n"),
        (["--field-selector", "x"], "error: invalid selector: 'x'; can't understand 'x'\n"),
        (
            ["--vcluster", "a", "--host-names"],
            "error: --vcluster and --host-names cannot be used together\n",
        ),
        (
            ["--interval", "1ms"],
            "error: --interval must be 500ms or more: metrics are updated about every 15 seconds\n",
        ),
        (["--interval", "soon"], "error: --interval: 'soon' is not a duration (example: 15s, 1m30s)\n"),
        (["-z"], "error: unknown shorthand flag: 'z' in -z\nSee 'kubectl vmetrics top pods --help' for usage.\n"),
        (["-n"], "error: flag needs an argument: 'n' in -n\nSee 'kubectl vmetrics top pods --help' for usage.\n"),
        (
            ["--sort-by"],
            "error: flag needs an argument: --sort-by\nSee 'kubectl vmetrics top pods --help' for usage.\n",
        ),
        (
            ["--containers=maybe"],
            'error: invalid argument "maybe" for "--containers" flag: strconv.ParseBool: parsing "maybe": invalid syntax\n'
            "See 'kubectl vmetrics top pods --help' for usage.\n",
        ),
        (["--as-group=x"], "error: requesting uid, groups or user-extra without impersonating a user\n"),
        (["--vcluster", "nope"], 'error: virtual cluster "nope" not found; choose from team-a/vc1, team-b/vc2\n'),
        (["--vcluster", "vc1", "nope"], 'Error from server (NotFound): pods "nope" not found\n'),
        (
            ["--vcluster", "vc1", "--field-selector", "status.phase=Running"],
            'error: "status.phase" is not a known field selector: only "metadata.name", "metadata.namespace"\n',
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input(args: list[str], stderr: str, on_host: Cli) -> None:
    assert on_host("top", "pods", *args) == (1, "", stderr)


@pytest.mark.parametrize(
    ("args", "stderr"),
    [
        (
            ["topp"],
            'error: unknown command "topp" for "kubectl vmetrics"\n\nDid you mean this?\n  top\nSee \'kubectl vmetrics --help\' for usage.\n',
        ),
        (
            ["top", "foo"],
            'error: unknown command "foo" for "kubectl vmetrics top"\nSee \'kubectl vmetrics top --help\' for usage.\n',
        ),
        (["top", "nodes", "a", "-l", "b"], "error: only one of NAME or --selector can be provided\n"),
        (
            ["top", "nodes", "--sum"],
            "error: --sum requires --vcluster: kubectl top nodes has no sum\n",
        ),
        (["top", "vclusters", "nope"], 'error: virtual cluster "nope" not found; choose from team-a/vc1, team-b/vc2\n'),
        (
            ["top", "namespaces", "extra"],
            "error: unexpected arguments: extra\nSee 'kubectl vmetrics top namespaces --help' for usage.\n",
        ),
        (
            ["top", "vclusters", "nope", "-n", "team-c"],
            'error: virtual cluster "nope" not found: there are no virtual clusters in namespace team-c\n',
        ),
        (
            ["top", "pods", "--vcluster", "team-c/nope"],
            'error: virtual cluster "team-c/nope" not found: there are no virtual clusters in namespace team-c\n',
        ),
        (["raw"], "error: PATH is required\nSee 'kubectl vmetrics raw --help' for usage.\n"),
        (
            ["vmi", "a", "b"],
            "error: vmi [NAME | -l label]\nSee 'kubectl vmetrics vmi -h' for help and examples\n",
        ),
        (
            ["demo", "--seed=x"],
            'error: invalid argument "x" for "--seed" flag: strconv.ParseInt: parsing "x": invalid syntax\n'
            "See 'kubectl vmetrics demo --help' for usage.\n",
        ),
        (
            ["top", "pods", "-v=x"],
            'error: invalid argument "x" for "-v, --v" flag: strconv.ParseInt: parsing "x": invalid syntax\n'
            "See 'kubectl vmetrics top pods --help' for usage.\n",
        ),
        (["demo", "--nodes=0"], "error: --nodes must be 1 or more\n"),
        (["demo", "--tenants=-1"], "error: --tenants must be 0 or more\n"),
        (["demo", "--port=99999"], "error: --port: 99999 is not a port: use 0 to 65535\n"),
        (["demo", "demo"], "error: demo cannot run inside demo\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_elsewhere(args: list[str], stderr: str, on_host: Cli) -> None:
    assert on_host(*args) == (1, "", stderr)


def test_a_bug_is_one_line_too(on_host: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("kubectl_vmetrics.metrics.metrics_api.pods", broken)

    result = on_host("top", "pods", VMETRICS_TRACEBACK="")

    assert result == (
        1,
        "",
        "error: internal error (RuntimeError); this is a bug: set VMETRICS_TRACEBACK=1 to print a traceback, and report it\n",
    )


def test_without_a_command() -> None:
    """As kubectl: alone it prints its help, and a group alone is a mistake."""
    assert invoke() == invoke("--help")
    assert invoke().code == 0
    group = invoke("top")
    assert (group.code, group.stdout) == (1, "")
    assert group.stderr == invoke("top", "--help").stdout
