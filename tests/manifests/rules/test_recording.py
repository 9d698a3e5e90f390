"""Recording rules, for each way of naming, in the situations that break such rules in practice."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubectl_vmetrics.manifests.rules.names import LABELS, POD_INFO, POD_OWNER, STATE, WAYS, Way
from kubectl_vmetrics.manifests.rules.render import Settings

from .host import (
    CART,
    HASHED,
    HOST,
    KUBELET,
    NAMES,
    REPLICA,
    STATE_METRICS,
    TRAP,
    Pod,
    named,
    requests,
    resource,
    together,
    usage,
)
from .promtool import MISSING, Samples, check, query, series

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


@pytest.mark.parametrize("way", [POD_INFO, STATE, LABELS], ids=lambda way: way.name)
def test_the_name_of_now_wins_over_one_that_is_remembered(way: Way, tmp_path: Path) -> None:
    """`a-x-b` in `c` and `a` in `b-x-c` have the same host name, one after the other."""
    first = Pod("team-b", "a-x-b-x-c-x-vc2", "vc2", "c", "a-x-b", uid="uid-6")
    then = first._replace(space="b-x-c", name="a", uid="uid-7")
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


def test_copies_of_annotations_on_other_objects_name_nothing(tmp_path: Path) -> None:
    """virt-launcher carries the annotations of its VirtualMachineInstance."""
    launcher = Pod("team-a", "virt-launcher-db-0", "vc1", "vms", "db-0", uid="uid-8")
    copied = [
        (text.replace("/v1, Kind=Pod", "kubevirt.io/v1, Kind=VirtualMachineInstance"), values)
        for text, values in named(STATE, launcher)
    ]
    given = together(copied, usage(launcher), named(STATE, CART), usage(CART))

    check(tmp_path, Settings(way=STATE), given, [query(rounded(CPU), 10, [(CART.recorded(STATE), 0.1)])])


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


@EVERY_WAY
def test_requests_are_those_of_pods_that_hold_them(way: Way, tmp_path: Path) -> None:
    ended = CART._replace(pod="job-x-shop-x-vc1", name="job", uid="uid-11")
    initial = CART._replace(pod="db-0-x-shop-x-vc1", name="db-0", uid="uid-13")
    restore = {**initial.host, "uid": initial.uid, **STATE_METRICS, "container": "restore"}
    sidecar = {**CART.host, "uid": CART.uid, **STATE_METRICS, "container": "proxy"}
    setup = {**CART.host, "uid": CART.uid, **STATE_METRICS, "container": "setup"}
    given = together(
        named(way, CART),
        named(way, ended),
        named(way, initial),
        requests(CART, "Pending"),
        requests(initial),
        requests(ended, "Succeeded"),
        [
            series("kube_pod_init_container_resource_requests", "0.05x40", **sidecar, resource="cpu", unit="core"),
            series("kube_pod_init_container_info", "1x40", **sidecar, restart_policy="Always"),
            series("kube_pod_init_container_resource_requests", "0.12x40", **setup, resource="cpu", unit="core"),
            series("kube_pod_init_container_info", "1x40", **setup),
            series("kube_pod_init_container_resource_requests", "0.3x40", **restore, resource="cpu", unit="core"),
            series("kube_pod_init_container_info", "1x40", **restore),
        ],
    )
    expected = [
        query(
            rounded("vcluster_pod:cpu_requests_cores:sum"),
            10,
            [(CART.recorded(way), 0.15), (initial.recorded(way), 0.3)],
        ),
        query(rounded("vcluster_pod:cpu_limits_cores:sum"), 10, [(pod.recorded(way), 0.2) for pod in (CART, initial)]),
        query("vcluster_pod:memory_requests_bytes:sum * 1", 10, [(pod.recorded(way), 64) for pod in (CART, initial)]),
        query("vcluster_pod:gpu_requests:sum * 1", 10, [(pod.recorded(way), 1) for pod in (CART, initial)]),
        query(rounded("vcluster:cpu_requests_cores:sum"), 10, [(CART.recorded_owner(), 0.45)]),
    ]
    check(tmp_path, Settings(way=way), given, expected)


@EVERY_WAY
def test_network_of_pods_but_not_of_the_nodes(way: Way, tmp_path: Path) -> None:
    host_network = CART._replace(pod="agent-x-kube-system-x-vc1", space="kube-system", name="agent", uid="uid-12")
    info = {**host_network.host, **STATE_METRICS, "uid": host_network.uid}

    def traffic(pod: Pod, interface: str, instance: str = "node-1") -> list[tuple[str, str]]:
        own = {**pod.host, **KUBELET, "instance": instance, "id": f"/{pod.uid}/pause", "image": "pause"}
        return [
            series("container_network_receive_bytes_total", "0+600x40", **own, interface=interface),
            series("container_network_transmit_bytes_total", "0+300x40", **own, interface=interface),
        ]

    given = together(
        named(way, CART),
        named(way, host_network),
        traffic(CART, "eth0"),
        traffic(CART, "eth0", "proxy"),
        traffic(CART, "net1"),
        traffic(CART, "k6t-eth0"),
        traffic(CART, "tap0"),
        traffic(host_network, "ens3"),
        [series("kube_pod_info", "1x40", **info, host_network="true")],
    )
    expected = [
        query(rounded("vcluster_pod:network_receive_bytes:rate5m"), 10, [(CART.recorded(way), 20)]),
        query(rounded("vcluster_pod:network_transmit_bytes:rate5m"), 10, [(CART.recorded(way), 10)]),
        query(rounded("vcluster:network_receive_bytes:sum"), 10, [(CART.recorded_owner(), 20)]),
    ]
    check(tmp_path, Settings(way=way), given, expected)


@EVERY_WAY
def test_throttling_is_a_share_of_periods(way: Way, tmp_path: Path) -> None:
    own = {**CART.host, **KUBELET, "container": "app", "image": "img", "id": "/uid-1/app"}
    idle = {**HASHED.host, **KUBELET, "container": "app", "image": "img", "id": "/uid-1/app"}
    given = together(
        named(way, CART),
        named(way, HASHED),
        [
            series("container_cpu_cfs_periods_total", "0+600x40", **own, instance="node-1"),
            series("container_cpu_cfs_periods_total", "0+600x40", **own, instance="proxy"),
            series("container_cpu_cfs_throttled_periods_total", "0+150x40", **own, instance="node-1"),
            series("container_cpu_cfs_throttled_periods_total", "0+150x40", **own, instance="proxy"),
            series("container_cpu_cfs_periods_total", "5x40", **idle),
            series("container_cpu_cfs_throttled_periods_total", "0x40", **idle),
        ],
    )
    expected = [query(rounded("vcluster_pod:cpu_throttled:ratio_rate5m"), 10, [(CART.recorded(way), 0.25)])]
    check(tmp_path, Settings(way=way), given, expected)


@EVERY_WAY
def test_gpus_by_the_pod_that_uses_them(way: Way, tmp_path: Path) -> None:
    """dcgm-exporter names it in `pod`, or in `exported_pod` where that is the exporter's own."""
    exporter = {"cluster": "lab", "job": "nvidia-dcgm-exporter", "namespace": "gpu-operator", "pod": "dcgm-1"}
    used = {"exported_namespace": CART.namespace, "exported_pod": CART.pod}
    given = together(
        named(way, CART),
        named(way, HASHED),
        [
            series("DCGM_FI_DEV_GPU_UTIL", "80x40", **exporter, **used, UUID="gpu-1"),
            series("DCGM_FI_DEV_GPU_UTIL", "80x40", **{**exporter, "pod": "dcgm-2"}, **used, UUID="gpu-1"),
            series("DCGM_FI_DEV_GPU_UTIL", "40x40", **exporter, **used, UUID="gpu-2"),
            series("DCGM_FI_DEV_GPU_UTIL", "5x40", **exporter, UUID="gpu-3"),
            series("DCGM_FI_DEV_GPU_UTIL", "90x40", **HASHED.host, job="dcgm-exporter", UUID="gpu-4"),
            series("DCGM_FI_DEV_GPU_UTIL", "99x40", **used, cluster="lab", job="dcgm-x-default-x-vc2", UUID="gpu-5"),
            series("DCGM_FI_PROF_GR_ENGINE_ACTIVE", "0.25x40", **HASHED.host, job="dcgm-exporter", UUID="gpu-4"),
        ],
    )
    expected = [
        query(
            rounded("vcluster_pod:gpu_utilization:avg"), 10, [(CART.recorded(way), 0.6), (HASHED.recorded(way), 0.25)]
        )
    ]
    check(tmp_path, Settings(way=way), given, expected)


