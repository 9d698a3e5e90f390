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
from kubectl_vmetrics.controlplane.plane import Component
from kubectl_vmetrics.metrics.process import Unanswered
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
    return figures.read(Component(job, "acme-0", "10.244.0.1", 6443), Pair(before, after))


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


def test_requests_that_last_do_not_count() -> None:
    assert not figures.is_short({"verb": "WATCH"})
    assert not figures.is_short({"verb": "GET", "subresource": "log"})
    assert figures.is_short({"verb": "GET", "subresource": "status"})


# ------------------------------------------------------------------------------------------- what a tenant may write


def told(name: str, after: str, before: str | None = None, seconds: float = 10.0) -> Figures:
    reader = Reader(figures.wanted)
    earlier = None if before is None else Snapshot(reader.read([before.encode()]), 1000.0)
    later = Snapshot(reader.read([after.encode()]), 1000.0 + seconds)
    return figures.read(Component(name, "acme-0", "10.244.0.1", 6443), Pair(earlier, later))


REQUESTS = 'apiserver_request_total{verb="GET",code="200"} '
LOST = 'rest_client_requests_total{{code="<error>",host="{}",method="GET"}} {}'


def buckets(*counts: object, bounds: tuple[str, ...] = ("0.1", "1", "+Inf")) -> str:
    name = "apiserver_request_duration_seconds_bucket"
    return "".join(f'{name}{{verb="GET",le="{b}"}} {count}\n' for b, count in zip(bounds, counts, strict=True))


def writes(*counts: int) -> str:
    return buckets(*counts).replace("GET", "PATCH")


def of_storage(*counts: int) -> str:
    return buckets(*counts).replace("apiserver_request", "etcd_request")


def of_attempts(*counts: int) -> str:
    return buckets(*counts).replace("apiserver_request", "scheduler_scheduling_attempt")


