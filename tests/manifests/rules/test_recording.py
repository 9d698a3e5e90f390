"""Recording rules, for each way of naming, in the situations that break such rules in practice."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubectl_vmetrics.manifests.rules.names import LABELS, POD_INFO, STATE, WAYS, Way
from kubectl_vmetrics.manifests.rules.render import Settings
from kubectl_vmetrics.manifests.rules.sources import Sources

from .host import (
    CART,
    HASHED,
    HOST,
    KUBELET,
    NAMES,
    REPLICA,
    TRAP,
    Pod,
    named,
    requests,
    resource,
    together,
    usage,
)
from .promtool import MISSING, Samples, check, query

pytestmark = MISSING
EVERY_WAY = pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
CPU, MEMORY = "vcluster_pod:cpu_usage_cores:rate5m", "vcluster_pod:memory_working_set_bytes:sum"
MIB = 1048576.0


def rounded(name: str) -> str:
    """A series without the noise of floating point."""
    return f"round({name}, 0.001)"


@EVERY_WAY
def test_pods_have_their_virtual_names_and_host_pods_stay_out(way: Way, tmp_path: Path) -> None:
    pods = CART, HASHED, HOST, TRAP
    given = together(*(named(way, pod) for pod in pods), *(usage(pod) for pod in pods))
    both: Samples = [(CART.recorded(way), 0.1), (HASHED.recorded(way), 0.1)]
    space = {**CART.recorded_owner(), "vcluster_virtual_namespace": "shop"}
    expected = [
        query("vcluster_pod:names:max * 1", 10, [(labels, 1) for labels, _ in both]),
        query(rounded(CPU), 10, both),
        query(f"{MEMORY} * 1", 10, [(labels, MIB) for labels, _ in both]),
        query(rounded("vcluster_namespace:cpu_usage_cores:sum"), 10, [(space, 0.2)] if way.virtual else []),
        query("vcluster_namespace:pods:count * 1", 10, [(space, 2)] if way.virtual else []),
        query(rounded("vcluster:cpu_usage_cores:sum"), 10, [(CART.recorded_owner(), 0.2)]),
        query("vcluster:memory_working_set_bytes:sum * 1", 10, [(CART.recorded_owner(), 2 * MIB)]),
        query("vcluster:pods:count * 1", 10, [(CART.recorded_owner(), 2)]),
    ]
    check(tmp_path, Settings(way=way), given, expected)


@EVERY_WAY
def test_two_replicas_of_what_serves_names_count_once(way: Way, tmp_path: Path) -> None:
    other = {POD_INFO: {**NAMES, "instance": "b"}, LABELS: {**KUBELET, "service": "b"}}.get(way, REPLICA)
    given = together(
        named(way, CART), named(way, CART, source=other), usage(CART), requests(CART), requests(CART, source=REPLICA)
    )
    expected = [
        query(rounded(CPU), 10, [(CART.recorded(way), 0.1)]),
        query(f"{MEMORY} * 1", 10, [(CART.recorded(way), MIB)]),
        query(rounded("vcluster_pod:cpu_requests_cores:sum"), 10, [(CART.recorded(way), 0.1)]),
        query("vcluster_pod:memory_limits_bytes:sum * 1", 10, [(CART.recorded(way), 128)]),
        query("vcluster_pod:container_restarts:sum * 1", 10, [(CART.recorded(way), 3)]),
        query("vcluster:gpu_requests:sum * 1", 10, [(CART.recorded_owner(), 1)]),
    ]
    check(tmp_path, Settings(way=way), given, expected)


@EVERY_WAY
def test_a_pod_recreated_under_its_name_has_one_name_and_counts_once(way: Way, tmp_path: Path) -> None:
    """For minutes, Prometheus has both uids; without care the join fails for all pods ("many-to-many")."""
    again = CART._replace(uid="uid-2")
    given = together(
        named(way, CART, "1x12"),
        named(way, again, "_x10 1x29"),
        usage(CART, values="0+6x12"),
        usage(again, values="_x10 0+6x29"),
        requests(CART),
        requests(again),
        named(way, HASHED),
        usage(HASHED),
    )
    expected = [
        *(
            query("vcluster_pod:names:max * 1", minute, [(CART.recorded(way), 1), (HASHED.recorded(way), 1)])
            for minute in (9, 11, 13, 16, 30)
        ),
        # By container: none is added to the one that took its place.
        query(f"{MEMORY} * 1", 12, [(CART.recorded(way), MIB), (HASHED.recorded(way), MIB)]),
        query(rounded(CPU), 30, [(CART.recorded(way), 0.1), (HASHED.recorded(way), 0.1)]),
        query(rounded("vcluster_pod:cpu_requests_cores:sum"), 12, [(CART.recorded(way), 0.1)]),
        query("vcluster:pods:count * 1", 12, [(CART.recorded_owner(), 2)]),
    ]
    check(tmp_path, Settings(way=way), given, expected)


@EVERY_WAY
def test_jobs_that_scrape_the_same_kubelet_count_once(way: Way, tmp_path: Path) -> None:
    given = together(
        named(way, CART),
        usage(CART),
        usage(CART, instance="proxy", node="worker-1", service="vmetrics"),
        usage(CART, instance="10.0.0.1:10250", endpoint="https-metrics"),
        resource(CART),
    )
    expected = [
        query(rounded(CPU), 10, [(CART.recorded(way), 0.1)]),
        query(f"{MEMORY} * 1", 10, [(CART.recorded(way), MIB)]),
        query("vcluster:pods:count * 1", 10, [(CART.recorded_owner(), 1)]),
    ]
    check(tmp_path, Settings(way=way), given, expected)


@EVERY_WAY
def test_metrics_resource_counts_nothing_even_if_the_matchers_let_it_in(way: Way, tmp_path: Path) -> None:
    """Where jobs have no metrics_path, as in the charts of Prometheus' community, no matcher can keep it out."""
    sources = Sources(cadvisor='job="kubelet"')
    given = together(named(way, CART), usage(CART), resource(CART))
    expected = [
        query(rounded(CPU), 10, [(CART.recorded(way), 0.1)]),
        query(f"{MEMORY} * 1", 10, [(CART.recorded(way), MIB)]),
    ]
    check(tmp_path, Settings(way=way, sources=sources), given, expected)


