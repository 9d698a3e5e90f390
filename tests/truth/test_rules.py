"""What recording rules say about the recorded host, against what its pods really used.

All four ways to learn names are held against the cgroups and against what `top` printed. Each rule that is in the
repository runs on a real Prometheus, on everything that went wrong while this was recorded: recreated pods, hashed names,
no kube-state-metrics for two minutes, two of them at once, a paused virtual cluster, another of the same name, and two jobs
that scrape the same kubelet.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.prometheus import MISSING, instant_query
from tests.truth import oracle
from tests.truth.conftest import Prometheus
from tests.truth.evaluated import ALSO, INTERVAL, WAYS, at, each_minute, passes
from tests.truth.oracle import Counter, moment

pytestmark = MISSING

OWNER = ("vcluster_host_namespace", "vcluster_name")
POD = (*OWNER, "vcluster_virtual_namespace", "vcluster_virtual_pod")
TEAM_A, TEAM_B, TEAM_C = ("team-a", "vc1"), ("team-b", "vc2"), ("team-c", "vc1")
MINUTES = range(moment("16:15:00"), moment("16:42:30"), INTERVAL)
"""Whose last five minutes are in the oracle."""
SHORT = range(moment("16:30:00"), moment("16:35:00"), INTERVAL)
"""Minutes whose last five minutes hold one of the six pods that lived for 12 seconds."""
ODD = {moment("16:30:00")}
"""A pod that lived for 12 s has a name by then, or not: vcluster_pod_info is made up every 15 s from what there was."""
TOLERANCE, OF_A_POD = 0.05, 0.1
LITTLE = 0.0001
"""Cores: a tenth of what kubectl shows. The oracle, read every 30 s, is no better for pods that use next to nothing."""
FRESH = 120
"""Seconds for which the rules trust a sample of memory: that long, a container that is gone is counted."""


def is_short(pod: oracle.Pod) -> bool:
    return pod.name.startswith("flash-")


def without_short(pod: oracle.Pod) -> oracle.Tenant | None:
    return None if is_short(pod) else oracle.tenant(pod)


@pytest.fixture(params=[*WAYS, ALSO])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_cpu_of_virtual_clusters(way: str, prometheus_by: Prometheus) -> None:
    """Within 5 % of the cgroups at every minute, but for what cAdvisor cannot see when a pod comes or goes."""
    found = each_minute(prometheus_by(way), "vcluster:cpu_usage_cores:sum", *OWNER)
    far = {}
    for time in MINUTES:
        start, unseen = time - 300, oracle.edges(time - 300, time)
        for tenant, cores in oracle.cpu(start, time, without_short).items():
            shown = found[tenant].get(time, 0.0)
            assert shown <= cores * (1 + TOLERANCE) + LITTLE
            if time not in SHORT:
                assert shown >= cores * (1 - TOLERANCE) - LITTLE - unseen[tenant]
            if shown < cores * (1 - TOLERANCE) - LITTLE:
                far[tenant[0], time] = round(shown / cores, 1)

    # The burner was recreated at 16:20:30: 33 s of the old one are one reading, and no rate. The paused virtual cluster
    # came back at 16:24:34: its pods used 0.1 s of CPU to start, before their first reading.
    back = {("team-c", time) for time in range(moment("16:25:00"), moment("16:30:00"), INTERVAL)}
    late = {("team-a", moment("16:25:00"))}
    assert {key for key in far if key[1] not in SHORT} == back | late
    assert far[late.pop()] == 0.9


def test_pods_that_live_for_seconds_are_not_seen(way: str, prometheus_by: Prometheus) -> None:
    """Why their minutes are left out above: half of what the tenant used is in no sample of cAdvisor."""
    found = each_minute(prometheus_by(way), "vcluster:cpu_usage_cores:sum", *OWNER)[TEAM_A]
    for time in SHORT:
        short = oracle.cpu(time - 300, time, lambda pod: True if is_short(pod) else None)[True]
        others = oracle.cpu(time - 300, time, without_short)[TEAM_A]
        assert short == pytest.approx(0.102, abs=0.003)
        assert found[time] == pytest.approx(others, rel=TOLERANCE)


def test_cpu_of_each_pod(way: str, prometheus_by: Prometheus) -> None:
    """Per host pod, recreated ones included. One pod's rate is off by more than a tenant's: cAdvisor reads it every 10 to
    25 s, so the readings of a window may span four and a half of its five minutes.
    """
    found = each_minute(prometheus_by(way), "vcluster_pod:cpu_usage_cores:rate5m", "namespace", "pod")
    compared = 0
    for time in MINUTES:
        wanted: dict[tuple[str, str], float] = oracle.cpu(
            time - 300, time, lambda pod: (pod.namespace, pod.name) if without_short(pod) else None
        )
        unseen: dict[tuple[str, str], float] = {}
        for pod in oracle.pods():
            key = (pod.namespace, pod.name)
            unseen[key] = unseen.get(key, 0.0) + pod.cpu.at_the_edges(time - 300, time) / 300
        for key, cores in wanted.items():
            shown = found.get(key, {}).get(time, 0.0)
            assert shown <= cores * (1 + OF_A_POD) + LITTLE, (key, time)
            assert shown >= cores * (1 - OF_A_POD) - LITTLE - unseen[key], (key, time)
            compared += shown > 0.01
    assert compared >= 2 * len(MINUTES) - 5  # the burner and the sized pod


def cgroups(url: str) -> Iterator[tuple[str, Counter]]:
    """Pods of team-b by the raw samples of their cgroups, of which the oracle has none."""
    cgroup = 'container_cpu_usage_seconds_total{job="kubelet",metrics_path="/metrics/cadvisor",container="",image=""'
    for series in instant_query(url, f'{cgroup},namespace="team-b",pod!="vc2-0"}}[45m]', moment("16:43:00")):
        times, values = zip(*[(float(time), float(value)) for time, value in series["values"]], strict=True)
        yield series["metric"]["pod"], Counter(times, values, born=times[0] > moment("16:01:00"))


def test_hashed_pods_are_in_it(way: str, prometheus_by: Prometheus) -> None:
    """team-b, whose cgroups were not read, by cAdvisor's samples of them; 0.15 of its 0.25 cores are a hashed pod."""
    url = prometheus_by(way)
    found = each_minute(url, "vcluster:cpu_usage_cores:sum", *OWNER)[TEAM_B]
    counters = list(cgroups(url))
    for time in range(moment("16:15:00"), moment("16:19:30"), INTERVAL):
        wanted = sum(counter.used(time - 300, time) for _, counter in counters) / 300
        hashed = sum(counter.used(time - 300, time) for pod, counter in counters if pod.startswith("nightly")) / 300
        assert hashed == pytest.approx(0.15, abs=0.01)
        assert found[time] == pytest.approx(wanted, rel=TOLERANCE)

    name = "nightly-reconciliation-of-the-general-ledger-with-al-53cc38a38d"
    virtual = "nightly-reconciliation-of-the-general-ledger-with-all-subsidiaries"
    names = at(url, f'vcluster_pod:names:max{{pod="{name}"}}', moment("16:15:00"), *POD)
    assert names == {(*TEAM_B, *(("", "") if way == "pod-owner" else ("batch", virtual))): 1}


