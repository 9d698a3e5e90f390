"""A real Prometheus finds the proxy's targets through /sd, scrapes them, and answers in virtual names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kubectl_vmetrics.demo import server as demo_server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from tests.prometheus import MISSING, query, running
from tests.proxy.test_proxy import serve

pytestmark = MISSING


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that knows nothing but where /sd is; gives its URL. The recorded samples would be too old for it."""
    with demo_server.serving(Apiserver(build(Shape()))) as host, serve(None, host) as proxy:
        discovery = {"http_sd_configs": [{"url": f"{proxy}/sd", "refresh_interval": "1s"}]}
        config = {"global": {"scrape_interval": "1s"}, "scrape_configs": [{"job_name": "vmetrics", **discovery}]}
        with running(config, tmp_path_factory.mktemp("prometheus")) as url:
            yield url


def test_every_target_is_up(prometheus: str) -> None:
    # Four endpoints of three nodes for the host, and of those nodes on which it has pods for each virtual cluster.
    nodes = {(pod.namespace, pod.node) for pod in build(Shape()).pods if pod.origin}
    query(prometheus, f"count(up) == {4 * (3 + len(nodes))}")

    assert [series["metric"] for series in query(prometheus, "up") if series["value"][1] != "1"] == []


def test_a_tenants_series_carry_the_tenants_names(prometheus: str) -> None:
    expression = (
        'container_memory_working_set_bytes{vcluster_name="shop",job="kubelet-metrics-resource",namespace="shop"}'
    )

    pods = {series["metric"]["pod"] for series in query(prometheus, expression)}

    assert {pod.rsplit("-", 2)[0] if pod.startswith(("cart", "reco")) else pod for pod in pods} == {
        "cart",
        "orders-db-0",
        "recommendations-for-the-landing-page",
    }


def test_the_hosts_series_carry_both(prometheus: str) -> None:
    expression = 'sum by (vcluster_name, vcluster_host_namespace, vcluster_virtual_pod) (container_memory_rss{vcluster_virtual_pod="orders-db-0"})'
    query(prometheus, f"count({expression}) == 3")  # not all targets are scraped at the same moment

    found = {
        (s["metric"]["vcluster_host_namespace"], s["metric"]["vcluster_name"]) for s in query(prometheus, expression)
    }

    assert found == {("team-a", "shop"), ("team-b", "dev"), ("team-c", "dev")}
