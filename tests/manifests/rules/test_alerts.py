"""Alerts: each fires and does not fire, and a file of thresholds changes when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from kubectl_vmetrics.manifests.rules import thresholds
from kubectl_vmetrics.manifests.rules.alert import RUNBOOKS
from kubectl_vmetrics.manifests.rules.names import LABELS, POD_INFO, POD_OWNER, STATE, WAYS, Way
from kubectl_vmetrics.manifests.rules.render import ALERTS, Settings

from .host import CART, KUBELET, NAMES, REPLICA, STATE_METRICS, named, together, usage
from .promtool import MISSING, Series, alerts, check, series
from .test_figures import CLAIM, claim_names

pytestmark = MISSING


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
        "No series names pods of virtual clusters, so the series vcluster_* and vcluster:* are missing.",
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
NAMED = pytest.mark.parametrize("name", CASES)


def instance(name: str, labels: Mapping[str, str], severity: str, texts: tuple[str, str]) -> dict[str, dict[str, str]]:
    """An alert that fires."""
    summary, description = texts
    return {
        "labels": {**labels, "severity": severity},
        "annotations": {"summary": summary, "description": description, "runbook_url": f"{RUNBOOKS}#{name.lower()}"},
    }


def test_every_alert_is_here() -> None:
    assert list(CASES) == [alert.name for alert in ALERTS]


@NAMED
def test_fires(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    found = instance(name, case.labels, case.severity, (case.summary, case.description))
    before, then = case.minutes

    check(tmp_path, Settings(), case.given, [alerts(name, before, []), alerts(name, then, [found])])


@NAMED
def test_does_not_fire(name: str, tmp_path: Path) -> None:
    check(tmp_path, Settings(), CASES[name].quiet, [alerts(name, minute, []) for minute in (5, 16, 30)])


@NAMED
def test_a_file_changes_when_it_fires(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    chosen = thresholds.parse(f"{name}:\n  {case.changed}\n", ALERTS)

    check(tmp_path, Settings(thresholds=chosen), case.given, [alerts(name, case.minutes[1], [])])


@NAMED
def test_a_file_changes_severity_and_duration(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    chosen = thresholds.parse(f"{name}: {{for: 3m, severity: critical}}\n", ALERTS)
    ready = case.minutes[1] - int({alert.name: alert.usual.duration for alert in ALERTS}[name].rstrip("ms"))
    found = instance(name, case.labels, "critical", (case.summary, case.description))

    check(
        tmp_path,
        Settings(thresholds=chosen),
        case.given,
        [alerts(name, ready + 2, []), alerts(name, ready + 3, [found])],
    )


def test_an_alert_that_is_left_out(tmp_path: Path) -> None:
    chosen = thresholds.parse("VmetricsProxyDown: false\n", ALERTS)

    check(
        tmp_path, Settings(thresholds=chosen), CASES["VmetricsProxyDown"].given, [alerts("VmetricsProxyDown", 20, [])]
    )


def test_a_container_that_is_not_restarted_fires_once(tmp_path: Path) -> None:
    """A pod with restartPolicy Never keeps its reason; the alert ends after 15m all the same."""
    where = {**CART.host, "uid": CART.uid, **STATE_METRICS, "container": "app"}
    reason = series("kube_pod_container_status_terminated_reason", "_x2 1x60", **where, reason="OOMKilled")
    case = CASES["VmetricsPodOomKilled"]
    found = instance("VmetricsPodOomKilled", case.labels, "warning", (case.summary, case.description))
    expected = [
        alerts("VmetricsPodOomKilled", minute, instances)
        for minute, instances in ((1, []), (2, [found]), (16, [found]), (17, []), (40, []))
    ]

    check(tmp_path, Settings(), [*named(POD_INFO, CART), reason], expected)


def test_pods_without_virtual_names_are_described_by_those_of_the_host(tmp_path: Path) -> None:
    given = [*named(POD_OWNER, CART), *throttled(300)]
    texts = (
        CASES["VmetricsPodThrottled"].summary,
        "The pod team-a/cart-0-x-shop-x-vc1 of the virtual cluster team-a/vc1 was throttled in 50% of its CPU periods "
        f"{ON_HOST}.",
    )
    found = instance("VmetricsPodThrottled", CART.recorded(POD_OWNER), "info", texts)

    check(tmp_path, Settings(way=POD_OWNER), given, [alerts("VmetricsPodThrottled", 16, [found])])


@pytest.mark.parametrize("way", [POD_INFO, LABELS], ids=lambda way: way.name)
def test_names_that_the_proxy_cannot_resolve(way: Way, tmp_path: Path) -> None:
    case = CASES["VmetricsNamesUnresolved"]
    given = [
        proxy("vmetrics_proxy_map_unresolved_objects", "2x40", instance="a"),
        proxy("vmetrics_proxy_map_unresolved_objects", "1x40", instance="b"),
    ]
    found = instance(
        "VmetricsNamesUnresolved", case.labels, "warning", (case.summary, case.description.replace("1 pods", "2 pods"))
    )

    check(tmp_path, Settings(way=way), given, [alerts("VmetricsNamesUnresolved", 15, [found])])


def test_synced_pods_that_kube_state_metrics_cannot_name(tmp_path: Path) -> None:
    case = CASES["VmetricsNamesUnresolved"]
    found = instance("VmetricsNamesUnresolved", case.labels, "warning", (case.summary, case.description))
    settings = Settings(way=STATE)

    check(tmp_path, settings, named(POD_OWNER, CART), [alerts("VmetricsNamesUnresolved", 15, [found])])
    named_too = [*named(POD_OWNER, CART), *named(STATE, CART)]
    check(tmp_path, settings, named_too, [alerts("VmetricsNamesUnresolved", 15, [])])


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_names_are_absent(way: Way, tmp_path: Path) -> None:
    matched = {
        POD_INFO: NAMES,
        STATE: {"job": "kube-state-metrics"},
        LABELS: KUBELET,
        POD_OWNER: {"job": "kube-state-metrics", "owner_kind": "Service"},
    }[way]
    case = CASES["VmetricsNamesAbsent"]
    found = instance("VmetricsNamesAbsent", matched, "warning", (case.summary, case.description))
    settings = Settings(way=way)

    check(tmp_path, settings, usage(CART), [alerts("VmetricsNamesAbsent", 10, [found])])
    check(tmp_path, settings, [*usage(CART), *named(way, CART)], [alerts("VmetricsNamesAbsent", 10, [])])


def test_few_requests_have_no_share_that_says_anything(tmp_path: Path) -> None:
    name = "VmetricsControlPlaneFailingRequests"

    check(tmp_path, Settings(), answered(4, 5), [alerts(name, minute, []) for minute in (11, 30)])
