"""What pods send, receive, read and write: against the kubelet's own summary, Prometheus, and the demo's integrals."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kubectl_vmetrics.demo import server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.demo.usage import worked
from kubectl_vmetrics.metrics import earlier, sampling, traffic
from kubectl_vmetrics.metrics.samples import Reader
from kubectl_vmetrics.metrics.traffic import Counters, Rates
from tests.conftest import Cli, invoke, write_kubeconfig
from tests.prometheus import MISSING, answering, instant_query, unpack
from tests.replay import RECORDINGS

CADVISOR = RECORDINGS / "host" / "api-v1-nodes-vm-proxy-metrics-cadvisor.txt"
SUMMARY = RECORDINGS / "host" / "api-v1-nodes-vm-proxy-stats-summary.json"


def read(text: str | bytes, at: float = 1000.0) -> dict[tuple[str, str], Counters]:
    data = text.encode() if isinstance(text, str) else text
    return traffic.read(Reader(lambda name: name in traffic._FAMILIES).read([data]), at)


def between(before: str, after: str, **how: bool) -> Rates:
    """Rates of the only pod in two expositions."""
    [old], [new] = read(before, 1000.0).values(), read(after, 1010.0).values()
    return Rates(**traffic._between(old, new, with_network=how.get("with_network", True)))


def line(family: str, value: float, at: int, **labels: str) -> str:
    shown = {"namespace": "n", "pod": "p", "id": "/kubepods/p/c", **labels}
    block = ",".join(f'{key}="{text}"' for key, text in shown.items())
    return f"container_{family}{{{block}}} {value} {at * 1000}\n"


def net(family: str, value: float, at: int, **labels: str) -> str:
    return line(f"network_{family}_total", value, at, container="", interface="eth0", **labels)


def disk(family: str, value: float, at: int, **labels: str) -> str:
    return line(f"fs_{family}_total", value, at, **{"container": "main", "device": "/dev/sda", **labels})


# --------------------------------------------------------------------------------------------------------- recordings


def test_the_counters_are_those_of_the_kubelets_summary() -> None:
    """Two endpoints of one kubelet, asked within a second: cAdvisor's samples are a few seconds apart."""
    found = read(CADVISOR.read_bytes())
    summary = {(p["podRef"]["namespace"], p["podRef"]["name"]): p for p in json.loads(SUMMARY.read_text())["pods"]}

    assert set(found) == set(summary)
    same = 0
    for key, pod in summary.items():
        [part] = found[key].network.values()
        received, sent = pod["network"]["rxBytes"], pod["network"]["txBytes"]
        assert part.values["received"] == pytest.approx(received, rel=0.02)
        assert part.values["sent"] == pytest.approx(sent, rel=0.02)
        assert part.values["errors"] == pod["network"]["rxErrors"] + pod["network"]["txErrors"]
        same += part.values["received"] == received
    assert same >= len(summary) - 2


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("traffic")
    unpack(folder)
    with answering({}, folder, "--storage.tsdb.retention.time=100y") as url:
        yield url


AT = 1_795_537_800.0
"""2026-11-24 16:30:00 UTC."""
QUERY = 'container_network_{}_total{{job="kubelet",metrics_path="/metrics/cadvisor",pod!=""}}'


@MISSING
def test_a_rate_of_two_samples_is_prometheus_own(recording: str) -> None:
    """irate() is the rate between the last two samples, without extrapolation."""
    families = ("receive_bytes", "transmit_bytes")
    texts = ["", ""]
    for family in families:
        for series in instant_query(recording, f"{QUERY.format(family)}[90s]", AT):
            labels = {key: value for key, value in series["metric"].items() if key != "__name__"}
            shown = ",".join(f'{key}="{value}"' for key, value in labels.items())
            for index, (at, value) in enumerate(series["values"][-2:]):
                texts[index] += f"container_network_{family}_total{{{shown}}} {value} {int(at * 1000)}\n"
    old, new = read(texts[0]), read(texts[1])
    expected: dict[tuple[str, str], dict[str, float]] = {}
    for family, field in (("receive_bytes", "received"), ("transmit_bytes", "sent")):
        for series in instant_query(recording, f"irate({QUERY.format(family)}[90s])", AT):
            key = series["metric"]["namespace"], series["metric"]["pod"]
            expected.setdefault(key, {})[field] = float(series["value"][1])

    assert len(expected) > 10
    assert any(rates["received"] > 10 for rates in expected.values())
    for key, rates in expected.items():
        found = traffic._between(old[key], new[key], with_network=True)
        assert found["received"] == pytest.approx(rates["received"])
        assert found["sent"] == pytest.approx(rates["sent"])


# -------------------------------------------------------------------------------------------------------------- cases


def test_each_rate_is_over_the_time_between_its_own_samples() -> None:
    before = net("receive_bytes", 100, 1000) + disk("reads_bytes", 50, 990)
    after = net("receive_bytes", 300, 1010) + disk("reads_bytes", 110, 1020)

    assert between(before, after) == Rates(received=20.0, read=2.0)


