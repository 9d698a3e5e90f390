"""`raw`: one endpoint of the host, with virtual names."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import click

from kubectl_vmetrics.kube.errors import UsageError
from kubectl_vmetrics.output import safe
from kubectl_vmetrics.output.terminal import Environment

from .cluster import client as open_client
from .command import Command
from .top.choose import Targets, choose, target_option, vcluster_option


@click.command(
    "raw",
    cls=Command,
    arguments="PATH",
    help="""Print a metrics endpoint of the host with virtual names, like kubectl get --raw.

PATH is an endpoint of a kubelet (/api/v1/nodes/NODE/proxy/ followed by stats/summary, metrics, metrics/cadvisor,
metrics/resource or metrics/probes) or of metrics.k8s.io. Without --vcluster, nothing is removed and vcluster_* labels
are added. With --vcluster, the output contains only what that virtual cluster may see, under its own names.""",
    examples=[
        ("The containers on a node, with virtual names added", "raw /api/v1/nodes/worker-1/proxy/metrics/cadvisor"),
        ("What a virtual cluster may see of it", "raw /api/v1/nodes/worker-1/proxy/metrics/cadvisor --vcluster shop"),
        (
            "Pods only, without metrics of the whole node",
            "raw /api/v1/nodes/worker-1/proxy/stats/summary --vcluster shop --isolate",
        ),
        (
            "Pods selected by their labels in the virtual cluster",
            "raw '/apis/metrics.k8s.io/v1beta1/pods?labelSelector=app=cart' --vcluster shop",
        ),
    ],
)
@click.argument("path")
@vcluster_option
@target_option
@click.option("--isolate", is_flag=True, help="With --vcluster: exclude metrics of whole nodes.")
@click.pass_context
def raw(context: click.Context, /, path: str, vcluster: str | None, targets: Targets, isolate: bool) -> int:
    """Read the options, ask, print."""
    from kubectl_vmetrics.vcluster import homes, origins
    from kubectl_vmetrics.vcluster.answers import Answers, check

    environment: Environment = context.obj
    if isolate and not vcluster:
        raise UsageError("--isolate requires --vcluster")
    if not path.startswith("/"):
        raise UsageError(f"PATH must start with a slash: {path}")
    parts = urlsplit(path)
    check(parts.path)
    client = open_client(context)
    if vcluster:
        ref, known = choose(client, vcluster, targets)
        answers = Answers(client, origins.of_vcluster(client, ref, known), ref, isolate=isolate)
    else:
        found = origins.read(client, homes.read(client, targets=targets))
        answers = Answers(client, found)
        if note := homes.warning(found.unproven(origins.PODS), homes=found.homes):
            environment.stderr.write(f"Warning: {safe.lines(note)}\n")
    reply = answers.answer(parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)))
    out = environment.stdout
    terminal, binary = out.isatty(), getattr(out, "buffer", None)
    for chunk in reply.chunks:
        if terminal:  # a person looks at it: bytes as they are would be a tenant's way to the terminal
            out.write(safe.lines(chunk.decode("utf-8", "replace")))
        elif binary is not None:
            binary.write(chunk)
        else:
            out.write(chunk.decode("utf-8", "surrogateescape"))
    return 0
