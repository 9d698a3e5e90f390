"""kubeconfig files and kubectl's cluster flags, merged into one description of how to reach a cluster.

Rules: https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/ and
k8s.io/client-go/tools/clientcmd (loader.go, client_config.go, validation.go).
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from . import preferences
from .duration import parse_timeout
from .errors import ConfigError, UsageError

NO_CLUSTER = "localhost:8080"
"""What kubectl asks when no kubeconfig, flag or service account says anything else."""

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Flags(msgspec.Struct, frozen=True):
    """kubectl's cluster flags as given on the command line; None, empty or False where not given."""

    kubeconfig: str | None = None
    context: str | None = None
    cluster: str | None = None
    user: str | None = None
    namespace: str | None = None
    server: str | None = None
    token: str | None = None
    certificate_authority: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    tls_server_name: str | None = None
    insecure_skip_tls_verify: bool = False
    as_user: str | None = None
    as_uid: str | None = None
    as_group: tuple[str, ...] = ()
    as_user_extra: tuple[str, ...] = ()
    request_timeout: str | None = None
    disable_compression: bool = False
    cache_dir: str | None = None

    def __repr__(self) -> str:
        """Never the token."""
        return "Flags(…)"


class User(msgspec.Struct, frozen=True):
    """How to authenticate: a certificate, and one of token, exec plugin, provider or password, in kubectl's order.

    Attributes:
        files: where certificate and key came from, which may change; None where they are in the kubeconfig itself.
        command: prints a token, or an ExecCredential; no kubeconfig has it.
    """

    name: str = ""
    token: str | None = None
    token_file: str | None = None
    certificate: bytes | None = None
    key: bytes | None = None
    files: tuple[str, str] | None = None
    username: str | None = None
    password: str | None = None
    exec: dict[str, Any] | None = None
    auth_provider: dict[str, Any] | None = None
    command: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Never a credential."""
        return f"User(name={self.name!r}, …)"


class Connection(msgspec.Struct, frozen=True):
    """A cluster, and the identity to use there.

    Attributes:
        server: the apiserver's URL, without a slash at the end.
        namespace: the one to use where a command names none.
        ca: the CA bundle as PEM; None for the system's.
        ca_file: where it came from, which may change; None where it is in the kubeconfig itself.
        impersonate: Impersonate-* headers, repeated ones included.
        timeout: seconds for one request; 0 for no limit, None where the user did not say.
        preferences: the file that says which credential plugins may run; None without.
    """

    server: str
    namespace: str = "default"
    context: str = ""
    ca: bytes | None = None
    ca_file: str | None = None
    insecure: bool = False
    tls_server_name: str | None = None
    proxy_url: str | None = None
    disable_compression: bool = False
    user: User = User()
    cluster: dict[str, Any] = {}
    impersonate: tuple[tuple[str, str], ...] = ()
    timeout: float | None = None
    in_cluster: bool = False
    preferences: Path | None = None

    def __repr__(self) -> str:
        """Never a credential."""
        return f"Connection(server={login_apart(self).server!r}, namespace={self.namespace!r}, …)"


def connection(flags: Flags, environ: Mapping[str, str] | None = None) -> Connection:
    """Merge the kubeconfig files and the flags.

    Raises:
        ConfigError: a file that is missing or unreadable, an unknown context, cluster or user.
        UsageError: flags that contradict each other.
    """
    environ = os.environ if environ is None else environ
    config = _load(flags, environ)
    context_name = flags.context or _text(config, "current-context")
    context = config["contexts"].get(context_name)
    if context is None and flags.context:
        raise ConfigError(f'context "{flags.context}" does not exist', hint=_known("contexts", config))
    if context is None and context_name:
        raise ConfigError(
            f"context was not found for specified context: {context_name}", prefix="Error in configuration: "
        )
    context = context or {}
    cluster = _named(config, "clusters", "cluster", flags.cluster, _text(context, "cluster"))
    user = _named(config, "users", "auth info", flags.user, _text(context, "user"))
    in_cluster = not config["clusters"] and not flags.server and _service_account(environ)
    server, ca, ca_file, insecure = _server(flags, cluster, user)
    login = _user(flags, user, flags.user or _text(context, "user"))
    if "://" not in server:
        # k8s.io/client-go/rest/url_utils.go: an address alone is HTTP unless something speaks of TLS.
        tls = ca is not None or insecure or login.certificate is not None
        server = ("https://" if tls else "http://") + server
    if not re.match(r"https?://[^/]", server):
        scheme = server.partition("://")[0]
        raise ConfigError(f'Unable to connect to the server: unsupported protocol scheme "{scheme}"', prefix="")
    try:
        urlsplit(server)
    except ValueError:  # the message would hold the password
        raise ConfigError("Unable to connect to the server: missing ']' in host", prefix="") from None
    override_name = flags.tls_server_name if flags.tls_server_name or flags.server else None
    kept_name = None if flags.server else _text(cluster, "tls-server-name") or None
    found = Connection(
        server=server.rstrip("/"),
        namespace=flags.namespace or _text(context, "namespace") or "default",
        context=context_name,
        ca=ca,
        ca_file=ca_file,
        insecure=insecure,
        tls_server_name=override_name or kept_name,
        proxy_url=_text(cluster, "proxy-url") or None,
        disable_compression=flags.disable_compression or bool(cluster.get("disable-compression")),
        user=login,
        cluster={key: value for key, value in cluster.items() if not key.startswith("_")},
        impersonate=_impersonation(flags, user),
        timeout=None if flags.request_timeout is None else parse_timeout(flags.request_timeout),
        in_cluster=in_cluster,
        preferences=preferences.location(environ),
    )
    return login_apart(found)


def login_apart(connection: Connection) -> Connection:
    """The same with user and password of the server's URL where others are, so that no message or log holds them.

    They are used if there are no other credentials, as in Go (net/http, Request.URL.User).
    """
    scheme, slashes, rest = connection.server.partition("://")
    host, slash, path = rest.partition("/")
    login, at, host = host.rpartition("@")
    if not at:
        return connection
    user = connection.user
    if not (user.token or user.token_file or user.exec or user.auth_provider or user.username or user.password):
        name, _, password = login.partition(":")
        user = msgspec.structs.replace(user, username=unquote(name), password=unquote(password))
    return msgspec.structs.replace(connection, server=f"{scheme}{slashes}{host}{slash}{path}", user=user)


def names(flags: Flags, environ: Mapping[str, str], kind: str) -> list[str]:
    """The names of contexts, clusters or users, for completion. Raises ConfigError."""
    return list(_load(flags, environ)[kind])


def _load(flags: Flags, environ: Mapping[str, str]) -> dict[str, Any]:
    merged: dict[str, Any] = {"clusters": {}, "contexts": {}, "users": {}, "current-context": ""}
    for path in _files(flags, environ):
        config = _read(path)
        for kind, field in (("clusters", "cluster"), ("contexts", "context"), ("users", "user")):
            for name, entry in _entries(config, kind, field, path):
                merged[kind].setdefault(name, entry)
        merged["current-context"] = merged["current-context"] or _text(config, "current-context")
    return merged


def _files(flags: Flags, environ: Mapping[str, str]) -> list[Path]:
    if flags.kubeconfig:
        path = Path(flags.kubeconfig)
        if not path.exists():
            raise ConfigError(f"stat {path}: no such file or directory")
        return [path]
    if environ.get("KUBECONFIG"):
        paths = [Path(part) for part in environ["KUBECONFIG"].split(os.pathsep) if part]
    else:
        home = environ.get("HOME") or environ.get("USERPROFILE") or ""
        paths = [Path(home, ".kube", "config")] if home else []
    return [path for path in paths if path.exists()]


def _read(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f'error loading config file "{path}": open {path}: {_reason(error)}') from None
    import yaml

    try:
        config = yaml.load(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ConfigError(f'error loading config file "{path}": yaml: {where}{error.problem}') from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError):
        raise ConfigError(f'error loading config file "{path}": yaml: invalid characters') from None
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise ConfigError(f'error loading config file "{path}": not a kubeconfig: no mapping with clusters and users')
    return config


def _entries(config: dict[str, Any], kind: str, field: str, path: Path) -> list[tuple[str, dict[str, Any]]]:
    entries = config.get(kind) or []
    found = []
    for entry in entries if isinstance(entries, list) else [None]:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise ConfigError(f'error loading config file "{path}": {kind} must be a list of named entries')
        body = entry.get(field) or {}
        if not isinstance(body, dict):
            raise ConfigError(f'error loading config file "{path}": {field} of {entry["name"]!r} must be a mapping')
        found.append((entry["name"], {**body, "_folder": path.parent}))
    return found


def _named(config: dict[str, Any], kind: str, noun: str, flag: str | None, name: str) -> dict[str, Any]:
    entries = config[kind]
    if flag and flag not in entries:
        raise ConfigError(f'{noun} "{flag}" does not exist', hint=_known(kind, config))
    entry: dict[str, Any] = entries.get(flag or name, {})
    return entry


def _known(kind: str, config: dict[str, Any]) -> str:
    names = ", ".join(sorted(config[kind]))
    return f"known {kind}: {names}" if names else f"the kubeconfig has no {kind}"


def _server(flags: Flags, cluster: dict[str, Any], user: dict[str, Any]) -> tuple[str, bytes | None, str | None, bool]:
    server = flags.server or _text(cluster, "server") or NO_CLUSTER
    if flags.certificate_authority or flags.insecure_skip_tls_verify:
        path = flags.certificate_authority or None
        ca = _file(path, "certificate-authority", "") if path else None
        return server, ca, path, flags.insecure_skip_tls_verify
    insecure = bool(cluster.get("insecure-skip-tls-verify"))
    field = "certificate-authority"
    return server, _pem(cluster, field, user.get("name", "")), _path(cluster, field), insecure


def _user(flags: Flags, user: dict[str, Any], name: str) -> User:
    folder = user.get("_folder", Path())
    certificate = (
        _file(flags.client_certificate, "client-cert", name)
        if flags.client_certificate
        else _pem(user, "client-certificate", name)
    )
    key = _file(flags.client_key, "client-key", name) if flags.client_key else _pem(user, "client-key", name)
    if (certificate is None) != (key is None):
        missing = "client-key-data or client-key" if key is None else "client-certificate-data or client-certificate"
        raise ConfigError(f"{missing} must be specified for {name} to use the clientCert authentication method.")
    paths = (
        flags.client_certificate or _path(user, "client-certificate"),
        flags.client_key or _path(user, "client-key"),
    )
    files = (paths[0], paths[1]) if paths[0] and paths[1] else None
    if flags.token:
        return User(name=name, token=flags.token, certificate=certificate, key=key, files=files)
    token_file = _text(user, "tokenFile")
    plugin = user.get("exec")
    if plugin is not None:
        if not isinstance(plugin, dict) or not _text(plugin, "command"):
            raise ConfigError(
                f"command must be specified for {name} to use exec authentication plugin",
                prefix="Error in configuration: ",
            )
        if re.search(r"[/\\]", plugin["command"]):  # a path is relative to its kubeconfig, a bare name is looked up
            plugin = {**plugin, "command": str(Path(folder, plugin["command"]))}
    provider = user.get("auth-provider")
    return User(
        name=name,
        token=_text(user, "token") or None,
        token_file=str(Path(folder, token_file)) if token_file else None,
        certificate=certificate,
        key=key,
        files=files,
        username=_text(user, "username") or None,
        password=_text(user, "password") or None,
        exec=plugin,
        auth_provider=provider if isinstance(provider, dict) else None,
    )


def _pem(entry: dict[str, Any], field: str, name: str) -> bytes | None:
    data = _text(entry, f"{field}-data")
    if data:
        try:
            return base64.b64decode(data, validate=False)
        except (binascii.Error, ValueError):
            raise ConfigError(f"{field}-data is not valid base64", prefix="Error in configuration: ") from None
    path = _path(entry, field)
    return _file(path, field.replace("client-certificate", "client-cert"), name) if path else None


def _path(entry: dict[str, Any], field: str) -> str | None:
    """The file of a certificate or key, where it is not in the kubeconfig itself."""
    path = _text(entry, field)
    return str(Path(entry.get("_folder", Path()), path)) if path and not _text(entry, f"{field}-data") else None


def _file(path: str, what: str, name: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        owner = f" for {name}" if name else ""
        raise ConfigError(f"unable to read {what} {path}{owner} due to open {path}: {_reason(error)}") from None


def _reason(error: OSError) -> str:
    return (error.strerror or "cannot be read").lower()


def _impersonation(flags: Flags, user: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    name = flags.as_user or _text(user, "as")
    uid = flags.as_uid or _text(user, "as-uid")
    groups = list(flags.as_group) or [group for group in user.get("as-groups") or [] if isinstance(group, str)]
    extra: list[tuple[str, str]] = []
    for pair in flags.as_user_extra:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f'invalid argument "{pair}" for "--as-user-extra" flag: expected key=value')
        extra.append((key, value))
    if not flags.as_user_extra:
        for key, values in (user.get("as-user-extra") or {}).items():
            extra += [(key, value) for value in values or [] if isinstance(value, str)]
    if not name:
        if uid or groups or extra:
            raise UsageError("requesting uid, groups or user-extra without impersonating a user", hint="add --as USER")
        return ()
    from urllib.parse import quote

    headers = [("Impersonate-User", name)]
    headers += [("Impersonate-Uid", uid)] if uid else []
    headers += [("Impersonate-Group", group) for group in groups]
    # Keys become part of a header's name, which is why they alone are percent-encoded
    # (https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation).
    headers += [(f"Impersonate-Extra-{quote(key.lower(), safe='')}", value) for key, value in extra]
    for header, value in headers:
        if re.search(r"[\r\n\0]", value):
            raise UsageError(f"{header}: line breaks are not allowed")
    return tuple(headers)


def _service_account(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("KUBERNETES_SERVICE_HOST")) and (SERVICE_ACCOUNT / "token").exists()


def _text(entry: Mapping[str, Any], field: str) -> str:
    value = entry.get(field)
    if value is None or isinstance(value, (dict, list)):
        return ""
    return value if isinstance(value, str) else str(value)
