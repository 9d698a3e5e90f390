"""`doctor`: why metrics are missing."""

from __future__ import annotations

import contextlib
from typing import Any

import click

from kubectl_vmetrics.kube.errors import StatusError, UsageError, VmetricsError
from kubectl_vmetrics.output.terminal import Environment

from .cluster import client as open_client
from .cluster import flags
from .command import Command
from .show import Outcome, Show, color_option, coloured


@click.command(
    "doctor",
    cls=Command,
    arguments="[AREA… | VMnnn]",
    help="""Find out why metrics are missing: check the Metrics API, kubelets, virtual clusters, KubeVirt, Kamaji,
your rights and Prometheus; and whether tenants' tokens are in monitoring.

Each check has a stable ID and reports causes and remedies. Nothing in the cluster is changed. With only an ID, doctor
explains that check without a cluster; --only runs it, even if a check it depends on failed, and prints its evidence.

Areas are metrics-api, kubelets, vcluster, kubevirt, kamaji, rbac and prometheus. The exit code is 1 if a check failed,
or if you lack the rights to run it.""",
    examples=[
        ("Everything", "doctor"),
        ("Only the Metrics API and the kubelets", "doctor metrics-api kubelets"),
        ("Your rights in one namespace", "doctor rbac -n team-a"),
        ("What Prometheus scrapes, and whether tenants' tokens are in it", "doctor prometheus"),
        ("Some checks and those they depend on, with evidence", "doctor --only VM103,VM104"),
        ("Explain a check, offline", "doctor VM105"),
        ("In a script: warnings count as failures", "doctor --fail-on warning -o json"),
    ],
)
@click.argument("areas", nargs=-1)
@click.option(
    "--only", multiple=True, help="Run only these checks (VM103,VM104) and those they depend on, and print evidence."
)
@click.option("--fail-on", default="fail", help="Exit with code 1 on: fail, warning or never.", show_default=True)
@color_option
@click.option("-o", "--output", default="", help="Output format: table, json, yaml, csv, or a format of tabulate.")
@click.pass_context
def doctor(context: click.Context, /, areas: tuple[str, ...], only: tuple[str, ...], fail_on: str, output: str) -> int:
    """Read the options, run the checks, print."""
    from kubectl_vmetrics.doctor import catalogue, check, rights
    from kubectl_vmetrics.metrics.findings import FAIL, WARN
    from kubectl_vmetrics.output.progress import Progress
    from kubectl_vmetrics.views import doctor as view

    environment: Environment = context.obj
    if fail_on not in ("fail", "warning", "never"):
        raise UsageError("--fail-on accepts only fail, warning, never")
    explained = {item.id: item for item in catalogue.CHECKS}
    checks_are = f"checks are {', '.join(explained)}"
    names = [name.strip() for text in only for name in text.split(",")]
    for name in names:
        if name.upper() not in explained:
            raise UsageError(f'--only: unknown check "{name}"; {checks_are}')
    asked = [name.upper() for name in names]
    if asked and areas:
        raise UsageError("--only names checks to run and cannot be combined with areas")
    wanted = [explained[name.upper()] for name in areas if name.upper() in explained]
    if wanted and len(wanted) == len(areas):
        environment.stdout.write("\n".join(catalogue.explain(item) for item in wanted))
        return 0
    for area in areas:
        if area.upper() in explained:
            raise UsageError("specify areas to check or IDs to explain, not both")
        if area not in check.AREAS:
            if area.upper().startswith("VM"):
                raise UsageError(f'unknown check "{area}"; {checks_are}')
            raise UsageError(f'unknown area "{area}"; areas are {", ".join(check.AREAS)}')
    show = Show(context, "" if output == "table" else output, no_headers=False, watch=False, interval="15s")
    client = open_client(context)
    with contextlib.suppress(StatusError):
        client.get("/version")  # a cluster that does not answer at all is one error, and not one for each check
    session = check.Session(client, flags(context).namespace or "")
    checks = catalogue.needed(asked) if asked else catalogue.of(areas)
    results = check.run(checks, session, Progress(environment, "checks"), asked)
    granted: list[Any] = []
    if rights.AREA in areas or not (areas or asked):
        try:
            granted = rights.matrix(session)
        except VmetricsError:
            granted = []  # the check has said so
    bad = {"fail": (FAIL,), "warning": (FAIL, WARN), "never": ()}[fail_on]
    failed = any(item.outcome.result in bad for item in results)
    partial = fail_on != "never" and any(item.outcome.refused for item in results)
    if output in ("", "table"):
        environment.stdout.write(view.text(results, granted, asked, coloured=coloured(context)))
        return 1 if failed or partial else 0
    return show.run(lambda: Outcome(view.view(results, granted, asked), failed=failed, partial=partial))