CRASHING = 'pod!="crasher-x-shop-x-vc1"'
"""Runs for a second every few minutes. `top` shows it while it runs; rules, for two minutes more."""


def changed(tenant: oracle.Tenant, time: float) -> bool:
    """Whether pods of a virtual cluster came or went so shortly before that samples may be of those before."""
    times = [
        edge
        for pod in oracle.pods()
        if oracle.tenant(pod) == tenant
        for edge, counts in ((pod.cpu.times[0], pod.cpu.born), (pod.cpu.times[-1], pod.cpu.times[-1] < oracle.LAST))
        if counts
    ]
    return any(time - FRESH - 30 <= edge <= time + 5 for edge in times)


def test_memory_and_pods_are_those_of_top(way: str, prometheus_by: Prometheus) -> None:
    """Memory within 5 % of what `top vclusters` printed, and as many pods, wherever no pod came or went just before."""
    url = prometheus_by(way)
    memory = each_minute(
        url, f"sum by ({', '.join(OWNER)}) (vcluster_pod:memory_working_set_bytes:sum{{{CRASHING}}})", *OWNER
    )
    pods = each_minute(
        url, f"count by ({', '.join(OWNER)}) (vcluster_pod:memory_working_set_bytes:sum{{{CRASHING}}})", *OWNER
    )
    whole = each_minute(url, "vcluster:memory_working_set_bytes:sum", *OWNER)
    count = each_minute(url, "vcluster:pods:count", *OWNER)
    crashing = each_minute(url, 'vcluster_pod:memory_working_set_bytes:sum{pod="crasher-x-shop-x-vc1"}', *OWNER)
    compared = 0
    for snapshot in oracle.snapshots():
        time = round(snapshot.at / 60) * 60
        for tenant, wanted in snapshot.memory.items():
            if time < moment("16:06:00") or changed(tenant, time):
                continue
            listed = {pod: used for pod, used in snapshot.pod_memory.items() if pod[:2] == tenant}
            running = sum(used for pod, used in listed.items() if pod[3] == "crasher")
            assert memory[tenant].get(time, 0.0) == pytest.approx(wanted - running, rel=TOLERANCE)
            assert pods[tenant].get(time, 0) == sum(pod[3] != "crasher" for pod in listed)
            # The rest of the total is the crashing container, and 4 MiB of it at most.
            extra = crashing.get(tenant, {}).get(time, 0.0)
            assert extra < 4 * 2**20
            assert whole[tenant].get(time, 0.0) == memory[tenant].get(time, 0.0) + extra
            assert count[tenant].get(time, 0) == pods[tenant].get(time, 0) + (extra > 0)
            compared += 1
    assert compared >= 45


