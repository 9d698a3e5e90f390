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
from kubectl_vmetrics.history import nodes as history_nodes
from kubectl_vmetrics.history import reserved, span, window
from kubectl_vmetrics.history.moment import Moment
from kubectl_vmetrics.history.names import LIVE
from kubectl_vmetrics.kube import core
from kubectl_vmetrics.kube.errors import BadAnswer, NotFound, UsageError, VmetricsError
from kubectl_vmetrics.kube.selector import parse_fields
from kubectl_vmetrics.metrics.findings import either
from kubectl_vmetrics.metrics.metrics_api import PodMetrics, Scope, TimedPodMetrics
from kubectl_vmetrics.metrics.usage import HostPod
from kubectl_vmetrics.prometheus.api import Prometheus
from kubectl_vmetrics.vcluster import discovery
from kubectl_vmetrics.vcluster.identity import VClusterRef
from kubectl_vmetrics.vcluster.pods import Found, Pod
from kubectl_vmetrics.views import pods as pods_view
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
    node: str = ""


def pods(context: click.Context, show: Show, targets: Targets, asked: Asked, options: pods_view.Options) -> int:
    """`top pods`."""
    recorded = Recorded(context, targets)
    client = recorded.client
    if asked.labels and (recorded.at is not None or asked.vcluster):
        what = "--at" if recorded.at is not None else "--vcluster"
        raise UsageError(f"--selector and {what} cannot be used together: Prometheus does not have all labels of pods")
    if options.pressure or options.swap:
        raise UsageError(
            f"{'--pressure' if options.pressure else '--show-swap'} cannot be used with --source prometheus"
        )
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
        _on_node(moment, found, asked.node)
        if missing:
            explain(moment)
        both = any(pod.vcluster for pod in found.pods)
        shown = options._replace(names=Names.BOTH if both else Names.HOST)
        outcome = _pods(moment, found, shown, Scope(namespace), show, no_resources(namespace))
        return recorded.outcome(moment, outcome, names=not asked.host_names)

    def from_inside() -> Outcome:
        moment = recorded.moment()
        ref = chosen(moment, asked.vcluster or "")
        namespace = narrowed(context, all_namespaces=asked.all_namespaces)
        found: Found[Any] = moment.inside(ref, Scope(namespace, asked.name), kind, containers=containers)
        if asked.fields:
            found.pods = _selected(found.pods, asked.fields)
        _on_node(moment, found, asked.node)
        if asked.name and not found.pods:
            raise NotFound(f'pods "{asked.name}" not found', code=404, reason="NotFound")
        shown = options._replace(names=Names.VIRTUAL, namespaces=namespace is None)
        return recorded.outcome(moment, _pods(moment, found, shown, Scope(), show, no_resources(namespace)))

    return show.run(from_inside if asked.vcluster else on_host)


def chosen(moment: Moment, text: str) -> VClusterRef:
    """The virtual cluster of --vcluster, of those of the moment."""
    return discovery.select(moment.clusters(), text)


def explain(moment: Moment) -> None:
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


def _on_node(moment: Moment, found: Found[Any], node: str) -> None:
    """Leave out pods of other nodes. Raises NotFound if there is no such node."""
    if not node:
        return
    places = history_nodes.of_pods(moment)
    found.pods = [pod for pod in found.pods if places.get(pod.host) == node]
    if not found.pods and node not in history_nodes.read(moment).names:
        raise NotFound(f'nodes "{node}" not found', code=404, reason="NotFound")


def _pods(
    moment: Moment, found: Found[Any], options: pods_view.Options, scope: Scope, show: Show, empty: str
) -> Outcome:
    if show.details:
        options = options._replace(details=reserved.read(moment, scope) if found.pods else {})
    try:
        return Outcome(pods_view.view(found.pods, options), empty, tuple(found.warnings))
    except ValueError as error:
        raise BadAnswer(f"numbers of a pod cannot be read: {error}") from None
