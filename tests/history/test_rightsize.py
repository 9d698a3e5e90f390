"""Advice on made-up histories, whose right answers are known."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping

import pytest

from kubectl_vmetrics.history.queries import Metric
from kubectl_vmetrics.history.rightsize import MEBI, Advice, Settings, Sum, Usage, sums
from kubectl_vmetrics.history.steps import Container, Step
from kubectl_vmetrics.history.window import Window
from kubectl_vmetrics.history.workloads import Workload
from kubectl_vmetrics.vcluster.identity import VClusterRef

SHOP = VClusterRef("team-a", "shop")
DAY = 86_400.0
STEP = 900.0
DAYS = 14
WINDOW = Window(1_000_000_000.0, 1_000_000_000.0 + DAYS * DAY)
COUNT = int(DAYS * DAY / STEP)
CART = Workload("Deployment", "cart")
Function = Callable[[int], float]


class Pod:
    """A replica: cores and MiB by the number of the step; None while it does not run."""

    def __init__(
        self,
        name: str,
        cores: Function,
        mebibytes: Function = lambda _: 100.0,
        *,
        alive: Callable[[int], float] = lambda _: 1.0,
        request: tuple[float, float] | None = (1.0, 1000.0),
        limit: tuple[float, float] | None = None,
        kills: Iterable[int] = (),
        throttled: float | None = None,
    ) -> None:
        self.name, self.cores, self.mebibytes, self.alive = name, cores, mebibytes, alive
        self.request, self.limit, self.kills, self.throttled = request, limit, set(kills), throttled

    def amounts(self, k: int) -> dict[Metric, float]:
        seconds = self.alive(k) * STEP
        if not seconds:
            return {}
        peak = self.mebibytes(k) * MEBI
        found = {
            Metric.CPU: self.cores(k) * seconds,
            Metric.MEMORY: peak * 0.9 * seconds,
            Metric.MEMORY_PEAK: peak * STEP,
        }
        for metrics, values in (
            ((Metric.CPU_REQUEST, Metric.MEMORY_REQUEST), self.request),
            ((Metric.CPU_LIMIT, Metric.MEMORY_LIMIT), self.limit),
        ):
            if values:
                found |= {metrics[0]: values[0] * seconds, metrics[1]: values[1] * MEBI * seconds}
        if k in self.kills:
            found[Metric.OOM_KILLS] = 1.0
        if self.throttled is not None:
            found |= {Metric.PERIODS: 10 * seconds, Metric.THROTTLED: 10 * seconds * self.throttled}
        return found


def advised(
    *pods: Pod, settings: Settings | None = None, workload: Workload = CART, steps: range | None = None
) -> Advice:
    (found,) = usage(*pods, workload=workload, steps=steps).advice(settings or Settings())
    return found


def usage(*pods: Pod, workload: Workload = CART, steps: range | None = None) -> Usage:
    found = Usage(WINDOW, lambda namespace, pod: (SHOP, "web", workload))
    for k in steps or range(COUNT):
        amounts: dict[Metric, dict[Container, float]] = {}
        for pod in pods:
            for metric, amount in pod.amounts(k).items():
                amounts.setdefault(metric, {})[Container("team-a", pod.name, "main")] = amount
            if pod.alive(k):
                amounts.setdefault(Metric.RUNNING, {})[Container("team-a", pod.name)] = pod.alive(k) * STEP
        start = WINDOW.start + k * STEP
        found.add(Step(start, start + STEP, amounts, {Metric.CPU: 1.0}))
    return found


def nearest_rank(values: Iterable[float], percent: float) -> float:
    """The percentile as a textbook has it."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def test_constant() -> None:
    """Twice as much is requested as is used, by two replicas."""
    found = advised(*(Pod(name, lambda _: 0.25, lambda _: 200.0, request=(0.5, 1000.0)) for name in "ab"))

    assert (found.cpu.request, found.cpu.percentile, found.cpu.most, found.cpu.suggested) == (0.5, 0.25, 0.25, 0.25)
    assert found.memory.request == 1000 * MEBI
    assert found.memory.most == 200 * MEBI
    assert found.memory.suggested == 230 * MEBI
    assert (found.days, found.replicas, found.kills, found.throttled, found.grows) == (14.0, 2.0, 0, None, False)
    assert math.isclose(found.cpu.saves, 0.5)
    assert math.isclose(found.memory.saves, 2 * 770 * MEBI)
    assert (found.cpu.suggested_limit, found.memory.suggested_limit) == (None, None)


@pytest.mark.parametrize(("share", "expected"), [(0.03, 0.1), (0.10, 2.0)])
def test_bursty(share: float, expected: float) -> None:
    """A burst of 2 cores in 3 % of the steps is beyond the 95th percentile, in 10 % it is not. MAX shows it always."""
    every = round(1 / share)
    found = advised(Pod("a", lambda k: 2.0 if k % every == 0 else 0.1))

    assert (found.cpu.percentile, found.cpu.most, found.cpu.suggested) == (expected, 2.0, expected)
    # Who asks for the 100th percentile gets the burst.
    assert advised(Pod("a", lambda k: 2.0 if k % every == 0 else 0.1), settings=Settings(100.0)).cpu.suggested == 2.0


