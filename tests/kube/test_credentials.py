"""Exec plugins, OIDC and service accounts: through the `kubernetes` package."""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

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


# -------------------------------------------------------------------------------------------------- files that change


def replaced(path: Path, data: bytes) -> None:
    """As a Secret's volume does it: another file takes the place of this one."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(data)
    fresh.replace(path)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubectl_vmetrics.kube.changes.EVERY", 0.0)


def test_a_token_file_is_read_again_when_it_changes(scripted: Serve, tmp_path: Path, impatient: None) -> None:
    application, url = scripted({"/x": {}})
    file = tmp_path / "token"
    file.write_text("one")
    client = Client(Connection(server=url, user=User(token_file=str(file))))

    client.get("/x")
    replaced(file, b"two")
    client.get("/x")
    file.unlink()
    with pytest.raises(ConfigError, match="no such file"):
        client.get("/x")
    with pytest.raises(ConfigError, match="no such file"):
        client.get("/x")
    file.write_text("three")
    client.get("/x")

    seen = [environ["HTTP_AUTHORIZATION"] for _, _, environ in application.seen]
    assert seen == ["Bearer one", "Bearer two", "Bearer three"]


def test_files_are_looked_at_once_a_second_at_most(tmp_path: Path) -> None:
    from kubectl_vmetrics.kube.changes import Changes

    file = tmp_path / "token"
    file.write_text("one")
    now = 0.0
    changed = Changes(str(file), clock=lambda: now)
    file.write_text("other")
    assert not changed()
    now = 0.9
    assert not changed()
    now = 1.0
    assert changed()
    now = 3.0
    assert not changed()


def test_certificates_and_authorities_are_read_again_when_they_change(tmp_path: Path, impatient: None) -> None:
    """A server that wants a client certificate of its authority; then server, client and authority are all new."""
    files = {name: tmp_path / name for name in ("ca.pem", "client.pem", "client.key")}

    def issue(authority: trustme.CA) -> ssl.SSLContext:
        pair = authority.issue_cert("client@example.com")
        replaced(files["client.pem"], pair.cert_chain_pems[0].bytes())
        replaced(files["client.key"], pair.private_key_pem.bytes())
        replaced(files["ca.pem"], authority.cert_pem.bytes())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("apiserver.test").configure_cert(context)
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    contexts = [issue(trustme.CA())]
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def work() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with contextlib.suppress(OSError), contexts[-1].wrap_socket(peer, server_side=True) as secure:
                    while secure.recv(65536):
                        secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        threading.Thread(target=work, daemon=True).start()
        config = {
            "clusters": [
                {
                    "name": "c",
                    "cluster": {
                        "server": f"https://127.0.0.1:{listener.getsockname()[1]}",
                        "certificate-authority": "ca.pem",
                        "tls-server-name": "apiserver.test",
                    },
                }
            ],
            "users": [{"name": "u", "user": {"client-certificate": "client.pem", "client-key": "client.key"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        (tmp_path / "config").write_text(json.dumps(config))
        client = Client(connection(Flags(kubeconfig=str(tmp_path / "config"), request_timeout="5s"), {}))
        assert client.get("/x").body == b"{}"
        first = client.credentials.generation
        assert client.get("/x").body == b"{}"
        assert client.credentials.generation == first

        contexts.append(issue(trustme.CA()))
        assert client.get("/x").body == b"{}"
        assert client.credentials.generation > first

        # Half a pair, while the other half is being written: what was read before is used on.
        replaced(files["client.key"], b"not yet")
        assert client.get("/x").body == b"{}"
        files["client.pem"].unlink()
        assert client.get("/x").body == b"{}"
        contexts.append(issue(trustme.CA()))
        assert client.get("/x").body == b"{}"


def test_a_certificate_of_a_plugin_is_used_when_it_is_renewed(tmp_path: Path) -> None:
    soon = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=5)).isoformat()
    script = 'echo x >> "$0.count"\n' + credential(
        clientCertificateData="a", clientKeyData="b", expirationTimestamp=soon
    )
    exec_ = plugin(tmp_path, script)
    found = Credentials(Connection(server="https://host", user=User(exec=exec_)))
    found.certificate()
    before = found.generation
    plugin(tmp_path, credential(clientCertificateData="c", clientKeyData="d"))
    assert found.certificate() == (b"c", b"d")
    assert found.generation > before
