"""An example of every alert: what makes it fire, what does not, and what people read then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kubectl_vmetrics.manifests.rules.names import POD_INFO, POD_OWNER

from .host import CART, KUBELET, NAMES, REPLICA, STATE_METRICS, named, together, usage
from .promtool import Series, series
from .test_figures import CLAIM, claim_names


class Case(NamedTuple):
    """An alert that fires.

    Attributes:
        given: series that make it fire.
        quiet: series like them that do not.
        minutes: the last minute before it fires, and the first at which it does; rates need some to reach their value.
        labels: of the alert, but for its severity.
        severity: as it is if nothing is chosen.
        summary, description: as people read them.
        changed: an entry of a file of thresholds with which `given` does not make it fire.
    """

    given: Sequence[Series]
    quiet: Sequence[Series]
    minutes: tuple[int, int]
    labels: Mapping[str, str]
    severity: str
    summary: str
    description: str
    changed: str


def quota(used: str) -> list[Series]:
    where = {"cluster": "lab", "namespace": "team-a", "resourcequota": "vc-vc1", "resource": "requests.cpu"}
    return together(
        named(POD_INFO, CART),
        [
            series("kube_resourcequota", f"{value}x60", **where, type=kind, **state)
            for kind, value in (("used", used), ("hard", "4"))
            for state in (STATE_METRICS, REPLICA)
        ],
    )


def volume(used: str) -> list[Series]:
    return together(
        claim_names(POD_INFO),
        [
            series("kubelet_volume_stats_used_bytes", f"{used}x60", **CLAIM, job="kubelet"),
            series("kubelet_volume_stats_capacity_bytes", "100x60", **CLAIM, job="kubelet"),
        ],
    )


def throttled(periods: int) -> list[Series]:
    own = {**CART.host, **KUBELET, "container": "app", "image": "img", "id": "/uid-1/app"}
    return together(
        named(POD_INFO, CART),
        [
            series("container_cpu_cfs_periods_total", "0+600x60", **own),
            series("container_cpu_cfs_throttled_periods_total", f"0+{periods}x60", **own),
        ],
    )


def killed(restarts: str, reason: str = "OOMKilled") -> list[Series]:
    where = {**CART.host, "uid": CART.uid, **STATE_METRICS, "container": "app"}
    return together(
        named(POD_INFO, CART),
        [
            series("kube_pod_container_status_last_terminated_reason", "_x4 1x40", **where, reason=reason),
            series("kube_pod_container_status_restarts_total", restarts, **where),
        ],
    )


def owned(*, known: bool) -> list[Series]:
    return together(named(POD_OWNER, CART), named(POD_INFO, CART) if known else [])


def up(values: str, cluster: str = "team-a/vc1", instance: str = "10.0.0.1:8443") -> Series:
    return series("up", values, cluster=cluster, job="apiserver", instance=instance)


def answered(failed: int, all_: int = 600) -> list[Series]:
    own = {"cluster": "team-a/vc1", "job": "apiserver", "instance": "10.0.0.1:8443", "resource": "pods"}
    return [
        series("apiserver_request_total", f"0+{failed}x60", **own, verb="GET", code="503"),
        series("apiserver_request_total", f"0+{all_ - failed}x60", **own, verb="GET", code="200"),
        series("apiserver_request_total", "0+9000x60", **own, verb="WATCH", code="500"),
    ]


def durations(slow: int) -> list[Series]:
    own = {"cluster": "team-a/vc1", "job": "apiserver", "verb": "LIST"}
    family = "apiserver_request_duration_seconds_bucket"
    return [
        series(family, f"0+{600 - slow}x60", **own, le="1"),
        series(family, "0+600x60", **own, le="10"),
        series(family, "0+600x60", **own, le="+Inf"),
    ]


def proxy(name: str, values: str, /, **more: str) -> Series:
    return series(name, values, cluster="lab", job="vmetrics-proxy", **more)


def ready(status: str, **more: str) -> Series:
    labels = {"cluster": "lab", **NAMES, **CART.owner, "version": "0.37.0", "status": status, **more}
    return series("vcluster_info", "1x40", **labels)


KUBEVIRT = {"cluster": "lab", "job": "kubevirt-prometheus-metrics", "namespace": "vms", "name": "db-0"}


def delayed(first: int, second: int, node: str = "worker-1") -> list[Series]:
    return [
        series("kubevirt_vmi_vcpu_delay_seconds_total", f"0+{seconds}x60", **KUBEVIRT, node=node, id=str(number))
        for number, seconds in enumerate((first, second))
    ]


def memory(usable: str) -> list[Series]:
    return [
        series("kubevirt_vmi_memory_usable_bytes", f"{usable}x60", **KUBEVIRT, node="worker-1"),
        series("kubevirt_vmi_memory_available_bytes", "1000x60", **KUBEVIRT, node="worker-1"),
    ]


POD = CART.recorded(POD_INFO)
ON_HOST = "(on the host: team-a/cart-0-x-shop-x-vc1)"
CASES = {
    "VmetricsQuotaNearLimit": Case(
        quota("3.8"),
        quota("3.6"),
        (14, 15),
        {**CART.recorded_owner(), "namespace": "team-a", "resourcequota": "vc-vc1", "resource": "requests.cpu"},
        "warning",
        "The virtual cluster team-a/vc1 is near its quota.",
        "The virtual cluster team-a/vc1 has used 95% of requests.cpu in the quota vc-vc1 of the host namespace team-a.",
        "above: 0.95",
    ),
    "VmetricsVolumeNearlyFull": Case(
        volume("92"),
        volume("90"),
        (14, 15),
        {
            **CLAIM,
            **CART.owner,
            "vcluster_virtual_namespace": "shop",
            "vcluster_virtual_persistentvolumeclaim": "data",
        },
        "warning",
        "A volume of the virtual cluster team-a/vc1 is nearly full.",
        "The claim shop/data of the virtual cluster team-a/vc1 has used 92% of its volume "
        "(on the host: team-a/data-x-shop-x-vc1).",
        "above: 0.95",
    ),
    "VmetricsPodThrottled": Case(
        throttled(300),
        throttled(150),
        (15, 16),
        POD,
        "info",
        "A pod of the virtual cluster team-a/vc1 is throttled.",
        f"The pod shop/cart-0 of the virtual cluster team-a/vc1 was throttled in 50% of its CPU periods {ON_HOST}.",
        "above: 0.5",
    ),
    "VmetricsPodOomKilled": Case(
        killed("0x4 1x40"),
        killed("1x44"),
        (4, 5),
        {**POD, "container": "app"},
        "warning",
        "A container of the virtual cluster team-a/vc1 ran out of memory.",
        "The container app of the pod shop/cart-0 of the virtual cluster team-a/vc1 was killed because it reached its "
        f"memory limit {ON_HOST}.",
        "for: 30m",
    ),
    "VmetricsNamesUnresolved": Case(
        owned(known=False),
        owned(known=True),
        (14, 15),
        {"cluster": "lab"},
        "warning",
        "Virtual names of some pods are not known.",
        "1 pods or claims belong to a virtual cluster, but their virtual names are not known.",
        "above: 1",
    ),
    "VmetricsNamesAbsent": Case(
        usage(CART),
        together(usage(CART), named(POD_INFO, CART)),
        (9, 10),
        NAMES,
        "warning",
        "Prometheus has no virtual names.",
        "No series names pods of virtual clusters, so the series of `manifests rules` are missing.",
        "for: 1h",
    ),
    "VmetricsControlPlaneDown": Case(
        [up("1x4 0x40"), up("1x4 0x40", instance="10.0.0.2:8443"), up("0x44", cluster="lab")],
        [up("1x4 0x40"), up("1x44", instance="10.0.0.2:8443"), up("0x44", cluster="lab")],
        (9, 10),
        {"cluster": "team-a/vc1", "job": "apiserver"},
        "critical",
        "The control plane team-a/vc1 is down.",
        "No replica of apiserver of the control plane team-a/vc1 can be scraped.",
        "for: 1h",
    ),
    "VmetricsControlPlaneFailingRequests": Case(
        answered(60),
        answered(30),
        (10, 11),
        {"cluster": "team-a/vc1"},
        "warning",
        "The control plane team-a/vc1 fails requests.",
        "The apiserver of team-a/vc1 answers 10% of its requests with a server error (5xx).",
        "above: 0.1",
    ),
    "VmetricsControlPlaneSlow": Case(
        durations(12),
        durations(3),
        (15, 16),
        {"cluster": "team-a/vc1"},
        "warning",
        "The control plane team-a/vc1 is slow.",
        "1% of the requests to the apiserver of team-a/vc1 take longer than 5.5s.",
        "above: 6",
    ),
    "VmetricsVirtualClusterNotReady": Case(
        [ready("NotReady"), ready("NotReady", instance="b")],
        [ready("Running"), ready("Paused", vcluster_name="vc2"), ready("ScaledDown", vcluster_name="vc3")],
        (9, 10),
        CART.recorded_owner(),
        "warning",
        "The virtual cluster team-a/vc1 is not ready.",
        "No pod of the control plane of the virtual cluster team-a/vc1 is ready.",
        "for: 1h",
    ),
    "VmetricsProxyBehind": Case(
        [proxy("vmetrics_proxy_map_age_seconds", "130x40", instance="a")],
        [proxy("vmetrics_proxy_map_age_seconds", "120x40", instance="a")],
        (4, 5),
        {"cluster": "lab", "job": "vmetrics-proxy", "instance": "a"},
        "warning",
        "The proxy's names are out of date.",
        "The proxy a has not been able to follow the host's pods and claims for 2m 10s. Names of new pods are missing.",
        "above: 130",
    ),
    "VmetricsProxyDown": Case(
        [proxy("up", "0x40", instance="a"), proxy("up", "0x40", instance="b")],
        [proxy("up", "0x40", instance="a"), proxy("up", "1x40", instance="b")],
        (4, 5),
        {"cluster": "lab", "job": "vmetrics-proxy"},
        "warning",
        "The proxy is down.",
        "No replica of the proxy can be scraped, so virtual names are missing.",
        "for: 1h",
    ),
    "VmetricsMachineCpuStarved": Case(
        [*delayed(12, 6), *delayed(12, 6, "worker-2")],
        delayed(10, 0),
        (18, 19),
        {"cluster": "lab", "namespace": "vms", "name": "db-0"},
        "warning",
        "The virtual machine vms/db-0 waits for CPU.",
        "The vCPUs of the virtual machine vms/db-0 were ready to run for 15% of the time and the host did not run them.",
        "above: 0.2",
    ),
    "VmetricsMachineMemoryLow": Case(
        memory("40"),
        memory("50"),
        (14, 15),
        {"cluster": "lab", "namespace": "vms", "name": "db-0"},
        "warning",
        "The virtual machine vms/db-0 is short of memory.",
        "Only 4% of the guest's memory of the virtual machine vms/db-0 is usable.",
        "below: 0.04",
    ),
}
