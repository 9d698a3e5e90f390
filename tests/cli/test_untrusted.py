"""Nothing that a tenant writes steers a terminal; no secret is ever printed."""

from __future__ import annotations

import base64
import io
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kubectl_vmetrics.vcluster import naming
from tests.conftest import Cli, Scripted, invoke, write_kubeconfig
from tests.replay import RECORDINGS, Replay

Serve = Callable[[dict[str, Any]], tuple[Scripted, str]]
EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\u202e\n"
FORMATS = ["", "wide", "json", "yaml", "csv", "name", "github", "html"]
COMMANDS = [
    "top pods -A",
    "top pods -A --containers",
    "top pods --vcluster vc1",
    "top vclusters",
    "top namespaces",
    "top nodes",
    "top nodes --vcluster vc1",
]


def clean(text: str) -> bool:
    return all(char.isprintable() for char in text if char != "\n")


@pytest.mark.parametrize("form", FORMATS)
def test_escape_sequences(form: str, scripted: Serve, tmp_path: Path) -> None:
    def pod(name: str, labels: dict[str, str]) -> dict[str, Any]:
        containers = [{"name": f"c{EVIL}", "usage": {"cpu": "1m", "memory": "1Mi"}}]
        return {"metadata": {"name": name, "namespace": f"n{EVIL}", "labels": labels}, "containers": containers}

    labels = {naming.MANAGED_BY: f"vc{EVIL}", naming.NAMESPACE: f"ns{EVIL}", f"l{EVIL}": EVIL}
    items = [pod(f"a{EVIL}", {EVIL: EVIL}), pod(f"b{EVIL}-x-ns{EVIL}-x-vc{EVIL}", labels), pod(f"c{EVIL}", labels)]
    _, url = scripted(
        {
            "/apis/metrics.k8s.io/v1beta1/pods": {"items": items},
            "/api/v1/pods": {"items": []},
            "/api/v1/namespaces": {"items": []},
        }
    )
    path = write_kubeconfig(tmp_path, url)

    for more in ([], ["--containers"]):
        result = invoke("top", "pods", "-A", "-o", form, *more, kubeconfig=path, terminal=True, TERM="xterm")
        assert result.stdout
        assert clean(result.stdout), result.stdout
        assert clean(result.stderr), result.stderr


def test_escape_sequences_in_errors(scripted: Serve, tmp_path: Path) -> None:
    _, url = scripted(
        {
            "/apis/metrics.k8s.io/v1beta1/pods": lambda _: (
                403,
                {"kind": "Status", "message": f"no {EVIL}", "reason": f"R{EVIL}"},
            )
        }
    )

    result = invoke("top", "pods", "-A", f"--sort-by=c{EVIL}pu", kubeconfig=write_kubeconfig(tmp_path, url))
    assert clean(result.stderr)
    result = invoke("top", "pods", "-A", kubeconfig=write_kubeconfig(tmp_path, url))
    assert clean(result.stderr)
    result = invoke("top", f"x{EVIL}", kubeconfig=write_kubeconfig(tmp_path, url))
    assert clean(result.stderr)


def secrets() -> set[str]:
    """Every annotation's value of the recorded pods and workloads, those that are names apart."""
    found = set()
    for name in ("api-v1-pods.json", "apis-apps-v1-statefulsets.json", "api-v1-namespaces.json", "api-v1-nodes.json"):
        for item in json.loads((RECORDINGS / "host" / name).read_text())["items"]:
            for key, value in item["metadata"].get("annotations", {}).items():
                if "token" in key or (len(value) > 40 and "name" not in key):
                    found.add(value)
    return found


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_annotation_and_no_token(command: str, form: str, on_host: Cli, host: Replay) -> None:
    assert any("c2NydWJiZWQ" in secret for secret in secrets())  # the recorded tokens

    result = on_host(*command.split(), "-o", form, "-v=9", "--token=t0ps3cret")

    assert result.code == 0, result.stderr
    shown = result.stdout + result.stderr
    assert "annotations" not in shown
    assert "c2NydWJiZWQ" not in shown
    assert "t0ps3cret" not in shown
    for secret in secrets():
        assert secret not in shown
        assert json.dumps(secret)[1:-1] not in shown


