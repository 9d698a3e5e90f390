"""`manifests rbac` and `manifests metrics-server`; and that what is said to be needed is what commands ask for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
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
from kubectl_vmetrics.metrics import sampling
from kubectl_vmetrics.metrics.needs import CLUSTER_WIDE, COMMANDS
from tests import rights
from tests.conftest import Cli, Result, invoke, write_kubeconfig

LINES: dict[str, tuple[list[str], list[str]]] = {
    "top pods": (
        ["top pods -A", "top pods -n team-a", "top pods POD"],
        ["top pods -n team-a -o wide", "top pods --vcluster shop", "top pods --vcluster team-a/shop"],
    ),
    "top pods --source=kubelet": (
        ["top pods -A --source=kubelet --host-names", "top pods -A --pressure --host-names"],
        ["top pods -A --source=kubelet", "top pods --vcluster shop --source=kubelet"],
    ),
    "top nodes": (["top nodes", "top nodes worker-1"], ["top nodes --vcluster shop"]),
    "top nodes --source=kubelet": (
        ["top nodes --source=kubelet", "top nodes worker-1 --source=kubelet"],
        ["top nodes --vcluster shop --source=kubelet"],
    ),
    "top vclusters": (["top vclusters shop"], ["top vclusters shop --sum"]),
    "top vclusters --private-nodes": (
        ["top vclusters --private-nodes"],
        ["top vclusters --private-nodes --sum", "top pods --vcluster team-edge/edge --private-nodes"],
    ),
    "top vclusters -o wide": (
        ["top vclusters shop -o wide"],
        ["top vclusters shop -o wide --sum", "top vclusters shop -o csv"],
    ),
    "top namespaces -o wide": (["top namespaces -o wide"], ["top namespaces --vcluster shop -o wide"]),
    "top pods --network": (
        ["top pods -A --network --host-names", "top pods POD --io --host-names"],
        ["top pods -A --io --interval 5s", "top pods --vcluster shop --network"],
    ),
    "top vclusters --network": (["top vclusters shop --network"], ["top vclusters shop --io --sum"]),
    "top namespaces": (["top namespaces"], ["top namespaces --vcluster shop"]),
    "top pods --gpu": (
        ["top pods -A --gpu --host-names"],
        ["top pods -A --gpu", "top pods --vcluster team-a/shop --gpu"],
    ),
    "top gpus": (["top gpus"], ["top gpus --vcluster shop", "top gpus -n team-a"]),
    "top volumes": (["top volumes -A", "top volumes -n team-a"], ["top volumes --vcluster shop"]),
    "raw": (
        ["raw /api/v1/nodes/worker-1/proxy/metrics/cadvisor"],
        [
            "raw /api/v1/nodes/worker-1/proxy/metrics/resource --vcluster shop",
            "raw /api/v1/nodes/worker-1/proxy/metrics --vcluster shop",
        ],
    ),
    "vmi": (["vmi -A --interval 5s"], ["vmi -A --interval 5s -o wide", "vmi --vcluster shop --interval 5s"]),
    "components": (["components --interval 1s"], []),
    "controlplanes": (["controlplanes -A --interval 1s", "controlplanes -n tenants --interval 1s"], []),
    "explain": (["explain pod POD"], ["explain pod POD", "explain pod orders-db-0 -n team-a"]),
    "history": (
        ["history --since 3h --step 1h", "history namespaces --since 3h --step 1h"],
        ["history pods -A --since 3h --step 1h", "history volumes -A --since 3h --step 1h", "history --vcluster shop"],
    ),
    "rightsize": (
        ["rightsize --since 2d --step 1h -o json"],
        ["rightsize --since 2d --step 1h -o yaml", "rightsize --since 2d --step 1h --vcluster shop -o json"],
    ),
    "bill": (
        ["bill --since 2d --step 1h -o json"],
        ["bill --since 2d --step 1h --by workload -o json", "bill --since 2d --step 1h --vcluster shop -o json"],
    ),
    "report": (
        ["report --since 2d --step 1h --no-controlplanes -o -"],
        ["report --since 2d --step 1h -o -", "report --since 2d --step 1h --vcluster shop -o -"],
    ),
    "targets": (["targets", "targets kubevirt"], ["targets -o http-sd", "targets controlplanes -o scrape-config"]),
    "targets prometheus": (["targets prometheus"], ["targets prometheus -o json"]),
    "doctor prometheus": (["doctor prometheus"], []),
}
"""What works with the rights of each command, and what with its optional rights as well."""


def _service(body: Any) -> None:
    body["items"][0]["spec"]["endpoints"].append("kamaji-etcd.kamaji-system.svc:2379")


@pytest.fixture(scope="module")
def guarded() -> Iterator[tuple[rights.Guard, str, str]]:
    """The demo behind RBAC, its URL, and a pod that belongs to no virtual cluster."""
    demo = Apiserver(build(Shape(pods=40, vclusters=1, tenants=1, gpu_nodes=2, private=1)))
    # The endpoint of a datastore may be a Service.
    demo.change = alter(r".*/datastores", _service)
    guard = rights.Guard(demo)
    with server.serving(guard) as url:
        yield guard, url, next(f"{p.name} -n {p.namespace}" for p in demo.cluster.pods if p.origin is None)


Run = Callable[..., tuple[list[Result], rights.Guard]]


@pytest.fixture
def run(guarded: tuple[rights.Guard, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run lines as a user who has some rights, or all."""
    real = sampling.time
    fake = SimpleNamespace(sleep=lambda _: real.sleep(0.05), time=real.time, monotonic=real.monotonic)
    monkeypatch.setattr(sampling, "time", fake)
    guard, url, pod = guarded
    path = write_kubeconfig(tmp_path, url)

    def lines(listed: list[str], granted: rights.Rights | None) -> tuple[list[Result], rights.Guard]:
        guard.rights, guard.asked, guard.refused = granted, [], []
        words = [line.replace("POD", pod).split() for line in listed]
        return [invoke(*line, f"--cache-dir={tmp_path}", kubeconfig=path) for line in words], guard

    yield lines
    guard.rights = None


