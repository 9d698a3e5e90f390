"""Who is who in a Prometheus: against the recording, and against made-up hosts of which the right answer is known."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kubectl_vmetrics.demo import server as demo_server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.history import jobs, names, ways
from kubectl_vmetrics.history.jobs import Jobs
from kubectl_vmetrics.history.names import HOST, Identity
from kubectl_vmetrics.history.window import Window
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import VmetricsError
from kubectl_vmetrics.metrics.metrics_api import PodMetrics, Scope
from kubectl_vmetrics.prometheus import login, way
from kubectl_vmetrics.prometheus.answer import Sample
from kubectl_vmetrics.prometheus.api import Prometheus
from kubectl_vmetrics.prometheus.login import Login
from kubectl_vmetrics.vcluster import pods as vcluster_pods
from kubectl_vmetrics.vcluster.identity import VClusterRef
from kubectl_vmetrics.vcluster.naming import host_name
from tests.prometheus import MISSING, blocks, unpack
from tests.truth import evaluated
from tests.truth.oracle import moment

pytestmark = MISSING

VC1, VC2, VC3 = VClusterRef("team-a", "vc1"), VClusterRef("team-b", "vc2"), VClusterRef("team-c", "vc1")
WHOLE = Window(moment("16:10:00"), moment("16:42:30"))
START = 1_700_000_000
MADE_UP = Window(START + 600, START + 1200)
"""Fifteen minutes before and after it are in the made-up hosts as well."""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus with the recording."""
    folder = tmp_path_factory.mktemp("recording")
    unpack(folder)
    with evaluated.recorded(folder) as url:
        yield Prometheus(way.by_url(url, Login()))


def test_jobs_of_the_recording(recording: Prometheus) -> None:
    """The jobs' own names, one of the two that have cAdvisor's series, and nothing where there is no source."""
    assert jobs.read(recording, WHOLE) == Jobs(
        cadvisor='job="kubelet",metrics_path="/metrics/cadvisor"',
        kubelet='job="kubelet"',
        state='job="kube-state-metrics"',
        names='job="none of this source"',
        labeled='job=~"kubelet|vmetrics-cadvisor"',
        recorded='job=""',
    )


def test_by_kube_state_metrics(recording: Prometheus) -> None:
    """Plain, hashed and ambiguous names; those of pods that are gone; control planes; the host's own."""
    found = names.read(recording, WHOLE)
    assert found.way == "kube-state-metrics"
    assert found.known == [VC1, VC2, VC3]
    assert found.of("team-a", "a-x-b-x-c-x-vc1") == Identity(VC1, "b-x-c", "a")
    assert found.of("team-a", "flash-1-x-default-x-vc1") == Identity(VC1, "default", "flash-1")
    assert found.of("team-b", "nightly-reconciliation-of-the-general-ledger-with-al-53cc38a38d") == Identity(
        VC2, "batch", "nightly-reconciliation-of-the-general-ledger-with-all-subsidiaries"
    )
    assert found.of("team-c", "web-x-default-x-vc1") == Identity(VC3, "default", "web")
    assert found.of("shop", "db-0") == HOST
    assert found.is_control_plane("team-b", "vc2-0") == VC2
    assert found.is_control_plane("team-c", "web-x-default-x-vc1") is None
    assert found.is_control_plane("shop", "db-0") is None
    assert dict(found.unproven) == {}


LONG = "a-name-that-is-so-long-that-vcluster-truncates-and-hashes-it"
HASHED = host_name(LONG, "default", "vc")
OTHERS = host_name("what-another-object-is-called-which-is-very-long-as-well", "default", "vc")
KSM = 'job="kube-state-metrics"'
INFO = 'job="vmetrics-names"'


def labels(namespace: str, pod: str, vcluster: str, space: str, job: str = KSM) -> str:
    keys = f'label_vcluster_loft_sh_managed_by="{vcluster}",label_vcluster_loft_sh_namespace="{space}"'
    return f'kube_pod_labels{{{job},namespace="{namespace}",pod="{pod}",{keys}}}'


def annotations(namespace: str, pod: str, name: str, **more: str) -> str:
    said = {"name": name, **more}
    keys = ",".join(f'annotation_vcluster_loft_sh_object_{key}="{value}"' for key, value in said.items())
    return f'kube_pod_annotations{{{KSM},namespace="{namespace}",pod="{pod}",{keys}}}'


