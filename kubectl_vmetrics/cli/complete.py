"""Completion of command lines, for shells and for kubectl.

The protocol is Cobra's, as kubectl uses it for plugins (k8s.io/kubectl pkg/cmd/plugin/plugin_completion.go). The
input is the words so far, the last one being the word under the cursor. The output is one candidate per line,
optionally with a tab and a description, and a last line with a directive for the shell. If anything fails, there are
no candidates and no error message.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence

import click

from kubectl_vmetrics.output.terminal import Environment

from . import values
from .lookup import Candidates, Lookup

NO_FILES, FILES = 4, 0


def run(words: Sequence[str], environment: Environment, root: click.Command) -> int:
    """Print the candidates for the last word of a command line below `root`; returns 0."""
    found: Candidates = []
    files = False
    with contextlib.suppress(Exception):
        # PowerShell before 7.3 passes no empty words to programs, so its script says "" instead.
        asked = [*words[:-1], words[-1] if words and words[-1] != '""' else ""]
        found, files = candidates(asked, environment, root)
    lines = [f"{value}\t{text}" if text else value for value, text in found if value.isprintable()]
    environment.stdout.write("".join(f"{line}\n" for line in [*lines, f":{FILES if files else NO_FILES}"]))
    return 0


def candidates(
    words: list[str], environment: Environment, root: click.Command, *, demo: bool = False
) -> tuple[Candidates, bool]:
    """Candidates for the last word, with descriptions, and whether to complete file names instead.

    Args:
        words: the command line.
        environment: for the path of the kubeconfig.
        root: of the command tree.
        demo: whether the command runs on the demo cluster, so that no other cluster is asked.
    """
    from .help import TOPICS

    *before, last = words
    command = root
    context = click.Context(root, info_name="vmetrics", obj=environment)
    path: list[str] = []
    pending: click.Option | None = None
    given: dict[str, str] = {}
    arguments: list[str] = []
    for word in before:
        if pending is not None:
            given[str(pending.name)] = word
            pending = None
        elif path == ["demo"] and arguments:
            arguments.append(word)  # of the command that the demo is to run
        elif word.startswith("-") and (found := _option(command, word)):
            option, value = found
            if option.is_flag or value is not None:
                given[str(option.name)] = value or ""
            else:
                pending = option
        elif isinstance(command, click.Group) and not word.startswith("-"):
            following = command.get_command(context, word)
            if following is None:
                return [], False
            command, path = following, [*path, following.name or word]
        elif not word.startswith("-"):
            arguments.append(word)
    ask = Lookup(environment, given, anywhere="all_namespaces" in given, closed=demo)
    if pending is not None:
        name = str(pending.name)
        return _starting(last, values.of_option(path, name, last, ask, given)), values.is_file(path, name)
    if path == ["demo"] and arguments:
        return candidates([*arguments, last], environment, root, demo=True)
    if last.startswith("-"):
        return _flag(command, path, last, ask, given)
    if isinstance(command, click.Group):
        lazy: dict[str, tuple[str, str]] = getattr(command, "lazy", {})
        return _starting(last, [(name, text) for name, (_, text) in lazy.items()]), False
    if path == ["demo"]:
        return candidates([last], environment, root, demo=True)
    if path == ["help"]:
        topics = TOPICS if not arguments else {}
        return _starting(last, topics.items()) + candidates([*arguments, last], environment, root)[0], False
    listed = values.of_arguments(path, ask, given, arguments)
    return [item for item in _starting(last, listed) if item[0] not in arguments], False


def _flag(
    command: click.Command, path: list[str], last: str, ask: Lookup, given: dict[str, str]
) -> tuple[Candidates, bool]:
    """Flags, or of --flag=… the values."""
    name, equals, value = last.partition("=")
    option = _options(command).get(name) if equals else None
    if option is None:
        return _starting(last, _flags(command)), False
    found = _starting(value, values.of_option(path, str(option.name), value, ask, given))
    return [(f"{name}={item}", text) for item, text in found], values.is_file(path, str(option.name))


def _option(command: click.Command, word: str) -> tuple[click.Option, str | None] | None:
    """The option of --name, --name=value, -n, -n=value or -nvalue, and its value if it has one."""
    options = _options(command)
    name, equals, value = word.partition("=")
    if option := options.get(name):
        return option, value if equals else None
    option = None if word.startswith("--") else options.get(word[:2])
    return (option, word[2:]) if option and not option.is_flag else None


def _options(command: click.Command) -> dict[str, click.Option]:
    return {name: param for param in command.params if isinstance(param, click.Option) for name in param.opts}


def _flags(command: click.Command) -> Candidates:
    options = [param for param in command.params if isinstance(param, click.Option)]
    return sorted((max(option.opts, key=len), (option.help or "").partition(". ")[0]) for option in options)


def _starting(text: str, found: Iterable[tuple[str, str]]) -> Candidates:
    return [item for item in found if item[0].startswith(text)]
