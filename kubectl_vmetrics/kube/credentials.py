"""Authentication: the Authorization header and the client certificate of a user.

Tokens, token files, passwords and certificates are handled here. Exec plugins, OIDC and service accounts
go through the `kubernetes` package, which costs 0.3 s to import, so it is imported only for those.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import threading
import time
from pathlib import Path
from typing import Any

from . import preferences
from .changes import Changes
from .errors import ConfigError
from .kubeconfig import SERVICE_ACCOUNT, Connection

_EARLY = 30.0
"""Seconds before its expiry at which a credential is renewed."""


class Credentials:
    """The credentials of one connection, fetched when first asked for, renewed when they expire or their files change.

    Attributes:
        generation: another number after each change of certificate or authority, for those who made something of them.

    Safe to use from several threads.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._fetched = False
        self._header: str | None = None
        self._certificate: tuple[bytes, bytes] | None = None
        self._authority = connection.ca
        self._expires = 0.0
        self._changed = Changes(*_files(connection))
        self.generation = 0

    def __repr__(self) -> str:
        """Never a credential."""
        return "Credentials(…)"

    def authorization(self) -> str | None:
        """The Authorization header; None without one.

        Raises:
            ConfigError: a token file that cannot be read, a plugin that fails.
        """
        self._ensure()
        return self._header

    def certificate(self) -> tuple[bytes, bytes] | None:
        """The client certificate and its key, both PEM; None without one. Raises ConfigError."""
        self._ensure()
        return self._certificate

    def authority(self) -> bytes | None:
        """The CA bundle to trust, PEM; None for the system's. Raises ConfigError."""
        self._ensure()
        return self._authority

    def renewable(self) -> bool:
        """Whether fetching again can give other credentials; only then forget() and retry after a 401."""
        user = self._connection.user
        return bool(user.token_file or user.exec or user.command or user.auth_provider or self._connection.in_cluster)

    def forget(self) -> None:
        """Fetch again on the next request."""
        with self._lock:
            self._fetched = False

    def _ensure(self) -> None:
        with self._lock:
            expired = self._expires and time.time() > self._expires - _EARLY
            if self._changed() or expired or not self._fetched:
                self._fetched = False
                before = self._certificate, self._authority
                self._fetch()
                if before != (self._certificate, self._authority):
                    self.generation += 1
                self._fetched = True

    def _fetch(self) -> None:
        user = self._connection.user
        self._expires = 0.0
        if user.files:
            self._read_certificate(*user.files)
        elif user.certificate is not None and user.key is not None:
            self._certificate = (user.certificate, user.key)
        if self._connection.ca_file:
            self._read_authority(self._connection.ca_file)
        if self._connection.in_cluster:
            self._header = _bearer(_read_token(str(SERVICE_ACCOUNT / "token")))
        elif user.token_file:
            self._header = _bearer(_read_token(user.token_file))
        elif user.token:
            self._header = _bearer(user.token)
        elif user.exec:
            self._from_plugin(user.exec)
        elif user.command:
            from . import token_command

            token = token_command.run(user.command)
            self._header, self._expires = _bearer(token.value), token.expires
        elif user.auth_provider:
            self._header = _from_provider(self._connection)
        elif user.username or user.password:
            pair = f"{user.username or ''}:{user.password or ''}".encode()
            self._header = "Basic " + base64.b64encode(pair).decode()

    def _read_certificate(self, certificate: str, key: str) -> None:
        try:
            self._certificate = (_read(certificate), _read(key))
        except ConfigError:
            if self._certificate is None:
                raise  # else they are being replaced: until then, those of before do

    def _read_authority(self, path: str) -> None:
        with contextlib.suppress(ConfigError):  # as above; it was read before
            self._authority = _read(path)

    def _from_plugin(self, plugin: dict[str, Any]) -> None:
        status = _run_plugin(plugin, self._connection)
        token, certificate, key = (status.get(k) for k in ("token", "clientCertificateData", "clientKeyData"))
        if isinstance(token, str) and token:
            self._header = _bearer(token)
        if isinstance(certificate, str) and isinstance(key, str):
            self._certificate = (certificate.encode(), key.encode())
        elif not token:
            raise _no_credentials("exec: the plugin returned neither a token nor a certificate with its key")
        if expiry := status.get("expirationTimestamp"):
            import datetime

            try:
                self._expires = datetime.datetime.fromisoformat(str(expiry).replace("Z", "+00:00")).timestamp()
            except ValueError:
                self._expires = 0.0


