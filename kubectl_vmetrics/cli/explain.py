"""`explain pod`."""

from __future__ import annotations

import contextlib
import time

import click

from kubectl_vmetrics.cli.cluster import client as open_client
from kubectl_vmetrics.cli.command import Command
from kubectl_vmetrics.kube.errors import UsageError

from . import engine
from .engine import prometheus_options
from .show import Show
from .top.choose import Targets, choose, target_option, vcluster_option

KINDS = ("pod", "pods", "po")


@click.command(
    "explain",
    cls=Command,
    arguments="pod NAME",
    help="""Explain the metrics of one pod: which virtual cluster it belongs to and why, and what each source reports.

Sources are metrics.k8s.io, the kubelet's stats/summary and metrics/cadvisor, and Prometheus where there is one. The
reason is listed for a source that fails, or that you may not read. The notes say why numbers differ.""",
    examples=[
        ("A pod by its name on the host", "explain pod orders-db-0-x-shop-x-shop -n team-a"),
        ("A pod by its name in its virtual cluster", "explain pod orders-db-0 --vcluster shop -n shop"),
        ("Beside what the tenant sees", "explain pod orders-db-0 -n team-a --tenant-api"),
        ("Each container", "explain pod orders-db-0 -n team-a --containers"),
        ("For a program", "explain pod orders-db-0 -n team-a -o json"),
    ],
)
@click.argument("words", nargs=-1)
@click.option("--containers", is_flag=True, help="Show a row for each container of each source.")
@click.option(
    "--tenant-api",
    is_flag=True,
    help="Ask the Metrics API inside the virtual cluster as well; requires get on its Secret vc-NAME.",
)
@vcluster_option
@target_option
@prometheus_options
@click.option("-o", "--output", default="", help="Output format: json or yaml.")
@click.pass_context
def explain(
    context: click.Context,
    /,
    words: tuple[str, ...],
    containers: bool,
    tenant_api: bool,
    vcluster: str | None,
    targets: Targets,
    output: str,
) -> int:
    """Read the options, ask all sources, print."""
    from kubectl_vmetrics.explain import readings, reasons, subject
    from kubectl_vmetrics.metrics import requests
    from kubectl_vmetrics.output import formats
    from kubectl_vmetrics.vcluster import homes
    from kubectl_vmetrics.views import explain as view

    usage = f"explain pod NAME\nSee '{context.command_path} -h' for help and examples"
    if words and "/" in words[0] and len(words) == 1:
        words = tuple(words[0].split("/", 1))
    if len(words) != 2:
        raise UsageError(usage)
    kind, name = words
    if kind not in KINDS:
        raise UsageError(f'explain: unknown kind "{kind}"; only pods can be explained')
    if not name:
        raise UsageError(usage)
    if output not in ("", "json", "yaml"):
        raise UsageError(f"-o {output}: explain prints text, json or yaml")
    show = Show(context, output, no_headers=False, watch=False, interval="15s")
    client = open_client(context)

    with show.waiting():
        if vcluster:
            ref, known = choose(client, vcluster, targets)
            found = subject.inside(client, ref, client.namespace, name, known)
        else:
            found = subject.on_host(client, client.namespace, name, homes.read(client, targets=targets))
        taken = readings.take(client, found, lambda: engine.open_prometheus(context, client), tenant=tenant_api)
    now = time.time()
    reserved = None
    with contextlib.suppress(ValueError):
        reserved = requests.of_pod(found.pod)
    notes = reasons.explain(taken, reserved, reasons.Clock(now, found.running))
    if output:
        document = view.document(found, taken, reserved, notes)
        context.obj.stdout.write(formats.render(formats.View((), [], lambda: document, list), output))
    else:
        context.obj.stdout.write(view.text(found, taken, reserved, notes, now, containers=containers))
    return 0
