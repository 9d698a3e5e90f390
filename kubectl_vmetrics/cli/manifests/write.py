"""Options that `manifests` commands share, and printing objects as YAML or JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from kubectl_vmetrics.kube.errors import UsageError
from kubectl_vmetrics.manifests import bundle
from kubectl_vmetrics.manifests.bundle import Bundle
from kubectl_vmetrics.output.terminal import Environment

if TYPE_CHECKING:
    from kubectl_vmetrics.metrics.findings import Finding

# k8s.io/apimachinery/pkg/util/validation: a qualified name, and a label's value.
_NAME = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY = re.compile(rf"([a-z0-9]([-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_NAME}")
_VALUE = re.compile(rf"({_NAME})?")


def output_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add -o."""
    return click.option("-o", "--output", default="yaml", show_default=True, help="Output format: yaml or json.")(
        command
    )


def check(output: str) -> None:
    """Raises UsageError."""
    if output not in ("yaml", "json"):
        raise UsageError(f"-o {output}: manifests are printed as yaml or json")


def check_name(option: str, text: str) -> str:
    """Return a valid name. Raises UsageError for any other text."""
    if not bundle.is_name(text):
        raise UsageError(
            f"{option}: {text!r} is not a valid name: use lower case letters, digits and '-', at most 63 characters"
        )
    return text


def label_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --label."""
    return click.option(
        "--label",
        "labels",
        multiple=True,
        metavar="KEY=VALUE",
        help="Label for the ServiceMonitor, by which Prometheus selects it; can be repeated.",
    )(command)


def check_labels(given: Sequence[str]) -> dict[str, str]:
    """Labels as KEY=VALUE. Raises UsageError."""
    found = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not _KEY.fullmatch(key) or not _VALUE.fullmatch(value):
            raise UsageError(f"--label: {text!r} is not a label KEY=VALUE")
        found[key] = value
    return found


def show_findings(context: click.Context, output: str, found: Sequence[Finding]) -> int:
    """Print the findings of checks; returns 1 if one failed."""
    from kubectl_vmetrics.cli.show import Outcome, Show
    from kubectl_vmetrics.metrics.findings import FAIL
    from kubectl_vmetrics.output import report
    from kubectl_vmetrics.views import findings as view

    failed = any(item.result == FAIL for item in found)
    if context.get_parameter_source("output") is click.core.ParameterSource.DEFAULT:
        # Where nothing was said, manifests are YAML, and findings are for people.
        environment: Environment = context.obj
        lines = ((item.result, item.check, item.found, item.remedy) for item in found)
        environment.stdout.write(report.render(lines, coloured=environment.colours))
        return 1 if failed else 0
    show = Show(context, output, no_headers=False, watch=False, interval="15s")
    return show.run(lambda: Outcome(view.view(found), failed=failed))


def write(environment: Environment, made: Bundle, output: str) -> int:
    """Print; returns the exit code."""
    environment.stdout.write(bundle.to_yaml(made) if output == "yaml" else bundle.to_json(made))
    return 0