@pytest.mark.parametrize("way", [way for way in WAYS if way != "pod-owner"])
def test_pods_have_the_names_that_top_prints(way: str, prometheus_by: Prometheus) -> None:
    """The same virtual pods with the same memory, at each minute at which none came or went just before."""
    found = each_minute(prometheus_by(way), f"vcluster_pod:memory_working_set_bytes:sum{{{CRASHING}}}", *POD)
    compared = 0
    for snapshot in oracle.snapshots():
        time = round(snapshot.at / 60) * 60
        quiet = {tenant for tenant in snapshot.memory if time >= moment("16:06:00") and not changed(tenant, time)}
        wanted = {
            pod: memory for pod, memory in snapshot.pod_memory.items() if pod[:2] in quiet and pod[3] != "crasher"
        }
        shown = {pod: values[time] for pod, values in found.items() if pod[:2] in quiet and time in values}
        assert shown == pytest.approx(wanted, rel=TOLERANCE, abs=512 * 1024)  # a process more or less
        compared += len(wanted)
    assert compared > 250


def test_a_paused_virtual_cluster_is_gone(way: str, prometheus_by: Prometheus) -> None:
    """team-c, from 16:16:27 to 16:24:34: two pods less within two minutes, and the other vc1 is as it was."""
    count = each_minute(prometheus_by(way), "vcluster:pods:count", *OWNER)
    shown = [count[TEAM_C].get(time, 0) for time in range(moment("16:14:00"), moment("16:28:00"), INTERVAL)]
    assert shown == [2, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2]
    assert all(count[TEAM_A][time] >= 10 for time in range(moment("16:14:00"), moment("16:28:00"), INTERVAL))


def test_virtual_namespaces_add_up(way: str, prometheus_by: Prometheus) -> None:
    """Where there are names inside, virtual namespaces are the whole; elsewhere there are none."""
    url = prometheus_by(way)
    for metric in ("cpu_usage_cores", "memory_working_set_bytes", "cpu_requests_cores", "network_receive_bytes"):
        spaces = each_minute(url, f"sum by ({', '.join(OWNER)}) (vcluster_namespace:{metric}:sum)", *OWNER)
        if way == "pod-owner":
            assert spaces == {}
            continue
        whole = each_minute(url, f"vcluster:{metric}:sum", *OWNER)
        assert set(whole) == {TEAM_A, TEAM_B, TEAM_C}
        for tenant, values in whole.items():
            assert spaces[tenant] == pytest.approx(values)


def test_names(way: str, prometheus_by: Prometheus) -> None:
    """One name for each host pod at each minute, recreated ones included; none for pods of the host."""
    url = prometheus_by(way)
    names = each_minute(url, "vcluster_pod:names:max", "namespace", "pod")
    assert {namespace for namespace, _ in names} == {"team-a", "team-b", "team-c"}
    assert not {("team-a", "vc1-0"), ("team-b", "vc2-0"), ("team-c", "vc1-0")} & set(names)
    recreated = names["team-a", "db-0-x-shop-x-vc1"]
    assert all(recreated[time] == 1 for time in range(moment("16:06:00"), moment("16:42:00"), INTERVAL))
    found = instant_query(url, "vcluster_pod:names:max", moment("16:31:00"))
    virtual = {tuple(series["metric"].get(label, "") for label in POD[2:]) for series in found}
    if way == "pod-owner":
        assert virtual == {("", "")}
    else:
        # The trap: a pod named a-x-b in default, and one named a in b-x-c.
        assert {("default", "a-x-b"), ("b-x-c", "a"), ("shop", "db-0"), ("data", "keeper")} < virtual


@pytest.mark.parametrize("way", [way for way in WAYS if way != "pod-info"])
def test_each_way_gives_the_same(way: str, prometheus_by: Prometheus) -> None:
    """Virtual clusters use the same to the last digit, whichever way their names were learned.

    The proxy's own scrape has samples of other moments: its usage is held against the oracle alone.
    """
    for metric in ("cpu_usage_cores", "memory_working_set_bytes", "cpu_requests_cores", "memory_limits_bytes"):
        if way == "proxy-labels" and metric in ("cpu_usage_cores", "memory_working_set_bytes"):
            continue
        one = each_minute(prometheus_by("pod-info"), f"vcluster:{metric}:sum", *OWNER)
        other = each_minute(prometheus_by(way), f"vcluster:{metric}:sum", *OWNER)
        assert set(one) == set(other) == {TEAM_A, TEAM_B, TEAM_C}
        for tenant, values in one.items():
            times = (set(values) | set(other[tenant])) - ODD
            assert {time: values[time] for time in times} == pytest.approx(
                {time: other[tenant][time] for time in times}
            )


def test_rules_come_after_what_they_read() -> None:
    first, second, third = (
        {"record": "vcluster_pod:a:sum", "expr": 'container_x{a="b"}'},
        {"record": "vcluster:a:sum", "expr": 'sum(vcluster_pod:a:sum{b="c"})'},
        {"record": "vcluster:b:sum", "expr": "sum(vcluster:a:sum * on (pod) kube_pod_info{})"},
    )
    assert passes([third, second, first]) == [
        [first],
        [{**second, "expr": 'sum(last_over_time(vcluster_pod:a:sum{b="c"}[59s]))'}],
        [{**third, "expr": "sum(last_over_time(vcluster:a:sum[59s]) * on (pod) kube_pod_info{})"}],
    ]
