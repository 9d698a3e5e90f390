"""`top volumes`."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click

from kubectl_vmetrics.cli.cluster import client as open_client
from kubectl_vmetrics.cli.cluster import narrowed
from kubectl_vmetrics.cli.command import Command
from kubectl_vmetrics.cli.show import Outcome, Show, check_sort, output_options, sorted_by
from kubectl_vmetrics.kube import core
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.metrics import sources
from kubectl_vmetrics.output.progress import Progress
from kubectl_vmetrics.vcluster import homes, origins, volumes
from kubectl_vmetrics.vcluster.origins import CLAIMS, Origins
from kubectl_vmetrics.vcluster.volumes import Mounted
from kubectl_vmetrics.views import volumes as view
from kubectl_vmetrics.views.names import Names

from .choose import Targets, choose, target_option, vcluster_option
from .source import recorded, recorded_option


@click.command(
    "volumes",
    cls=Command,
    help="""Display usage of volumes: every volume with a claim that a running pod mounts, as the kubelets report it.

This requires get on nodes/proxy. Without --vcluster, -n and -A refer to host namespaces.""",
    examples=[
        ("Volumes in the default namespace", "top volumes"),
        ("All volumes on the host, the fullest first", "top volumes -A --sort-by=percent"),
        ("The volumes of a virtual cluster, as seen from inside it", "top volumes --vcluster shop"),
    ],
)
@click.option("-A", "--all-namespaces", is_flag=True, help="All namespaces.")
@sorted_by("Sort by a column: used, used%, capacity, inodes%, name, …")
@recorded_option("kubelet")
@vcluster_option
@target_option
@output_options
@click.pass_context
def volumes_(
    context: click.Context,
    /,
    all_namespaces: bool,
    sort_by: str,
    vcluster: str | None,
    targets: Targets,
    **output: Any,
) -> int:
    """Read the options, query, print."""
    check_sort(sort_by, view.sorts(namespaces=all_namespaces, inside=bool(vcluster)))
    show = Show(context, **output)
    if recorded(context):
        from . import recorded_tables as past

        return past.volumes(context, show, targets, all_namespaces=all_namespaces, sort_by=sort_by, vcluster=vcluster)
    client = open_client(context)

    def on_host() -> Outcome:
        namespace = None if all_namespaces else client.namespace
        known = origins.read(client, homes.read(client, targets=targets))
        found, warnings = _mounted(client, known, show, lambda item: namespace in (None, item.claim.namespace))
        unproven = Counter((item.claim.namespace, item.unproven) for item in found if item.unproven)
        names = Names.BOTH if any(item.vcluster for item in found) else Names.HOST
        shown = view.view(found, view.Options(names, all_namespaces, sort_by))
        notes = (*warnings, *filter(None, [homes.warning(unproven, "volume claim")]))
        return Outcome(shown, "" if found else _empty(client, namespace), notes, partial=bool(warnings))

    def from_inside() -> Outcome:
        ref, listed = choose(client, vcluster or "", targets)
        namespace = narrowed(context, all_namespaces=all_namespaces)
        known = origins.of_vcluster(client, ref, listed)

        def keep(item: Mounted) -> bool:
            claim = item.virtual_claim
            return claim is not None and claim.vcluster == ref and namespace in (None, claim.namespace)

        found, warnings = _mounted(client, known, show, keep)
        shown = view.view(found, view.Options(Names.VIRTUAL, namespace is None, sort_by))
        claims = sum(namespace in (None, claim.namespace) for claim in known.all(CLAIMS) if claim.vcluster == ref)
        return Outcome(
            shown,
            _why(
                claims,
                f"namespace {namespace} of virtual cluster {ref.path}" if namespace else f"virtual cluster {ref.path}",
            ),
            warnings,
            partial=bool(warnings),
        )

    return show.run(from_inside if vcluster else on_host)


def _mounted(client: Client, known: Origins, show: Show, keep: Any) -> tuple[list[Mounted], tuple[str, ...]]:
    kubelets = sources.Kubelets(Progress(show.environment, "nodes"))
    found = kubelets.summaries(client, [node.metadata.name for node in core.nodes(client)])
    warning = kubelets.warning()
    return volumes.mounted(found.values(), known, keep), (warning,) if warning else ()


def _empty(client: Client, namespace: str | None) -> str:
    return _why(core.count_claims(client, namespace), f"namespace {namespace}" if namespace else "the host")


def _why(claims: int, where: str) -> str:
    if not claims:
        return f"No resources found: there are no volume claims in {where}"
    what = "the volume claim" if claims == 1 else f"none of the {claims} volume claims"
    does = (
        "is not mounted by a running pod, or its driver does"
        if claims == 1
        else "is mounted by a running pod, or their drivers do"
    )
    return f"No resources found: {what} in {where} {does} not report usage (hostPath and some CSI drivers do not)"
