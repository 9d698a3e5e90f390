"""Help and README say what is there, and show what is printed."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from kubectl_vmetrics.cli.command import Command, Group
from kubectl_vmetrics.cli.help import TOPICS
from kubectl_vmetrics.cli.main import root
from kubectl_vmetrics.metrics import sampling
from tests.conftest import Cli, invoke

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


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
OF_HISTORY = r"(?m)^\$ kubectl vmetrics (history|rightsize|bill|report|explain)\b|^\$ .*(--source[ =]prometheus|--at )"
"""Commands that ask a Prometheus about the past."""
EMPTY = (
    "top gpus",
    "top gpus --vcluster shop",
    "top gpus -o wide",
    "top pods",
    "top volumes",
    "vmi",
    "vmi db-0 -n prod --disks",
)
"""Examples about the default namespace, in which the demo cluster has nothing; and one that needs time for a rate."""


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
def test_every_example_of_the_help_runs_on_the_demo_cluster(
    line: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """So `demo` can be put before any of them."""
    past = re.search(OF_HISTORY, f"$ kubectl vmetrics {line}")
    if past and shutil.which("prometheus") is None:
        pytest.skip("prometheus is not on the PATH (Debian: prometheus)")
    fixture = "on_private_demo" if "--private-nodes" in line else "on_live_demo" if past else "on_demo"
    on_demo: Cli = request.getfixturevalue(fixture)
    hurried = SimpleNamespace(time=time.time, monotonic=time.monotonic, sleep=lambda _: None)
    monkeypatch.setattr(sampling, "time", hurried)
    monkeypatch.chdir(tmp_path)  # some write a file
    result = on_demo(*[part for part in shlex.split(line) if part != "-w"])

    # What checks find may be an exit code of 1, too; and there is no krew here.
    found = bool(result.stdout) and re.search(r"--check|--fail-on|^doctor|^controlplanes", line)
    assert result.code == 0 or found or "krew/bin" in result.stderr, result.stderr
    assert "No resources found" not in result.stderr or line in EMPTY


def test_every_command_is_in_the_readme() -> None:
    for path, command in ALL:
        if path and isinstance(command, Command):
            assert f"`{' '.join(path)}" in README


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


# --------------------------------------------------------------------------------------------- docs/, and the README


def module(name: str) -> Any:
    """docs/NAME.py."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec
    assert spec.loader
    found = importlib.util.module_from_spec(spec)
    sys.modules[name] = found
    spec.loader.exec_module(found)
    return found


SHOWN, MAKE, PICTURES = module("shown"), module("make"), module("pictures")
PAGES: list[Path] = MAKE.pages()


@pytest.fixture(scope="module")
def standing() -> Iterator[Any]:
    with SHOWN.cluster() as cluster:
        yield cluster


@pytest.mark.parametrize("path", PAGES, ids=[path.stem for path in PAGES])
def test_every_example_prints_what_the_page_shows(path: Path, standing: Any) -> None:
    """Run `python docs/make.py` when this fails, and look at what has changed."""
    text = path.read_text(encoding="utf-8")
    if "$ curl " in text and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    if re.search(OF_HISTORY, text) and shutil.which("prometheus") is None:
        pytest.skip("prometheus is not on the PATH (Debian: prometheus)")

    assert MAKE.page(path, standing) == text


def test_what_pages_only_name_is_understood_at_least(standing: Any) -> None:
    """Indented lines: servers, large clusters, what writes into folders."""
    text = "".join(path.read_text(encoding="utf-8").replace("\\\n", "") for path in PAGES)
    lines = re.findall(r"(?m)^    (?:\$ )?kubectl vmetrics (.*)", text)

    assert len(lines) >= 3
    for line in lines:
        command: click.Command = root
        words = shlex.split(line.partition(" > ")[0])
        while isinstance(command, Group):
            found = command.get_command(click.Context(command), words.pop(0))
            assert found, line
            command = found
        command.make_context("kubectl vmetrics", words)


def test_an_example_that_prints_something_else_is_found(standing: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ kubectl vmetrics top nodes --no-headers\nworker-1   1m\n```\n")

    assert MAKE.page(page, standing) == (
        "```console\n$ kubectl vmetrics top nodes --no-headers\n"
        "gpu-1      4023m   6%    13614Mi   2%\ngpu-2      5579m   8%    19553Mi   3%\n"
        "worker-1   6463m   40%   31297Mi   47%\nworker-2   5110m   31%   16550Mi   25%\n"
        "worker-3   1252m   7%    3381Mi    5%\n```\n"
    )


@pytest.mark.parametrize("name", PICTURES.PICTURES)
def test_pictures_show_what_is_printed(name: str, standing: Any) -> None:
    """Run `python docs/pictures.py` when this fails."""
    picture = (ROOT / "docs" / "pictures" / f"{name}.svg").read_text(encoding="utf-8")
    with SHOWN.page(*standing) as page:
        assert PICTURES.told(picture) == PICTURES.plain(PICTURES.session(name, page))
    assert f"(docs/pictures/{name}.svg)" in README
    # Nothing is fetched, and nothing runs, where it is shown.
    assert set(re.findall(r"https?://[^\"')\s]+", picture)) <= {"http://www.w3.org/2000/svg"}
    assert "<script" not in picture


@pytest.mark.parametrize("path", list(MAKE.commands()), ids=" ".join)
def test_every_command_has_a_page_with_an_example_and_all_its_flags(path: tuple[str, ...]) -> None:
    text = (ROOT / "docs" / "commands" / f"{'-'.join(path)}.md").read_text(encoding="utf-8")

    assert MAKE.title(text) == " ".join(path)
    examples = [line for block in re.findall(r"(?ms)^```console\n(.*?)^```", text) for line in MAKE.lines(block)]
    assert any(f" {' '.join(path)}" in line for line in examples)
    command = next(found for known, found in ALL if known == path)
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            assert option.opts[-1] in text


def test_every_page_is_in_the_index_and_every_link_leads_somewhere() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for path in PAGES[1:]:
        if path.name != "README.md":
            assert f"({path.relative_to(ROOT / 'docs').as_posix()})" in index
    for path in (*PAGES, ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md"):
        for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / link).exists(), f"{path}: {link}"


@pytest.mark.parametrize("name", TOPICS)
def test_topics_are_the_pages(name: str) -> None:
    assert invoke("help", name) == (0, MAKE.topic(name), "")
    assert "](" not in MAKE.topic(name)
    assert "```" not in MAKE.topic(name)
    wide = [line for line in MAKE.topic(name).splitlines() if line[:1].strip() and len(line) > 80]
    assert wide == []


def test_help_of_commands() -> None:
    assert invoke("help", "top", "pods") == invoke("top", "pods", "--help")
    assert invoke("help", "controlplane") == invoke("controlplanes", "-h")
    root_help = invoke("help").stdout
    assert root_help.startswith(invoke("--help").stdout)
    assert all(name in root_help.partition("Topics")[2] for name in TOPICS)


@pytest.mark.parametrize("words", [("nothing",), ("top", "nothing"), ("names", "top"), ("vmi", "names")])
def test_help_of_nothing(words: tuple[str, ...]) -> None:
    message = f"error: unknown command or topic \"{' '.join(words)}\"\nSee 'kubectl vmetrics help' for a list.\n"

    assert invoke("help", *words) == (1, "", message)
