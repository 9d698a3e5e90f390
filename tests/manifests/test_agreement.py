"""Dashboards and `controlplanes` show the same numbers: a real Prometheus holds what a recorded control plane of two
replicas served, as the ServiceMonitor leaves it, and answers each query of the dashboards; the same texts are read here.
"""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from kubectl_vmetrics.controlplane import figures
from kubectl_vmetrics.controlplane.figures import Figures
from kubectl_vmetrics.controlplane.plane import APISERVER, CONTROLLER_MANAGER, SCHEDULER, Component
from kubectl_vmetrics.manifests import dashboards
from kubectl_vmetrics.manifests.controlplane import DROP
from kubectl_vmetrics.manifests.grafana import Dashboard, Panel
from kubectl_vmetrics.metrics.samples import Labels, Reader
from kubectl_vmetrics.metrics.snapshot import Pair, Snapshot
from tests.controlplane.test_figures import AT, recorded
from tests.manifests.test_dashboards import RENAMED, ask, lines
from tests.prometheus import MISSING, answering

CLUSTER = "tenants/acme"
Values = dict[tuple[str, ...], float | None]


class Replica(NamedTuple):
    """A component of a replica: what it served at two times, and what is read from that."""

    name: str
    instance: str
    texts: tuple[str, str]

    @property
    def pair(self) -> Pair:
        reader = Reader(lambda _: True)
        before, after = (reader.read([text.encode()]) for text in self.texts)
        return Pair(Snapshot(before, AT - 15.0), Snapshot(after, float(AT)))

    @property
    def figures(self) -> Figures:
        return figures.read(Component(self.name, self.instance, "10.244.0.1", 6443), self.pair)


def _more(found: re.Match[str]) -> str:
    return f"{found[1]} {int(found[2]) * 2}"


def served(name: str, *, leads: bool) -> tuple[str, str]:
    """What was recorded, which elected nobody, with a leader and a standby that still holds what it knew as one."""
    texts = [recorded(name, moment).decode() for moment in ("t0", "t15")]
    if name == SCHEDULER:  # which had nothing to do just then
        texts[1] = re.sub(
            r"(?m)^(scheduler_scheduling_attempt\S+|scheduler_schedule_attempts\S+) (\d+)$", _more, texts[1]
        )
    if name != APISERVER:
        elected = f'leader_election_master_status{{name="kube-{name}"}} {int(leads)}\n'
        waiting = "5" if leads else "7"
        changed = (
            re.sub(r'(?m)^(scheduler_pending_pods\{queue="unsch.*\}) \S+$', rf"\g<1> {waiting}", t) for t in texts
        )
        texts = [text + elected for text in changed]
    return texts[0], texts[1]


REPLICAS = [
    Replica(name, f"10.0.0.{number}:1", served(name, leads=number == 1))
    for number in (1, 2)
    for name in (APISERVER, CONTROLLER_MANAGER, SCHEDULER)
]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("agreement")
    dropped = re.compile(DROP["regex"])
    found: dict[str, list[str]] = {}
    left_out = 0
    for replica in REPLICAS:
        labels = {"job": RENAMED.get(replica.name, replica.name), "instance": replica.instance, "cluster": CLUSTER}
        for text, at in zip(replica.texts, (AT - 15, AT), strict=True):
            for name, line in [*lines(text.splitlines(), at, **labels), *lines(["up 1"], at, **labels)]:
                bound = re.search(r'le="([^"]*)"', line)
                if replica.name == APISERVER and dropped.fullmatch(f"{name};{bound[1] if bound else ''}"):
                    left_out += 1
                    continue
                found.setdefault(name, []).append(line)
    assert left_out > 1000
    text = "\n".join(line for listed in found.values() for line in listed) + "\n# EOF\n"
    (folder / "samples").write_text(text)
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(folder / "samples"), str(folder / "data")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    with answering({"scrape_configs": []}, folder, "--storage.tsdb.retention.time=100y") as url:
        yield url


# ------------------------------------------------------------------------------------------------- what is read here


def of(*names: str) -> list[Replica]:
    return [replica for replica in REPLICAS if replica.name in (names or [item.name for item in REPLICAS])]


def whole(value: Callable[[Figures], float | None], *names: str) -> float:
    """The sum over replicas."""
    return sum(value(item.figures) or 0.0 for item in of(*names))


