"""/sd: what Prometheus is to scrape, of the host's view and of a tenant's."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from kubectl_vmetrics.demo import server as demo_server
from kubectl_vmetrics.vcluster.identity import VClusterRef
from tests.proxy.test_proxy import get, serve
from tests.replay import Replay

VC1 = VClusterRef("team-a", "vc1")
TEXTS = ["metrics", "metrics/cadvisor", "metrics/resource", "metrics/probes"]
DEFAULT = ["metrics", "metrics/cadvisor", "metrics/probes"]


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with demo_server.serving(Replay("host")) as url:
        yield url


@pytest.fixture(scope="module")
def everything(host: str) -> Iterator[str]:
    with serve(None, host) as url:
        yield url


@pytest.fixture(scope="module")
def inside(host: str) -> Iterator[str]:
    with serve(VC1, host) as url:
        yield url


@pytest.fixture(scope="module")
def named(host: str) -> Iterator[str]:
    with serve(None, host, only_names=True) as url:
        yield url


def discovered(base: str, query: str = "") -> Any:
    status, body = get(f"{base}/sd{query}")
    assert status == 200, body
    return json.loads(body)


def kubelet(base: str, endpoint: str, prefix: str = "", **labels: str) -> dict[str, Any]:
    """A target as it should be."""
    shown = {"job": "kubelet", "metrics_path": f"/{endpoint}", "node": "vm", "instance": "vm", **labels}
    path = f"{prefix}/api/v1/nodes/vm/proxy/{endpoint}"
    return {"targets": [base.removeprefix("http://")], "labels": {"__metrics_path__": path, **shown}}


def own(base: str, path: str, job: str) -> dict[str, Any]:
    return {"targets": [base.removeprefix("http://")], "labels": {"__metrics_path__": path, "job": job}}


def names(base: str) -> dict[str, Any]:
    return own(base, "/metrics/names", "vmetrics-names")


def proxy(base: str) -> dict[str, Any]:
    return own(base, "/metrics", "vmetrics-proxy")


def test_the_host(everything: str) -> None:
    expected = [*(kubelet(everything, name) for name in DEFAULT), names(everything), proxy(everything)]

    assert discovered(everything) == expected


@pytest.mark.parametrize(
    ("asked", "endpoints"),
    [
        ("metrics,metrics/cadvisor,metrics/resource", ["metrics", "metrics/cadvisor", "metrics/resource"]),
        ("metrics/resource", ["metrics/resource"]),
        ("metrics%2Fcadvisor,%20metrics/probes", ["metrics/cadvisor", "metrics/probes"]),
        ("metrics/cadvisor,metrics/cadvisor", ["metrics/cadvisor"]),
    ],
)
def test_endpoints_that_are_asked_for(asked: str, endpoints: list[str], everything: str) -> None:
    assert discovered(everything, f"?endpoints={asked}") == [kubelet(everything, name) for name in endpoints]


def test_names_and_the_proxy_alone(everything: str) -> None:
    assert discovered(everything, "?endpoints=proxy,names") == [proxy(everything), names(everything)]
    assert discovered(everything, "?endpoints=names") == [names(everything)]


def test_a_tenants_view(everything: str) -> None:
    owner = {"vcluster_name": "vc1", "vcluster_host_namespace": "team-a"}
    prefix = "/vclusters/team-a/vc1"

    assert discovered(f"{everything}{prefix}") == [
        {**kubelet(everything, name, prefix, **owner), "targets": [everything.removeprefix("http://")]}
        for name in DEFAULT
    ]
    assert len(discovered(f"{everything}{prefix}", "?endpoints=metrics/resource")) == 1


def test_a_tenants_own_proxy(inside: str) -> None:
    assert discovered(inside) == [*(kubelet(inside, name) for name in DEFAULT), proxy(inside)]
    assert get(f"{inside}/metrics/names")[0] == 400


def test_only_names(named: str) -> None:
    assert discovered(named) == [names(named), proxy(named)]


def test_all_that_is_listed_answers(everything: str, inside: str, named: str) -> None:
    every = ",".join(TEXTS)
    lists = [
        *((base, "") for base in (everything, f"{everything}/vclusters/team-a/vc1", inside, named)),
        *((base, f"?endpoints={every}") for base in (everything, f"{everything}/vclusters/team-a/vc1", inside)),
    ]
    for base, query in lists:
        targets = discovered(base, query)
        assert targets
        for target in targets:
            path = f"http://{target['targets'][0]}{target['labels']['__metrics_path__']}"
            status, body = get(path)
            assert (status, body[:2]) == (200, b"# "), path


KUBELETS = "metrics, metrics/cadvisor, metrics/resource, metrics/probes"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("endpoints=stats/summary", f'unknown endpoint "stats/summary"; supported: {KUBELETS}, names, proxy'),
        ("endpoints=metrics,", f'unknown endpoint ""; supported: {KUBELETS}, names, proxy'),
        (f"endpoints={'a' * 100}", f'unknown endpoint "{"a" * 64}"; supported: {KUBELETS}, names, proxy'),
        ("labelSelector=a", "unsupported query parameter; supported: endpoints"),
        ("&".join(f"a{n}=b" for n in range(20)), "unsupported query parameter; supported: endpoints"),
    ],
)
def test_what_is_not_supported(query: str, message: str, everything: str) -> None:
    status, body = get(f"{everything}/sd?{query}")

    assert (status, json.loads(body)["message"]) == (400, message)


def test_what_a_view_does_not_have(everything: str, inside: str, named: str) -> None:
    for base, asked, supported in (
        (f"{everything}/vclusters/team-a/vc1", "names", KUBELETS),
        (f"{everything}/vclusters/team-a/vc1", "proxy", KUBELETS),
        (inside, "names", f"{KUBELETS}, proxy"),
        (named, "metrics", "names, proxy"),
    ):
        status, body = get(f"{base}/sd?endpoints={asked}")
        found = (status, json.loads(body)["message"])
        assert found == (400, f'unknown endpoint "{asked}"; supported: {supported}'), base
    assert get(f"{everything}/vclusters/team-a/nothing/sd")[0] == 404
    assert get(f"{everything}/metrics/names?a=b")[0] == 400


def test_names_are_those_that_tenants_see(everything: str) -> None:
    """On the recorded host: what each virtual cluster lists as its pods, and nothing else."""
    found = re.findall(
        r'(?m)^vcluster_pod_info\{.*?vcluster_name="(.*?)",vcluster_host_namespace="(.*?)",'
        r'vcluster_virtual_namespace="(.*?)",vcluster_virtual_pod="(.*?)"\} 1$',
        get(f"{everything}/metrics/names")[1].decode(),
    )
    listed = []
    for namespace, name in (("team-a", "vc1"), ("team-b", "vc2")):
        items = json.loads(get(f"{everything}/vclusters/{namespace}/{name}/api/v1/pods")[1])["items"]
        assert items
        listed += [(name, namespace, item["metadata"]["namespace"], item["metadata"]["name"]) for item in items]

    assert sorted(found) == sorted(listed)


def test_names_are_answered_to_head(everything: str) -> None:
    request = urllib.request.Request(f"{everything}/metrics/names", method="HEAD")
    with urllib.request.urlopen(request, timeout=20) as answer:
        shown = (answer.status, answer.headers["Content-Type"], answer.read())
        assert shown == (200, "text/plain; version=0.0.4; charset=utf-8", b"")


# ------------------------------------------------------------------------------------------------------ --only-names


def test_a_proxy_of_names_serves_nothing_else(named: str, everything: str) -> None:
    assert get(f"{named}/metrics/names") == get(f"{everything}/metrics/names")
    assert get(f"{named}/healthz") == get(f"{named}/readyz") == (200, b"ok")
    assert b"vmetrics_proxy_map_objects" in get(f"{named}/metrics")[1]
    for path in (
        "/",
        "/version",
        "/api",
        "/api/v1/nodes",
        "/api/v1/nodes/vm/proxy/metrics/cadvisor",
        "/apis/metrics.k8s.io/v1beta1/pods",
        "/vclusters/team-a/vc1/sd",
        "/vclusters/team-a/vc1/metrics/names",
        "/metrics/names/",
    ):
        status, body = get(f"{named}{path}")
        message = json.loads(body)["message"]
        assert (status, message) == (404, "this proxy serves only /metrics/names, /metrics, /sd"), path


def test_names_of_one_virtual_cluster(host: str) -> None:
    with serve(VC1, host, only_names=True) as url:
        text = get(f"{url}/metrics/names")[1].decode()
        assert discovered(url) == [names(url), proxy(url)]
    lines = [line for line in text.splitlines() if line[0] != "#"]

    assert len(lines) == 7  # five pods, a claim, and the virtual cluster
    assert all('vcluster_name="vc1",vcluster_host_namespace="team-a"' in line for line in lines)
