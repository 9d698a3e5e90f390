"""`manifests proxy`: what it prints is complete, safe, and allows what the proxy asks for and no more."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from kubectl_vmetrics.cli.main import root
from kubectl_vmetrics.demo import server as demo_server
from kubectl_vmetrics.demo.exchange import Refusal
from kubectl_vmetrics.metrics import quantity
from kubectl_vmetrics.proxy import server
from kubectl_vmetrics.vcluster.identity import VClusterRef
from tests.abuse.bench import MEMORY
from tests.conftest import invoke
from tests.proxy.test_proxy import EVERYTHING, get, serve
from tests.replay import Replay
from tests.rights import Rights, request

VC1 = VClusterRef("team-a", "vc1")


def printed(*args: str) -> list[dict[str, Any]]:
    result = invoke("manifests", "proxy", "--image=example/vmetrics:1", *args)
    assert (result.code, result.stderr) == (0, "")
    return list(yaml.safe_load_all(result.stdout))


def of_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next(item for item in objects if item["kind"] == kind)


class Guarded(Replay):
    """The recorded host, with RBAC."""

    def __init__(self, rights: Rights) -> None:
        super().__init__("host")
        self.rights = rights
        self.refused: list[str] = []

    def _answer(self, path: str, query: dict[str, str], accept: str, user: str) -> Any:
        asked = request(path + ("?watch=1" if query.get("watch") else ""))
        if asked and not self.rights.allow(asked):
            self.refused.append(path)
            raise Refusal(403, "Forbidden", f"{asked.resource} is forbidden")
        return super()._answer(path, query, accept, user)


@contextlib.contextmanager
def running(rights: Rights, only: VClusterRef | None, *, isolate: bool = False) -> Iterator[tuple[Guarded, str]]:
    host = Guarded(rights)
    with demo_server.serving(host) as url, serve(only, url, views={"isolate": isolate}) as proxy:
        yield host, proxy


@pytest.mark.parametrize("only", [None, VC1])
def test_the_rights_are_enough_and_the_least(only: VClusterRef | None) -> None:
    rights = Rights(printed(*([f"--vcluster={only.path}"] if only else [])))
    with running(rights, only) as (host, url):
        paths = [*EVERYTHING, "/api/v1/pods", "/api/v1/nodes", "/api/v1/nodes/vm", "/apis/metrics.k8s.io/v1beta1/nodes"]
        paths += ["/apis/metrics.k8s.io/v1beta1/nodes/vm", "/sd", "/readyz"]
        for path in paths:
            assert get(f"{url}{path}")[0] == 200, path
        if only is None:
            for path in EVERYTHING:
                assert get(f"{url}/vclusters/team-a/vc1{path}")[0] == 200, path

    assert host.refused == []
    # Used only where something is younger than the map, or where kubectl asks for one object; --vcluster looks at
    # workloads when the process starts.
    seldom = {"pods", "persistentvolumeclaims"}
    unused = {rule for rule in rights.allowed - rights.used if not (rule[2] in seldom and rule[3] == "get")}
    assert {rule[1] for rule in unused} <= ({"apps"} if only else set())
    assert {verb for *_, verb in rights.allowed} == {"get", "list", "watch"}
    if only:
        assert {rule[0] for rule in rights.allowed if rule[2] in (*seldom, "statefulsets")} == {"team-a"}


def test_isolated_it_needs_no_usage_of_nodes() -> None:
    rights = Rights(printed(f"--vcluster={VC1.path}", "--isolate"))
    with running(rights, VC1, isolate=True) as (host, url):
        for path in (
            *EVERYTHING,
            "/api/v1/pods",
            "/api/v1/nodes",
            "/apis/metrics.k8s.io/v1beta1/nodes",
            "/sd",
            "/readyz",
        ):
            assert get(f"{url}{path}")[0] == 200, path
        assert get(f"{url}/api/v1/nodes/vm")[0] == 200  # made of the tenant's own pods
        assert get(f"{url}/apis/metrics.k8s.io/v1beta1/nodes/vm")[0] == 404

    assert host.refused == []
    unused = {rule for rule in rights.allowed - rights.used if rule[2] not in ("pods", "persistentvolumeclaims")}
    assert {rule[1] for rule in unused} <= {"apps"}
    assert not [rule for rule in rights.allowed if rule[1:3] in (("metrics.k8s.io", "nodes"), ("", "nodes"))]


def test_a_target_namespace_has_a_role_of_its_own() -> None:
    objects = printed("--vcluster=team-a/vc1", "--target-namespace=pods-of-a=team-a/vc1")
    rights = Rights(objects)

    args = of_kind(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "--target-namespace=pods-of-a=team-a/vc1" in args
    assert {rule[1:3] for rule in rights.allowed if rule[0] == "pods-of-a"} == {
        ("", "pods"),
        ("", "persistentvolumeclaims"),
        ("metrics.k8s.io", "pods"),
    }


def test_the_pod_is_locked_down() -> None:
    spec = of_kind(printed(), "Deployment")["spec"]
    pod = spec["template"]["spec"]
    container = pod["containers"][0]

    assert spec["replicas"] == 2
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"readinessProbe", "livenessProbe", "resources"} <= container.keys()


def test_probes_are_the_proxys_own_and_pods_end_in_time() -> None:
    """Probes ask what needs no kubelet, with time for a busy moment, and a pod has the time that draining takes."""
    pod = of_kind(printed(), "Deployment")["spec"]["template"]["spec"]
    container = pod["containers"][0]

    assert {kind: container[kind]["httpGet"]["path"] for kind in container if kind.endswith("Probe")} == {
        "readinessProbe": "/readyz",
        "livenessProbe": "/healthz",
        "startupProbe": "/healthz",
    }
    for kind in ("readinessProbe", "livenessProbe"):
        assert container[kind]["timeoutSeconds"] == 5
        assert container[kind]["failureThreshold"] >= 3
    assert pod["terminationGracePeriodSeconds"] >= server.LINGER + server.DRAIN + 5
    assert container["resources"]["limits"] == {"memory": "512Mi"}
    assert quantity.memory_bytes("512Mi") >= 2 * MEMORY * 2**20


@pytest.mark.parametrize(
    ("args", "source"),
    [
        ([], {}),
        (
            ["--from-namespace=monitoring", "--from-namespace=team-a"],
            {
                "matchExpressions": [
                    {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["monitoring", "team-a"]}
                ]
            },
        ),
    ],
)
def test_the_network_is_closed_but_for_clients_the_apiserver_and_dns(args: list[str], source: dict[str, Any]) -> None:
    objects = printed(*args)
    policy = of_kind(objects, "NetworkPolicy")["spec"]
    pod = of_kind(objects, "Deployment")["spec"]["template"]

    assert policy["podSelector"]["matchLabels"] == pod["metadata"]["labels"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    port = pod["spec"]["containers"][0]["ports"][0]["containerPort"]
    assert policy["ingress"] == [
        {"from": [{"namespaceSelector": source}], "ports": [{"port": port, "protocol": "TCP"}]}
    ]
    dns, apiserver = policy["egress"]
    assert dns["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}]
    assert {(item["port"], item["protocol"]) for item in dns["ports"]} == {(53, "UDP"), (53, "TCP")}
    assert [item["port"] for item in apiserver["ports"]] == [443, 6443, 8443, 16443]


def test_the_arguments_are_the_commands_own() -> None:
    import click

    args = of_kind(printed("--vcluster=team-a/vc1", "--isolate", "--name=vmetrics-proxy"), "Deployment")["spec"][
        "template"
    ]["spec"]["containers"][0]["args"]
    assert args[0] == "proxy"
    command = root.get_command(click.Context(root), "proxy")
    assert command is not None
    known = {option for parameter in command.params for option in parameter.opts}
    assert {arg.partition("=")[0] for arg in args[1:]} <= known
    hosts = re.compile(next(arg for arg in args if arg.startswith("--accept-hosts=")).partition("=")[2])
    for host in ("vmetrics-proxy", "vmetrics-proxy.vmetrics", "vmetrics-proxy.vmetrics.svc.cluster.local", "10.1.2.3"):
        assert hosts.fullmatch(host)
    for host in ("evil.example", "vmetrics-proxy.other.svc", "10.1.2.3.evil.example"):
        assert not hosts.fullmatch(host)


def test_everything_hangs_together() -> None:
    objects = printed("-n", "monitoring", "--name=vm", "--token-secret=t", "--tls-secret=s")
    deployment, service = of_kind(objects, "Deployment"), of_kind(objects, "Service")
    labels = deployment["spec"]["template"]["metadata"]["labels"]

    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"] == labels
    assert {item["metadata"].get("namespace", "monitoring") for item in objects} == {"monitoring"}
    assert [volume["secret"]["secretName"] for volume in deployment["spec"]["template"]["spec"]["volumes"][:2]] == [
        "t",
        "s",
    ]
    for item in objects:
        if item["kind"].endswith("Binding"):
            assert item["subjects"] == [{"kind": "ServiceAccount", "name": "vm", "namespace": "monitoring"}]


def test_json_and_one_replica() -> None:
    result = invoke("manifests", "proxy", "--image=a", "--replicas=1", "-o", "json")

    kinds = [item["kind"] for item in json.loads(result.stdout)["items"]]
    assert kinds == ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Deployment", "Service", "NetworkPolicy"]
    assert "&id" not in invoke("manifests", "proxy", "--image=a").stdout


@pytest.mark.parametrize(
    ("args", "stderr"),
    [
        ([], "error: --image is required: the image of this plugin\n"),
        (["--image=a", "--replicas=0"], "error: --replicas must be 1 or more\n"),
        (
            ["--image=a", "--vcluster=vc1"],
            'error: --vcluster: "vc1" is not HOSTNS/NAME; the roles need the host namespace\n',
        ),
        (
            ["--image=a", "--vcluster=a/vc1", "--target-namespace=b=a/vc2"],
            "error: --target-namespace: with --vcluster, only namespaces of a/vc1\n",
        ),
        (
            ["--image=a", "--name=A b"],
            "error: --name: 'A b' is not a valid name: use lower case letters, digits and '-', at most 63 characters\n",
        ),
        (["--image=a", "-o", "table"], "error: -o table: manifests are printed as yaml or json\n"),
    ],
)
def test_bad_input(args: list[str], stderr: str) -> None:
    assert invoke("manifests", "proxy", *args) == (1, "", stderr)
