"""Which jobs of a Prometheus are trusted: label matchers for series of kubelets, kube-state-metrics and the proxy.

Any pod that is scraped may export series under the names that are read here, and a tenant's pod other pods' names in
them. So only the jobs count that scrape kubelets, kube-state-metrics and the proxy, by the whole names that
kube-prometheus, upstream's charts, managed services and our own manifests give them, or by one that the user gives.
What a job exports, such as a number of nodes, never makes it trusted: any exporter can make that up.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from kubectl_vmetrics.kube.errors import VmetricsError
from kubectl_vmetrics.metrics.findings import either
from kubectl_vmetrics.prometheus.answer import Sample
from kubectl_vmetrics.prometheus.api import Prometheus

from .window import Window

CADVISOR, KUBELET, STATE, NAMES = "cadvisor", "kubelet", "state", "names"
_WITNESSES = {
    "machine_memory_bytes": CADVISOR,
    "kubelet_running_pods": KUBELET,
    "kubelet_node_name": KUBELET,
    "node_cpu_usage_seconds_total": KUBELET,
    "kube_node_info": STATE,
    "kube_namespace_created": STATE,
    "vcluster_info": NAMES,
}
"""Series that each source exports, few of them: one or two per node, namespace or virtual cluster."""
_PROBES = 8
"""Moments of a window at which is looked for them."""
_SYNCED = "-x-"
"""In the name of a Service that vCluster synced: its name is a job's name where an operator makes the jobs."""
_KNOWN: Mapping[str, Sequence[Sequence[str]]] = {
    CADVISOR: (
        ("kubelet",),
        (
            "cadvisor",
            "kubelet-cadvisor",
            "kubernetes-cadvisor",
            "kubernetes-nodes-cadvisor",
            "integrations/kubernetes/cadvisor",
        ),
        ("vmetrics-cadvisor",),
    ),
    KUBELET: (("kubelet",), ("kubernetes-nodes", "kubernetes-kubelet", "integrations/kubernetes/kubelet")),
    STATE: (
        ("kube-state-metrics",),
        ("integrations/kubernetes/kube-state-metrics",),
    ),
    NAMES: (("vmetrics-names",),),
}
"""Names of jobs, in order of preference; of equals, the one with the most witnesses.

Those of kube-prometheus (https://github.com/prometheus-operator/kube-prometheus; OpenShift, Rancher and
victoria-metrics-k8s-stack have the same), of Azure
(https://learn.microsoft.com/azure/azure-monitor/containers/prometheus-metrics-scrape-default), of the charts of
Prometheus' community and of Grafana, and of /sd. A PodMonitor's job is NAMESPACE/NAME: none can have two slashes.
"""
_RELEASED = re.compile(r"[a-z0-9.-]+-kube-state-metrics")
"""The Service of kube-state-metrics' chart, if its release has another name; counts only if there is one such job."""
KINDS = {"kubelet": (KUBELET, CADVISOR), "cadvisor": (CADVISOR,), "kube-state-metrics": (STATE,), "names": (NAMES,)}
"""What users name jobs of, and for which sources; the later ones count more."""
_CADVISOR_PATH = "/metrics/cadvisor"


class Jobs(NamedTuple):
    """Label matchers, to be put into a selector; never empty: a source without any job matches nothing.

    Attributes:
        cadvisor: of containers' metrics.
        kubelet: of volumes' metrics.
        state: of kube-state-metrics.
        names: of /metrics/names of the proxy.
        labeled: of kubelets' metrics to which the proxy may have added virtual names.
        recorded: of the series that recording rules make.
    """

    cadvisor: str = 'job="kubelet",metrics_path="/metrics/cadvisor"'
    kubelet: str = 'job="kubelet"'
    state: str = 'job="kube-state-metrics"'
    names: str = 'job="vmetrics-names"'
    labeled: str = 'job=~"kubelet|vmetrics-cadvisor"'
    recorded: str = 'job=""'


class _Job(NamedTuple):
    name: str
    path: str


def read(server: Prometheus, window: Window) -> Jobs:
    """The jobs that were there in a window of time; one cheap query.

    Raises:
        VmetricsError: its series are those of several clusters.
        QueryFailed, ConnectionFailed: as Prometheus.query.
    """
    only = server.matchers
    chosen = ",".join(filter(None, [f'__name__=~"{"|".join(_WITNESSES)}"', 'vcluster_name=""', only]))
    # vcluster_info has a vcluster_name; those of tenants' views are not the host's.
    infos = ",".join(filter(None, ['__name__="vcluster_info"', only]))
    counted = f"count by (__name__, job, metrics_path, cluster) ({{{chosen}}} or {{{infos}}})"
    found = server.query(counted, at=window.end)
    if not {CADVISOR, KUBELET, STATE} <= _sources(_counted(found), server.jobs).keys():
        step = max(15.0, window.seconds / _PROBES)
        for part in server.parts(counted, window.start, window.end, step, series=len(found) or 8):
            found += [Sample(series.labels, series.values[-1]) for series in part.series if series.values]
    return choose(found, only, server.jobs)


