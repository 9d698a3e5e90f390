"""The proxy: parity, real clients, and what it must refuse."""

from __future__ import annotations

import contextlib
import gc
import http.client
import json
import math
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kubectl_vmetrics.demo import server as demo_server
from kubectl_vmetrics.demo.exchange import Refusal, Reply
from kubectl_vmetrics.kube import reflector
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.kubeconfig import Connection
from kubectl_vmetrics.proxy import application, server
from kubectl_vmetrics.proxy.application import Proxy
from kubectl_vmetrics.proxy.flights import Flights
from kubectl_vmetrics.proxy.limits import Limits
from kubectl_vmetrics.proxy.views import Views
from kubectl_vmetrics.vcluster.identity import VClusterRef
from tests.clients.test_kubectl import KUBECTL, kubectl
from tests.conftest import invoke, write_kubeconfig
from tests.kube.test_reflector import soon, taken
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
    # What a test changes about the host is to be seen at once; test_flight has what requests share.
    views = Views(client, only, **{"flights": Flights(age=-math.inf), **more.pop("views", {})})
    limits = more.pop("limits", None)
    proxy = Proxy(views, accept_hosts=LOCAL, **more)
    with contextlib.closing(views), server.serving(proxy, "127.0.0.1", 0, None, limits) as served:
        yield served


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


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not on the PATH")
def test_kubectl_gets_tables_and_finds_nothing_where_there_is_nothing(inside: str, tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path, inside)

    table = kubectl(path, "get", "pods.metrics.k8s.io", "-n", "shop")
    one = kubectl(path, "get", "nodes.metrics.k8s.io", "vm")
    nothing = kubectl(path, "top", "pods", "-n", "nowhere")
    missing = kubectl(path, "top", "pods", "nothing", "-n", "shop")

    assert table.stdout.splitlines()[0].split() == ["NAME", "CPU", "MEMORY", "WINDOW"]
    cells = [line.split() for line in table.stdout.splitlines()[1:]]
    assert {row[0] for row in cells} == {
        item["metadata"]["name"] for item in json.loads(get(f"{inside}{METRICS}/namespaces/shop/pods")[1])["items"]
    }
    assert all(re.fullmatch(r"\d+[num]?", cpu) and memory.endswith("i") for _, cpu, memory, _ in cells)
    assert one.stdout.splitlines()[1].split()[0] == "vm"
    assert (nothing.code, nothing.stdout, nothing.stderr) == (0, "", "No resources found in nowhere namespace.\n")
    assert (missing.code, missing.stderr) == (1, 'Error from server (NotFound): pods "nothing" not found\n')


def test_pods_hold_no_more_than_top_needs(inside: str) -> None:
    items = json.loads(get(f"{inside}/api/v1/pods")[1])["items"]

    assert len(items) == 5
    assert {key for item in items for key in item["metadata"]} == {"name", "namespace", "labels", "creationTimestamp"}
    assert {key for item in items for key in item} == {"metadata", "status"}
    assert get(f"{inside}/api/v1/namespaces/shop/pods/{items[0]['metadata']['name']}")[0] in (200, 404)


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
    assert raw(inside, f"GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n") == 403


def test_upgrades(inside: str) -> None:
    request = f"GET {METRICS}/pods HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert raw(inside, request) == 400


def test_a_token(upstream: tuple[Replay, str]) -> None:
    with serve(VC1, upstream[1], token=lambda: "0123456789abcdef") as url:
        assert get(f"{url}{METRICS}/pods")[0] == 401
        assert get(f"{url}{METRICS}/pods", Authorization="Bearer wrong")[0] == 401
        assert get(f"{url}/metrics")[0] == 401
        assert get(f"{url}/healthz") == get(f"{url}/readyz", Host="10.244.0.7") == (200, b"ok")
        assert get(f"{url}{METRICS}/pods", Authorization="Bearer 0123456789abcdef")[0] == 200


SECRET_WORDS = "the pod victim-0 of team-b on 10.244.9.9"


NAMED_AFTER = {
    f"{NODE}/stats/summary": f"{NODE}/stats/summary",
    f"{NODE}/metrics/cadvisor": f"{NODE}/metrics/cadvisor",
    f"{METRICS}/pods": f"{METRICS}/namespaces/team-a/pods",
    f"{METRICS}/nodes": f"{METRICS}/nodes",
    f"{METRICS}/nodes/vm": f"{METRICS}/nodes/vm",
    "/api/v1/nodes": "/api/v1/nodes",
    "/api/v1/nodes/vm": "/api/v1/nodes/vm",
}
"""Paths of a tenant's view, and what is asked of the host for them."""


