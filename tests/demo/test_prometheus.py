"""The demo's Prometheus: what it answers, to whom, and that its counts are those of the demo."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from kubectl_vmetrics.demo import engine
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from tests.demo.asking import answer, ask, refused

BASE = "/api/v1/namespaces/monitoring/services/http:prometheus-k8s:9090/proxy/api/v1"
CPU = "container_cpu_usage_seconds_total"


@pytest.fixture(scope="module")
def demo() -> Apiserver:
    return Apiserver(build(Shape(nodes=2, pods=20, vclusters=2, machines=0, tenants=0)), clock=lambda: 1764000000.5)


def result(demo: Apiserver, expression: str) -> list[Any]:
    found = answer(demo, f"{BASE}/query", urlencode({"query": expression}))
    assert (found["status"], found["data"]["resultType"]) == ("success", "vector")
    listed: list[Any] = found["data"]["result"]
    return listed


def test_counts_are_those_of_the_demo(demo: Apiserver) -> None:
    pods = demo.world.pods
    synced = sum(pod.origin is not None for pod in pods)

    assert 0 < synced < len(pods)
    assert result(demo, "count(count by (uid) (kube_pod_info))") == [
        {"metric": {}, "value": [1764000000.5, str(len(pods))]}
    ]
    assert result(demo, 'count(kube_pod_labels{x!=""})')[0]["value"][1] == str(synced)
    assert result(demo, "count(kube_pod_owner)")[0]["value"][1] == str(synced)
    assert result(demo, f"count by (job, metrics_path) (count by (job, metrics_path, instance, node) ({CPU}))") == [
        {"metric": {"job": "kubelet", "metrics_path": "/metrics/cadvisor"}, "value": [1764000000.5, "2"]}
    ]
    assert result(demo, "count(vcluster_pod_info)")[0]["value"][1] == str(synced)


def test_without_a_prometheus_it_says_what_to_install(demo: Apiserver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    status, _, body = ask(demo, f"{BASE}/query", urlencode({"query": "rate(up[5m])"}))

    assert (status, json.loads(body)) == (
        "503 Service Unavailable",
        {"status": "error", "errorType": "unavailable", "error": engine.MISSING},
    )
    assert ask(demo, f"{BASE}/admin/tsdb/snapshot")[0] == "404 Not Found"


def test_who_may_ask_it(demo: Apiserver) -> None:
    """As on a real cluster, the role view does not hold services/proxy."""
    assert "job" in answer(demo, f"{BASE}/labels", AUTHORIZATION="Bearer demo-kubernetes-admin")["data"]
    refusal = refused(demo, f"{BASE}/labels", AUTHORIZATION="Bearer demo-viewer")
    assert (refusal["code"], refusal["reason"]) == (403, "Forbidden")
    expected = 'User "viewer" cannot get resource "services/proxy" in API group "" in the namespace "monitoring"'
    assert expected in refusal["message"]
