"""`rightsize`: requests and limits against what was used."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from kubectl_vmetrics.kube.errors import UsageError, VmetricsError
from kubectl_vmetrics.output.progress import Progress
from kubectl_vmetrics.vcluster.identity import VClusterRef

from .cluster import client as open_client
from .cluster import narrowed
from .command import Command, cluster_flags
from .engine import open_prometheus, prometheus_options
from .show import Outcome, Show, check_sort, output_options, sorted_by
from .top.choose import Targets, target_option, vcluster_option

if TYPE_CHECKING:
    from kubectl_vmetrics.history.names import Names
    from kubectl_vmetrics.history.rightsize import Settings, Usage, Whose
    from kubectl_vmetrics.history.window import Window
    from kubectl_vmetrics.history.workloads import Workload, Workloads
    from kubectl_vmetrics.prometheus.api import Prometheus

_STEP = "15m"


@click.command(
    "rightsize",
    cls=Command,
    help="""Compare requests and limits of workloads with what they used, and suggest better ones.

Workloads are those inside virtual clusters, and those of the host. CPU is the percentile of the replica that needed
most, memory the largest sample plus headroom. Where a container was killed for memory, the suggestion is above its
limit. SAVES is for all replicas. Virtual machines are not included.

-o yaml prints patches, to be applied inside the virtual cluster.""",
    examples=[
        ("All workloads, by what they used in the last two weeks", "rightsize"),
        ("Those of one virtual cluster, the largest savings first", "rightsize --vcluster shop --sort-by=cpu"),
        ("Patches for its Deployments and StatefulSets", "rightsize --vcluster shop -o yaml"),
        (
            "More careful: CPU for all but 1% of the time, and more headroom",
            "rightsize --cpu-percentile 99 --memory-headroom 30%",
        ),
    ],
)
@click.option("--since", default="14d", show_default=True, help="Where the history begins: 14d, month, or a time.")
@click.option("--until", default=None, help="Where it ends (default: now).")
@click.option("--step", default=_STEP, show_default=True, help="CPU is averaged over steps of this length.")
@click.option("--cpu-percentile", default="95", show_default=True, help="Percentile of CPU to request: 50 to 100.")
@click.option("--memory-headroom", default="15%", show_default=True, help="What to add to the largest use of memory.")
@click.option("--min-cpu", default="10m", show_default=True, help="Smallest request of CPU to suggest.")
@click.option("--min-memory", default="16Mi", show_default=True, help="Smallest request of memory to suggest.")
@sorted_by("Sort by savings of cpu or memory, in descending order")
@vcluster_option
@target_option
@prometheus_options
@output_options
@click.pass_context
def rightsize(
    context: click.Context,
    /,
    since: str,
    until: str | None,
    step: str,
    cpu_percentile: str,
    memory_headroom: str,
    min_cpu: str,
    min_memory: str,
    sort_by: str,
    vcluster: str | None,
    targets: Targets,
    **output: Any,
) -> int:
    """Read the options, query, print."""
    from kubectl_vmetrics.views import rightsize as view

    check_sort(sort_by, view.SORTS)
    settings = _settings(cpu_percentile, memory_headroom, min_cpu, min_memory)
    window, seconds = _window(since, until, step)
    namespace = narrowed(context, all_namespaces=False)
    show = Show(context, **output)
    client = open_client(context)
    server: Prometheus | None = None

    def find() -> tuple[Usage, Window, Outcome]:
        nonlocal server
        from kubectl_vmetrics.history import names, workloads
        from kubectl_vmetrics.vcluster import discovery

        server = server or open_prometheus(context, client)
        now = _window(since, until, step)[0] if show.watch else window
        known = names.read(server, now, client, targets=targets)
        ref = discovery.select(known.clusters, vcluster) if vcluster else None
        made = workloads.read(server, now, known, client)
        progress = Progress(show.environment, "steps")
        usage = _usage(server, now, seconds, known, _whose(known, made, ref, namespace), progress)
        if cluster_flags(context).get("verbosity", 0) > 0:
            show.environment.say(f"names of virtual clusters: {known.way or 'none'}")
        advice = usage.advice(settings, recent=max(3600.0, 2 * seconds))
        options = view.Options(
            now, round(usage.days, 3), settings.percentile, inside=ref is not None, wide=show.wide, sort_by=sort_by
        )
        warnings = [*known.warnings, *sorted(server.warnings)]
        if usage.days < 0.9 * now.seconds / 86_400:
            warnings.append(f"there is data for {usage.days:.1f} of {now.seconds / 86_400:.1f} days only")
        if not known.way:
            warnings.append(f"{server.name} does not know which pods belong to virtual clusters")
        empty = "No resources found: no workload has used CPU in that time"
        shown = view.view(advice, options)
        return usage, now, Outcome(shown, empty, tuple(warnings), partial=bool(server.warnings))

    def table() -> Outcome:
        usage, _, outcome = find()
        if not show.document and outcome.view.rows:
            show.environment.say(f"based on {usage.days:.1f} days of data")
        return outcome

    if show.output == "yaml":
        return _patches(show, find, settings, max(3600.0, 2 * seconds))
    return show.run(table)


def _patches(show: Show, find: Callable[[], tuple[Usage, Window, Outcome]], settings: Settings, recent: float) -> int:
    from kubectl_vmetrics.views import rightsize as view

    if show.watch:
        raise UsageError("--watch cannot be used with -o yaml, which prints patches")
    with show.waiting():
        usage, window, outcome = find()
    show.environment.stdout.write(view.patches(usage.advice(settings, recent=recent), window, usage.days))
    for warning in outcome.warnings:
        show.environment.say(f"Warning: {warning}")
    return 1 if outcome.partial else 0


def _settings(cpu_percentile: str, memory_headroom: str, min_cpu: str, min_memory: str) -> Settings:
    from kubectl_vmetrics.history.rightsize import Settings
    from kubectl_vmetrics.metrics.quantity import cpu_nanocores, memory_bytes

    percentile = _number(cpu_percentile.removeprefix("p"), "--cpu-percentile", 50, 100)
    headroom = _number(memory_headroom.removesuffix("%"), "--memory-headroom", 0, 1000) / 100
    try:
        cores = cpu_nanocores(min_cpu) / 1e9
    except ValueError:
        raise UsageError(f"--min-cpu: {min_cpu!r} is not a quantity (example: 10m)") from None
    try:
        octets = float(memory_bytes(min_memory))
    except ValueError:
        raise UsageError(f"--min-memory: {min_memory!r} is not a quantity (example: 16Mi)") from None
    if cores < 0 or octets < 0:
        raise UsageError("--min-cpu and --min-memory must be 0 or more")
    return Settings(percentile, headroom, cores, octets)


def _number(text: str, option: str, least: float, most: float) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not least <= found <= most:
        raise UsageError(f"{option} accepts only numbers from {least:g} to {most:g}")
    return found


def _window(since: str, until: str | None, step: str) -> tuple[Window, float]:
    """The window and the step. Raises UsageError."""
    from kubectl_vmetrics.history import window
    from kubectl_vmetrics.history.rightsize import LEAST

    try:
        found = window.parse(since, until, now=time.time())
    except ValueError as error:
        raise UsageError(f"--since, --until: {error}") from None
    try:
        seconds = window.step(found, step)
    except ValueError as error:
        raise UsageError(f"--step: {error}") from None
    if found.seconds < LEAST:
        raise UsageError("--since: advice requires at least 1d of data; use 7d or more for a good one")
    return found, seconds


def _whose(known: Names, made: Workloads, ref: VClusterRef | None, namespace: str | None) -> Whose:
    """Whose a pod is, of those that were asked for."""

    def whose(host: str, pod: str) -> tuple[VClusterRef | None, str, Workload] | None:
        identity = known.of(host, pod)
        inside = (identity.namespace or "") if identity.vcluster else host
        if ref is not None and (identity.vcluster != ref or namespace not in (None, inside)):
            return None
        if ref is None and namespace not in (None, host):
            return None
        found = made.of(host, pod)
        # KubeVirt sizes the pods of machines; there is no template of theirs.
        return None if found.kind == "VirtualMachineInstance" else (identity.vcluster, inside, found)

    return whose


def _usage(server: Prometheus, window: Window, step: float, known: Names, whose: Whose, progress: Progress) -> Usage:
    """What was used. Raises VmetricsError if that is less than a day's."""
    from kubectl_vmetrics.history import rightsize, steps

    usage = rightsize.Usage(window, whose)
    for item in steps.read(server, window, step, rightsize.METRICS, jobs=known.jobs, progress=progress):
        usage.add(item)
    if usage.covered < rightsize.LEAST * 0.99:
        hours = usage.covered / 3600
        raise VmetricsError(
            f"advice requires at least 1d of data, and {server.name} has {hours:.1f}h of CPU metrics in that time"
        )
    return usage
