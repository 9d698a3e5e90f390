"""-o wide and documents: the lists that they need besides."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from kubectl_vmetrics.cli.show import Show
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import BadAnswer, VmetricsError

from .choose import Targets

if TYPE_CHECKING:
    from kubectl_vmetrics.kube import core
    from kubectl_vmetrics.vcluster.holdings import Facts, Held, Holding
    from kubectl_vmetrics.vcluster.survey import Survey


def held(show: Show, client: Client, namespace: str | None, *, pods: bool = False) -> Callable[[], Held] | None:
    """Reads what pods hold in a host namespace, or in all; None where nothing of it is printed.

    Args:
        show: what is printed.
        client: the host.
        namespace: None for all.
        pods: whether pods are needed in any case.
    """
    if not show.details:
        if not pods:
            return None
        from kubectl_vmetrics.vcluster import holdings

        return partial(holdings.read_pods, client, namespace)
    from kubectl_vmetrics.metrics.sources import Kubelets
    from kubectl_vmetrics.output.progress import Progress
    from kubectl_vmetrics.vcluster import holdings

    return partial(holdings.read, client, namespace, Kubelets(Progress(show.environment, "nodes")))


def held_on_nodes(show: Show, client: Client, node: str | None) -> tuple[dict[str, Holding] | None, list[str]]:
    """What the pods of one node, or of each, hold, and why it is not known; nothing where nothing of it is printed."""
    if not show.details:
        return None, []
    from kubectl_vmetrics.kube import core
    from kubectl_vmetrics.vcluster import groups

    try:
        listed = core.pods(client, None, fields=f"spec.nodeName={node}" if node else None)
    except VmetricsError as error:
        return None, [f"requests and limits are not available: {error.message}"]
    return groups.held_on(facts_of(listed)), []


def facts_of(pods: Iterable[core.Pod]) -> Iterable[Facts]:
    """What is known of pods that run."""
    from kubectl_vmetrics.vcluster import holdings

    return holdings.of_pods(pods).values()


def on_node(client: Client, seen: Survey, node: str) -> Survey:
    """Only the pods on a node. Raises NotFound if there is no such node, and what kept pods from being listed."""
    from kubectl_vmetrics.kube import core
    from kubectl_vmetrics.vcluster import groups

    if seen.details is None or seen.details.facts is None:
        core.pods(client, None, fields=f"spec.nodeName={node}")  # raises what was a warning so far
        raise BadAnswer("pods cannot be listed")
    details = groups.on_node(seen.details, node)
    kept = [pod for pod in seen.found.pods if pod.host in (details.facts or {})]
    if not kept:
        core.node(client, node)
    seen.found.pods = kept
    return seen._replace(details=details)


def with_gpus(client: Client, seen: Survey, targets: Targets) -> Survey:
    """With how busy GPUs are, where a pod requests any; what cannot be read is a warning."""
    if seen.details is None or not seen.details.gpus:
        return seen
    from .gpu import read

    found = read(client, targets)
    percent = {pod: item.percent for pod, item in found.assigned.items() if item.percent is not None}
    details = seen.details._replace(gpu_percent=percent)
    return seen._replace(details=details, warnings=(*seen.warnings, *found.warnings))
