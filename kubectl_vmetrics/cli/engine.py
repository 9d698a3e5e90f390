"""--prometheus and its credentials: from the options of a command line to a Prometheus that answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from kubectl_vmetrics.kube.errors import UsageError
from kubectl_vmetrics.output.terminal import Environment

from .command import cluster_flags

if TYPE_CHECKING:
    from kubectl_vmetrics.kube.client import Client
    from kubectl_vmetrics.prometheus.api import Prometheus
    from kubectl_vmetrics.prometheus.login import Login
    from kubectl_vmetrics.prometheus.probe import Probe
    from kubectl_vmetrics.prometheus.way import Way

_META = f"{__name__}.options"
_WARNED = f"{__name__}.warned"
PREFIX = "prometheus"
JOBS = ("kubelet", "cadvisor", "kube-state-metrics", "names")
"""What --prometheus-job names jobs of; history.jobs has the same."""
OPTIONS: tuple[tuple[str, str, str], ...] = (
    ("header", "list", "Header NAME:VALUE for Prometheus, or NAME:@FILE; can be repeated. ps shows VALUE, not FILE."),
    ("match", "list", "Read only series with LABEL=VALUE, such as cluster=prod; can be repeated."),
    ("job", "list", "KIND=JOB that scrapes kubelet, cadvisor, kube-state-metrics or names; can be repeated."),
    ("tenant", "text", "Tenant of Prometheus: the value of X-Scope-OrgID."),
    ("token-file", "file", "File with a bearer token for Prometheus, or set VMETRICS_PROMETHEUS_TOKEN."),
    ("username", "text", "User name for Prometheus."),
    ("password-file", "file", "File with that user's password, or set VMETRICS_PROMETHEUS_PASSWORD."),
    ("exec", "text", "Command that prints a token for Prometheus, or an ExecCredential as kubeconfig plugins do."),
    ("sigv4-region", "text", "AWS region to sign requests for (SigV4, service aps)."),
    ("certificate-authority", "file", "PEM file of the certificate authority that Prometheus' certificate is from."),
    ("client-certificate", "file", "PEM file of a client certificate for Prometheus."),
    ("client-key", "file", "PEM file of its key."),
    ("tls-server-name", "text", "Name in Prometheus' certificate (default: the host of its URL)."),
    ("insecure-skip-tls-verify", "flag", "Do not verify Prometheus' certificate. This makes the connection insecure."),
    ("port-forward", "flag", "Reach a Prometheus in the cluster by a forwarded port instead of the apiserver's proxy."),
)
"""Those that every command with --prometheus has but does not list: name without prefix, kind, help.

Each is also an environment variable: VMETRICS_PROMETHEUS_TOKEN_FILE. VMETRICS_PROMETHEUS_TOKEN and
VMETRICS_PROMETHEUS_PASSWORD have no option, since ps would show them.
"""


def _remember(context: click.Context, option: click.Parameter, value: Any) -> None:
    if value == "" or (isinstance(value, tuple) and "" in value):
        # An empty variable in a script: another server would be asked, or the same one without credentials.
        raise UsageError(f"{option.opts[0]}: the value is empty; leave the option out for the default")
    if value not in (None, False, ()):
        context.meta.setdefault(_META, {})[str(option.name)] = value


def prometheus_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --prometheus and the options of its credentials; `open_prometheus` reads them."""
    kinds: dict[str, dict[str, Any]] = {
        "text": {"type": str},
        "file": {"type": str, "metavar": "FILE"},
        "list": {"type": str, "multiple": True},
        "flag": {"is_flag": True},
    }
    for name, kind, text in reversed(OPTIONS):
        command = click.option(
            f"--{PREFIX}-{name}", help=text, hidden=True, expose_value=False, callback=_remember, **kinds[kind]
        )(command)
    return click.option(
        f"--{PREFIX}",
        metavar="URL|NAMESPACE/NAME",
        expose_value=False,
        callback=_remember,
        help="Prometheus to ask, by URL or Service (default: $VMETRICS_PROMETHEUS, else the one that is found). "
        "See kubectl vmetrics options for credentials.",
    )(command)


def write_options(write: Callable[[str], Any]) -> None:
    """The list of those that are not in each command's help, for `options`."""
    formatter = click.HelpFormatter(width=100)
    formatter.write(
        "\nThe following options can be passed to commands with --prometheus; each is also an environment\n"
    )
    formatter.write("variable, for instance VMETRICS_PROMETHEUS_TENANT:\n\n")
    metavars = {"text": " TEXT", "list": " TEXT", "file": " FILE", "flag": ""}
    formatter.write_dl([(f"--{PREFIX}-{name}{metavars[kind]}", text) for name, kind, text in OPTIONS])
    write(formatter.getvalue())


def given(context: click.Context) -> bool:
    """Whether the command line has one of the options. The environment does not count."""
    return bool(context.meta.get(_META))


def open_prometheus(context: click.Context, client: Client | None) -> Prometheus:
    """The Prometheus that the command line or the environment names, or that is found in the cluster.

    Args:
        context: of a command with `prometheus_options`.
        client: the cluster; None if it is only asked where a URL is given.

    Raises:
        UsageError: options that cannot be used.
        ConfigError: files that cannot be read.
        VmetricsError: none is found, or none answers; as finding Services.
    """
    from kubectl_vmetrics.prometheus.api import Prometheus

    named, login, forwarded = _target(context, client)
    matchers, jobs = _matchers(context), _jobs(context)
    if named:
        found = Prometheus(named, matchers=matchers)
        found.jobs = jobs
        return found
    if client is None:
        raise UsageError("name the URL of a Prometheus with --prometheus")
    from . import engines

    told = cluster_flags(context).get("verbosity", 0) > 0
    found = engines.choose(client, login, context.obj, told=told, forwarded=forwarded, matchers=matchers)
    found.jobs = jobs
    return found


