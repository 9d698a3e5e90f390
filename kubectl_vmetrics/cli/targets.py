"""`targets`: scrape targets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import Forbidden, MetricsNotAvailable, UsageError, VmetricsError

from . import engine, files
from .cluster import client as open_client
from .command import Command
from .engine import prometheus_options
from .show import Outcome, Show, output_options

if TYPE_CHECKING:
    from kubectl_vmetrics.manifests.prometheus import Apiserver
    from kubectl_vmetrics.metrics.targets import Target

PROMETHEUS = "prometheus"
SOURCES = ("pods", "endpointslices", "endpoints")


Found = tuple["list[Target]", list[str]]
"""Targets, and what could not be read: where there is any of it, targets are missing."""


class Wanted(NamedTuple):
    """Which targets are found, and how.

    Attributes:
        source: how to find KubeVirt's; None for the first that may be read.
        endpoints: of kubelets.
        certificates: whether it is asked where client certificates are.
    """

    source: str | None
    endpoints: tuple[str, ...]
    certificates: bool


def _kubevirt(client: Client, wanted: Wanted) -> Found:
    from kubectl_vmetrics.kubevirt import targets

    return targets.find(client, wanted.source), []


def _kubelet(client: Client, wanted: Wanted) -> Found:
    from kubectl_vmetrics.metrics import targets

    return targets.kubelets(client, wanted.endpoints), []


def _controlplanes(client: Client, wanted: Wanted) -> Found:
    from kubectl_vmetrics.controlplane import targets

    from . import planes

    found, missing = planes.find(client, None)
    return targets.find(found, targets.sources(client, found) if wanted.certificates else None), missing


KINDS: dict[str, Callable[[Client, Wanted], Found]] = {
    "kubevirt": _kubevirt,
    "kubelet": _kubelet,
    "controlplanes": _controlplanes,
}
"""What finds the targets of each kind."""


@click.command(
    "targets",
    cls=Command,
    arguments=f"[{'|'.join(KINDS)}|all|prometheus]",
    help="""List scrape targets with their labels: KubeVirt's components, kubelets, tenant control planes.

`targets prometheus` lists the Prometheus servers of the cluster instead, with what each has, and which one is used.

-o http-sd, file-sd and scrape-config are for Prometheus. --through-apiserver is for a Prometheus outside the cluster:
it needs get on pods/proxy and nodes/proxy, and cannot scrape targets that require a client certificate. -w prints
targets as they are added and removed; with --to, the file is replaced on every change, and only by a complete list.

