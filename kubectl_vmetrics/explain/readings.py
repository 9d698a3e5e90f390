"""What each source reports about one pod: metrics.k8s.io, the kubelet's summary, cAdvisor and a Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from kubectl_vmetrics.controlplane import tenants
from kubectl_vmetrics.kube import duration
from kubectl_vmetrics.kube.client import Client, decode
from kubectl_vmetrics.kube.errors import BadAnswer, NotFound, VmetricsError
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.kube.lists import decoder
from kubectl_vmetrics.metrics import kubelet, metrics_api
from kubectl_vmetrics.metrics.metrics_api import Scope, Skipped, TimedPodMetrics
from kubectl_vmetrics.metrics.samples import Reader, Sample
from kubectl_vmetrics.prometheus.api import Prometheus

from .subject import Subject, seconds

METRICS_API, SUMMARY, CADVISOR, PROMETHEUS = "metrics.k8s.io", "stats/summary", "metrics/cadvisor", "Prometheus"
TENANT = "metrics.k8s.io inside"
"""The Metrics API of the virtual cluster itself."""
LIMIT = 15.0
"""Seconds for one source."""
WINDOW = 300.0
"""Seconds of the rate from Prometheus: cAdvisor's samples are up to 20 s apart."""
_CPU, _MEMORY, _RSS = "container_cpu_usage_seconds_total", "container_memory_working_set_bytes", "container_memory_rss"


class Amounts(NamedTuple):
    """What one container uses; None for what the source does not report.

    Attributes:
        cpu: in billionths of a core.
        memory: the working set, in bytes: what is in use without the file cache that the kernel can drop at once.
        rss: anonymous memory in bytes: without file cache and shared memory.
        seconds: CPU seconds since the container started.
    """

    cpu: int | None = None
    memory: int | None = None
    rss: int | None = None
    seconds: float | None = None


class Reading(NamedTuple):
    """The answer of one source.

    Attributes:
        source: its name.
        containers: by name.
        at: seconds since the epoch at which it was measured; None if that is not reported.
        window: seconds that the CPU usage is averaged over; None if that is not reported.
        missing: why there are no numbers; "" where there are.
    """

    source: str
    containers: dict[str, Amounts]
    at: float | None = None
    window: float | None = None
    missing: str = ""

    @property
    def total(self) -> Amounts:
        """The sums over the containers that report something."""

        def add(values: Iterable[int | None]) -> int | None:
            found = [value for value in values if value is not None]
            return sum(found) if found else None

        items = self.containers.values()
        spent = [item.seconds for item in items if item.seconds is not None]
        return Amounts(
            add(item.cpu for item in items),
            add(item.memory for item in items),
            add(item.rss for item in items),
            sum(spent) if spent else None,
        )


def take(
    client: Client,
    subject: Subject,
    engine: Callable[[], Prometheus],
    *,
    tenant: bool = False,
) -> list[Reading]:
    """What all sources report, asked side by side; a source that fails has a reading that says why.

    Args:
        client: the host.
        subject: the pod.
        engine: opens the Prometheus to ask.
        tenant: whether to ask the virtual cluster's own Metrics API, with the certificate in its Secret.
    """
    sources: list[tuple[str, Callable[[], Reading]]] = [
        (METRICS_API, lambda: _metrics_api(client, subject)),
        (SUMMARY, lambda: _summary(client, subject)),
        (CADVISOR, lambda: _cadvisor(client, subject)),
        (PROMETHEUS, lambda: _prometheus(engine(), subject)),
        *([(TENANT, lambda: _tenant(client, subject))] if tenant else []),
    ]
    answers: list[Reading | VmetricsError] = gather([ask for _, ask in sources])
    return [
        Reading(name, {}, missing=answer.message) if isinstance(answer, VmetricsError) else answer
        for (name, _), answer in zip(sources, answers, strict=True)
    ]


def _metrics_api(client: Client, subject: Subject) -> Reading:
    asked = Scope(subject.namespace, subject.name)
    return _of_metrics_api(METRICS_API, lambda: metrics_api.pods(client, asked, TimedPodMetrics))


def _tenant(client: Client, subject: Subject) -> Reading:
    virtual = subject.ownership.virtual
    if virtual is None:
        return Reading(TENANT, {}, missing="the pod does not exist inside a virtual cluster")
    if virtual.vcluster.parent:
        return Reading(TENANT, {}, missing="a nested virtual cluster cannot be reached from the host")
    asked = Scope(virtual.namespace, virtual.name)
    return _of_metrics_api(TENANT, lambda: tenants.pods(client, virtual.vcluster, asked, TimedPodMetrics))


def _of_metrics_api(source: str, ask: Callable[[], tuple[list[TimedPodMetrics], list[Skipped]]]) -> Reading:
    try:
        found, skipped = ask()
    except NotFound:
        return Reading(source, {}, missing="no metrics of this pod (yet)")
    if not found:
        return Reading(source, {}, missing=skipped[0].why if skipped else "no metrics of this pod")
    containers = {}
    for container in found[0].containers:
        try:
            used = tenants.checked(metrics_api.usage(container.usage))
        except ValueError as error:
            raise BadAnswer(f"container {container.name}: {error}") from None
        containers[container.name] = Amounts(used.cpu_nanocores, used.memory_bytes)
    try:
        window = duration.parse(found[0].window) if found[0].window else None
    except ValueError:
        window = None
    return Reading(source, containers, seconds(found[0].timestamp), window)


