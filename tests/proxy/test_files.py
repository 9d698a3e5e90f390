"""Files that change while the proxy runs."""

from __future__ import annotations

import contextlib
import socket
import ssl
from pathlib import Path

import pytest
import trustme

from kubectl_vmetrics.demo import server as demo_server
from kubectl_vmetrics.kube.changes import Changes
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import UsageError
from kubectl_vmetrics.kube.kubeconfig import Connection
from kubectl_vmetrics.proxy import server
from kubectl_vmetrics.proxy.application import Proxy
from kubectl_vmetrics.proxy.files import Token
from kubectl_vmetrics.proxy.views import Views
from tests.kube.test_reflector import soon
from tests.proxy.test_proxy import LOCAL, get, serve
from tests.replay import Replay


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def replace(path: Path, text: str) -> None:
    """As the kubelet does with a Secret: another file takes the place of one."""
    other = path.with_name("other")
    other.write_text(text)
    other.replace(path)


def test_a_change_is_told_once_and_looked_for_once_in_a_while(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "a"
    path.write_text("1")
    changed = Changes(str(path), clock=clock)
    replace(path, "2")
    assert not changed()
    clock.now += 1.1
    assert changed()
    clock.now += 1.1
    assert not changed()
    path.unlink()
    clock.now += 1.1
    assert changed()


@pytest.mark.parametrize("text", [None, "", "short", "   \n"], ids=["gone", "empty", "short", "blank"])
def test_without_a_token_nobody_is_let_in(text: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock, path = Clock(), tmp_path / "token"
    path.write_text("0123456789abcdef\n")
    token = Token(str(path), clock)
    assert token() == "0123456789abcdef"
    if text is None:
        path.unlink()
    else:
        replace(path, text)
    clock.now += 1.1
    assert token() == ""
    assert "all requests are rejected" in caplog.text
    with demo_server.serving(Replay("host")) as host, serve(None, host, token=token) as url:
        for given in ("Bearer ", "Bearer", "", "Bearer 0123456789abcdef"):
            assert get(f"{url}/metrics", Authorization=given)[0] == 401
        replace(path, "fedcba9876543210")
        clock.now += 1.1
        assert get(f"{url}/metrics", Authorization="Bearer fedcba9876543210")[0] == 200
    assert "fedcba" not in caplog.text


def test_a_token_that_was_replaced_is_refused_within_seconds(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("0123456789abcdef")
    with demo_server.serving(Replay("host")) as host, serve(None, host, token=Token(str(path))) as url:
        assert get(f"{url}/metrics", Authorization="Bearer 0123456789abcdef")[0] == 200
        replace(path, "fedcba9876543210")
        soon(lambda: get(f"{url}/metrics", Authorization="Bearer 0123456789abcdef")[0] == 401, 5)
        assert get(f"{url}/metrics", Authorization="Bearer fedcba9876543210")[0] == 200


def test_no_token_to_begin_with(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        Token(str(tmp_path / "none"))


def issue(folder: Path, authority: trustme.CA) -> None:
    issued = authority.issue_cert("127.0.0.1")
    replace(folder / "cert", issued.cert_chain_pems[0].bytes().decode())
    replace(folder / "key", issued.private_key_pem.bytes().decode())


def test_a_certificate_that_is_renewed_is_served(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    authority = trustme.CA()
    issue(tmp_path, authority)
    context = ssl.create_default_context()
    authority.configure_trust(context)

    def serial(url: str) -> object:
        host, port = url.removeprefix("https://").split(":")
        with (
            socket.create_connection((host, int(port)), timeout=20) as bare,
            context.wrap_socket(bare, server_hostname=host) as peer,
        ):
            return (peer.getpeercert() or {})["serialNumber"]

    with demo_server.serving(Replay("host")) as host:
        views = Views(Client(Connection(server=host)))
        files = (str(tmp_path / "cert"), str(tmp_path / "key"))
        with (
            contextlib.closing(views),
            server.serving(Proxy(views, accept_hosts=LOCAL), "127.0.0.1", 0, files) as url,
        ):
            first = serial(url)
            replace(tmp_path / "key", "nothing")
            soon(lambda: "still serving the previous certificate" in caplog.text)
            assert serial(url) == first
            issue(tmp_path, authority)
            soon(lambda: serial(url) != first)
