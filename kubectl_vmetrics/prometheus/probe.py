"""What each of several servers has, and which of them to ask."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from kubectl_vmetrics.kube.errors import VmetricsError
from kubectl_vmetrics.kube.gather import gather

from .api import Prometheus, QueryFailed

MOST = 8
"""The maximum number of servers that are asked."""
QUERIES = {
    "targets": "count(up)",
    "nodes": 'count(count by (instance) (container_cpu_usage_seconds_total{pod!=""}))',
    "containers": 'count(count by (namespace, pod) (container_cpu_usage_seconds_total{pod!=""}))',
    "state": "count(count by (uid) (kube_pod_info))",
    "names": "count(vcluster_pod_info)",
    "recorded": 'count({__name__=~"vcluster:.+"})',
}
"""What is counted; small answers, without anything of a tenant."""


class Probe(NamedTuple):
    """A server, and what it has.

    Attributes:
        error: why it could not be asked; all else is empty then.
        version: "" if it is not reported.
        retention: as it is reported, "" if not.
        targets: of which it has `up`.
        nodes: kubelets with cAdvisor's metrics.
        containers: pods with cAdvisor's metrics.
        state: pods with metrics of kube-state-metrics.
        names: pods with vcluster_pod_info.
        recorded: series that `manifests rules` records.
        oldest: of the oldest sample, seconds since the epoch; None without any.
    """

    server: Prometheus
    error: VmetricsError | None = None
    version: str = ""
    retention: str = ""
    targets: int = 0
    nodes: int = 0
    containers: int = 0
    state: int = 0
    names: int = 0
    recorded: int = 0
    oldest: float | None = None

    @property
    def kind(self) -> str:
        """Prometheus, Thanos, Mimir or VictoriaMetrics, as its Service is labeled; "" for a URL."""
        return self.server.candidate.kind if self.server.candidate else ""


def probe(servers: Sequence[Prometheus], *, now: float) -> list[Probe]:
    """Ask servers side by side; the first MOST of them.

    Args:
        servers: in order of preference.
        now: seconds since the epoch.
    """
    asked = servers[:MOST]
    answers = gather([partial(_probe, item, now) for item in asked], limit=MOST)
    return [
        Probe(server, answer) if isinstance(answer, VmetricsError) else answer
        for server, answer in zip(asked, answers, strict=True)
    ]


def best(found: Sequence[Probe]) -> Probe | None:
    """The one to ask among those that answer; None if there is none.

    The more kubelets a server has metrics of, the better; then count pods, and pods of kube-state-metrics. Of equals,
    one with names of virtual clusters comes first, then one with the labels of a known chart, then the first.
    """
    alive = [item for item in found if item.error is None]

    def rank(item: Probe) -> tuple[int, ...]:
        return (-item.nodes, -item.containers, -item.state, not _named(item), _opted(item))

    return min(alive, key=rank, default=None)


def rivals(found: Sequence[Probe], chosen: Probe) -> list[Probe]:
    """Servers in other namespaces that are as good as the chosen one, so that no number decides which is right.

    They have metrics of as many kubelets and of about as many pods (within 10%), both or neither have names,
    and they are recognized in the same way.
    """
    place = chosen.server.candidate
    if place is None or not chosen.nodes:
        return []
    return [
        item
        for item in found
        if item.error is None
        and item.server.candidate
        and item.server.candidate.namespace != place.namespace
        and item.nodes == chosen.nodes
        and item.containers >= 0.9 * chosen.containers
        and (_named(item), _opted(item)) == (_named(chosen), _opted(chosen))
    ]


def _named(item: Probe) -> bool:
    return bool(item.names or item.recorded)


def _opted(item: Probe) -> bool:
    return bool(item.server.candidate and item.server.candidate.chosen)


def _probe(server: Prometheus, now: float) -> Probe:
    numbers: dict[str, int] = {"targets": _whole(server.number(QUERIES["targets"]))}
    rest = [key for key in QUERIES if key != "targets"]
    for key, answer in zip(rest, gather([partial(server.number, QUERIES[key]) for key in rest], limit=2), strict=True):
        if isinstance(answer, VmetricsError) and not isinstance(answer, QueryFailed):
            raise answer
        numbers[key] = 0 if isinstance(answer, VmetricsError) else _whole(answer)
    oldest = None
    with contextlib.suppress(QueryFailed):  # the rest is known all the same
        oldest = server.oldest(now=now)
    return Probe(server, None, server.build().version[:40], server.runtime().retention[:40], oldest=oldest, **numbers)


def _whole(number: float) -> int:
    """A count; 0 for what cannot be one."""
    return max(0, int(number)) if math.isfinite(number) else 0