def each(value: Callable[[Replica], float | None], *names: str, job: bool = False) -> Values:
    """By instance, and by job as Prometheus knows it."""
    return {
        ((RENAMED.get(item.name, item.name),) if job else ()) + (item.instance,): value(item) for item in of(*names)
    }


def by(label: str, value: Callable[[Pair, Callable[[Labels], bool]], float | None], family: str, *names: str) -> Values:
    """By the values of a label, summed over replicas."""
    found: Values = {}
    for replica in of(*names):
        pair = replica.pair
        for text in {item.labels.get(label, "") for item in pair.after.series(family)}:
            told = value(pair, lambda labels, text=text: labels.get(label, "") == text)  # type: ignore[misc]
            if told is not None:
                found[(text,)] = (found.get((text,)) or 0.0) + told
    return found


def mean(values: Values) -> Values:
    """Quantiles of replicas that served the same are those of both together."""
    return {key: None if value is None else value / 2 for key, value in values.items()}


def requests(label: str) -> Values:
    def rate(pair: Pair, here: Callable[[Labels], bool]) -> float | None:
        return pair.rate(figures.REQUESTS, lambda labels: here(labels) and figures.is_short(labels))

    return by(label, rate, figures.REQUESTS, APISERVER)


def rates(label: str, family: str, *names: str) -> Values:
    return by(label, lambda pair, here: pair.rate(family, here), family, *names)


def totals(label: str, family: str, *names: str) -> Values:
    return by(label, lambda pair, here: pair.after.total(family, here), family, *names)


def quantiles(label: str, family: str, *names: str) -> Values:
    def quantile(pair: Pair, here: Callable[[Labels], bool]) -> float | None:
        short = family != figures.DURATIONS
        return pair.quantile(0.99, family, lambda labels: here(labels) and (short or figures.is_short(labels)))

    return mean(by(label, quantile, family, *names))


def first(name: str) -> Figures:
    return of(name)[0].figures


def yes(value: bool | None) -> float | None:
    return None if value is None else float(value)


