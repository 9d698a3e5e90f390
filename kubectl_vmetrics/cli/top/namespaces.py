"""`top namespaces`."""

from __future__ import annotations

import contextlib
from typing import Any

import click

from kubectl_vmetrics.cli.cluster import client as open_client
from kubectl_vmetrics.cli.cluster import narrowed
from kubectl_vmetrics.cli.command import Command
from kubectl_vmetrics.cli.show import Outcome, Show, check_sort, output_options, sort_option
from kubectl_vmetrics.kube.errors import Forbidden
from kubectl_vmetrics.metrics import capacity
from kubectl_vmetrics.metrics.metrics_api import PodMetrics, Scope
from kubectl_vmetrics.vcluster import groups
from kubectl_vmetrics.vcluster import pods as vcluster_pods
from kubectl_vmetrics.vcluster.survey import of_vcluster, survey
from kubectl_vmetrics.views import groups as view

from .choose import Targets, choose, explain, no_resources, nothing_inside, nothing_on, target_option, vcluster_option
from .details import held, on_node, with_gpus
from .source import recorded, recorded_option
from .traffic import node_option


@click.command(
    "namespaces",
    cls=Command,
    help="""Display resource usage of namespaces, those of virtual clusters and those of the host.

Percentages are of the host's total allocatable capacity.""",
    examples=[
        ("All namespaces", "top namespaces"),
        ("With requests, limits, quotas, volumes, nodes and restarts", "top namespaces -o wide"),
        ("What namespaces use on one node", "top namespaces --node=worker-1"),
        ("The namespaces behind one host namespace", "top namespaces -n team-a"),
        ("The namespaces of one virtual cluster, as seen from inside it", "top namespaces --vcluster shop"),
    ],
)
@click.option("-A", "--all-namespaces", is_flag=True, help="All host namespaces; the default without -n.")
@sort_option
@click.option("--sum", "total", is_flag=True, help="Add a row with the sums.")
@recorded_option("metrics-api")
@node_option
@vcluster_option
@target_option
@output_options
@click.pass_context
def namespaces(
    context: click.Context,
    /,
    all_namespaces: bool,
    sort_by: str,
    total: bool,
    node: str,
    vcluster: str | None,
    targets: Targets,
    **output: Any,
) -> int:
    """Read the options, query, print."""
    show = Show(context, **output)
    known = view.Options(wide=show.details, gpus=True)
    check_sort(sort_by, view.sorts(known, vclusters=False, inside=bool(vcluster)))
    namespace = narrowed(context, all_namespaces=all_namespaces)
    if recorded(context):
        options = view.Options(sort_by, total, wide=show.wide)
        from . import recorded_tables as past

        return past.namespaces(
            context, show, targets, namespace=namespace, options=options, node=node, vcluster=vcluster
        )
    client = open_client(context)

    def on_host() -> Outcome:
        seen = survey(client, namespace, targets, held=held(show, client, namespace, pods=bool(node)))
        seen = on_node(client, seen, node) if node else seen
        seen = with_gpus(client, seen, targets) if show.details else seen
        gpus = bool(seen.details and seen.details.gpus)
        if not seen.found.pods and not seen.found.skipped:
            with contextlib.suppress(Forbidden):
                explain(client, Scope(namespace))
        options = view.Options(sort_by, total, seen.whole, wide=show.wide, gpus=gpus)
        shown = view.namespaces(groups.by_namespace(seen.found.pods, seen.details), options, inside=False)
        return Outcome(shown, no_resources(namespace), seen.warnings, tuple(seen.found.skipped))

    def from_inside() -> Outcome:
        ref, homes = choose(client, vcluster or "", targets)
        found = vcluster_pods.inside(client, ref, homes, Scope(namespace), PodMetrics, names=False)
        whole, why = capacity.of_host(client)
        holds = held(show, client, ref.host_namespace, pods=bool(node))
        seen = holds() if holds else None
        details = of_vcluster(seen, found.pods, ref, homes) if seen else None
        if node and details:
            details = groups.on_node(details, node)
            found.pods = [pod for pod in found.pods if pod.host in (details.facts or {})]
            nothing_on(client, node, found.pods)
        options = view.Options(sort_by, total, whole, wide=show.wide, gpus=bool(details and details.gpus))
        shown = view.namespaces(groups.by_namespace(found.pods, details), options, inside=True)
        return Outcome(
            shown,
            nothing_inside(ref, homes.clusters, namespace),
            (*found.warnings, *([why] if why else []), *(seen.warnings if seen else ())),
            tuple(found.skipped),
        )

    return show.run(from_inside if vcluster else on_host)
