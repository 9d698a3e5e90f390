"""The same rules on VictoriaMetrics, replayed by its vmalert: how they differ from Prometheus, and by how much.

Every rule runs unchanged. What is read at one moment is equal: requests, limits, quota, restarts, pods, memory. Rates differ:

- Prometheus extrapolates the readings of a window to its ends. VictoriaMetrics takes the last reading before the window into
  account instead and does not extrapolate, so what cAdvisor has not read yet comes a minute later: a few percent, either way.
- rate() of VictoriaMetrics divides by the time between readings. A pod that is gone, or new, would count with its full rate for
  all of the five minutes: 60 % too much after a pod was recreated. The rules use increase() / 300, which is rate() in Prometheus.
- A counter that starts within the window counts from 0: VictoriaMetrics sees the first CPU seconds of a new pod.
- An instant selector of Prometheus looks back 5 minutes. That of VictoriaMetrics looks back as far as the samples are apart (in
  vmalert 5 minutes, by -datasource.queryStep), so dead containers are gone sooner; the rules take fresh samples in both.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.prometheus import MISSING, blocks, unpack
from tests.truth import evaluated, oracle, victoria
from tests.truth.conftest import Prometheus
from tests.truth.evaluated import INTERVAL, each_minute
from tests.truth.oracle import moment
from tests.truth.test_rules import LITTLE, MINUTES, ODD, OWNER, SHORT, TEAM_A, TEAM_B, TEAM_C, changed, without_short

pytestmark = [MISSING, victoria.MISSING]
TOLERANCE = 0.1
COMPARED = sorted(set(range(moment("16:06:00"), moment("16:43:00"), INTERVAL)) - ODD)
"""Not the first minute: kube-state-metrics came up just before."""


@pytest.fixture(scope="module", params=["pod-info", "kube-state-metrics"])
def both(
    request: pytest.FixtureRequest, prometheus_by: Prometheus, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str, str]]:
    """A way of naming, and the URLs of Prometheus and VictoriaMetrics with what its rules make of the recording."""
    way, folder = str(request.param), tmp_path_factory.mktemp("victoria")
    data = unpack(folder)
    if way == "pod-info":
        blocks(folder, evaluated.made_up_names(folder))
    (data / "wal").mkdir(exist_ok=True)  # promtool asks for it
    with victoria.running(folder) as url:
        assert victoria.fill(url, data) > 270_000
        victoria.evaluate(url, folder, evaluated.rules(way))
        yield way, prometheus_by(way), url


def test_all_rules_have_the_same_series(both: tuple[str, str, str]) -> None:
    way, prometheus, url = both
    for rule in evaluated.rules(way):
        name = rule["record"]
        one, other = (
            {
                tuple(sorted(item["metric"].items()))
                for item in evaluated.series(each, name)
                if "flash-" not in item["metric"].get("pod", "")  # which live for 12 s
            }
            for each in (prometheus, url)
        )
        assert one == other, name


def test_what_is_read_at_one_moment_is_equal(both: tuple[str, str, str]) -> None:
    _, prometheus, url = both
    for metric in (
        *("cpu_requests_cores:sum", "memory_requests_bytes:sum", "cpu_limits_cores:sum", "memory_limits_bytes:sum"),
        *("container_restarts:sum", "quota_used:max", "quota_hard:max"),
    ):
        labels = (*OWNER, "resource")
        one = each_minute(prometheus, f"vcluster:{metric}", *labels)
        other = victoria.each_minute(url, f"vcluster:{metric}", *labels)
        assert one
        assert set(one) == set(other)
        for key, values in one.items():
            shown = other[key]
            times = [time for time in COMPARED if time in values or time in shown]
            assert [values.get(time) for time in times] == pytest.approx([shown.get(time) for time in times]), (
                metric,
                key,
            )


def test_memory_and_pods_are_equal_unless_some_came_or_went(both: tuple[str, str, str]) -> None:
    _, prometheus, url = both
    compared = 0
    for metric in ("memory_working_set_bytes:sum", "pods:count"):
        # The crashing container is there for two minutes after each of its ends, in Prometheus.
        expression = 'vcluster_pod:memory_working_set_bytes:sum{pod!="crasher-x-shop-x-vc1"}'
        one = each_minute(prometheus, expression, "namespace", "pod")
        other = victoria.each_minute(url, expression, "namespace", "pod")
        for key, values in one.items():
            if key[0] != "team-b":
                tenant = (key[0], "vc1")
                for time in COMPARED:
                    if not changed(tenant, time):
                        assert other[key].get(time) == values.get(time), (metric, key, time)
                        compared += 1
    assert compared > 500


def test_cpu_is_that_of_the_cgroups(both: tuple[str, str, str]) -> None:
    """Within 10 % at every minute, recreated pods included; a tenth of a millicore is nothing."""
    _, _, url = both
    found = victoria.each_minute(url, "vcluster:cpu_usage_cores:sum", *OWNER)
    assert set(found) == {TEAM_A, TEAM_B, TEAM_C}
    for time in MINUTES:
        unseen = oracle.edges(time - 300, time)
        for tenant, cores in oracle.cpu(time - 300, time, without_short).items():
            shown = found[tenant].get(time, 0.0)
            assert shown <= cores * (1 + TOLERANCE) + LITTLE
            if time not in SHORT:
                assert shown >= cores * (1 - TOLERANCE) - LITTLE - unseen[tenant]
