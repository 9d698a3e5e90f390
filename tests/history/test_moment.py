"""The state of a made-up host at a moment, of which the right answer is known: what is read, and by how many queries."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from kubectl_vmetrics.history import held, moment, mounts, nodes, reserved
from kubectl_vmetrics.history.moment import Rhythm
from kubectl_vmetrics.metrics import requests
from kubectl_vmetrics.metrics.metrics_api import PodMetrics, Scope
from kubectl_vmetrics.metrics.usage import HostPod, Usage
from kubectl_vmetrics.prometheus import way
from kubectl_vmetrics.prometheus.answer import Sample
from kubectl_vmetrics.prometheus.api import Prometheus
from kubectl_vmetrics.prometheus.login import Login
from kubectl_vmetrics.vcluster import groups
from kubectl_vmetrics.vcluster.holdings import Quota
from kubectl_vmetrics.vcluster.identity import VClusterRef
from tests.prometheus import MISSING, blocks
from tests.truth import evaluated

pytestmark = MISSING

START = 1_700_000_000
AT = START + 3000
VC = VClusterRef("team", "vc")
KUBELET = 'job="kubelet",metrics_path="/metrics/cadvisor",node="n1",instance="10.0.0.1:10250"'
PROXY = 'job="vmetrics-proxy",node="n1",instance="proxy"'
RESOURCE = 'job="kubelet",metrics_path="/metrics/resource",node="n1",instance="10.0.0.1:10250"'
STATE = 'job="kube-state-metrics"'
EXPORTER = 'job="node-exporter",instance="10.0.0.1:9100"'
MIB = 2**20


class Counting(Prometheus):
    """A Prometheus that remembers what it was asked."""

    asked: list[str]

    def query(self, expression: str, *, at: float | None = None) -> list[Sample]:
        self.asked.append(expression)
        return super().query(expression, at=at)


class Host:
    """Series of a made-up host.

    Args:
        cluster: tells it apart from the others.
        interval: seconds between samples.
    """

    def __init__(self, cluster: str, interval: int = 30) -> None:
        self.lines: list[str] = []
        self._cluster, self._interval = cluster, interval

    def series(self, text: str, value: float, rate: float = 0.0, start: int = 0, end: int = 3600) -> None:
        """A series from a start to an end, that is `value` at the start and grows by `rate` per second."""
        name, own = text.split("{", 1)
        self.lines += [
            f'{name}{{cluster="{self._cluster}",{own} {value + rate * (time - start):.6f} {START + time}'
            for time in range(start, end, self._interval)
        ]

    def container(self, namespace: str, pod: str, name: str, cores: float, size: float, jobs: tuple[str, ...]) -> None:
        """A container of a running pod."""
        for job in jobs:
            own = f'namespace="{namespace}",pod="{pod}",container="{name}"'
            run = own if "resource" in job else f'{own},image="i",id="/{namespace}/{pod}/{name}"'
            self.series(f"container_cpu_usage_seconds_total{{{job},{run}}}", 5.0, cores)
            self.series(f"container_memory_working_set_bytes{{{job},{run}}}", size)
        self.series(
            f'kube_pod_container_status_running{{{STATE},namespace="{namespace}",pod="{pod}",container="{name}"}}', 1
        )

    def synced(self, pod: str) -> None:
        """Labels that vCluster set."""
        keys = 'label_vcluster_loft_sh_managed_by="vc",label_vcluster_loft_sh_namespace="default"'
        self.series(f'kube_pod_labels{{{STATE},namespace="team",pod="{pod}",{keys}}}', 1)

    def node(self, *jobs: str) -> None:
        """What there is of a node in any case."""
        for job in jobs:
            self.series(f"machine_memory_bytes{{{job}}}", 8 * 2**30)
        self.series(f'kube_node_info{{{STATE},node="n1",internal_ip="10.0.0.1"}}', 1)
        for family in ("allocatable", "capacity"):
            self.series(f'kube_node_status_{family}{{{STATE},node="n1",resource="cpu"}}', 4)
            self.series(f'kube_node_status_{family}{{{STATE},node="n1",resource="memory"}}', 8 * 2**30)
        self.series(f'kube_statefulset_created{{{STATE},namespace="team",statefulset="vc"}}', 1)


def usual() -> Host:
    """Two jobs that scrape the kubelet, /metrics/resource, pods' own cgroups, and pods that are gone or crash."""
    host = Host("usual")
    host.node(KUBELET, PROXY)
    for pod, cores, size in (("web-x-default-x-vc", 0.25, 64 * MIB), ("api-x-default-x-vc", 0.5, 32 * MIB)):
        host.container("team", pod, "main", cores, size, (KUBELET, PROXY, RESOURCE))
        host.series(f'container_memory_working_set_bytes{{{KUBELET},namespace="team",pod="{pod}",id="/pod"}}', 2 * size)
        host.series(f'container_cpu_usage_seconds_total{{{KUBELET},namespace="team",pod="{pod}",id="/pod"}}', 0, cores)
        host.synced(pod)
    host.container("team", "web-x-default-x-vc", "sidecar", 0.05, 8 * MIB, (KUBELET, PROXY, RESOURCE))
    host.container("team", "vc-0", "syncer", 0.1, 256 * MIB, (KUBELET, PROXY, RESOURCE))
    host.container("kube-system", "dns", "dns", 0.02, 16 * MIB, (KUBELET, PROXY, RESOURCE))
    # Deleted a minute ago, and one that waits to be restarted: their last samples are still there.
    for pod in ("gone-x-default-x-vc", "crasher-x-default-x-vc"):
        host.synced(pod)
        run = f'{KUBELET},namespace="team",pod="{pod}",container="main",image="i",id="/{pod}"'
        host.series(f"container_memory_working_set_bytes{{{run}}}", 500 * MIB, end=2940)
    host.series(
        f'kube_pod_container_status_running{{{STATE},namespace="team",pod="crasher-x-default-x-vc",container="main"}}',
        0,
    )
    # A container that was restarted, under the same name.
    run = f'{KUBELET},namespace="kube-system",pod="dns",container="dns",image="i",id="/before"'
    host.series(f"container_memory_working_set_bytes{{{run}}}", 4 * MIB, end=2990)
    host.series(f'container_cpu_usage_seconds_total{{{KUBELET},id="/"}}', 100, 1.5)
    host.series(f'container_memory_working_set_bytes{{{KUBELET},id="/"}}', 2**30)
    host.series(f'container_cpu_usage_seconds_total{{{PROXY},id="/"}}', 100, 1.5)
    host.series(f'container_memory_working_set_bytes{{{PROXY},id="/"}}', 2**30)
    for pod in ("web-x-default-x-vc", "dns"):
        namespace = "team" if "-x-" in pod else "kube-system"
        host.series(f'kube_pod_info{{{STATE},namespace="{namespace}",pod="{pod}",node="n1"}}', 1)
        host.series(f'kube_pod_container_info{{{STATE},namespace="{namespace}",pod="{pod}",container="main"}}', 1)
    for pod, phase in (("web-x-default-x-vc", "Running"), ("dns", "Running"), ("new-x-default-x-vc", "Pending")):
        namespace = "team" if "-x-" in pod else "kube-system"
        host.series(f'kube_pod_status_phase{{{STATE},namespace="{namespace}",pod="{pod}",phase="{phase}"}}', 1)
    host.synced("new-x-default-x-vc")
    new = f'{STATE},namespace="team",pod="new-x-default-x-vc"'
    host.series(f'kube_pod_info{{{new},node="n1"}}', 1)
    host.series(f'kube_pod_container_info{{{new},container="main"}}', 1)
    host.series(f'kube_pod_container_resource_requests{{{new},container="main",resource="nvidia_com_gpu"}}', 2)
    # One that has ended keeps its requests in kube-state-metrics.
    over = f'{STATE},namespace="team",pod="over-x-default-x-vc"'
    host.synced("over-x-default-x-vc")
    host.series(f'kube_pod_status_phase{{{over},phase="Succeeded"}}', 1)
    host.series(f'kube_pod_container_info{{{over},container="main"}}', 1)
    host.series(f'kube_pod_container_resource_requests{{{over},container="main",resource="cpu"}}', 50)
    host.series(
        f'kube_pod_container_status_restarts_total{{{STATE},namespace="team",pod="web-x-default-x-vc",container="main"}}',
        3,
    )
    claim = 'namespace="team",persistentvolumeclaim="data-x-default-x-vc"'
    host.series(f"kube_persistentvolumeclaim_resource_requests_storage_bytes{{{STATE},{claim}}}", 2**30)
    host.series(f'kubelet_volume_stats_used_bytes{{job="kubelet",metrics_path="/metrics",{claim}}}', 2**20)
    host.series('kubelet_running_pods{job="kubelet",metrics_path="/metrics",instance="n1"}', 5)
    for kind, value in (("hard", 4), ("used", 1.5)):
        own = f'namespace="team",resourcequota="q",resource="requests.cpu",type="{kind}"'
        host.series(f"kube_resourcequota{{{STATE},{own}}}", value)
    request = f'{STATE},namespace="team",pod="web-x-default-x-vc",container="main"'
    host.series(f'kube_pod_container_resource_requests{{{request},resource="cpu"}}', 0.5)
    host.series(f'kube_pod_container_resource_limits{{{request},resource="memory"}}', 128 * MIB)
    return host


