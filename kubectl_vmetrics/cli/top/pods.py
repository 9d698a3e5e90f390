"""`top pods`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from kubectl_vmetrics.cli.cluster import client as open_client
from kubectl_vmetrics.cli.cluster import narrowed
from kubectl_vmetrics.cli.command import PROGRAM, Command
from kubectl_vmetrics.cli.show import Outcome, Show, check_sort, output_options, sort_option
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import UsageError, VmetricsError
from kubectl_vmetrics.kube.selector import parse_fields, parse_labels
from kubectl_vmetrics.metrics.metrics_api import PodMetrics, Scope, TimedPodMetrics
from kubectl_vmetrics.metrics.usage import HostPod
from kubectl_vmetrics.vcluster import named
from kubectl_vmetrics.vcluster import pods as vcluster_pods
from kubectl_vmetrics.vcluster.pods import Found
from kubectl_vmetrics.views import pods as view
from kubectl_vmetrics.views.names import Names

from .choose import (
    Targets,
    choose,
    explain,
    no_resources,
    nothing_inside,
    nothing_on,
    target_option,
    vcluster_option,
)
from .source import Chosen, recorded, source_option
from .traffic import Meter, check_live, node_option, show_for, traffic_options

if TYPE_CHECKING:
    from kubectl_vmetrics.kube import core
    from kubectl_vmetrics.vcluster.homes import Homes


@click.command(
    "pods",
    cls=Command,
    arguments="[NAME | -l label]",
    help="""Display resource (CPU/memory) usage of pods.

Pods of virtual clusters are shown with their virtual cluster and their names there. -n and -A refer to host namespaces;
NAME can be a host name or a virtual name. With no virtual clusters in scope, the table is that of `kubectl top pods`.

