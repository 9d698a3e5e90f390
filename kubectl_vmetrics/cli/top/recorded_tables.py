"""The tables of `top nodes`, `vclusters`, `namespaces` and `volumes` with --source prometheus; see recorded."""

from __future__ import annotations

from collections.abc import Sequence

import click

from kubectl_vmetrics.cli.cluster import narrowed
from kubectl_vmetrics.cli.show import Outcome, Show
from kubectl_vmetrics.history import held, mounts
from kubectl_vmetrics.history import nodes as history_nodes
from kubectl_vmetrics.history.moment import Moment
from kubectl_vmetrics.kube import core
from kubectl_vmetrics.kube.errors import NotFound, UsageError, VmetricsError
from kubectl_vmetrics.metrics.findings import some
from kubectl_vmetrics.metrics.metrics_api import PodMetrics, Scope
from kubectl_vmetrics.vcluster import discovery, groups
from kubectl_vmetrics.vcluster.groups import Details
from kubectl_vmetrics.vcluster.identity import VClusterRef
from kubectl_vmetrics.vcluster.pods import Found
from kubectl_vmetrics.views import groups as groups_view
from kubectl_vmetrics.views import nodes as nodes_view
from kubectl_vmetrics.views import volumes as volumes_view
from kubectl_vmetrics.views.names import Names

from .choose import Targets, no_resources
from .recorded import Recorded, chosen, explain


def nodes(
    context: click.Context,
    show: Show,
    targets: Targets,
    options: nodes_view.Options,
    *,
    name: str | None,
    selector: str,
    total: bool,
    vcluster: str | None,
) -> int:
    """`top nodes`."""
    recorded = Recorded(context, targets)
    if options.swap:
        raise UsageError("--show-swap cannot be used with --source prometheus")

    def wanted(moment: Moment) -> history_nodes.Measured:
        found = history_nodes.read(moment)
        if selector:  # labels of nodes change so seldom that those of now will do
            names = {node.metadata.name for node in core.nodes(recorded.client, labels=selector)}
        else:
            names = {name} if name else found.names
        kept = history_nodes.Measured(
            [item for item in found.used if item.metadata.name in names],
            [item for item in found.nodes if item.metadata.name in names],
        )
        if not found.used and not found.nodes:
            explain(moment)
            raise VmetricsError(f"{moment.server.name} has no usage of nodes: scrape /metrics/resource of the kubelets")
        if name and not kept.used and not kept.nodes:
            raise NotFound(f'nodes "{name}" not found', code=404, reason="NotFound")
        return kept

    def on_host() -> Outcome:
        moment = recorded.moment(names=False)
        found = wanted(moment)
        facts = held.read(moment, Scope(), Found([], [], []), everything=False).facts if show.details else None
        holds = groups.held_on(facts.values()) if facts else None
        shown = nodes_view.view(found.used, found.nodes, options._replace(held=holds))
        return recorded.outcome(moment, Outcome(shown), names=False)

    def share() -> Outcome:
        moment = recorded.moment()
        ref = chosen(moment, vcluster or "")
        found = moment.inside(ref, Scope(), PodMetrics, containers=False)
        measured = wanted(moment)
        places = {pod: node for pod, node in history_nodes.of_pods(moment).items() if node in measured.names}
        used = groups.by_node(found.pods, places)
        holds = None
        if show.details:
            mine = {pod.host for pod in found.pods}
            facts = held.read(moment, Scope(), Found([], [], []), everything=False).facts or {}
            holds = groups.held_on(item for pod, item in facts.items() if pod in mine)
        shown = nodes_view.shares(used, measured.nodes, ref, options._replace(held=holds), total=total)
        return recorded.outcome(moment, Outcome(shown, no_resources(None), tuple(found.warnings)))

    return show.run(share if vcluster else on_host)


def vclusters(
    context: click.Context,
    show: Show,
    targets: Targets,
    *,
    names: Sequence[str],
    namespace: str | None,
    options: groups_view.Options,
    node: str,
) -> int:
    """`top vclusters`."""
    recorded = Recorded(context, targets)

    def find() -> Outcome:
        moment = recorded.moment(namespace=namespace)
        seen = moment.survey(namespace)
        details = _details(moment, show, Scope(namespace), seen.found, node)
        if not seen.found.pods:
            explain(moment)
            if not seen.known and not names:
                shown = groups_view.vclusters([], groups_view.Options())
                return recorded.outcome(moment, Outcome(shown, no_resources(namespace), seen.warnings))
        rows = groups.by_vcluster(seen.found.pods, seen.known, details)
        if names:
            rows = [row for row in rows if row.vcluster and names[0] in (row.vcluster.ref.name, row.vcluster.ref.path)]
            if not rows:
                raise discovery.not_found(names[0], seen.known, namespace)
        rows, warnings = _marked(recorded, rows, namespace, seen.warnings)
        shown = groups_view.vclusters(rows, options._replace(whole=seen.whole, namespace=namespace))
        return recorded.outcome(moment, Outcome(shown, warnings=warnings))

    return show.run(find)