def test_growing() -> None:
    """Memory that grows to the end: its end counts, and that it grows is reported."""
    found = advised(Pod("a", lambda _: 0.1, lambda k: 100 + k))

    assert found.grows
    assert found.memory.most == (100 + COUNT - 1) * MEBI
    assert found.memory.suggested == math.ceil((100 + COUNT - 1) * 1.15) * MEBI


def test_killed_for_memory() -> None:
    """No sample ever reaches the limit, at which it was killed: the advice is above it all the same."""
    found = advised(Pod("a", lambda _: 0.1, lambda _: 300.0, limit=(1.0, 500.0), kills=(100, 700)))

    assert found.kills == 2
    assert found.memory.limit == 500 * MEBI
    assert found.memory.suggested == found.memory.suggested_limit == 600 * MEBI


def test_killed_before_the_limit_was_raised() -> None:
    before = Pod("a", lambda _: 0.1, lambda _: 300.0, limit=(1.0, 500.0), kills=(100,), alive=lambda k: float(k < 500))
    after = Pod("b", lambda _: 0.1, lambda _: 900.0, limit=(1.0, 2000.0), alive=lambda k: float(k >= 500))
    found = advised(before, after)

    assert (found.memory.limit, found.memory.suggested) == (2000 * MEBI, 1035 * MEBI)


def test_one_replica_idle() -> None:
    """The busy one needs 0.8 cores, whatever the others do."""
    found = advised(
        Pod("a", lambda _: 0.8, lambda _: 700.0), *(Pod(name, lambda _: 0.0, lambda _: 20.0) for name in "bc")
    )

    assert (found.cpu.suggested, found.memory.suggested) == (0.8, 805 * MEBI)
    assert found.replicas == 3.0
    assert math.isclose(found.cpu.saves, 3 * (1.0 - 0.8))


def test_no_request_set() -> None:
    found = advised(Pod("a", lambda _: 0.2, request=None))

    assert (found.cpu.request, found.memory.request) == (None, None)
    assert (found.cpu.suggested, found.memory.suggested) == (0.2, 115 * MEBI)
    assert math.isclose(found.cpu.saves, -0.2)
    assert found.memory.saves == -115 * MEBI


def test_short_lived_jobs() -> None:
    """A job of 5 min every night: its rate while it runs counts, and that it seldom runs makes little of what it saves."""
    night = round(DAY / STEP)
    pods = [
        Pod(f"backup-{n}", lambda _: 1.5, alive=lambda k, n=n: (k == n * night + 8) / 3, request=(2.0, 1000.0))
        for n in range(DAYS)
    ]
    found = advised(*pods, workload=Workload("CronJob", "backup"))

    assert math.isclose(found.cpu.percentile, 1.5)
    assert found.cpu.suggested == 1.5
    assert found.cpu.request == 2.0
    assert found.memory.suggested == 115 * MEBI
    assert math.isclose(found.replicas, DAYS * 300 / (DAYS * DAY))
    assert math.isclose(found.cpu.saves, 0.5 * 300 / DAY)
    assert 12 < found.days < 14


def test_a_job_of_seconds_counts_as_longer() -> None:
    """Of a pod of 9 s, neither its beginning nor its end is exact: 9 core-seconds are not one core."""
    pods = [Pod(f"j-{n}", lambda _: 1.0, alive=lambda k, n=n: (k == n * 100) / 100) for n in range(12)]

    assert math.isclose(advised(*pods, workload=Workload("Job", "j")).cpu.most, 9 / 30)


def test_throttled() -> None:
    often = advised(Pod("a", lambda _: 0.39, request=(0.2, 100.0), limit=(0.4, 200.0), throttled=0.3))
    seldom = advised(Pod("a", lambda _: 0.1, request=(0.2, 100.0), limit=(0.4, 200.0), throttled=0.01))

    assert (often.throttled, often.cpu.suggested, often.cpu.suggested_limit) == (pytest.approx(0.3), 0.39, 0.6)
    assert (seldom.throttled, seldom.cpu.suggested, seldom.cpu.suggested_limit) == (pytest.approx(0.01), 0.1, 0.4)


def test_a_limit_is_never_below_the_request() -> None:
    """More than its limit is used in a step now and then: quotas are of periods."""
    found = advised(Pod("a", lambda _: 0.45, limit=(0.4, 200.0)))

    assert (found.cpu.suggested, found.cpu.suggested_limit) == (0.45, 0.45)


def test_floors() -> None:
    found = advised(Pod("a", lambda _: 0.0001, lambda _: 0.5))
    assert (found.cpu.suggested, found.memory.suggested) == (0.01, 16 * MEBI)

    own = advised(
        Pod("a", lambda _: 0.0001, lambda _: 0.5), settings=Settings(least_cores=0.05, least_bytes=64.0 * MEBI)
    )
    assert (own.cpu.suggested, own.memory.suggested) == (0.05, 64 * MEBI)


