"""Requests: what is sent, what is retried, what is said when it fails."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme
from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server

from kubectl_vmetrics.kube import client as client_module
from kubectl_vmetrics.kube import proxied
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import (
    BadAnswer,
    ConfigError,
    ConnectionFailed,
    Expired,
    Forbidden,
    StatusError,
    Unauthorized,
    VmetricsError,
)
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.kube.kubeconfig import Connection, Flags, User, connection
from kubectl_vmetrics.kube.lists import ObjectList, list_all
from tests.conftest import Scripted

Serve = Callable[[dict[str, Any]], tuple[Scripted, str]]
ANY = msgspec.json.Decoder(dict[str, Any])


@pytest.fixture(autouse=True, params=["direct", "proxied"])
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything here holds for both ways to a server; without a proxy in between, the second is as good as the first."""
    if request.param == "proxied":
        monkeypatch.setattr(client_module, "_transport", proxied.Proxied)


def test_headers(scripted: Serve) -> None:
    application, url = scripted({"/x": {}})
    flags = Flags(server=url, token="t0ken", as_user="bob", as_group=("a", "b"))

    Client(connection(flags, {})).get("/x", {"limit": 5, "continue": None})

    _, query, environ = application.seen[0]
    assert query == "limit=5"
    assert environ["HTTP_ACCEPT"] == "application/json"
    assert environ["HTTP_ACCEPT_ENCODING"] == "gzip"
    assert environ["HTTP_AUTHORIZATION"] == "Bearer t0ken"
    assert environ["HTTP_USER_AGENT"].startswith("kubectl-vmetrics/")
    assert environ["HTTP_IMPERSONATE_USER"] == "bob"
    assert environ["HTTP_IMPERSONATE_GROUP"] in ("b", "a, b", "a,b")  # WSGI folds two headers into one


def test_repeated_headers_are_sent_as_such() -> None:
    received = b""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            nonlocal received
            peer, _ = listener.accept()
            with peer:
                received = peer.recv(65536)
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")

        thread = threading.Thread(target=answer)
        thread.start()
        flags = Flags(server=f"http://127.0.0.1:{listener.getsockname()[1]}", as_user="bob", as_group=("a", "b,c"))
        Client(connection(flags, {})).get("/x")
        thread.join()

    lines = received.decode().split("\r\n")
    assert [line for line in lines if line.lower().startswith("impersonate-group")] == [
        "Impersonate-Group: a",
        "Impersonate-Group: b,c",
    ]