@pytest.mark.parametrize(
    ("name", "texts", "expected"),
    [
        # Objects: the new name wins; a count that failed (-1) is none.
        ("apiserver", ['apiserver_storage_objects{resource="pods"} 7'], {"objects": 7}),
        ("apiserver", ['apiserver_storage_objects{resource="pods"} 7\napiserver_resource_objects 8'], {"objects": 8}),
        (
            "apiserver",
            ['apiserver_storage_objects{resource="pods"} 7\napiserver_storage_objects{resource="events"} -1'],
            {"objects": 7},
        ),
        ("apiserver", ['apiserver_resource_objects{resource="events"} -1'], {"objects": None}),
        ("apiserver", ["apiserver_storage_objects 7\napiserver_resource_objects 0"], {"objects": 0}),
        # Gauges: their sum, where they can be true.
        (
            "apiserver",
            ['apiserver_current_inflight_requests{k="a"} 2\napiserver_current_inflight_requests{k="b"} 3'],
            {"inflight": 5},
        ),
        ("apiserver", ['apiserver_current_inflight_requests{k="a"} NaN'], {"inflight": None}),
        ("apiserver", ['apiserver_current_inflight_requests{k="a"} +Inf'], {"inflight": None}),
        ("apiserver", ['apiserver_current_inflight_requests{k="a"} 1e300'], {"inflight": None}),
        ("apiserver", ['apiserver_current_inflight_requests{k="a"} -3'], {"inflight": None}),
        ("apiserver", ["apiserver_current_inflight_requests x"], {"inflight": None}),
        (
            "apiserver",
            ['apiserver_longrunning_requests{verb="WATCH"} 4\napiserver_longrunning_requests{verb="CONNECT"} 9'],
            {"watches": 4},
        ),
        ("controller-manager", ['workqueue_depth{name="a"} 4\nworkqueue_depth{name="b"} -9'], {"queued": 4}),
        # Counters: what grew, by the time between; one that went back began again.
        ("apiserver", [REQUESTS + "10", REQUESTS + "30"], {"requests": 2.0, "failed": 0.0}),
        ("apiserver", [REQUESTS + "30", REQUESTS + "10"], {"requests": 1.0, "failed": 0.0}),
        ("apiserver", [REQUESTS + "10", REQUESTS + "10"], {"requests": 0.0, "failed": None}),
        ("apiserver", [REQUESTS + "NaN", REQUESTS + "10"], {"requests": None, "failed": None}),
        ("apiserver", [REQUESTS + "1", REQUESTS + "NaN"], {"requests": None, "failed": None}),
        ("apiserver", [REQUESTS + "1", REQUESTS + "-5"], {"requests": None, "failed": None}),
        ("apiserver", [REQUESTS + "-5", REQUESTS + "5"], {"requests": None, "failed": None}),
        ("apiserver", [REQUESTS + "1"], {"requests": None, "failed": None, "p99": None}),
        (
            "apiserver",
            [
                REQUESTS + "0\n" + REQUESTS.replace("200", "503") + "0\n" + REQUESTS.replace("200", "404") + "0",
                REQUESTS + "60\n" + REQUESTS.replace("200", "503") + "10\n" + REQUESTS.replace("200", "404") + "30",
            ],
            {"requests": 10.0, "failed": 0.1},
        ),
        # A request of which no code is told has not failed.
        (
            "apiserver",
            ['apiserver_request_total{verb="GET"} 0', 'apiserver_request_total{verb="GET"} 10'],
            {"requests": 1.0, "failed": 0.0},
        ),
        # Requests without a response: to the apiserver, and to what stands beside it.
        (
            "scheduler",
            [LOST.format("10.96.0.1:443", 1), LOST.format("10.96.0.1:443", 4)],
            {"lost": 4, "losing": 3, "unreached": ("10.96.0.1:443",), "unanswered": ()},
        ),
        (
            "apiserver",
            [LOST.format("hook.shop.svc:443", 1), LOST.format("hook.shop.svc:443", 4)],
            {"lost": 0, "losing": 0, "unreached": (), "unanswered": (Unanswered("hook.shop.svc:443", 4, 3),)},
        ),
        ("scheduler", [""], {"lost": None, "losing": None, "unreached": (), "unanswered": ()}),
        # Quantiles: reads and writes apart; bounds that are none are not used.
        ("apiserver", [buckets(0, 0, 0), buckets(50, 100, 100)], {"p99": 0.982, "p99_write": None}),
        ("apiserver", [buckets(0, 0, 0), buckets(50, 100, 100)], {"p99_read": 0.982}),
        ("apiserver", [buckets(0, 0, 0), buckets("NaN", "NaN", "NaN")], {"p99": None}),
        (
            "apiserver",
            [buckets(0, 0, 0, bounds=("NaN", "1", "+Inf")), buckets(50, 100, 100, bounds=("NaN", "1", "+Inf"))],
            {"p99": 0.99},
        ),
        (
            "apiserver",
            [buckets(0, 0, 0, bounds=("-Inf", "1", "+Inf")), buckets(50, 100, 100, bounds=("-Inf", "1", "+Inf"))],
            {"p99": 0.99},
        ),
        (
            "apiserver",
            [buckets(0, 0, 0, bounds=("0.1", "1e300", "+Inf")), buckets(50, 99, 100, bounds=("0.1", "1e300", "+Inf"))],
            {"p99": 0.1},
        ),
        ("apiserver", [writes(0, 0, 0), writes(50, 100, 100)], {"p99_write": 0.982, "p99_read": None}),
        (
            "apiserver",
            [of_storage(0, 0, 0), of_storage(50, 100, 100)],
            {"etcd_p99": 0.982, "p99": None},
        ),
        ("scheduler", [of_attempts(0, 0, 0), of_attempts(50, 100, 100)], {"p99": 0.982}),
        # Nothing is something that is told.
        ("apiserver", ["apiserver_current_inflight_requests 0"], {"inflight": 0.0}),
        ("scheduler", ['scheduler_pending_pods{queue="active"} 0'], {"pending": {"active": 0.0}}),
        # Pods and attempts: by upstream's words, and no others.
        (
            "scheduler",
            [
                'scheduler_pending_pods{queue="active"} 2\nscheduler_pending_pods{queue="\\x1b[31m"} 3\n'
                'scheduler_pending_pods{queue="gated"} NaN\nscheduler_pending_pods{queue="backoff"} -1\n'
                "scheduler_pending_pods 4"
            ],
            {"pending": {"active": 2}},
        ),
        (
            "scheduler",
            ["".join(f'scheduler_pending_pods{{queue="{a}{b}"}} 1\n' for a in "abcdefghij" for b in "abcdefghij")],
            {"pending": {f"{a}{b}": 1 for a in "ab" for b in "abcdefghij"}},
        ),
        (
            "scheduler",
            [
                'scheduler_schedule_attempts_total{result="error",profile="a"} 1\n'
                'scheduler_schedule_attempts_total{result="error",profile="b"} 1\n',
                'scheduler_schedule_attempts_total{result="error",profile="a"} 11\n'
                'scheduler_schedule_attempts_total{result="error",profile="b"} 21\n',
            ],
            {"attempts": {"error": 3.0}},
        ),
        ("controller-manager", ['scheduler_pending_pods{queue="active"} 2'], {"pending": {}, "attempts": {}}),
        # Who leads, and the version: the first that is one.
        ("scheduler", ['leader_election_master_status{name="x"} 1'], {"leading": True}),
        ("scheduler", ['leader_election_master_status{name="x"} 0'], {"leading": False}),
        ("scheduler", ['leader_election_master_status{name="x"} NaN'], {"leading": None}),
        ("etcd", ["etcd_server_is_leader 1"], {"leading": True}),
        ("etcd", ['etcd_server_version{server_version="3.6.4"} 1'], {"version": "3.6.4"}),
        ("operator", ['kamaji_build_info{version="26.8.2"} 1'], {"version": "26.8.2"}),
        ("apiserver", ['kubernetes_build_info{git_version="v1.36.2+k3s1"} 1'], {"version": "v1.36.2+k3s1"}),
        ("apiserver", ['kubernetes_build_info{git_version="v1\\n"} 1'], {"version": ""}),
        ("apiserver", [f'kubernetes_build_info{{git_version="{"1" * 65}"}} 1'], {"version": ""}),
        ("apiserver", ["kubernetes_build_info 1"], {"version": ""}),
        ("operator", ['kamaji_tenant_control_plane_status{status="Ready",n="a"} 1'], {"tenants": {"Ready": 1}}),
    ],
)
def test_what_cannot_be_true_counts_as_not_told(name: str, texts: list[str], expected: dict[str, object]) -> None:
    found = told(name, texts[-1], texts[0] if len(texts) > 1 else None)

    assert {key: getattr(found, key) for key in expected} == {
        key: pytest.approx(value) if isinstance(value, float) else value for key, value in expected.items()
    }


