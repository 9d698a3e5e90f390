"""Amounts per step, of made-up pods that do what pods and servers do, in a real Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from kubectl_vmetrics.history import steps
from kubectl_vmetrics.history.steps import Container, Metric
from kubectl_vmetrics.history.window import Window
from kubectl_vmetrics.prometheus import way
from kubectl_vmetrics.prometheus.api import Prometheus
from kubectl_vmetrics.prometheus.login import Login
from tests.prometheus import MISSING, blocks
from tests.truth import evaluated

pytestmark = MISSING

START = 1_700_000_000
HOUR, SCRAPE = 3600, 30
WINDOW = Window(START, START + HOUR)
BEFORE, AFTER = -1800, HOUR + 1800
GAP = 2700, 3000
"""Seconds of the window in which there are no samples at all."""
MIB = 1 << 20
CADVISOR = 'job="kubelet",metrics_path="/metrics/cadvisor"'
STEPS = (60, 300, 700, 900, 3600)

Value = Callable[[int], float | str | None]


def series(labels: str, value: Value, start: int = BEFORE, end: int = AFTER, gap: Sequence[int] = GAP) -> Iterator[str]:
    """Samples of one series; None for none at that time."""
    for at in range(start, end + 1, SCRAPE):
        number = None if gap[0] <= at < gap[1] else value(at)
        if number is not None:
            yield f"{labels} {number} {START + at}"


def on(node: str, job: str = CADVISOR) -> str:
    return f'{job},instance="{node}:10250",node="{node}"'


def pod(name: str, node: str = "one", job: str = CADVISOR, uid: str = "") -> str:
    """The cgroup of a pod and its only container."""
    return f'{on(node, job)},namespace="ns",pod="{name}",cpu="total",id="/kubepods/pod{uid or name}"'


def cpu(name: str, value: Value, start: int = BEFORE, end: int = AFTER, **more: str) -> list[str]:
    """CPU of a pod: nine tenths are its container's."""

    def inside(at: int) -> float | str | None:
        number = value(at)
        return number * 0.9 if isinstance(number, float) else number

    place = pod(name, **more)
    family = "container_cpu_usage_seconds_total"
    own = place.removesuffix('"') + '/c"'
    return [
        *series(f'{family}{{{place},container="",image=""}}', value, start, end),
        *series(f'{family}{{{own},container="main",image="x"}}', inside, start, end),
    ]


def memory(name: str, value: Value, start: int = BEFORE, end: int = AFTER, **more: str) -> list[str]:
    own = pod(name, **more).removesuffix('"') + '/c"'
    return [*series(f'container_memory_working_set_bytes{{{own},container="main",image="x"}}', value, start, end)]


def state(family: str, labels: str, value: Value, start: int = BEFORE, end: int = AFTER) -> list[str]:
    labels = f'job="kube-state-metrics",instance="state:8080",{labels}'
    return [*series(f"{family}{{{labels}}}", value, start, end)]


def rising(cores: float, since: int = BEFORE, base: float = 0.0) -> Value:
    return lambda at: float(base + cores * (at - since))


