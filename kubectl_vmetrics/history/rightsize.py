"""Requests and limits against use, per workload and container: the arithmetic, without a Prometheus.

CPU is what a replica needed in all but the busiest steps, and the replica that needed most counts: one that idles does
not make the advice smaller. Memory is the largest sample of any replica, and headroom; where a container was killed at
its limit, more than that limit, for nobody knows how much it would have taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from kubectl_vmetrics.vcluster.identity import VClusterRef

from .queries import Metric
from .spread import Spread
from .steps import Container, Step
from .window import Window
from .workloads import Workload

METRICS = (
    Metric.CPU,
    Metric.MEMORY,
    Metric.MEMORY_PEAK,
    Metric.CPU_REQUEST,
    Metric.MEMORY_REQUEST,
    Metric.CPU_LIMIT,
    Metric.MEMORY_LIMIT,
    Metric.RUNNING,
    Metric.PERIODS,
    Metric.THROTTLED,
    Metric.OOM_KILLS,
)
"""What `add` looks at."""
DAY = 86_400.0
LEAST = DAY
"""Seconds of data under which there is no advice."""
MEBI = 1 << 20
KILLED = 1.2
"""What a memory limit at which a container was killed is multiplied by."""
OFTEN = 0.05
"""The share of throttled periods from which on a CPU limit is too low."""
GROWS = 1.1
"""Memory grows if its largest sample in the last tenth of the time is so many times that of the time before."""
_FEW = 20
"""Replicas with fewer samples are looked at together: pods of jobs."""
_MANY = 64
"""So many replicas of a container are kept apart; of more, those that are gone and have few samples are not."""
_SHORTEST = 30.0
"""Seconds: CPU of pods that ran for less of a step counts as if it had taken as long. Their times are not exact."""


class Settings(NamedTuple):
    """What to advise.

    Attributes:
        percentile: of CPU, 0 to 100.
        headroom: of memory, as a share: 0.15.
        least_cores, least_bytes: requests are not made smaller than that.
    """

    percentile: float = 95.0
    headroom: float = 0.15
    least_cores: float = 0.01
    least_bytes: float = 16.0 * MEBI


class Key(NamedTuple):
    """A container of a workload.

    Attributes:
        vcluster: None for the host's own.
        namespace: inside the virtual cluster, or on the host.
    """

    vcluster: VClusterRef | None
    namespace: str
    workload: Workload
    container: str


class Numbers(NamedTuple):
    """Of one resource, per replica: cores or bytes.

    Attributes:
        request, limit: what is set now; None for none.
        percentile: that of `Settings` for CPU, the same of memory.
        most: the largest step for CPU, the largest sample for memory.
        suggested: the request to set; None if it is not known for long enough.
        suggested_limit: the limit to set; None for none.
        saves: what all replicas request now, less what they would request; negative if that is more.
    """

    request: float | None
    limit: float | None
    percentile: float
    most: float
    suggested: float | None = None
    suggested_limit: float | None = None
    saves: float = 0.0


class Advice(NamedTuple):
    """What is known about a container of a workload, and what to make of it.

    Attributes:
        replicas: how many ran on average.
        days: between its first and its last step.
        throttled: the share of CFS periods in which it was throttled; None without a CPU limit.
        kills: how often it ran out of memory.
        grows: whether its memory grows.
    """

    key: Key
    replicas: float
    days: float
    cpu: Numbers
    memory: Numbers
    throttled: float | None = None
    kills: int = 0
    grows: bool = False

    @property
    def known(self) -> bool:
        """Whether there is enough data for advice."""
        return self.cpu.suggested is not None


class Sum(NamedTuple):
    """Of a virtual cluster, or of the host's own: cores and bytes of all replicas, on average.

    Attributes:
        requested: now; `suggested`: by the advice. Containers without advice are in neither.
    """

    vcluster: VClusterRef | None
    requested_cores: float
    suggested_cores: float
    requested_bytes: float
    suggested_bytes: float

    @property
    def saves_cores(self) -> float:
        """What the advice saves."""
        return self.requested_cores - self.suggested_cores

    @property
    def saves_bytes(self) -> float:
        """What the advice saves."""
        return self.requested_bytes - self.suggested_bytes


class _Replica:
    """A container of one pod."""

    def __init__(self) -> None:
        self.cpu, self.memory = Spread(), Spread()
        self.last = 0.0


class _Track:
    """A container of a workload."""

    def __init__(self) -> None:
        self.replicas: dict[tuple[str, str], _Replica] = {}
        self.pooled = _Replica()
        self.first = self.last = 0.0
        self.seconds = 0.0
        self.now: dict[Metric, float] = {}
        self.at = -math.inf
        self.periods = self.throttled = 0.0
        self.kills = 0.0
        self.killed_at = 0.0
        self.peak_before = self.peak_lately = 0.0

    def replica(self, pod: tuple[str, str], step: Step) -> _Replica:
        """One of them, at a step."""
        found = self.replicas.get(pod)
        if found is None:
            if len(self.replicas) >= _MANY:
                for gone in [name for name, item in self.replicas.items() if item.last < step.start]:
                    self._pool(gone)
            found = self.replicas[pod] = _Replica()
        found.last = step.end
        return found

    def _pool(self, pod: tuple[str, str]) -> None:
        replica = self.replicas[pod]
        if replica.cpu.count < _FEW:
            del self.replicas[pod]
            self.pooled.cpu.merge(replica.cpu)
            self.pooled.memory.merge(replica.memory)

    def percentile(self, cpu: bool, percent: float) -> float:
        """The largest of all replicas."""
        for pod in list(self.replicas):
            self._pool(pod)
        found = [*self.replicas.values(), *([self.pooled] if self.pooled.cpu.count or self.pooled.memory.count else [])]
        return max(((item.cpu if cpu else item.memory).percentile(percent) for item in found), default=0.0)


Whose = Callable[[str, str], "tuple[VClusterRef | None, str, Workload] | None"]
"""Whose a pod is, by host namespace and name: virtual cluster, namespace and workload there; None to leave it out."""
_NOW = (Metric.CPU_REQUEST, Metric.CPU_LIMIT, Metric.MEMORY_REQUEST, Metric.MEMORY_LIMIT)


class Usage:
    """What containers of workloads have used, step by step.

    Args:
        window: of the steps.
        whose: who is who.
    """

    def __init__(self, window: Window, whose: Whose) -> None:
        self._window = window
        self._whose = whose
        self._known: dict[tuple[str, str], tuple[VClusterRef | None, str, Workload] | None] = {}
        self._tracks: dict[Key, _Track] = {}
        self._found: dict[Container, _Track | None] = {}
        self._late = window.end - window.seconds / 10
        self.covered = 0.0

    @property
    def days(self) -> float:
        """For how long there was data of CPU."""
        return self.covered / DAY

    def add(self, step: Step) -> None:
        """Add a step; they come in order of time."""
        length = step.end - step.start
        self.covered += length * step.present.get(Metric.CPU, 1.0)
        amounts = step.amounts
        running = amounts.get(Metric.RUNNING, {})
        memory, peaks = amounts.get(Metric.MEMORY, {}), amounts.get(Metric.MEMORY_PEAK, {})
        for container, cores in amounts.get(Metric.CPU, {}).items():
            track = self._track(container)
            if track is None:
                continue
            ran = running.get(Container(container.namespace, container.pod), 0.0 if running else length)
            # Where a pod was replaced under its name, both add up in a step: the mean is no more than the peak.
            used = memory.get(container, 0.0)
            if container in peaks and ran:
                used = min(used, peaks[container] * min(length, ran) / length)
            self._used(track, container, step, min(length, ran), cores, used)
        for container, amount in (peaks or memory).items():
            track = self._track(container)
            if track is not None:
                peak = amount / length
                if step.end > self._late:
                    track.peak_lately = max(track.peak_lately, peak)
                else:
                    track.peak_before = max(track.peak_before, peak)
        self._set(step, running)
        for container, count in amounts.get(Metric.PERIODS, {}).items():
            if (track := self._track(container)) is not None:
                track.periods += count
                track.throttled += amounts.get(Metric.THROTTLED, {}).get(container, 0.0)
        for container, count in amounts.get(Metric.OOM_KILLS, {}).items():
            if (track := self._track(container)) is not None:
                track.kills += count
                limit = track.now.get(Metric.MEMORY_LIMIT, 0.0)
                track.killed_at = max(track.killed_at, limit or track.peak_lately or track.peak_before)

    def _used(
        self, track: _Track, container: Container, step: Step, seconds: float, cores: float, bytes_: float
    ) -> None:
        length = step.end - step.start
        if not track.last:
            track.first = step.start
        track.last = step.end
        track.seconds += seconds
        replica = track.replica((container.namespace, container.pod), step)
        # A pod that kube-state-metrics never saw may have run for all of the step.
        replica.cpu.add(cores / (max(seconds, min(_SHORTEST, length)) if seconds else length))
        if bytes_:
            replica.memory.add(bytes_ / (seconds or length))

    def _set(self, step: Step, running: Mapping[Container, float]) -> None:
        """What is set: of the pods of the newest step, the largest."""
        length = step.end - step.start
        for metric in _NOW:
            for container, amount in step.amounts.get(metric, {}).items():
                if not container.container or (track := self._track(container)) is None:
                    continue
                if track.at < step.end:
                    track.at, track.now = step.end, {}
                seconds = min(length, running.get(Container(container.namespace, container.pod)) or length)
                # Without what the division leaves behind: millicores have three digits.
                track.now[metric] = max(track.now.get(metric, 0.0), round(amount / seconds, 4))

    def _track(self, container: Container) -> _Track | None:
        # Asked ten times per container and step.
        try:
            return self._found[container]
        except KeyError:
            found = self._found[container] = self._new(container)
            return found

    def _new(self, container: Container) -> _Track | None:
        if not container.container:
            return None
        pod = (container.namespace, container.pod)
        if pod not in self._known:
            self._known[pod] = self._whose(*pod)
        found = self._known[pod]
        return None if found is None else self._tracks.setdefault(Key(*found, container.container), _Track())

    def advice(self, settings: Settings, *, recent: float = 3600.0) -> list[Advice]:
        """The advice for every workload that is still there, in order of names.

        Args:
            settings: of the advice.
            recent: seconds before the end in which a workload must have had a pod; jobs of the whole window count.
        """
        found = []
        for key, track in self._tracks.items():
            repeated = key.workload.kind in ("CronJob", "Job")
            if track.last and (repeated or track.last > self._window.end - recent):
                found.append(_advice(key, track, settings, self._window))
        return sorted(found, key=lambda item: _order(item.key))


def _order(key: Key) -> tuple[str, str, str, str, str]:
    return key.vcluster.path if key.vcluster else "", key.namespace, key.workload.name, key.workload.kind, key.container


def _advice(key: Key, track: _Track, settings: Settings, window: Window) -> Advice:
    days = (track.last - track.first) / DAY
    replicas = track.seconds / window.seconds
    busy, most = track.percentile(cpu=True, percent=settings.percentile), 0.0
    every = [*track.replicas.values(), track.pooled]
    most = max(item.cpu.most for item in every)
    cpu = Numbers(track.now.get(Metric.CPU_REQUEST), track.now.get(Metric.CPU_LIMIT), busy, most)
    peak = max(track.peak_before, track.peak_lately, *(item.memory.most for item in every))
    usual = track.percentile(cpu=False, percent=settings.percentile)
    memory = Numbers(track.now.get(Metric.MEMORY_REQUEST), track.now.get(Metric.MEMORY_LIMIT), usual, peak)
    throttled = track.throttled / track.periods if track.periods else None
    grows = track.peak_before > 0 and track.peak_lately > GROWS * track.peak_before
    if days >= LEAST / DAY - 1e-6:
        cpu = _cpu(cpu, settings, throttled, replicas)
        memory = _memory(memory, settings, track.killed_at, replicas)
    return Advice(key, replicas, days, cpu, memory, throttled, round(track.kills), grows)


def _cpu(numbers: Numbers, settings: Settings, throttled: float | None, replicas: float) -> Numbers:
    suggested = max(_cores(numbers.percentile), settings.least_cores)
    limit = numbers.limit
    if limit is not None:
        # A limit is for peaks: it stays, unless it holds back what runs now.
        wanted = limit * 1.5 if throttled is not None and throttled > OFTEN else limit
        limit = _cores(max(wanted, suggested))
    saves = ((numbers.request or 0.0) - suggested) * replicas
    return numbers._replace(suggested=suggested, suggested_limit=limit, saves=saves)


def _memory(numbers: Numbers, settings: Settings, killed_at: float, replicas: float) -> Numbers:
    wanted = max(numbers.most * (1 + settings.headroom), killed_at * KILLED, settings.least_bytes)
    suggested = math.ceil(wanted / MEBI - 1e-6) * float(MEBI)
    saves = ((numbers.request or 0.0) - suggested) * replicas
    limit = suggested if numbers.limit is not None else None
    return numbers._replace(suggested=suggested, suggested_limit=limit, saves=saves)


def _cores(value: float) -> float:
    """Whole millicores, up."""
    return math.ceil(value * 1000 - 1e-6) / 1000


def sums(advice: Iterable[Advice]) -> list[Sum]:
    """What each virtual cluster requests and would request, those with the most to save first; the host's own last."""
    found: dict[VClusterRef | None, list[float]] = {}
    for item in advice:
        if item.cpu.suggested is None or item.memory.suggested is None:
            continue
        total = found.setdefault(item.key.vcluster, [0.0] * 4)
        for index, value in enumerate(
            (item.cpu.request or 0.0, item.cpu.suggested, item.memory.request or 0.0, item.memory.suggested)
        ):
            total[index] += value * item.replicas
    made = [Sum(vcluster, *total) for vcluster, total in found.items()]
    return sorted(made, key=lambda item: (item.vcluster is None, -item.saves_cores, -item.saves_bytes))