def of_command(command: str, *args: str) -> rights.Rights:
    return rights.Rights(printed("rbac", "--for", command, "--user=alice", *args))


@pytest.mark.parametrize("command", LINES)
def test_what_is_printed_is_enough_and_all_of_it_is_used(command: str, run: Run) -> None:
    plain, more = LINES[command]
    granted = of_command(command, "--complete")
    results, guard = run([*plain, *more], granted)

    assert guard.refused == []
    for line, result in zip([*plain, *more], results, strict=True):
        assert (result.code, result.stderr) == (0, ""), line
    assert granted.allowed - granted.used == set()


@pytest.mark.parametrize("command", LINES)
def test_without_the_optional_rights_the_command_works_all_the_same(command: str, run: Run) -> None:
    plain, _ = LINES[command]
    for line, result in zip(plain, run(plain, of_command(command))[0], strict=True):
        assert result.code == 0, (line, result.stderr)
        assert "forbidden" not in result.stdout or command in (
            "explain",
            "bill",
            "report",
        )  # they list what could not be read


@pytest.mark.parametrize("command", LINES)
def test_without_any_of_its_rights_a_command_fails_or_says_what_is_missing(command: str, run: Run) -> None:
    """What is necessary is necessary: a right that could be left out is not printed."""
    plain, _ = LINES[command]
    for right in COMMANDS[command].rights:
        if right.resource == "kubevirts":
            continue  # else KubeVirt is found by its pods, where those of all namespaces may be listed
        granted = of_command(command)
        granted.allowed -= {(None, right.group, right.resource, right.verb)}
        results, guard = run(plain, granted)
        assert guard.refused, right
        assert any(result.code == 1 or result.stderr for result in results), right


@pytest.mark.parametrize("verb", ["get", "create"])
def test_port_forwards_take_two_verbs_and_the_hint_names_both(verb: str, run: Run) -> None:
    granted = of_command("controlplanes", "--complete")
    granted.allowed -= {(None, "", "pods/portforward", verb)}
    (result,), guard = run(["controlplanes -n tenants --interval 1s"], granted)

    assert {item.verb for item in guard.refused if item.resource == "pods/portforward"} == {verb}
    assert result.code == 1
    assert "grant: get and create on pods/portforward in tenants" in result.stderr


def test_every_command_is_among_them() -> None:
    assert set(COMMANDS) - set(LINES) == {
        "proxy",
        "proxy --only-names",
    }  # see test_proxy.py, and tests/proxy/test_only_names.py


@pytest.mark.parametrize("more", [[], ["--only-names"]])
def test_the_proxys_role_is_the_same_wherever_it_is_printed(more: list[str]) -> None:
    objects = printed("proxy", *more)
    assert rights.Rights(objects).allowed == of_command(" ".join(["proxy", *more])).allowed


TABLES = ("README.md", "docs/security.md", "kubectl_vmetrics/cli/topics/security.txt")


def test_documentation_names_these_rights() -> None:
    """Every "`verb` on `resource`" that is written anywhere, by the commands of its line, is one of theirs."""
    root = Path(__file__).parents[2]
    pattern = re.compile(
        r"((?:`?(?:get|list|watch|create)`?(?: and |, )?)+) on (?:tenants\' |the tenants\' )?[`*]*([a-z/]+)"
    )
    known = {(right.resource, right.verb) for need in COMMANDS.values() for right in (*need.rights, *need.optional)}
    forwarding = 0
    for name in TABLES:
        text = (root / name).read_text()
        for verbs, resource in pattern.findall(" ".join(text.split())):
            named = set(re.findall("get|list|watch|create", verbs))
            if resource in {item for item, _ in known}:
                assert {(resource, verb) for verb in named} <= known, (name, resource, verbs)
            if resource == "pods/portforward":
                forwarding += 1
                assert named == {"get", "create"}, name
    assert forwarding >= len(TABLES)


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
    text = invoke("manifests", "rbac", "--for=doctor prometheus", "--user=a").stdout
    assert "# services/proxy: its holders can read what Services answer without authentication." in text
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
        (["rbac"], "error: specify who gets the rights with --user, --group or --serviceaccount\n"),
        (
            ["rbac", "--user=a", "--group=b"],
            "error: only one of --user, --group and --serviceaccount can be provided\n",
        ),
        (["rbac", "--for=top", "--user=a"], 'error: --for: unknown command "top"; choose from top pods, top nodes, '),
        (["rbac", "--serviceaccount=a"], "error: --serviceaccount: 'a' is not NAMESPACE:NAME\n"),
        (["metrics-server", "--metric-resolution=5s"], "error: --metric-resolution must be 10s or more\n"),
        (
            ["metrics-server", "--metric-resolution=x"],
            "error: --metric-resolution: 'x' is not a duration (example: 15s, 1m)\n",
        ),
        (
            ["metrics-server", "--kubelet-preferred-address-types=IP"],
            'error: --kubelet-preferred-address-types: unknown type "IP"',
        ),
        (["metrics-server", "--replicas=0"], "error: --replicas must be 1 or more\n"),
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
