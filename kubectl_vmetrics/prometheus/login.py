"""The credentials of a Prometheus, and the TLS files to reach it with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from kubectl_vmetrics.kube.errors import ConfigError, UsageError
from kubectl_vmetrics.kube.kubeconfig import Connection, User

TENANT = "X-Scope-OrgID"
"""The header that names a tenant to Mimir, Loki and Cortex, and to proxies that do the same."""
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
"""RFC 9110, 5.6.2."""
_OURS = ("accept", "accept-encoding", "content-length", "content-type", "host", "transfer-encoding", "connection")


class Login(msgspec.Struct, frozen=True):
    """How to log in to a server. Files are read when they are needed, and again when they change.

    Attributes:
        headers: of every request.
        tenant: the value of X-Scope-OrgID, "" for none; not a credential.
        token, token_file: a bearer token.
        username, password: for basic authentication.
        command: prints a token.
        authority: PEM file of the CA to trust; "" for the system's.
        certificate, key: PEM files of a client certificate.
        insecure: whether any certificate of the server is accepted.
        server_name: the name in its certificate; "" for that of the URL.
        region: of AWS, to sign requests for; "" for no signature.
    """

    headers: Mapping[str, str] = {}
    tenant: str = ""
    token: str = ""
    token_file: str = ""
    username: str = ""
    password: str = ""
    command: tuple[str, ...] = ()
    authority: str = ""
    certificate: str = ""
    key: str = ""
    insecure: bool = False
    server_name: str = ""
    region: str = ""

    def __repr__(self) -> str:
        """Never a credential."""
        return "Login(…)"

    @property
    def secret(self) -> bool:
        """Whether there is anything that only one server may see."""
        return bool(self.headers or self.token or self.token_file or self.username or self.password) or bool(
            self.command or self.certificate or self.region
        )

    @property
    def all_headers(self) -> dict[str, str]:
        """Those of every request, the tenant's included."""
        return merged(self.headers, {TENANT: self.tenant} if self.tenant else {})


def header(given: str) -> tuple[str, str]:
    """A header as NAME:VALUE, or NAME:@FILE for a value that is in a file.

    Raises:
        UsageError: no header, or one that requests set themselves. The message repeats nothing but its name.
        ConfigError: a file that cannot be read.
    """
    name, colon, value = given.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not _NAME.fullmatch(name):
        raise UsageError("--prometheus-header: use NAME:VALUE, or NAME:@FILE to read the value from a file")
    if name.lower() in _OURS:
        raise UsageError(f"--prometheus-header: {name} cannot be set")
    if value.startswith("@"):
        value = secret(value[1:], "--prometheus-header")
    if not value.isascii() or not value.isprintable():
        raise UsageError(f"--prometheus-header: the value of {name} has a line break or a character that is not ASCII")
    return name, value


def secret(path: str, option: str) -> str:
    """A file with one line. Raises ConfigError, which holds nothing of its content."""
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise ConfigError(f"{option}: {path}: {reason.lower()}") from None
    if not text:
        raise ConfigError(f"{option}: {path} is empty")
    return text


def headers(given: Sequence[str]) -> dict[str, str]:
    """Headers as `header` takes them; of several with one name, the last. Raises as `header`."""
    found: dict[str, tuple[str, str]] = {}
    for text in given:
        name, value = header(text)
        found[name.lower()] = (name, value)
    return dict(found.values())


def merged(theirs: Mapping[str, str], ours: Mapping[str, str]) -> dict[str, str]:
    """Headers by names in any case; ours take precedence."""
    given = {name.lower() for name in ours}
    return {**{name: value for name, value in theirs.items() if name.lower() not in given}, **ours}


def connection(url: str, login: Login, *, timeout: float | None = None) -> Connection:
    """A server by its URL.

    Args:
        url: as `way.normalized` gives it.
        login: the credentials.
        timeout: seconds for one request; None for a request's own.

    Raises:
        ConfigError: a TLS file that cannot be read.
    """
    user = User(
        token=login.token or None,
        token_file=login.token_file or None,
        certificate=_read(login.certificate, "--prometheus-client-certificate"),
        key=_read(login.key, "--prometheus-client-key"),
        files=(login.certificate, login.key) if login.certificate else None,
        username=login.username or None,
        password=login.password or None,
        command=login.command,
    )
    return Connection(
        server=url,
        ca=None if login.insecure else _read(login.authority, "--prometheus-certificate-authority"),
        ca_file=login.authority or None,
        insecure=login.insecure,
        tls_server_name=login.server_name or None,
        user=user,
        timeout=timeout,
    )


def _read(path: str, option: str) -> bytes | None:
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{option}: {path}: {(error.strerror or 'it cannot be read').lower()}") from None
