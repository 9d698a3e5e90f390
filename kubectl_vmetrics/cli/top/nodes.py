"""`top nodes`."""

from __future__ import annotations

from typing import Any

import click

from kubectl_vmetrics.cli.cluster import client as open_client
from kubectl_vmetrics.cli.command import Command
from kubectl_vmetrics.cli.show import Outcome, Show, check_sort, output_options, sort_option
from kubectl_vmetrics.kube import core
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import BadAnswer, MetricsNotAvailable, UsageError
from kubectl_vmetrics.kube.selector import parse_labels
from kubectl_vmetrics.metrics.metrics_api import PodMetrics, Scope
from kubectl_vmetrics.metrics.usage import HostPod
from kubectl_vmetrics.vcluster import groups
from kubectl_vmetrics.vcluster import pods as vcluster_pods
from kubectl_vmetrics.views import nodes as view

from .choose import Targets, choose, nothing_inside, target_option, vcluster_option
from .details import facts_of, held_on_nodes
from .source import Chosen, recorded, source_option


@click.command(
    "nodes",
    cls=Command,
    arguments="[NAME | -l label]",
    help="""Display resource (CPU/memory) usage of nodes. The table is that of `kubectl top nodes`.

With --vcluster, display what the pods of that virtual cluster use on each node.""",
    examples=[
        ("All nodes", "top nodes"),
        ("Without metrics-server", "top nodes --source=kubelet"),
        ("Relative to capacity instead of allocatable", "top nodes --show-capacity"),
        ("Capacity, allocatable, requested and used, as numbers", "top nodes -o wide"),
        ("What one virtual cluster uses on each node", "top nodes --vcluster shop"),
    ],
)
@click.argument("names", nargs=-1)
@click.option("-l", "--selector", default="", help="Label selector for nodes: '=', '==', '!=', 'in', 'notin', exists.")
@sort_option
@click.option("--show-capacity", is_flag=True, help="Show percentages of capacity instead of allocatable.")
@click.option("--show-swap", is_flag=True, help="Show swap, if the Metrics API reports it; metrics-server does not.")
@click.option("--sum", "total", is_flag=True, help="With --vcluster: add a row with the sums.")
@click.option(
    "--use-protocol-buffers", is_flag=True, default=True, help="Accepted for compatibility with kubectl; JSON is used."
)
@source_option
@vcluster_option
@target_option
@output_options
@click.pass_context
def nodes(
    context: click.Context,
    /,
    names: tuple[str, ...],
    selector: str,
    sort_by: str,
    show_capacity: bool,
    show_swap: bool,
    total: bool,
    use_protocol_buffers: bool,  # noqa: ARG001
    source: str,
    vcluster: str | None,
    targets: Targets,
    **output: Any,
) -> int:
    """Read the options, query, print."""
    if len(names) > 1:
        raise UsageError(f"node [NAME | -l label]\nSee '{context.command_path} -h' for help and examples")
    if names and selector:
        raise UsageError("only one of NAME or --selector can be provided")
    if total and not vcluster:
        raise UsageError("--sum requires --vcluster: kubectl top nodes has no sum")
    parse_labels(selector)
    show = Show(context, **output)
    name = names[0] if names else None
    options = view.Options(sort_by=sort_by, capacity=show_capacity, swap=show_swap, wide=show.wide)
    check_sort(sort_by, view.sorts(options._replace(wide=show.details), inside=bool(vcluster)))
    if recorded(context, source):
        from . import recorded_tables as past

        return past.nodes(context, show, targets, options, name=name, selector=selector, total=total, vcluster=vcluster)
    chosen = Chosen(source, context.obj)
    client = open_client(context)

    def on_host() -> Outcome:
        metrics, skipped = chosen.source.nodes(client, Scope(name=name, labels=selector or None))
        if not metrics and not skipped:
            raise MetricsNotAvailable(
                "metrics not available yet", hint="no node matches, or metrics-server has just started"
            )
        known = [core.node(client, name)] if name else core.nodes(client, labels=selector or None)
        held, notes = held_on_nodes(show, client, name)
        try:
            return Outcome(
                view.view(metrics, known, options._replace(held=held)),
                warnings=(*chosen.warnings(), *notes),
                skipped=tuple(skipped),
                partial=chosen.partial,
            )
        except ValueError as error:
            raise BadAnswer(f"numbers of a node cannot be read: {error}") from None

    def share() -> Outcome:
        ref, homes = choose(client, vcluster or "", targets)
        found = vcluster_pods.inside(client, ref, homes, Scope(), PodMetrics, names=False, source=chosen.source)
        available = [core.node(client, name)] if name else core.nodes(client, labels=selector or None)
        wanted = {node.metadata.name for node in available}
        listed = _listed(client, found)
        used = groups.by_node(
            found.pods, {pod: item.spec.node for pod, item in listed.items() if item.spec.node in wanted}
        )
        mine = {pod.host for pod in found.pods}
        held = groups.held_on(facts_of(listed[pod] for pod in listed if pod in mine)) if show.details else None
        shown = view.shares(used, available, ref, options._replace(held=held), total=total)
        return Outcome(
            shown,
            nothing_inside(ref, homes.clusters, None),
            (*found.warnings, *chosen.warnings()),
            tuple(found.skipped),
            partial=chosen.partial,
        )

    return show.run(share if vcluster else on_host)


def _listed(client: Client, found: vcluster_pods.Found[Any]) -> dict[HostPod, core.Pod]:
    spaces = sorted({pod.host.namespace for pod in found.pods})
    listed = [pod for namespace in spaces for pod in core.pods(client, namespace)]
    return {HostPod(pod.metadata.namespace, pod.metadata.name): pod for pod in listed}
