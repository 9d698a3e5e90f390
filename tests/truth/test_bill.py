"""A bill of the recording against what the cgroups had counted, and against what `top` printed every minute."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import pytest

from kubectl_vmetrics.allocation import gather
from kubectl_vmetrics.allocation.account import By, Kind
from kubectl_vmetrics.allocation.bill import Bill, Row
from kubectl_vmetrics.allocation.making import Question
from kubectl_vmetrics.allocation.quantities import Resource, added, shown, total
from kubectl_vmetrics.history import names
from kubectl_vmetrics.history.window import Window
from kubectl_vmetrics.prometheus import way
from kubectl_vmetrics.prometheus.api import Prometheus
from kubectl_vmetrics.prometheus.login import Login
from tests.prometheus import MISSING, unpack
from tests.truth import evaluated, oracle
from tests.truth.oracle import FIRST, Pod, Tenant, moment

pytestmark = MISSING

WINDOW = Window(FIRST, FIRST + 1800)
STEPS = (60.0, 300.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus with the recording."""
    folder = tmp_path_factory.mktemp("bill")
    unpack(folder)
    with evaluated.recorded(folder) as url:
        yield Prometheus(way.by_url(url, Login()))


@pytest.fixture(scope="module", params=STEPS, ids=["1m", "5m"])
def bill(server: Prometheus, request: pytest.FixtureRequest) -> Bill:
    """The bill of half an hour, by workload."""
    found = names.read(server, WINDOW)
    return gather.bill(server, WINDOW, request.param, found, Question(By.WORKLOAD))


def tenant(row: Row) -> Tenant | None:
    """The virtual cluster of a row; None for the host's and for control planes."""
    found = row.account.vcluster
    return (found.host_namespace, found.name) if found and row.account.kind is not Kind.CONTROL_PLANE else None


def hours(bill: Bill, resource: Resource, whose: Tenant, kind: Kind = Kind.WORKLOAD) -> float:
    """What one virtual cluster used."""
    rows = [row for row in bill.rows if row.account.kind is kind and row.account.vcluster]
    rows = [row for row in rows if row.account.vcluster and row.account.vcluster.path == "/".join(whose)]
    return sum(shown(total(row.used, resource), resource) for row in rows)


def lasting(pod: Pod) -> Tenant | None:
    """The virtual cluster of a pod that lived long enough for cAdvisor to see it."""
    return None if pod.name.startswith("flash-") else oracle.tenant(pod)


def test_core_hours_are_those_of_the_cgroups(bill: Bill) -> None:
    truth = oracle.cpu(*WINDOW, lasting)

    assert set(truth) == {("team-a", "vc1"), ("team-c", "vc1")}
    for whose, cores in truth.items():
        # 10 ms: pods of team-c wait, and used 0.17 CPU seconds in half an hour.
        assert hours(bill, Resource.CPU, whose) * 3600 == pytest.approx(cores * WINDOW.seconds, rel=0.02, abs=0.01)


def test_core_hours_of_control_planes_and_of_the_host(bill: Bill) -> None:
    planes = oracle.cpu(*WINDOW, lambda pod: pod.namespace if pod.name == "vc1-0" else None)
    for namespace, cores in planes.items():
        found = hours(bill, Resource.CPU, (namespace, "vc1"), Kind.CONTROL_PLANE)
        assert found * 3600 == pytest.approx(cores * WINDOW.seconds, rel=0.02)
    assert set(planes) == {"team-a", "team-c"}

    own = oracle.cpu(*WINDOW, lambda pod: pod.namespace if pod.namespace == "default" else None)
    shared = [row for row in bill.rows if row.account.kind is Kind.SHARED and row.account.namespace == "default"]
    found = sum(shown(total(row.used, Resource.CPU), Resource.CPU) for row in shared)
    assert found * 3600 == pytest.approx(own["default"] * WINDOW.seconds, rel=0.02)


