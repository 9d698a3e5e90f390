"""`proxy`: the host's metrics with virtual names, for kubectl, Prometheus and others."""

from __future__ import annotations

import contextlib
import gc
import logging
import re
import sys
from typing import Any

import click

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import StatusError, Unauthorized, UsageError
from kubectl_vmetrics.output.terminal import Environment

from .cluster import client as open_client
from .cluster import log
from .command import Command
from .top.choose import Targets, choose, target_option, vcluster_option

REACHED_WITHIN = 15.0
"""Seconds to wait for the host before serving anything."""


@click.command(
    "proxy",
    cls=Command,
    help="""Serve the host's metrics with virtual names until Ctrl-C.

It serves the metrics part of the Kubernetes API: metrics.k8s.io, nodes, and the kubelets' endpoints. With --vcluster, /
is the view of that virtual cluster. Without it, / is the host's view, and each virtual cluster's view is at
/vclusters/HOSTNS/NAME/. /sd lists targets for Prometheus, /metrics/names the names of pods and claims for a Prometheus
that already scrapes kubelets; /metrics is about the proxy itself. With --only-names, no metrics of pods and nodes are
served, and no rights on nodes are needed.

Anyone who can reach the proxy sees what it serves, so any address other than localhost requires a token and TLS.""",
    examples=[
        ("Serve everything, and query it", "proxy --port 8001"),
        ("One virtual cluster, without metrics of whole nodes", "proxy --vcluster shop --isolate"),
        ("Names for a Prometheus that already scrapes the kubelets", "proxy --only-names"),
    ],
)
@click.option("--port", default=8001, show_default=True, help="Port to listen on; 0 for any free port.")
@click.option("--address", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--accept-hosts",
    default=r"localhost|127\.0\.0\.1|\[::1\]",
    show_default=True,
    help="Regular expression for Host headers to accept.",
)
@click.option(
    "--token-file",
    help="File with the token clients must present. This file and those below are reloaded when they change.",
)
@click.option("--tls-cert-file", help="File with the TLS certificate.")
@click.option("--tls-private-key-file", help="File with the private key of the TLS certificate.")
@click.option(
    "--max-connections-per-client",
    default=256,
    show_default=True,
    help="Maximum number of open connections per client address.",
)
@vcluster_option
@target_option
@click.option(
    "--isolate",
    is_flag=True,
    help="Exclude metrics of whole nodes from tenants' views; the host's view is not affected.",
)
@click.option(
    "--only-names",
    is_flag=True,
    help="Serve only /metrics/names, /metrics and /sd; with --vcluster, names of that virtual cluster's pods.",
)
@click.pass_context
def proxy(
    context: click.Context,
    /,
    port: int,
    address: str,
    accept_hosts: str,
    token_file: str | None,
    tls_cert_file: str | None,
    tls_private_key_file: str | None,
    max_connections_per_client: int,
    vcluster: str | None,
    targets: Targets,
    isolate: bool,
    only_names: bool,
) -> int:
    """Read the options, serve, wait."""
    environment: Environment = context.obj
    from kubectl_vmetrics.kube.transport import loopback

    if only_names and isolate:
        raise UsageError("--isolate has no effect with --only-names, which serves no metrics of nodes: use one of them")
    if not 0 <= port < 65536:
        raise UsageError(f"--port: {port} is not a port: use 0 to 65535")
    if max_connections_per_client < 1:
        raise UsageError("--max-connections-per-client must be 1 or more")
    from kubectl_vmetrics.proxy.files import Token

    token = Token(token_file) if token_file is not None else None
    tls = (tls_cert_file, tls_private_key_file) if tls_cert_file and tls_private_key_file else None
    if bool(tls_cert_file) != bool(tls_private_key_file):
        raise UsageError("--tls-cert-file and --tls-private-key-file must be used together")
    if not loopback(address) and not (token and tls):
        raise UsageError(f"listening on {address} requires --token-file, --tls-cert-file and --tls-private-key-file")
    try:
        hosts = re.compile(accept_hosts)
    except re.error as error:
        raise UsageError(f"--accept-hosts: not a regular expression: {error}") from None
    from kubectl_vmetrics.proxy import server
    from kubectl_vmetrics.proxy.application import Proxy
    from kubectl_vmetrics.proxy.limits import Limits
    from kubectl_vmetrics.proxy.views import Views

    gc.enable()
    sys.unraisablehook = _quietly
    log(environment, logging.WARNING)
    client = open_client(context)  # which logs more where -v asks for it
    _reach(client)
    only, homes = choose(client, vcluster, targets) if vcluster else (None, None)
    if only and homes:
        homes.settle_for(client, only)
        homes.places(client, only)
    views = Views(client, only, isolate=isolate, homes=homes, targets=targets)
    application = Proxy(views, accept_hosts=hosts, token=token, only_names=only_names)
    limits = Limits(per_client=max_connections_per_client)
    with contextlib.closing(views), server.Server(application, address, port, tls, limits) as served:
        what = f"virtual cluster {only.path}" if only else "the host and its virtual clusters"
        use = f"kubectl -s {served.url} top pods -A"
        if only_names:
            what, use = f"names of {what}", f"curl {served.url}/metrics/names"
        environment.stdout.write(f"Serving {what} at {served.url}\n  {use}\nPress Ctrl-C to stop.\n")
        environment.stdout.flush()
        served.until_stopped()
    return 0


def _reach(client: Client) -> None:
    """Raise what a client would be told only later, if it is plain from the beginning that nobody can be served."""
    try:
        client.get("/version", limit=REACHED_WITHIN)
    except Unauthorized:
        raise
    except StatusError:
        pass  # it is there; what it allows shows with each question


def _quietly(what: Any) -> None:
    """From Python 3.13 on the buffer of a connection that a client closed complains when it is collected."""
    if not isinstance(what.exc_value, OSError):
        sys.__unraisablehook__(what)
