"""The dashboard of tenants on a real Prometheus that holds the recording, with every way of naming."""

from __future__ import annotations

import re

import pytest

from kubectl_vmetrics.manifests.board_tenants import TENANTS
from kubectl_vmetrics.manifests.grafana import Panel, Variable
from tests.prometheus import MISSING, instant_query, range_query
from tests.truth import oracle
from tests.truth.conftest import Prometheus
from tests.truth.evaluated import END, INTERVAL, START, WAYS, at, rules
from tests.truth.oracle import moment

pytestmark = MISSING

OWNER = ("vcluster_host_namespace", "vcluster_name")
NOON = moment("16:20:00")
GPU = {("Usage and requests", "GPUs"), ("GPUs requested", ""), ("GPU utilization", "")}
"""The host of the recording has no GPUs, so neither kube-state-metrics nor dcgm-exporter have series of them."""
CLAIMS = {
    ("Usage and requests", "Volumes"),
    ("Share of capacity used, fullest claims", ""),
    ("Used, largest claims", ""),
    ("Requested", ""),
}
"""kube-state-metrics had neither labels nor annotations of claims, and the proxy's /metrics was not scraped."""
INSIDE = {("CPU by virtual namespace", ""), ("Memory by virtual namespace", ""), ("Pods by virtual namespace", "")}
"""kube_pod_owner says nothing about what is inside."""
THROTTLED = {("CPU throttling, top pods", "")}
"""The recorded scrape of the proxy kept CPU, memory and network alone."""
EMPTY = {
    "pod-info": GPU,
    "kube-state-metrics": GPU | CLAIMS,
    "proxy-labels": GPU | CLAIMS | THROTTLED,
    "pod-owner": GPU | CLAIMS | INSIDE,
}


def filled(expression: str, **chosen: str) -> str:
    """As Grafana sends it; what is not chosen is All."""
    return re.sub(r"\$(\w+)", lambda found: chosen.get(found[1], ".*"), expression)


def queries() -> list[tuple[tuple[str, str], str]]:
    """Titles of panels, of columns where there are several, and PromQL."""
    return [
        ((panel.title, legend if panel.kind == "table" else ""), expression)
        for panel in TENANTS.panels
        for expression, legend in panel.queries
    ]


def test_all_series_are_recorded() -> None:
    names = {name for _, query in queries() for name in re.findall(r"\bvcluster\w*:\w+:\w+", query)}
    assert len(names) > 25
    assert names <= {rule["record"] for rule in rules("pod-info")}


@pytest.mark.parametrize("way", WAYS)
def test_each_query_has_an_answer(way: str, prometheus_by: Prometheus) -> None:
    """No error over all that happened, and data wherever the recording has what it is made of."""
    url = prometheus_by(way)
    found = {title: range_query(url, filled(query), START, END, INTERVAL) for title, query in queries()}
    assert len(found) == len(queries())
    assert {title for title, series in found.items() if not series} == EMPTY[way]
    for title, query in queries():
        assert bool(instant_query(url, filled(query), NOON)) is (title not in EMPTY[way]), title


@pytest.mark.parametrize("way", WAYS)
def test_totals_are_those_of_the_oracle(way: str, prometheus_by: Prometheus) -> None:
    url = prometheus_by(way)
    by_title = dict(queries())
    cores = at(url, filled(by_title["CPU", ""]), NOON, *OWNER)
    assert cores["team-a", "vc1"] == pytest.approx(oracle.cpu(NOON - 300, NOON)["team-a", "vc1"], rel=0.05)
    assert cores == at(url, filled(by_title["Usage and requests", "CPU"]), NOON, *OWNER)
    (snapshot,) = (item for item in oracle.snapshots() if round(item.at / 60) * 60 == NOON)
    memory = at(url, filled(by_title["Memory", ""]), NOON, *OWNER)
    assert memory["team-a", "vc1"] == pytest.approx(snapshot.memory["team-a", "vc1"], rel=0.05)
    pods = at(url, filled(by_title["Usage and requests", "Pods"]), NOON, *OWNER)
    assert pods["team-a", "vc1"] == snapshot.pods["team-a", "vc1"]
    quota = at(url, filled(by_title["Share of quota used", ""]), NOON, *OWNER, "resource")
    # 50 pods may be there; 12 are, with the control plane and one that crashes.
    assert quota["team-a", "vc1", "count/pods"] == 12 / 50
    assert {key[:2] for key in quota} == {("team-a", "vc1")}


@pytest.mark.parametrize("variable", TENANTS.variables, ids=lambda variable: variable.name)
def test_each_variable_has_values(variable: Variable, prometheus_by: Prometheus) -> None:
    series = instant_query(prometheus_by("pod-info"), filled(variable.query), NOON)
    assert (
        sorted({item["metric"][variable.label] for item in series})
        == {
            "cluster": ["lab"],
            "vcluster_host_namespace": ["team-a", "team-b"],
            "vcluster_name": ["vc1", "vc2"],
            # batch had a pod until 16:19:05, whose memory counts for two minutes.
            "vcluster_virtual_namespace": [
                *("a-rather-long-namespace-name-for-the-observability-stack", "b-x-c"),
                *("batch", "data", "default", "shop"),
            ],
        }[variable.name]
    )


@pytest.mark.parametrize("panel", TENANTS.panels, ids=lambda panel: panel.title)
def test_what_is_chosen_is_all_that_is_shown(panel: Panel, prometheus_by: Prometheus) -> None:
    url = prometheus_by("pod-info")
    for query, _ in panel.queries:
        everything = instant_query(url, filled(query), NOON)
        for label, value in (("vcluster_host_namespace", "team-b"), ("vcluster_name", "vc2"), ("cluster", "lab")):
            shown = instant_query(url, filled(query, **{label: value}), NOON)
            assert {item["metric"][label] for item in shown} <= {value}
            if "topk" not in query:
                wanted = [item for item in everything if item["metric"][label] == value]
                assert sorted(map(str, shown)) == sorted(map(str, wanted))
        if "vcluster_virtual_namespace" in query:
            shown = instant_query(url, filled(query, vcluster_virtual_namespace="shop"), NOON)
            assert {item["metric"]["vcluster_virtual_namespace"] for item in shown} <= {"shop"}
        assert instant_query(url, filled(query, cluster="elsewhere"), NOON) == []
