"""`components`: the health of KubeVirt's components."""

from __future__ import annotations

from typing import Any

import click

from kubectl_vmetrics.kube.errors import UsageError

from .cluster import client as open_client
from .command import Command
from .show import Outcome, Show, sampling_options

SHORTEST = 1.0
WHY = "rates need samples at least 1s apart"
"""Minimum seconds between two samples for a meaningful rate, and the message for less."""


@click.command(
    "components",
    cls=Command,
    arguments="[COMPONENT]",
    help="""Display the health of KubeVirt's components, one row for each pod that serves metrics.

Rates are computed from two samples taken --interval apart. LOST counts requests to the apiserver that got no response
since the component started, followed by how many of them came after the first sample. If that number grows, the
component cannot reach the apiserver. KubeVirt's own alerts do not count these requests.

Problems are listed below the table.""",
    examples=[
        ("All components", "components"),
        ("Only the virt-handlers, with samples two seconds apart", "components virt-handler --interval 2s"),
        ("In a script: exit with code 1 if there is a problem", "components --fail-on-problems --no-headers"),
    ],
)
@click.argument("kinds", nargs=-1)
@click.option(
    "-A",
    "--all-namespaces",
    is_flag=True,
    expose_value=False,
    help="Has no effect: all of KubeVirt's pods are in one namespace.",
)
@click.option("--fail-on-problems", is_flag=True, help="Exit with code 1 if there is a problem.")
@sampling_options(SHORTEST)
@click.pass_context
def components(
    context: click.Context,
    /,
    kinds: tuple[str, ...],
    fail_on_problems: bool,
    **output: Any,
) -> int:
    """Read the options, take samples, print."""
    from kubectl_vmetrics.kubevirt import discovery, health, installation
    from kubectl_vmetrics.kubevirt.components import Component
    from kubectl_vmetrics.metrics.sampling import Sampler
    from kubectl_vmetrics.output.progress import Progress
    from kubectl_vmetrics.views import components as view

    show = Show(context, **output, shortest=(SHORTEST, WHY))
    waited = "seconds until the second sample"
    client = open_client(context)
    sampler: Sampler[Component] = Sampler(show.interval, Progress(context.obj, waited))

    def find() -> Outcome:
        installed = installation.find(client)
        listed = discovery.find(client, installed)
        known = sorted({item.kind for item in listed} | set(health.EXPECTED))
        for kind in kinds:
            if kind not in known:
                raise UsageError(f'unknown component "{kind}"; choose from {", ".join(known)}')
        listed = [item for item in listed if not kinds or item.kind in kinds]
        sampled = sampler.sample(lambda: health.take(client, listed))
        found = health.read_all(sampled)
        seconds = max((item.seconds for item in sampled.values() if not isinstance(item, Exception)), default=0.0)
        wrong = health.missing(found, kinds or health.EXPECTED) + health.problems(found, installed, seconds)
        empty = f"No pods of KubeVirt that serve metrics found in {installed.namespace} namespace."
        return Outcome(
            view.view(found, wide=show.wide),
            empty,
            tuple(wrong),
            failed=fail_on_problems and bool(wrong),
            partial=any(item.error or item.broken.lines for item in found),
        )

    return show.run(find)
