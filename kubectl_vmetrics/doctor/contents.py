"""What is in each Prometheus of the host: from which jobs its series come, and by what they can be named.

Only counts are asked for, so that answers are small, and hold nothing of a tenant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from kubectl_vmetrics.kube.errors import Forbidden, VmetricsError
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.metrics.findings import counted
from kubectl_vmetrics.prometheus.answer import Sample
from kubectl_vmetrics.prometheus.api import ANSWER, LIMIT, Closed, Prometheus
from kubectl_vmetrics.prometheus.find import Candidate
from kubectl_vmetrics.prometheus.known import PROMETHEUS
from kubectl_vmetrics.prometheus.way import by_service
from kubectl_vmetrics.vcluster import monitoring

from .check import Absent, Session

MOST = 8
"""The maximum number of servers that are asked."""
NONE = (
    "no Prometheus was found by the labels of Services; if there is one, label its Service with "
    "vmetrics.io/prometheus=true"
)
_CPU = 'container_cpu_usage_seconds_total{pod!=""'
_APART = "cluster, prometheus, prometheus_replica"
"""Labels of hosts, and of Prometheus servers of a pair: what differs in these is not counted twice."""

TARGETS = "count(up)"
SOURCES = f"count by (job, metrics_path) (count by (job, metrics_path, instance, node) ({_CPU}}}))"
_OF_HOST = f'({_CPU},vcluster_name=""}} or {_CPU},vcluster_virtual_namespace!=""}})'
"""Without the views of tenants: the host's view adds both labels, a target of a tenant's view only the first."""
TWICE = (
    f"count(count by ({_APART}, namespace, pod) "
    f"(count by ({_APART}, namespace, pod, job, metrics_path, vcluster_name) {_OF_HOST}) > 1)"
)
"""Pods whose CPU comes from several jobs or endpoints, or from one with virtual names and another without."""
VIEWS = (
    f'count(count by (cluster, vcluster_host_namespace, vcluster_name) ({_CPU},vcluster_name!="",'
    'vcluster_virtual_namespace=""}))'
)
"""Virtual clusters whose own view is scraped."""
PLAIN = f'count({_CPU},vcluster_name=""}})'
STATE = f"count(count by ({_APART}, uid) (kube_pod_info))"
STATE_TWICE = f"count(count by ({_APART}, uid) (kube_pod_info) > 1)"
"""Pods that several instances of kube-state-metrics report; shards report different pods."""
NAMES: Mapping[str, str] = {
    "pod-info": "count(vcluster_pod_info)",
    "kube-state-metrics": (
        'count(kube_pod_labels{label_vcluster_loft_sh_managed_by!="",label_vcluster_loft_sh_namespace!=""} '
        'and on (namespace, pod, uid) kube_pod_annotations{annotation_vcluster_loft_sh_object_name!=""})'
    ),
    "proxy-labels": f'count({_CPU},vcluster_virtual_pod!=""}})',
    "pod-owner": 'count(kube_pod_owner{owner_kind="Service"})',
}
"""The values of `manifests rules --names`, and how many series each can use."""
OWNERS = "pod-owner"
"""Names virtual clusters, but not their pods."""


class Source(NamedTuple):
    """A job that container metrics come from.

    Attributes:
        kubelets: of how many of them.
    """

    job: str
    endpoint: str
    kubelets: int

    @property
    def title(self) -> str:
        """The job, and the endpoint if it is known."""
        return f"job {self.job}{f' ({self.endpoint})' if self.endpoint else ''}"


class Server(NamedTuple):
    """A Prometheus that answers.

    Attributes:
        version: "" if it is not reported.
        retention: as Prometheus writes it; "" if it is not reported.
        targets: how many of them it scrapes, or another server for it.
    """

    prometheus: Prometheus
    version: str
    retention: str
    targets: int

    @property
    def title(self) -> str:
        """Its Service, kind and version."""
        place = self.prometheus.candidate
        kind = place.kind if place else PROMETHEUS
        return f"{self.prometheus.name} ({f'{kind} {self.version}' if self.version else kind})"


class Contents(NamedTuple):
    """What is in a server; numbers of series or of pods, as the queries count."""

    server: Server
    sources: list[Source]
    twice: int
    views: int
    plain: int
    state: int
    state_twice: int
    names: dict[str, int]


def judged(session: Session) -> monitoring.Judged:
    """The Services that may lead to a Prometheus. Raises as `monitoring.candidates`."""
    client = session.client
    return session.once("prometheus judged", lambda: monitoring.judged(client, monitoring.candidates(client)))


def candidates(session: Session) -> list[Candidate]:
    """Those that are not in a tenant's namespace; the first MOST are asked. Raises as `judged`."""
    return judged(session).usable


