"""Whose pod is it: the traps."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kubectl_vmetrics.metrics.metrics_api import Owner
from kubectl_vmetrics.metrics.usage import HostPod
from kubectl_vmetrics.vcluster import identity, naming
from kubectl_vmetrics.vcluster.identity import Claim, Origin, Resolver, SyncedNamespace, VClusterRef, VirtualPod

NAME = "a-long-name-that-is-hashed-on-the-host-because-of-its-length-0"
HOST = naming.host_name(NAME, "shop", "vc")
OWNER = Owner("vc", "shop")
VC = VClusterRef("home", "vc")


def metadata(**changes: Any) -> Origin:
    """A synced pod's metadata as vCluster 0.37 writes it; None removes an annotation."""
    annotations = {
        "vcluster.loft.sh/object-name": NAME,
        "vcluster.loft.sh/object-namespace": "shop",
        "vcluster.loft.sh/object-kind": "/v1, Kind=Pod",
        "vcluster.loft.sh/object-host-name": HOST,
        "vcluster.loft.sh/object-host-namespace": "home",
        "vcluster.loft.sh/token-abc": "eyJ.secret.token",
    }
    annotations |= {
        f"vcluster.loft.sh/{key.replace('_', '-')}": value for key, value in changes.items() if key != "host"
    }
    meta = {
        "name": changes.get("host", HOST),
        "namespace": "home",
        "labels": {naming.MANAGED_BY: "vc", naming.NAMESPACE: "shop"},
        "annotations": {key: value for key, value in annotations.items() if value is not None},
    }
    return msgspec.convert({"metadata": meta}, Origin)


def test_annotations_of_the_pod_itself() -> None:
    assert identity.claim(metadata()) == Claim("shop", NAME)


@pytest.mark.parametrize(
    "changes",
    [
        {"object_kind": "/v1, Kind=PersistentVolumeClaim"},
        {"object_kind": "kubevirt.io/v1, Kind=VirtualMachineInstance"},
        {"object_host_name": "another-pod"},
        {"object_host_namespace": "elsewhere"},
        {"object_name": None},
        {"object_namespace": None},
        {"object_name": None, "object_namespace": None, "name": NAME, "namespace": "shop"},
        # Up to v0.20 there is no kind and no host name: the claim must explain the pod's own name.
        {"object_kind": None, "object_host_name": None, "object_host_namespace": None, "object_name": "forged"},
        {"object_kind": None, "object_host_name": "another-pod", "object_host_namespace": None},
        # A pre-release of v0.21: a kind, and no host name yet.
        {"object_host_name": None, "object_host_namespace": None, "object_name": "forged"},
        {"object_host_name": None, "object_host_namespace": None, "object_namespace": "forged"},
        {"object_kind": "/v1, Kind=Secret", "object_host_name": None, "object_host_namespace": None},
        # No version writes one of the two host names without the other.
        {"object_host_name": None},
        {"object_host_namespace": None},
    ],
    ids=str,
)
def test_annotations_that_are_not_the_pods_own_are_not_proven(changes: dict[str, Any]) -> None:
    assert identity.claim(metadata(**changes)) is None


def test_annotations_of_old_versions_are_believed_if_the_name_bears_them_out() -> None:
    old = metadata(object_kind=None, object_host_name=None, object_host_namespace=None)

    assert identity.claim(old) == Claim("shop", NAME)


def test_annotations_of_a_pre_release_of_v0_21_have_a_kind_alone_and_are_trusted_if_the_name_proves_them() -> None:
    """Of a pod, and of a virtual machine, whose kind is another."""
    vmi = "kubevirt.io/v1, Kind=VirtualMachineInstance"
    without = {"object_host_name": None, "object_host_namespace": None}

    assert identity.claim(metadata(**without)) == Claim("shop", NAME)
    assert identity.claim(metadata(**without, object_kind=vmi), vmi) == Claim("shop", NAME)
    assert identity.claim(metadata(**without), vmi) is None


def test_no_other_annotation_is_decoded() -> None:
    decoded = msgspec.to_builtins(metadata())

    assert "secret" not in str(decoded)


def test_same_name_in_two_host_namespaces() -> None:
    resolver = Resolver()
    one, _ = resolver.resolve("team-a", "web-x-shop-x-dev", Owner("dev", "shop"))
    other, _ = resolver.resolve("team-b", "web-x-shop-x-dev", Owner("dev", "shop"))

    assert (one, other) == (VClusterRef("team-a", "dev"), VClusterRef("team-b", "dev"))
    assert one != other


def test_two_virtual_clusters_in_one_host_namespace() -> None:
    resolver = Resolver()

    assert resolver.resolve("team", "web-x-shop-x-a", Owner("a", "shop"))[0] == VClusterRef("team", "a")
    assert resolver.resolve("team", "web-x-shop-x-b", Owner("b", "shop"))[0] == VClusterRef("team", "b")


def test_without_labels_a_pod_is_the_hosts_own_whatever_its_name() -> None:
    assert Resolver().resolve("home", "web-x-shop-x-vc", Owner()) == (None, None)
    assert Resolver().resolve("home", "web-x-shop-x-vc", Owner(managed_by="vc")) == (None, None)