def test_a_tenant_gets_no_words_of_the_host() -> None:
    replay = Replay("host")
    with demo_server.serving(replay) as url, serve(VC1, url) as inside, serve(None, url) as everything:
        for base in (inside, f"{everything}/vclusters/team-a/vc1"):
            for path, asked in NAMED_AFTER.items():
                assert get(f"{base}{path}")[0] == 200, path
                for code in (400, 404, 403, 409, 410, 500):
                    replay.override[asked] = Refusal(code, f"Reason of {SECRET_WORDS}", SECRET_WORDS)
                    status, body = get(f"{base}{path}")
                    assert status == (code if code in (400, 404) else 502), path
                    assert not any(word in body for word in (b"victim", b"team-b", b"10.244")), body
                    assert json.loads(body)["message"]
                replay.override.clear()
        # The host's own view is that of whoever may ask the host.
        replay.override[f"{METRICS}/nodes/vm"] = Refusal(404, "NotFound", SECRET_WORDS)
        assert SECRET_WORDS.encode() in get(f"{everything}{METRICS}/nodes/vm")[1]


def test_isolated_nodes_are_names() -> None:
    with demo_server.serving(Replay("host")) as host, serve(VC1, host, views={"isolate": True}) as url:
        named = {"metadata": {"name": "vm"}, "status": {}}
        assert json.loads(get(f"{url}/api/v1/nodes")[1])["items"] == [named]
        assert json.loads(get(f"{url}/api/v1/nodes/vm")[1]) == {"kind": "Node", "apiVersion": "v1", **named}
        assert json.loads(get(f"{url}/api/v1/nodes?labelSelector=kubernetes.io/os")[1])["items"] == []
        assert get(f"{url}/api/v1/nodes/other")[0] == 404
        assert get(f"{url}{METRICS}/nodes/vm")[0] == get(f"{url}{METRICS}/nodes/other")[0] == 404
        assert json.loads(get(f"{url}{METRICS}/nodes")[1])["items"] == []


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


