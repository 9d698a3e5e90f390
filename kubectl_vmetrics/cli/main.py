"""The root command, and the handling of errors, Ctrl-C and closed pipes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from kubectl_vmetrics import __version__
from kubectl_vmetrics.output.terminal import Environment

from .command import PROGRAM, Group, usage_error

INTERRUPTED = 130
VERB = "__complete"
"""Asked by shells and kubectl, see `complete`; no command of the list."""
BROKEN_PIPE = 141
"""What a shell reports for a program that SIGPIPE ended, as it would kubectl."""


def _version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.obj.stdout.write(f"{PROGRAM} {__version__}\n")
        context.exit()


@click.command(
    "vmetrics",
    cls=Group,
    help="""Show what each tenant on a shared cluster uses, under the names the tenants themselves use.

Tenants are virtual clusters (vCluster), virtual machines (KubeVirt) and tenant control planes (Kamaji). Metrics come
from the host cluster; nothing is installed or changed there.""",
    lazy={
        "top": (
            "kubectl_vmetrics.cli.top:top",
            "Display resource usage of pods, nodes, virtual clusters, namespaces and volumes.",
        ),
        "vmi": ("kubectl_vmetrics.cli.vmi:vmi", "Display resource usage of virtual machines (KubeVirt)."),
        "history": (
            "kubectl_vmetrics.cli.history:history",
            "Display resource usage over time, from a Prometheus.",
        ),
        "components": ("kubectl_vmetrics.cli.components:components", "Display the health of KubeVirt's components."),
        "controlplanes": (
            "kubectl_vmetrics.cli.controlplanes:controlplanes",
            "Display the health of tenant control planes (Kamaji, vCluster).",
        ),
        "bill": ("kubectl_vmetrics.cli.bill:bill", "Print what each tenant used and is billed for (showback)."),
        "report": ("kubectl_vmetrics.cli.report:report", "Write a report about all tenants, or one, as an HTML page."),
        "rightsize": (
            "kubectl_vmetrics.cli.rightsize:rightsize",
            "Suggest requests and limits by what workloads used.",
        ),
        "targets": ("kubectl_vmetrics.cli.targets:targets", "List scrape targets, also as Prometheus configuration."),
        "doctor": ("kubectl_vmetrics.cli.doctor:doctor", "Find out why metrics are missing."),
        "explain": (
            "kubectl_vmetrics.cli.explain:explain",
            "Explain the metrics of one pod: whose it is, and what each source reports.",
        ),
        "raw": ("kubectl_vmetrics.cli.raw:raw", "Print one metrics endpoint of the host, with virtual names."),
        "proxy": (
            "kubectl_vmetrics.cli.proxy:proxy",
            "Serve metrics with virtual names to kubectl, Prometheus and others.",
        ),
        "manifests": (
            "kubectl_vmetrics.cli.manifests:manifests",
            "Print manifests: the proxy, monitoring, roles, dashboards.",
        ),
        "demo": ("kubectl_vmetrics.cli.demo:demo", "Run any command on a demo cluster; no real cluster needed."),
        "completion": (
            "kubectl_vmetrics.cli.completion:completion",
            "Print a shell completion script.",
        ),
        "help": ("kubectl_vmetrics.cli.help:help_", "Help about any command or topic: names, security, scale, …"),
        "options": ("kubectl_vmetrics.cli.options:options", "Print the list of flags inherited by all commands."),
    },
    aliases={
        "vm": "vmi",
        "vmis": "vmi",
        **dict.fromkeys(("controlplane", "cp", "tcp"), "controlplanes"),
    },
    examples=[
        ("All pods on the host, each with its virtual cluster and its name there", "top pods -A"),
        ("The pods of one virtual cluster, as kubectl top shows them inside it", "top pods --vcluster shop"),
        ("Resource usage of each virtual cluster", "top vclusters"),
        ("Any of these on the demo cluster", "demo top pods -A"),
    ],
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
def root() -> None:
    """See the help text above."""


def run(args: Sequence[str] | None = None, environment: Environment | None = None) -> int:
    """Run one command line.

    Args:
        args: without the program's name; the process's own by default.
        environment: streams and variables; the process's own by default.

    Returns:
        The exit code: 0, 1 for every error, 130 for Ctrl-C, 141 for a closed pipe.
    """
    environment = environment or Environment.of_process()
    try:
        words = list(sys.argv[1:] if args is None else args)
        if words[:1] == [VERB]:
            from . import complete

            return complete.run(words[1:], environment, root)
        return _guarded(args, environment)
    except BrokenPipeError:
        _give_up_stdout(environment)
        return BROKEN_PIPE
    except KeyboardInterrupt:
        environment.stderr.write("\n" if environment.stderr.isatty() else "")
        return INTERRUPTED


def _guarded(args: Sequence[str] | None, environment: Environment) -> int:
    # Not root.main(): click would print a newline at Ctrl-C, and end the process itself at a closed pipe.
    try:
        with root.make_context(PROGRAM, list(sys.argv[1:] if args is None else args), obj=environment) as context:
            result = root.invoke(context)
        environment.stdout.flush()
    except click.UsageError as error:
        environment.say(usage_error(error))
        return 1
    except click.ClickException as error:
        environment.say(f"error: {error.format_message()}")
        return 1
    except click.exceptions.Exit as error:
        return error.exit_code
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except Exception as error:
        return _failed(error, environment)
    return result if isinstance(result, int) else 0


def _failed(error: Exception, environment: Environment) -> int:
    # Imported here: the way of a command that works does not need it, and --version not even the package below.
    from kubectl_vmetrics.kube.errors import VmetricsError

    if isinstance(error, RuntimeError) and "start new thread" in str(error):  # where a library starts it
        from kubectl_vmetrics.kube.gather import NoThread

        error = NoThread()
    if isinstance(error, VmetricsError):
        environment.say(error.line)
        if error.hint and environment.advises:
            environment.say(f"hint: {error.hint}")
        if environment.advises:
            from kubectl_vmetrics.doctor.see import identifier

            if found := identifier(error):
                environment.say(f"see: {PROGRAM} doctor {found}")
        return 1
    if isinstance(error, OSError):
        _give_up_stdout(environment)  # a full disk is one: what could not be written is not tried again at the end
        environment.say(
            f"error: {error.strerror or type(error).__name__}{f': {error.filename}' if error.filename else ''}"
        )
        return 1
    if environment.variables.get("VMETRICS_TRACEBACK"):
        raise error
    environment.say(
        f"error: internal error ({type(error).__name__}); this is a bug: "
        "set VMETRICS_TRACEBACK=1 to print a traceback, and report it"
    )
    return 1


def _give_up_stdout(environment: Environment) -> None:
    """Drop what is left for stdout, so that not even the interpreter's final flush reports the closed pipe."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, environment.stdout.fileno())
    except (OSError, ValueError, AttributeError):
        pass
