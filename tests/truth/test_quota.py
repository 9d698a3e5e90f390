"""Requests, limits, quota and claims by recording rules, against what the apiserver counted and the kubelet measured."""

from __future__ import annotations

import pytest

from tests.prometheus import MISSING
from tests.truth.conftest import Prometheus
from tests.truth.evaluated import WAYS, at
from tests.truth.oracle import moment

pytestmark = MISSING

OWNER = ("vcluster_host_namespace", "vcluster_name")
TEAM_A = ("team-a", "vc1")


@pytest.mark.parametrize("way", WAYS)
def test_requests_are_what_the_quota_counts(way: str, prometheus_by: Prometheus) -> None:
    """The apiserver counts requests and limits against the quota of team-a: pods of the tenant and its control plane."""
    url = prometheus_by(way)
    for resource, metric in (
        ("requests.cpu", "cpu_requests_cores"),
        ("requests.memory", "memory_requests_bytes"),
        ("limits.cpu", "cpu_limits_cores"),
        ("limits.memory", "memory_limits_bytes"),
    ):
        kind, name = resource.split(".")
        plane = f'{{namespace="team-a",pod="vc1-0",resource="{name}"}}'
        compared = 0
        for clock in ("16:10", "16:11", "16:15", "16:19", "16:24", "16:31", "16:36", "16:41"):
            time = moment(f"{clock}:00")
            wanted = at(url, f'vcluster:quota_used:max{{resource="{resource}"}}', time, *OWNER, "resourcequota")
            shown = at(url, f"vcluster:{metric}:sum", time, *OWNER)
            # Containers run together, init containers before them.
            rest = max(
                sum(at(url, f"kube_pod_container_resource_{kind}{plane}", time, "container").values()),
                *at(url, f"kube_pod_init_container_resource_{kind}{plane}", time, "container").values(),
            )
            assert list(wanted) == [(*TEAM_A, "vc-vc1")]
            assert shown[TEAM_A] + rest == pytest.approx(wanted[(*TEAM_A, "vc-vc1")]), (resource, clock)
            compared += 1
        assert compared == 8
    hard = at(url, "vcluster:quota_hard:max", moment("16:15:00"), *OWNER, "namespace", "resourcequota", "resource")
    assert hard[(*TEAM_A, "team-a", "vc-vc1", "requests.cpu")] == 2
    assert hard[(*TEAM_A, "team-a", "vc-vc1", "count/pods")] == 50


@pytest.mark.parametrize("way", WAYS)
def test_claims_are_what_the_kubelet_measured(way: str, prometheus_by: Prometheus) -> None:
    """The claim data/store of each virtual cluster; that of the host's own namespace data, and control planes' stay out."""
    url, time = prometheus_by(way), moment("16:20:00")
    labels = (*OWNER, "vcluster_virtual_namespace", "vcluster_virtual_persistentvolumeclaim")
    for metric, family in (
        ("used_bytes", "kubelet_volume_stats_used_bytes"),
        ("capacity_bytes", "kubelet_volume_stats_capacity_bytes"),
        ("requested_bytes", "kube_persistentvolumeclaim_resource_requests_storage_bytes"),
    ):
        measured = at(url, family, time, "namespace", "persistentvolumeclaim")
        wanted = {
            (namespace, name, "data", "store"): measured[namespace, f"store-x-data-x-{name}"]
            for namespace, name in (("team-a", "vc1"), ("team-b", "vc2"))
        }
        # The recording has names of claims in the series alone that are made up for pod-info.
        assert at(url, f"vcluster_claim:{metric}:max", time, *labels) == (wanted if way == "pod-info" else {})
        total = {key[:2]: value for key, value in wanted.items()} if way == "pod-info" else {}
        if metric != "capacity_bytes":
            assert at(url, f"vcluster:volume_{metric}:sum", time, *OWNER) == total
