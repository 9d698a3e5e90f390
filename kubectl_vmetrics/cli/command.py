"""Commands that behave like kubectl's: cluster flags in any position, flag syntax, help and usage errors."""

from __future__ import annotations

import contextlib
import importlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

from kubectl_vmetrics.output.safe import lines

PROGRAM = "kubectl vmetrics"
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")

# k8s.io/cli-runtime/pkg/genericclioptions/config_flags.go: flag, whether it takes a value, help.
_CLUSTER_FLAGS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("--as",), "text", "Username to impersonate: a regular user or a service account."),
    (("--as-group",), "list", "Group to impersonate; can be repeated."),
    (("--as-uid",), "text", "UID to impersonate."),
    (("--as-user-extra",), "list", "Extra field KEY=VALUE of the user to impersonate; can be repeated."),
    (("--cache-dir",), "text", "Cache directory (default: $KUBECACHEDIR or ~/.kube/cache)."),
    (("--certificate-authority",), "text", "Path to a certificate file of the certificate authority."),
    (("--client-certificate",), "text", "Path to a client certificate file for TLS."),
    (("--client-key",), "text", "Path to a client key file for TLS."),
    (("--cluster",), "text", "The name of the kubeconfig cluster to use."),
    (("--context",), "text", "The name of the kubeconfig context to use."),
    (("--disable-compression",), "flag", "Do not request compressed responses from the server."),
    (
        ("--insecure-skip-tls-verify",),
        "flag",
        "Do not verify the server's certificate. This makes the connection insecure.",
    ),
    (("--kubeconfig",), "text", "Path to the kubeconfig file (default: $KUBECONFIG or ~/.kube/config)."),
    (("-n", "--namespace"), "text", "The namespace to use."),
    (
        ("--request-timeout",),
        "text",
        "Timeout for a single request, with a unit: 1s, 2m, 3h; 0 means no timeout (default 1m).",
    ),
    (("-s", "--server"), "text", "The address and port of the Kubernetes API server."),
    (("--tls-server-name",), "text", "Server name to use for server certificate validation."),
    (("--token",), "text", "Bearer token for authentication to the API server."),
    (("--user",), "text", "The name of the kubeconfig user to use."),
    (("-v", "--v"), "int", "Log level: 6 logs requests, 7 request headers, 8 response headers. Never credentials."),
)


def _remember(context: click.Context, option: click.Parameter, value: Any) -> None:
    """Collect the cluster flags of all levels of a command line; the last one wins, and lists are appended."""
    if value is None or value is False or value == ():
        return
    flags = context.meta.setdefault("kubectl_vmetrics.flags", {})
    name = str(option.name)
    flags[name] = (*flags.get(name, ()), *value) if isinstance(value, tuple) else value


def cluster_flags(context: click.Context) -> dict[str, Any]:
    """The cluster flags given so far, by parameter name."""
    found: dict[str, Any] = context.meta.get("kubectl_vmetrics.flags", {})
    return found


def _cluster_options() -> list[click.Option]:
    made = []
    for names, kind, text in _CLUSTER_FLAGS:
        parameter = {"--as": "as_user", "--v": "verbosity"}.get(names[-1])
        declarations = [*names, *([parameter] if parameter else [])]
        kinds: dict[str, dict[str, Any]] = {
            "text": {"type": str},
            "list": {"type": str, "multiple": True},
            "flag": {"is_flag": True},
            "int": {"type": int},
        }
        made.append(
            click.Option(declarations, help=text, expose_value=False, hidden=True, callback=_remember, **kinds[kind])
        )
    return made


