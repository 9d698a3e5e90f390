"""Series of the node as a whole: what a tenant sees of them, and what may be somebody else's."""

from __future__ import annotations

import msgspec
import pytest

from kubectl_vmetrics.vcluster import naming
from kubectl_vmetrics.vcluster.identity import Origin, VClusterRef
from kubectl_vmetrics.vcluster.origins import CLAIMS, PODS, Origins
from kubectl_vmetrics.vcluster.rewrite import exposition

VC = VClusterRef("team-a", "vc")
OWN, OTHER = "11111111-aaaa-4bbb-8ccc-dddddddddddd", "22222222-aaaa-4bbb-8ccc-dddddddddddd"
VIRTUAL = "33333333-aaaa-4bbb-8ccc-dddddddddddd"
SANDBOX = "7bc0a9d81b659044995c7cefd627d841f67851f2298c6c22794f4b56709956af"


def synced(kind: str, namespace: str, name: str, vcluster: str, uid: str) -> Origin:
    host = naming.host_name(name, "shop", vcluster)
    annotations = {
        "vcluster.loft.sh/object-name": name,
        "vcluster.loft.sh/object-namespace": "shop",
        "vcluster.loft.sh/object-kind": f"/v1, Kind={kind}",
        "vcluster.loft.sh/object-host-name": host,
        "vcluster.loft.sh/object-host-namespace": namespace,
        "vcluster.loft.sh/object-uid": VIRTUAL if uid == OWN else uid,
    }
    labels = {naming.MANAGED_BY: vcluster, naming.NAMESPACE: "shop"}
    meta = {"name": host, "namespace": namespace, "uid": uid, "labels": labels, "annotations": annotations}
    return msgspec.convert({"metadata": meta}, Origin)


@pytest.fixture
def origins() -> Origins:
    found = Origins()
    found.add(PODS, synced("Pod", "team-a", "web", "vc", OWN))
    found.add(CLAIMS, synced("PersistentVolumeClaim", "team-a", "data", "vc", ""))
    found.add(PODS, synced("Pod", "team-b", "victim", "vc", OTHER))
    found.add(CLAIMS, synced("PersistentVolumeClaim", "team-b", "victim", "vc", ""))
    return found


def shown(line: str, origins: Origins, *, isolate: bool = False) -> str:
    return b"".join(exposition.tenant(origins, VC, isolate=isolate).rewrite([f"{line}\n".encode()])).decode().strip()


CADVISOR = 'container="",{},image="",name="",namespace="",pod=""'


@pytest.mark.parametrize(
    "line",
    [
        'container_cpu_usage_seconds_total{container="",cpu="total",id="/",image="",name="",namespace="",pod=""} 1 2',
        *(
            f'container_memory_rss{{container="",id="{cgroup}",image="",name="",namespace="",pod=""}} 1'
            for cgroup in (
                "/kubepods",
                "/kubepods/burstable",
                "/kubepods.slice/kubepods-besteffort.slice",
                "/system.slice",
                "/system.slice/containerd.service",
                "/kubelet.slice/kubelet.service",
            )
        ),
        *(
            f'container_fs_usage_bytes{{container="",device="{device}",id="/",image="",name="",namespace="",pod=""}} 1'
            for device in ("/dev/vda", "/dev/nvme0n1p1", "/dev/dm-3", "overlay_0-42", "tmpfs", "/dev/shm", "")
        ),
        *(
            f'container_network_receive_bytes_total{{container="",id="/",image="",interface="{name}",name="",namespace="",pod=""}} 1'
            for name in ("eth0", "cni0", "ens192", "enp0s3", "flannel.1", "lo")
        ),
        'machine_memory_bytes{boot_id="e870a123-348e-49aa-a31c-b3bc08424df2",machine_id="3d1219c7c4c5404aaa1f6d2a48adfda4",'
        'system_uuid="3d1219c7c4c5404aaa1f6d2a48adfda4"} 1',
        'workqueue_depth{name="DynamicCABundle-client-ca-bundle"} 0',
        'kubelet_node_name{node="worker-1"} 1',
        'kubelet_runtime_operations_duration_seconds_bucket{operation_type="create_container",le="+Inf"} 1',
        'rest_client_requests_total{code="200",host="10.244.0.1:6443",method="GET"} 1',
        'storage_operation_duration_seconds_bucket{migrated="false",operation_name="volume_mount",status="success",'
        'volume_plugin="kubernetes.io/csi:driver.longhorn.io",le="0.1"} 1',
        "node_cpu_usage_seconds_total 3 4",
        "kubelet_running_pods 12",
        "go_goroutines 1e+02",
        "process_start_time_seconds NaN",
    ],
)
def test_the_machine_itself(line: str, origins: Origins) -> None:
    assert shown(line, origins) == line
    assert shown(line, origins, isolate=True) == ""


