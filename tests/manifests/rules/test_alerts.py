"""Alerts: each fires and does not fire, and a file of thresholds changes when."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from kubectl_vmetrics.manifests.rules import thresholds
from kubectl_vmetrics.manifests.rules.alert import RUNBOOKS
from kubectl_vmetrics.manifests.rules.names import LABELS, POD_INFO, POD_OWNER, STATE, WAYS, Way
from kubectl_vmetrics.manifests.rules.render import ALERTS, Settings

from .cases import CASES, ON_HOST, answered, proxy, throttled
from .host import CART, KUBELET, NAMES, STATE_METRICS, named, together, usage
from .promtool import MISSING, alerts, check, series

pytestmark = MISSING

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


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_one_of_two_hosts_has_lost_its_names(way: Way, tmp_path: Path) -> None:
    east, west = CART._replace(cluster="east"), CART._replace(cluster="west", uid="uid-2")
    given = together(named(way, east), usage(east), named(way, west, "1x5 stale"), usage(west))
    texts = (
        "Prometheus has no virtual names on the host west.",
        "No series names pods of virtual clusters on the host west, so the series of `manifests rules` are missing.",
    )
    found = instance("VmetricsNamesAbsent", {"cluster": "west"}, "warning", texts)
    expected = [alerts("VmetricsNamesAbsent", 15, []), alerts("VmetricsNamesAbsent", 16, [found])]

    check(tmp_path, Settings(way=way), given, expected)


def test_few_requests_have_no_share_that_says_anything(tmp_path: Path) -> None:
    name = "VmetricsControlPlaneFailingRequests"

    check(tmp_path, Settings(), answered(4, 5), [alerts(name, minute, []) for minute in (11, 30)])
