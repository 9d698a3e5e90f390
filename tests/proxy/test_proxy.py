"""The proxy: parity, real clients, and what it must refuse."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kubectl_vmetrics.demo import server as demo_server
from kubectl_vmetrics.demo.exchange import Refusal, Reply
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.kubeconfig import Connection
from kubectl_vmetrics.proxy import server
from kubectl_vmetrics.proxy.application import Proxy
from kubectl_vmetrics.proxy.views import Views
from kubectl_vmetrics.vcluster.identity import VClusterRef
from tests.clients.test_kubectl import KUBECTL, kubectl
from tests.conftest import invoke, write_kubeconfig
from tests.replay import RECORDINGS, Replay
from tests.vcluster.rewrite.test_parity import secrets_of_others

VC1 = VClusterRef("team-a", "vc1")
NODE = "/api/v1/nodes/vm/proxy"
METRICS = "/apis/metrics.k8s.io/v1beta1"
LOCAL = re.compile(r"localhost|127\.0\.0\.1")
EVERYTHING = (
    f"{NODE}/stats/summary",
    *(f"{NODE}/{name}" for name in ("metrics", "metrics/cadvisor", "metrics/resource", "metrics/probes")),
    f"{METRICS}/pods",
)


@contextlib.contextmanager
def serve(only: VClusterRef | None, url: str, *, timeout: float | None = None, **more: Any) -> Iterator[str]:
    client = Client(Connection(server=url, timeout=timeout))
    with contextlib.closing(Views(client, only, **more.pop("views", {}))) as views:
        application = Proxy(views, accept_hosts=LOCAL, **more)
        with server.serving(application, "127.0.0.1", 0, None) as proxy:
            yield proxy


@pytest.fixture(scope="module")
def upstream() -> Iterator[tuple[Replay, str]]:
    replay = Replay("host")
    with demo_server.serving(replay) as url:
        yield replay, url


@pytest.fixture(scope="module")
def inside(upstream: tuple[Replay, str]) -> Iterator[str]:
    with serve(VC1, upstream[1]) as url:
        yield url


@pytest.fixture(scope="module")
def everything(upstream: tuple[Replay, str]) -> Iterator[str]:
    with serve(None, upstream[1]) as url:
        yield url


def get(url: str, **headers: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


# ------------------------------------------------------------------------------------------------- what it serves


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not on the PATH")
def test_kubectl_prints_what_it_prints_inside(inside: str, tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path, inside)
    for line in json.loads((RECORDINGS / "kubectl-top" / "vc1.json").read_text()):
        result = kubectl(path, *line["command"].split()[1:])
        assert (result.stdout, result.stderr, result.code) == (line["stdout"], line["stderr"], line["exit"]), line[
            "command"
        ]


def test_our_own_top_through_the_proxy(inside: str, tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path, inside)
    for line in json.loads((RECORDINGS / "kubectl-top" / "vc1.json").read_text()):
        result = invoke(*line["command"].split()[1:], kubeconfig=path)
        assert (result.stdout, result.stderr, result.code) == (line["stdout"], line["stderr"], line["exit"])


def test_each_view_has_a_place_of_its_own(everything: str, inside: str) -> None:
    for path in EVERYTHING:
        assert get(f"{everything}/vclusters/team-a/vc1{path}")[0] == 200
        if path != f"{METRICS}/pods":
            assert get(f"{everything}/vclusters/team-a/vc1{path}") == get(f"{inside}{path}")
    assert b"vcluster_virtual_pod=" in get(f"{everything}{NODE}/metrics/cadvisor")[1]
    assert b"vcluster_virtual_pod=" not in get(f"{inside}{NODE}/metrics/cadvisor")[1]


def test_nothing_of_others_is_ever_served(inside: str, everything: str) -> None:
    for base in (inside, f"{everything}/vclusters/team-a/vc1"):
        for path in (
            *EVERYTHING,
            "/api/v1/nodes",
            "/api",
            "/apis",
            f"{METRICS}/nodes",
            f"{METRICS}/namespaces/shop/pods",
        ):
            _, body = get(f"{base}{path}")
            assert [secret for secret in secrets_of_others() if secret.encode() in body] == [], path


def test_expositions_can_be_parsed(inside: str, everything: str) -> None:
    for url in (f"{inside}{NODE}/metrics/cadvisor", f"{everything}{NODE}/metrics", f"{everything}/metrics"):
        status, body = get(url)
        assert status == 200
        assert list(text_string_to_metric_families(body.decode()))


def test_service_discovery_lists_what_answers(everything: str) -> None:
    targets = json.loads(get(f"{everything}/sd")[1])

    assert len(targets) == 3 * 4  # the host and two virtual clusters, four endpoints of one node
    for target in targets:
        assert get(f"http://{target['targets'][0]}{target['labels']['__metrics_path__']}")[0] == 200
    assert {target["labels"].get("vcluster_name") for target in targets} == {None, "vc1", "vc2"}


def test_health_and_its_own_metrics(inside: str) -> None:
    assert get(f"{inside}/healthz") == (200, b"ok")
    assert get(f"{inside}/readyz") == (200, b"ok")
    text = get(f"{inside}/metrics")[1].decode()
    assert 'vmetrics_proxy_requests_total{code="200"}' in text
    assert "vmetrics_proxy_map_objects 6\n" in text  # five pods and a claim


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on the PATH (Debian: prometheus)")
def test_promtool_accepts_every_exposition(inside: str, everything: str) -> None:
    for url in (f"{inside}{NODE}/metrics/resource", f"{everything}{NODE}/metrics/cadvisor", f"{everything}/metrics"):
        done = subprocess.run(
            ["promtool", "check", "metrics"], input=get(url)[1], capture_output=True, timeout=60, check=False
        )
        assert b"error while linting" not in done.stderr
        assert done.returncode in (0, 3), done.stderr  # 3: the kubelet's own style is not to its taste


def test_head_and_many_at_once(inside: str) -> None:
    request = urllib.request.Request(f"{inside}{NODE}/metrics/cadvisor", method="HEAD")
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert (answer.status, answer.read()) == (200, b"")
    results: list[tuple[int, int]] = []

    def scrape() -> None:
        status, body = get(f"{inside}{NODE}/metrics/cadvisor")
        results.append((status, len(body)))

    threads = [threading.Thread(target=scrape) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 100
    assert len(set(results)) == 1
    assert results[0][0] == 200


# ------------------------------------------------------------------------------------------------ what it refuses


def raw(url: str, request: str) -> int:
    """The status of a request that is sent as it is written."""
    import socket

    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as peer:
        peer.sendall(request.encode())
        answer = http.client.HTTPResponse(peer)
        answer.begin()
        return answer.status


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/secrets",
        "/api/v1/namespaces/team-a/pods/vc1-0",
        "/api/v1/namespaces/team-a/secrets",
        "/api/v1/nodes/vm/proxy/pods",
        "/api/v1/nodes/vm/proxy/run/team-a/vc1-0/syncer",
        "/api/v1/nodes/vm/proxy/metrics/../pods",
        "/api/v1/nodes/vm/proxy/metrics/%2e%2e/pods",
        "/api/v1/nodes/vm/proxy//pods",
        "/api/v1/nodes/vm%2Fproxy%2Fpods/proxy/metrics",
        "/api/v1/nodes/other/proxy/metrics",
        "/apis/metrics.k8s.io/v1beta1/namespaces/team-a/pods/vc1-0",
        "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods/cart-785676477c-44qqg",
        "/vclusters/team-b/vc2/apis/metrics.k8s.io/v1beta1/pods",
        "/../../etc/passwd",
        "http://169.254.169.254/latest/meta-data",
        "/apis/metrics.k8s.io/v1beta1/pods?watch=true",
        "/apis/metrics.k8s.io/v1beta1/pods?fieldSelector=spec.nodeName%3Dvm",
    ],
)
def test_other_paths(path: str, inside: str) -> None:
    assert raw(inside, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") in (400, 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"])
def test_other_verbs(method: str, inside: str) -> None:
    assert raw(inside, f"{method} {METRICS}/pods HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") in (
        400,
        405,
    )


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8001", "127.0.0.1.evil.example", ""])
def test_foreign_hosts(host: str, inside: str) -> None:
    assert raw(inside, f"GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n") == 403


def test_upgrades(inside: str) -> None:
    request = f"GET {METRICS}/pods HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert raw(inside, request) == 400


def test_a_token(upstream: tuple[Replay, str]) -> None:
    with serve(VC1, upstream[1], token="0123456789abcdef") as url:
        assert get(f"{url}{METRICS}/pods")[0] == 401
        assert get(f"{url}{METRICS}/pods", Authorization="Bearer wrong")[0] == 401
        assert get(f"{url}/metrics")[0] == 401
        assert get(f"{url}{METRICS}/pods", Authorization="Bearer 0123456789abcdef")[0] == 200


def test_isolation(upstream: tuple[Replay, str]) -> None:
    with serve(VC1, upstream[1], views={"isolate": True}) as url:
        assert b'pod=""' not in get(f"{url}{NODE}/metrics/cadvisor")[1]
        assert json.loads(get(f"{url}{METRICS}/nodes")[1])["items"] == []


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (
            Refusal(
                503,
                "ServiceUnavailable",
                "error trying to reach service: dial tcp 10.244.0.1:10250: connect: connection refused",
            ),
            502,
        ),
        (Refusal(403, "Forbidden", 'nodes "vm" is forbidden: User "team-a-operator" cannot get'), 502),
        (Reply(200, b"<html>", "text/html"), 502),
    ],
    ids=["node down", "no right", "no JSON"],
)
def test_faults_of_the_host(failure: Any, code: int, upstream: tuple[Replay, str], inside: str) -> None:
    replay, _ = upstream
    replay.override[f"{NODE}/stats/summary"] = failure
    try:
        status, body = get(f"{inside}{NODE}/stats/summary")
        assert status == code
        assert b"team-a" not in body
        assert b"10.244" not in body
        assert get(f"{inside}{METRICS}/pods")[0] == 200  # what is good is served
    finally:
        replay.override.clear()
    assert b'vmetrics_proxy_upstream_errors_total{upstream="kubelet"} 0\n' not in get(f"{inside}/metrics")[1]


# --------------------------------------------------------------------------------------------------- the command


@pytest.mark.parametrize(
    ("args", "stderr"),
    [
        (
            ["--address=0.0.0.0"],
            "error: 0.0.0.0 can be reached from elsewhere: that takes --token-file, --tls-cert-file, --tls-private-key-file\n",
        ),
        (["--port=99999"], "error: --port: 99999 is no port\n"),
        (["--token-file=/nope"], "error: --token-file: /nope cannot be read\n"),
        (["--tls-cert-file=/nope"], "error: --tls-cert-file and --tls-private-key-file go together\n"),
        (
            ["--accept-hosts=("],
            "error: --accept-hosts: not a regular expression: missing ), unterminated subpattern at position 0\n",
        ),
    ],
)
def test_bad_input(args: list[str], stderr: str) -> None:
    assert invoke("proxy", *args) == (1, "", stderr)