def _marked(
    recorded: Recorded, rows: list[groups.VClusterUsage], namespace: str | None, warnings: tuple[str, ...]
) -> tuple[list[groups.VClusterUsage], tuple[str, ...]]:
    """The rows, in which virtual clusters with private nodes are marked.

    No Prometheus of the host has their pods, so that 0 would be wrong. Which they are, the live cluster says.
    """
    if all(row.pods for row in rows if row.vcluster):
        return rows, warnings
    from .private import fill

    try:
        filled = fill(recorded.client, rows, namespace, ask=False)
    except VmetricsError:
        return rows, warnings
    own = [row.vcluster.ref.path for row in filled.rows if row.vcluster and row.source == groups.PRIVATE]
    if not own:
        return rows, warnings
    has = "has" if len(own) == 1 else "have"
    note = (
        f"{some(sorted(own))} {has} private nodes, whose pods no Prometheus of the host scrapes: `kubectl vmetrics top "
        "vclusters --private-nodes` shows what they use now"
    )
    return filled.rows, (*warnings, note)


def namespaces(
    context: click.Context,
    show: Show,
    targets: Targets,
    *,
    namespace: str | None,
    options: groups_view.Options,
    node: str,
    vcluster: str | None,
) -> int:
    """`top namespaces`."""
    recorded = Recorded(context, targets)

    def find() -> Outcome:
        moment = recorded.moment(namespace=None if vcluster else namespace)
        if vcluster:
            ref = chosen(moment, vcluster)
            found = moment.inside(ref, Scope(namespace), PodMetrics, containers=False)
            whole, notes = moment.capacity(), tuple(found.warnings)
            details = _details(moment, show, Scope(), found, node, ref)
        else:
            seen = moment.survey(namespace)
            found, whole, notes = seen.found, seen.whole, seen.warnings
            details = _details(moment, show, Scope(namespace), found, node)
        if not found.pods:
            explain(moment)
        rows = groups.by_namespace(found.pods, details)
        shown = groups_view.namespaces(rows, options._replace(whole=whole), inside=bool(vcluster))
        return recorded.outcome(moment, Outcome(shown, no_resources(namespace), notes))

    return show.run(find)


def volumes(
    context: click.Context,
    show: Show,
    targets: Targets,
    *,
    all_namespaces: bool,
    sort_by: str,
    vcluster: str | None,
) -> int:
    """`top volumes`."""
    recorded = Recorded(context, targets)

    def find() -> Outcome:
        moment = recorded.moment()
        if vcluster:
            ref = chosen(moment, vcluster)
            namespace = narrowed(context, all_namespaces=all_namespaces)
            found = [item for item in mounts.read(moment) if item.vcluster == ref]
            found = [i for i in found if i.virtual_claim and namespace in (None, i.virtual_claim.namespace)]
            names, columns = Names.VIRTUAL, namespace is None
        else:
            namespace = None if all_namespaces else recorded.client.namespace
            found = mounts.read(moment, namespace)
            names = Names.BOTH if any(item.vcluster for item in found) else Names.HOST
            columns = all_namespaces
        if not found:
            explain(moment)
        shown = volumes_view.view(found, volumes_view.Options(names, columns, sort_by))
        return recorded.outcome(moment, Outcome(shown, no_resources(namespace)))

    return show.run(find)


def _details(
    moment: Moment, show: Show, scope: Scope, found: Found[PodMetrics], node: str, only: VClusterRef | None = None
) -> Details | None:
    """What pods hold, if it is shown or says where they are; with a node, the other pods are left out."""
    if not show.details and not node:
        return None
    details = held.read(moment, scope, found, only=only, everything=show.details)
    if not node:
        return details
    details = groups.on_node(details, node)
    found.pods = [pod for pod in found.pods if pod.host in (details.facts or {})]
    if not found.pods and node not in history_nodes.read(moment).names:
        raise NotFound(f'nodes "{node}" not found', code=404, reason="NotFound")
    return details if show.details else None