def test_directions_and_parts_add_up() -> None:
    before = net("receive_errors", 1, 0) + net("transmit_errors", 2, 0) + disk("writes", 0, 0)
    before += disk("writes", 5, 0, device="/dev/sdb") + disk("writes", 7, 0, container="side", id="/kubepods/p/d")
    after = net("receive_errors", 2, 10) + net("transmit_errors", 5, 10) + disk("writes", 10, 10)
    after += disk("writes", 15, 10, device="/dev/sdb") + disk("writes", 17, 10, container="side", id="/kubepods/p/d")

    assert between(before, after) == Rates(errors=0.4, writes=3.0)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (net("receive_bytes", 500, 0), net("receive_bytes", 10, 10)),  # reset
        (net("receive_bytes", 5, 10), net("receive_bytes", 5, 10)),  # the same sample of cAdvisor
        (net("receive_bytes", 5, 0), net("receive_bytes", 50, 10, id="/kubepods/p/new")),  # a new sandbox
        (disk("reads", 1, 0), disk("reads", 9, 10, id="/kubepods/p/restarted")),
    ],
    ids=["reset", "no new sample", "new sandbox", "restarted container"],
)
def test_what_cannot_be_compared_has_no_rate(before: str, after: str) -> None:
    assert between(before, after) == Rates()


def test_a_part_without_an_earlier_sample_leaves_no_partial_sum() -> None:
    before = disk("reads", 1, 0)
    after = disk("reads", 11, 10) + disk("reads", 3, 10, container="new", id="/kubepods/p/d")

    assert between(before, after) == Rates()


def test_interfaces_of_guests_and_cgroups_of_pods_do_not_count_twice() -> None:
    found = read(
        line("network_receive_bytes_total", 7, 0, container="", interface="k6t-eth0")
        + line("network_receive_bytes_total", 8, 0, container="", interface="tap0")
        + disk("reads", 9, 0, container="", id="/kubepods/p")
        + line("network_receive_bytes_total", 9, 0, container="", interface="eth0", namespace="", pod="")
    )

    assert found == {}


def test_pods_in_the_network_of_their_node_have_none_of_their_own() -> None:
    before, after = net("receive_bytes", 1, 0) + disk("reads", 1, 0), net("receive_bytes", 9, 10) + disk("reads", 9, 10)

    assert between(before, after, with_network=False) == Rates(reads=0.8)


def test_waiting_is_that_of_the_container_that_waits_most_and_never_more_than_all_the_time() -> None:
    def stalls(one: float, other: float, at: int) -> str:
        return "".join(
            line("pressure_io_waiting_seconds_total", value, at, container=name, id=name)
            for name, value in (("a", one), ("b", other))
        )

    assert between(stalls(0, 0, 0), stalls(2, 5, 10)).waiting == 0.5
    assert between(stalls(0, 0, 0), stalls(2, 11, 10)).waiting == 1.0


def test_totals_are_of_what_is_known() -> None:
    assert traffic.total([Rates(received=1.0, read=2.0, waiting=0.5), Rates(received=2.0), Rates()]) == Rates(
        received=3.0, read=2.0
    )


# ----------------------------------------------------------------------------------------------------------- commands