def _help_option() -> click.Option:
    # click's own prints to the process' stdout, whatever the environment's is.
    def show(context: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            context.obj.stdout.write(context.get_help() + "\n")
            context.exit()

    return click.Option(
        ["-h", "--help"], is_flag=True, is_eager=True, expose_value=False, callback=show, help="Show this help."
    )


class Command(click.Command):
    """A command with kubectl's cluster flags, its own flags, and examples.

    Args:
        examples: pairs of a remark and a command line, without the program's name; one without a remark belongs to the
            one before it.
        arguments: the arguments as the usage line shows them.
    """

    def __init__(
        self, *args: Any, examples: Sequence[tuple[str, str]] = (), arguments: str = "", **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.add_help_option = False
        # A command that asks no cluster may use a flag's name for something else: `manifests rbac --user`.
        own = {name for param in self.params for name in param.opts}
        self.params += [_help_option(), *(option for option in _cluster_options() if not own & set(option.opts))]
        self.examples = examples
        self.arguments = arguments

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click, after translating what pflag allows and click does not."""
        with _located(ctx):
            return super().parse_args(ctx, _translate(self, args))

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write help in kubectl's order: description, examples, options, usage."""
        _write_help(self, ctx, formatter, self.examples, f"{self.arguments} [options]".strip())


class Group(click.Group):
    """A command with subcommands, which are imported when they are called.

    Args:
        lazy: from a command's name to where it is ("module:attribute") and a line of help.
        aliases: other names of those commands.
    """

    def __init__(
        self,
        *args: Any,
        lazy: dict[str, tuple[str, str]] | None = None,
        aliases: dict[str, str] | None = None,
        examples: Sequence[tuple[str, str]] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.add_help_option = False
        self.params += [_help_option(), *_cluster_options()]
        self.lazy = lazy or {}
        self.aliases = aliases or {}
        self.examples = examples

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As Command."""
        if not args and self.no_args_is_help and ctx.parent is None:
            args = ["--help"]  # `kubectl` alone is a question, `kubectl top` alone a mistake
        if not args and self.no_args_is_help:
            raise MissingCommand(ctx)
        with _located(ctx):
            return super().parse_args(ctx, _translate(self, args, first_only=True))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they were given."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        found = self.lazy.get(self.aliases.get(cmd_name, cmd_name))
        if found is None:
            return None
        module, _, attribute = found[0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As in click, with kubectl's error for an unknown command."""
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None:
            raise click.UsageError(f'unknown command "{name}" for "{ctx.command_path}"{_did_you_mean(name, self)}', ctx)
        return command.name, command, args[1:]

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The order of kubectl's help."""
        _write_help(self, ctx, formatter, self.examples, "COMMAND [options]")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Available Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.lazy.items()])


class MissingCommand(click.UsageError):
    """A group without a command: help on stderr and exit code 1, as in kubectl."""

    def __init__(self, context: click.Context) -> None:
        super().__init__(context.get_help(), context)


@contextlib.contextmanager
def _located(context: click.Context) -> Iterator[None]:
    """Add the command to click's errors that lack it."""
    try:
        yield
    except click.UsageError as error:
        error.ctx = error.ctx or context
        raise


def usage_error(error: click.UsageError) -> str:
    """A usage error in pflag's words (github.com/spf13/pflag/errors.go), with where to find help."""
    if isinstance(error, MissingCommand):
        return error.message
    path = error.ctx.command_path if error.ctx else PROGRAM
    message = lines(_message(error))
    return f"error: {message}\nSee '{path} --help' for usage."


def _message(error: click.UsageError) -> str:
    if isinstance(error, click.NoSuchOption):
        name = error.option_name
        return f"unknown flag: {name}" if name.startswith("--") else f"unknown shorthand flag: '{name[1:2]}' in {name}"
    if isinstance(error, click.BadOptionUsage):
        name = error.option_name
        return (
            f"flag needs an argument: {name}"
            if name.startswith("--")
            else f"flag needs an argument: '{name[1:]}' in {name}"
        )
    if isinstance(error, click.MissingParameter):
        return f"{error.param.human_readable_name if error.param else 'an argument'} is required"
    if isinstance(error, click.BadParameter) and isinstance(error.param, click.Option):
        flag = ", ".join(error.param.opts)
        if number := re.fullmatch(r"'(.*)' is not a valid integer\.", error.message, re.DOTALL):
            value = number[1]
            return f'invalid argument "{value}" for "{flag}" flag: strconv.ParseInt: parsing "{value}": invalid syntax'
        return f'invalid argument for "{flag}" flag: {error.message}'
    found = re.match(r"Got unexpected extra arguments? \((.*)\)", error.message)
    return f"unexpected arguments: {found[1]}" if found else error.message


def _did_you_mean(name: str, group: Group) -> str:
    import difflib

    close = difflib.get_close_matches(name, [*group.lazy, *group.aliases], n=1)
    return f"\n\nDid you mean this?\n  {close[0]}" if close else ""


def _translate(command: click.Command, args: list[str], *, first_only: bool = False) -> list[str]:
    """Translate pflag's -n=x and --flag=true|false, which click does not support."""
    options = {name: param for param in command.params if isinstance(param, click.Option) for name in param.opts}
    done: list[str] = []
    rest = iter(range(len(args)))
    for index in rest:
        arg = args[index]
        if arg == "--" or (first_only and not arg.startswith("-")):
            return done + args[index:]
        name, equals, value = arg.partition("=")
        option = options.get(name)
        if option is None or not arg.startswith("-"):
            done.append(arg)
        elif option.is_flag and equals:
            if value not in _TRUE and value not in _FALSE:
                flag = ", ".join(option.opts)
                why = f'strconv.ParseBool: parsing "{value}": invalid syntax'
                raise click.UsageError(f'invalid argument "{value}" for "{flag}" flag: {why}')
            done += [name] if value in _TRUE else []
        elif equals and not name.startswith("--"):
            done += [name, value]
        else:
            following = None if option.is_flag or equals else next(rest, None)
            # By its long name: for a short one, click first looks for what else it may have been, which takes 2 ms.
            long = max(option.opts, key=len) if name == arg and (option.is_flag or following is not None) else arg
            done += [long] if following is None else [long, args[following]]
    return done


def _write_help(
    command: click.Command,
    ctx: click.Context,
    formatter: click.HelpFormatter,
    examples: Sequence[tuple[str, str]],
    usage: str,
) -> None:
    formatter.width = 100
    formatter.write(f"{(command.help or '').strip()}\n")
    if examples:
        newline = "\n"
        formatter.write("\nExamples:\n")
        for index, (remark, text) in enumerate(examples):
            formatter.write(f"{newline if index else ''}  # {remark}\n" if remark else "")
            formatter.write(f"  {PROGRAM} {text}".rstrip() + "\n")
    if isinstance(command, Group):
        command.format_commands(ctx, formatter)
    options = [param for param in command.get_params(ctx) if isinstance(param, click.Option)]
    records = [record for option in options if (record := option.get_help_record(ctx))]
    if records:
        with formatter.section("Options"):
            formatter.write_dl(records)
    formatter.write(f"\nUsage:\n  {ctx.command_path} {usage}\n")
    formatter.write(f'\nUse "{PROGRAM} options" for a list of global command-line options (applies to all commands).\n')


def write_options(write: Callable[[str], Any]) -> None:
    """The list of cluster flags, for `options`."""
    formatter = click.HelpFormatter(width=100)
    formatter.write("The following options can be passed to any command, anywhere after the plugin's name:\n\n")
    metavars = {"text": " TEXT", "list": " TEXT", "int": " INTEGER", "flag": ""}
    formatter.write_dl([(", ".join(names) + metavars[kind], text) for names, kind, text in _CLUSTER_FLAGS])
    write(formatter.getvalue())
