"""Exec plugins, OIDC and service accounts: through the `kubernetes` package."""

from __future__ import annotations

import base64
import datetime
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.credentials import Credentials
from kubectl_vmetrics.kube.errors import ConfigError
from kubectl_vmetrics.kube.kubeconfig import Connection, Flags, User, connection
from tests.conftest import Scripted

Serve = Callable[[dict[str, Any]], tuple[Scripted, str]]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


def plugin(folder: Path, script: str, **more: Any) -> dict[str, Any]:
    path = folder / "plugin"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {"command": str(path), "apiVersion": "client.authentication.k8s.io/v1", **more}


def credential(**status: Any) -> str:
    document = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    return f"cat <<'END'\n{json.dumps(document)}\nEND"


def authorization(exec_: dict[str, Any]) -> str | None:
    return Credentials(Connection(server="https://host", user=User(exec=exec_))).authorization()


def test_a_plugin_with_a_token(tmp_path: Path) -> None:
    assert authorization(plugin(tmp_path, credential(token="t"))) == "Bearer t"


def test_a_plugin_gets_arguments_environment_and_cluster(tmp_path: Path) -> None:
    script = 'echo "$1 $EXTRA $KUBERNETES_EXEC_INFO" > "$0.seen"\n' + credential(token="t")
    exec_ = plugin(tmp_path, script, args=["one"], env=[{"name": "EXTRA", "value": "two"}], provideClusterInfo=True)

    authorization(exec_)

    seen = (tmp_path / "plugin.seen").read_text().split(maxsplit=2)
    assert seen[:2] == ["one", "two"]
    assert json.loads(seen[2])["spec"]["cluster"]["server"] == "https://host"


def test_a_plugin_with_a_certificate(tmp_path: Path) -> None:
    exec_ = plugin(tmp_path, credential(clientCertificateData="cert", clientKeyData="key"))
    found = Credentials(Connection(server="https://host", user=User(exec=exec_)))

    assert (found.certificate(), found.authorization()) == ((b"cert", b"key"), None)


def test_a_plugin_is_asked_once_until_its_token_expires(tmp_path: Path) -> None:
    def expiring(seconds: float) -> int:
        when = datetime.datetime.fromtimestamp(time.time() + seconds, datetime.timezone.utc)
        script = 'echo x >> "$0.count"\n' + credential(
            token="t", expirationTimestamp=when.strftime("%Y-%m-%dT%H:%M:%SZ")
        )
        found = Credentials(Connection(server="https://host", user=User(exec=plugin(tmp_path, script))))
        (tmp_path / "plugin.count").unlink(missing_ok=True)
        found.authorization()
        found.authorization()
        return (tmp_path / "plugin.count").read_text().count("x")

    assert expiring(3600) == 1
    assert expiring(10) == 2


@pytest.mark.parametrize(
    ("script", "line"),
    [
        (
            "echo s3cret >&2; echo s3cret; exit 7",
            "Unable to connect to the server: getting credentials: exec: executable {path} failed with exit code 7",
        ),
        (
            "echo s3cret",
            "Unable to connect to the server: getting credentials: exec: failed to decode process output: Expecting value: line 1 column 1 (char 0)",
        ),
        (
            "echo '{}'",
            "Unable to connect to the server: getting credentials: exec: malformed response. missing key 'apiVersion'",
        ),
        (
            credential(other="s3cret"),
            "Unable to connect to the server: getting credentials: exec: the plugin returned neither a token nor a certificate with its key",
        ),
    ],
)
def test_plugins_that_fail(script: str, line: str, tmp_path: Path) -> None:
    exec_ = plugin(tmp_path, script)

    with pytest.raises(ConfigError) as caught:
        authorization(exec_)

    assert caught.value.line == line.replace("{path}", exec_["command"])
    assert "s3cret" not in f"{caught.value.line}{caught.value.hint}"


def test_a_plugin_that_is_not_installed() -> None:
    with pytest.raises(ConfigError) as caught:
        authorization(
            {"command": "no-such-plugin", "apiVersion": "client.authentication.k8s.io/v1", "installHint": "get it"}
        )

    assert (
        caught.value.line
        == "Unable to connect to the server: getting credentials: exec: executable no-such-plugin not found"
    )
    assert caught.value.hint == "get it"


def token_of(seconds: float) -> str:
    parts = ({"alg": "none"}, {"exp": int(time.time() + seconds)})
    return (
        ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + ".c2ln"
    )


def test_oidc() -> None:
    token = token_of(3600)
    provider = {"name": "oidc", "config": {"id-token": token, "idp-issuer-url": "https://issuer"}}

    found = Credentials(Connection(server="https://host", user=User(auth_provider=provider)))

    assert found.authorization() == f"Bearer {token}"


def test_a_provider_that_gives_nothing() -> None:
    provider = {"name": "oidc", "config": {"id-token": "not.a.jwt!"}}

    with pytest.raises(ConfigError) as caught:
        Credentials(Connection(server="https://host", user=User(auth_provider=provider))).authorization()

    assert caught.value.line.startswith("Unable to connect to the server: getting credentials: auth-provider oidc")
    assert "not.a.jwt" not in caught.value.line


def test_in_a_pod(scripted: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import trustme

    account = tmp_path / "serviceaccount"
    account.mkdir()
    (account / "token").write_text("pod-token")
    (account / "namespace").write_text("team-a\n")
    trustme.CA().cert_pem.write_to_path(str(account / "ca.crt"))
    from kubernetes.config import incluster_config

    for module, name, value in (
        ("kubectl_vmetrics.kube.kubeconfig", "SERVICE_ACCOUNT", account),
        ("kubectl_vmetrics.kube.credentials", "SERVICE_ACCOUNT", account),
    ):
        monkeypatch.setattr(f"{module}.{name}", value)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(account / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(account / "ca.crt"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    loader = incluster_config.InClusterConfigLoader
    monkeypatch.setattr(
        incluster_config,
        "load_incluster_config",
        lambda client_configuration=None, try_refresh_token=True: loader(
            str(account / "token"), str(account / "ca.crt")
        ).load_and_set(client_configuration),
    )
    monkeypatch.setattr("kubernetes.config.load_incluster_config", incluster_config.load_incluster_config)

    found = Client(connection(Flags(), {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}))

    assert (found.connection.server, found.namespace) == ("https://10.0.0.1:443", "team-a")
    assert found.credentials.authorization() == "Bearer pod-token"


def test_static_credentials_do_not_import_kubernetes(scripted: Serve, tmp_path: Path) -> None:
    import subprocess
    import sys

    _, url = scripted({"/apis/metrics.k8s.io/v1beta1/pods": {"items": []}, "/api/v1/pods": {"items": []}})
    (tmp_path / "token").write_text("t")
    config = {
        "clusters": [{"name": "a", "cluster": {"server": url}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "users": [{"name": "a", "user": {"tokenFile": "token"}}],
        "current-context": "a",
    }
    (tmp_path / "config").write_text(json.dumps(config))
    code = "import sys; from kubectl_vmetrics.cli.main import run; run(['top','pods','-A']); assert 'kubernetes' not in sys.modules"

    subprocess.run(
        [sys.executable, "-c", code],
        env={"KUBECONFIG": str(tmp_path / "config")},
        check=True,
        capture_output=True,
        timeout=60,
    )
