"""A Prometheus at one moment, in the types that the tables of `top` are made of; one query per metric, never per pod.

CPU is the mean over some minutes, so that a sum over virtual clusters is right, and memory the last sample. Only what
was running at that moment is shown, although kubelets' series outlive a pod by five minutes.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping
from functools import partial
from typing import NamedTuple

import msgspec

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import VmetricsError
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.metrics.capacity import Available
from kubectl_vmetrics.metrics.metrics_api import (
    AnyPod,
    Container,
    Owner,
    PodMeta,
    PodMetrics,
    Quantities,
    Scope,
    TimedPodMetrics,
)
from kubectl_vmetrics.metrics.quantity import NANOS, render_cpu, render_memory
from kubectl_vmetrics.metrics.usage import NOTHING, Usage
from kubectl_vmetrics.prometheus.answer import Sample
from kubectl_vmetrics.prometheus.api import Prometheus
from kubectl_vmetrics.vcluster.discovery import VCluster
from kubectl_vmetrics.vcluster.homes import warning
from kubectl_vmetrics.vcluster.identity import VClusterRef, VirtualPod
from kubectl_vmetrics.vcluster.pods import Found, Pod
from kubectl_vmetrics.vcluster.survey import Survey

from . import jobs as jobs_
from . import names as names_
from .jobs import Jobs
from .names import HOST, Identity, Key, Names, Targets
from .window import Window

MINUTES = 300
"""Seconds over which CPU is averaged: cAdvisor's samples are 10 to 25 s apart, whatever the scrape interval is."""
FRESH = 120
"""Seconds: an older sample of memory is of a container that has ended."""
_ENOUGH = 4
"""Samples that an average needs, where they are so far apart that MINUTES holds fewer."""
_INTERVAL = 900
RUN = 'pod!="",container!="",container!="POD"'
"""Containers of pods: neither pods' own cgroups, which are their sum, nor the pause container."""
_OF_CADVISOR, _OF_RESOURCE = 'image!=""', 'image="",id=""'
NO_LABELS = msgspec.Raw(b"{}")
"""Of a pod whose labels are not known."""
_Numbers = dict[Key, dict[str, float]]
"""By pod and container; the container is "" for the sum of a pod."""


class Rhythm(NamedTuple):
    """How often a Prometheus scrapes the kubelets, and what follows from it.

    Attributes:
        window: seconds over which CPU is averaged.
        fresh: seconds for which a sample counts.
    """

    window: int = MINUTES
    fresh: int = FRESH


