"""`manifests rbac` and `manifests metrics-server`; and that what is said to be needed is what commands ask for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl_vmetrics.demo import server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.changes import alter
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.demo.exchange import Reply, Request
from kubectl_vmetrics.doctor import see
from kubectl_vmetrics.kube import errors
from kubectl_vmetrics.kube.errors import Forbidden, MetricsNotAvailable, StatusError, Unavailable, VmetricsError
from kubectl_vmetrics.manifests.grants import CLUSTER_WIDE
from kubectl_vmetrics.metrics.needs import COMMANDS
from tests import rights
from tests.conftest import Cli, Result, invoke, write_kubeconfig

LINES = {
    "top pods": ["top pods -A", "top pods -n team-a -o wide", "top pods --vcluster shop"],
    "top nodes": ["top nodes", "top nodes --vcluster shop"],
    "top vclusters": ["top vclusters"],
    "top namespaces": ["top namespaces"],
    "top volumes": ["top volumes"],
    "raw": [
        "raw /api/v1/nodes/worker-1/proxy/metrics/cadvisor",
        "raw /api/v1/nodes/worker-1/proxy/metrics/resource --vcluster shop",
    ],
    "vmi": ["vmi -A --interval 5s -o wide", "vmi --vcluster shop --interval 5s"],
    "components": ["components --interval 1s"],
    "controlplanes": ["controlplanes -A --interval 1s --fail-on-problems"],
    "targets": ["targets"],
}


class Recorder(Apiserver):
    """The demo, and the rights that it was asked with."""

    def __init__(self) -> None:
        super().__init__(build(Shape(pods=20, vclusters=1)))
        self.asked: set[tuple[str, str, str]] = set()
        # The endpoint of a datastore may be a Service.
        self.change = alter(r".*/datastores", self._service)

    def _service(self, body: Any) -> None:
        body["items"][0]["spec"]["endpoints"].append("kamaji-etcd.kamaji-system.svc:2379")

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        found = rights.request(environ["PATH_INFO"])
        if found:
            verb = "create" if found.resource == "pods/portforward" else found.verb
            self.asked.add((found.group, found.resource, verb))
        return super().__call__(environ, start_response)


@pytest.mark.parametrize("command", LINES)
def test_commands_ask_for_what_they_are_said_to_need(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    from kubectl_vmetrics.metrics import sampling

    real = sampling.time
    fake = SimpleNamespace(sleep=lambda _: real.sleep(0.05), time=real.time, monotonic=real.monotonic)
    monkeypatch.setattr(sampling, "time", fake)
    recorder = Recorder()
    with server.serving(recorder) as url:
        path = write_kubeconfig(tmp_path, url)
        for line in LINES[command]:
            result = invoke(*line.split(), f"--cache-dir={tmp_path}", kubeconfig=path)
            assert result.code == 0, result.stderr

    need = COMMANDS[command]
    said = {(right.group, right.resource, right.verb) for right in (*need.rights, *need.optional)}
    assert recorder.asked <= said
    # Nothing is granted that nobody asks for, other than reading one of what may be listed.
    unused = {(group, resource) for group, resource, _ in said} - {
        (group, resource) for group, resource, _ in recorder.asked
    }
    assert unused == set()


def test_every_command_is_among_them() -> None:
    assert set(COMMANDS) - set(LINES) == {"proxy"}  # whose rights tests/manifests/test_proxy.py holds


def printed(*args: str) -> list[dict[str, Any]]:
    result = invoke("manifests", *args)
    assert (result.code, result.stderr) == (0, "")
    return list(yaml.safe_load_all(result.stdout))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_role_holds_these_and_no_more(command: str) -> None:
    for extra in ([], ["--complete"]):
        objects = printed("rbac", "--for", command, "--user=alice", *extra)
        need = COMMANDS[command]
        wanted = {(None, r.group, r.resource, r.verb) for r in (*need.rights, *(need.optional if extra else ()))}
        assert rights.Rights(objects).allowed == wanted
        assert objects[1]["subjects"] == [{"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"}]


def test_one_namespace() -> None:
    objects = printed(
        "rbac", "--for=top pods", "--for=top nodes", "--serviceaccount=mon:prom", "-n", "prod", "--name=x"
    )

    assert [(item["kind"], item["metadata"].get("namespace")) for item in objects] == [
        ("ClusterRole", None),
        ("ClusterRoleBinding", None),
        ("Role", "prod"),
        ("RoleBinding", "prod"),
    ]
    for rule in objects[0]["rules"]:
        assert {(group, name) for group in rule["apiGroups"] for name in rule["resources"]} <= CLUSTER_WIDE
    assert objects[3]["subjects"] == [{"kind": "ServiceAccount", "name": "prom", "namespace": "mon"}]
    assert objects[3]["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "x"}


def test_powerful_rights_are_explained() -> None:
    assert "run commands in every pod" in invoke("manifests", "rbac", "--for=raw", "--user=a").stdout
    assert (
        "hold the keys to their control planes" in invoke("manifests", "rbac", "--for=controlplanes", "--user=a").stdout
    )
    assert "#" not in invoke("manifests", "rbac", "--for=top pods", "--user=a").stdout


# ---------------------------------------------------------------------------------------------------- metrics-server


def of(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next(item for item in objects if item["kind"] == kind)


def args_of(objects: list[dict[str, Any]]) -> list[str]:
    found: list[str] = of(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"]
    return found


def test_metrics_server_hangs_together() -> None:
    objects = printed("metrics-server")
    deployment, service, registered = (of(objects, kind) for kind in ("Deployment", "Service", "APIService"))

    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert deployment["spec"]["template"]["metadata"]["labels"] == service["spec"]["selector"]
    assert service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
    assert f"--secure-port={container['ports'][0]['containerPort']}" in container["args"]
    reference = registered["spec"]["service"]
    assert (reference["namespace"], reference["name"]) == (
        service["metadata"]["namespace"],
        service["metadata"]["name"],
    )
    assert "--kubelet-insecure-tls" not in container["args"]
    bound = {item["roleRef"]["name"] for item in objects if item["kind"].endswith("Binding")}
    assert bound == {"extension-apiserver-authentication-reader", "system:auth-delegator", "system:metrics-server"}
    rules = {
        tuple(rule["resources"])
        for item in objects
        if item["metadata"]["name"] == "system:metrics-server"
        for rule in item.get("rules", [])
    }
    assert ("nodes/metrics",) in rules


def test_what_the_doctor_finds_necessary() -> None:
    objects = printed(
        "metrics-server",
        "--kubelet-insecure-tls",
        "--kubelet-preferred-address-types=InternalIP",
        "--host-network",
        "--metric-resolution=30s",
        "--replicas=2",
    )
    pod = of(objects, "Deployment")["spec"]["template"]["spec"]

    assert pod["hostNetwork"] is True
    assert {"--kubelet-insecure-tls", "--kubelet-preferred-address-types=InternalIP", "--secure-port=4443"} <= set(
        args_of(objects)
    )
    assert "--metric-resolution=30s" in args_of(objects)
    assert of(objects, "PodDisruptionBudget")["spec"]["minAvailable"] == 1


def test_the_doctor_is_content_with_it(tmp_path: Path) -> None:
    """The demo with what was printed in place of its own."""
    objects = printed("metrics-server")

    def change(request: Request, answer: Callable[[Request], Reply]) -> Reply:
        if request.path.endswith("/services/metrics-server"):
            return Reply(200, json.dumps(of(objects, "Service")).encode())
        return answer(request)

    apiserver = Apiserver(build(Shape(pods=14, tenants=1)))
    apiserver.change = change
    with server.serving(apiserver) as url:
        result = invoke("doctor", "metrics-api", "--fail-on=warning", kubeconfig=write_kubeconfig(tmp_path, url))
    assert result.code == 0, result.stdout


@pytest.mark.parametrize(
    ("args", "stderr"),
    [
        (["rbac"], "error: one of --user, --group and --serviceaccount says who gets the rights\n"),
        (
            ["rbac", "--user=a", "--group=b"],
            "error: one of --user, --group and --serviceaccount says who gets the rights\n",
        ),
        (["rbac", "--for=top", "--user=a"], 'error: --for: there is no "top"; there are top pods, top nodes, '),
        (["rbac", "--serviceaccount=a"], "error: --serviceaccount: 'a' is not NAMESPACE:NAME\n"),
        (["metrics-server", "--metric-resolution=5s"], "error: --metric-resolution must be 10s or more\n"),
        (["metrics-server", "--metric-resolution=x"], "error: --metric-resolution: 'x' is not a duration (15s, 1m)\n"),
        (
            ["metrics-server", "--kubelet-preferred-address-types=IP"],
            'error: --kubelet-preferred-address-types: there is no "IP"',
        ),
        (["metrics-server", "--replicas=0"], "error: --replicas: at least 1\n"),
    ],
)
def test_bad_input(args: list[str], stderr: str, on_demo: Cli) -> None:
    result: Result = on_demo("manifests", *args)
    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.startswith(stderr)


# --------------------------------------------------------------------------------------------------------------- see


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MetricsNotAvailable("Metrics API not available"), "VM105"),
        (MetricsNotAvailable("metrics not available yet"), "VM106"),
        (MetricsNotAvailable("KubeVirt was not found: no KubeVirt object in this cluster"), "VM401"),
        (MetricsNotAvailable("Kamaji is not installed: …"), "VM501"),
        (Forbidden('nodes "n" is forbidden: User "u" cannot get resource "nodes/proxy"', code=403), "VM202"),
        (Forbidden('pods is forbidden: User "u" cannot list resource "pods"', code=403), "VM601"),
        (StatusError("Forbidden (user=kube-apiserver-kubelet-client, verb=get)", code=403), "VM202"),
        (Unavailable("error trying to reach service: dial tcp: connection refused", code=503), "VM202"),
        (Unavailable("the server is currently unable to handle the request", code=503), "VM105"),
        (errors.UsageError("x"), None),
        (errors.ConnectionFailed("x"), None),
    ],
)
def test_errors_lead_to_the_check_that_explains_them(error: VmetricsError, expected: str | None) -> None:
    assert see.identifier(error) == expected


def test_people_are_told_and_scripts_are_not(tmp_path: Path) -> None:
    from kubectl_vmetrics.demo.breakage import BREAKS

    apiserver = Apiserver(build(Shape(pods=5)))
    apiserver.change = BREAKS["no-metrics-server"].change
    with server.serving(apiserver) as url:
        path = write_kubeconfig(tmp_path, url)
        assert invoke("top", "pods", kubeconfig=path).stderr == "error: Metrics API not available\n"
        told = invoke("top", "pods", kubeconfig=path, terminal=True).stderr
    assert told.splitlines()[-1] == "see: kubectl vmetrics doctor VM105"