def test_netrc_and_ca_bundles_of_others_are_not_asked(
    scripted: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    application, url = scripted({"/x": {}})

    Client(Connection(server=url)).get("/x")

    assert "HTTP_AUTHORIZATION" not in application.seen[0][2]


def busy(times: int, after: str = "0", code: int = 429) -> Callable[[Any], Any]:
    left = [times]

    def answer(_: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            return (
                code,
                {"kind": "Status", "message": "too many", "reason": "TooManyRequests"},
                [("Retry-After", after)],
            )
        return 200, {"ok": True}

    return answer


@pytest.mark.parametrize("code", [429, 503])
def test_a_busy_server_is_asked_again(code: int, scripted: Serve) -> None:
    application, url = scripted({"/x": busy(2, code=code)})

    assert Client(Connection(server=url)).decode("/x", ANY) == {"ok": True}
    assert len(application.seen) == 3


def test_not_beyond_the_time_that_there_is(scripted: Serve) -> None:
    application, url = scripted({"/x": busy(1, after="60")})

    started = time.monotonic()
    with pytest.raises(StatusError) as caught:
        Client(Connection(server=url, timeout=2.0)).get("/x")

    assert caught.value.line == "Error from server (TooManyRequests): too many"
    assert len(application.seen) == 1
    assert time.monotonic() - started < 2


def test_what_a_retry_cannot_mend_is_not_retried(scripted: Serve) -> None:
    application, url = scripted(
        {"/x": lambda _: (403, {"kind": "Status", "message": "no", "reason": "Forbidden"}, [("Retry-After", "0")])}
    )

    with pytest.raises(Forbidden):
        Client(Connection(server=url)).get("/x")

    assert len(application.seen) == 1


@pytest.mark.parametrize(
    ("code", "body", "line"),
    [
        (
            401,
            b"Unauthorized",
            "error: You must be logged in to the server (the server has asked for the client to provide credentials (get pods.metrics.k8s.io a))",
        ),
        (
            404,
            b"404 page not found",
            "Error from server (NotFound): the server could not find the requested resource (get pods.metrics.k8s.io a)",
        ),
        (
            500,
            b"boom\nboom",
            'Error from server (InternalError): an error on the server ("boom boom") has prevented the request from succeeding (get pods.metrics.k8s.io a)',
        ),
        (
            503,
            b"x",
            "Error from server (ServiceUnavailable): the server is currently unable to handle the request (get pods.metrics.k8s.io a)",
        ),
        (
            502,
            b"<html>gateway</html>",
            'Error from server (InternalError): an error on the server ("an HTML page instead of a Kubernetes API response") has prevented the request from succeeding (get pods.metrics.k8s.io a)',
        ),
        (
            418,
            b"",
            "Error from server: the server responded with the status code 418 but did not return more details (get pods.metrics.k8s.io a)",
        ),
    ],
)
def test_refusals_without_a_status(code: int, body: bytes, line: str, scripted: Serve) -> None:
    path = "/apis/metrics.k8s.io/v1beta1/namespaces/n/pods/a"
    _, url = scripted({path: lambda _: (code, body)})

    with pytest.raises(StatusError) as caught:
        Client(Connection(server=url)).get(path)

    assert caught.value.line == line


def test_a_redirect_is_not_followed(scripted: Serve) -> None:
    application, url = scripted({"/x": lambda _: (302, b"", [("Location", "/login")])})

    with pytest.raises(BadAnswer, match="redirect"):
        Client(Connection(server=url, user=User(token="t"))).get("/x")

    assert [path for path, _, _ in application.seen] == ["/x"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"a": [1, 2', "the response to /x is truncated: unexpected end of JSON input"),
        (b"<html>", "the response to /x is not JSON (text/plain): is this an API server?"),
        (b"\xff\xfe", "the response to /x is not JSON (text/plain): is this an API server?"),
        (b"[" * 100_000, "the response to /x is not JSON (text/plain): is this an API server?"),
    ],
    ids=["cut short", "HTML", "binary", "deep"],
)
def test_answers_that_are_not_json(body: bytes, message: str, scripted: Serve) -> None:
    _, url = scripted({"/x": lambda _: (200, body)})

    with pytest.raises(BadAnswer) as caught:
        Client(Connection(server=url)).decode("/x", msgspec.json.Decoder())

    assert caught.value.message == message


# -------------------------------------------------------------------------------------------------------- lists


def test_pages(scripted: Serve) -> None:
    def page(environ: dict[str, Any]) -> Any:
        if "continue=next" in environ["QUERY_STRING"]:
            return 200, {"items": [3], "metadata": {}}
        return 200, {"items": [1, 2], "metadata": {"continue": "next"}}

    application, url = scripted({"/x": page})

    assert list_all(
        Client(Connection(server=url)), "/x", msgspec.json.Decoder(ObjectList[int]), {"labelSelector": "a=b"}
    ) == [1, 2, 3]
    assert [query for _, query, _ in application.seen] == [
        "labelSelector=a%3Db&limit=500",
        "labelSelector=a%3Db&limit=500&continue=next",
    ]


def test_a_list_that_expires_is_read_again_in_one_piece(scripted: Serve) -> None:
    def page(environ: dict[str, Any]) -> Any:
        if "continue" in environ["QUERY_STRING"]:
            return 410, {"kind": "Status", "message": "too old", "reason": "Expired"}
        if "limit" in environ["QUERY_STRING"]:
            return 200, {"items": [1], "metadata": {"continue": "next"}}
        return 200, {"items": [1, 2, 3], "metadata": {}}

    _, url = scripted({"/x": page})

    assert list_all(Client(Connection(server=url)), "/x", msgspec.json.Decoder(ObjectList[int])) == [1, 2, 3]


def test_a_list_that_is_gone_from_the_start_is_an_error(scripted: Serve) -> None:
    _, url = scripted({"/x": lambda _: (410, {"kind": "Status", "message": "too old", "reason": "Expired"})})

    with pytest.raises(Expired):
        list_all(Client(Connection(server=url)), "/x", msgspec.json.Decoder(ObjectList[int]))


# -------------------------------------------------------------------------------------------------- connections


def raw_server(behaviour: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that does something else than HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = threading.Event()

        def work() -> None:
            while not stop.is_set():
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    behaviour(peer)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        stop.set()


def hang(peer: socket.socket) -> None:
    peer.recv(65536)
    time.sleep(3)


def hang_up(peer: socket.socket) -> None:
    peer.recv(65536)


def reset(peer: socket.socket) -> None:
    peer.recv(1)  # the rest stays unread, so that closing resets
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


def cut_short(peer: socket.socket) -> None:
    peer.recv(65536)
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")


def drip(peer: socket.socket) -> None:
    peer.recv(65536)
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(40):
        try:
            peer.sendall(b"{" * 10)
        except OSError:
            return
        time.sleep(0.1)


def not_http(peer: socket.socket) -> None:
    peer.recv(65536)
    peer.sendall(b"SSH-2.0-OpenSSH_9\r\n\r\n")


@pytest.mark.parametrize(
    ("behaviour", "line"),
    [
        (
            hang,
            "Unable to connect to the server: net/http: request canceled (Client.Timeout exceeded while awaiting headers)",
        ),
        (hang_up, "Unable to connect to the server: EOF"),
        (reset, "Unable to connect to the server: read tcp {host}: connection reset by peer"),
        (cut_short, "Unable to connect to the server: unexpected EOF"),
        (
            drip,
            "Unable to connect to the server: net/http: request canceled (Client.Timeout exceeded while reading body)",
        ),
        (not_http, "Unable to connect to the server: malformed HTTP response"),
    ],
)
def test_servers_that_misbehave(behaviour: Callable[[socket.socket], None], line: str) -> None:
    for url in raw_server(behaviour):
        started = time.monotonic()
        with pytest.raises(ConnectionFailed) as caught:
            Client(Connection(server=url, timeout=0.7)).get("/x")

        assert caught.value.line == line.replace("{host}", url.removeprefix("http://"))
        assert time.monotonic() - started < 2.5


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(ConnectionFailed) as caught:
        Client(Connection(server=f"http://127.0.0.1:{port}")).get("/x")

    assert (
        caught.value.line
        == f"The connection to the server 127.0.0.1:{port} was refused - did you specify the right host or port?"
    )


def test_no_such_host() -> None:
    with pytest.raises(ConnectionFailed) as caught:
        Client(Connection(server="http://nobody.invalid:1")).get("/x")

    assert caught.value.line == "Unable to connect to the server: dial tcp: lookup nobody.invalid: no such host"


def test_an_idle_connection_that_was_closed_is_opened_again() -> None:
    count = [0]

    def once(peer: socket.socket) -> None:
        count[0] += 1
        peer.recv(65536)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        time.sleep(0.05)

    for url in raw_server(once):
        client = Client(Connection(server=url, timeout=2.0))
        client.get("/x")
        time.sleep(0.2)
        client.get("/x")

    assert count[0] == 2


# ---------------------------------------------------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def tls(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server whose certificate is for `apiserver.test`; it wants a client certificate of the same authority."""
    folder = tmp_path_factory.mktemp("tls")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate = authority.issue_cert("apiserver.test")
    certificate.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "2")])
        return [b"{}"]

    server = Server(("127.0.0.1", 0), application, numthreads=2)
    server.error_log = lambda *args, **kwargs: None
    server.ssl_adapter = BuiltinSSLAdapter(str(folder / "cert.pem"), str(folder / "key.pem"), str(folder / "ca.pem"))
    server.ssl_adapter.context.verify_mode = ssl.CERT_REQUIRED
    server.prepare()
    threading.Thread(target=server.serve, daemon=True).start()
    yield server.bind_addr[1]
    server.stop()