class Moment:
    """A Prometheus at one moment.

    Attributes:
        server: to ask.
        time: seconds since the epoch.
        names: who was who.
        jobs: whose series count.
        rhythm: of scraping.
        past: whether it is another moment than now: the live cluster knows nothing of it.
    """

    def __init__(self, server: Prometheus, time: float, names: Names, rhythm: Rhythm, *, past: bool) -> None:
        self.server, self.time, self.names, self.rhythm, self.past = server, time, names, rhythm, past
        self.jobs = names.jobs
        self._state: bool | None = None

    def query(self, expression: str) -> list[Sample]:
        """The series of an expression at this moment. Raises as Prometheus.query."""
        return self.server.query(expression, at=self.time)

    @property
    def taken(self) -> str:
        """The moment, as RFC 3339."""
        return datetime.datetime.fromtimestamp(self.time, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def state(self) -> bool:
        """Whether kube-state-metrics was there."""
        if self._state is None:
            self._state = bool(self.query(f"group(kube_node_info{{{self.jobs.state}}})"))
        return self._state

    @property
    def empty(self) -> bool:
        """Whether there is nothing at all of the kubelets."""
        matchers = ",".join([self.jobs.cadvisor, RUN])
        return not self.query(f"group(container_memory_working_set_bytes{{{matchers}}})")

    def pods(self, scope: Scope, kind: type[AnyPod], *, containers: bool = True, names: bool = True) -> Found[AnyPod]:
        """The pods of a scope of the host, with the virtual pods behind them; without those if `names` is False.

        Args:
            scope: in host terms, without selectors.
            kind: which fields of the metrics are needed.
            containers: False if sums of pods are enough, which halves the answers.
            names: False if host names are enough.
        """
        used = self._used(scope, ("namespace", "pod", "container") if containers else ("namespace", "pod"))
        found: Found[AnyPod] = Found([], [], [])
        for (namespace, name), parts in sorted(used.items()):
            meta = PodMeta(name, namespace, NO_LABELS)
            listed = [
                Container(container, Quantities(render_cpu(usage.cpu_nanocores), render_memory(usage.memory_bytes)))
                for container, usage in sorted(parts.items())
            ]
            metrics = kind(meta, listed)
            if isinstance(metrics, TimedPodMetrics):
                metrics.timestamp, metrics.window = self.taken, f"{self.rhythm.window}s"
            pod = Pod(metrics, sum(parts.values(), NOTHING), Owner())
            if names:
                self.name(pod)
            found.pods.append(pod)
        # The pods that the host's KubeVirt creates for machines of a tenant have no names inside.
        unnamed = [pod for pod in found.pods if pod.virtual is None and pod.vcluster is not None]
        if left := sum(not pod.host.name.startswith("virt-launcher-") for pod in unnamed):
            what = "1 pod is shown with its host name" if left == 1 else f"{left} pods are shown with their host names"
            found.warnings.append(f"{what}, marked *: {self.server.name} has no virtual names for them")
        return found

    def name(self, pod: Pod[AnyPod]) -> None:
        """Give a pod its virtual cluster and its virtual names."""
        namespace, name = pod.host.namespace, pod.host.name
        identity = self.names.innermost(namespace, name)
        if identity.vcluster is not None:
            pod.vcluster, pod.virtual = identity.vcluster, virtual(identity)
            outer = self.names.of(namespace, name)
            pod.owner = Owner(outer.vcluster.name if outer.vcluster else None, outer.namespace)
        elif claimed := self.names.claimed(namespace, name):
            pod.owner = Owner(*claimed)
        elif plane := self.names.is_control_plane(namespace, name):
            pod.owner = Owner(app="vcluster", release=plane.name)

    def _used(self, scope: Scope, by: tuple[str, ...]) -> dict[Key, dict[str, Usage]]:
        """Usage by pod and container, of what has memory at this moment."""
        only = matchers_of(scope)
        memory, cpu = self._both(",".join([self.jobs.cadvisor, RUN, _OF_CADVISOR]) + only, only, by)
        if not memory:
            memory, cpu = self._both(",".join([self.jobs.kubelet, RUN, _OF_RESOURCE]) + only, only, by)
        found: dict[Key, dict[str, Usage]] = {}
        for key, parts in memory.items():
            cores = cpu.get(key, {})
            found[key] = {name: Usage(round(cores.get(name, 0.0) * NANOS), int(size)) for name, size in parts.items()}
        return found

    def _both(self, matchers: str, only: str, by: tuple[str, ...]) -> tuple[_Numbers, _Numbers]:
        """Memory and CPU of containers, asked for at once."""
        running = self._running(only)
        memory, cpu = gather([partial(self._memory, matchers, running, by), partial(self._cpu, matchers, by)])
        if isinstance(memory, VmetricsError):
            raise memory
        if isinstance(cpu, VmetricsError):
            raise cpu
        return memory, cpu

    def _cpu(self, matchers: str, by: tuple[str, ...]) -> _Numbers:
        chosen = f"container_cpu_usage_seconds_total{{{matchers}}}"
        # In VictoriaMetrics, rate() divides by the time between two samples: one minute of five would count five times.
        rate = f"increase({chosen}[{self.rhythm.window}s]) / {self.rhythm.window}"
        return _by_pod(self.query(f"sum by ({', '.join(by)}) (max by (namespace, pod, container, id) ({rate}))"))

    def _memory(self, matchers: str, running: str, by: tuple[str, ...]) -> _Numbers:
        chosen = f"container_memory_working_set_bytes{{{matchers}}}"
        # cAdvisor's samples carry their own time, so that series of a container that has ended stay for five minutes.
        fresh = f"{chosen} and (time() - timestamp({chosen}) < {self.rhythm.fresh})"
        one = f"max by (namespace, pod, container) ({fresh})"
        if running:
            # One that waits to be restarted, and one of a pod that was deleted, has a sample that is still fresh.
            expression = f"sum by ({', '.join(by)}) ({one} and on (namespace, pod, container) ({running}))"
            if found := _by_pod(self.query(expression)):
                return found
        return _by_pod(self.query(f"sum by ({', '.join(by)}) ({one})"))

    def _running(self, only: str) -> str:
        """Containers that run, as kube-state-metrics has them; "" where it was not there."""
        if not self.state:
            return ""
        families = (f"kube_pod_{kind}container_status_running" for kind in ("", "init_"))
        return " or ".join(f"{family}{{{self.jobs.state}{only}}} == 1" for family in families)

    def inside(
        self, vcluster: VClusterRef, question: Scope, kind: type[AnyPod], *, containers: bool = True
    ) -> Found[AnyPod]:
        """The pods that a virtual cluster had, by its own names; its namespace and name in virtual terms."""
        base = _outermost(vcluster)
        places = self.names.places(base)
        scope = Scope(*places) if len(places) == 1 else Scope()
        found = self.pods(scope, kind, containers=containers, names=False)
        kept = []
        for pod in found.pods:
            identity = self._level(pod, vcluster)
            if identity is None or question.namespace not in (None, identity.namespace):
                continue
            if question.name not in (None, identity.name):
                continue
            self.name(pod)
            pod.vcluster, pod.virtual = vcluster, virtual(identity)
            kept.append(pod)
        found.pods = kept
        return found

    def _level(self, pod: Pod[AnyPod], vcluster: VClusterRef) -> Identity | None:
        """A pod by its names in a virtual cluster, as far as they are known; None for one that is not in it."""
        outer = self.names.of(pod.host.namespace, pod.host.name)
        if outer.vcluster == vcluster:
            return outer
        inner = self.names.innermost(pod.host.namespace, pod.host.name)
        return inner if inner.vcluster == vcluster and inner != HOST else None

    def survey(self, namespace: str | None) -> Survey:
        """What a host namespace used, or all of them, and the virtual clusters there."""
        found = self.pods(Scope(namespace), PodMetrics, containers=False)
        notes = [text for text in found.warnings if "host name" not in text]
        here = {_outermost(pod.vcluster) for pod in found.pods if pod.vcluster}
        known = [item for item in self.clusters() if namespace in (None, item.ref.host_namespace) or item.ref in here]
        whole = self.capacity()
        if whole is None:
            notes.append(f"percentages of the host are not available: {self.server.name} has no capacity of nodes")
        unproven = (
            self.names.unproven
            if namespace is None
            else {pair: count for pair, count in self.names.unproven.items() if pair[0] == namespace}
        )
        if text := warning(unproven):
            notes.append(text)
        return Survey(found, known, whole, tuple(notes))

    def clusters(self) -> list[VCluster]:
        """The virtual clusters of this moment; what the live cluster says of them is of now."""
        return self.names.recorded if self.past else self.names.clusters

    def capacity(self) -> Available | None:
        """All nodes' allocatable; None if it is not known."""
        chosen = f'kube_node_status_allocatable{{{self.jobs.state},resource=~"cpu|memory"}}'
        found = self.query(f"sum by (resource) (max by (node, resource) ({chosen}))")
        sums: Mapping[str, float] = {sample.labels.get("resource", ""): sample.number for sample in found}
        if not sums.keys() >= {"cpu", "memory"}:
            return None
        return Available(round(sums["cpu"] * NANOS), round(sums["memory"]))


def at(
    server: Prometheus,
    time: float,
    client: Client | None = None,
    *,
    targets: Targets = (),
    past: bool = False,
    names: bool = True,
    namespace: str | None = None,
) -> Moment:
    """A Prometheus at a moment.

    Args:
        server: to ask.
        time: seconds since the epoch.
        client: the host, for names that the Prometheus does not have; None to leave it alone.
        targets: as names.read.
        past: whether it is another moment than now.
        names: False if host names are enough.
        namespace: the only host namespace whose names are needed; None for all.

    Raises:
        VmetricsError: as names.read.
    """
    window = Window(time - MINUTES, time)
    jobs = jobs_.read(server, window)
    if names:
        known = names_.read(server, window, client, targets=targets, jobs=jobs, namespace=namespace)
    else:
        known = Names(jobs)
    return Moment(server, time, known, rhythm(server, jobs, time), past=past)


def rhythm(server: Prometheus, jobs: Jobs, time: float) -> Rhythm:
    """How often the kubelets are scraped. Raises as Prometheus.query."""
    counted = f"max(count_over_time(machine_memory_bytes{{{jobs.cadvisor}}}[{_INTERVAL}s]))"
    found = server.query(counted, at=time)
    if not found or found[0].number < 1:
        return Rhythm()
    interval = math.ceil(_INTERVAL / found[0].number)
    return Rhythm(max(MINUTES, _ENOUGH * interval), max(FRESH, 2 * interval + interval // 2))


def matchers_of(scope: Scope) -> str:
    """What follows other matchers to select the pods of a scope."""
    only = f',namespace="{jobs_.quoted(scope.namespace)}"' if scope.namespace else ""
    return only + (f',pod="{jobs_.quoted(scope.name)}"' if scope.name else "")


def virtual(identity: Identity) -> VirtualPod | None:
    """The virtual pod, if all of its names are known."""
    if identity.vcluster is None or identity.namespace is None or identity.name is None:
        return None
    return VirtualPod(identity.vcluster, identity.namespace, identity.name)


def _outermost(ref: VClusterRef) -> VClusterRef:
    while ref.parent:
        ref = ref.parent
    return ref


def _by_pod(found: Iterable[Sample]) -> _Numbers:
    """Numbers by pod and container; what is no number is left out."""
    pods: _Numbers = {}
    for sample in found:
        number, labels = sample.number, sample.labels
        if math.isfinite(number):
            key = labels.get("namespace", ""), labels.get("pod", "")
            pods.setdefault(key, {})[labels.get("container", "")] = number
    return pods
