"""`controlplanes`: the health of tenant control planes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kubectl_vmetrics.kube.errors import NotFound, UsageError

from .cluster import client as open_client
from .command import Command
from .components import SHORTEST, WHY
from .show import Outcome, Show, sampling_options
from .top.source import recorded, recorded_option

if TYPE_CHECKING:
    from kubectl_vmetrics.controlplane.health import Verdict
    from kubectl_vmetrics.controlplane.plane import Plane


@click.command(
    "controlplanes",
    cls=Command,
    arguments="[NAME]",
    help="""Display the health of tenant control planes (Kamaji and vCluster), one row for each component of each
replica.

Rates and quantiles are computed from two samples taken --interval apart, as Prometheus does; long-running requests
(WATCH, exec, logs, …) are excluded. For an apiserver, REQ/S and ERR(%) are the requests it answered and the share that
failed with 5xx; for other components, the requests they sent. P99 is the latency of an apiserver's requests, or of a
scheduler's attempts.

Scraping a tenant control plane requires a client certificate, which is read from the tenant's own Secrets: one made for
monitoring if it exists, otherwise the least powerful one that is allowed to. It stays in memory and is used through a
port-forward.

With --source prometheus, nothing is scraped: rates and quantiles are of five minutes that a Prometheus recorded, from
targets with the labels that manifests kamaji and manifests vcluster set.""",
    examples=[
        ("All tenant control planes, with a verdict for each", "controlplanes -A --summary"),
        (
            "Each component of one control plane, with queues, pending pods and storage",
            "controlplanes acme -n tenants -o wide",
        ),
        ("Only Kamaji's, with samples five seconds apart", "controlplanes -A --kind kamaji --interval 5s"),
        ("In a script: exit with code 1 if one is Degraded", "controlplanes -A --summary --fail-on-problems"),
        (
            "In a script: also exit with code 1 if the health of one is Unknown",
            "controlplanes -A --fail-on-problems --fail-on-unknown",
        ),
        ("Two hours ago, from Prometheus", "controlplanes -A --at 2h"),
    ],
)
@click.argument("names", nargs=-1)
@click.option("-A", "--all-namespaces", is_flag=True, help="All namespaces, including Kamaji's own components.")
@click.option("--kind", default="", help="Only control planes of this kind: kamaji or vcluster.")
@click.option("--summary", is_flag=True, help="Show one row per control plane, with a verdict.")
@click.option("--fail-on-problems", is_flag=True, help="Exit with code 1 if a control plane is Degraded.")
@click.option("--fail-on-unknown", is_flag=True, help="Exit with code 1 if the health of a control plane is Unknown.")
@recorded_option("components")
@sampling_options(SHORTEST)
@click.pass_context
def controlplanes(
    context: click.Context,
    /,
    names: tuple[str, ...],
    all_namespaces: bool,
    kind: str,
    summary: bool,
    fail_on_problems: bool,
    fail_on_unknown: bool,
    **output: Any,
) -> int:
    """Read the options, take samples, print."""
    from kubectl_vmetrics.controlplane import figures, health
    from kubectl_vmetrics.controlplane.plane import KINDS
    from kubectl_vmetrics.controlplane.scrape import Instance, Scraper
    from kubectl_vmetrics.metrics.sampling import Sampler
    from kubectl_vmetrics.output.progress import Progress
    from kubectl_vmetrics.views import controlplanes as view

    from . import planes as finder

    if kind and kind not in KINDS:
        raise UsageError(f"--kind accepts only {', '.join(KINDS)}")
    show = Show(context, **output, shortest=(SHORTEST, WHY))
    past = None
    if recorded(context):
        from .recorded_planes import Past

        past = Past(context)
    client = past.client if past else open_client(context)
    scraper = Scraper(client, figures.wanted)
    waited = "seconds until the second sample"
    sampler: Sampler[Instance] = Sampler(show.interval, Progress(context.obj, waited))
    namespace = None if all_namespaces else client.namespace

    def live() -> tuple[list[Plane], list[str]]:
        return finder.find(client, namespace, [kind] if kind else KINDS)

    def judged() -> tuple[list[Verdict], list[str], bool]:
        if past:
            listed, warnings = past.verdicts(live, namespace, wide=show.wide)
            kept = [item for item in listed if not kind or item.plane.kind == kind]
            _check(names, [item.plane for item in kept], namespace)
            return [item for item in kept if not names or item.plane.name in names], warnings, False
        planes, warnings = live()
        partial = bool(warnings)
        _check(names, planes, namespace)
        planes = [plane for plane in planes if not names or plane.name in names]
        sampled = sampler.sample(lambda: scraper.take(planes)) if planes else {}
        found = [
            health.judge(plane, components, scraper.used.get(plane.key))
            for plane, components in zip(planes, health.read(planes, sampled), strict=True)
        ]
        return found, warnings, partial

    def find() -> Outcome:
        found, warnings, partial = judged()
        for verdict in found:
            who = f"{verdict.plane.kind} {verdict.plane.path}"
            # The summary has the reasons in its rows.
            warnings += [f"{who}: {reason}" for reason in verdict.because if not summary]
            warnings += [f"{who}: {text}" for text in (*verdict.details, *verdict.notes)]
        where = f" in {namespace} namespace." if namespace else ""
        shown = view.summary(found) if summary else view.view(found, wide=show.wide)
        words = {verdict.word for verdict in found}
        failed = (fail_on_problems and health.DEGRADED in words) or (fail_on_unknown and health.UNKNOWN in words)
        # With one of these flags the exit code is about verdicts alone.
        asked = fail_on_problems or fail_on_unknown
        partial = partial or (not asked and any(not item.up for each in found for item in each.components))
        return Outcome(shown, f"No control planes found{where}", tuple(warnings), failed=failed, partial=partial)

    return show.run(find)


def _check(names: tuple[str, ...], planes: list[Plane], namespace: str | None) -> None:
    """Raises NotFound if one of the names is not that of a control plane."""
    for name in names:
        if name not in [plane.name for plane in planes]:
            where = f" in {namespace} namespace; -A searches all namespaces" if namespace else ""
            raise NotFound(f'control plane "{name}" not found{where}', code=404, reason="NotFound")
