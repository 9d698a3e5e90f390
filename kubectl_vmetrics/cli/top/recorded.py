"""`top` with --source prometheus: what a Prometheus recorded, now or at --at, in the tables of the other sources.

Imported only where it is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import click

from kubectl_vmetrics.cli.cluster import client as open_client
from kubectl_vmetrics.cli.cluster import narrowed
from kubectl_vmetrics.cli.command import cluster_flags
from kubectl_vmetrics.cli.engine import open_prometheus
from kubectl_vmetrics.cli.show import Outcome, Show
from kubectl_vmetrics.history import moment as moments
from kubectl_vmetrics.history import mounts, reserved, span, window
from kubectl_vmetrics.history import nodes as history_nodes
from kubectl_vmetrics.history.moment import Moment
from kubectl_vmetrics.history.names import LIVE
from kubectl_vmetrics.kube import core
from kubectl_vmetrics.kube.errors import BadAnswer, NotFound, UsageError, VmetricsError
from kubectl_vmetrics.kube.selector import parse_fields
from kubectl_vmetrics.metrics.findings import either
from kubectl_vmetrics.metrics.metrics_api import PodMetrics, Scope, TimedPodMetrics
from kubectl_vmetrics.metrics.usage import HostPod
from kubectl_vmetrics.prometheus.api import Prometheus
from kubectl_vmetrics.vcluster import discovery, groups
from kubectl_vmetrics.vcluster.identity import VClusterRef
from kubectl_vmetrics.vcluster.pods import Found, Pod
from kubectl_vmetrics.views import groups as groups_view
from kubectl_vmetrics.views import nodes as nodes_view
from kubectl_vmetrics.views import pods as pods_view
from kubectl_vmetrics.views import volumes as volumes_view
from kubectl_vmetrics.views.names import Names

from . import source
from .choose import Targets, no_resources

_FIELDS = {"metadata.name": lambda pod: pod.name, "metadata.namespace": lambda pod: pod.namespace}


class Recorded:
    """The Prometheus of a command line, to be asked about one moment, repeatedly with --watch."""

    def __init__(self, context: click.Context, targets: Targets = ()) -> None:
        self.context, self.targets = context, targets
        self.at = source.moment(context)
        if self.at is not None:
            self._time(time.time())  # an error of the command line comes before all others
        self.client = open_client(context)
        self._server: Prometheus | None = None

    def _time(self, now: float) -> float:
        try:
            found = now if self.at is None else window.moment(self.at, now=now)
        except ValueError as error:
            raise UsageError(f"--at: {error}") from None
        if found > now:
            raise UsageError(f"--at: {self.at!r} is in the future")
        return found

    def moment(self, *, names: bool = True, namespace: str | None = None) -> Moment:
        """What --at says, or now.

        Args:
            names: False if host names are enough.
            namespace: the only host namespace whose names are needed; None for all.

        Raises:
            VmetricsError: there is no Prometheus, or none that answers.
        """
        if self._server is None:
            self._server = open_prometheus(self.context, self.client)
        found = moments.at(
            self._server,
            self._time(time.time()),
            self.client,
            targets=self.targets,
            past=self.at is not None,
            names=names,
            namespace=namespace,
        )
        if cluster_flags(self.context).get("verbosity", 0) > 0 and names:
            self.context.obj.say(f"names of virtual clusters: {found.names.way or 'none'}")
        return found

    def outcome(self, moment: Moment, outcome: Outcome, *, names: bool = True) -> Outcome:
        """With what is to be said of names and of incomplete answers."""
        notes = [*moment.names.warnings, *sorted(moment.server.warnings)]
        way = moment.names.way
        if names and LIVE in way:
            when = " of now, not of that moment" if moment.past else ""
            notes.append(f"{moment.server.name} does not know virtual names: they are those of the {LIVE}{when}")
        elif names and not way and not outcome.empty:
            notes.append(f"{moment.server.name} does not know which pods belong to virtual clusters")
        return outcome._replace(warnings=(*outcome.warnings, *notes), partial=bool(moment.server.warnings))


class Asked(NamedTuple):
    """What `top pods` was asked for, besides the view's options."""

    name: str | None
    labels: str
    fields: str
    all_namespaces: bool
    host_names: bool
    vcluster: str | None