With --vcluster, the table is what `kubectl top pods` prints inside that virtual cluster.""",
    examples=[
        ("The pods in the default namespace", "top pods"),
        ("All pods on the host, sorted by CPU", "top pods -A --sort-by=cpu"),
        ("All pods of a virtual cluster; of one of its namespaces; one pod", "top pods --vcluster shop"),
        ("", "top pods --vcluster shop -n shop"),
        ("", "top pods --vcluster team-a/shop -n web search-2rvxt76fl2-4fjw5"),
        ("The pods of a virtual cluster with private nodes", "top pods --vcluster edge --private-nodes"),
        ("With usage relative to requests and limits, nodes and host names", "top pods -A -o wide"),
        ("On a cluster without metrics-server", "top pods -A --source=auto"),
        ("Pods that wait for CPU, memory or disk (pressure stall information)", "top pods -A --pressure"),
        ("What pods send and receive; what they read and write", "top pods -A --network"),
        ("", "top pods -A --io"),
        ("What pods have of GPUs, and use", "top pods -A --gpu --sort-by=gpus"),
        (
            "The pods on one node, sorted by their share of the memory limit",
            "top pods -A --node=worker-1 -o wide --sort-by=%mem/l",
        ),
        ("As JSON, for other programs", "top pods -A -o json"),
        ("Refresh every 15 seconds", "top pods -A -w"),
    ],
)
@click.argument("names", nargs=-1)
@click.option("-A", "--all-namespaces", is_flag=True, help="All namespaces.")
@click.option("-l", "--selector", default="", help="Label selector: '=', '==', '!=', 'in', 'notin', exists.")
@click.option("--field-selector", default="", help="Field selector: metadata.name, metadata.namespace.")
@click.option("--containers", is_flag=True, help="Show one row per container.")
@sort_option
@click.option("--sum", "total", is_flag=True, help="Add a row with the sums.")
@click.option("--show-swap", is_flag=True, help="Show swap, if the Metrics API reports it; metrics-server does not.")
@click.option("--host-names", is_flag=True, help="Show host names only: the table of kubectl top pods.")
@click.option(
    "--pressure",
    is_flag=True,
    help="Show the share of the last 10 s in which tasks waited for CPU, memory or disk; reads the kubelets.",
)
@traffic_options
@click.option("--gpu", is_flag=True, help="Show requested GPUs, and their usage as dcgm-exporter reports it.")
@node_option
@click.option(
    "--use-protocol-buffers", is_flag=True, default=True, help="Accepted for compatibility with kubectl; JSON is used."
)
@click.option(
    "--private-nodes",
    is_flag=True,
    help="With --vcluster: ask its own Metrics API, because its nodes are not the host's; reads its Secret vc-NAME.",
)
@source_option
@vcluster_option
@target_option
@output_options
@click.pass_context
def pods(
    context: click.Context,
    /,
    names: tuple[str, ...],
    all_namespaces: bool,
    selector: str,
    field_selector: str,
    containers: bool,
    sort_by: str,
    total: bool,
    show_swap: bool,
    pressure: bool,
    network: bool,
    io: bool,
    gpu: bool,
    node: str,
    host_names: bool,
    use_protocol_buffers: bool,  # noqa: ARG001
    private_nodes: bool,
    source: str,
    vcluster: str | None,
    targets: Targets,
    **output: Any,
) -> int:
    """Read the options, query, print."""
    if len(names) > 1:
        raise UsageError(f"pod [NAME | -l label]\nSee '{context.command_path} -h' for help and examples")
    if names and (selector or field_selector):
        raise UsageError("only one of NAME or selector can be provided")
    if vcluster and host_names:
        raise UsageError("--vcluster and --host-names cannot be used together")
    from_prometheus = recorded(context, source)
    if private_nodes:
        _check_private(context, vcluster, pressure=pressure)
    if pressure:
        if source == "metrics-api" and context.get_parameter_source("source") is ParameterSource.COMMANDLINE:
            raise UsageError("--pressure requires --source=kubelet: the Metrics API does not report pressure")
        source = "kubelet"
    parse_labels(selector)
    parse_fields(field_selector)
    if containers and (network or io):
        raise UsageError("--containers cannot be used with --network or --io: interfaces belong to pods")
    show = show_for(context, output, traffic=network or io)
    name = names[0] if names else None
    kind = TimedPodMetrics if show.document else PodMetrics
    options = view.Options(
        containers=containers,
        sort_by=sort_by,
        total=total,
        headers=show.headers,
        swap=show_swap,
        namespaces=all_namespaces,
        pressure=pressure,
        wide=show.wide,
        network=network,
        io=io,
    )
    inside = options._replace(names=Names.VIRTUAL) if vcluster else options
    if gpu:
        from .gpu import Gpus
        from .gpu import read as read_gpus

        inside = inside._replace(extra=Gpus({}, {}).columns)
    if sort_by not in ("", "cpu", "memory"):  # those take no other columns to be known
        check_sort(sort_by, view.sorts(inside._replace(wide=show.details)))
    if gpu and (from_prometheus or private_nodes):
        raise UsageError(
            f"--gpu and {'--private-nodes' if private_nodes else '--source=prometheus'} cannot be used together"
        )
    if from_prometheus:
        check_live(network=network, io=io)
        from . import recorded as past

        asked = past.Asked(name, selector, field_selector, all_namespaces, host_names, vcluster, node)
        return past.pods(context, show, targets, asked, options)
    chosen = Chosen(source, context.obj)
    client = open_client(context)
    meter = Meter(context, client, show) if network or io else None

    def with_gpus(found: Found[Any], shown: view.Options, scope: Scope, empty: str) -> Outcome:
        if not gpu or not found.pods:
            return _outcome(client, found, shown, scope, empty, show, node, meter)
        known = read_gpus(client, targets)
        found.warnings += known.warnings
        shown = shown._replace(extra=known.columns)
        outcome = _outcome(client, found, shown, scope, empty, show, node, meter)
        return outcome._replace(view=known.documented(outcome.view), partial=outcome.partial or bool(known.warnings))

    def on_host() -> Outcome:
        scope = Scope(None if all_namespaces else client.namespace, name, selector or None, field_selector or None)
        homes = _homes(targets)
        if name and not host_names:
            found = named.find(client, scope, kind, source=chosen.source, homes=homes)
            scope = scope._replace(namespace=found.pods[0].host.namespace, name=found.pods[0].host.name)
        else:
            found = vcluster_pods.on_host(client, scope, kind, owners=not host_names, source=chosen.source, homes=homes)
        if not found.pods and not found.skipped:
            explain(client, scope)
        found.warnings += [*chosen.warnings(), *_without_pressure(found, options, chosen)]
        both = any(pod.vcluster for pod in found.pods)
        shown = options._replace(names=Names.BOTH if both else Names.HOST, reported=chosen.reported())
        empty = no_resources(scope.namespace)
        outcome = with_gpus(found, shown, scope, empty)
        return outcome._replace(partial=chosen.partial or outcome.partial)

    def from_inside() -> Outcome:
        ref, homes = choose(client, vcluster or "", targets)
        namespace = narrowed(context, all_namespaces=all_namespaces)
        question = Scope(namespace, name, selector, field_selector)
        if private_nodes:
            from . import private

            return private.outcome(client, ref, question, kind, options)
        found = vcluster_pods.inside(client, ref, homes, question, kind, source=chosen.source)
        found.warnings += [*chosen.warnings(), *_without_pressure(found, options, chosen)]
        shown = options._replace(names=Names.VIRTUAL, namespaces=namespace is None, reported=chosen.reported())
        home = ref
        while home.parent:
            home = home.parent
        host = Scope(None if any(p.host.namespace != home.host_namespace for p in found.pods) else home.host_namespace)
        empty = nothing_inside(ref, homes.clusters, namespace)
        outcome = with_gpus(found, shown, host, empty)
        return outcome._replace(partial=chosen.partial or outcome.partial)

    return show.run(from_inside if vcluster else on_host)


def _check_private(context: click.Context, vcluster: str | None, *, pressure: bool) -> None:
    """Raises UsageError for what cannot be asked of a virtual cluster's own Metrics API."""
    if not vcluster:
        raise UsageError("--private-nodes requires --vcluster; `top vclusters --private-nodes` shows all")
    if pressure or context.get_parameter_source("source") is ParameterSource.COMMANDLINE:
        flag = "--pressure" if pressure else "--source"
        raise UsageError(f"--private-nodes and {flag} cannot be used together")


