"""`top vclusters`."""

from __future__ import annotations

import contextlib
from typing import Any

import click

from kubectl_vmetrics.cli.cluster import client as open_client
from kubectl_vmetrics.cli.cluster import narrowed
from kubectl_vmetrics.cli.command import Command
from kubectl_vmetrics.cli.show import Outcome, check_sort, output_options, sort_option
from kubectl_vmetrics.kube.errors import Forbidden, UsageError
from kubectl_vmetrics.metrics.metrics_api import Scope
from kubectl_vmetrics.vcluster import discovery, groups
from kubectl_vmetrics.vcluster.survey import survey
from kubectl_vmetrics.views import groups as view

from .choose import Targets, explain, no_resources, target_option
from .details import held, on_node, with_gpus
from .source import recorded, recorded_option
from .traffic import Meter, check_live, node_option, show_for, traffic_options


@click.command(
    "vclusters",
    cls=Command,
    arguments="[NAME]",
    help="""Display resource usage of virtual clusters: their pods, and separately their control planes (CP).

Percentages are of the host's total allocatable capacity. The last row covers everything outside virtual clusters.

The pods of a virtual cluster with private nodes are not on the host. With --private-nodes, its own Metrics API is asked
through its control plane; this requires get on its Secret vc-NAME, and get and create on pods/portforward.""",
    examples=[
        ("All virtual clusters", "top vclusters"),
        ("Sorted by memory, with a sum", "top vclusters --sort-by=memory --sum"),
        ("With requests, limits, quotas, volumes, nodes and restarts", "top vclusters -o wide"),
        ("What they send, receive, read and write", "top vclusters --network --io"),
        ("What they use on one node", "top vclusters --node=worker-1"),
        ("The virtual clusters in one host namespace", "top vclusters -n team-a"),
        ("With what runs on private nodes", "top vclusters --private-nodes"),
    ],
)
@click.argument("names", nargs=-1)
@click.option("-A", "--all-namespaces", is_flag=True, help="All host namespaces; the default without -n.")
@sort_option
@click.option("--sum", "total", is_flag=True, help="Add a row with the sums.")
@click.option(
    "--private-nodes",
    is_flag=True,
    help="Ask virtual clusters with private nodes for their pods, by their own Metrics API; reads their Secrets.",
)
@recorded_option("metrics-api")
@traffic_options
@node_option
@target_option
@output_options
@click.pass_context
def vclusters(
    context: click.Context,
    /,
    names: tuple[str, ...],
    all_namespaces: bool,
    sort_by: str,
    total: bool,
    private_nodes: bool,
    network: bool,
    io: bool,
    node: str,
    targets: Targets,
    **output: Any,
) -> int:
    """Read the options, query, print."""
    if len(names) > 1:
        raise UsageError(f"vcluster [NAME]\nSee '{context.command_path} -h' for help and examples")
    show = show_for(context, output, traffic=network or io)
    options = view.Options(sort_by, total, wide=show.wide, network=network, io=io)
    check_sort(sort_by, view.sorts(options._replace(wide=show.details, gpus=True), vclusters=True))
    namespace = narrowed(context, all_namespaces=all_namespaces)
    if private_nodes and node:
        raise UsageError("--private-nodes and --node cannot be used together: private nodes are not the host's")
    if recorded(context):
        if private_nodes:
            raise UsageError("--private-nodes and --source=prometheus cannot be used together")
        check_live(network=network, io=io)
        from . import recorded_tables as past

        return past.vclusters(context, show, targets, names=names, namespace=namespace, options=options, node=node)
    client = open_client(context)
    meter = Meter(context, client, show) if network or io else None

    def find() -> Outcome:
        seen = survey(client, namespace, targets, held=held(show, client, namespace, pods=bool(node or meter)))
        if not seen.found.pods and not seen.found.skipped:
            with contextlib.suppress(Forbidden):  # what is known is shown all the same
                explain(client, Scope(namespace))
            if not seen.known and not names:
                return Outcome(view.vclusters([], view.Options()), no_resources(namespace), seen.warnings)
        seen = on_node(client, seen, node) if node else seen
        seen = with_gpus(client, seen, targets) if show.details else seen
        sampled = meter.sample_all(seen) if meter else None
        rates = sampled.rates if sampled else None
        gpus = bool(seen.details and seen.details.gpus)
        rows = groups.by_vcluster(seen.found.pods, seen.known, seen.details, rates)
        if names:
            rows = [row for row in rows if row.vcluster and names[0] in (row.vcluster.ref.name, row.vcluster.ref.path)]
            if not rows:
                raise discovery.not_found(names[0], seen.known, namespace)
        warnings = (*seen.warnings, *(Meter.warnings(sampled) if sampled else ()))
        skipped, partial = tuple(seen.found.skipped), bool(sampled and sampled.failures)
        if not node and any(map(_may_be_private, rows)):
            from .private import fill

            filled = fill(client, rows, namespace, ask=private_nodes)
            rows, partial = filled.rows, partial or filled.partial
            warnings, skipped = (*warnings, *filled.warnings), (*skipped, *filled.skipped)
        shown = view.vclusters(rows, options._replace(whole=seen.whole, namespace=namespace, gpus=gpus))
        return Outcome(shown, warnings=warnings, skipped=skipped, partial=partial)

    return show.run(find)


def _may_be_private(row: groups.VClusterUsage) -> bool:
    """Whether it may have private nodes: one with pods on the host has none."""
    found = row.vcluster
    return found is not None and (found.private or (not row.pods and found.status == discovery.RUNNING))
