"""Help and README say what is there, and show what is printed."""

from __future__ import annotations

import importlib.util
import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from kubectl_vmetrics.cli.command import Command, Group
from kubectl_vmetrics.cli.main import root
from kubectl_vmetrics.metrics import sampling
from tests.conftest import Cli, invoke

README = (Path(__file__).parents[2] / "README.md").read_text()


def commands(
    group: click.Command = root, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, group
    if isinstance(group, Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            yield from commands(command, (*path, name))


ALL = list(commands())


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) or "root" for path, _ in ALL])
def test_every_command_has_help_with_examples(path: tuple[str, ...], command: click.Command) -> None:
    assert isinstance(command, (Command, Group))
    assert command.examples

    for flag in ("--help", "-h"):
        result = invoke(*path, flag)
        assert (result.code, result.stderr) == (0, "")
        assert "Examples:\n" in result.stdout
        assert f"Usage:\n  {' '.join(['kubectl vmetrics', *path])}" in result.stdout
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            assert option.help
            assert option.opts[-1] in result.stdout


@pytest.mark.parametrize(
    "line",
    [
        text
        for _, command in ALL
        if isinstance(command, (Command, Group))
        for _, text in command.examples
        if not text.startswith(("demo", "proxy"))
    ],
)
def test_every_example_of_the_help_is_understood(
    line: str, on_demo: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Names in them are made up, so they need not be found; but flags and arguments must be right."""
    hurried = SimpleNamespace(time=time.time, monotonic=time.monotonic, sleep=lambda _: None)
    monkeypatch.setattr(sampling, "time", hurried)
    monkeypatch.chdir(tmp_path)  # some write a file
    result = on_demo(*[part for part in shlex.split(line) if part != "-w"])

    assert "usage" not in result.stderr
    # What checks find may be an exit code of 1, too.
    found = bool(result.stdout) and re.search(r"--check|--fail-on|^doctor", line)
    assert result.code == 0 or found or re.search("not found|several virtual clusters|krew/bin", result.stderr)


def test_every_command_is_in_the_readme() -> None:
    for path, command in ALL:
        if path and isinstance(command, Command):
            assert f"`{' '.join(path)}" in README


def test_the_tables_of_the_readme_are_real(on_demo: Cli) -> None:
    theirs, ours = re.findall(r"```console\n\$ kubectl.*?\n(.*?)```", README, re.DOTALL)

    def trimmed(text: str) -> str:
        return "".join(f"{line.rstrip()}\n" for line in text.splitlines())

    assert trimmed(on_demo("top", "pods", "-n", "team-a", "--host-names").stdout) == theirs
    assert trimmed(on_demo("top", "pods", "-n", "team-a").stdout) == ours


def test_two_command_lines_set_it_up() -> None:
    lines = re.findall(r"```sh\n(.*?)\n```", README, re.DOTALL)

    assert len(lines) == 2
    assert all(line.startswith("python3 -m venv .venv && .venv/bin/pip install") for line in lines)


def test_options_lists_every_cluster_flag(on_demo: Cli) -> None:
    listed = on_demo("options").stdout

    for flag in (
        "--kubeconfig",
        "--context",
        "--cluster",
        "--user",
        "-n, --namespace",
        "-s, --server",
        "--token",
        "--certificate-authority",
    ):
        assert flag in listed
    for flag in (
        "--client-certificate",
        "--client-key",
        "--tls-server-name",
        "--insecure-skip-tls-verify",
        "--as ",
        "--as-uid",
        "--as-group",
    ):
        assert flag in listed
    for flag in ("--as-user-extra", "--request-timeout", "--disable-compression", "--cache-dir", "-v, --v"):
        assert flag in listed


@pytest.mark.parametrize("position", range(4))
def test_cluster_flags_may_stand_anywhere(position: int, on_demo: Cli) -> None:
    words = ["top", "pods", "-A"]
    flags = ["-n", "team-b", "--request-timeout=5s"]
    line = words[:position] + flags + words[position:]

    assert on_demo(*line).stdout == on_demo(*words).stdout
    line.remove("-A")
    assert on_demo(*line).stdout == on_demo("top", "pods", "-n", "team-b").stdout


def test_pages_are_made_of_the_code() -> None:
    """docs/make.py; run it when this fails."""
    spec = importlib.util.spec_from_file_location("make", Path(__file__).parents[2] / "docs" / "make.py")
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)

    for name, page in made.PAGES.items():
        assert (made.FOLDER / name).read_text() == page()
    text = made.command_page()
    for path, command in ALL:
        if path:
            assert f"{'#' * (len(path) + 1)} {' '.join(path)}\n" in text
        for option in command.params:
            if path and isinstance(option, click.Option) and not option.hidden:
                assert option.opts[-1] in text