@EVERY_WAY
def test_quotas_of_namespaces_with_one_virtual_cluster(way: Way, tmp_path: Path) -> None:
    shared = [Pod("shared", f"web-x-default-x-{name}", name, "default", "web", uid=name) for name in ("vc1", "vc2")]

    def quota(namespace: str, kind: str, value: str, **state: str) -> tuple[str, str]:
        where = {"cluster": "lab", "namespace": namespace, "resourcequota": "q", "resource": "requests.cpu"}
        return series("kube_resourcequota", f"{value}x40", **where, type=kind, **(state or STATE_METRICS))

    given = together(
        *(named(way, pod) for pod in (CART, HASHED, *shared)),
        [
            quota(space, kind, value)
            for space in ("team-a", "shared", "default")
            for kind, value in (("used", "3"), ("hard", "4"))
        ],
        [quota("team-a", "used", "3", **REPLICA), quota("team-a", "hard", "4", **REPLICA)],
    )
    labels = {**CART.recorded_owner(), "namespace": "team-a", "resourcequota": "q", "resource": "requests.cpu"}
    expected = [
        query("vcluster:quota_used:max * 1", 10, [(labels, 3)]),
        query("vcluster:quota_hard:max * 1", 10, [(labels, 4)]),
    ]
    check(tmp_path, Settings(way=way), given, expected)