@pytest.mark.parametrize("seed", range(8))
def test_never_below_a_percentile_or_what_was_seen(seed: int) -> None:
    """Against a percentile that keeps every sample: at most 2 % above it, never below."""
    chance = random.Random(seed)
    cores = [chance.lognormvariate(-2, 1) for _ in range(COUNT)]
    memory = [chance.uniform(50, 900) for _ in range(COUNT)]
    percent = chance.choice([50.0, 90.0, 95.0, 99.0, 99.9, 100.0])
    found = advised(Pod("a", cores.__getitem__, memory.__getitem__), settings=Settings(percent))

    exact = nearest_rank(cores, percent)
    assert exact * (1 - 1e-9) <= found.cpu.percentile <= exact * 1.021
    assert found.cpu.suggested is not None
    assert found.cpu.percentile <= found.cpu.suggested <= found.cpu.percentile + 0.001
    assert math.isclose(found.cpu.most, max(cores))
    assert math.isclose(found.memory.most, max(memory) * MEBI)
    assert found.memory.suggested is not None
    assert found.memory.suggested >= max(memory) * 1.15 * MEBI


def test_pods_that_are_replaced_are_one_workload() -> None:
    """A new pod every 2 h: each is too short-lived to have a percentile of its own, so all of them have one."""
    names = [f"cart-{n}" for n in range(COUNT // 8)]
    pods = [
        Pod(name, lambda k: 0.1 if k % 50 else 3.0, alive=lambda k, n=n: float(k // 8 == n))
        for n, name in enumerate(names)
    ]
    found = advised(*pods)

    assert (found.cpu.percentile, found.cpu.most) == (0.1, 3.0)
    assert (found.replicas, found.days) == (1.0, 14.0)


def test_less_than_a_day_gives_no_advice() -> None:
    found = advised(Pod("a", lambda _: 0.2), steps=range(COUNT - 90, COUNT))
    assert not found.known
    assert (found.cpu.suggested, found.memory.suggested, found.cpu.saves) == (None, None, 0.0)
    assert (found.cpu.percentile, found.memory.most) == (0.2, 100 * MEBI)
    assert advised(Pod("a", lambda _: 0.2), steps=range(COUNT - 96, COUNT)).known


def test_what_is_gone_gets_no_advice_unless_it_comes_again() -> None:
    gone = Pod("a", lambda _: 0.2, alive=lambda k: float(k < COUNT - 10))
    assert usage(gone).advice(Settings()) == []
    assert len(usage(gone, workload=Workload("CronJob", "a")).advice(Settings())) == 1


def test_days_are_those_with_data() -> None:
    found = Usage(WINDOW, lambda *_: None)
    for k in range(96):
        found.add(Step(k * STEP, (k + 1) * STEP, {}, {Metric.CPU: 0.5}))
    assert found.days == 0.5


def test_sums_of_virtual_clusters() -> None:
    def whose(namespace: str, pod: str) -> tuple[VClusterRef | None, str, Workload]:
        return (SHOP if namespace == "team-a" else None), "web", Workload("Deployment", pod)

    found = Usage(WINDOW, whose)
    of: Mapping[tuple[str, str], float] = {("team-a", "x"): 0.5, ("team-a", "y"): 0.25, ("host", "z"): 1.5}
    for k in range(COUNT):
        amounts: dict[Metric, dict[Container, float]] = {}
        for (namespace, pod), cores in of.items():
            container = Container(namespace, pod, "main")
            amounts.setdefault(Metric.CPU, {})[container] = cores * STEP
            amounts.setdefault(Metric.MEMORY_PEAK, {})[container] = 100 * MEBI * STEP
            amounts.setdefault(Metric.CPU_REQUEST, {})[container] = 1.0 * STEP
        start = WINDOW.start + k * STEP
        found.add(Step(start, start + STEP, amounts, {}))
    advice = found.advice(Settings())

    assert [(item.key.namespace, item.key.workload.name) for item in advice] == [
        ("web", "z"),
        ("web", "x"),
        ("web", "y"),
    ]
    assert sums(advice) == [
        Sum(SHOP, 2.0, 0.75, 0.0, 2 * 115.0 * MEBI),
        Sum(None, 1.0, 1.5, 0.0, 115.0 * MEBI),
    ]
    assert [item.saves_cores for item in sums(advice)] == [1.25, -0.5]


def test_memory_of_many_short_jobs_is_bounded() -> None:
    """Ten thousand pods of a job are not ten thousand sets of numbers."""
    found = Usage(WINDOW, lambda *_: (SHOP, "batch", Workload("CronJob", "tick")))
    for k in range(1000):
        amounts = {Metric.CPU: {Container("team-a", f"tick-{k}-{n}", "main"): 9.0 for n in range(10)}}
        start = WINDOW.start + k * STEP
        found.add(Step(start, start + STEP, amounts, {}))
    (track,) = found._tracks.values()
    assert len(track.replicas) <= 74
    (advice,) = found.advice(Settings())
    assert (advice.cpu.percentile, advice.cpu.most) == (0.01, 0.01)
