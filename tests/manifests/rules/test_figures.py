"""Recording rules of each kind of figure: requests, network, throttling, GPUs, quotas, claims."""

from __future__ import annotations

from pathlib import Path

from kubectl_vmetrics.manifests.rules.names import LABELS, POD_INFO, POD_OWNER, STATE, Way
from kubectl_vmetrics.manifests.rules.render import Settings

from .host import CART, HASHED, KUBELET, NAMES, REPLICA, STATE_METRICS, Pod, named, requests, together, usage
from .promtool import MISSING, check, query, series
from .test_recording import EVERY_WAY, rounded

pytestmark = MISSING


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
            series("kubelet_volume_stats_used_bytes", "50x40", **CLAIM, **VIRTUAL_CLAIM, job="kubelet", instance="p")
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
