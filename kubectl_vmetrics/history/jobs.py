"""Which jobs of a Prometheus are trusted: label matchers for series of kubelets, kube-state-metrics and the proxy.

Any pod that is scraped may export series under the names that are read here, and a tenant's pod other pods' names in
them. So only the jobs count that scrape kubelets, kube-state-metrics and the proxy, by the names that kube-prometheus,
upstream's charts and our own manifests give them; where none is known by its name, it is the one with the most targets.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
_KNOWN = {
    CADVISOR: re.compile(r"kubelet|cadvisor|kubernetes-nodes|vmetrics"),
    KUBELET: re.compile(r"kubelet|kubernetes-nodes|vmetrics"),
    STATE: re.compile(r"kube-state-metrics"),
    NAMES: re.compile(r"vmetrics"),
}
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
    labeled: str = 'job=~"kubelet|vmetrics.*"'
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
    if not {CADVISOR, KUBELET, STATE} <= {_WITNESSES.get(sample.labels.get("__name__", "")) for sample in found}:
        step = max(15.0, window.seconds / _PROBES)
        for part in server.parts(counted, window.start, window.end, step, series=len(found) or 8):
            found += [Sample(series.labels, series.values[-1]) for series in part.series if series.values]
    return choose(found, only)


def choose(found: Iterable[Sample], only: str = "") -> Jobs:
    """The jobs to trust, from the number of witnesses by `__name__`, `job`, `metrics_path` and `cluster`.

    Raises:
        VmetricsError: its series are those of several clusters.
    """
    counts: Mapping[str, Counter[_Job]] = {kind: Counter() for kind in _KNOWN}
    clusters = set()
    for sample in found:
        kind = _WITNESSES.get(sample.labels.get("__name__", ""))
        job = _Job(sample.labels.get("job", ""), sample.labels.get("metrics_path", ""))
        if kind and job.name:
            counts[kind][job] = max(counts[kind][job], int(sample.number))
            clusters.add(sample.labels.get("cluster", ""))
    if len(clusters) > 1:
        listed = [f"--prometheus-match cluster={name}" for name in sorted(filter(None, clusters))]
        raise VmetricsError(f"this Prometheus has series of several clusters: specify one with {either(listed, 10)}")
    cadvisor = _best(CADVISOR, counts[CADVISOR])
    at_path = [job for job in cadvisor if job.path == _CADVISOR_PATH]
    sources = {
        CADVISOR: at_path or cadvisor,
        KUBELET: _best(KUBELET, counts[KUBELET]),
        STATE: _best(STATE, counts[STATE]),
        NAMES: [job for job in counts[NAMES] if _known(NAMES, job)],
    }
    return Jobs(
        _matchers(sources[CADVISOR], only, path=bool(at_path)),
        _matchers(sources[KUBELET], only),
        _matchers(sources[STATE], only),
        _matchers(sources[NAMES], only),
        _matchers([*cadvisor, *sources[KUBELET]], only),
        ",".join(filter(None, ['job=""', only])),
    )


def _known(kind: str, job: _Job) -> bool:
    if kind == CADVISOR and job.path == _CADVISOR_PATH:
        return _SYNCED not in job.name
    return _SYNCED not in job.name and _KNOWN[kind].search(job.name) is not None


def _best(kind: str, counts: Counter[_Job]) -> list[_Job]:
    """The jobs that are known by their names; else the one with the most targets."""
    known = sorted(job for job in counts if _known(kind, job))
    if known or not counts:
        return known
    return [max(sorted(counts), key=lambda job: counts[job])]


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
