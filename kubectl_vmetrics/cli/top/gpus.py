"""`top gpus`."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click

from kubectl_vmetrics.cli.cluster import client as open_client
from kubectl_vmetrics.cli.cluster import narrowed
from kubectl_vmetrics.cli.command import Command
from kubectl_vmetrics.cli.show import Outcome, Show, check_sort, output_options, sorted_by
from kubectl_vmetrics.metrics import gpus
from kubectl_vmetrics.vcluster import gpus as held
from kubectl_vmetrics.vcluster import homes, origins
from kubectl_vmetrics.vcluster.gpus import Held
from kubectl_vmetrics.views import gpus as view
from kubectl_vmetrics.views.pods import Names

from .choose import Targets, choose, target_option, vcluster_option


@click.command(
    "gpus",
    cls=Command,
    help="""Display usage of GPUs and MIG slices, and the pods that they are assigned to.

The numbers come from NVIDIA's dcgm-exporter, through the apiserver: this requires get on pods/proxy in its namespace,
and list on nodes and pods. Idle GPUs are assigned to a pod that does not use them. With -n, only GPUs of pods in that
host namespace are shown; with --vcluster, those of pods in that virtual cluster. Power and temperature of a MIG slice
are those of the whole device.""",
    examples=[
        ("All GPUs", "top gpus"),
        ("The GPUs of a virtual cluster", "top gpus --vcluster shop"),
        ("With UUIDs, temperatures, containers and host names", "top gpus -o wide"),
    ],
)
@click.option("-A", "--all-namespaces", is_flag=True, help="All namespaces; the default without -n.")
@sorted_by("Sort by gpu, memory or power, in descending order")
@vcluster_option
@target_option
@output_options
@click.pass_context
def gpus_(
    context: click.Context,
    /,
    all_namespaces: bool,
    sort_by: str,
    vcluster: str | None,
    targets: Targets,
    **output: Any,
) -> int:
    """Read the options, query, print."""
    check_sort(sort_by, view.SORTS)
    show = Show(context, **output)
    client = open_client(context)
    namespace = narrowed(context, all_namespaces=all_namespaces)

    def on_host() -> Outcome:
        known = origins.read(client, homes.read(client, targets=targets))
        found = gpus.read(client, held.tenants(known.homes, known))
        rows = held.held(found, known)
        shown = [item for item in rows if namespace is None or (item.holder and item.holder.namespace == namespace)]
        names = Names.BOTH if any(item.vcluster for item in shown) else Names.HOST
        unproven = Counter((i.holder.namespace, i.unproven) for i in shown if i.holder and i.unproven)
        notes = (*found.warnings, *filter(None, [homes.warning(unproven)]))
        return _outcome(shown, names, notes, partial=bool(found.warnings))

    def from_inside() -> Outcome:
        ref, listed = choose(client, vcluster or "", targets)
        known = origins.of_vcluster(client, ref, listed)
        found = gpus.read(client, held.tenants(listed, known))

        def inside(item: Held) -> bool:
            return item.vcluster == ref and item.virtual is not None and namespace in (None, item.virtual.namespace)

        shown = [item for item in held.held(found, known) if inside(item)]
        return _outcome(shown, Names.VIRTUAL, found.warnings, partial=bool(found.warnings))

    def _outcome(shown: list[Held], names: Names, notes: tuple[str, ...], *, partial: bool) -> Outcome:
        where = f"virtual cluster {vcluster}" if vcluster else f"namespace {namespace}"
        empty = f"No resources found: no pod in {where} has a GPU" if vcluster or namespace else _NONE
        return Outcome(view.view(shown, view.Options(names, sort_by, show.wide)), empty, notes, partial=partial)

    return show.run(from_inside if vcluster else on_host)


_NONE = "No resources found: no node has GPUs"
