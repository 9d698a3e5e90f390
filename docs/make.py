"""Make what is made from the code, by `python docs/make.py`.

- In all pages and in the README: what each command line behind a `$` prints, on the demo cluster.
- In docs/commands: the help of each command; docs/checks.md: the table of doctor's checks.
- kubectl_vmetrics/cli/topics: the pages that `help TOPIC` prints, as plain text.

What people write stays: text around the commands, and everything above the help.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parent))

import shown

from kubectl_vmetrics.cli.command import Group
from kubectl_vmetrics.cli.help import TOPICS
from kubectl_vmetrics.cli.main import root, run
from kubectl_vmetrics.doctor import catalogue
from kubectl_vmetrics.output import table
from kubectl_vmetrics.output.terminal import Environment

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
PRINTED = ROOT / "kubectl_vmetrics" / "cli" / "topics"
_BLOCK = re.compile(r"(?ms)^```console\n(.*?)^```$")
_HELP = "\n## Help\n"
_ITEM = re.compile(r"(-|\d+\.) ")
WIDTH = 80
"""Columns of a terminal, for prose."""


def commands(group: click.Command = root, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all commands that do something, in the order of the help."""
    if not isinstance(group, Group):
        yield path
        return
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if found:
            yield from commands(found, (*path, name))


def pages() -> list[Path]:
    """All pages, the README first."""
    return [ROOT / "README.md", *sorted(FOLDER.rglob("*.md"))]


def help_of(path: tuple[str, ...]) -> str:
    """The help of a command."""
    out = io.StringIO()
    run([*path, "--help"], Environment(out, io.StringIO(), {}))
    return "\n".join(line.rstrip() for line in out.getvalue().strip().splitlines())


def page(path: Path, cluster: tuple[shown.Clock, str]) -> str:
    """A page, made anew."""
    text = path.read_text(encoding="utf-8")
    if path == FOLDER / "checks.md":
        text = text[: text.index("| identifier |")] + catalogue.table()
    if path.parent == FOLDER / "commands":
        written, _, _ = text.partition(_HELP)
        text = f"{written.rstrip()}\n{_HELP}\n```text\n{help_of(tuple(title(text).split()))}\n```\n"
    with contextlib.ExitStack() as stack:
        runner: list[shown.Page] = []

        def console(found: re.Match[str]) -> str:
            if not runner:
                runner.append(stack.enter_context(shown.page(*cluster)))
            return f"```console\n{printed(found[1], runner[0])}```"

        return _BLOCK.sub(console, text)


def title(text: str) -> str:
    """A page's first line, without the mark."""
    return text.partition("\n")[0].removeprefix("# ")


def printed(block: str, runner: shown.Page) -> str:
    """A block, with what its command lines print; what is above the first of them is left out."""
    done = ""
    for line in lines(block):
        found = line.replace("\\\n", "")
        out = "" if _elsewhere(found) else runner.run(found)
        done += f"$ {line}\n" + "".join(f"{row.rstrip()}\n" for row in out.splitlines())
    return done


def lines(block: str) -> list[str]:
    """The command lines of a block, those that go on in the next line in one piece."""
    return re.findall(r"(?m)^\$ ((?:.*\\\n)*.*)$", block)


def _elsewhere(line: str) -> bool:
    """Whether a line is for the reader's own cluster or machine: it is shown, without output."""
    return not line.startswith((shown.US, "kubectl top ", "curl ", "head "))


def topic(name: str) -> str:
    """A page as `help` prints it: Markdown without its marks, and prose no wider than a terminal."""
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    done: list[str] = []
    code = False
    rows: list[list[str]] = []
    prose: list[str] = []
    for line in [*text.splitlines(), ""]:
        is_prose = line and not code and not line.startswith(("|", "```", "#", "    "))
        if prose and (not is_prose or _ITEM.match(line)):
            done += _wrapped(prose)
            prose = []
        if is_prose:
            prose.append(_plain(line))
            continue
        if line.startswith("|"):
            cells = [_plain(cell.strip()) for cell in line.strip("|").split("|")]
            rows += [] if set(line) <= set("| -") else [cells]
            continue
        if rows:
            head, *body = rows
            made = table.render(body, [cell.upper() for cell in head])
            done += [f"  {row}".rstrip() for row in made.splitlines()]
            rows = []
        if line.startswith("```"):
            code = not code
        elif code:
            done.append(f"    {line}".rstrip())
        elif line.startswith("#"):
            done.append(line.lstrip("# ").upper())
        else:
            done.append(_plain(line))
    return "\n".join(done).rstrip("\n") + "\n"


def _wrapped(prose: list[str]) -> list[str]:
    """A paragraph, or an item of a list, whose further lines are indented as its first."""
    text = " ".join(line.strip() for line in prose)
    item = _ITEM.match(text)
    return textwrap.wrap(
        text,
        WIDTH,
        subsequent_indent=" " * len(item[0]) if item else "",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _plain(text: str) -> str:
    return re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", text).replace("**", "")


def main() -> None:
    """Write all pages."""
    with shown.cluster() as cluster:
        # The topics first: one page shows how they begin.
        for path in sorted(pages(), key=lambda path: path.stem not in TOPICS):
            path.write_text(page(path, cluster), encoding="utf-8")
            if path.stem in TOPICS:
                (PRINTED / f"{path.stem}.txt").write_text(topic(path.stem), encoding="utf-8")


if __name__ == "__main__":
    main()