def secured(port: int, authority: trustme.CA, **changes: Any) -> Connection:
    client = authority.issue_cert("client@example.com")
    user = User(certificate=client.cert_chain_pems[0].bytes(), key=client.private_key_pem.bytes())
    values = {"ca": authority.cert_pem.bytes(), "tls_server_name": "apiserver.test", "user": user, **changes}
    return Connection(server=f"https://127.0.0.1:{port}", timeout=5.0, **values)


def test_tls_with_a_client_certificate(tls: int, authority: trustme.CA) -> None:
    assert Client(secured(tls, authority)).get("/x").body == b"{}"


def test_tls_unchecked(tls: int, authority: trustme.CA) -> None:
    assert Client(secured(tls, authority, ca=None, tls_server_name=None, insecure=True)).get("/x").body == b"{}"


def test_no_key_is_left_on_disk(
    tls: int, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    Client(secured(tls, authority)).get("/x")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"ca": trustme.CA().cert_pem.bytes()},
            "Unable to connect to the server: tls: failed to verify certificate: x509: certificate signed by unknown authority",
        ),
        (
            {"ca": None},
            "Unable to connect to the server: tls: failed to verify certificate: x509: certificate signed by unknown authority",
        ),
        (
            {"tls_server_name": "other.test"},
            "Unable to connect to the server: tls: failed to verify certificate: x509: certificate is not valid for other.test",
        ),
        ({"user": User()}, "Unable to connect to the server: remote error: tls: certificate required"),
    ],
    ids=["another authority", "the system's authorities", "another name", "no client certificate"],
)
def test_tls_failures(changes: dict[str, Any], line: str, tls: int, authority: trustme.CA) -> None:
    with pytest.raises(ConnectionFailed) as caught:
        Client(secured(tls, authority, **changes)).get("/x")

    # The server may hang up before its alert about a missing certificate is read.
    assert caught.value.line == line or ("required" in line and "EOF" in caught.value.line)