class _Cpu(msgspec.Struct):
    time: str | None = None
    now: int | None = msgspec.field(default=None, name="usageNanoCores")
    total: int | None = msgspec.field(default=None, name="usageCoreNanoSeconds")


class _Memory(msgspec.Struct):
    time: str | None = None
    working_set: int | None = msgspec.field(default=None, name="workingSetBytes")
    rss: int | None = msgspec.field(default=None, name="rssBytes")


class _Container(msgspec.Struct):
    name: str
    cpu: _Cpu = msgspec.field(default_factory=_Cpu)
    memory: _Memory = msgspec.field(default_factory=_Memory)


class _Pod(msgspec.Struct):
    ref: kubelet.PodRef = msgspec.field(name="podRef")
    containers: list[_Container] = []


class _Summary(msgspec.Struct):
    pods: list[_Pod] = []


def _node(subject: Subject) -> str:
    if not subject.pod.spec.node:
        raise BadAnswer("the pod is not scheduled to a node yet")
    return subject.pod.spec.node


def _summary(client: Client, subject: Subject) -> Reading:
    path = kubelet.path(_node(subject), kubelet.SUMMARY)
    summary = decode(client.get(path, limit=LIMIT), decoder(_Summary), path)
    # A kubelet may report a deleted pod of the same name for a while.
    own = [pod for pod in summary.pods if (pod.ref.namespace, pod.ref.name) == (subject.namespace, subject.name)]
    own = [pod for pod in own if pod.ref.uid == subject.uid] or own
    if not own:
        return Reading(SUMMARY, {}, missing="the kubelet does not report this pod (yet)")
    containers, times = {}, []
    for item in own[0].containers:
        spent = None if item.cpu.total is None else item.cpu.total / 1e9
        containers[item.name] = Amounts(item.cpu.now, item.memory.working_set, item.memory.rss, spent)
        times += [at for at in (seconds(item.cpu.time), seconds(item.memory.time)) if at is not None]
    return Reading(SUMMARY, containers, max(times, default=None))


def _cadvisor(client: Client, subject: Subject) -> Reading:
    families = {_CPU, _MEMORY, _RSS}
    path = kubelet.path(_node(subject), "metrics/cadvisor")
    found: dict[str, dict[str, Sample]] = {}
    with client.stream(path, accept=kubelet.TEXT, limit=LIMIT) as stream:
        for sample in Reader(families.__contains__).read(_of(stream.chunks, subject.name)):
            labels = sample.labels
            if (labels.get("namespace"), labels.get("pod")) != (subject.namespace, subject.name):
                continue
            if (name := labels.get("container")) and labels.get("image"):
                # Of a container that was restarted, the one of before may still be there: the newest counts.
                known = found.setdefault(name, {}).get(sample.name)
                if known is None or (sample.timestamp or 0) >= (known.timestamp or 0):
                    found[name][sample.name] = sample
    if not found:
        return Reading(CADVISOR, {}, missing="cAdvisor has no series of this pod (yet)")
    stamps = [sample.timestamp for samples in found.values() for sample in samples.values() if sample.timestamp]

    def whole(samples: dict[str, Sample], family: str) -> int | None:
        return int(samples[family].value) if family in samples else None

    containers = {
        name: Amounts(
            None, whole(samples, _MEMORY), whole(samples, _RSS), samples[_CPU].value if _CPU in samples else None
        )
        for name, samples in sorted(found.items())
    }
    return Reading(CADVISOR, containers, max(stamps) / 1000 if stamps else None)


def _of(chunks: Iterable[bytes | bytearray], name: str) -> Iterable[bytes]:
    """The lines with the name of a pod in them: a busy node has a hundred thousand others."""
    wanted, rest = name.encode(), b""
    for chunk in chunks:
        *lines, rest = (rest + bytes(chunk)).split(b"\n")
        yield from (line + b"\n" for line in lines if wanted in line)
    if wanted in rest:
        yield rest


def _prometheus(server: Prometheus, subject: Subject) -> Reading:
    chosen = f'{{namespace="{subject.namespace}",pod="{subject.name}",container!="",image!=""}}'
    rate = f"sum by (container) (max by (container, id) (increase({_CPU}{chosen}[{WINDOW:.0f}s]))) / {WINDOW:.0f}"
    # What has died stays for five minutes: only fresh samples count.
    size = "max by (container) ({0}{1} and time() - timestamp({0}{1}) < 120)"
    now = time.time()
    calls = [rate, size.format(_MEMORY, chosen), size.format(_RSS, chosen), f"max(timestamp({_MEMORY}{chosen}))"]
    answers = [{item.labels.get("container", ""): item.number for item in server.query(text, at=now)} for text in calls]
    names = sorted(set(answers[0]) | set(answers[1]))
    if not names:
        return Reading(PROMETHEUS, {}, missing=f"{server.name} has no recent samples of this pod")

    def whole(number: float | None, unit: float = 1.0) -> int | None:
        return None if number is None or not 0 <= number < 1e18 else int(number * unit)

    containers = {
        name: Amounts(whole(answers[0].get(name), 1e9), whole(answers[1].get(name)), whole(answers[2].get(name)))
        for name in names
    }
    return Reading(PROMETHEUS, containers, answers[3].get(""), WINDOW)