def lean() -> Host:
    """As kube-prometheus-stack leaves it: neither pods' cgroups nor the machine's, but node_exporter; 60 s apart."""
    host = Host("lean", 60)
    host.node(KUBELET)
    host.container("team", "web-x-default-x-vc", "main", 0.25, 64 * MIB, (KUBELET,))
    host.synced("web-x-default-x-vc")
    for cpu in ("0", "1"):
        for mode, rate in (("user", 0.3), ("system", 0.1), ("idle", 0.6), ("iowait", 0.1)):
            host.series(f'node_cpu_seconds_total{{{EXPORTER},cpu="{cpu}",mode="{mode}"}}', 7, rate)
    host.series(f"node_memory_MemTotal_bytes{{{EXPORTER}}}", 8 * 2**30)
    host.series(f"node_memory_MemAvailable_bytes{{{EXPORTER}}}", 6 * 2**30)
    return host


def slow() -> Host:
    """Samples five minutes apart, as downsampled ones are, of /metrics/resource only."""
    host = Host("slow", 240)
    host.node(KUBELET.replace("/metrics/cadvisor", "/metrics"))
    host.series(f"node_cpu_usage_seconds_total{{{RESOURCE}}}", 0, 1.25)
    host.series(f"node_memory_working_set_bytes{{{RESOURCE}}}", 2**30)
    host.container("team", "web-x-default-x-vc", "main", 0.25, 64 * MIB, (RESOURCE,))
    host.synced("web-x-default-x-vc")
    return host


