"""What counts towards a virtual cluster without a name inside of it, a virt-launcher for one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kubectl_vmetrics.vcluster import naming
from kubectl_vmetrics.vcluster.discovery import Inventory, VCluster
from kubectl_vmetrics.vcluster.homes import Homes
from kubectl_vmetrics.vcluster.identity import Origin, VClusterRef
from kubectl_vmetrics.vcluster.origins import CLAIMS, PODS, Origins, Synced
from kubectl_vmetrics.vcluster.rewrite import exposition

SHOP = VClusterRef("team-a", "shop")
LAUNCHER = "virt-launcher-vm-x-web-x-shop-abcde"
MACHINE = [{"kind": "VirtualMachineInstance", "name": "vm-x-web-x-shop"}]
KNOWN = Homes(Inventory([VCluster(SHOP)], everywhere=True))


def item(name: str, namespace: str = "team-a", **more: Any) -> Origin:
    labels = {naming.MANAGED_BY: "shop", naming.NAMESPACE: "web"}
    return msgspec.convert(
        {"metadata": {"name": name, "namespace": namespace, "uid": f"uid-of-{name}", "labels": labels, **more}}, Origin
    )


@pytest.fixture
def origins() -> Origins:
    found = Origins(homes=KNOWN)
    found.add(PODS, item("web-0-x-web-x-shop"))
    found.add(PODS, item(LAUNCHER, ownerReferences=MACHINE))
    found.add(CLAIMS, item("scratch", ownerReferences=[{"kind": "DataVolume", "name": "vm"}]))
    return found


def line(name: str, namespace: str = "team-a", label: str = "pod") -> bytes:
    return f'used{{container="c",id="/",namespace="{namespace}",{label}="{name}"}} 1\n'.encode()


def test_it_has_an_owner_and_no_name(origins: Origins) -> None:
    expected = Synced(SHOP, "web", "", "", f"uid-of-{LAUNCHER}")

    assert origins.owner(PODS, "team-a", LAUNCHER) == expected
    assert origins.find(PODS, "team-a", LAUNCHER) is None
    assert ((PODS, "team-a", LAUNCHER), expected) in origins.items()
    # It was not synced: there is no name to be resolved.
    assert origins.unresolved() == 0


def test_the_hosts_view_adds_its_owner(origins: Origins) -> None:
    view = exposition.host(origins)
    owner = b',vcluster_name="shop",vcluster_host_namespace="team-a",vcluster_virtual_namespace="web"'

    assert b"".join(view.rewrite([line(LAUNCHER)])) == line(LAUNCHER).replace(b"}", owner + b"}")
    for name in ("scratch", "nothing"):
        shown = b"".join(view.rewrite([line(name, label="persistentvolumeclaim")]))
        added = owner if name == "scratch" else b""
        assert shown == line(name, label="persistentvolumeclaim").replace(b"}", added + b"}")


def test_no_tenants_view_has_it(origins: Origins) -> None:
    view = exposition.tenant(origins, SHOP)

    assert b"".join(view.rewrite([line(LAUNCHER), line("web-0-x-web-x-shop")])) == line("web-0", "web")
    assert b"".join(view.rewrite([line("scratch", label="persistentvolumeclaim")])) == b""


def test_labels_of_a_virtual_cluster_that_is_not_there_prove_nothing() -> None:
    origins = Origins(homes=KNOWN)
    origins.add(PODS, item(LAUNCHER, "evil", ownerReferences=MACHINE))
    origins.add(PODS, item("cut-0123456789", "evil"))

    assert origins.items() == []
    assert origins.owner(PODS, "evil", LAUNCHER) is None
    assert b"".join(exposition.host(origins).rewrite([line(LAUNCHER, "evil")])) == line(LAUNCHER, "evil")
    assert origins.unresolved() == 1  # the second, which looks like one that was synced


def test_the_view_follows_whose_it_is(origins: Origins) -> None:
    view = exposition.host(origins)
    assert b"vcluster_name" in b"".join(view.rewrite([line(LAUNCHER)]))

    origins.rehome(Homes(Inventory([], everywhere=True)))
    assert b"".join(view.rewrite([line(LAUNCHER)])) == line(LAUNCHER)
    origins.rehome(KNOWN)
    assert b"vcluster_name" in b"".join(view.rewrite([line(LAUNCHER)]))


def test_one_that_gets_a_name_has_one(origins: Origins) -> None:
    """Its annotations come a moment later."""
    name = "cut-0123456789"
    origins.add(PODS, item(name))
    assert origins.unresolved() == 1
    said = {
        "object-name": "long",
        "object-namespace": "web",
        "object-kind": "/v1, Kind=Pod",
        "object-host-name": name,
        "object-host-namespace": "team-a",
    }
    origins.add(PODS, item(name, annotations={f"vcluster.loft.sh/{key}": value for key, value in said.items()}))

    found = origins.owner(PODS, "team-a", name)
    assert found is not None
    assert (found.name, origins.unresolved()) == ("long", 0)
    assert len([key for key, _ in origins.items() if key[2] == name]) == 1


def test_one_of_a_target_namespace() -> None:
    clusters = [VCluster(VClusterRef("home", "shop"), target="pods")]
    origins = Origins(homes=Homes(Inventory(clusters, everywhere=True)))
    origins.add(PODS, item(LAUNCHER, "pods", ownerReferences=MACHINE))

    found = origins.owner(PODS, "pods", LAUNCHER)
    assert found is not None
    assert found.vcluster == VClusterRef("home", "shop")
    assert origins.doubtful() == {("pods", "shop")}