def test_a_name_that_does_not_fit_its_labels_is_not_guessed() -> None:
    assert Resolver().resolve("home", "web-x-other-x-vc", OWNER) == (VC, None)
    assert Resolver().resolve("home", "-x-shop-x-vc", OWNER) == (VC, None)
    assert Resolver().resolve("home", HOST, OWNER) == (VC, None)


def test_in_a_synced_namespace_names_are_unchanged_and_labels_not_needed() -> None:
    resolver = Resolver({"synced": SyncedNamespace(VC, "shop")})

    for owner in (Owner(), OWNER):
        # The second name is one that a tenant chose to look translated.
        for name in ("web-0", "web-0-x-shop-x-vc"):
            assert resolver.resolve("synced", name, owner) == (VC, VirtualPod(VC, "shop", name))


def namespace(**changes: Any) -> Origin:
    annotations = {
        "vcluster.loft.sh/object-name": "shop",
        "vcluster.loft.sh/object-kind": "/v1, Kind=Namespace",
        "vcluster.loft.sh/object-host-name": "synced",
    }
    labels = {
        "vcluster.loft.sh/vcluster-name": "vc",
        "vcluster.loft.sh/vcluster-namespace": "home",
        naming.MANAGED_BY: changes.pop("marker", "home-x-vc"),
    }
    if "without" in changes:
        del labels[changes.pop("without")]
    annotations |= {f"vcluster.loft.sh/{key.replace('_', '-')}": value for key, value in changes.items()}
    meta = {
        "name": "synced",
        "labels": {k: v for k, v in labels.items() if v},
        "annotations": {k: v for k, v in annotations.items() if v is not None},
    }
    return msgspec.convert({"metadata": meta}, Origin)


def test_synced_namespaces() -> None:
    assert identity.synced_namespace(namespace()) == SyncedNamespace(VC, "shop")
    # Up to v0.20 there is no kind and no host name.
    assert identity.synced_namespace(namespace(object_kind=None, object_host_name=None)) == SyncedNamespace(VC, "shop")
    assert identity.synced_namespace(namespace(object_host_name="another")) is None
    assert identity.synced_namespace(namespace(object_kind="/v1, Kind=Pod")) is None
    assert identity.synced_namespace(namespace(object_name=None)) is None
    # A tenant chooses labels, but not the syncer's own marker.
    assert identity.synced_namespace(namespace(marker="elsewhere-x-evil")) is None
    assert identity.synced_namespace(namespace(marker=None)) is None


@pytest.mark.parametrize("label", ["vcluster-name", "vcluster-namespace", "managed-by"])
def test_a_namespace_without_one_of_its_three_labels_is_the_hosts(label: str) -> None:
    assert identity.synced_namespace(namespace(without=f"vcluster.loft.sh/{label}")) is None


def test_pods_in_a_target_namespace_belong_to_the_control_plane_elsewhere() -> None:
    resolver = Resolver(homes=lambda namespace, name: VC if (namespace, name) == ("target", "vc") else None)

    assert resolver.resolve("target", "web-x-shop-x-vc", OWNER) == (VC, VirtualPod(VC, "shop", "web"))
    assert resolver.resolve("elsewhere", "web-x-shop-x-vc", OWNER) == (None, None)


def test_nested() -> None:
    """The names of vCluster's own documentation of nesting: nginx in `inner`, which runs in `team` of `outer`."""
    outer = VClusterRef("home", "outer")
    pod = VirtualPod(outer, "team", "nginx-x-default-x-inner")
    labels = {
        naming.MANAGED_BY: "outer",
        naming.NAMESPACE: "team",
        "vcluster.loft.sh/label-outer-x-e5f1b28ab2": "inner",
        "vcluster.loft.sh/label-outer-x-101dcd4e86": "default",
    }

    found = identity.nested(pod, labels)

    assert found == VirtualPod(VClusterRef("team", "inner", outer), "default", "nginx")
    assert found.vcluster.path == "home/outer/team/inner"
    assert identity.nested(pod, {naming.MANAGED_BY: "outer"}) == pod
    for key in ("vcluster.loft.sh/label-outer-x-e5f1b28ab2", "vcluster.loft.sh/label-outer-x-101dcd4e86"):
        assert identity.nested(pod, {**labels, key: ""}) == pod
        assert identity.nested(pod, {name: value for name, value in labels.items() if name != key}) == pod
    # What a tenant of the outer one writes that does not fit the name changes nothing.
    assert identity.nested(pod, {**labels, "vcluster.loft.sh/label-outer-x-101dcd4e86": "kube-system"}) == pod


def test_claims_are_looked_up_by_both_host_names() -> None:
    resolver = Resolver(claims={HostPod("home", HOST): Claim("shop", NAME)})

    assert resolver.resolve("home", HOST, OWNER)[1] == VirtualPod(VC, "shop", NAME)
    assert resolver.resolve("other", HOST, OWNER)[1] is None