def test_verbosity_logs_requests(on_host: Cli) -> None:
    lines = on_host("top", "pods", "-v6").stderr.splitlines()

    assert len(lines) == 1
    assert "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods 200" in lines[0]
    assert lines[0].endswith(" milliseconds")


def test_verbosity_masks_credentials(on_host: Cli) -> None:
    stderr = on_host("top", "pods", "-v=8", "--token=t0ps3cret").stderr

    assert "Authorization: <masked>" in stderr
    assert "Accept: application/json" in stderr
    assert "Response headers:" in stderr
    assert "t0ps3cret" not in stderr


@pytest.mark.parametrize(
    "url", ["http://ad%6Din:s3cr%65t@{}", "http://admin:s3cret@{}/", "http://admin:s3cret@{}/base"]
)
def test_a_password_of_the_servers_url_is_sent_and_never_shown(url: str, scripted: Any, tmp_path: Path) -> None:
    base = "/base" if url.endswith("/base") else ""
    application, server = scripted({f"{base}/apis/metrics.k8s.io/v1beta1/nodes": {"items": []}})
    path = write_kubeconfig(tmp_path, url.format(server.removeprefix("http://")))
    for command in (["top", "nodes"], ["raw", "/api/v1/nodes/a/proxy/metrics"], ["controlplanes", "-A"], ["doctor"]):
        result = invoke(*command, "-v=9", kubeconfig=path)
        shown = result.stdout + result.stderr
        assert server.removeprefix("http://") in shown
        assert "s3cr" not in shown
        assert "@" not in shown.replace("@every", "")

    expected = "Basic " + base64.b64encode(b"admin:s3cret").decode()
    assert {environ["HTTP_AUTHORIZATION"] for _, _, environ in application.seen} == {expected}


@pytest.mark.parametrize(
    "url",
    [
        "http://admin:s3cret@127.0.0.1:9",
        "https://admin:s3cret@nobody.invalid",
        "http://a:s3cret@x..y",
        "https://a:s3cret@[::1",
    ],
)
def test_a_password_is_in_no_error(url: str, tmp_path: Path) -> None:
    for more in ([], ["--request-timeout=2s"]):
        result = invoke("top", "nodes", "-v=9", *more, kubeconfig=write_kubeconfig(tmp_path, url))
        assert result.code == 1
        assert "s3cret" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    "url", ["http://admin:s3cret@127.0.0.1:9", "socks5://admin:s3cret@127.0.0.1:9", "http://a:s3cret@127.0.0.1:x"]
)
def test_a_password_of_the_proxy_is_in_no_error(url: str, tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path, "http://cluster.test")
    document = json.loads(path.read_text())
    document["clusters"][0]["cluster"]["proxy-url"] = url
    path.write_text(json.dumps(document))
    for command in (["top", "nodes"], ["controlplanes", "-A"], ["doctor"]):
        result = invoke(*command, "-v=9", kubeconfig=path)
        assert result.code == 1
        assert "s3cret" not in result.stdout + result.stderr


def test_a_token_counts_more_than_the_urls_password(scripted: Any, tmp_path: Path) -> None:
    application, server = scripted({"/apis/metrics.k8s.io/v1beta1/nodes": {"items": []}})
    path = write_kubeconfig(tmp_path, server.replace("http://", "http://a:b@"), token="t0ken")
    invoke("top", "nodes", kubeconfig=path)
    assert {environ["HTTP_AUTHORIZATION"] for _, _, environ in application.seen} == {"Bearer t0ken"}


def test_a_record_of_the_log_is_one_line(tmp_path: Path) -> None:
    from kubectl_vmetrics.cli.cluster import log
    from kubectl_vmetrics.output.terminal import Environment

    stderr = io.StringIO()
    log(Environment(io.StringIO(), stderr, {}), logging.INFO)
    logger = logging.getLogger("kubectl_vmetrics.proxy")
    logger.warning("%s: %s", "/a\nW1124 10:00:00.000 /forged: all is well", "b\r\x1b[2Jc\u2028d\x85e")
    logger.info("GET %s", "/a%0ab\n")

    lines = stderr.getvalue().splitlines()
    assert [re.sub(r"^[WI]\d{4} [\d:.]{12} ", "", line) for line in lines] == [
        "/a\\nW1124 10:00:00.000 /forged: all is well: b\\r^[[2Jc\\u2028d\\x85e",
        "GET /a%0ab\\n",
    ]
