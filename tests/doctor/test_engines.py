"""The queries of `doctor prometheus` mean the same to Prometheus and to VictoriaMetrics."""

from __future__ import annotations

import datetime
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.changes import together
from tests import prometheus
from tests.doctor.test_prometheus import Run, forwarded, run, served, services, told
from tests.truth import victoria

__all__ = ["Apiserver", "run", "served"]

MOMENT = int(datetime.datetime(2026, 11, 24, 12, 0, 0, tzinfo=datetime.timezone.utc).timestamp())
CADVISOR = 'container_cpu_usage_seconds_total{{job="{}",metrics_path="/metrics/cadvisor",instance="{}",namespace="{}",pod="{}",container="c"{}}} 1'
OWNER = ',vcluster_name="shop",vcluster_host_namespace="team-a"'
SAMPLES = [
    *(f'up{{job="kubelet",instance="n{index}"}} 1' for index in range(3)),
    *(CADVISOR.format("kubelet", f"n{index}", "team-a", f"p{index}-x-web-x-shop", "") for index in range(3)),
    CADVISOR.format("kubelet", "n0", "kube-system", "proxy", ""),
    # Two of them from another job as well, one of these with virtual names.
    CADVISOR.format(
        "other",
        "n0",
        "team-a",
        "p0-x-web-x-shop",
        f'{OWNER},vcluster_virtual_namespace="web",vcluster_virtual_pod="p0"',
    ),
    CADVISOR.format("other", "n0", "kube-system", "proxy", ""),
    # The view of a tenant.
    CADVISOR.format("kubelet", "n0", "web", "p0", OWNER),
    'kube_pod_info{instance="a",namespace="team-a",pod="p0-x-web-x-shop",uid="u0"} 1',
    'kube_pod_info{instance="b",namespace="team-a",pod="p0-x-web-x-shop",uid="u0"} 1',
    'kube_pod_info{instance="a",namespace="team-a",pod="p1-x-web-x-shop",uid="u1"} 1',
    'kube_pod_owner{namespace="team-a",pod="p0-x-web-x-shop",uid="u0",owner_kind="Service",owner_name="shop"} 1',
    'kube_pod_owner{namespace="kube-system",pod="proxy",uid="u9",owner_kind="DaemonSet",owner_name="proxy"} 1',
    'kube_pod_labels{namespace="team-a",pod="p0-x-web-x-shop",uid="u0",label_vcluster_loft_sh_managed_by="shop",label_vcluster_loft_sh_namespace="web"} 1',
    'kube_pod_labels{namespace="team-a",pod="p1-x-web-x-shop",uid="u1",label_vcluster_loft_sh_managed_by="shop",label_vcluster_loft_sh_namespace="web"} 1',
    'kube_pod_annotations{namespace="team-a",pod="p0-x-web-x-shop",uid="u0",annotation_vcluster_loft_sh_object_name="p0",annotation_vcluster_loft_sh_token_ab12cd34="x"} 1',
    'vcluster_pod_info{namespace="team-a",pod="p0-x-web-x-shop",uid="u0",vcluster_name="shop"} 1',
]


@pytest.fixture(
    params=[pytest.param("prometheus", marks=prometheus.MISSING), pytest.param("victoria", marks=victoria.MISSING)]
)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The name and the URL of a server with these samples."""
    if request.param == "victoria":
        with victoria.running(tmp_path) as url:
            text = "\n".join(SAMPLES).encode()
            urllib.request.urlopen(
                f"{url}/api/v1/import/prometheus?timestamp={MOMENT * 1000}", text, timeout=20
            ).close()
            victoria.flush(url)
            yield request.param, url
    else:
        lines = sorted(SAMPLES, key=lambda line: line.partition("{")[0])
        prometheus.blocks(tmp_path, "".join(f"{line} {MOMENT}\n" for line in lines) + "# EOF\n")
        with prometheus.answering({"scrape_configs": []}, tmp_path, "--storage.tsdb.retention.time=100y") as url:
            yield request.param, url


def test_the_same_findings(engine: tuple[str, str], run: Run) -> None:
    name, url = engine
    found: dict[str, Any] = run(
        together(services(("prometheus-k8s", {"vmetrics.io/prometheus": ""})), forwarded(url, "12:00:10"))
    )
    evidence = run(forwarded(url, "12:00:10"), "--only=VM702,VM703,VM704,VM705")

    version = " 2.42.0+ds" if name == "prometheus" else ""
    del found["VM706"], found["VM708"]
    assert told(found) == {
        "VM701": ("PASS", f"monitoring/prometheus-k8s (Prometheus{version}) answers"),
        "VM702": ("PASS", "container metrics of 3 kubelets"),
        "VM703": ("PASS", "kube-state-metrics reports 2 pods"),
        "VM704": (
            "PASS",
            "container metrics can be joined with virtual names (pod-info, kube-state-metrics, proxy-labels, pod-owner)",
        ),
        "VM705": (
            "WARN",
            "monitoring/prometheus-k8s scrapes the host and 1 view of virtual clusters; "
            "monitoring/prometheus-k8s has 1 pod from several instances of kube-state-metrics; monitoring/prometheus-k8s has "
            "2 pods from job kubelet (/metrics/cadvisor) and job other (/metrics/cadvisor)",
        ),
        "VM707": ("FAIL", "monitoring/prometheus-k8s has labels that hold them"),
    }
    assert [line.partition(": ")[2] for line in evidence["VM704"]["evidence"]] == [
        "pod-info, 1 series",
        "kube-state-metrics, 1 series",
        "proxy-labels, 1 series",
        "pod-owner, 1 series",
    ]
    assert [line.partition(": ")[2] for line in evidence["VM702"]["evidence"]] == [
        "job kubelet (/metrics/cadvisor), 3 targets",
        "job other (/metrics/cadvisor), 1 target",
    ]