def samples() -> str:
    lines = []
    for node, start in (("one", BEFORE), ("late", 1800)):
        for family in ("machine_cpu_cores", "machine_memory_bytes"):
            lines += series(f"{family}{{{on(node)}}}", lambda _: 4.0, start)
        lines += state("kube_node_info", f'node="{node}"', lambda _: 1.0)
    lines += cpu("steady", rising(0.1, base=1000.0))
    # The same kubelet, scraped by another job.
    lines += cpu("steady", rising(0.1, base=1000.0), job='job="kubelet-again",metrics_path="/metrics/cadvisor"')
    lines += cpu("reset", lambda at: 500.0 + 0.1 * at if at < 1200 else 0.1 * (at - 1200))
    lines += cpu("born", rising(0.2, 1200), 1200)
    lines += cpu("gone", lambda at: "NaN" if at == 600 else 70.0 + 0.1 * at, end=2400)
    lines += cpu("again", rising(0.1, base=9.0), end=1500, uid="1")
    lines += cpu("again", rising(0.1, 1800), 1800, uid="2")
    lines += cpu("old", rising(0.1, base=5000.0), 1800, node="late")
    # Such a series a tenant could export from a pod of its own.
    lines += cpu("forged", rising(50.0), job='job="shop-x-default-x-vc",metrics_path="/metrics"')
    lines += memory("steady", lambda _: 100.0 * MIB)
    lines += memory("born", lambda _: 10.0 * MIB, 1200)
    lines += memory("gone", lambda at: "NaN" if at == 600 else 100.0 * MIB, end=2400)
    lines += memory("again", lambda _: 50.0 * MIB, end=1500, uid="1")
    lines += memory("again", lambda _: 50.0 * MIB, 1800, uid="2")
    lines += memory("growing", lambda at: float((at - BEFORE) * 1000))
    for name, end in (("steady", AFTER), ("gone", 2400)):
        place = f'namespace="ns",pod="{name}",uid="{name}"'
        resource = f'{place},container="main",resource="cpu",unit="core"'
        lines += state("kube_pod_container_resource_requests", resource, lambda _: 0.5, end=end)
        lines += state("kube_pod_status_phase", f'{place},phase="Running"', lambda _: 1.0, end=end)
    # A finished job keeps its requests, in kube-state-metrics; and a pod that waits for its image has some already.
    for name, running in (("finished", lambda at: float(at < 900)), ("waiting", lambda _: 0.0)):
        place = f'namespace="ns",pod="{name}",uid="{name}"'
        resource = f'{place},container="main",resource="cpu",unit="core"'
        lines += state("kube_pod_container_resource_requests", resource, lambda _: 2.0)
        lines += state("kube_pod_status_phase", f'{place},phase="Running"', running)
    place = 'namespace="ns",pod="steady",uid="steady",container="main"'
    lines += state("kube_pod_container_status_restarts_total", place, lambda at: 7.0 + (at > 1000) + (at > 2000))
    killed = f'{place},reason="OOMKilled"'
    lines += state("kube_pod_container_status_last_terminated_reason", killed, lambda _: 1.0, 1020, 1980)
    return "\n".join(sorted(lines, key=lambda line: line.rpartition("{")[0])) + "\n# EOF\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("steps")
    blocks(folder, samples())
    with evaluated.recorded(folder) as url:
        yield Prometheus(way.by_url(url, Login()))


def sums(
    server: Prometheus, metric: Metric, step: float, window: Window = WINDOW, *, containers: bool = True
) -> dict[str, float]:
    """Amounts of all steps, by pod."""
    found: dict[str, float] = {}
    before = window.start
    for item in steps.read(server, window, step, [metric], containers=containers):
        assert item.start == before
        assert item.end - item.start == pytest.approx(min(step, window.end - item.start))
        before = item.end
        for container, amount in item.amounts[metric].items():
            found[container.pod] = found.get(container.pod, 0.0) + amount
    assert before == window.end
    return found