CLAIM = {"cluster": "lab", "namespace": "team-a", "persistentvolumeclaim": "data-x-shop-x-vc1"}
VIRTUAL_CLAIM = {**CART.owner, "vcluster_virtual_namespace": "shop", "vcluster_virtual_persistentvolumeclaim": "data"}


def claim_names(way: Way) -> list[tuple[str, str]]:
    """What tells the name of a claim."""
    if way == POD_INFO:
        return [series("vcluster_persistentvolumeclaim_info", "1x40", **CLAIM, uid="c", **VIRTUAL_CLAIM, **NAMES)]
    if way == STATE:
        labels = {"label_vcluster_loft_sh_managed_by": "vc1", "label_vcluster_loft_sh_namespace": "shop"}
        return [
            item
            for state in (STATE_METRICS, REPLICA)
            for item in (
                series("kube_persistentvolumeclaim_labels", "1x40", **CLAIM, **labels, **state),
                series(
                    "kube_persistentvolumeclaim_annotations",
                    "1x40",
                    **CLAIM,
                    annotation_vcluster_loft_sh_object_name="data",
                    **state,
                ),
            )
        ]
    if way == LABELS:
        return [
            series(
                "kubelet_volume_stats_capacity_bytes", "100x40", **CLAIM, **VIRTUAL_CLAIM, job="kubelet", instance="p"
            )
        ]
    return []


@EVERY_WAY
def test_claims(way: Way, tmp_path: Path) -> None:
    """A claim that two nodes mount counts once."""
    host = {**CLAIM, "persistentvolumeclaim": "data-vc1-0", "job": "kubelet"}
    given = together(
        claim_names(way),
        named(way, CART),
        usage(CART),
        [
            series(f"kubelet_volume_stats_{what}_bytes", f"{value}x40", **CLAIM, job="kubelet", instance=node)
            for node in ("node-1", "node-2")
            for what, value in (("used", "50"), ("capacity", "100"))
        ],
        [series("kubelet_volume_stats_used_bytes", "7x40", **host)],
        [
            series("kube_persistentvolumeclaim_resource_requests_storage_bytes", "90x40", **CLAIM, **state)
            for state in (STATE_METRICS, REPLICA)
        ],
    )
    if way == POD_OWNER:
        expected = [
            query(f"vcluster_claim:{name}", 10, []) for name in ("used_bytes:max", "capacity_bytes:max", "names:max")
        ]
        expected.append(query("vcluster:volume_used_bytes:sum", 10, []))
    else:
        labels, owner = {**CLAIM, **VIRTUAL_CLAIM}, CART.recorded_owner()
        space = {**owner, "vcluster_virtual_namespace": "shop"}
        expected = [
            query("vcluster_claim:used_bytes:max * 1", 10, [(labels, 50)]),
            query("vcluster_claim:capacity_bytes:max * 1", 10, [(labels, 100)]),
            query("vcluster_claim:requested_bytes:max * 1", 10, [(labels, 90)]),
            query("vcluster_namespace:volume_used_bytes:sum * 1", 10, [(space, 50)]),
            query("vcluster:volume_requested_bytes:sum * 1", 10, [(owner, 90)]),
        ]
    check(tmp_path, Settings(way=way), given, expected)
