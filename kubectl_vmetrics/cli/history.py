"""`history`: resource usage over time, from a Prometheus."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from kubectl_vmetrics.kube.errors import UsageError, VmetricsError
from kubectl_vmetrics.output.terminal import Environment

from .cluster import client as open_client
from .cluster import narrowed
from .command import Command
from .engine import open_prometheus, prometheus_options
from .show import Outcome, Show, check_sort, coloured, output_options, sorted_by
from .top.choose import Targets, no_resources, target_option, vcluster_option

if TYPE_CHECKING:
    from kubectl_vmetrics.history.fields import Kind
    from kubectl_vmetrics.history.names import Names
    from kubectl_vmetrics.history.rows import History
    from kubectl_vmetrics.history.window import Window
    from kubectl_vmetrics.kube.client import Client
    from kubectl_vmetrics.prometheus.api import Prometheus
    from kubectl_vmetrics.vcluster.identity import VClusterRef
    from kubectl_vmetrics.views.history import Options

ALIASES = {
    "pod": "pods",
    "po": "pods",
    "namespace": "namespaces",
    "ns": "namespaces",
    "vcluster": "vclusters",
    "vc": "vclusters",
    "node": "nodes",
    "no": "nodes",
    "vm": "vmi",
    "vmis": "vmi",
    "volume": "volumes",
    "pvc": "volumes",
}
_LINES = 5
"""Lines of a chart without --top: more look alike."""


@click.command(
    "history",
    cls=Command,
    arguments="[vclusters | namespaces | pods | nodes | vmi | volumes] [NAME]",
    help="""Display resource usage over time, from a Prometheus, under the names that the tenants use.

Each row shows the smallest, mean, 95th percentile, largest and last value of the steps of a time range, what they add
up to, and a trend from 0 to the largest value. A value is the mean of its step: a shorter --step shows shorter peaks.

CPU is what the cgroups of pods counted, so the steps add up to what was used. Pods that live for only a few seconds may
end before cAdvisor reads them: their CPU is not in any Prometheus.