def pods(context: click.Context, show: Show, targets: Targets, asked: Asked, options: pods_view.Options) -> int:
    """`top pods`."""
    recorded = Recorded(context, targets)
    client = recorded.client
    if asked.labels and (recorded.at is not None or asked.vcluster):
        what = "--at" if recorded.at is not None else "--vcluster"
        raise UsageError(f"--selector and {what} cannot be used together: Prometheus does not have all labels of pods")
    if options.pressure or options.swap:
        raise UsageError(f"{'--pressure' if options.pressure else '--show-swap'} requires another --source")
    kind = TimedPodMetrics if show.document else PodMetrics
    containers = options.containers or show.details

    def on_host() -> Outcome:
        namespace = None if asked.all_namespaces else client.namespace
        moment = recorded.moment(names=not asked.host_names, namespace=namespace)
        found: Found[Any] = moment.pods(Scope(namespace), kind, containers=containers, names=not asked.host_names)
        missing = not found.pods
        if asked.name:
            found.pods = _named(found.pods, asked.name)
        if asked.fields:
            found.pods = _selected(found.pods, asked.fields)
        if asked.labels:
            live = core.pods(client, namespace, labels=asked.labels)
            wanted = {HostPod(pod.metadata.namespace, pod.metadata.name) for pod in live}
            found.pods = [pod for pod in found.pods if pod.host in wanted]
        if missing:
            _explain(moment)
        both = any(pod.vcluster for pod in found.pods)
        shown = options._replace(names=Names.BOTH if both else Names.HOST)
        outcome = _pods(moment, found, shown, Scope(namespace), show, no_resources(namespace))
        return recorded.outcome(moment, outcome, names=not asked.host_names)

    def from_inside() -> Outcome:
        moment = recorded.moment()
        ref = _chosen(moment, asked.vcluster or "")
        namespace = narrowed(context, all_namespaces=asked.all_namespaces)
        found: Found[Any] = moment.inside(ref, Scope(namespace, asked.name), kind, containers=containers)
        if asked.fields:
            found.pods = _selected(found.pods, asked.fields)
        if asked.name and not found.pods:
            raise NotFound(f'pods "{asked.name}" not found', code=404, reason="NotFound")
        shown = options._replace(names=Names.VIRTUAL, namespaces=namespace is None)
        return recorded.outcome(moment, _pods(moment, found, shown, Scope(), show, no_resources(namespace)))

    return show.run(from_inside if asked.vcluster else on_host)


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
        raise UsageError("--show-swap requires another --source")

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
            _explain(moment)
            raise VmetricsError(f"{moment.server.name} has no usage of nodes: scrape /metrics/resource of the kubelets")
        if name and not kept.used and not kept.nodes:
            raise NotFound(f'nodes "{name}" not found', code=404, reason="NotFound")
        return kept

    def on_host() -> Outcome:
        moment = recorded.moment(names=False)
        found = wanted(moment)
        return recorded.outcome(moment, Outcome(nodes_view.view(found.used, found.nodes, options)), names=False)

    def share() -> Outcome:
        moment = recorded.moment()
        ref = _chosen(moment, vcluster or "")
        found = moment.inside(ref, Scope(), PodMetrics, containers=False)
        measured = wanted(moment)
        places = {pod: node for pod, node in history_nodes.of_pods(moment).items() if node in measured.names}
        used = groups.by_node(found.pods, places)
        shown = nodes_view.shares(used, measured.nodes, ref, options, total=total)
        return recorded.outcome(moment, Outcome(shown, no_resources(None), tuple(found.warnings)))

    return show.run(share if vcluster else on_host)


