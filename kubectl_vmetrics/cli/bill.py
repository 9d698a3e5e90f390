"""`bill`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from kubectl_vmetrics.kube.errors import UsageError
from kubectl_vmetrics.output import formats
from kubectl_vmetrics.output.progress import Progress

from . import pricing
from .cluster import client as open_client
from .command import Command
from .engine import given, open_prometheus, prometheus_options
from .show import Outcome, Show, color_option, no_fit_option
from .top.choose import Targets, not_empty, target_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubectl_vmetrics.allocation.bill import Bill
    from kubectl_vmetrics.allocation.making import Question
    from kubectl_vmetrics.allocation.prices import Prices
    from kubectl_vmetrics.history.window import Window
    from kubectl_vmetrics.kube.client import Client
    from kubectl_vmetrics.vcluster.discovery import VCluster

FOCUS = "focus"
BY = ("vcluster", "namespace", "workload", "vm", "owner")
SHARES = ("none", "even", "by-usage")
LEAST = 30.0
"""Seconds of the shortest --for: two samples."""


@click.command(
    "bill",
    cls=Command,
    help="""Print what each tenant used, requested and is billed for, in rows that add up to the host.

Of CPU and memory, the greater of use and request is billed, per container and step; GPUs and volumes as requested.
The host's own pods are a row of their own, or split with --share. Idle capacity is billed to no tenant. Numbers come
from a Prometheus, or, with --for, from samples of the running cluster. Without --prices, the bill has no costs. See
docs/showback.md.""",
    examples=[
        ("Each virtual cluster's bill for this month", "bill"),
        (
            "The last week, per virtual namespace, with the host's own pods split by usage",
            "bill --since 7d --by namespace --share by-usage",
        ),
        ("One tenant's own bill", "bill --since 7d --vcluster shop --by workload"),
        ("Without a Prometheus: sample the cluster for ten minutes", "bill --for 10m"),
        ("A price list to start from", "bill --show-prices"),
    ],
)
@click.option(
    "--since",
    default="month",
    show_default=True,
    help="Start: month, lastmonth, yesterday, a duration (7d, 36h), a time or date, or START,END.",
)
@click.option("--until", default=None, help="End, as --since (default: now).")
@click.option("--step", default="", help="Time over which use and requests are compared (default: 1h for a month).")
@click.option("--by", default="vcluster", show_default=True, help=f"Rows: {', '.join(BY)}.")
@click.option(
    "--share",
    default="none",
    show_default=True,
    help="Split the host's own pods among tenants: none, even, or by-usage.",
)
@click.option("--prices", "file", metavar="FILE", default=None, help="File with your prices; see --show-prices.")
@click.option("--show-prices", is_flag=True, help="Print an example of a file with prices.")
@click.option(
    "--owner-label",
    metavar="KEY",
    default="loft.sh/user",
    show_default=True,
    callback=not_empty,
    help="Label of host namespaces with the owner.",
)
@click.option(
    "--vcluster", metavar="[HOSTNS/]NAME", callback=not_empty, help="Only this virtual cluster, and nothing of others."
)
@click.option(
    "--for", "sampled", metavar="DURATION", default="", help="Sample the metrics API for so long; needs no Prometheus."
)
@target_option
@prometheus_options
@color_option
@no_fit_option
@click.option("--no-headers", is_flag=True, help="Do not print headers.")
@click.option(
    "-o",
    "--output",
    default="",
    help="Output format: wide, json, yaml, csv, focus (FOCUS 1.2), name, jsonpath=…, custom-columns=…, or a format of "
    "tabulate: github, html, …",
)
@click.pass_context
def bill(
    context: click.Context,
    /,
    since: str,
    until: str | None,
    step: str,
    by: str,
    share: str,
    file: str | None,
    show_prices: bool,
    owner_label: str,
    vcluster: str | None,
    sampled: str,
    targets: Targets,
    no_headers: bool,
    output: str,
) -> int:
    """Check the options, gather, print."""
    from kubectl_vmetrics.allocation import price_file

    if show_prices:
        context.obj.stdout.write(price_file.EXAMPLE)
        return 0
    for option, value, allowed in (("--by", by, BY), ("--share", share, SHARES)):
        if value not in allowed:
            raise UsageError(f"{option} accepts only {', '.join(allowed)}")
    if vcluster and by == "owner":
        raise UsageError("--by owner cannot be used with --vcluster")
    prices = pricing.prices(file)
    if output == FOCUS and prices is None:
        raise UsageError("-o focus needs --prices: FOCUS is about costs")
    try:
        formats.check("csv" if output == FOCUS else output)
    except ValueError as error:
        more = f",{FOCUS}" if str(error).startswith("unable") else ""
        raise UsageError(f"{error}{more}") from None
    show = Show(context, "csv" if output == FOCUS else output, no_headers, False, "15s")
    window = _window(context, since, until, step, sampled)
    client = open_client(context)

    def ask(known: list[VCluster]) -> Question:
        return _question(by, share, prices, owner_label, vcluster, known)

    if window is None:
        found = _sampled(context, client, _seconds(sampled), targets, ask)
    else:
        found = _billed(context, client, window, step, targets, ask)
    return _print(context, show, found, output)


def _print(context: click.Context, show: Show, found: Bill, output: str) -> int:
    """The bill, and what it rests on: below a table, in a document, or on stderr beside rows for other programs."""
    from kubectl_vmetrics.output import safe
    from kubectl_vmetrics.views import bill as view
    from kubectl_vmetrics.views import bill_csv, bill_focus

    own = {"csv": bill_csv.view, FOCUS: bill_focus.view}
    empty = f"No usage {f'of virtual cluster {found.vcluster} ' if found.vcluster else ''}found from "
    empty += f"{view.period(found)}: is this the right Prometheus, and does it scrape kubelets?"
    shown = own[output](found) if output in own else view.view(found, wide=output != "")
    code = show.run(lambda: Outcome(shown, empty))
    lines = view.said(found)
    if output in formats.TABLES and shown.rows:
        context.obj.stdout.write("\n" + safe.lines("\n".join(lines)) + "\n")
    elif not show.document:
        for line in lines:
            context.obj.say(line)
    return code


def _window(context: click.Context, since: str, until: str | None, step: str, sampled: str) -> Window | None:
    """The time of the bill; None for --for."""
    from kubectl_vmetrics.allocation import gather
    from kubectl_vmetrics.history import window as windows

    if sampled:
        timed = context.get_parameter_source("since") is not click.core.ParameterSource.DEFAULT
        if timed or until is not None or step or given(context):
            raise UsageError("--for samples the cluster now: --since, --until, --step and --prometheus do not apply")
        return None
    try:
        window = windows.parse(since, until, now=time.time())
        if step and window.seconds / windows.step(window, step) > gather.MOST:
            raise ValueError(f"{step!r} makes more than {gather.MOST} steps: use a longer step or a shorter window")
    except ValueError as error:
        raise UsageError(f"--since, --until, --step: {error}") from None
    return window


def _seconds(text: str) -> float:
    from kubectl_vmetrics.history.window import duration

    try:
        seconds = duration(text)
    except ValueError as error:
        raise UsageError(f"--for: {error}") from None
    if not LEAST <= seconds <= 86_400:
        raise UsageError(f"--for: {text} is not from 30s to 24h")
    return seconds


def _question(
    by: str, share: str, prices: Prices | None, label: str, vcluster: str | None, known: list[VCluster]
) -> Question:
    from kubectl_vmetrics.allocation.account import By
    from kubectl_vmetrics.allocation.bill import Share
    from kubectl_vmetrics.allocation.making import Question
    from kubectl_vmetrics.vcluster import discovery

    ref = discovery.select(known, vcluster) if vcluster else None
    return Question(By(by), Share(share), prices, label, ref)


def _billed(
    context: click.Context,
    client: Client,
    window: Window,
    step: str,
    targets: Targets,
    ask: Callable[[list[VCluster]], Question],
) -> Bill:
    from kubectl_vmetrics.allocation import gather
    from kubectl_vmetrics.history import names as names_
    from kubectl_vmetrics.history import window as windows

    server = open_prometheus(context, client)
    names = names_.read(server, window, client, targets=targets)
    question = ask(names.clusters)
    length = windows.step(window, step) if step else gather.step(window)
    progress = Progress(context.obj, "steps")
    found = gather.bill(server, window, length, names, question, client=client, progress=progress)
    for warning in sorted(server.warnings):
        context.obj.warn(warning)
    return found


def _sampled(
    context: click.Context,
    client: Client,
    seconds: float,
    targets: Targets,
    ask: Callable[[list[VCluster]], Question],
) -> Bill:
    from kubectl_vmetrics.allocation import sampled

    return sampled.bill(client, seconds, ask, targets=targets, progress=Progress(context.obj, "seconds"))
