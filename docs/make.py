"""Make the pages that are made from the code, by `python docs/make.py`.

docs/commands.md holds the help of every command, docs/doctor.md ends with a table of its checks.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import click

from kubectl_vmetrics.cli.command import Group
from kubectl_vmetrics.cli.main import root, run
from kubectl_vmetrics.doctor import catalogue
from kubectl_vmetrics.output.terminal import Environment

FOLDER = Path(__file__).parent
HEAD = """# Commands

What `kubectl vmetrics COMMAND --help` prints, for all commands. Made by `python docs/make.py`.
"""


def commands(group: click.Command = root, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all commands, in the order of the help."""
    if path:
        yield path
    if isinstance(group, Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            found = group.get_command(context, name)
            if found:
                yield from commands(found, (*path, name))


def help_of(path: tuple[str, ...]) -> str:
    """The help of a command."""
    out = io.StringIO()
    run([*path, "--help"], Environment(out, io.StringIO(), {}))
    return "\n".join(line.rstrip() for line in out.getvalue().strip().splitlines())


def command_page() -> str:
    """docs/commands.md."""
    parts = [HEAD]
    for path in commands():
        parts.append(f"\n{'#' * (len(path) + 1)} {' '.join(path)}\n\n```text\n{help_of(path)}\n```\n")
    return "".join(parts)


def doctor_page() -> str:
    """docs/doctor.md, with its table made anew."""
    text = (FOLDER / "doctor.md").read_text(encoding="utf-8")
    return text[: text.index("| identifier |")] + catalogue.table()


PAGES = {"commands.md": command_page, "doctor.md": doctor_page}


def main() -> None:
    """Write all pages."""
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