def test_gib_hours_are_those_of_the_snapshots(bill: Bill) -> None:
    """Each snapshot of `top vclusters` stands for half a minute before and after it."""
    seen = [item for item in oracle.snapshots() if WINDOW.start - 60 < item.at < WINDOW.end + 60]
    for whose in (("team-a", "vc1"), ("team-c", "vc1")):
        area = 0.0
        for before, after in itertools.pairwise(seen):
            start, end = max(before.at, WINDOW.start), min(after.at, WINDOW.end)
            area += max(0.0, end - start) * (before.memory[whose] + after.memory[whose]) / 2
        found = hours(bill, Resource.MEMORY, whose) * 2**30 * 3600
        # A container of team-c began with 3 MB, between two snapshots; later it had 0.3.
        slack = 45 * 3e6 if whose[0] == "team-c" else 0
        assert found == pytest.approx(area, rel=0.05, abs=slack)


def test_requests_are_those_of_the_pods(bill: Bill) -> None:
    """The pod `sized` asked for 100m and 64Mi from 16:08:15 on, so for all of the window."""
    row = next(row for row in bill.rows if row.account[2:] == ("shop", "Deployment", "sized") and tenant(row))

    assert row.hours_requested(Resource.CPU) == pytest.approx(0.05, rel=0.02)
    truth = oracle.cpu(*WINDOW, lambda pod: "sized" if pod.namespace == "team-a" and "sized" in pod.name else None)
    assert row.hours_used(Resource.CPU) == pytest.approx(truth["sized"] / 2, rel=0.02)
    # Its pod's own cgroup uses some microseconds beside the container, which requested nothing.
    assert row.hours_billed(Resource.CPU) == pytest.approx(row.hours_requested(Resource.CPU), rel=0.001)


def test_rows_add_up_to_two_cores_for_half_an_hour(bill: Bill) -> None:
    sums = added(row.billed for row in bill.rows)

    assert total(sums, Resource.CPU) == total(bill.whole, Resource.CPU) == 2 * 1800 * 10**9
    assert total(sums, Resource.MEMORY) == total(bill.whole, Resource.MEMORY)
    assert not [row.account for row in bill.rows if row.account.kind in (Kind.UNMEASURED, Kind.OVERCOMMITTED)]


def test_hours_of_control_planes(bill: Bill) -> None:
    """That of team-c was paused from 16:16:00 to 16:24:00; kube-state-metrics saw the pods in phase Running."""
    found = {
        row.account.path: row.hours_billed(Resource.CONTROL_PLANE) * 60
        for row in bill.rows
        if row.account.kind is Kind.CONTROL_PLANE
    }

    assert found == {
        "team-a/vc1/control plane": pytest.approx(30, abs=0.5),
        "team-b/vc2/control plane": pytest.approx(30, abs=1.0),
        "team-c/vc1/control plane": pytest.approx(22, abs=1.0),
    }


def test_coverage_and_what_was_not_seen(bill: Bill) -> None:
    """Two of thirty minutes are without kube-state-metrics, for some of which its last samples still counted; pods that
    lived for 12 s were not measured.
    """
    found = {item.metric: item.share for item in bill.coverage}

    assert found["cpu"] == found["memory"] == pytest.approx(1, abs=0.01)
    assert found["requests"] == found["allocatable"] == pytest.approx(28 / 30, abs=1.1 / 30)
    (estimated,) = bill.estimated
    assert re.fullmatch(r"allocatable capacity of [12]m, from the nearest step that has it", estimated)
    assert any("without any recorded usage" in note for note in bill.notes)


@pytest.mark.parametrize(("start", "end"), [("16:10:00", "16:16:00"), ("16:25:00", "16:31:00")])
def test_any_part_of_the_window(server: Prometheus, start: str, end: str) -> None:
    window = Window(moment(start), moment(end))
    found = gather.bill(server, window, 60.0, names.read(server, window), Question(By.WORKLOAD))

    truth = oracle.cpu(*window, lasting)
    assert hours(found, Resource.CPU, ("team-a", "vc1")) * 3600 == pytest.approx(
        truth["team-a", "vc1"] * window.seconds, rel=0.05
    )