def look(context: click.Context, client: Client) -> list[Probe]:
    """What `open_prometheus` chooses from: the server that is named, else all that are found. Raises the same."""
    from . import engines

    named, login, forwarded = _target(context, client)
    return engines.seen([named]) if named else engines.look(client, login, forwarded=forwarded)


def _target(context: click.Context, client: Client | None) -> tuple[Way | None, Login, bool]:
    """The server that is named, if one is; the credentials; whether its port is forwarded."""
    from kubectl_vmetrics.prometheus import way

    login = _login(context)
    target = _value(context, "") or ""
    forwarded = bool(_value(context, "port-forward"))
    if "://" in target:
        if forwarded:
            raise UsageError("--prometheus-port-forward is for a Service: use --prometheus NAMESPACE/NAME")
        found = way.by_url(target, login, timeout=_timeout(context))
        if found.authenticates and way.exposed(found.name) and not context.meta.get(_WARNED):
            context.meta[_WARNED] = True
            context.obj.say(f"Warning: credentials are sent to {found.name} without encryption: use https")
        return found, login, False
    if target:
        if client is None:
            raise UsageError("name the URL of a Prometheus with --prometheus")
        return _named(client, target, login, forwarded=forwarded), login, forwarded
    if login.secret:
        raise UsageError("credentials for Prometheus are only sent to one that you name: add --prometheus")
    return None, login, forwarded


def _named(client: Client, target: str, login: Login, *, forwarded: bool) -> Way:
    from kubectl_vmetrics.prometheus import find, way

    if login.region:
        raise UsageError("--prometheus-sigv4-region is for a URL: use --prometheus https://aps-workspaces.…")
    namespace, slash, name = target.partition("/")
    if not slash or not namespace or not name or "/" in name:
        raise UsageError("--prometheus: use a URL (http://… or https://…) or a Service as NAMESPACE/NAME")
    place = find.named(client, namespace, name)
    if forwarded or login.secret:
        return way.by_port_forward(client, place, login)
    return way.by_service(client, place, login.all_headers)


def _timeout(context: click.Context) -> float | None:
    from kubectl_vmetrics.kube.duration import parse_timeout

    found = cluster_flags(context).get("request_timeout")
    return None if found is None else parse_timeout(found)


def _value(context: click.Context, name: str) -> Any:
    """An option, or else its environment variable; None without either."""
    environment: Environment = context.obj
    key = f"{PREFIX}-{name}".rstrip("-").replace("-", "_")
    found = context.meta.get(_META, {}).get(key)
    if found is not None:
        return found
    text = environment.variables.get(f"VMETRICS_{key.upper()}", "")
    if name in ("header", "match", "job"):
        return tuple(line for line in text.splitlines() if line.strip()) or None
    if name in ("insecure-skip-tls-verify", "port-forward"):
        return text.lower() in ("1", "t", "true", "yes") or None
    return text or None


def _matchers(context: click.Context) -> str:
    """--prometheus-match as PromQL: 'cluster="prod",replica="a"'. Raises UsageError."""
    found = []
    for text in _value(context, "match") or ():
        name, equals, value = text.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or not value.isprintable():
            raise UsageError("--prometheus-match: use LABEL=VALUE, for example cluster=prod")
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        found.append(f'{name}="{escaped}"')
    return ",".join(found)


def _jobs(context: click.Context) -> dict[str, str]:
    """--prometheus-job by kind. Raises UsageError."""
    found = {}
    for text in _value(context, "job") or ():
        kind, _, name = text.partition("=")
        if kind not in JOBS or not name or not name.isprintable():
            raise UsageError(f"--prometheus-job: use KIND=NAME; KIND is {', '.join(JOBS[:-1])} or {JOBS[-1]}")
        found[kind] = name
    return found


def _login(context: click.Context) -> Login:
    """The credentials that are given. Raises UsageError and ConfigError."""
    import shlex

    from kubectl_vmetrics.prometheus import login

    environment: Environment = context.obj
    values = {name: _value(context, name) for name, _, _ in OPTIONS}
    password = environment.variables.get("VMETRICS_PROMETHEUS_PASSWORD", "")
    if path := values["password-file"]:
        password = login.secret(path, "--prometheus-password-file")
    token = "" if values["token-file"] else environment.variables.get("VMETRICS_PROMETHEUS_TOKEN", "").strip()
    if password and not values["username"]:
        raise UsageError("a password for Prometheus needs --prometheus-username")
    if bool(values["client-certificate"]) != bool(values["client-key"]):
        raise UsageError("--prometheus-client-certificate and --prometheus-client-key belong together")
    try:
        command = tuple(shlex.split(values["exec"] or ""))
    except ValueError:
        raise UsageError("--prometheus-exec: a quotation mark is not closed") from None
    found = login.Login(
        headers=login.headers(values["header"] or ()),
        tenant=values["tenant"] or "",
        token=token,
        token_file=values["token-file"] or "",
        username=values["username"] or "",
        password=password,
        command=command,
        authority=values["certificate-authority"] or "",
        certificate=values["client-certificate"] or "",
        key=values["client-key"] or "",
        insecure=bool(values["insecure-skip-tls-verify"]),
        server_name=values["tls-server-name"] or "",
        region=values["sigv4-region"] or "",
    )
    ways = [bool(found.token or found.token_file), bool(found.username), bool(found.command), bool(found.region)]
    if sum(ways) > 1:
        raise UsageError("credentials for Prometheus: use only one of a token, a user, --prometheus-exec and SigV4")
    return found