def crowd(count: int) -> Host:
    host = Host(f"crowd-{count}", 60)
    host.node(KUBELET)
    for index in range(count):
        host.container("team", f"p{index}-x-default-x-vc", "main", 0.001, MIB, (KUBELET,))
        host.synced(f"p{index}-x-default-x-vc")
    return host


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus with all hosts."""
    folder = tmp_path_factory.mktemp("hosts")
    lines = [line for host in (usual(), lean(), slow(), crowd(3), crowd(60)) for line in host.lines]
    lines.sort(key=lambda line: line.split("{", 1)[0])
    blocks(folder, "\n".join(lines) + "\n# EOF\n")
    with evaluated.recorded(folder) as url:
        yield url


def server(url: str, cluster: str) -> Counting:
    found = Counting(way.by_url(url, Login()), matchers=f'cluster="{cluster}"')
    found.asked = []
    return found


def test_pods_count_once(url: str) -> None:
    """By both jobs, their own cgroup, and another endpoint; without those that are gone; each sample by itself."""
    found = moment.at(server(url, "usual"), AT).pods(Scope(), PodMetrics)
    used = {
        (pod.host.name, container.name): (container.usage.cpu, container.usage.memory)
        for pod in found.pods
        for container in pod.metrics.containers
    }
    assert used == {
        ("dns", "dns"): ("20m", "16Mi"),
        ("api-x-default-x-vc", "main"): ("500m", "32Mi"),
        ("vc-0", "syncer"): ("100m", "256Mi"),
        ("web-x-default-x-vc", "main"): ("250m", "64Mi"),
        ("web-x-default-x-vc", "sidecar"): ("50m", "8Mi"),
    }
    assert found.warnings == []


def test_virtual_clusters(url: str) -> None:
    """The sum of its pods, its control plane apart, and the host's own."""
    survey = moment.at(server(url, "usual"), AT).survey(None)
    rows = groups.by_vcluster(survey.found.pods, survey.known)
    assert [(row.vcluster and row.vcluster.ref, row.pods, row.usage, row.control_plane) for row in rows] == [
        (VC, 2, Usage(800_000_000, 104 * MIB), Usage(100_000_000, 256 * MIB)),
        (None, 1, Usage(20_000_000, 16 * MIB), None),
    ]
    assert survey.whole == (4_000_000_000, 8 * 2**30)
    assert survey.warnings == ()


