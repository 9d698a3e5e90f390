"""`report`."""

from __future__ import annotations

import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kubectl_vmetrics.kube.errors import UsageError
from kubectl_vmetrics.output.terminal import Environment

from .bill import SHARES
from .cluster import client as open_client
from .command import Command
from .engine import open_prometheus, prometheus_options
from .top.choose import Targets, not_empty, target_option

if TYPE_CHECKING:
    from kubectl_vmetrics.report.given import Given

STDOUT = "-"
MARK = b'<meta name="generator" content="kubectl-vmetrics '
"""What is at the beginning of every report."""
BEGINNING = 4096
"""Bytes in which MARK is looked for."""


@click.command(
    "report",
    cls=Command,
    help="""Write a report as one HTML page: what each tenant used, requested and is billed for, idle and starved
tenants, trends, control planes, virtual machines, volumes that fill up, and what is not covered.

The page is a single file that loads nothing: it can be mailed, archived and printed. All numbers and charts work
without JavaScript. Numbers come from a Prometheus; the health of control planes is of the moment.

With --vcluster it is the report of one tenant, for that tenant: it holds nothing of others, and no names of the
host.""",
    examples=[
        ("This month, all tenants", "report"),
        ("Last month", "report --since lastmonth -o october.html"),
        ("For one tenant", "report --since 7d --vcluster shop -o shop.html"),
        ("All tenants, without names of the host", "report --public-names"),
    ],
)
@click.option(
    "-o", "--output", "file", metavar="FILE", default="report.html", show_default=True, help="File; - for stdout."
)
@click.option("--force", is_flag=True, help="Replace FILE even if it is not a report.")
@click.option(
    "--since",
    default="month",
    show_default=True,
    help="Start: month, lastmonth, yesterday, a duration (7d, 36h), a time or date, or START,END.",
)
@click.option("--until", default=None, help="End, as --since (default: now).")
@click.option("--step", default="", help="Time over which numbers are averaged (default: 1h for a month).")
@click.option(
    "--vcluster", metavar="[HOSTNS/]NAME", callback=not_empty, help="Only this virtual cluster, and nothing of others."
)
@click.option("--public-names", is_flag=True, help="Only names that tenants know: no host namespaces, pods or nodes.")
@click.option("--no-controlplanes", is_flag=True, help="Do not scrape control planes.")
@click.option(
    "--prices", "prices_file", metavar="FILE", default=None, help="File with your prices; see bill --show-prices."
)
@click.option(
    "--share",
    default="none",
    show_default=True,
    help="Split the host's own pods among tenants: none, even, or by-usage.",
)
@click.option(
    "--owner-label",
    metavar="KEY",
    default="loft.sh/user",
    show_default=True,
    callback=not_empty,
    help="Label of host namespaces with the owner.",
)
@target_option
@prometheus_options
@click.pass_context
def report(
    context: click.Context,
    /,
    file: str,
    force: bool,
    since: str,
    until: str | None,
    step: str,
    vcluster: str | None,
    public_names: bool,
    no_controlplanes: bool,
    prices_file: str | None,
    share: str,
    owner_label: str,
    targets: Targets,
) -> int:
    """Check the options, gather, write."""
    from kubectl_vmetrics.history import window as windows
    from kubectl_vmetrics.history.queries import Metric
    from kubectl_vmetrics.report.numbers import period

    from . import pricing, reporting

    if share not in SHARES:
        raise UsageError(f"--share accepts only {', '.join(SHARES)}")
    path = None if file == STDOUT else writable(file, force=force)
    try:
        window = windows.parse(since, until, now=time.time())
        if step:
            windows.step(window, step)
    except ValueError as error:
        raise UsageError(f"--since, --until, --step: {error}") from None
    found = pricing.prices(prices_file)
    client = open_client(context)
    server = open_prometheus(context, client)
    asked = reporting.Asked(
        window, step, vcluster, public_names or bool(vcluster), not no_controlplanes, found, share, owner_label, targets
    )
    given = reporting.gather(client, server, asked, context.obj)
    for warning in sorted(server.warnings):
        context.obj.warn(warning)
    if not any(given.tally.covered(metric) for metric in (Metric.CPU, Metric.MEMORY)):
        when = period(*given.window)
        context.obj.warn(f"no usage found from {when}: is this the right Prometheus, and does it scrape kubelets?")
    for title, why in given.failures:
        context.obj.warn(f"{title} could not be read: {why}")
    write(context.obj, path, given)
    if path is not None:
        context.obj.say(f"{file} written")
    return 1 if given.failures else 0


def writable(file: str, *, force: bool) -> Path:
    """The file to write, links followed.

    Raises:
        UsageError: it is a folder, is in none, or is something else than a report.
    """
    if not file:  # an empty variable
        raise UsageError("-o: the name of the file is empty")
    path = Path(file)
    try:
        path = path.resolve()
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise UsageError(f"-o: {file} is a folder")
        if stat.S_ISREG(mode) and not force:
            with path.open("rb") as opened:
                beginning = opened.read(BEGINNING)
            if beginning and MARK not in beginning:
                raise UsageError(f"-o: {file} exists and is not a report; --force replaces it")
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise UsageError(f'the path "{path.parent}" does not exist') from None
    except (OSError, RuntimeError) as error:  # a link to itself is a RuntimeError before Python 3.13
        raise UsageError(f"-o: {file}: {getattr(error, 'strerror', None) or 'cannot be read'}") from None
    return path


def write(environment: Environment, path: Path | None, given: Given) -> None:
    """Write the page."""
    from kubectl_vmetrics.report import compose, html

    from . import files

    text = html.render(compose.compose(given))
    if path is None:
        environment.stdout.write(text)
        environment.stdout.flush()
        return
    if path.exists() and not path.is_file():  # a pipe, /dev/stdout
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise files.unwritable(path, error, "-o") from None
        return
    # A bill is nobody else's business, unless its owner has said otherwise.
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o600
    files.replace(path, text, "-o", mode)