def vclusters(
    context: click.Context,
    show: Show,
    targets: Targets,
    *,
    names: Sequence[str],
    namespace: str | None,
    sort_by: str,
    total: bool,
) -> int:
    """`top vclusters`."""
    recorded = Recorded(context, targets)

    def find() -> Outcome:
        moment = recorded.moment(namespace=namespace)
        seen = moment.survey(namespace)
        if not seen.found.pods:
            _explain(moment)
            if not seen.known and not names:
                shown = groups_view.vclusters([], groups_view.Options())
                return recorded.outcome(moment, Outcome(shown, no_resources(namespace), seen.warnings))
        rows = groups.by_vcluster(seen.found.pods, seen.known)
        if names:
            rows = [row for row in rows if row.vcluster and names[0] in (row.vcluster.ref.name, row.vcluster.ref.path)]
            if not rows:
                raise discovery.not_found(names[0], seen.known, namespace)
        shown = groups_view.vclusters(rows, groups_view.Options(sort_by, total, seen.whole, namespace))
        return recorded.outcome(moment, Outcome(shown, warnings=seen.warnings))

    return show.run(find)


def namespaces(
    context: click.Context,
    show: Show,
    targets: Targets,
    *,
    namespace: str | None,
    sort_by: str,
    total: bool,
    vcluster: str | None,
) -> int:
    """`top namespaces`."""
    recorded = Recorded(context, targets)

    def find() -> Outcome:
        moment = recorded.moment(namespace=None if vcluster else namespace)
        if vcluster:
            ref = _chosen(moment, vcluster)
            found = moment.inside(ref, Scope(namespace), PodMetrics, containers=False)
            options = groups_view.Options(sort_by, total, moment.capacity())
            notes = tuple(found.warnings)
        else:
            seen = moment.survey(namespace)
            found, notes = seen.found, seen.warnings
            options = groups_view.Options(sort_by, total, seen.whole)
        if not found.pods:
            _explain(moment)
        shown = groups_view.namespaces(groups.by_namespace(found.pods), options, inside=bool(vcluster))
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
            ref = _chosen(moment, vcluster)
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
            _explain(moment)
        shown = volumes_view.view(found, volumes_view.Options(names, columns, sort_by))
        return recorded.outcome(moment, Outcome(shown, no_resources(namespace)))

    return show.run(find)


def _chosen(moment: Moment, text: str) -> VClusterRef:
    """The virtual cluster of --vcluster, of those of the moment."""
    return discovery.select(moment.clusters(), text)


def _explain(moment: Moment) -> None:
    """Return if the Prometheus has metrics of the moment. Raises VmetricsError with the times of which it has any."""
    if moment.empty:
        raise VmetricsError(span.explain(moment.server, moment.time))


def _named(found: Sequence[Pod[Any]], name: str) -> list[Pod[Any]]:
    """The pod with this host name, otherwise the only one with this virtual name; as vcluster.named."""
    if own := [pod for pod in found if pod.host.name == name]:
        return own[:1]
    matching = [pod for pod in found if pod.virtual and pod.virtual.name == name]
    if not matching:
        raise NotFound(f'pods "{name}" not found', code=404, reason="NotFound")
    if len(matching) > 1:
        places = sorted({(pod.virtual.vcluster.path, pod.virtual.namespace) for pod in matching if pod.virtual})
        ways = either([f"--vcluster {path} -n {namespace}" for path, namespace in places])
        raise UsageError(f'there are {len(matching)} pods "{name}" in virtual clusters: specify one with {ways}')
    return matching


def _selected(found: Sequence[Pod[Any]], text: str) -> list[Pod[Any]]:
    """The pods that a field selector matches: in the view from inside by virtual names, else by those of the host."""
    fields = parse_fields(text)
    for field, _, _ in fields:
        if field not in _FIELDS:
            raise UsageError(f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"')
    kept = []
    for pod in found:
        shown: Any = pod.host
        if all((_FIELDS[field](shown) == value) == equal for field, equal, value in fields):
            kept.append(pod)
    return kept


def _pods(
    moment: Moment, found: Found[Any], options: pods_view.Options, scope: Scope, show: Show, empty: str
) -> Outcome:
    if show.details:
        options = options._replace(details=reserved.read(moment, scope) if found.pods else {})
    try:
        return Outcome(pods_view.view(found.pods, options), empty, tuple(found.warnings))
    except ValueError as error:
        raise BadAnswer(f"numbers of a pod cannot be read: {error}") from None