@EVERY_WAY
def test_a_gap_in_the_names_leaves_no_gap_in_usage(way: Way, tmp_path: Path) -> None:
    """Names end at 10m and come back at 22m; they are remembered for 10m."""
    given = together(named(way, CART, "1x10 stale _x10 1x18"), usage(CART))
    there: Samples = [(CART.recorded(way), 0.1)]
    expected = [
        *(query(rounded(CPU), minute, there) for minute in (10, 11, 13, 19)),
        query(rounded(CPU), 21, []),
        query(rounded(CPU), 22, there),
    ]
    check(tmp_path, Settings(way=way), given, expected)


@EVERY_WAY
def test_virtual_clusters_of_one_name_in_two_namespaces_are_two(way: Way, tmp_path: Path) -> None:
    other = Pod("team-c", "cart-0-x-shop-x-vc1", "vc1", "shop", "cart-0", uid="uid-3")
    given = together(named(way, CART), named(way, other), usage(CART, 6), usage(other, 12))
    expected = [
        query(rounded(CPU), 10, [(CART.recorded(way), 0.1), (other.recorded(way), 0.2)]),
        query(
            rounded("vcluster:cpu_usage_cores:sum"),
            10,
            [(CART.recorded_owner(), 0.1), (other.recorded_owner(), 0.2)],
        ),
    ]
    check(tmp_path, Settings(way=way), given, expected)


@EVERY_WAY
@pytest.mark.parametrize("clusters", [("east", "west"), ("",)], ids=["two hosts", "no label"])
def test_hosts_are_told_apart_by_cluster_if_there_is_such_a_label(
    clusters: tuple[str, ...], way: Way, tmp_path: Path
) -> None:
    pods = [CART._replace(cluster=cluster, uid=f"uid-{cluster}") for cluster in clusters]
    given = together(
        *(named(way, pod) for pod in pods), *(usage(pod) for pod in pods), *(requests(pod) for pod in pods)
    )
    expected = [
        query(rounded(CPU), 10, [(pod.recorded(way), 0.1) for pod in pods]),
        query(rounded("vcluster:cpu_usage_cores:sum"), 10, [(pod.recorded_owner(), 0.1) for pod in pods]),
        query(rounded("vcluster:cpu_limits_cores:sum"), 10, [(pod.recorded_owner(), 0.2) for pod in pods]),
    ]
    check(tmp_path, Settings(way=way), given, expected)


@EVERY_WAY
def test_what_a_tenants_pod_exports_itself_is_not_read(way: Way, tmp_path: Path) -> None:
    """A tenant's pod that is scraped with honor_labels chooses every label but its job."""
    victim = Pod("team-b", "web-x-default-x-vc2", "vc2", "default", "web", uid="uid-4")
    forged = {"job": "tenant-app"}
    lie = victim._replace(vcluster="vc9", name="mine")
    given = together(
        named(way, victim),
        usage(victim),
        *(named(each, lie, source=forged) for each in WAYS.values()),
        named(way, TRAP._replace(vcluster="vc2", name="x"), source=forged) if way != LABELS else [],
        usage(victim._replace(uid="uid-5"), 600, job="tenant-app"),
        usage(TRAP),
        requests(victim),
        requests(victim._replace(uid="uid-5"), source=forged),
    )
    expected = [
        query("vcluster_pod:names:max * 1", 10, [(victim.recorded(way), 1)]),
        query(rounded(CPU), 10, [(victim.recorded(way), 0.1)]),
        query("vcluster_pod:gpu_requests:sum * 1", 10, [(victim.recorded(way), 1)]),
    ]
    check(tmp_path, Settings(way=way), given, expected)


