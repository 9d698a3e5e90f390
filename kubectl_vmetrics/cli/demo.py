"""`demo`: the demo cluster."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Sequence

import click

from kubectl_vmetrics.demo import apiserver, server
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.kube.errors import UsageError, VmetricsError
from kubectl_vmetrics.metrics.findings import counted
from kubectl_vmetrics.output.terminal import Environment

from .command import PROGRAM, Command

METRICS_APIS = {"v1beta1": ("v1beta1",), "v1": ("v1",), "both": ("v1", "v1beta1")}


class DemoCommand(Command):
    """A command whose first argument that is not an option starts the command to run."""

    allow_interspersed_args = False

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Leave the flags of the command to run alone."""
        ctx.allow_interspersed_args = False
        return super().parse_args(ctx, args)


_OF_HISTORY = ("history", "rightsize", "bill", "report")


def asks_history(command: Sequence[str]) -> bool:
    """Whether a command cannot do without a Prometheus that has a history."""
    words = " ".join(command).replace("=", " ").split()
    of_prometheus = any(pair == ("--source", "prometheus") for pair in itertools.pairwise(words))
    asked = words[:1] and (words[0] in _OF_HISTORY or of_prometheus or "--at" in words)
    return bool(asked) and not {"-h", "--help"} & set(words)


@click.command(
    "demo",
    cls=DemoCommand,
    arguments="[COMMAND …]",
    help="""Start a demo cluster and run a command on it, or serve it until Ctrl-C.

It contains nodes, host workloads, virtual machines, tenant control planes and virtual clusters, including hashed names
and two virtual clusters with the same name. Its numbers change over time; the same seed gives the same numbers. Access
is controlled by roles: --as viewer can read the whole cluster, --as alice one namespace, and --as nobody nothing. It
listens on 127.0.0.1 only, needs no network and changes nothing.""",
    examples=[
        ("One command", "demo top pods -A"),
        ("The view from inside one of its virtual clusters", "demo top pods --vcluster shop"),
        ("Its virtual machines", "demo vmi -A"),
        ("Its GPUs", "demo top gpus"),
        ("As a user who can read one namespace", "demo top pods -n team-a --as alice"),
        ("Serve it for kubectl and other tools", "demo --port 8001"),
        ("A host that serves the Metrics API only as v1", "demo --metrics-api v1 top pods -A"),
        ("Break something on purpose", "demo --break log-ip-sans doctor"),
        ("A large cluster", "demo --nodes 500 --pods 100000 --vclusters 300"),
    ],
)
@click.option("--nodes", default=3, show_default=True, help="Number of nodes.")
@click.option("--pods", default=40, show_default=True, help="Number of pods, in addition to system pods.")
@click.option("--vclusters", default=3, show_default=True, help="Number of virtual clusters.")
@click.option("--vms", default=5, show_default=True, help="Number of virtual machines.")
@click.option("--tenants", default=2, show_default=True, help="Number of tenant control planes (Kamaji).")
@click.option("--gpu-nodes", default=2, show_default=True, help="Number of nodes with GPUs, in addition to --nodes.")
@click.option(
    "--private",
    default=1,
    show_default=True,
    help="Number of virtual clusters with private nodes, in addition to --vclusters.",
)
@click.option(
    "--metrics-api",
    default="v1beta1",
    show_default=True,
    help="Versions of metrics.k8s.io to serve: v1beta1, v1 or both.",
)
@click.option("--break", "broken", default="", help="What to break; --break list prints the choices.")
@click.option("--seed", default=0, show_default=True, help="Seed for its contents and numbers.")
@click.option("--port", default=0, help="Port to listen on (default: any free port).")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def demo(
    context: click.Context,
    nodes: int,
    pods: int,
    vclusters: int,
    vms: int,
    tenants: int,
    gpu_nodes: int,
    private: int,
    metrics_api: str,
    broken: str,
    seed: int,
    port: int,
    command: tuple[str, ...],
) -> int:
    """Build, serve, and run the command or wait."""
    environment: Environment = context.obj
    if command[:1] == ("demo",):
        raise UsageError("demo cannot run inside demo")
    if not 0 <= port < 65536:
        raise UsageError(f"--port: {port} is not a port: use 0 to 65535")
    counts = {
        "--pods": pods,
        "--vclusters": vclusters,
        "--vms": vms,
        "--tenants": tenants,
        "--gpu-nodes": gpu_nodes,
        "--private": private,
    }
    for option, least, count in (("--nodes", 1, nodes), *((name, 0, value) for name, value in counts.items())):
        if count < least:
            raise UsageError(f"{option} must be {least} or more")
    if metrics_api not in METRICS_APIS:
        raise UsageError(f"--metrics-api accepts only {', '.join(METRICS_APIS)}")
    try:
        cluster = build(
            Shape(nodes, pods, vclusters, seed, vms, tenants, METRICS_APIS[metrics_api], gpu_nodes, private)
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    application = apiserver.Apiserver(cluster)
    if broken:
        from kubectl_vmetrics.demo.breakage import BREAKS

        if broken == "list":
            environment.stdout.write("".join(f"{name:<28}{item.text}\n" for name, item in BREAKS.items()))
            return 0
        if broken not in BREAKS:
            raise UsageError(f'--break: unknown name "{broken}"; --break list prints the choices')
        application.change = BREAKS[broken].change
    with server.serving(application, port) as url, server.kubeconfig_file(url) as path:
        if command:
            from .main import run

            # Now, so that no query has to wait for it.
            if asks_history(command):
                application.world.past()
            elif command[0] == "explain":  # which can do without
                with contextlib.suppress(VmetricsError):
                    application.world.past()
            return run(["--kubeconfig", str(path), *command], environment)
        environment.stdout.write(
            f"The demo cluster listens at {url}: {counted(len(application.world.cluster.nodes), 'node')}, "
            f"{counted(len(application.world.pods), 'pod')}, "
            f"{counted(len(application.world.cluster.vclusters), 'virtual cluster')}. In another terminal:\n\n"
            f"  export KUBECONFIG={path}\n  {PROGRAM} top pods -A\n  kubectl top pods -A\n\nPress Ctrl-C to stop.\n"
        )
        environment.stdout.flush()
        threading.Event().wait()
    return 0
