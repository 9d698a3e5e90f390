"""Figures from the recorded scrapes of a real control plane, held against a real Prometheus on the same two samples."""

from __future__ import annotations

import gzip
import json
import math
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubectl_vmetrics.controlplane import figures
from kubectl_vmetrics.controlplane.figures import Figures
from kubectl_vmetrics.metrics.samples import Reader
from kubectl_vmetrics.metrics.snapshot import Pair, Snapshot
from tests.prometheus import MISSING, answering

RECORDINGS = Path(__file__).parents[1] / "recordings" / "k8s-1.36" / "controlplane"
AT = 1_790_000_000
JOBS = ("apiserver", "controller-manager", "scheduler")
SHORT = 'verb!~"WATCH|WATCHLIST|CONNECT|PROXY",subresource!~"proxy|log|exec|attach|portforward"'


def recorded(job: str, moment: str) -> bytes:
    return gzip.decompress((RECORDINGS / f"{job}-{moment}.prom.gz").read_bytes())


def read(job: str) -> Figures:
    reader = Reader(figures.wanted)
    before, after = (
        Snapshot(reader.read([recorded(job, moment)]), at) for moment, at in (("t0", AT - 15.0), ("t15", float(AT)))
    )
    return figures.read(job, Pair(before, after))


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that holds both scrapes, at the two times."""
    folder = tmp_path_factory.mktemp("blocks")
    lines: dict[str, list[str]] = {}
    for job in JOBS:
        for moment, at in (("t0", AT - 15), ("t15", AT)):
            for line in recorded(job, moment).decode().splitlines():
                found = re.match(r"([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)$", line)
                if found:
                    labels = f'{{job="{job}",{found[2][1:]}' if found[2] else f'{{job="{job}"}}'
                    lines.setdefault(found[1], []).append(f"{found[1]}{labels} {found[3]} {at}")
    text = "\n".join(line for listed in lines.values() for line in listed) + "\n# EOF\n"
    (folder / "samples").write_text(text)
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(folder / "samples"), str(folder / "data")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    with answering({"scrape_configs": []}, folder, "--storage.tsdb.retention.time=100y") as url:
        yield url


@pytest.fixture
def ask(prometheus: str) -> Callable[[str], float]:
    def query(expression: str) -> float:
        url = f"{prometheus}/api/v1/query?time={AT}&query={urllib.parse.quote(expression)}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            found = json.loads(answer.read())["data"]["result"]
        return float(found[0]["value"][1]) if found else math.nan

    return query


def quantile(selector: str, family: str = "apiserver_request_duration_seconds_bucket", job: str = "apiserver") -> str:
    comma = "," if selector else ""
    return f'histogram_quantile(0.99, sum by (le) (rate({family}{{job="{job}"{comma}{selector}}}[15s])))'


@MISSING
def test_an_apiserver(ask: Callable[[str], float]) -> None:
    found = read("apiserver")
    total = f'sum(rate(apiserver_request_total{{job="apiserver",{SHORT}}}[15s]))'
    failed = f'sum(rate(apiserver_request_total{{job="apiserver",{SHORT},code=~"5.."}}[15s]))'

    assert found.requests == pytest.approx(ask(total))
    assert found.requests > 1
    expected = ask(f"({failed} or vector(0)) / {total}")
    assert found.failed == pytest.approx(expected)
    assert found.p99 == pytest.approx(ask(quantile(SHORT)))
    assert found.p99_read == pytest.approx(ask(quantile(f'{SHORT},verb=~"GET|LIST"')))
    writes = "POST|PUT|PATCH|DELETE|DELETECOLLECTION|APPLY"
    assert found.p99_write == pytest.approx(ask(quantile(f'{SHORT},verb=~"{writes}"')))
    assert found.etcd_p99 == pytest.approx(ask(quantile("", "etcd_request_duration_seconds_bucket")))
    assert found.inflight == ask('sum(apiserver_current_inflight_requests{job="apiserver"})')
    assert found.watches == ask('sum(apiserver_longrunning_requests{job="apiserver",verb="WATCH"})')
    assert found.queued == ask('sum(workqueue_depth{job="apiserver"})')
    assert found.objects == ask('sum(clamp_min(apiserver_resource_objects{job="apiserver"}, 0))')
    assert found.process.cores == pytest.approx(ask('rate(process_cpu_seconds_total{job="apiserver"}[15s])'))
    assert found.process.memory_bytes == ask('process_resident_memory_bytes{job="apiserver"}')
    assert found.version == "v1.36.2"


@MISSING
@pytest.mark.parametrize("verb", ["GET", "LIST", "POST", "PUT", "PATCH", "DELETE"])
def test_each_verb_on_its_own(verb: str, ask: Callable[[str], float]) -> None:
    reader = Reader(figures.wanted)
    pair = Pair(
        Snapshot(reader.read([recorded("apiserver", "t0")]), AT - 15.0),
        Snapshot(reader.read([recorded("apiserver", "t15")]), float(AT)),
    )
    for q in (0.5, 0.9, 0.99):
        ours = pair.quantile(q, figures.DURATIONS, lambda labels: labels["verb"] == verb)
        theirs = ask(quantile(f'verb="{verb}"').replace("0.99", str(q)))
        assert ours == (None if math.isnan(theirs) else pytest.approx(theirs))
    ours = pair.rate(figures.REQUESTS, lambda labels: labels["verb"] == verb)
    theirs = ask(f'sum(rate(apiserver_request_total{{job="apiserver",verb="{verb}"}}[15s]))')
    assert ours == (None if math.isnan(theirs) else pytest.approx(theirs))


@MISSING
def test_a_controller_manager(ask: Callable[[str], float]) -> None:
    found = read("controller-manager")

    assert found.queued == ask('sum(workqueue_depth{job="controller-manager"})')
    assert found.requests == pytest.approx(ask('sum(rate(rest_client_requests_total{job="controller-manager"}[15s]))'))
    bad = 'sum(rate(rest_client_requests_total{job="controller-manager",code=~"4..|5..|<error>"}[15s])) or vector(0)'
    assert found.failed == pytest.approx(ask(bad) / (found.requests or 1))
    assert found.leading is None  # the recorded one was alone, and elected nobody
    assert found.p99 is None


@MISSING
def test_a_scheduler(ask: Callable[[str], float]) -> None:
    found = read("scheduler")

    for queue in ("active", "backoff", "gated", "unschedulable"):
        assert found.pending[queue] == ask(f'scheduler_pending_pods{{job="scheduler",queue="{queue}"}}')
    for result, rate in found.attempts.items():
        expression = f'sum(rate(scheduler_schedule_attempts_total{{job="scheduler",result="{result}"}}[15s]))'
        assert rate == pytest.approx(ask(expression))
    theirs = ask(quantile("", figures.ATTEMPT_DURATIONS, "scheduler"))
    assert found.p99 == (None if math.isnan(theirs) else pytest.approx(theirs))


def test_old_names_and_failed_counts() -> None:
    text = b'apiserver_storage_objects{resource="pods"} 7\napiserver_storage_objects{resource="events"} -1\n'
    pair = Pair(None, Snapshot(Reader(figures.wanted).read([text]), 1.0))

    assert figures.read("apiserver", pair).objects == 7
    assert figures.read("apiserver", pair).requests is None


def test_requests_that_last_do_not_count() -> None:
    assert not figures.is_short({"verb": "WATCH"})
    assert not figures.is_short({"verb": "GET", "subresource": "log"})
    assert figures.is_short({"verb": "GET", "subresource": "status"})
