"""Nothing that a tenant writes steers a terminal; no secret is ever printed."""

from __future__ import annotations

import json
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