def servers(session: Session) -> dict[str, Server | VmetricsError]:
    """Each server that was found, by its Service, or why it does not answer.

    Raises:
        Absent: none was found.
        Forbidden: Services may not be listed, or none may be reached through the apiserver.
    """

    def read() -> dict[str, Server | VmetricsError]:
        found = candidates(session)
        if not found:
            if forbidden := judged(session).refused:
                raise forbidden
            others = judged(session).others
            raise Absent(f"{others[0][0].path} is not asked: {others[0][1]}" if others else NONE)
        asked = [Prometheus(by_service(session.client, item), limit=LIMIT, limits=ANSWER) for item in found[:MOST]]
        answers = gather([partial(_probe, item) for item in asked], limit=MOST)
        refused = [answer for answer in answers if isinstance(answer, Forbidden)]
        if len(refused) == len(answers):
            raise refused[0]
        return {item.name: answer for item, answer in zip(asked, answers, strict=True)}

    return session.once("prometheus servers", read)


def answering(session: Session) -> list[Server]:
    """The servers that answer. Raises Absent if none does, and as `servers`."""
    found = servers(session)
    known = [item for item in found.values() if isinstance(item, Server)]
    if not known:
        silent = list(found.values())
        closed = all(isinstance(item, Closed) for item in silent)
        raise Absent("each Prometheus requires credentials" if closed else "no Prometheus answers")
    return known


def contents(session: Session) -> list[Contents]:
    """What is in each server that answers. Raises as `answering`, and the error of the first that cannot be asked."""

    def read() -> list[Contents]:
        found: list[Contents] = []
        for answer in gather([partial(_look, item) for item in answering(session)], limit=MOST):
            if isinstance(answer, VmetricsError):
                raise answer
            found.append(answer)
        return found

    return session.once("prometheus contents", read)


def _probe(prometheus: Prometheus) -> Server:
    targets = prometheus.number(TARGETS)
    build, runtime = prometheus.build(), prometheus.runtime()
    return Server(prometheus, build.version[:40], runtime.retention[:40], _whole(targets))


def _look(server: Server, at: float | None = None) -> Contents:
    ask = partial(server.prometheus.number, at=at)
    sources = [_source(item) for item in server.prometheus.query(SOURCES, at=at)]
    queries = {"twice": TWICE, "views": VIEWS, "plain": PLAIN, "state": STATE, "state_twice": STATE_TWICE, **NAMES}
    numbers: dict[str, int] = {}
    for key, answer in zip(queries, gather([partial(ask, text) for text in queries.values()], limit=4), strict=True):
        if isinstance(answer, VmetricsError):
            raise answer
        numbers[key] = _whole(answer)
    return Contents(
        server,
        sorted(sources),
        numbers["twice"],
        numbers["views"],
        numbers["plain"],
        numbers["state"],
        numbers["state_twice"],
        {name: numbers[name] for name in NAMES},
    )


def _source(sample: Sample) -> Source:
    labels = sample.labels
    return Source(labels.get("job", "")[:60] or "?", labels.get("metrics_path", "")[:60], _whole(sample.number))


def _whole(number: float) -> int:
    """A count; 0 for what cannot be one."""
    return max(0, int(number)) if math.isfinite(number) else 0


def told(found: Contents) -> list[str]:
    """The sources of a server, line by line."""
    path = found.server.prometheus.name
    return [f"{path}: {item.title}, {counted(item.kubelets, 'target')}" for item in found.sources]