class Faulty:
    """A host of which one path answers late, or not to its end."""

    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        self.path = f"{NODE}/metrics/cadvisor"
        self.late = 0.0
        self.torn = False
        self.close = replay.close

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] == self.path:
            time.sleep(self.late)
            if self.torn:
                return self._torn(start_response)
        return self.replay(environ, start_response)

    def _torn(self, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b'# TYPE up gauge\nup{pod="",namespace=""} 1\n' * 40_000
        raise ConnectionResetError


@pytest.fixture
def faulty() -> Iterator[tuple[Faulty, str]]:
    application = Faulty(Replay("host"))
    with demo_server.serving(application) as url:
        yield application, url


def test_a_slow_node_is_given_up_and_counted(faulty: tuple[Faulty, str], caplog: pytest.LogCaptureFixture) -> None:
    host, url = faulty
    with serve(VC1, url, timeout=1.0) as proxy:
        host.late = 3.0
        assert get(f"{proxy}{NODE}/metrics/cadvisor")[0] == 504
        assert get(f"{proxy}{NODE}/metrics/resource")[0] == 200
        assert b'upstream_errors_total{upstream="kubelet"} 1\n' in get(f"{proxy}/metrics")[1]
    assert f"{NODE}/metrics/cadvisor: " in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a torn socket's own, from Python 3.13
def test_an_answer_that_breaks_off_is_not_taken_for_whole(
    faulty: tuple[Faulty, str], caplog: pytest.LogCaptureFixture
) -> None:
    host, url = faulty
    with serve(None, url) as proxy:
        host.torn = True
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            get(f"{proxy}{NODE}/metrics/cadvisor")
        assert b'upstream_errors_total{upstream="kubelet"} 1\n' in get(f"{proxy}/metrics")[1]
    assert f"{NODE}/metrics/cadvisor: " in caplog.text
    gc.collect()


def test_no_metrics_server(upstream: tuple[Replay, str], inside: str, caplog: pytest.LogCaptureFixture) -> None:
    replay, _ = upstream
    replay.override[f"{METRICS}/namespaces/team-a/pods"] = Refusal(503, "ServiceUnavailable", "no endpoints available")
    try:
        status, body = get(f"{inside}{METRICS}/pods")
        assert status == 502
        assert b"no endpoints" not in body
        assert get(f"{inside}{NODE}/stats/summary")[0] == 200
    finally:
        replay.override.clear()
    assert b'upstream_errors_total{upstream="metrics-api"} 0\n' not in get(f"{inside}/metrics")[1]
    assert "no endpoints available" in caplog.text


def test_the_host_restarts(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(reflector, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(reflector, "LONGEST_PAUSE", 0.05)
    port = next(port for port in range(22_000, 23_000) if not taken(port))
    with contextlib.ExitStack() as stack:
        with demo_server.serving(Replay("host"), port) as url:
            proxy = stack.enter_context(serve(None, url))
            assert get(f"{proxy}{METRICS}/pods")[0] == 200
        soon(lambda: b"map_age_seconds 0.0" not in get(f"{proxy}/metrics")[1])
        assert get(f"{proxy}{METRICS}/pods")[0] == 502
        assert get(f"{proxy}/readyz")[0] == 200  # not at once: what is known is good for a while
        monkeypatch.setattr(application, "STALE", 0.0)
        assert get(f"{proxy}/readyz")[0] == 503
        soon(lambda: not taken(port))
        stack.enter_context(demo_server.serving(Replay("host"), port))
        soon(lambda: b"map_age_seconds 0.0" in get(f"{proxy}/metrics")[1])
        assert get(f"{proxy}{METRICS}/pods")[0] == 200
        assert get(f"{proxy}/readyz")[0] == 200
    assert "/api/v1/pods: " in caplog.text
    assert "/api/v1/pods: answers again" in caplog.text


@pytest.mark.parametrize("end", ["", "\r\n"], ids=["half a request", "reads nothing"])
def test_slow_clients_do_not_keep_others_out(end: str, upstream: tuple[Replay, str]) -> None:
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(serve(VC1, upstream[1]))
        address, port = url.removeprefix("http://").split(":")
        for _ in range(Limits().threads + 8):
            peer = stack.enter_context(socket.create_connection((address, int(port)), timeout=20))
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.sendall(f"GET {NODE}/metrics/cadvisor HTTP/1.1\r\nHost: localhost\r\n{end}".encode())

        assert get(f"{url}/healthz")[0] == 200
        assert get(f"{url}{NODE}/metrics/cadvisor")[0] == 200


# --------------------------------------------------------------------------------------------------- the command


@pytest.mark.parametrize(
    ("args", "stderr"),
    [
        (
            ["--address=0.0.0.0"],
            "error: listening on 0.0.0.0 requires --token-file, --tls-cert-file and --tls-private-key-file\n",
        ),
        (["--port=99999"], "error: --port: 99999 is not a port: use 0 to 65535\n"),
        (["--token-file=/nope"], "error: --token-file: /nope cannot be read\n"),
        (["--tls-cert-file=/nope"], "error: --tls-cert-file and --tls-private-key-file must be used together\n"),
        (
            ["--accept-hosts=("],
            "error: --accept-hosts: not a regular expression: missing ), unterminated subpattern at position 0\n",
        ),
    ],
)
def test_bad_input(args: list[str], stderr: str) -> None:
    assert invoke("proxy", *args) == (1, "", stderr)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert", folder / "key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]  # noqa: RUF005
        + ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
        check=True,
        capture_output=True,
    )
    return cert, key


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not on the PATH")
def test_the_process_serves_tls_and_ends_on_sigterm(
    certificate: tuple[Path, Path], upstream: tuple[Replay, str], tmp_path: Path
) -> None:
    cert, key = certificate
    token = tmp_path / "token"
    token.write_text("0123456789abcdef\n")
    command = [sys.executable, "-m", "kubectl_vmetrics", "proxy", "--vcluster=vc1", "--port=0", "--address=0.0.0.0"]
    command += [f"--token-file={token}", f"--tls-cert-file={cert}", f"--tls-private-key-file={key}"]
    variables = {**os.environ, "KUBECONFIG": str(write_kubeconfig(tmp_path, upstream[1]))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=variables, text=True) as process:
        assert process.stdout
        assert process.stderr
        first = process.stdout.readline()
        port = re.search(r"https://0\.0\.0\.0:(\d+)", first)
        assert port, first + process.stderr.read()
        context = ssl.create_default_context(cafile=str(cert))
        request = urllib.request.Request(
            f"https://localhost:{port[1]}{METRICS}/pods", headers={"Authorization": "Bearer 0123456789abcdef"}
        )
        with urllib.request.urlopen(request, timeout=20, context=context) as answer:
            assert answer.status == 200
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"https://localhost:{port[1]}/metrics", timeout=20, context=context)
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        assert process.stderr.read() == ""


def test_a_certificate_that_is_none(tmp_path: Path, upstream: tuple[Replay, str]) -> None:
    bad = tmp_path / "bad"
    bad.write_text("nothing")
    path = write_kubeconfig(tmp_path, upstream[1])

    found = invoke("proxy", "--port=0", f"--tls-cert-file={bad}", f"--tls-private-key-file={bad}", kubeconfig=path)

    assert found.code == 1
    assert found.stderr.startswith("error: ")
    assert found.stderr.count("\n") == 1