def test_certificates_that_are_none(tls: int, authority: trustme.CA) -> None:
    with pytest.raises(ConfigError) as caught:
        Client(secured(tls, authority, ca=b"not PEM")).get("/x")
    assert caught.value.line == "unable to load root certificates: unable to parse bytes as PEM block"

    with pytest.raises(ConfigError, match="cannot be used"):
        Client(secured(tls, authority, user=User(certificate=b"x", key=b"y"))).get("/x")


def test_http_where_https_was_expected(scripted: Serve) -> None:
    _, url = scripted({})

    with pytest.raises(ConnectionFailed) as caught:
        Client(Connection(server=url.replace("http:", "https:"), insecure=True)).get("/x")

    assert caught.value.line == "Unable to connect to the server: http: server gave HTTP response to HTTPS client"


# ------------------------------------------------------------------------------------------------- concurrency


def test_gather_keeps_order_and_errors() -> None:
    def fail() -> int:
        raise VmetricsError("no")

    first, second, third = gather([lambda: 1, fail, lambda: 3])

    assert (first, third) == (1, 3)
    assert isinstance(second, VmetricsError)


def test_gather_is_bounded() -> None:
    running, most, lock = [0], [0], threading.Lock()

    def call() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.01)
        with lock:
            running[0] -= 1

    gather([call] * 30, limit=4)

    assert most[0] <= 4


def test_gather_does_not_swallow_bugs() -> None:
    with pytest.raises(ZeroDivisionError):
        gather([lambda: 1, lambda: 1 // 0])


# ------------------------------------------------------------------------------------------------- credentials


def test_a_token_file_is_read_again_after_a_401(scripted: Serve, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("old\n")

    def answer(environ: dict[str, Any]) -> Any:
        if environ["HTTP_AUTHORIZATION"] == "Bearer new":
            return 200, {}
        path.write_text("new")
        return 401, {"kind": "Status", "message": "Unauthorized", "reason": "Unauthorized"}

    application, url = scripted({"/x": answer})

    Client(Connection(server=url, user=User(token_file=str(path)))).get("/x")

    assert [environ["HTTP_AUTHORIZATION"] for _, _, environ in application.seen] == ["Bearer old", "Bearer new"]


def test_a_token_is_not_tried_twice(scripted: Serve) -> None:
    application, url = scripted(
        {"/x": lambda _: (401, {"kind": "Status", "message": "Unauthorized", "reason": "Unauthorized"})}
    )

    with pytest.raises(Unauthorized) as caught:
        Client(Connection(server=url, user=User(token="t"))).get("/x")

    assert caught.value.line == "error: You must be logged in to the server (Unauthorized)"
    assert len(application.seen) == 1


def test_basic_authentication(scripted: Serve) -> None:
    application, url = scripted({"/x": {}})

    Client(Connection(server=url, user=User(username="a", password="b:c"))).get("/x")

    assert application.seen[0][2]["HTTP_AUTHORIZATION"] == "Basic YTpiOmM="


@pytest.mark.parametrize("token", ["a b", "a\nb", "ä"])
def test_tokens_that_cannot_be_one(token: str, scripted: Serve) -> None:
    _, url = scripted({"/x": {}})

    with pytest.raises(ConfigError) as caught:
        Client(Connection(server=url, user=User(token=token))).get("/x")

    assert token not in caught.value.line
