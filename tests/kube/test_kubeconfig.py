"""kubeconfig files and flags."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl_vmetrics.kube.errors import ConfigError, UsageError
from kubectl_vmetrics.kube.kubeconfig import Flags, connection

CA = b"-----BEGIN CERTIFICATE-----\n"


def config(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": changes.get("current", name),
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}:6443", **changes.get("cluster", {})}}],
        "contexts": [
            {
                "name": name,
                "context": {"cluster": name, "user": name, "namespace": f"ns-{name}", **changes.get("context", {})},
            }
        ],
        "users": [{"name": name, "user": changes.get("user", {"token": f"token-{name}"})}],
    }


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_one_file(tmp_path: Path) -> None:
    path = write(
        tmp_path / "config", config("a", cluster={"tls-server-name": "inside", "proxy-url": "http://proxy:3128"})
    )

    found = connection(Flags(kubeconfig=str(path)), {})

    assert (found.server, found.namespace, found.context) == ("https://a:6443", "ns-a", "a")
    assert (found.user.token, found.tls_server_name, found.proxy_url) == ("token-a", "inside", "http://proxy:3128")


def test_files_are_merged_and_the_first_wins(tmp_path: Path) -> None:
    first = write(tmp_path / "1", config("a"))
    other = config("b")
    other["clusters"].append({"name": "a", "cluster": {"server": "https://not-this-one"}})
    second = write(tmp_path / "2", other)
    variables = {"KUBECONFIG": f"{tmp_path}/missing:{first}::{second}"}

    assert connection(Flags(), variables).server == "https://a:6443"
    assert connection(Flags(context="b"), variables).server == "https://b:6443"
    assert connection(Flags(cluster="b"), variables).user.token == "token-a"
    assert connection(Flags(user="b"), variables).user.token == "token-b"


def test_home(tmp_path: Path) -> None:
    write(tmp_path / ".kube" / "config", config("a"))

    assert connection(Flags(), {"HOME": str(tmp_path)}).server == "https://a:6443"


def test_nothing_at_all_is_kubectls_default() -> None:
    found = connection(Flags(), {})

    assert (found.server, found.namespace) == ("http://localhost:8080", "default")


def test_relative_paths_start_at_their_file(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    write(folder / "ca.pem", "ca")
    write(folder / "token", "t")
    write(folder / "pair.pem", "pair")
    user = {"tokenFile": "token", "client-certificate": "pair.pem", "client-key": "pair.pem"}
    path = write(folder / "config", config("a", cluster={"certificate-authority": "ca.pem"}, user=user))

    found = connection(Flags(), {"KUBECONFIG": str(path)})

    assert (found.ca, found.user.certificate, found.user.key) == (b"ca", b"pair", b"pair")
    assert found.user.token_file == str(folder / "token")


def test_data_goes_before_files(tmp_path: Path) -> None:
    cluster = {"certificate-authority": "/nowhere", "certificate-authority-data": base64.b64encode(CA).decode()}
    path = write(tmp_path / "config", config("a", cluster=cluster))

    assert connection(Flags(kubeconfig=str(path)), {}).ca == CA


def test_flags_go_before_files(tmp_path: Path) -> None:
    ca = write(tmp_path / "ca", "other")
    path = write(tmp_path / "config", config("a", cluster={"tls-server-name": "x"}, user={"tokenFile": "/nowhere"}))
    flags = Flags(
        kubeconfig=str(path),
        server="https://other:1",
        namespace="other",
        token="mine",
        certificate_authority=str(ca),
        request_timeout="1m30s",
    )

    found = connection(flags, {})

    assert (found.server, found.namespace, found.ca, found.timeout) == ("https://other:1", "other", b"other", 90.0)
    assert (found.user.token, found.user.token_file) == ("mine", None)
    assert found.tls_server_name is None  # another server has another name


@pytest.mark.parametrize(
    ("server", "url"),
    [("127.0.0.1:99", "http://127.0.0.1:99"), ("https://h/", "https://h"), ("http://h/prefix/", "http://h/prefix")],
)
def test_servers(server: str, url: str) -> None:
    assert connection(Flags(server=server), {}).server == url


def test_a_server_without_scheme_is_https_where_something_speaks_of_tls() -> None:
    assert connection(Flags(server="h:6443", insecure_skip_tls_verify=True), {}).server == "https://h:6443"


def test_impersonation() -> None:
    flags = Flags(as_user="bob", as_uid="7", as_group=("a", "b,c"), as_user_extra=("Scope/x=1", "scope/x=2"))

    assert connection(flags, {}).impersonate == (
        ("Impersonate-User", "bob"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b,c"),
        ("Impersonate-Extra-scope%2Fx", "1"),
        ("Impersonate-Extra-scope%2Fx", "2"),
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (Flags(as_group=("a",)), "requesting uid, groups or user-extra without impersonating a user"),
        (
            Flags(as_user="bob", as_user_extra=("a",)),
            'invalid argument "a" for "--as-user-extra" flag: expected key=value',
        ),
        (Flags(as_user="a\r\nX: b"), "Impersonate-User: line breaks are not allowed"),
        (
            Flags(request_timeout="soon"),
            "Invalid timeout value. Timeout must be a single integer in seconds, or an integer followed by a corresponding time unit (e.g. 1s | 2m | 3h)",
        ),
        (Flags(request_timeout="-1s"), "--request-timeout must not be negative: -1s"),
    ],
    ids=str,
)
def test_flags_that_make_no_sense(flags: Flags, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        connection(flags, {})

    assert caught.value.message == message


@pytest.mark.parametrize(
    ("content", "flags", "line"),
    [
        ("a: [b", {}, "error: error loading config file \"{path}\": yaml: line 2: did not find expected ',' or ']'"),
        (
            "just text",
            {},
            'error: error loading config file "{path}": not a kubeconfig: no mapping with clusters and users',
        ),
        ("[]", {}, 'error: error loading config file "{path}": not a kubeconfig: no mapping with clusters and users'),
        ("a: \x01", {}, 'error: error loading config file "{path}": yaml: invalid characters'),
        (
            "clusters: {}\nusers: 5",
            {},
            'error: error loading config file "{path}": users must be a list of named entries',
        ),
        (config("a", current="x"), {}, "Error in configuration: context was not found for specified context: x"),
        (config("a"), {"context": "x"}, 'error: context "x" does not exist'),
        (config("a"), {"cluster": "x"}, 'error: cluster "x" does not exist'),
        (config("a"), {"user": "x"}, 'error: auth info "x" does not exist'),
        (
            config("a", cluster={"certificate-authority": "/no/ca"}),
            {},
            "error: unable to read certificate-authority /no/ca due to open /no/ca: no such file or directory",
        ),
        (
            config("a", user={"client-certificate": "/no/c", "client-key": "/no/k"}),
            {},
            "error: unable to read client-cert /no/c for a due to open /no/c: no such file or directory",
        ),
        (
            config("a", user={"client-certificate-data": "YQ=="}),
            {},
            "error: client-key-data or client-key must be specified for a to use the clientCert authentication method.",
        ),
        (
            config("a", cluster={"server": "ftp://x"}),
            {},
            'Unable to connect to the server: unsupported protocol scheme "ftp"',
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(content: Any, flags: dict[str, str], line: str, tmp_path: Path) -> None:
    path = write(tmp_path / "config", content)

    with pytest.raises(ConfigError) as caught:
        connection(Flags(kubeconfig=str(path), **flags), {})

    assert caught.value.line == line.replace("{path}", str(path))


def test_a_missing_file_that_was_named() -> None:
    with pytest.raises(ConfigError) as caught:
        connection(Flags(kubeconfig="/nope"), {})

    assert caught.value.line == "error: stat /nope: no such file or directory"


def test_nothing_that_is_printed_of_a_connection_holds_a_credential(tmp_path: Path) -> None:
    path = write(tmp_path / "config", config("a", user={"token": "s3cret", "password": "s3cret", "username": "u"}))
    flags = Flags(kubeconfig=str(path), token="s3cret")

    found = connection(flags, {})

    assert "s3cret" not in f"{found!r} {found.user!r} {flags!r} {found} {found.user}"