WITH_NAMES = pytest.mark.parametrize("way", [POD_INFO, STATE, LABELS], ids=lambda way: way.name)


@WITH_NAMES
@pytest.mark.parametrize("turned", [False, True], ids=["one way", "other way"])
def test_the_name_of_now_wins_over_one_that_is_remembered(turned: bool, way: Way, tmp_path: Path) -> None:
    """`a-x-b` in `c` and `a` in `b-x-c` have the same host name, one after the other."""
    names = [("c", "a-x-b"), ("b-x-c", "a")]
    first, then = (
        Pod("team-b", "a-x-b-x-c-x-vc2", "vc2", *name, uid=f"uid-{6 + number}")
        for number, name in enumerate(reversed(names) if turned else names)
    )
    given = together(
        named(way, first, "1x5 stale"),
        named(way, then, "_x6 1x20 stale"),
        usage(first, values="0+6x5 stale"),
        usage(then, values="_x6 0+6x30"),
    )
    expected = [
        query("vcluster_pod:names:max * 1", 5, [(first.recorded(way), 1)]),
        query("vcluster_pod:names:max * 1", 7, [(then.recorded(way), 1)]),
        query("vcluster:pods:count * 1", 9, [(then.recorded_owner(), 1)]),
    ]
    check(tmp_path, Settings(way=way), given, expected)


@WITH_NAMES
def test_two_names_for_one_pod_cost_no_other_pod_its_own(way: Way, tmp_path: Path) -> None:
    """Two sources that disagree must not fail the rules ("many-to-many"): one of the names is taken."""
    other = {POD_INFO: {**NAMES, "instance": "b"}, LABELS: {**KUBELET, "service": "b"}}.get(way, REPLICA)
    disagreeing = named(way, CART._replace(name="another"), source=other)
    given = together(named(way, CART), disagreeing, usage(CART), named(way, HASHED), usage(HASHED))
    expected = [
        query("count(vcluster_pod:names:max)", 10, [({}, 2)]),
        query(rounded("vcluster:cpu_usage_cores:sum"), 10, [(CART.recorded_owner(), 0.2)]),
    ]
    check(tmp_path, Settings(way=way), given, expected)


@WITH_NAMES
def test_pods_that_the_host_makes_for_a_tenant_are_the_tenants_without_a_name(way: Way, tmp_path: Path) -> None:
    """virt-launcher carries the labels of its virtual machine, and copies of its annotations."""
    launcher = Pod("team-a", "virt-launcher-db-0", "vc1", "vms", "", uid="uid-8")
    given = named(way, launcher)
    if way == STATE:
        copied = named(way, launcher._replace(name="db-0"))[1]
        given[1] = copied[0].replace("/v1, Kind=Pod", "kubevirt.io/v1, Kind=VirtualMachineInstance"), copied[1]
    labels = {key: value for key, value in launcher.recorded(way).items() if value}
    expected = [
        query("vcluster_pod:names:max * 1", 10, [(labels, 1), (CART.recorded(way), 1)]),
        query(rounded(CPU), 10, [(labels, 0.1), (CART.recorded(way), 0.1)]),
        query(rounded("vcluster:cpu_usage_cores:sum"), 10, [(CART.recorded_owner(), 0.2)]),
    ]

    check(tmp_path, Settings(way=way), together(given, usage(launcher), named(way, CART), usage(CART)), expected)


def test_memory_of_a_container_that_has_ended_is_gone_before_its_series(tmp_path: Path) -> None:
    """The series has no staleness marker, so Prometheus returns its last sample for five minutes."""
    given = together(named(POD_INFO, CART), usage(CART, values="0+6x10"), named(POD_INFO, HASHED), usage(HASHED))
    left: Samples = [(HASHED.recorded(POD_INFO), MIB)]
    both: Samples = [(CART.recorded(POD_INFO), MIB), *left]
    expected = [
        query(
            "container_memory_working_set_bytes{container!='',pod=~'cart.*'} * 0",
            14,
            [
                (
                    {
                        **CART.host,
                        **KUBELET,
                        "instance": "node-1",
                        "container": "app",
                        "image": "img",
                        "id": "/uid-1/app",
                    },
                    0,
                )
            ],
        ),
        query(f"{MEMORY} * 1", 11, both),
        query(f"{MEMORY} * 1", 12, left),
        query("vcluster:pods:count * 1", 12, [(CART.recorded_owner(), 1)]),
    ]
    check(tmp_path, Settings(), given, expected)
