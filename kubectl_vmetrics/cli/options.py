"""`options`: the flags inherited by all commands."""

from __future__ import annotations

import click

from kubectl_vmetrics.output.terminal import Environment

from . import engine
from .command import Command, write_options


@click.command(
    "options",
    cls=Command,
    help="Print the list of flags inherited by all commands.",
    examples=[("List them", "options")],
)
@click.pass_obj
def options(environment: Environment) -> None:
    """Print them."""
    write_options(environment.stdout.write)
    engine.write_options(environment.stdout.write)