def _without_pressure(found: Found[Any], options: view.Options, chosen: Chosen) -> list[str]:
    """Why the columns of --pressure are empty, if all of them are."""
    reported = (chosen.reported() or {}).values()
    if not options.pressure or not found.pods or any(psi for pod in reported for psi in pod.pressure.values()):
        return []
    return [f"no kubelet reports pressure for these pods; run `{PROGRAM} doctor kubelets` to find out why"]


def _homes(targets: Targets) -> Homes | None:
    if not targets:
        return None
    from kubectl_vmetrics.vcluster.homes import Homes

    return Homes(targets=targets)


def _outcome(
    client: Client,
    found: Found[Any],
    options: view.Options,
    scope: Scope,
    empty: str,
    show: Show,
    node: str,
    meter: Meter | None,
) -> Outcome:
    warnings = list(found.warnings)
    partial = False
    if (show.details or node or meter) and found.pods:
        details = _details(client, scope, warnings, needed=bool(node or meter))
        if node:
            found.pods = [pod for pod in found.pods if pod.host in details and details[pod.host].spec.node == node]
            empty = nothing_on(client, node, found.pods)
        if show.details:
            options = options._replace(details=details)
        if meter and found.pods:
            sampled = meter.sample(details[pod.host] for pod in found.pods if pod.host in details)
            warnings += meter.warnings(sampled)
            partial = bool(sampled.failures)
            options = options._replace(rates=sampled.rates)
    return Outcome(view.view(found.pods, options), empty, tuple(warnings), tuple(found.skipped), partial=partial)


def _details(client: Client, scope: Scope, warnings: list[str], *, needed: bool) -> dict[HostPod, core.Pod]:
    from kubectl_vmetrics.kube import core

    fields = f"metadata.name={scope.name}" if scope.name else scope.fields
    try:
        listed = core.pods(client, scope.namespace, labels=scope.labels, fields=fields)
    except VmetricsError as error:
        if needed:
            raise
        warnings.append(f"nodes, requests and limits are not available: {error.message}")
        return {}
    return {HostPod(pod.metadata.namespace, pod.metadata.name): pod for pod in listed}