def info(namespace: str, pod: str, home: str, vcluster: str, space: str, name: str, job: str = INFO) -> str:
    own = f'vcluster_virtual_namespace="{space}",vcluster_virtual_pod="{name}"'
    owner = f'vcluster_host_namespace="{home}",vcluster_name="{vcluster}"'
    return f'vcluster_pod_info{{{job},namespace="{namespace}",pod="{pod}",{owner},{own}}}'


def vcluster(home: str, name: str) -> str:
    return (
        f'vcluster_info{{{INFO},vcluster_host_namespace="{home}",vcluster_name="{name}",status="Running",version="1"}}'
    )


def control_plane(namespace: str, name: str) -> str:
    return f'kube_statefulset_created{{{KSM},namespace="{namespace}",statefulset="{name}"}}'


NODE = f'kube_node_info{{{KSM},node="n"}}'
HOSTS: dict[str, list[str]] = {
    "labels": [
        NODE,
        control_plane("team", "vc"),
        control_plane("other", "vc"),
        labels("team", "web-x-default-x-vc", "vc", "default"),
        labels("team", HASHED, "vc", "default"),
        annotations("team", HASHED, LONG),
        # The annotations of another object, which a controller of the host copied.
        labels("team", OTHERS, "vc", "default"),
        annotations("team", OTHERS, LONG),
        labels("team", "virt-launcher-db-x-default-x-vc-abcde", "vc", "default"),
        annotations("team", "virt-launcher-db-x-default-x-vc-abcde", "db", kind="kubevirt.io/v1, Kind=VirtualMachine"),
        # Labels that somebody else wrote: no virtual cluster of that name runs there.
        labels("elsewhere", "miner-x-default-x-vc", "vc", "default"),
        labels("team", "miner-x-default-x-ghost", "ghost", "default"),
        # The same names in the series of a tenant's own pod.
        labels("team", "host-pod", "vc", "stolen", job='job="exporter-x-default-x-vc"'),
    ],
    "info": [
        NODE,
        vcluster("team", "vc"),
        vcluster("empty", "idle"),
        info("team", "web-x-default-x-vc", "team", "vc", "default", "web"),
        info("target", "api-x-default-x-vc", "team", "vc", "default", "api"),
        info("team", "virt-launcher-db-x-default-x-vc-abcde", "team", "vc", "default", ""),
        info("team", "a-x-b-x-in-x-inner-x-default-x-vc", "team", "vc", "default", "a-x-b-x-in-x-inner"),
        f'vcluster_nested_pod_info{{{INFO},namespace="team",pod="a-x-b-x-in-x-inner-x-default-x-vc",'
        'vcluster_parent="team/vc",vcluster_host_namespace="default",vcluster_name="inner",'
        'vcluster_virtual_namespace="b-x-in",vcluster_virtual_pod="a"}',
        f'vcluster_nested_pod_info{{{INFO},namespace="team",pod="web-x-default-x-vc",'
        'vcluster_parent="other/vc",vcluster_host_namespace="default",vcluster_name="inner",'
        'vcluster_virtual_namespace="x",vcluster_virtual_pod="stolen"}',
        info("team", "host-pod", "team", "vc", "x", "stolen", job='job="exporter-x-default-x-vc"'),
        info("team", "host-pod", "team", "vc", "x", "stolen", job='job="somebody"'),
        f'vcluster_namespace_info{{{INFO},namespace="whole",vcluster_host_namespace="team",vcluster_name="vc",'
        'vcluster_virtual_namespace="everything"}',
        f'vcluster_persistentvolumeclaim_info{{{INFO},namespace="team",persistentvolumeclaim="data-x-default-x-vc",'
        'vcluster_host_namespace="team",vcluster_name="vc",vcluster_virtual_namespace="default",'
        'vcluster_virtual_persistentvolumeclaim="data"}',
    ],
    "forged": [
        NODE,
        control_plane("team-a", "own"),
        vcluster("team-a", "own"),
        vcluster("team-b", "dev"),
        info("team-b", "web-x-default-x-dev", "team-b", "dev", "default", "web"),
        info("team-a", "miner", "team-b", "dev", "default", "miner"),
        info("team-c", "miner", "team-b", "ghost", "default", "miner"),
        f'vcluster_namespace_info{{{INFO},namespace="team-a",vcluster_host_namespace="team-b",vcluster_name="dev",'
        'vcluster_virtual_namespace="all"}',
    ],
    "owners": [
        NODE,
        control_plane("team", "vc"),
        f'kube_pod_owner{{{KSM},namespace="team",pod="web-x-default-x-vc",owner_kind="Service",owner_name="vc"}}',
        f'kube_pod_owner{{{KSM},namespace="team",pod="vc-0",owner_kind="StatefulSet",owner_name="vc"}}',
        f'kube_pod_owner{{{KSM},namespace="host",pod="a",owner_kind="Service",owner_name="vc"}}',
    ],
    "nothing": [NODE],
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus with all made-up hosts, told apart by the label `cluster`."""
    folder = tmp_path_factory.mktemp("hosts")
    lines = []
    for cluster, series in HOSTS.items():
        for item in series:
            name, own = item.split("{", 1)
            lines += [f'{name}{{cluster="{cluster}",{own} 1 {time}' for time in range(START, START + 1800, 30)]
    # One pod that belonged to one virtual cluster, and is recreated as another's, and another that is ambiguous.
    for time in range(START, START + 1800, 30):
        late = time >= START + 1000
        for pod, ends in (("changed-x-b-x-c-x-vc", START + 1800), ("gone-x-b-x-c-x-vc", START + 1100)):
            if time < ends:
                found = labels("team", pod, "vc", "c" if late else "b-x-c")
                lines.append(found.replace("{", '{cluster="labels",', 1) + f" 1 {time}")
    # OpenMetrics wants the samples of a family together.
    lines.sort(key=lambda line: line.split("{", 1)[0])
    blocks(folder, "\n".join(lines) + "\n# EOF\n")
    with evaluated.recorded(folder) as url:
        yield url


def host(url: str, cluster: str) -> Prometheus:
    return Prometheus(way.by_url(url, Login()), matchers=f'cluster="{cluster}"')


def test_labels_prove_in_their_own_namespace_only(url: str) -> None:
    found = names.read(host(url, "labels"), MADE_UP)
    vc = VClusterRef("team", "vc")
    assert found.way == "kube-state-metrics"
    assert found.of("team", "web-x-default-x-vc") == Identity(vc, "default", "web")
    assert found.of("team", HASHED) == Identity(vc, "default", LONG)
    assert found.of("team", OTHERS) == Identity(vc, "default", None)
    assert found.of("team", "virt-launcher-db-x-default-x-vc-abcde") == Identity(vc, "default", None)
    assert found.of("elsewhere", "miner-x-default-x-vc") == HOST
    assert found.of("team", "miner-x-default-x-ghost") == HOST
    assert found.of("team", "host-pod") == HOST
    assert found.claimed("team", "miner-x-default-x-ghost") == ("ghost", "default")
    assert found.claimed("team", "host-pod") is None
    assert dict(found.unproven) == {("elsewhere", "vc"): 1, ("team", "ghost"): 1}
    assert found.known == [vc]


def test_one_host_namespace(url: str) -> None:
    """The rules are the same, and nothing else is read."""
    found = names.read(host(url, "labels"), MADE_UP, namespace="elsewhere")
    assert found.of("elsewhere", "miner-x-default-x-vc") == HOST
    assert dict(found.unproven) == {("elsewhere", "vc"): 1}
    team = names.read(host(url, "labels"), MADE_UP, namespace="team")
    assert team.of("team", "web-x-default-x-vc") == Identity(VClusterRef("team", "vc"), "default", "web")
    assert dict(team.unproven) == {("team", "ghost"): 1}
    assert names.read(host(url, "labels"), MADE_UP, namespace='x"}) or vector(1').known == []


def test_a_pod_that_was_recreated_for_another_is_the_last_one(url: str) -> None:
    """Its name alone is ambiguous: `changed-x-b` in `c`, or `changed` in `b-x-c`."""
    found = names.read(host(url, "labels"), MADE_UP)
    vc = VClusterRef("team", "vc")
    assert found.of("team", "changed-x-b-x-c-x-vc") == Identity(vc, "c", "changed-x-b")
    earlier = names.read(host(url, "labels"), Window(START + 600, START + 900))
    assert earlier.of("team", "changed-x-b-x-c-x-vc") == Identity(vc, "b-x-c", "changed")
    # Where it is gone at the end, nothing says which of the two was meant when.
    late = names.read(host(url, "labels"), Window(START + 600, START + 1790))
    assert late.of("team", "gone-x-b-x-c-x-vc") == Identity(vc, None, None)


def test_what_the_proxy_exports(url: str) -> None:
    """Also in other host namespaces, nested, synced whole, without a name inside, and virtual clusters without pods."""
    server = host(url, "info")
    found = names.read(server, MADE_UP)
    vc = VClusterRef("team", "vc")
    nested = "a-x-b-x-in-x-inner-x-default-x-vc"
    assert found.way == "vcluster_pod_info"
    assert found.of("team", "web-x-default-x-vc") == found.innermost("team", "web-x-default-x-vc")
    assert found.of("target", "api-x-default-x-vc") == Identity(vc, "default", "api")
    assert found.of("team", "virt-launcher-db-x-default-x-vc-abcde") == Identity(vc, "default", None)
    assert found.of("team", nested) == Identity(vc, "default", "a-x-b-x-in-x-inner")
    assert found.innermost("team", nested) == Identity(VClusterRef("default", "inner", vc), "b-x-in", "a")
    assert found.of("whole", "any") == Identity(vc, "everything", "any")
    assert found.of("team", "host-pod") == HOST
    assert found.of_claim("team", "data-x-default-x-vc") == Identity(vc, "default", "data")
    assert found.of_claim("whole", "any") == Identity(vc, "everything", "any")
    assert found.of_claim("team", "other") == HOST
    assert [(item.ref.path, item.status, item.version) for item in found.clusters] == [
        ("empty/idle", "Running", "1"),
        ("team/vc", "Running", "1"),
    ]
    assert found.recorded == found.clusters


def test_what_the_proxy_would_never_export(url: str) -> None:
    """A pod beside one control plane as another's, a virtual cluster that does not exist, a home as synced whole."""
    found = names.read(host(url, "forged"), MADE_UP)
    assert found.of("team-b", "web-x-default-x-dev") == Identity(VClusterRef("team-b", "dev"), "default", "web")
    assert found.of("team-a", "miner") == HOST
    assert found.of("team-a", "any") == HOST
    assert found.of("team-c", "miner") == HOST
    assert dict(found.unproven) == {("team-a", "dev"): 1, ("team-c", "ghost"): 1}


def test_owners_know_the_virtual_cluster_only(url: str) -> None:
    found = names.read(host(url, "owners"), MADE_UP)
    assert found.way == "pod owners"
    assert found.of("team", "web-x-default-x-vc") == Identity(VClusterRef("team", "vc"), None, None)
    assert found.of("host", "a") == HOST
    assert found.is_control_plane("team", "vc-0") == VClusterRef("team", "vc")


def test_the_live_cluster_where_the_prometheus_knows_nothing(url: str) -> None:
    """Its pods and claims, by the way that everything else takes; and without a cluster, nothing."""
    assert names.read(host(url, "nothing"), MADE_UP).way == ""
    with demo_server.serving(Apiserver(build(Shape()))) as live:
        client = Client(login.connection(live, Login()))
        found = names.read(host(url, "nothing"), MADE_UP, client)
        assert found.way == "live cluster"
        assert [ref.path for ref in found.known] == ["team-a/shop", "team-b/dev", "team-c/dev"]
        assert found.recorded == []
        listed = vcluster_pods.on_host(client, Scope(), PodMetrics)
        assert len(listed.pods) > 50
        for pod in listed.pods:
            identity = found.innermost(pod.host.namespace, pod.host.name)
            assert identity.vcluster == pod.vcluster
            assert pod.virtual is None or (identity.namespace, identity.name) == (
                pod.virtual.namespace,
                pod.virtual.name,
            )


def witness(name: str, job: str, count: int, path: str = "", cluster: str = "") -> Sample:
    pairs = {"__name__": name, "job": job, "metrics_path": path, "cluster": cluster}
    return Sample({key: value for key, value in pairs.items() if value}, (0.0, str(count)))


CHARTS = [
    witness("machine_memory_bytes", "kubernetes-nodes-cadvisor", 3),
    witness("machine_memory_bytes", "kubernetes-nodes-cadvisor-2", 3),
    witness("kubelet_running_pods", "kubernetes-nodes", 3),
    witness("kube_node_info", "mon-kube-state-metrics", 3),
]
USUAL = [
    witness("machine_memory_bytes", "kubelet", 3, "/metrics/cadvisor"),
    witness("kubelet_running_pods", "kubelet", 3, "/metrics"),
    witness("kube_node_info", "kube-state-metrics", 3),
    witness("vcluster_info", "vmetrics-names", 3),
]
TENANTS = [
    witness("machine_memory_bytes", "team-a/kubelet", 900, "/metrics/cadvisor"),
    witness("machine_memory_bytes", "team-a/anything", 900, "/metrics/cadvisor"),
    witness("machine_memory_bytes", "cadvisor-x-default-x-vc", 900, "/metrics/cadvisor"),
    witness("kubelet_running_pods", "team-a/kubelet", 900),
    witness("kubelet_running_pods", "my-kubelet", 900, cluster="other"),
    witness("kube_node_info", "team-a/kube-state-metrics", 900),
    witness("kube_node_info", "kube-state-metrics-x-default-x-vc", 900),
    witness("vcluster_info", "team-a/vmetrics", 900),
    witness("vcluster_info", "my-vmetrics", 900),
]
"""What a tenant's PodMonitors, Services and synced Services can be called, with numbers that its pods make up."""


def test_jobs_of_other_charts() -> None:
    """By their whole names, and a release's kube-state-metrics where there is one only."""
    found = Jobs(
        cadvisor='job="kubernetes-nodes-cadvisor"',
        kubelet='job="kubernetes-nodes"',
        state='job="mon-kube-state-metrics"',
        names='job="none of this source"',
        labeled='job=~"kubernetes-nodes|kubernetes-nodes-cadvisor"',
        recorded='job=""',
    )
    assert jobs.choose(CHARTS) == jobs.choose([*CHARTS, *TENANTS]) == found
    two = [*CHARTS, witness("kube_node_info", "my-kube-state-metrics", 900)]
    assert jobs.choose(two) == found._replace(state='job="none of this source"')


def test_jobs_of_tenants_never_count() -> None:
    """Neither beside the real ones nor alone, whatever numbers they have."""
    assert jobs.choose([*TENANTS, *USUAL]) == Jobs(labeled='job="kubelet"')
    nothing = 'job="none of this source"'
    assert jobs.choose(TENANTS) == Jobs(nothing, nothing, nothing, nothing, nothing)


def test_jobs_that_the_user_names() -> None:
    """They win, whatever they are called; `cadvisor` wins over `kubelet`; other sources stay as they are."""
    named = {"kubelet": "team-a/kubelet", "kube-state-metrics": 'k"s', "names": "my-vmetrics"}
    assert jobs.choose([*TENANTS[:4], *USUAL, TENANTS[-1]], named=named) == Jobs(
        cadvisor='job="team-a/kubelet",metrics_path="/metrics/cadvisor"',
        kubelet='job="team-a/kubelet"',
        state='job="k\\"s"',
        names='job="my-vmetrics"',
        labeled='job="team-a/kubelet"',
        recorded='job=""',
    )
    apart = jobs.choose(USUAL, named={"cadvisor": "c", "kubelet": "k"})
    assert (apart.cadvisor, apart.kubelet, apart.state) == ('job="c"', 'job="k"', 'job="kube-state-metrics"')


def test_several_clusters_in_one_prometheus() -> None:
    found = [
        witness("machine_memory_bytes", "kubelet", 3, "/metrics/cadvisor", cluster) for cluster in ("prod", "test")
    ]
    with pytest.raises(VmetricsError) as caught:
        jobs.choose(found)
    assert caught.value.message == (
        "this Prometheus has series of several clusters: specify one with --prometheus-match cluster=prod or "
        "--prometheus-match cluster=test"
    )
    assert jobs.choose(found[:1], 'cluster="prod"').cadvisor == (
        'job="kubelet",metrics_path="/metrics/cadvisor",cluster="prod"'
    )


def test_windows_of_many_days_are_asked_for_day_by_day() -> None:
    assert list(ways.days(Window(0.0, 200_000.0))) == [(113_600.0, 200_000.0), (27_200.0, 113_600.0), (0.0, 27_200.0)]