class Clock:
    """Time that passes only where a command sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_700_000_000.0
        self.slept = 0.0
        fake = SimpleNamespace(time=lambda: self.now, sleep=self.sleep, monotonic=time.monotonic)
        for module in (earlier, sampling, traffic):
            monkeypatch.setattr(module, "time", fake)

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def on_moving_demo(clock: Clock, tmp_path: Path) -> Iterator[tuple[Cli, Apiserver]]:
    demo = Apiserver(build(Shape()), clock=lambda: clock.now)
    with server.serving(demo) as url:
        path = write_kubeconfig(tmp_path, url)
        yield lambda *args, **more: invoke(*args, f"--cache-dir={tmp_path}", kubeconfig=path, **more), demo


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_pods_move_what_the_demo_says(on_moving_demo: tuple[Cli, Apiserver], clock: Clock) -> None:
    """Its counters are integrals of a known function, of which a rate is the difference."""
    run, demo = on_moving_demo
    found = rows(run("top", "pods", "-A", "--network", "--io", "-o", "csv").stdout)
    pods = {(pod.namespace, pod.name): pod for pod in demo.world.pods}

    assert clock.slept == 15
    assert len(found) == len(pods)
    for row in found:
        pod = pods[row["host_namespace"], row["host_name"]]
        busy = sum(container.millicores for container in pod.containers) * (worked(pod, 15.0) - worked(pod, 0.0)) / 15
        moved = 3 if pod.claim else 1
        for field, expected in (
            ("network_received_bytes_per_second", 400 * busy),
            ("network_sent_bytes_per_second", 900 * busy),
            ("disk_read_bytes_per_second", 120 * moved * busy),
            ("disk_written_bytes_per_second", 500 * moved * busy),
        ):
            assert float(row[field]) == pytest.approx(expected, rel=1e-3, abs=0.5), (row["host_name"], field)


def test_the_sums_of_virtual_clusters_are_those_of_their_pods(on_moving_demo: tuple[Cli, Apiserver]) -> None:
    run, _ = on_moving_demo
    pods = rows(run("top", "pods", "-A", "--network", "--io", "-o", "csv").stdout)
    groups = rows(run("top", "vclusters", "--network", "--io", "-o", "csv").stdout)

    assert len(groups) == 4
    for group in groups:
        mine = [
            pod
            for pod in pods
            if (pod["vcluster_namespace"], pod["vcluster"]) == (group["namespace"], group["name"])
            and not (not group["name"] and pod["host_name"] in ("shop-0", "dev-0"))  # control planes are on their own
        ]
        for field in ("network_received_bytes_per_second", "network_sent_bytes_per_second", "disk_writes_per_second"):
            assert float(group[field]) == pytest.approx(sum(float(pod[field]) for pod in mine), rel=1e-4), field


def test_a_second_call_within_a_minute_does_not_wait(on_moving_demo: tuple[Cli, Apiserver], clock: Clock) -> None:
    run, _ = on_moving_demo
    run("top", "pods", "-n", "team-a", "--network")
    assert clock.slept == 15

    clock.now += 30
    second = run("top", "vclusters", "--io")
    assert (second.code, second.stderr, clock.slept) == (0, "", 15)
    assert "-" not in {row.split()[-1] for row in second.stdout.splitlines()[1:]}
    clock.now += 200
    run("top", "pods", "-A", "--io")
    assert clock.slept == 30


def test_a_node_that_does_not_answer_costs_its_own_rows(on_moving_demo: tuple[Cli, Apiserver]) -> None:
    from kubectl_vmetrics.demo.exchange import Refusal

    run, demo = on_moving_demo
    path = "/api/v1/nodes/worker-1/proxy/metrics/cadvisor"

    def refuse(request: Any) -> Any:
        if request.path == path:
            raise Refusal(503, "ServiceUnavailable", "dial tcp: connection refused")
        return None

    demo.world.routes.insert(0, refuse)
    demo.routes.insert(0, refuse)
    result = run("top", "pods", "-A", "--network", "-o", "csv")

    assert result.code == 1
    assert result.stderr == "Warning: 1 node did not respond: worker-1 (dial tcp: connection refused)\n"
    found = rows(result.stdout)
    assert {row["node"] for row in found if not row["network_received_bytes_per_second"]} == {"worker-1"}
    assert {row["node"] for row in found if row["network_received_bytes_per_second"]} >= {"worker-2", "worker-3"}


def test_the_table(on_moving_demo: tuple[Cli, Apiserver]) -> None:
    run, _ = on_moving_demo
    result = run("top", "pods", "--vcluster", "shop", "-n", "web", "--network", "--sum")

    assert result.stdout.replace(" ", "·") == TABLE
    assert run("top", "pods", "--vcluster", "shop", "-n", "web", "--io").stdout.replace(" ", "·") == IO


TABLE = """\
NAME························CPU(cores)···MEMORY(bytes)···NET-RX·····NET-TX······NET-ERRORS···NET-DROPS···
frontend-wnwgxqdzsf-q7vb7···57m··········171Mi···········22.2Ki/s···49.9Ki/s····0.0/s········0.0/s·······
search-2rvxt76fl2-4fjw5·····104m·········545Mi···········39.8Ki/s···89.6Ki/s····0.0/s········0.0/s·······
····························________·····________········________···________····________·····________····
····························160m·········717Mi···········62.0Ki/s···139.5Ki/s···0.0/s········0.0/s·······
"""
IO = """\
NAME························CPU(cores)···MEMORY(bytes)···DISK-READ···DISK-WRITE···READ-IOPS···WRITE-IOPS···IO-SOME(%)···IO-FULL(%)···
frontend-wnwgxqdzsf-q7vb7···57m··········172Mi···········6.7Ki/s·····27.7Ki/s·····0.4/s·······1.7/s········0.1%·········0.0%·········
search-2rvxt76fl2-4fjw5·····102m·········543Mi···········11.9Ki/s····49.8Ki/s·····0.8/s·······3.1/s········0.2%·········0.1%·········
"""


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["pods", "--network", "--containers"],
            "--containers cannot be used with --network or --io: interfaces belong to pods",
        ),
        (
            ["pods", "--io", "--interval=1s"],
            "--interval must be 5s or more: most kubelets measure every 10 to 15 seconds",
        ),
        (
            ["pods", "--network", "--source=prometheus"],
            "--network cannot be used with --source prometheus",
        ),
        (
            ["vclusters", "--io", "--source=prometheus"],
            "--io cannot be used with --source prometheus",
        ),
        (["pods", "--node="], "--node: the value is empty; leave the option out to see everything"),
    ],
)
def test_bad_input(args: list[str], message: str, on_demo: Cli) -> None:
    assert on_demo("top", *args) == (1, "", f"error: {message}\n")
