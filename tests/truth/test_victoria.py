"""The same rules on VictoriaMetrics, replayed by its vmalert: how they differ from Prometheus, and by how much.

Every rule runs. What is read at one moment is equal: requests, limits, quota, restarts, pods, memory. Rates differ:

- Prometheus extrapolates the readings of a window to its ends. VictoriaMetrics takes the last reading before the window into
  account instead and does not extrapolate, so what cAdvisor has not read yet comes a minute later: a few percent, either way.
- rate() of VictoriaMetrics divides by the time between readings. A pod that is gone, or new, would count with its full rate for
  all of the five minutes: 60 % too much after a pod was recreated. The rules use increase() / 300, which is rate() in Prometheus.
- A counter that starts within the window counts from 0: VictoriaMetrics sees the first CPU seconds of a new pod.
- An instant selector of Prometheus looks back 5 minutes. That of VictoriaMetrics looks back as far as the samples are apart (in
  vmalert 5 minutes, by -datasource.queryStep), so dead containers are gone sooner; the rules take fresh samples in both.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.prometheus import MISSING, blocks, instant_query, unpack
from tests.truth import evaluated, oracle, victoria
from tests.truth.conftest import Prometheus
from tests.truth.evaluated import INTERVAL, each_minute
from tests.truth.oracle import moment
from tests.truth.test_dashboards import EMPTY, filled, queries
from tests.truth.test_rules import LITTLE, MINUTES, ODD, OWNER, SHORT, TEAM_A, TEAM_B, TEAM_C, changed, without_short

pytestmark = [MISSING, victoria.MISSING]
TOLERANCE = 0.1
COMPARED = sorted(set(range(moment("16:06:00"), moment("16:43:00"), INTERVAL)) - ODD)
"""Not the first minute: kube-state-metrics came up just before."""
QUIET = moment("16:42:00")
"""No pod came or went in the five minutes before, for which VictoriaMetrics shows series that vmalert did not end."""


@pytest.mark.parametrize("way", ["pod-info", "kube-state-metrics"])
def test_rules_of_both_agree(way: str, prometheus_by: Prometheus, tmp_path: Path) -> None:
    """One test, since the recording takes longer to write than all that follows."""
    data, prometheus = unpack(tmp_path), prometheus_by(way)
    if way == "pod-info":
        blocks(tmp_path, evaluated.made_up_names(tmp_path))
    (data / "wal").mkdir(exist_ok=True)  # promtool asks for it
    with victoria.running(tmp_path) as url:
        assert victoria.fill(url, data) > 270_000
        victoria.evaluate(url, tmp_path, evaluated.rules(way))

        have_the_same_series(way, prometheus, url)
        agree_on_what_is_read_at_one_moment(prometheus, url)
        agree_on_memory_unless_pods_came_or_went(prometheus, url)
        agrees_with_the_cgroups(url)
        answer_the_dashboard_alike(way, prometheus, url)


def have_the_same_series(way: str, prometheus: str, url: str) -> None:
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


def agree_on_what_is_read_at_one_moment(prometheus: str, url: str) -> None:
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


def agree_on_memory_unless_pods_came_or_went(prometheus: str, url: str) -> None:
    # The crashing container is there for two minutes after each of its ends, in Prometheus.
    expression = 'vcluster_pod:memory_working_set_bytes:sum{pod!="crasher-x-shop-x-vc1",namespace!="team-b"}'
    one = each_minute(prometheus, expression, "namespace", "pod")
    other = victoria.each_minute(url, expression, "namespace", "pod")
    compared = 0
    for key, values in one.items():
        for time in COMPARED:
            if not changed((key[0], "vc1"), time):
                assert other[key].get(time) == values.get(time), (key, time)
                compared += 1
    assert compared > 350


def agrees_with_the_cgroups(url: str) -> None:
    """Within 10 % at every minute, recreated pods included; a tenth of a millicore is nothing."""
    found = victoria.each_minute(url, "vcluster:cpu_usage_cores:sum", *OWNER)
    assert set(found) == {TEAM_A, TEAM_B, TEAM_C}
    for time in MINUTES:
        unseen = oracle.edges(time - 300, time)
        for tenant, cores in oracle.cpu(time - 300, time, without_short).items():
            shown = found[tenant].get(time, 0.0)
            assert shown <= cores * (1 + TOLERANCE) + LITTLE
            if time not in SHORT:
                assert shown >= cores * (1 - TOLERANCE) - LITTLE - unseen[tenant]


def answer_the_dashboard_alike(way: str, prometheus: str, url: str) -> None:
    """Each query has the same rows, or none in both. Pods differ where a counter has just begun or ended."""
    for title, query in queries():
        one, other = (
            {tuple(sorted(item["metric"].items())) for item in instant_query(each, filled(query), QUIET)}
            for each in (prometheus, url)
        )
        assert bool(one) == bool(other) == (title not in EMPTY[way])
        if not query.startswith("topk"):
            assert one == other, title