@pytest.mark.parametrize(
    "labels",
    [
        *(
            CADVISOR.format(f'device="{device}",id="/"')
            for device in (
                f"/run/containerd/io.containerd.grpc.v1.cri/sandboxes/{SANDBOX}/shm",
                f"/var/lib/kubelet/pods/{OTHER}/volumes/kubernetes.io~projected/token",
                f"/var/lib/kubelet/pods/{OWN}/volumes/kubernetes.io~nfs/x/pods/{OTHER}/y",
                "nfs.example:/exports/team-b-victim-x-shop-x-vc-pvc-22222222-aaaa-4bbb-8ccc-dddddddddddd",
                "/exports/victim",
                "/dev/longhorn/pvc-22222222-aaaa-4bbb-8ccc-dddddddddddd",
                "/dev/mapper/vg0-team--b--victim",
                "/dev/vg0/victim",
                "victim",
                "//fileserver/victim",
                "overlay_victim",
                "10.0.0.1:/victim",
                f"/dev/mapper/{SANDBOX}",
            )
        ),
        *(
            CADVISOR.format(f'id="{cgroup}"')
            for cgroup in (
                f"/kubepods/burstable/pod{OTHER}",
                f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{OTHER.replace('-', '_')}.slice",
                f"/kubepods/pod{OTHER.replace('-', '')}",
                f"/kubepods/pod{OTHER[:23]}",
                f"/system.slice/run-containerd-io.containerd.grpc.v1.cri-sandboxes-{SANDBOX}-shm.mount",
                f"/system.slice/var-lib-kubelet-pods-{OTHER}-volumes.mount",
                f"/system.slice/cri-containerd-{SANDBOX}.scope",
                f"/{SANDBOX}",
                f"/k8s.io/{SANDBOX}",
                "/victim",
                "/system.slice/victim.service",
            )
        ),
        *(
            CADVISOR.format(f'id="/",interface="{name}"')
            for name in ("cali1a2b3c4d5e6", "veth0123abcd", "lxc1a2b3c4d", "victim")
        ),
        f'container="",id="/",image="",name="{SANDBOX}",namespace="",pod=""',
        'container="",id="/",image="",name="Victim",namespace="",pod=""',
        'container="",id="/",image="registry/victim",name="",namespace="",pod=""',
        'container="victim",id="/",image="",name="",namespace="",pod=""',
        'container="",id="/",image="",name="",namespace="team-b",pod=""',
        'namespace="team-b"',
        f'uid="{OTHER}"',
        f'pod_uid="{OTHER}"',
        f'uid="{OWN}"',
        'claim="victim"',
        'volume_name="pvc-22222222-aaaa-4bbb-8ccc-dddddddddddd"',
        'name="victim"',
        'name="victim-x-shop-x-vc"',
        'path="containerLogs/team-b/victim"',
        'a_label_of_a_later_kubelet="x"',
        'pod_name="victim"',
        '"k8s.pod.name"="victim"',
        'persistentvolumeclaim ="victim-x-shop-x-vc",namespace="team-b"',
        'persistentvolumeclaim\t=\t"victim-x-shop-x-vc"',
        'pod ="victim-x-shop-x-vc",namespace="team-b"',
        '"pod"="victim-x-shop-x-vc","namespace"="team-b"',
        # With a pod of the tenant's own beside it.
        'namespace="team-a",pod="web-x-shop-x-vc",persistentvolumeclaim ="victim-x-shop-x-vc"',
        'a="b",persistentvolumeclaim ="victim-x-shop-x-vc",id="/kubepods/x",namespace="team-a",pod="web-x-shop-x-vc"',
        'a="b",id="/kubepods/x",pod ="victim-x-shop-x-vc",namespace="team-a",pod="web-x-shop-x-vc"',
        'a="b",id="/kubepods/x",namespace ="team-b",namespace="team-a",pod="web-x-shop-x-vc"',
        'a="b",id="/x",interface="cali1a2b3c4d5e6",namespace="team-a",pod="web-x-shop-x-vc"',
    ],
)
@pytest.mark.parametrize("blanks", ["{{{}}} 1", "{{ {} }} 1"])
def test_what_may_be_somebody_elses(labels: str, blanks: str, origins: Origins) -> None:
    for isolate in (False, True):
        assert shown("x" + blanks.format(labels), origins, isolate=isolate) == ""