Tenant control planes require client certificates: comments in -o scrape-config say which files to mount where.""",
    examples=[
        ("All targets", "targets"),
        ("Only KubeVirt's, with their labels", "targets kubevirt -o wide"),
        ("Keep a file for file_sd_configs up to date", "targets -o file-sd --to targets.yml -w"),
        ("The Prometheus servers of the cluster, and what each has", "targets prometheus"),
        ("For a Prometheus outside the cluster", "targets kubevirt -o scrape-config --through-apiserver"),
    ],
)
@click.argument("kinds", nargs=-1)
@click.option(
    "--source",
    default="",
    help=f"How to find KubeVirt's targets: {', '.join(SOURCES)} (default: the first that you may read).",
)
@click.option(
    "--endpoints",
    default="",
    metavar="PATH,…",
    help="Kubelet endpoints: metrics, metrics/cadvisor, metrics/probes (the default), and metrics/resource, whose "
    "series have the same names as cAdvisor's.",
)
@click.option("--through-apiserver", is_flag=True, help="Use the apiserver's address and its proxy paths.")
@click.option("--to", "file", default="", metavar="FILE", help="Write to this file; it is replaced atomically.")
@prometheus_options
@output_options
@click.pass_context
def targets(
    context: click.Context,
    /,
    kinds: tuple[str, ...],
    source: str,
    endpoints: str,
    through_apiserver: bool,
    file: str,
    **output: Any,
) -> int:
    """Read the options, find the targets, print."""
    from kubectl_vmetrics.manifests import prometheus
    from kubectl_vmetrics.views import targets as view

    if kinds == (PROMETHEUS,):
        if source or endpoints or through_apiserver or file:
            raise UsageError("targets prometheus takes none of --source, --endpoints, --through-apiserver and --to")
        return _prometheus(context, output)
    if engine.given(context):
        raise UsageError("--prometheus is for targets prometheus")
    known = [*KINDS, "all", PROMETHEUS]
    for kind in kinds:
        if kind not in known:
            raise UsageError(f'unknown kind of target "{kind}"; choose from {", ".join(known)}')
        if kind == PROMETHEUS:
            raise UsageError("targets prometheus lists servers, not targets: it cannot be combined with other kinds")
    if source and source not in SOURCES:
        raise UsageError(f"--source accepts only {', '.join(SOURCES)}")
    paths = _endpoints(endpoints)
    form = output["output"]
    config = form in prometheus.FORMATS
    if (through_apiserver or file) and not config:
        raise UsageError(f"--through-apiserver and --to require -o {', '.join(prometheus.FORMATS)}")
    if not config and form != "table":
        _check_format(form)
    show = Show(context, **{**output, "output": "" if config or form == "table" else form})
    client = open_client(context)
    wanted = list(KINDS) if not kinds or "all" in kinds else list(dict.fromkeys(kinds))

    def find() -> Found:
        alone = bool(kinds) and "all" not in kinds
        certificates = form == "scrape-config" and not through_apiserver
        return _find(client, wanted, Wanted(source or None, paths, certificates), alone=alone)

    def find_view() -> Outcome:
        found, missing = find()
        return Outcome(view.view(found, wide=show.wide), "No targets found", tuple(missing), partial=bool(missing))

    apiserver = prometheus.Apiserver.at(client.connection.server) if through_apiserver else None
    if config:
        render = partial(_render, form, apiserver)
        return _write(show, find, render, Path(file) if file else None)
    if show.watch and not show.document:
        return _follow(show, find)
    return show.run(find_view)


def _prometheus(context: click.Context, output: dict[str, Any]) -> int:
    """The servers to ask, rather than targets to scrape."""
    from kubectl_vmetrics.prometheus import probe
    from kubectl_vmetrics.views import prometheus as view

    if output["output"] not in ("", "table"):
        _check_format(output["output"])
    show = Show(context, **{**output, "output": output["output"].replace("table", "")})
    client = open_client(context)

    def find() -> Outcome:
        found = engine.look(context, client)
        used = probe.best(found)
        if used and (equal := probe.rivals(found, used)):
            names = ", ".join(item.server.name for item in (used, *equal))
            note = f"none is used unless you choose one with --prometheus: {names} are equally good"
            return Outcome(view.view(found, None, wide=show.wide), "No Prometheus found", (note,))
        return Outcome(view.view(found, used, wide=show.wide), "No Prometheus found", failed=bool(found) and not used)

    return show.run(find)


def _check_format(form: str) -> None:
    """Raises UsageError with the known formats, including those for Prometheus."""
    from kubectl_vmetrics.manifests import prometheus
    from kubectl_vmetrics.output import formats

    try:
        formats.check(form)
    except ValueError:
        known = ",".join(["table", *prometheus.FORMATS, *formats.known()])
        raise UsageError(
            f'unable to match a printer suitable for the output format "{form}", allowed formats are: {known}'
        ) from None


def _endpoints(given: str) -> tuple[str, ...]:
    """--endpoints. Raises UsageError."""
    from kubectl_vmetrics.metrics import kubelet

    wanted = [item.strip() for item in given.split(",")] if given else kubelet.ONCE
    for item in wanted:
        if item not in kubelet.TEXTS:
            raise UsageError(f'unknown endpoint "{item}"; choose from {", ".join(kubelet.TEXTS)}')
    return tuple(dict.fromkeys(wanted))


def _find(client: Client, kinds: Sequence[str], wanted: Wanted, *, alone: bool) -> Found:
    from kubectl_vmetrics.kubevirt.installation import Unseen

    found: list[Target] = []
    missing: list[str] = []
    for kind in kinds:
        try:
            more, unread = KINDS[kind](client, wanted)
        except MetricsNotAvailable as error:
            if alone:
                raise
            if isinstance(error, Unseen):
                missing.append(f"targets of {kind} are not known: {error.message}")
            # of all kinds, those that are not installed have no targets
        except Forbidden as error:
            if len(kinds) == 1:
                raise
            missing.append(f"targets of {kind} are not known: {error.message}")
        else:
            found += more
            missing += unread
    return found, missing


def _render(form: str, apiserver: Apiserver | None, found: Sequence[Target]) -> str:
    from kubectl_vmetrics.manifests import prometheus

    return prometheus.render(found, form, apiserver)


Find = Callable[[], Found]


def _write(show: Show, find: Find, render: Callable[[Sequence[Target]], str], file: Path | None) -> int:
    """Print or write the configuration for Prometheus; with --watch, on every change.

    A file is replaced only by a complete list: if a target were missing, Prometheus would stop scraping it.
    """
    environment = show.environment
    last, complete = "", True
    for found, missing in _looks(show, find, file):
        text, complete = render(found), not missing
        if text == last:
            continue
        if file:
            files.replace(file, text, "--to", 0o644)  # Prometheus is another user
        else:
            environment.stdout.write(text)
            environment.stdout.flush()
        last = text
    return 0 if complete else 1


def _follow(show: Show, find: Find) -> int:
    """All targets, then each target that is added or removed."""
    from kubectl_vmetrics.output import formats
    from kubectl_vmetrics.output.formats import View
    from kubectl_vmetrics.views import targets as view

    headers = ["EVENT", *view.view([], wide=show.wide).headers]
    known: dict[Target, Target] = {}
    for found, _ in _looks(show, find):
        now = {item._replace(ready=True): item for item in found}
        events = [("REMOVED", item) for key, item in known.items() if key not in now]
        events += [("ADDED", item) for key, item in now.items() if key not in known]
        rows = [[event, *view.row(item, wide=show.wide)] for event, item in events]
        if rows:
            shown = View(headers, rows, dict, list)
            show.environment.stdout.write(formats.render(shown, show.output, headers=show.headers and not known))
            show.environment.stdout.flush()
        known = now
    return 0


def _looks(show: Show, find: Find, file: Path | None = None) -> Iterator[tuple[list[Target], bool]]:
    """The targets and whether some are missing, once, or with --watch every --interval.

    Failures after the first list are reported and retried. For a file, an incomplete list is a failure.
    """
    told: list[str] | None = None
    while True:
        started = time.monotonic()
        try:
            found, missing = find()
            if file and missing:
                raise VmetricsError(f"{file} was not changed: {'; '.join(missing)}")
        except VmetricsError as error:
            if told is None:
                raise
            if told != [error.line]:
                show.environment.say(error.line)
            told = [error.line]
        else:
            notes = [f"Warning: {text}" for text in missing] + ([] if found else ["No targets found"])
            for note in notes if told != notes else []:
                show.environment.say(note)
            told = notes
            yield found, bool(missing)
        if not show.watch:
            return
        time.sleep(max(0.0, show.interval - (time.monotonic() - started)))
