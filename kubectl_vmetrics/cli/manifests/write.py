"""-o of the manifests: the objects as text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from kubectl_vmetrics.kube.errors import UsageError
from kubectl_vmetrics.manifests import bundle
from kubectl_vmetrics.manifests.bundle import Bundle
from kubectl_vmetrics.output.terminal import Environment


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
    """The name, if it is one. Raises UsageError."""
    if not bundle.is_name(text):
        raise UsageError(f"{option}: {text!r} is no name: lower case letters, digits and '-', up to 63")
    return text


def write(environment: Environment, made: Bundle, output: str) -> int:
    """Print; returns the exit code."""
    environment.stdout.write(bundle.to_yaml(made) if output == "yaml" else bundle.to_json(made))
    return 0