def test_mounts_and_cgroups_of_the_tenants_own_pods(origins: Origins) -> None:
    device = "/var/lib/kubelet/pods/{}/volumes/kubernetes.io~projected/kube-api-access-drdpc"
    for labels in (f'device="{device}",id="/"', f'id="/kubepods/burstable/pod{{}}/{SANDBOX}"'):
        line = f"x{{{CADVISOR.format(labels)}}} 1".replace("{}", "%s")
        assert shown(line % OWN, origins) == line % VIRTUAL
        assert shown(line % OTHER, origins) == ""
        assert shown(line % OWN, origins, isolate=True) == ""


def test_a_pod_that_was_made_anew_shows_no_uid_of_another(origins: Origins) -> None:
    line = 'x{{id="/kubepods/pod{}/a",namespace="{}",pod="{}"}} 1'

    for uid, kept in ((OWN, VIRTUAL), (OTHER, "")):
        assert shown(line.format(uid, "team-a", "web-x-shop-x-vc"), origins) == line.format(kept, "shop", "web")


@pytest.mark.parametrize(
    ("line", "hidden"),
    [
        ('container_fs_limit_bytes{{container="c",device="/dev/sda1",namespace="team-a",pod="{pod}"}} 1', True),
        ('container_fs_inodes_free{{container="c",device="/dev/sda1",namespace="team-a",pod="{pod}"}} 1', True),
        ('container_fs_usage_bytes{{container="c",device="/dev/sda1",namespace="team-a",pod="{pod}"}} 1', False),
        ('container_fs_limit_bytes {{container="c",device="/dev/sda1",namespace="team-a",pod="{pod}"}} 1', True),
        ('{{"container_fs_limit_bytes",device="/dev/sda1",namespace="team-a",pod="{pod}"}} 1', True),
        ('kubelet_volume_stats_available_bytes{{namespace="team-a",persistentvolumeclaim="{claim}"}} 1', True),
        ('kubelet_volume_stats_used_bytes{{namespace="team-a",persistentvolumeclaim="{claim}"}} 1', True),
    ],
)
def test_isolated_nothing_is_about_a_disk_that_tenants_share(line: str, hidden: bool, origins: Origins) -> None:
    given = line.format(pod=naming.host_name("web", "shop", "vc"), claim=naming.host_name("data", "shop", "vc"))

    assert shown(given, origins)
    assert (shown(given, origins, isolate=True) == "") is hidden
    # Also where the block of labels was seen before, with another family.
    both = exposition.tenant(origins, VC, isolate=True)
    assert b"".join(both.rewrite([f"up{given[given.index('{') :]}\n{given}\n".encode()])).count(b"\n") == 2 - hidden