def in_cluster(connection: Connection) -> Connection:
    """The connection of a pod to its own apiserver, by its service account. Raises ConfigError."""
    import msgspec
    from kubernetes import client, config

    found = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=found)  # type: ignore[no-untyped-call]
        ca = Path(str(found.ssl_ca_cert)).read_bytes()
        namespace = (SERVICE_ACCOUNT / "namespace").read_text().strip()
    except (config.ConfigException, OSError) as error:
        raise ConfigError(f"in-cluster configuration: {error}") from None
    if connection.namespace != "default":
        namespace = connection.namespace
    ca_file = str(found.ssl_ca_cert)
    return msgspec.structs.replace(connection, server=found.host, ca=ca, ca_file=ca_file, namespace=namespace)


_asking = threading.Event()


def plugin_runs() -> bool:
    """Whether an exec plugin runs, which may write to the terminal and read a password from it."""
    return _asking.is_set()


def _run_plugin(plugin: dict[str, Any], connection: Connection) -> dict[str, Any]:
    from kubernetes.config.config_exception import ConfigException
    from kubernetes.config.exec_provider import ExecProvider
    from kubernetes.config.kube_config import ConfigNode

    command = plugin["command"]
    plugin = {**plugin, "command": preferences.permitted(command, connection.preferences)}
    cluster = {"server": connection.server, **connection.cluster}
    try:
        _asking.set()
        nodes = ConfigNode("exec", plugin), None, ConfigNode("cluster", cluster)  # type: ignore[no-untyped-call]
        status = ExecProvider(*nodes).run()  # type: ignore[no-untyped-call]
    except FileNotFoundError:
        hint = plugin.get("installHint")
        raise _no_credentials(
            f"exec: executable {command} not found", hint=hint if isinstance(hint, str) else None
        ) from None
    except (ConfigException, OSError, KeyError, TypeError) as error:
        # What the plugin printed may hold anything, a token included: say only what the provider made of it.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if reason.startswith("exec: process returned"):
            reason = f"exec: executable {command} failed with exit code {reason.split()[3].rstrip('.')}"
        raise _no_credentials(reason, hint=f"run it manually to see why: {command}") from None
    finally:
        _asking.clear()
    if not isinstance(status, dict):
        raise _no_credentials("exec: the plugin returned no status")
    return status


def _from_provider(connection: Connection) -> str:
    from kubernetes import client, config

    user = {"auth-provider": connection.user.auth_provider}
    document = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": connection.server}}],
        "users": [{"name": "u", "user": user}],
    }
    found = client.Configuration()
    name = (connection.user.auth_provider or {}).get("name", "")
    logging.getLogger("root").addHandler(logging.NullHandler())
    try:
        config.load_kube_config_from_dict(document, client_configuration=found)  # type: ignore[no-untyped-call]
    except Exception as error:  # the providers raise whatever their libraries raise
        raise _no_credentials(f"auth-provider {name}: {type(error).__name__}") from None
    header = found.api_key.get("BearerToken") or found.api_key.get("authorization")
    if not header:
        raise _no_credentials(
            f"auth-provider {name}: no token was obtained", hint="log in again with that provider's own tool"
        )
    return str(header)


def _files(connection: Connection) -> list[str]:
    """Those that may change."""
    user = connection.user
    token = str(SERVICE_ACCOUNT / "token") if connection.in_cluster else user.token_file
    return [path for path in (token, *(user.files or ()), connection.ca_file) if path]


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"unable to read {path}: {(error.strerror or 'it cannot be read').lower()}") from None


def _read_token(path: str) -> str:
    try:
        token = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise ConfigError(f'token file "{path}": {reason.lower()}') from None
    if not token:
        raise ConfigError(f'token file "{path}" is empty')
    return token


def _bearer(token: str) -> str:
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError("the token contains invalid characters (a line break, a space or a non-ASCII letter)")
    return f"Bearer {token}"


def _no_credentials(reason: str, hint: str | None = None) -> ConfigError:
    return ConfigError(f"Unable to connect to the server: getting credentials: {reason}", hint=hint, prefix="")
