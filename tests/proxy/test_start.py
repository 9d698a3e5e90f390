"""What keeps the proxy from serving is told at once, in one line, before it says that it serves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme

from kubectl_vmetrics.cli import proxy
from tests.conftest import invoke, write_kubeconfig


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A certificate, its key, another's key, the key with a passphrase, and files that are none of these."""
    from cryptography.hazmat.primitives import serialization

    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    one, other = authority.issue_cert("localhost"), authority.issue_cert("localhost")
    key = serialization.load_pem_private_key(one.private_key_pem.bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    made = {
        "certificate": one.cert_chain_pems[0].bytes(),
        "key": one.private_key_pem.bytes(),
        "other": other.private_key_pem.bytes(),
        "locked": locked,
        "empty": b"",
        "text": b"nothing\n",
    }
    for name, data in made.items():
        (folder / name).write_bytes(data)
    (folder / "folder").mkdir()
    return {name: folder / name for name in (*made, "folder", "missing")}


@pytest.mark.parametrize(
    ("certificate", "key", "message"),
    [
        ("missing", "key", "--tls-cert-file: {certificate}: no such file or directory"),
        ("certificate", "missing", "--tls-private-key-file: {key}: no such file or directory"),
        ("missing", "missing", "--tls-cert-file: {certificate}: no such file or directory"),
        ("folder", "key", "--tls-cert-file: {certificate}: is a directory"),
        ("text", "key", "--tls-cert-file: {certificate} contains no certificate in PEM format"),
        ("empty", "key", "--tls-cert-file: {certificate} contains no certificate in PEM format"),
        ("key", "key", "--tls-cert-file: {certificate} contains no certificate in PEM format"),
        ("certificate", "text", "--tls-private-key-file: {key} contains no private key in PEM format"),
        ("certificate", "certificate", "--tls-private-key-file: {key} contains no private key in PEM format"),
        ("certificate", "other", "--tls-private-key-file: {key} is not the key of the certificate in {certificate}"),
        ("certificate", "locked", "--tls-private-key-file: {key} is encrypted: save the key without a passphrase"),
    ],
)
def test_files_for_tls(certificate: str, key: str, message: str, files: dict[str, Path], demo_url: str) -> None:
    paths = {"certificate": files[certificate], "key": files[key]}
    flags = [f"--tls-cert-file={paths['certificate']}", f"--tls-private-key-file={paths['key']}"]

    assert invoke("proxy", "-s", demo_url, "--port=0", *flags) == (1, "", f"error: {message.format(**paths)}\n")


def test_a_passphrase_is_not_asked_for(files: dict[str, Path], demo_url: str) -> None:
    """A process with a terminal would wait for it."""
    command = [sys.executable, "-m", "kubectl_vmetrics", "proxy", "-s", demo_url, "--port=0"]
    command += [f"--tls-cert-file={files['certificate']}", f"--tls-private-key-file={files['locked']}"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "without a passphrase" in done.stderr
    assert "Enter" not in done.stderr


def test_a_host_that_is_not_there() -> None:
    refused = "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?\n"

    assert invoke("proxy", "-s", "http://127.0.0.1:1", "--port=0") == (1, "", refused)


def test_a_host_that_does_not_answer(scripted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setattr(proxy, "REACHED_WITHIN", 0.5)
    _, url = scripted({"/version": lambda _: (time.sleep(2), (200, {}))[1]})
    result = invoke("proxy", "-s", url, "--port=0")

    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.startswith("Unable to connect to the server: ")


def test_a_login_that_is_refused(scripted: Any, tmp_path: Path) -> None:
    status = {"kind": "Status", "code": 401, "reason": "Unauthorized", "message": "Unauthorized"}
    _, url = scripted({"/version": lambda _: (401, status)})
    result = invoke("proxy", "--port=0", kubeconfig=write_kubeconfig(tmp_path, url))

    assert result == (1, "", "error: You must be logged in to the server (Unauthorized)\n")


@pytest.mark.parametrize("code", [403, 404, 500, 503])
def test_a_host_that_answers_anything_else_is_served(code: int, scripted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from kubectl_vmetrics.proxy import server

    monkeypatch.setattr(server.Server, "until_stopped", lambda _: None)
    _, url = scripted({"/version": lambda _: (code, b"")})
    result = invoke("proxy", "-s", url, "--port=0")

    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.startswith("Serving the host and its virtual clusters at http://127.0.0.1:")