ALONE = (CLUSTER,)
QUEUE = "workqueue_queue_duration_seconds_bucket"
EXPECTED: Mapping[tuple[str, str], Callable[[], Values]] = {
    # Every panel of both dashboards; what `controlplanes` shows is taken from its figures, the rest from the texts.
    ("vmetrics-control-planes", "Components up"): lambda: {(): 6.0},
    ("vmetrics-control-planes", "Components down"): lambda: {(): 0.0},
    ("vmetrics-control-planes", "Requests"): lambda: {(): whole(lambda f: f.requests, APISERVER)},
    ("vmetrics-control-planes", "Control planes"): lambda: {ALONE: 6.0},
    ("vmetrics-control-planes", "Request rate"): lambda: {ALONE: whole(lambda f: f.requests, APISERVER)},
    ("vmetrics-control-planes", "Failed requests"): lambda: {ALONE: first(APISERVER).failed},
    ("vmetrics-control-planes", "p99 latency"): lambda: {ALONE: first(APISERVER).p99},
    ("vmetrics-control-planes", "CPU"): lambda: {ALONE: whole(lambda f: f.process.cores)},
    ("vmetrics-control-planes", "Memory"): lambda: {ALONE: whole(lambda f: f.process.memory_bytes)},
    ("vmetrics-control-planes", "Objects"): lambda: {ALONE: first(APISERVER).objects},
    ("vmetrics-control-planes", "p99 storage latency"): lambda: {ALONE: first(APISERVER).etcd_p99},
    ("vmetrics-control-planes", "Database size"): lambda: {
        ALONE: of(APISERVER)[0].pair.after.total("apiserver_storage_size_bytes")
    },
    ("vmetrics-control-plane", "Requests by verb"): lambda: requests("verb"),
    ("vmetrics-control-plane", "Requests by code"): lambda: requests("code"),
    ("vmetrics-control-plane", "p99 latency by verb"): lambda: quantiles("verb", figures.DURATIONS, APISERVER),
    ("vmetrics-control-plane", "Requests in flight"): lambda: totals("request_kind", figures.INFLIGHT, APISERVER),
    ("vmetrics-control-plane", "Watches"): lambda: each(lambda item: item.figures.watches, APISERVER),
    ("vmetrics-control-plane", "p99 storage latency"): lambda: quantiles("operation", figures.ETCD, APISERVER),
    ("vmetrics-control-plane", "Resources with the most objects"): lambda: mean(
        totals("resource", figures.OBJECTS[0], APISERVER)
    ),
    ("vmetrics-control-plane", "Queued requests"): lambda: totals(
        "priority_level", "apiserver_flowcontrol_current_inqueue_requests", APISERVER
    ),
    ("vmetrics-control-plane", "Queue depth"): lambda: totals("name", figures.QUEUE, CONTROLLER_MANAGER),
    ("vmetrics-control-plane", "Queue additions"): lambda: rates("name", "workqueue_adds_total", CONTROLLER_MANAGER),
    ("vmetrics-control-plane", "p99 queue wait"): lambda: quantiles("name", QUEUE, CONTROLLER_MANAGER),
    ("vmetrics-control-plane", "Outgoing requests"): lambda: rates(
        "code", "rest_client_requests_total", CONTROLLER_MANAGER
    ),
    ("vmetrics-control-plane", "Pending pods"): lambda: {
        (queue,): value for queue, value in first(SCHEDULER).pending.items()
    },
    ("vmetrics-control-plane", "Scheduling attempts by result"): lambda: rates("result", figures.ATTEMPTS, SCHEDULER),
    ("vmetrics-control-plane", "p99 scheduling attempt duration"): lambda: quantiles(
        "result", figures.ATTEMPT_DURATIONS, SCHEDULER
    ),
    ("vmetrics-control-plane", "Failed requests"): lambda: each(lambda item: item.figures.failed, SCHEDULER),
    ("vmetrics-control-plane", "CPU"): lambda: each(lambda item: item.figures.process.cores, job=True),
    ("vmetrics-control-plane", "Memory"): lambda: each(lambda item: item.figures.process.memory_bytes, job=True),
}
LEADERS = {0: CONTROLLER_MANAGER, 1: SCHEDULER}
"""Two panels have one title."""
PANELS = [
    (item, panel, index)
    for item in (dashboards.CONTROL_PLANES, dashboards.CONTROL_PLANE)
    for index, panel in enumerate(item.panels)
]


def chosen(expression: str) -> str:
    return expression.replace("$__rate_interval", "15s").replace("$cluster", CLUSTER)


def told(series: list[dict[str, Any]], legend: str) -> Values:
    """Values by the labels that the legend shows; those of a table by all."""
    labels = re.findall(r"\{\{(\w+)\}\}", legend)
    found: Values = {}
    for item in series:
        key = tuple(item["metric"].get(label, "") for label in labels or sorted(item["metric"]))
        assert key not in found, f"{key} comes twice"
        value = float(item["value"][1])
        found[key] = None if math.isnan(value) else value
    return found


@MISSING
@pytest.mark.parametrize(
    ("item", "panel", "index"), PANELS, ids=[f"{item.name}: {panel.title} {index}" for item, panel, index in PANELS]
)
def test_a_dashboard_shows_what_the_command_shows(item: Dashboard, panel: Panel, index: int, prometheus: str) -> None:
    ((expression, legend),) = panel.queries
    shown = told(ask(prometheus, chosen(expression)), legend)
    if panel.title == "Leader":
        before = sum(
            other.title == "Leader" for _, other, at in PANELS[: len(PANELS)] if at < index and other in item.panels
        )
        expected = each(lambda one: yes(one.figures.leading), LEADERS[before])
    else:
        expected = EXPECTED[item.name, panel.title]()
    known = {key: value for key, value in expected.items() if value is not None}
    shown = {key: value for key, value in shown.items() if value is not None}
    if "topk(" in expression:
        assert len(shown) == min(10, len(known))
        assert sorted(shown.values()) == pytest.approx(sorted(known.values())[-len(shown) :])
        known = {key: known[key] for key in shown}

    assert shown == pytest.approx(known)
    assert shown


def test_every_panel_is_compared() -> None:
    assert {(item.name, panel.title) for item, panel, _ in PANELS} == {
        *EXPECTED,
        ("vmetrics-control-plane", "Leader"),
    }
    assert sum(panel.title == "Leader" for _, panel, _ in PANELS) == len(LEADERS)