def test_no_time_between_two_scrapes_is_no_rate() -> None:
    text = 'scheduler_schedule_attempts_total{result="error"} 1\nrest_client_requests_total{code="200"} 1'
    found = told("scheduler", text, text, seconds=0.0)

    assert (found.attempts, found.requests) == ({}, None)


def test_a_rate_is_by_the_second_however_little_time_passed() -> None:
    text = 'scheduler_schedule_attempts_total{{result="error"}} {0}\nrest_client_requests_total{{code="200"}} {0}'
    found = told("scheduler", text.format(3), text.format(1), seconds=0.5)

    assert (found.attempts, found.requests) == ({"error": 4.0}, 4.0)


HOSTILE = ("NaN", "+Inf", "-Inf", "-1", "1e308", "1e400", "-1e308", "0x10", "", "1 2 3", "9" * 400)


@pytest.mark.parametrize("job", [*JOBS, "syncer", "kine", "etcd", "operator", "konnectivity"])
def test_no_value_of_a_tenant_reaches_a_table_as_no_number(job: str) -> None:
    """Every series of a real control plane, with values that are none, or can be none."""
    from kubectl_vmetrics.controlplane import health
    from kubectl_vmetrics.controlplane.health import Health
    from kubectl_vmetrics.controlplane.plane import Plane
    from kubectl_vmetrics.output import formats
    from kubectl_vmetrics.views import controlplanes as view

    series = {line.rpartition(" ")[0] for name in JOBS for line in recorded(name, "t15").decode().splitlines()}
    wanted = sorted(line for line in series if figures.wanted(line.partition("{")[0]))
    wanted += ['rest_client_requests_total{code="<error>",host="127.0.0.1:6443"}', "etcd_server_is_leader"]
    for one in HOSTILE:
        for other in HOSTILE:
            texts = ["".join(f"{line} {value}\n" for line in wanted[::7]) for value in (one, other)]
            found = told(job, texts[1], texts[0])
            part = Component(job, "acme-0", "10.244.0.1", 6443)
            plane = Plane("kamaji", "tenants", "acme", "", "Ready", False, 1, 1, (part,))
            verdict = health.judge(plane, [Health(plane, part, found, seconds=10.0)], None, 0.0)
            shown = [view.view([verdict], wide=True), view.summary([verdict])]
            for table in shown:
                cells = [str(cell) for row in table.rows for cell in row[6:]]
                assert not [cell for cell in cells if re.search(r"(?i)nan|inf|-\d", cell) or len(cell) > 120]
            document = json.loads(formats.render(shown[0], "json", headers=True), parse_constant=pytest.fail)
            assert None not in document["items"][0]["components"][0].values()
