"""`help`: help about commands and topics."""

from __future__ import annotations

from pathlib import Path

import click

from kubectl_vmetrics.kube.errors import UsageError
from kubectl_vmetrics.output.terminal import Environment

from .command import PROGRAM, Command

TOPICS = {
    "usage": "Who uses what: from virtual clusters down to pods.",
    "troubleshooting": "Why metrics are missing or wrong, by symptom.",
    "prometheus": "Scrape the same metrics with Prometheus.",
    "names": "How host names are mapped to virtual names.",
    "security": "What is read, what is never printed, which rights to grant.",
    "scale": "What commands cost on large clusters.",
}
"""Documentation pages, each with a one-line summary."""


@click.command(
    "help",
    cls=Command,
    arguments="[COMMAND | TOPIC]",
    help="Print help about a command or a topic:\n\n"
    + "\n".join(f"  {name:<16} {text}" for name, text in TOPICS.items()),
    examples=[
        ("Help about a command", "help top pods"),
        ("How names are found", "help names"),
    ],
)
@click.argument("words", nargs=-1)
@click.pass_context
def help_(context: click.Context, /, words: tuple[str, ...]) -> None:
    """Print it."""
    root = context.find_root().command
    environment: Environment = context.obj
    if len(words) == 1 and words[0] in TOPICS:
        page = Path(__file__).parent / "topics" / f"{words[0]}.txt"
        environment.stdout.write(page.read_text(encoding="utf-8"))
        return
    command = root
    inner = click.Context(root, info_name=PROGRAM, obj=environment)
    for word in words:
        found = command.get_command(inner, word) if isinstance(command, click.Group) else None
        if found is None:
            asked = " ".join(words)
            raise UsageError(f"unknown command or topic \"{asked}\"\nSee '{PROGRAM} help' for a list.")
        inner = click.Context(found, inner, info_name=found.name, obj=environment)
        command = found
    environment.stdout.write(inner.get_help() + "\n")
    if not words:
        environment.stdout.write("\nTopics, for help TOPIC:\n")
        environment.stdout.write("".join(f"  {name:<16} {text}\n" for name, text in TOPICS.items()))