CORE_SECONDS = {
    "steady": 360.0,
    "reset": 360.0,
    "born": 480.0,
    "gone": 240.0,
    "again": 150.0 + 180.0,
    "old": 180.0,
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("containers", [True, False])
def test_cpu_adds_up(step: int, containers: bool, server: Prometheus) -> None:
    """Over resets, births, ends, a pod of the same name, a node that is new to the Prometheus, NaN and a gap.

    What is counted between two scrapes, at the end of a pod or at a reset, is in no sample.
    """
    found = sums(server, Metric.CPU, step, containers=containers)
    assert found == pytest.approx(CORE_SECONDS, abs=0.2 * SCRAPE)
    assert found["steady"] == pytest.approx(360.0, rel=0.001)


@pytest.mark.parametrize("step", STEPS)
def test_cpu_of_containers_and_of_the_rest(step: int, server: Prometheus) -> None:
    found: dict[Container, float] = {}
    for item in steps.read(server, WINDOW, step, [Metric.CPU]):
        for container, amount in item.amounts[Metric.CPU].items():
            found[container] = found.get(container, 0.0) + amount
    assert found[Container("ns", "steady", "main")] == pytest.approx(324.0, rel=0.001)
    assert found[Container("ns", "steady", "")] == pytest.approx(36.0, rel=0.01)


def test_two_windows_are_one(server: Prometheus) -> None:
    """What follows each other adds up, to the last digit where the step is short."""
    half = START + HOUR // 2
    for step, tolerance in ((60, 1e-9), (900, 1e-2)):
        whole = sums(server, Metric.CPU, step)
        first, second = (
            sums(server, Metric.CPU, step, Window(START, half)),
            sums(server, Metric.CPU, step, Window(half, START + HOUR)),
        )
        for name in ("steady", "born", "gone"):
            assert first.get(name, 0.0) + second[name] == pytest.approx(whole[name], rel=tolerance, abs=0.01)


def test_each_step_of_what_is_steady(server: Prometheus) -> None:
    """The gap of five minutes is no different."""
    for step in (60, 300):
        for item in steps.read(server, WINDOW, step, [Metric.CPU, Metric.MEMORY], containers=False):
            length = item.end - item.start
            assert item.amounts[Metric.CPU][Container("ns", "steady")] == pytest.approx(0.1 * length, rel=0.001)
            memory = item.amounts[Metric.MEMORY]
            assert memory[Container("ns", "steady", "main")] == pytest.approx(100 * MIB * length, rel=0.001)


def test_coverage(server: Prometheus) -> None:
    """Of the steps, one lies in the gap."""
    shares = [item.present[Metric.CPU] for item in steps.read(server, WINDOW, 300, [Metric.CPU])]
    assert shares == pytest.approx([1] * 9 + [0] + [1, 1], abs=0.15)
    shares = [item.present[Metric.CPU_REQUEST] for item in steps.read(server, WINDOW, 1200, [Metric.CPU_REQUEST])]
    assert shares == pytest.approx([1, 1, 0.75], abs=0.05)


@pytest.mark.parametrize("step", STEPS)
def test_memory_adds_up(step: int, server: Prometheus) -> None:
    """A container that is gone, or not yet there, holds nothing."""
    found = sums(server, Metric.MEMORY, step)
    # A sample stands for up to 75 s in the shortest steps; in the longest, what is gone is compared with what had a gap.
    edge = 100.0 * MIB * (75 if step < 700 else 300)
    assert found == pytest.approx(
        {
            "steady": 100.0 * MIB * HOUR,
            "born": 10.0 * MIB * 2400,
            "gone": 100.0 * MIB * 2400,
            "again": 50.0 * MIB * 3300,
            "growing": (1800 + HOUR / 2) * 1000 * HOUR,
        },
        abs=edge,
        rel=0.01,
    )


def test_peaks(server: Prometheus) -> None:
    peaks = [item.amounts[Metric.MEMORY_PEAK] for item in steps.read(server, WINDOW, 900, [Metric.MEMORY_PEAK])]
    shown = [found[Container("ns", "growing", "main")] / 900 for found in peaks]
    # The last samples before the gap and before the end.
    assert shown == pytest.approx([(1800 + at) * 1000 for at in (900, 1800, 2670, 3600)])


@pytest.mark.parametrize("step", STEPS)
def test_requests_are_those_of_pods_that_run(step: int, server: Prometheus) -> None:
    found = sums(server, Metric.CPU_REQUEST, step)
    assert found == pytest.approx({"steady": 0.5 * HOUR, "gone": 0.5 * 2400, "finished": 2.0 * 900}, abs=2.0 * 75)


def test_restarts_are_whole(server: Prometheus) -> None:
    """Two, of which one was after an OOM kill."""
    for step in (60, 300):
        found = list(steps.read(server, WINDOW, step, [Metric.RESTARTS, Metric.OOM_KILLS]))
        key = Container("ns", "steady", "main")
        restarts = {
            item.end - START: item.amounts[Metric.RESTARTS][key] for item in found if item.amounts[Metric.RESTARTS]
        }
        assert restarts == {-(-1020 // step) * step: 1.0, -(-2010 // step) * step: 1.0}
        assert sum(sum(item.amounts[Metric.OOM_KILLS].values()) for item in found) == 1.0


def test_progress(server: Prometheus) -> None:
    seen: list[tuple[int, int]] = []
    list(steps.read(server, WINDOW, 700, [Metric.CPU], progress=lambda done, total: seen.append((done, total))))
    assert seen == [(5, 6), (6, 6)]


def test_a_window_without_any_data(server: Prometheus) -> None:
    window = Window(START - 90_000, START - 80_000)
    found = list(steps.read(server, window, 5000, [Metric.CPU, Metric.MEMORY, Metric.CPU_REQUEST]))
    assert [(item.amounts, item.present) for item in found] == [
        (
            {Metric.CPU: {}, Metric.MEMORY: {}, Metric.CPU_REQUEST: {}},
            {Metric.CPU: 0.0, Metric.MEMORY: 0.0, Metric.CPU_REQUEST: 0.0},
        )
    ] * 2


def test_where_samples_begin_nothing_is_born(server: Prometheus) -> None:
    """The counter of 1000 core-seconds was there before."""
    window = Window(START - 7200, START)
    for step in (60, 600, 3600):
        assert sums(server, Metric.CPU, step, window)["steady"] == pytest.approx(180.0, abs=0.1 * step + 6)


def test_the_last_step_is_no_different_where_samples_have_not_gone_further(server: Prometheus) -> None:
    """The newest scrape is up to 25 s older than the end, and the last step may be shorter than that."""
    for over in (1, 10, 20, 25):
        window = Window(START + 4000, START + AFTER + over)
        found = list(steps.read(server, window, 60, [Metric.CPU], containers=False))
        shown = [item.amounts[Metric.CPU][Container("ns", "steady")] / (item.end - item.start) for item in found]
        assert shown == pytest.approx([0.1] * len(shown), rel=0.001)
