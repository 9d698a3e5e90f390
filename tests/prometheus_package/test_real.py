"""Ranges from a real Prometheus and a real VictoriaMetrics: 30 days at 15 seconds, with gaps, resets, NaN and infinity."""

from __future__ import annotations

import math
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubectl_vmetrics.prometheus import way
from kubectl_vmetrics.prometheus.answer import Part
from kubectl_vmetrics.prometheus.api import Prometheus, QueryFailed, TooMuch
from kubectl_vmetrics.prometheus.login import Login
from kubectl_vmetrics.prometheus.probe import best, probe
from tests import prometheus
from tests.remote_write import write
from tests.truth import victoria

pytestmark = prometheus.MISSING

STEP, DAYS = 15, 30
START = 1_764_000_000
COUNT = DAYS * 86400 // STEP
END = START + (COUNT - 1) * STEP
GAP = range(COUNT // 3, COUNT // 3 + 2400)
"""Ten hours without a sample."""


def gauge(index: int) -> float:
    if index % 40_000 == 7:
        return math.inf
    if index % 40_000 == 9:
        return math.nan
    return float(index * 7919 % 1000)


def counter(index: int) -> float:
    """It grows by three every time, and begins anew every 50,000 times."""
    return float(index % 50_000 * 3)


def has_gauge(index: int) -> bool:
    return index not in GAP


def text() -> str:
    """The made-up series as OpenMetrics."""
    gauges = [f'made{{x="1"}} {gauge(index)} {START + index * STEP}' for index in range(COUNT) if has_gauge(index)]
    counters = [f"counted_total {counter(index)} {START + index * STEP}" for index in range(COUNT)]
    lines = ["# TYPE made gauge", *gauges, "# TYPE counted counter", *counters, "# EOF"]
    return "\n".join(lines).replace("inf", "+Inf").replace("nan", "NaN") + "\n"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("month")
    (folder / "samples.om").write_text(text())
    # In one block: promtool reads the whole text once for each.
    whole = ("tsdb", "create-blocks-from", "--max-block-duration=1440h", "openmetrics")
    prometheus.promtool(*whole, str(folder / "samples.om"), str(folder / "data"))
    return folder


@pytest.fixture(scope="module")
def url(data: Path) -> Iterator[str]:
    with prometheus.answering({}, data, "--storage.tsdb.retention.time=100y") as found:
        yield found


@pytest.fixture
def server(url: str) -> Prometheus:
    return Prometheus(way.by_url(url, Login()))


def joined(parts: list[Part]) -> dict[float, float]:
    """The values of the only series; no step may come twice."""
    pairs = [(at, float(value)) for part in parts for series in part.series for at, value in series.values]
    found = dict(pairs)
    assert len(found) == len(pairs)
    return found


def covered(parts: list[Part]) -> None:
    """See that parts are next to each other from the first step to the last."""
    assert [part.start for part in parts] == [START, *(part.end + STEP for part in parts[:-1])]
    assert parts[-1].end == END


def check_month(server: Prometheus) -> None:
    parts = list(server.parts("made", START, END, STEP, series=1))
    covered(parts)
    assert len(parts) == -(-COUNT // 11_000)
    found = joined(parts)
    # In a gap, the last value is repeated for the five minutes of the look-back.
    missing = {START + index * STEP for index in GAP} - found.keys()
    assert len(GAP) - 20 <= len(missing) <= len(GAP) - 18
    for index in range(COUNT):
        moment, expected = START + index * STEP, gauge(index)
        if has_gauge(index):
            assert found[moment] == expected or (math.isnan(found[moment]) and math.isnan(expected))
    # 172,800 differences, resets left out: the last before each is 3 x 49,999.
    values = joined(list(server.parts("counted_total", START, END, STEP, series=1)))
    rises = [values[at] - values[at - STEP] for at in sorted(values) if at - STEP in values]
    assert sum(rise for rise in rises if rise > 0) == 3 * (COUNT - 1 - COUNT // 50_000)
    assert sum(rise < 0 for rise in rises) == COUNT // 50_000 == 3


def test_thirty_days_at_fifteen_seconds(server: Prometheus) -> None:
    check_month(server)


def test_a_range_of_nothing_is_covered_too(server: Prometheus) -> None:
    parts = list(server.parts("nothing", START, END, STEP))
    covered(parts)
    assert joined(parts) == {}


def test_too_many_samples_are_halved(data: Path, tmp_path: Path) -> None:
    """--query.max-samples of 2,000: 1,500 steps do, 6,000 do not."""
    shutil.copytree(data / "data", tmp_path / "data")
    limited = ("--storage.tsdb.retention.time=100y", "--query.max-samples=2000")
    with prometheus.answering({}, tmp_path, *limited) as url:
        server = Prometheus(way.by_url(url, Login()))
        parts = list(server.parts("counted_total", END - 20_000 * STEP, END, STEP, series=1))
        assert max(round((part.end - part.start) / STEP) + 1 for part in parts) <= 2000
        first = COUNT - 1 - 20_000
        assert joined(parts) == {START + index * STEP: counter(index) for index in range(first, COUNT)}
        with pytest.raises(TooMuch) as caught:
            list(server.parts("sum_over_time(counted_total[1d])", START + 86400, END, 86400, series=1))
        assert caught.value.message == f"{url} answered 422: the query is too large for it"


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("sum(", "answered 400 (bad_data): it does not accept the query"),
        (
            "counted_total * on () group_left () (made or counted_total)",
            "answered 422 (execution): it cannot evaluate the query",
        ),
        ('"text"', "does not answer as Prometheus does"),
        ("1", "does not answer as Prometheus does"),
    ],
)
def test_queries_that_fail(expression: str, message: str, server: Prometheus) -> None:
    with pytest.raises(QueryFailed) as caught:
        server.query(expression, at=START + 600)
    assert caught.value.message == f"{server.name} {message}"


def test_how_far_back_it_goes(server: Prometheus) -> None:
    found = server.oldest("counted_total", now=END)
    assert found is not None
    assert START <= found < START + 300
    assert server.oldest("counted_total", now=END, most=86400.0) == pytest.approx(END - 86400, abs=300)
    assert server.oldest("nothing", now=END) is None


def test_what_it_has(server: Prometheus) -> None:
    (found,) = probe([server], now=END)
    assert (found.error, found.version[:2], found.retention) == (None, "2.", "100y")
    assert (found.targets, found.containers, found.state, found.names, found.recorded) == (0, 0, 0, 0, 0)
    assert best([found]) is found


def test_it_restarts_in_the_middle(data: Path, tmp_path: Path) -> None:
    """Stopped after the first part, and started at the same port while the second is waited for."""
    shutil.copytree(data / "data", tmp_path / "data")
    config = prometheus.checked({}, tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/data"]
    command += [
        f"--web.listen-address=127.0.0.1:{port}",
        "--storage.tsdb.retention.time=100y",
    ]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    running = [start()]
    try:
        prometheus.query(f"http://127.0.0.1:{port}", "vector(1)")
        parts = Prometheus(way.by_url(f"http://127.0.0.1:{port}", Login())).parts(
            "counted_total", START, END, STEP, series=1
        )
        found = [next(parts)]
        os.kill(running[0].pid, signal.SIGKILL)
        running[0].wait(30)
        timer = threading.Timer(0.5, lambda: running.append(start()))
        timer.start()
        found += list(parts)
        timer.join()
    finally:
        for process in running:
            process.kill()
            process.wait(30)
    covered(found)
    assert joined(found) == {START + index * STEP: counter(index) for index in range(COUNT)}


# ------------------------------------------------------------------------------------------------- VictoriaMetrics


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with victoria.running(tmp_path_factory.mktemp("victoria")) as url:
        for name, number, has in (("made", gauge, has_gauge), ("counted_total", counter, lambda _: True)):
            samples = [
                ((START + index * STEP) * 1000, struct.pack("<d", number(index)))
                for index in range(COUNT)
                if has(index)
            ]
            for first in range(0, len(samples), 20_000):
                write(url, [({"__name__": name}, samples[first : first + 20_000])])
        victoria.flush(url)
        yield url


@victoria.MISSING
def test_victoria_metrics_answers_the_same(single: str, server: Prometheus) -> None:
    found = Prometheus(way.by_url(f"{single}/prometheus/api/v1", Login()))
    start, end = START + 7, END - 8  # no multiple of the step, which its cache would move
    for expression in ("counted_total", "max_over_time(counted_total[5m])"):
        theirs = joined(list(server.parts(expression, start, end, STEP, series=1)))
        ours = joined(list(found.parts(expression, start, end, STEP, series=1)))
        late = {at: value for at, value in theirs.items() if at > START + 300}
        assert {at: value for at, value in ours.items() if at > START + 300} == late
    # NaN and infinity are no JSON, and VictoriaMetrics drops what is NaN.
    seen = {at: value for at, value in joined(list(found.parts("made", START, END, STEP))).items() if math.isinf(value)}
    assert set(seen) == {
        START + index * STEP for index in range(COUNT) if has_gauge(index) and math.isinf(gauge(index))
    }
    assert found.oldest("counted_total", now=END) == pytest.approx(START, abs=300)
    (seen_by_probe,) = probe([found], now=END)
    assert (seen_by_probe.error, seen_by_probe.version) == (None, "")


def test_times_are_whole_milliseconds(server: Prometheus) -> None:
    parts = list(server.parts("counted_total", START + 0.1, START + 100.1, 0.3))
    assert [at for part in parts for at, _ in part.series[0].values] == [
        pytest.approx(START + 0.1 + index * 0.3, abs=0.001) for index in range(334)
    ]
