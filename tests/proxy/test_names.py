"""The names of pods and claims for a Prometheus that scrapes kubelets by itself."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from kubectl_vmetrics.demo import server as demo_server
from kubectl_vmetrics.kube import reflector
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.kubeconfig import Connection
from kubectl_vmetrics.proxy import names, views
from kubectl_vmetrics.proxy.names import FAMILIES, Names
from kubectl_vmetrics.proxy.views import Views
from kubectl_vmetrics.vcluster import naming
from kubectl_vmetrics.vcluster.discovery import Inventory, VCluster
from kubectl_vmetrics.vcluster.homes import Homes
from kubectl_vmetrics.vcluster.identity import Origin, SyncedNamespace, VClusterRef
from kubectl_vmetrics.vcluster.origins import CLAIMS, GRACE, PODS, Origins
from tests.changing import Changing, synced_pod
from tests.kube.test_reflector import soon

SHOP, DEV, OUTER = VClusterRef("team-a", "shop"), VClusterRef("team-b", "dev"), VClusterRef("team-a", "outer")
ELSEWHERE = VClusterRef("home", "old")
CLUSTERS = [
    VCluster(SHOP, "Running", "0.37.0"),
    VCluster(DEV, "Paused", "0.36.1"),
    VCluster(OUTER, "NotReady"),
    VCluster(ELSEWHERE, "Running", "0.19.1", target="pods-of-old"),
]
HASHED = "a-name-that-is-far-too-long-for-the-host-to-keep-it-a-0123456789"


def pod(namespace: str, name: str, uid: str, labels: dict[str, str] | None = None, **more: Any) -> Origin:
    meta = {"name": name, "namespace": namespace, "uid": uid, "labels": labels or {}, **more}
    return msgspec.convert({"metadata": meta}, Origin)


def labels(vcluster: str, namespace: str, **more: str) -> dict[str, str]:
    return {naming.MANAGED_BY: vcluster, naming.NAMESPACE: namespace, **more}


def hashed(namespace: str, name: str, virtual: str, kind: str = "Pod") -> dict[str, Any]:
    said = {
        "object-name": virtual,
        "object-namespace": "web",
        "object-kind": f"/v1, Kind={kind}",
        "object-host-name": name,
        "object-host-namespace": namespace,
        "token-x": "secret",
    }
    return {"annotations": {f"vcluster.loft.sh/{key}": value for key, value in said.items()}}


def whole(found: Names, clusters: list[VCluster] | None = None) -> str:
    return b"".join(found.exposition(CLUSTERS if clusters is None else clusters)).decode()


def series(text: str, family: str) -> list[str]:
    """The lines of a family, without its name."""
    return [line.removeprefix(family) for line in text.splitlines() if line.startswith(f"{family}{{")]


@pytest.fixture
def origins() -> Origins:
    """One of each kind."""
    known = Origins({"whole": SyncedNamespace(DEV, "inner")}, Homes(Inventory(CLUSTERS, everywhere=True)))
    inside = {
        naming.label_key("outer", naming.MANAGED_BY): "inner",
        naming.label_key("outer", naming.NAMESPACE): "default",
    }
    for found in (
        pod("team-a", "web-0-x-web-x-shop", "1", labels("shop", "web")),
        pod("team-a", HASHED, "2", labels("shop", "web"), **hashed("team-a", HASHED, 'long "name\\')),
        pod("whole", "web-0", "3"),
        pod("pods-of-old", "web-0-x-web-x-old", "4", labels("old", "web")),
        pod("team-a", "nginx-x-default-x-inner-x-team-x-outer", "5", labels("outer", "team", **inside)),
        # A virtual machine's, with the labels of the machine; and one that was synced, and lost its annotations.
        pod(
            "team-a",
            "virt-launcher-vm-x-web-x-shop-abcde",
            "6",
            labels("shop", "web"),
            ownerReferences=[{"kind": "VirtualMachineInstance", "name": "vm-x-web-x-shop"}],
        ),
        pod("team-b", "cut-0123456789", "7", labels("dev", "web")),
        # Nobody's: of the host, of a virtual cluster that is not there, with forged words alone.
        pod("kube-system", "coredns-x-web-x-shop", "8"),
        pod("evil", "web-0-x-web-x-shop", "9", labels("shop", "web")),
        pod("team-b", "web-1", "10", {}, **hashed("team-b", "web-1", "forged")),
    ):
        known.add(PODS, found)
    known.add(CLAIMS, pod("team-a", "data-x-web-x-shop", "11", labels("shop", "web")))
    long = hashed("team-b", HASHED, "long", "PersistentVolumeClaim")
    known.add(CLAIMS, pod("team-b", HASHED, "", labels("dev", "web"), **long))
    return known


def test_every_way_in_which_a_name_comes_about(origins: Origins) -> None:
    owner = 'vcluster_name="{}",vcluster_host_namespace="{}",vcluster_virtual_namespace="{}"'
    shop, dev = owner.format("shop", "team-a", "web"), owner.format("dev", "team-b", "inner")
    nested = 'namespace="team-a",pod="nginx-x-default-x-inner-x-team-x-outer",uid="5"'
    inner = owner.format("inner", "team", "default")
    outer = owner.format("outer", "team-a", "team")
    help_ = {name: f"# HELP {name} {text}\n# TYPE {name} gauge\n" for name, (_, text) in FAMILIES.items()}

    assert whole(Names(origins)) == (
        help_["vcluster_pod_info"] + f'vcluster_pod_info{{namespace="pods-of-old",pod="web-0-x-web-x-old",uid="4",'
        f'{owner.format("old", "home", "web")},vcluster_virtual_pod="web-0"}} 1\n'
        f'vcluster_pod_info{{namespace="team-a",pod="{HASHED}",uid="2",{shop},'
        'vcluster_virtual_pod="long \\"name\\\\"} 1\n'
        f'vcluster_pod_info{{{nested},{outer},vcluster_virtual_pod="nginx-x-default-x-inner"}} 1\n'
        f'vcluster_pod_info{{namespace="team-a",pod="virt-launcher-vm-x-web-x-shop-abcde",uid="6",{shop}}} 1\n'
        f'vcluster_pod_info{{namespace="team-a",pod="web-0-x-web-x-shop",uid="1",{shop},'
        'vcluster_virtual_pod="web-0"} 1\n'
        'vcluster_pod_info{namespace="team-b",pod="cut-0123456789",uid="7",'
        f"{owner.format('dev', 'team-b', 'web')}}} 1\n"
        f'vcluster_pod_info{{namespace="whole",pod="web-0",uid="3",{dev},vcluster_virtual_pod="web-0"}} 1\n'
        + help_["vcluster_nested_pod_info"]
        + f'vcluster_nested_pod_info{{{nested},{inner},vcluster_virtual_pod="nginx",vcluster_parent="team-a/outer"}} 1\n'
        + help_["vcluster_persistentvolumeclaim_info"]
        + f'vcluster_persistentvolumeclaim_info{{namespace="team-a",persistentvolumeclaim="data-x-web-x-shop",uid="11",'
        f'{shop},vcluster_virtual_persistentvolumeclaim="data"}} 1\n'
        f'vcluster_persistentvolumeclaim_info{{namespace="team-b",persistentvolumeclaim="{HASHED}",'
        f'{owner.format("dev", "team-b", "web")},vcluster_virtual_persistentvolumeclaim="long"}} 1\n'
        + help_["vcluster_namespace_info"]
        + f'vcluster_namespace_info{{namespace="whole",{dev}}} 1\n'
        + help_["vcluster_info"]
        + 'vcluster_info{vcluster_name="dev",vcluster_host_namespace="team-b",version="0.36.1",status="Paused"} 1\n'
        'vcluster_info{vcluster_name="old",vcluster_host_namespace="home",version="0.19.1",status="Running"} 1\n'
        'vcluster_info{vcluster_name="outer",vcluster_host_namespace="team-a",status="NotReady"} 1\n'
        'vcluster_info{vcluster_name="shop",vcluster_host_namespace="team-a",version="0.37.0",status="Running"} 1\n'
    )
    assert origins.unresolved() == 2  # the one in `evil`, and the one that lost its annotations


def test_one_in_another_in_another() -> None:
    known = Origins()
    names_of = {
        naming.label_key("outer", naming.MANAGED_BY): "middle",
        naming.label_key("outer", naming.NAMESPACE): "b",
        # The middle one's own labels for the innermost, once more moved by the outer one, are not on the host's pod.
    }
    known.add(PODS, pod("home", "web-x-c-x-inner-x-b-x-middle-x-a-x-outer", "1", labels("outer", "a", **names_of)))

    assert series(whole(Names(known), []), "vcluster_nested_pod_info") == [
        '{namespace="home",pod="web-x-c-x-inner-x-b-x-middle-x-a-x-outer",uid="1",vcluster_name="middle",'
        'vcluster_host_namespace="a",vcluster_virtual_namespace="b",vcluster_virtual_pod="web-x-c-x-inner",'
        'vcluster_parent="home/outer"} 1'
    ]


def test_of_one_virtual_cluster(origins: Origins) -> None:
    """Others may have pods in the same host namespace."""
    text = whole(Names(origins, OUTER))

    assert [line.split(",uid")[0] for line in text.splitlines() if line[0] != "#"] == [
        'vcluster_pod_info{namespace="team-a",pod="nginx-x-default-x-inner-x-team-x-outer"',
        'vcluster_nested_pod_info{namespace="team-a",pod="nginx-x-default-x-inner-x-team-x-outer"',
        'vcluster_info{vcluster_name="outer",vcluster_host_namespace="team-a",status="NotReady"} 1',
    ]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on the PATH (Debian: prometheus)")
def test_promtool_finds_nothing_wrong(origins: Origins) -> None:
    text = whole(Names(origins))
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text.encode(), capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


any_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@given(name=any_text, namespace=any_text)
def test_every_name_can_be_read_again(name: str, namespace: str) -> None:
    known = Origins({"whole": SyncedNamespace(SHOP, namespace)})
    known.add(PODS, pod("whole", name, "1"))
    text = whole(Names(known), [])
    (found,) = [f for f in text_string_to_metric_families(text) if f.name == "vcluster_pod_info"]

    assert [sample.labels for sample in found.samples] == [
        {
            "namespace": "whole",
            "pod": name,
            "uid": "1",
            "vcluster_name": "shop",
            "vcluster_host_namespace": "team-a",
            "vcluster_virtual_namespace": namespace,
            "vcluster_virtual_pod": name,
        }
    ]


def test_annotations_longer_than_names_can_be_are_no_names() -> None:
    known = Origins()
    for length, name in ((253, "fits-0123456789"), (254, "long-0123456789")):
        known.add(PODS, pod("team-a", name, name, labels("shop", "web"), **hashed("team-a", name, "n" * length)))
    long, fits = series(whole(Names(known), []), "vcluster_pod_info")[::-1]

    assert fits.endswith(f',vcluster_virtual_pod="{"n" * 253}"}} 1')
    assert long.endswith(',vcluster_virtual_namespace="web"} 1')
    assert known.unresolved() == 1


def test_no_annotation_is_shown_but_names(origins: Origins) -> None:
    assert "secret" not in whole(Names(origins))


def test_lines_are_kept_until_something_changes() -> None:
    known = Origins()
    known.add(PODS, pod("team-a", "a-x-web-x-shop", "1", labels("shop", "web")))
    found = Names(known)
    first = list(found.exposition([]))
    known.add(PODS, pod("team-a", "a-x-web-x-shop", "1", labels("shop", "web")))
    assert next(found.exposition([])) is first[0]

    known.add(PODS, pod("team-a", "b-x-web-x-shop", "2", labels("shop", "web")))
    pods = series(whole(found, []), "vcluster_pod_info")
    assert [line.split(",")[1] for line in pods] == ['pod="a-x-web-x-shop"', 'pod="b-x-web-x-shop"']


def test_a_pod_of_the_same_name_takes_the_place_of_the_one_before() -> None:
    known = Origins()
    for uid in ("1", "2"):
        known.add(PODS, pod("team-a", "a-x-web-x-shop", uid, labels("shop", "web")))
        known.remove(PODS, "team-a", "a-x-web-x-shop")

    assert [line.split(",")[2] for line in series(whole(Names(known), []), "vcluster_pod_info")] == ['uid="2"']


@pytest.mark.parametrize("name", ["a-x-web-x-shop", "virt-launcher-a"])
def test_a_deleted_pod_stays_as_long_as_kubelets_report_it(name: str) -> None:
    now = 0.0
    known = Origins(clock=lambda: now)
    found = Names(known)
    machine = [{"kind": "VirtualMachineInstance", "name": "a"}]
    known.add(PODS, pod("team-a", name, "1", labels("shop", "web"), ownerReferences=machine))
    known.remove(PODS, "team-a", name)

    now = GRACE - 1
    assert len(series(whole(found, []), "vcluster_pod_info")) == 1
    now = GRACE  # and nothing else happens
    assert series(whole(found, []), "vcluster_pod_info") == []


def test_a_pod_that_comes_back_stays() -> None:
    now = 0.0
    known = Origins(clock=lambda: now)
    launcher = pod("team-a", "virt-launcher-a", "1", labels("shop", "web"))
    known.add(PODS, launcher)
    known.remove(PODS, "team-a", "virt-launcher-a")
    known.add(PODS, pod("team-a", "virt-launcher-a", "1", labels("shop", "web")))
    now = GRACE

    assert len(series(whole(Names(known), []), "vcluster_pod_info")) == 1


def test_whose_it_is_follows_the_virtual_clusters(origins: Origins) -> None:
    """The control plane of dev goes, and with it a namespace that it synced whole; one comes in `evil`."""
    found = Names(origins)
    before = whole(found)
    assert 'pod="cut-0123456789"' in before

    moved = [VCluster(VClusterRef("evil", "shop")), *(item for item in CLUSTERS if item.ref != DEV)]
    origins.rehome(Homes(Inventory(moved, everywhere=True)), {})
    after = whole(found, moved)

    assert [line for line in after.splitlines() if 'namespace="team-b"' in line or 'namespace="whole"' in line] == []
    assert series(after, "vcluster_pod_info")[0] == (
        '{namespace="evil",pod="web-0-x-web-x-shop",uid="9",vcluster_name="shop",vcluster_host_namespace="evil",'
        'vcluster_virtual_namespace="web",vcluster_virtual_pod="web-0"} 1'
    )
    assert origins.unresolved() == 2  # the pod of team-b that has no name inside, and the claim there


def test_virtual_clusters_that_only_their_pods_show() -> None:
    """Without the right to list control planes."""
    known = Origins()
    known.add(PODS, pod("team-a", "a-x-web-x-shop", "1", labels("shop", "web")))

    assert series(whole(Names(known), []), "vcluster_info") == [
        '{vcluster_name="shop",vcluster_host_namespace="team-a"} 1'
    ]


def test_many_names_come_in_parts(monkeypatch: pytest.MonkeyPatch, origins: Origins) -> None:
    text = whole(Names(origins))
    monkeypatch.setattr(names, "PART", 600)
    parts = list(Names(origins).exposition(CLUSTERS))

    assert b"".join(parts).decode() == text
    assert len(parts) > 4
    assert all(len(part) < 1200 for part in parts)


# ----------------------------------------------------------------------------------------------------- the live map


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Changing, Views]]:
    monkeypatch.setattr(reflector, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(views, "KNOWN", 0.0)
    changing = Changing()
    changing.put("pods", synced_pod("team-a", "shop", "cart", "vc", "1"))
    changing.put("statefulsets", workload(1))
    with demo_server.serving(changing) as url, contextlib.closing(Views(Client(Connection(server=url)))) as served:
        yield changing, served


def workload(ready: int) -> dict[str, Any]:
    meta = {"name": "vc", "namespace": "team-a", "labels": {"app": "vcluster", "release": "vc"}}
    return {"metadata": meta, "spec": {"replicas": 1}, "status": {"readyReplicas": ready}}


def text_of(served: Views) -> str:
    return b"".join(served.names()).decode()


def test_pods_come_and_status_changes(host: tuple[Changing, Views]) -> None:
    changing, served = host
    assert series(text_of(served), "vcluster_info") == [
        '{vcluster_name="vc",vcluster_host_namespace="team-a",status="Running"} 1'
    ]

    changing.put("pods", synced_pod("team-a", "shop", "web", "vc", "2"))
    soon(lambda: len(series(text_of(served), "vcluster_pod_info")) == 2)
    # The same virtual cluster still, so that nothing is decided again.
    changing.put("statefulsets", workload(0))
    assert series(text_of(served), "vcluster_info") == [
        '{vcluster_name="vc",vcluster_host_namespace="team-a",status="NotReady"} 1'
    ]


def test_the_last_names_are_served_while_the_host_is_away(host: tuple[Changing, Views]) -> None:
    changing, served = host
    before = text_of(served)
    changing.refuse = 503

    assert text_of(served) == before