def test_nodes(url: str) -> None:
    """From the machine's cgroup, scraped by two jobs; from node_exporter, by its address; from /metrics/resource."""
    shown = {
        cluster: [
            (item.metadata.name, item.usage.cpu, item.usage.memory)
            for item in nodes.read(moment.at(server(url, cluster), AT)).used
        ]
        for cluster in ("usual", "lean", "slow")
    }
    assert shown == {
        "usual": [("n1", "1500m", "1Gi")],
        "lean": [("n1", "800m", "2Gi")],
        "slow": [("n1", "1250m", "1Gi")],
    }


def test_requests_and_limits(url: str) -> None:
    """In the types of the API; a container without a limit makes a pod without one."""
    at = moment.at(server(url, "usual"), AT)
    found = reserved.read(at, Scope("team"))
    pod = found[HostPod("team", "web-x-default-x-vc")]
    assert pod.spec.node == "n1"
    assert requests.of_pod(pod).requests == {"cpu": 500_000_000}
    assert requests.of_pod(pod).limit("memory") == 128 * MIB
    assert set(found) == {HostPod("team", "web-x-default-x-vc"), HostPod("team", "new-x-default-x-vc")}


def test_what_virtual_clusters_hold(url: str) -> None:
    """Of pods that run or are about to; volumes and the quota beside them."""
    at = moment.at(server(url, "usual"), AT)
    survey = at.survey(None)
    details = held.read(at, Scope(), survey.found)
    tenant, host = (row.holding for row in groups.by_vcluster(survey.found.pods, survey.known, details))
    assert tenant is not None
    assert host is not None
    assert (tenant.pods, tenant.restarts, tenant.nodes) == (2, 3, {"n1"})
    assert tenant.requests == {"cpu": 500_000_000, "nvidia.com/gpu": 2}
    assert tenant.limit("memory") is None
    assert (host.claims, host.requested, host.used) == (1, 2**30, 2**20)
    assert details.quotas == {"team": {"requests.cpu": Quota("4", "1500m")}}
    assert [(pod.host.name, pod.vcluster) for pod in details.others] == [("new-x-default-x-vc", VC)]


def test_volumes(url: str) -> None:
    """One that no pod is known to mount, of which nothing says whose it is."""
    (volume,) = mounts.read(moment.at(server(url, "usual"), AT))
    assert (volume.claim.name, volume.pod.name, volume.volume.used, volume.volume.capacity) == (
        *("data-x-default-x-vc", ""),
        *(2**20, None),
    )
    assert volume.vcluster is None
    assert mounts.read(moment.at(server(url, "lean"), AT)) == []


def test_rhythm(url: str) -> None:
    """Where samples are far apart, an average and the age of a sample reach further."""
    found = {name: moment.at(server(url, name), AT) for name in ("usual", "lean", "slow")}
    assert {name: item.rhythm for name, item in found.items()} == {
        "usual": Rhythm(300, 120),
        "lean": Rhythm(300, 142),
        "slow": Rhythm(900, 562),
    }
    pods = found["slow"].pods(Scope(), PodMetrics).pods
    assert [(pod.virtual and pod.virtual.name, pod.usage) for pod in pods] == [("web", Usage(250_000_000, 64 * MIB))]


@pytest.mark.parametrize("count", [3, 60])
def test_one_query_per_metric(url: str, count: int) -> None:
    """However many pods there are: which families are read, and how often."""
    asked = server(url, f"crowd-{count}")
    survey = moment.at(asked, AT).survey(None)
    assert len(survey.found.pods) == count
    family = re.compile(r"\b(?:container|kube|vcluster|machine)_\w+(?::\w+)*(?=\{)")
    *first, one, another, last = (sorted(set(family.findall(expression))) for expression in asked.asked)
    assert [*first, *sorted([one, another], reverse=True), last] == [
        # Which jobs there are, and virtual clusters then and at the end.
        [],
        ["vcluster_info"],
        ["vcluster_info"],
        # Names, by the first way that has any; and whose they can be.
        ["vcluster_pod_info"],
        ["vcluster_pod:names:max"],
        ["kube_pod_labels"],
        ["kube_statefulset_created"],
        ["kube_deployment_created"],
        # How often is scraped, and whether kube-state-metrics is there.
        ["machine_memory_bytes"],
        ["kube_node_info"],
        # The numbers.
        [
            "container_memory_working_set_bytes",
            "kube_pod_container_status_running",
            "kube_pod_init_container_status_running",
        ],
        ["container_cpu_usage_seconds_total"],
        ["kube_node_status_allocatable"],
    ]
