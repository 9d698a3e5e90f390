"""A real Prometheus finds the proxy's targets through /sd, scrapes them, and answers in virtual names."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from kubectl_vmetrics.demo import server as demo_server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from tests.proxy.test_proxy import serve

pytestmark = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="prometheus is not on the PATH (Debian: prometheus)"
)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that knows nothing but where /sd is; gives its URL. The recorded samples would be too old for it."""
    folder = tmp_path_factory.mktemp("prometheus")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with demo_server.serving(Apiserver(build(Shape()))) as host, serve(None, host) as proxy:
        config = {
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [
                {"job_name": "vmetrics", "http_sd_configs": [{"url": f"{proxy}/sd", "refresh_interval": "1s"}]}
            ],
        }
        (folder / "prometheus.yml").write_text(json.dumps(config))
        subprocess.run(
            ["promtool", "check", "config", str(folder / "prometheus.yml")], check=True, capture_output=True, timeout=60
        )
        command = [
            "prometheus",
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                yield f"http://127.0.0.1:{port}"
            finally:
                process.terminate()
                process.wait(30)


def query(url: str, expression: str, seconds: float = 40) -> list[dict[str, Any]]:
    """The answer to a query, as soon as there is one."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(
                f"{url}/api/v1/query?query={urllib.parse.quote(expression)}", timeout=5
            ) as answer:
                result: list[dict[str, Any]] = json.loads(answer.read())["data"]["result"]
                if result:
                    return result
        except OSError:
            pass
        time.sleep(0.3)
    raise AssertionError(f"no answer to {expression}")


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

    found = {
        (s["metric"]["vcluster_host_namespace"], s["metric"]["vcluster_name"]) for s in query(prometheus, expression)
    }

    assert found == {("team-a", "shop"), ("team-b", "dev"), ("team-c", "dev")}
