"""Whose a pod is, in words: the same answer as `identity` gives, and the reason for each."""

from __future__ import annotations

import pytest

from kubectl_vmetrics.explain.ownership import of_pod
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.kubeconfig import Connection
from kubectl_vmetrics.vcluster import naming
from kubectl_vmetrics.vcluster.discovery import Inventory, VCluster
from kubectl_vmetrics.vcluster.homes import Homes
from kubectl_vmetrics.vcluster.identity import Origin, SyncedNamespace, VClusterRef, VirtualPod, _Annotations, _Meta

HERE = VClusterRef("team-a", "vc")
NOBODY = Client(Connection(server="http://127.0.0.1:9"))


def origin(name: str, namespace: str = "team-a", *, said: _Annotations | None = None, **labels: str) -> Origin:
    keys = {"managed": naming.MANAGED_BY, "inside": naming.NAMESPACE}
    return Origin(
        _Meta(
            name, namespace, annotations=said or _Annotations(), labels={keys.get(k, k): v for k, v in labels.items()}
        )
    )


def homes(*refs: VClusterRef, targets: list[tuple[str, VClusterRef]] | None = None) -> Homes:
    return Homes(Inventory([VCluster(ref, "Running") for ref in refs], everywhere=True), targets or [])


SYNCED = {"ns-1": SyncedNamespace(HERE, "shop")}
HASHED = naming.host_name("a-rather-long-deployment-name-that-is-hashed-5b5d8fff69-m4vr6", "shop", "vc")
SAID = _Annotations(
    "a-rather-long-deployment-name-that-is-hashed-5b5d8fff69-m4vr6", "shop", "/v1, Kind=Pod", HASHED, "team-a"
)
LABELS = "labels vcluster.loft.sh/managed-by=vc and vcluster.loft.sh/namespace=shop, which vCluster sets"


@pytest.mark.parametrize(
    ("pod", "known", "vcluster", "virtual", "reasons"),
    [
        (
            origin("web-x-shop-x-vc", managed="vc", inside="shop"),
            homes(HERE),
            HERE,
            VirtualPod(HERE, "shop", "web"),
            (
                LABELS,
                "virtual cluster team-a/vc runs in the pod's own host namespace",
                "the host name ends in -x-shop-x-vc; what precedes it is the name inside",
            ),
        ),
        (
            # A tenant of another namespace writes the labels of somebody else.
            origin("web-x-shop-x-vc", "evil", managed="vc", inside="shop"),
            homes(HERE),
            None,
            None,
            (
                LABELS,
                "virtual cluster vc does not exist in host namespace evil, and none elsewhere provably syncs there: the "
                "labels prove nothing, so the pod counts as the host's",
            ),
        ),
        (
            origin("web-x-shop-x-vc", "apart", managed="vc", inside="shop"),
            homes(HERE, targets=[("apart", HERE)]),
            HERE,
            VirtualPod(HERE, "shop", "web"),
            (
                LABELS,
                "virtual cluster team-a/vc syncs its pods to host namespace apart, by its configuration or "
                "--target-namespace",
                "the host name ends in -x-shop-x-vc; what precedes it is the name inside",
            ),
        ),
        (
            origin("web", "ns-1"),
            homes(HERE),
            HERE,
            VirtualPod(HERE, "shop", "web"),
            (
                "virtual cluster team-a/vc synced host namespace ns-1 as a whole (labels and annotations of the "
                "Namespace), as its namespace shop; names are unchanged",
            ),
        ),
        (
            origin(HASHED, said=SAID, managed="vc", inside="shop"),
            homes(HERE),
            HERE,
            VirtualPod(HERE, "shop", SAID.name or ""),
            (
                LABELS,
                "virtual cluster team-a/vc runs in the pod's own host namespace",
                "the host name is shortened and ends in a hash; the name inside is in the annotation "
                "vcluster.loft.sh/object-name, checked against the host name in the annotations, and its hash is that of "
                "the host name",
            ),
        ),
        (
            # A copy of another pod's annotations.
            origin("copy-0123456789", said=SAID, managed="vc", inside="shop"),
            homes(HERE),
            HERE,
            None,
            (
                LABELS,
                "virtual cluster team-a/vc runs in the pod's own host namespace",
                "the name inside is not known: the host name has no ending of that virtual cluster, and the annotations "
                "object-name and object-namespace are missing or belong to another object",
            ),
        ),
        (
            origin("vc-0", app="vcluster", release="vc"),
            homes(HERE),
            None,
            None,
            ("labels app=vcluster and release=vc: the control plane of virtual cluster team-a/vc",),
        ),
        (
            origin("vc-0", "evil", app="vcluster", release="vc"),
            homes(HERE),
            None,
            None,
            (
                "no labels vcluster.loft.sh/managed-by and vcluster.loft.sh/namespace: no virtual cluster created the "
                "pod",
            ),
        ),
    ],
)
def test_ownership(
    pod: Origin, known: Homes, vcluster: VClusterRef | None, virtual: VirtualPod | None, reasons: tuple[str, ...]
) -> None:
    assert of_pod(NOBODY, pod, known, known.proven(SYNCED)) == (vcluster, virtual, reasons)


def test_a_nested_virtual_cluster() -> None:
    inner = "web-x-app-x-inner"
    labels = {
        naming.MANAGED_BY: "vc",
        naming.NAMESPACE: "nest",
        naming.label_key("vc", naming.MANAGED_BY): "inner",
        naming.label_key("vc", naming.NAMESPACE): "app",
    }
    found = of_pod(NOBODY, Origin(_Meta(f"{inner}-x-nest-x-vc", "team-a", labels=labels)), homes(HERE), {})
    nested = VClusterRef("nest", "inner", HERE)
    assert (found.vcluster, found.virtual) == (nested, VirtualPod(nested, "app", "web"))
    assert found.reasons[-1] == (
        "labels of virtual cluster team-a/vc/nest/inner, which runs inside team-a/vc: the pod is web-x-app-x-inner in "
        "namespace nest there"
    )