def choose(found: Iterable[Sample], only: str = "", named: Mapping[str, str] | None = None) -> Jobs:
    """The jobs to trust, from the number of witnesses by `__name__`, `job`, `metrics_path` and `cluster`.

    Args:
        found: the numbers.
        only: label matchers that select one cluster, to be added to all.
        named: jobs that the user names, by KINDS.

    Raises:
        VmetricsError: their series are those of several clusters.
    """
    found = list(found)
    counts = _counted(found)
    sources = _sources(counts, named or {})
    trusted = {(kind, job.name) for kind, jobs in sources.items() for job in jobs}
    clusters = {cluster for kind, job, cluster, _ in _witnesses(found) if (kind, job.name) in trusted}
    if len(clusters) > 1:
        listed = [f"--prometheus-match cluster={name}" for name in sorted(filter(None, clusters))]
        raise VmetricsError(f"this Prometheus has series of several clusters: specify one with {either(listed, 10)}")
    cadvisor, kubelet = sources.get(CADVISOR, []), sources.get(KUBELET, [])
    at_path = [job for job in cadvisor if job.path == _CADVISOR_PATH]
    proxy = [job for job in counts[CADVISOR] if job.name in _KNOWN[CADVISOR][-1]]
    return Jobs(
        _matchers(at_path or cadvisor, only, path=bool(at_path)),
        _matchers(kubelet, only),
        _matchers(sources.get(STATE, []), only),
        _matchers(sources.get(NAMES, []), only),
        _matchers([*cadvisor, *kubelet, *proxy], only),
        ",".join(filter(None, ['job=""', only])),
    )


def _witnesses(found: Iterable[Sample]) -> Iterator[tuple[str, _Job, str, int]]:
    """Source, job, cluster and number of each sample that has a job."""
    for sample in found:
        kind = _WITNESSES.get(sample.labels.get("__name__", ""))
        job = _Job(sample.labels.get("job", ""), sample.labels.get("metrics_path", ""))
        if kind and job.name:
            yield kind, job, sample.labels.get("cluster", ""), int(sample.number)


def _counted(found: Iterable[Sample]) -> Mapping[str, Counter[_Job]]:
    counts: Mapping[str, Counter[_Job]] = {kind: Counter() for kind in _KNOWN}
    for kind, job, _, number in _witnesses(found):
        counts[kind][job] = max(counts[kind][job], number)
    return counts


def _sources(counts: Mapping[str, Counter[_Job]], named: Mapping[str, str]) -> dict[str, list[_Job]]:
    """The job of each source that has one, once for each of its paths."""
    wanted = {source: named[kind] for kind, sources in KINDS.items() if kind in named for source in sources}
    chosen = {kind: wanted.get(kind) or _best(kind, counts[kind]) for kind in counts}
    return {
        kind: sorted(job for job in counts[kind] if job.name == name) or [_Job(name, "")]
        for kind, name in chosen.items()
        if name
    }


def _best(kind: str, counts: Counter[_Job]) -> str:
    """The name of the job that is trusted; "" if there is none."""
    totals: Counter[str] = Counter()
    for job, number in counts.items():
        totals[job.name] += number
    for names in _KNOWN[kind]:
        if present := sorted(name for name in names if name in totals):
            return max(present, key=lambda name: totals[name])
    released = [name for name in totals if _RELEASED.fullmatch(name) and _SYNCED not in name]
    return released[0] if kind == STATE and len(released) == 1 else ""


def _matchers(jobs: Sequence[_Job], only: str, *, path: bool = False) -> str:
    names = sorted({job.name for job in jobs})
    job = f'job="{quoted(names[0])}"' if len(names) == 1 else f'job=~"{"|".join(map(_regex, names))}"'
    if not names:
        job = 'job="none of this source"'
    return ",".join(filter(None, [job, f'metrics_path="{_CADVISOR_PATH}"' if path else "", only]))


def quoted(text: str) -> str:
    """A text as it stands between the quotation marks of PromQL."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _regex(text: str) -> str:
    return quoted(re.sub(r"([.\\+*?()\[\]{}|^$])", r"\\\1", text))
