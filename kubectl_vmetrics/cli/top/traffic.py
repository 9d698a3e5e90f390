"""--network, --io and --node."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kubectl_vmetrics.cli.cluster import flags
from kubectl_vmetrics.cli.show import Show
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import UsageError

from .choose import not_empty

if TYPE_CHECKING:
    from kubectl_vmetrics.kube import core
    from kubectl_vmetrics.metrics.traffic import Sampled
    from kubectl_vmetrics.metrics.usage import HostPod
    from kubectl_vmetrics.vcluster.survey import Survey

_WHY = "most kubelets measure every 10 to 15 seconds"


def traffic_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --network and --io."""
    for option in (
        click.option(
            "--io",
            is_flag=True,
            help="Show what is read and written per second, and waiting for disks; reads the kubelets twice.",
        ),
        click.option(
            "--network",
            is_flag=True,
            help="Show bytes received and sent, errors and drops per second; reads the kubelets twice.",
        ),
    ):
        command = option(command)
    return command


def node_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --node."""
    return click.option("--node", default="", callback=not_empty, help="Only pods on this node.")(command)


def check_live(*, network: bool = False, io: bool = False) -> None:
    """Raises UsageError for what a Prometheus is not asked for."""
    for flag, given in (("--network", network), ("--io", io)):
        if given:
            raise UsageError(f"{flag} cannot be used with --source prometheus")


def show_for(context: click.Context, output: dict[str, Any], *, traffic: bool) -> Show:
    """How to show; with two samples, --interval is the time between them. Raises UsageError as Show."""
    if not traffic:
        return Show(context, **output)
    from kubectl_vmetrics.metrics.traffic import SHORTEST

    return Show(context, **output, shortest=(SHORTEST, _WHY))


class Meter:
    """Samples the kubelets of pods.

    Args:
        context: of the command.
        client: the host.
        show: its interval is the time between two samples.
    """

    def __init__(self, context: click.Context, client: Client, show: Show) -> None:
        from kubectl_vmetrics.metrics import traffic
        from kubectl_vmetrics.output.progress import Progress

        progress = Progress(show.environment, "seconds until the second sample")
        recall = recall_of(context, client)
        self._sampler = traffic.Sampler(client, apart=show.interval, recall=recall, progress=progress)

    def sample(self, pods: Iterable[core.Pod]) -> Sampled:
        """What is measured on the nodes of these pods. Raises what kept the nodes from answering, if all of them."""
        from kubectl_vmetrics.metrics.usage import HostPod

        listed = [pod for pod in pods if pod.spec.node]
        shared = {HostPod(pod.metadata.namespace, pod.metadata.name) for pod in listed if pod.spec.host_network}
        return self._on(sorted({pod.spec.node for pod in listed}), shared)

    def _on(self, nodes: list[str], shared: set[HostPod]) -> Sampled:
        sampled = self._sampler.sample(nodes, shared)
        if sampled.failures and not sampled.rates:
            raise sampled.failures[0].error
        return sampled

    def sample_all(self, seen: Survey) -> Sampled:
        """What is measured on the nodes of all pods that were found. Raises as `sample`."""
        facts = (seen.details.facts if seen.details else None) or {}
        shown = [facts[pod.host] for pod in seen.found.pods if pod.host in facts]
        shared = {pod for pod, item in facts.items() if item.host_network}
        return self._on(sorted({item.node for item in shown}), shared)

    @staticmethod
    def warnings(sampled: Sampled) -> list[str]:
        """Nodes that did not answer."""
        from kubectl_vmetrics.metrics.sources import unanswered

        missing = unanswered(sampled.failures)
        return [missing] if missing else []


def recall_of(context: click.Context, client: Client) -> Any:
    """The samples that earlier runs left in kubectl's cache folder; None without one."""
    from kubectl_vmetrics.metrics.recall import Recall
    from kubectl_vmetrics.metrics.traffic import Counters

    variables = context.obj.variables
    home = variables.get("HOME") or variables.get("USERPROFILE")
    folder = flags(context).cache_dir or variables.get("KUBECACHEDIR") or (f"{home}/.kube/cache" if home else None)
    return Recall(Path(folder), f"{client.connection.server} traffic", Counters) if folder else None
