"""metrics.k8s.io/v1 and v1beta1: a cluster may serve either or both, and nothing but the requests differs."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubectl_vmetrics.cli.demo import METRICS_APIS
from kubectl_vmetrics.demo import server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.breakage import BREAKS
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.demo.exchange import Change, Reply, Request
from kubectl_vmetrics.kube import discovery
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.discovery import ApiResource
from kubectl_vmetrics.kube.kubeconfig import Connection
from kubectl_vmetrics.metrics import metrics_api
from kubectl_vmetrics.metrics.metrics_api import PodMetrics, Scope
from kubectl_vmetrics.vcluster.identity import VClusterRef
from tests.cli.test_completion import values
from tests.clients.test_kubectl import KUBECTL, kubectl
from tests.conftest import invoke, write_kubeconfig
from tests.demo.asking import START
from tests.proxy.test_proxy import get, serve
from tests.replay import RECORDINGS

GROUP = "/apis/metrics.k8s.io"
SHOP = VClusterRef("team-a", "shop")


class Host:
    """A demo cluster whose clock stands still, and the paths that were asked for."""

    def __init__(self, versions: tuple[str, ...], now: float) -> None:
        shape = Shape(pods=30, vclusters=2, machines=0, tenants=0, metrics_api=versions)
        self.apiserver = Apiserver(build(shape), clock=lambda: now)
        self.seen: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        self.seen.append(environ["PATH_INFO"])
        return self.apiserver(environ, start_response)

    def asked(self) -> list[str]:
        """What was asked of metrics.k8s.io since the last time."""
        seen, self.seen = self.seen, []
        return [path for path in seen if path == "/apis" or path.startswith(GROUP)]


@contextlib.contextmanager
def serving(choice: str, now: float = START) -> Iterator[tuple[Host, str]]:
    host = Host(METRICS_APIS[choice], now)
    with server.serving(host) as url:
        yield host, url


@pytest.fixture(scope="module", params=list(METRICS_APIS))
def host(request: pytest.FixtureRequest) -> Iterator[tuple[str, Host, str]]:
    with serving(request.param) as (found, url):
        yield request.param, found, url


@pytest.fixture(scope="module")
def usual() -> Iterator[str]:
    with serving("v1beta1") as (_, url):
        yield url


@pytest.mark.parametrize(
    "args",
    [
        ("top", "pods", "-A"),
        ("top", "pods", "--vcluster", "shop"),
        ("top", "pods", "shop-0", "-n", "team-a"),
        ("top", "pods", "-A", "-l", "app=cart"),
        ("top", "nodes"),
        ("top", "vclusters"),
        ("top", "pods", "nope", "-n", "team-a"),
    ],
    ids=" ".join,
)
def test_tables_are_the_same(args: tuple[str, ...], host: tuple[str, Host, str], usual: str, tmp_path: Path) -> None:
    expected = invoke(*args, kubeconfig=write_kubeconfig(tmp_path, usual))
    assert ("nope" in args) == (expected.code == 1)

    assert invoke(*args, kubeconfig=write_kubeconfig(tmp_path, host[2])) == expected


def test_only_a_host_without_v1beta1_takes_more_requests(host: tuple[str, Host, str], tmp_path: Path) -> None:
    choice, found, url = host
    path = write_kubeconfig(tmp_path, url)
    found.asked()

    invoke("top", "pods", "-n", "team-a", kubeconfig=path)

    pods = f"{GROUP}/{{}}/namespaces/team-a/pods"
    first = pods.format("v1beta1")
    assert found.asked() == ([first, "/apis", pods.format("v1")] if choice == "v1" else [first])


def test_a_watch_looks_for_the_version_once() -> None:
    with serving("v1") as (host, url):
        client = Client(Connection(server=url))
        for _ in range(3):
            assert len(metrics_api.pods(client, Scope("team-a"), PodMetrics)[0]) > 3

        assert host.asked() == [
            f"{GROUP}/v1beta1/namespaces/team-a/pods",
            "/apis",
            *[f"{GROUP}/v1/namespaces/team-a/pods"] * 3,
        ]


def down(version: str) -> Change:
    """The backend of one version is gone: its APIService is not available, and discovery calls it stale."""

    def change(request: Request, answer: Any) -> Reply:
        if request.path.startswith(f"{GROUP}/{version}/"):
            return Reply(503, b"service unavailable\n", "text/plain; charset=utf-8")
        reply: Reply = answer(request)
        if request.path == "/apis":
            body = json.loads(reply.body)
            for item in body["items"]:
                for each in item["versions"]:
                    if (item["metadata"]["name"], each["version"]) == ("metrics.k8s.io", version):
                        each["freshness"] = "Stale"
            return reply._replace(body=json.dumps(body).encode())
        if request.path.endswith(f"apiservices/{version}.metrics.k8s.io"):
            body = json.loads(reply.body)
            condition = {"status": "False", "reason": "ServiceNotFound", "message": 'service/old in "x" is not present'}
            body["status"]["conditions"][0].update(condition)
            return reply._replace(body=json.dumps(body).encode())
        return reply

    return change


@pytest.mark.parametrize(("version", "other"), [("v1beta1", "v1"), ("v1", "v1beta1")])
def test_a_version_that_was_left_behind_does_not_matter(version: str, other: str, tmp_path: Path) -> None:
    """As for kubectl, which sees in discovery what is current; doctor reports it."""
    with serving("both", time.time()) as (host, url):
        path = write_kubeconfig(tmp_path, url)
        before = invoke("top", "pods", "-A", kubeconfig=path)
        host.apiserver.change = down(version)

        assert invoke("top", "pods", "-A", kubeconfig=path) == before
        found = json.loads(invoke("doctor", "metrics-api", "-o", "json", kubeconfig=path).stdout)["items"]

    text = f"{version}.metrics.k8s.io is not available, {other}.metrics.k8s.io is: ServiceNotFound: "
    assert {item["id"]: item["found"] for item in found if item["result"] in ("WARN", "FAIL")} == {
        "VM105": text + 'service/old in "x" is not present'
    }


def test_both_down(tmp_path: Path) -> None:
    with serving("both") as (host, url):
        path = write_kubeconfig(tmp_path, url)
        host.apiserver.change = lambda request, answer: down("v1")(request, lambda r: down("v1beta1")(r, answer))

        result = invoke("top", "pods", "-A", kubeconfig=path)

    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[0] == "error: Metrics API not available"


@pytest.mark.parametrize("choice", METRICS_APIS)
def test_the_doctor_is_content(choice: str, tmp_path: Path) -> None:
    with serving(choice, time.time()) as (_, url):
        result = invoke("doctor", "metrics-api", "-o", "json", kubeconfig=write_kubeconfig(tmp_path, url))

    shown = {item["id"]: (item["result"], item["found"]) for item in json.loads(result.stdout)["items"]}
    assert {text for text, _ in shown.values()} == {"PASS", "SKIP"}
    both = "the APIServices v1beta1.metrics.k8s.io and v1.metrics.k8s.io are available (Passed)"
    assert {key: shown[key] for key in ("VM102", "VM105")} == {
        "VM102": ("PASS", "metrics.k8s.io is served by kube-system/metrics-server"),
        "VM105": ("PASS", both if choice == "both" else "the APIService is available (Passed)"),
    }


@pytest.mark.parametrize("name", ["no-metrics-server", "service-missing", "other-adapter"])
def test_what_breaks_v1beta1_breaks_v1(name: str, tmp_path: Path) -> None:
    with serving("v1", time.time()) as (host, url):
        host.apiserver.change = BREAKS[name].change
        result = invoke("doctor", "metrics-api", "-o", "json", kubeconfig=write_kubeconfig(tmp_path, url))

    found = [item for item in json.loads(result.stdout)["items"] if item["result"] in ("WARN", "FAIL")]
    assert [item["id"] for item in found] == [BREAKS[name].check]
    if name == "other-adapter":
        assert found[0]["remedy"].endswith("kubectl delete apiservice v1.metrics.k8s.io")


def test_completion(host: tuple[str, Host, str], tmp_path: Path) -> None:
    choice, _, url = host
    path = write_kubeconfig(tmp_path, url)

    def complete(*words: str) -> Any:
        return invoke("__complete", *words, kubeconfig=path, HOME=str(tmp_path))

    assert "shop-0" in values(complete, "top", "pods", "-n", "team-a", "")
    shown = "v1" if choice == "v1" else "v1beta1"
    assert f"{GROUP}/{shown}/pods" in values(complete, "raw", "")


# ---------------------------------------------------------------------------------------------- discovery, the proxy


@pytest.mark.parametrize("name", ["apis.json", "apis-metrics.k8s.io.json"])
def test_groups_are_listed_as_a_real_apiserver_lists_them(name: str) -> None:
    real = json.loads((RECORDINGS / "host" / name).read_text())
    groups = real.get("groups", [real])
    resources = [
        ApiResource(group["name"], version["version"], "things", "Thing", True)
        for group in groups
        for version in group["versions"]
    ]

    found = discovery.document(resources, "/" + name.removesuffix(".json").replace("-", "/", 1), "application/json")

    assert found is not None
    assert found[0] == real


def test_a_stable_version_is_preferred() -> None:
    resources = [ApiResource("metrics.k8s.io", version, "pods", "PodMetrics", True) for version in ("v1beta1", "v1")]

    plain = discovery.document(resources, "/apis", "application/json")
    aggregated = discovery.document(resources, "/apis", discovery.AGGREGATED)

    assert plain
    assert [item["preferredVersion"]["version"] for item in plain[0]["groups"]] == ["v1"]
    assert aggregated
    assert [each["version"] for each in aggregated[0]["items"][0]["versions"]] == ["v1", "v1beta1"]


def test_the_proxy_serves_what_the_host_serves(host: tuple[str, Host, str], usual: str) -> None:
    choice, _, url = host
    with serve(SHOP, url) as served, serve(SHOP, usual) as expected:
        group = json.loads(get(served + GROUP)[1])
        pods = get(f"{expected}{GROUP}/v1beta1/pods")
        answers = {version: get(f"{served}{GROUP}/{version}/pods") for version in ("v1", "v1beta1")}

    versions = METRICS_APIS[choice]
    assert [each["version"] for each in group["versions"]] == list(versions)
    assert group["preferredVersion"]["version"] == versions[0]
    assert pods[0] == 200
    for version, answer in answers.items():
        as_usual = (200, pods[1].replace(b"metrics.k8s.io/v1beta1", b"metrics.k8s.io/%s" % version.encode()))
        assert answer == as_usual if version in versions else answer[0] == 404


def test_the_proxy_starts_while_the_hosts_metrics_api_is_down() -> None:
    with serving("v1beta1") as (host, url), serve(SHOP, url) as served:
        host.apiserver.change = down("v1beta1")

        assert [each["version"] for each in json.loads(get(served + GROUP)[1])["versions"]] == ["v1beta1"]


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")
def test_kubectl_inside_asks_for_v1(tmp_path: Path) -> None:
    with serving("both") as (host, url), serve(SHOP, url) as served:
        host.asked()
        result = kubectl(write_kubeconfig(tmp_path, served), "get", "pods.metrics.k8s.io", "-A")

        assert (result.code, result.stderr) == (0, "")
        assert result.stdout.count("\n") > 3
        assert f"{GROUP}/v1/namespaces/team-a/pods" in host.asked()