The Prometheus must scrape kubelets (cAdvisor). Names come from the proxy, from kube-state-metrics or from the live
cluster, whichever there is.""",
    examples=[
        ("Each virtual cluster over the last 24 hours", "history"),
        (
            "The last week of one virtual cluster, by its own namespaces",
            "history namespaces --vcluster shop --since 7d",
        ),
        ("Last month, sorted by memory", "history vclusters --since lastmonth --sort-by=memory"),
        ("The five pods that use the most CPU, as a chart", "history pods -A --top 5 --sort-by=cpu --chart"),
        ("Network and disk traffic of virtual machines", "history vmi -A --metric network --metric disk"),
        ("Every point, for a spreadsheet", "history vclusters --since 7d --step 1h --points -o csv"),
    ],
)
@click.argument("words", nargs=-1)
@click.option(
    "--since", default="24h", show_default=True, help="Start: 7d, 36h, yesterday, lastmonth, 2026-11-24T16:00Z."
)
@click.option("--until", default=None, help="End, in the same forms (default: now).")
@click.option("--step", default=None, help="Length of a step, such as 15s, 5m or 1h (default: at most 200 steps).")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    help="Metric to show: cpu, memory, network, disk, gpu, requests, limits, restarts, volumes, quota, allocatable; "
    "can be repeated.",
)
@click.option("-A", "--all-namespaces", is_flag=True, help="All namespaces.")
@sorted_by("Sort by the mean of a metric, in descending order")
@click.option("--top", type=click.IntRange(1), default=None, help="Show only the first so many rows.")
@click.option("--points", is_flag=True, help="With -o json, yaml or csv: include every point.")
@click.option("--chart", is_flag=True, help="Draw the rows as lines over time.")
@vcluster_option
@target_option
@prometheus_options
@output_options
@click.pass_context
def history(
    context: click.Context,
    /,
    words: tuple[str, ...],
    since: str,
    until: str | None,
    step: str | None,
    metrics: tuple[str, ...],
    all_namespaces: bool,
    sort_by: str,
    top: int | None,
    points: bool,
    chart: bool,
    vcluster: str | None,
    targets: Targets,
    **output: Any,
) -> int:
    """Read the options, query, print."""
    from kubectl_vmetrics.history import fields
    from kubectl_vmetrics.output import sparkline
    from kubectl_vmetrics.views import history as view

    kind, name = _asked(context, words)
    try:
        shown = fields.chosen(kind, metrics)
    except ValueError as error:
        raise UsageError(f"--metric: {error}") from None
    check_sort(sort_by, [field.label for field in shown])
    if kind is fields.Kind.NODES and vcluster:
        raise UsageError("history nodes cannot be used with --vcluster: nodes belong to the host")
    show = Show(context, **output)
    if points and not (show.document or show.output == "csv"):
        raise UsageError("--points requires -o json, yaml or csv")
    if chart and (show.output or show.watch):
        raise UsageError("--chart cannot be used with --output or --watch")
    if chart:
        _check_plotext()
    window, seconds = _when(since, until, step)
    environment: Environment = context.obj
    client = open_client(context)
    server = open_prometheus(context, client)
    options = view.Options(
        kind,
        inside=bool(vcluster),
        sort_by=sort_by,
        top=top or 0,
        points=points,
        wide=show.wide,
        plain=sparkline.is_plain(getattr(environment.stdout, "encoding", None)),
        server=server.name,
    )

    def find() -> tuple[History, Options, list[str]]:
        from kubectl_vmetrics.history import rows
        from kubectl_vmetrics.output.progress import Progress

        span, length = _when(since, until, step) if show.watch else (window, seconds)
        names = _names(server, span, client, targets)
        ref = _inside(names, vcluster) if vcluster else None
        wanted = rows.Wanted(kind, shown, ref, _namespace(context, client, kind, ref, all_namespaces), name)
        found = rows.read(server, span, length, wanted, names, progress=Progress(environment, "steps"))
        if name and not found.rows:
            raise VmetricsError(f'{kind.value} "{name}" not found from {_day(span.start)} to {_day(span.end)}')
        return found, options._replace(way=names.way), _notes(found, names, options)

    if chart:
        return _draw(environment, find, top or _LINES, colored=coloured(context))

    def outcome() -> Outcome:
        found, how, notes = find()
        where = None if vcluster else _namespace(context, client, kind, None, all_namespaces)
        return Outcome(view.view(found, how), no_resources(where), (*notes, *sorted(server.warnings)))

    return show.run(outcome)


def _asked(context: click.Context, words: tuple[str, ...]) -> tuple[Kind, str | None]:
    """What the rows are, and the name of one."""
    from kubectl_vmetrics.history.fields import Kind

    if len(words) > 2:
        raise UsageError(f"history KIND [NAME]\nSee '{context.command_path} -h' for help and examples")
    word = ALIASES.get(words[0], words[0]) if words else Kind.VCLUSTERS.value
    try:
        kind = Kind(word)
    except ValueError:
        known = ", ".join(item.value for item in Kind)
        raise UsageError(f"history: {word!r} is not one of {known}") from None
    return kind, words[1] if len(words) == 2 else None


def _when(since: str, until: str | None, step: str | None) -> tuple[Window, float]:
    from kubectl_vmetrics.history import window

    try:
        found = window.parse(since, until, now=time.time())
    except ValueError as error:
        raise UsageError(f"--since: {error}") from None
    try:
        return found, window.step(found, step)
    except ValueError as error:
        raise UsageError(f"--step: {error}") from None


def _check_plotext() -> None:
    from importlib.util import find_spec

    if find_spec("plotext") is None:
        raise VmetricsError("--chart requires plotext: pip install 'kubectl-vmetrics[chart]'")


def _names(server: Prometheus, window: Window, client: Client, targets: Targets) -> Names:
    from kubectl_vmetrics.history import names

    return names.read(server, window, client, targets=targets)


def _inside(names: Names, text: str) -> VClusterRef:
    """The virtual cluster of --vcluster, of those that were there in the window."""
    from kubectl_vmetrics.vcluster import discovery

    return discovery.select(names.clusters, text)


def _namespace(
    context: click.Context, client: Client, kind: Kind, ref: VClusterRef | None, all_namespaces: bool
) -> str | None:
    """The namespace that rows are limited to, as in the commands of `top`."""
    given = narrowed(context, all_namespaces=all_namespaces)
    if given is not None or all_namespaces or ref is not None:
        return given
    return client.namespace if kind.value in ("pods", "vmi", "volumes") else None


def _notes(found: History, names: Names, options: Options) -> list[str]:
    """What to know about the numbers: names that are less than exact, and data that is missing."""
    from kubectl_vmetrics.metrics.findings import some
    from kubectl_vmetrics.views import history as view

    notes = list(names.warnings)
    covered = found.covered()
    if covered is None:
        return [
            *notes,
            f"{options.server} has no such data from {_day(found.window.start)} to {_day(found.window.end)}",
        ]
    if covered.start > found.window.start + 1:
        days = f"{_length(covered.seconds)} of {_length(found.window.seconds)}"
        notes.append(f"{options.server} has data from {_day(covered.start)} on: {days} are covered")
    elif missing := view.gaps(found):
        notes += [f"only {share} of the time range has data of {some(labels)}" for share, labels in missing.items()]
    if found.brief:
        what = "1 pod was" if found.brief == 1 else f"{found.brief} pods were"
        notes.append(f"{what} gone before cAdvisor had read what they used: their CPU is incomplete")
    return notes


def _draw(environment: Environment, find: Any, count: int, *, colored: bool) -> int:
    from kubectl_vmetrics.output import chart
    from kubectl_vmetrics.views import history as view

    found, options, notes = find()
    width = environment.width or 100
    times = [end for _, end in found.times]
    for field in found.fields:
        drawn = view.lines(found, options._replace(top=count), field)
        if drawn:
            environment.stdout.write(chart.render(view.title(field), times, drawn, width=width, colored=colored))
    for note in notes:
        environment.warn(note)
    return 0


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(seconds))


def _length(seconds: float) -> str:
    from kubectl_vmetrics.kube import duration

    return duration.human(seconds)
