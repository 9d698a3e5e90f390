"""Names, against published vectors, and there and back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kubectl_vmetrics.metrics.metrics_api import Owner
from kubectl_vmetrics.metrics.usage import HostPod
from kubectl_vmetrics.vcluster import naming
from kubectl_vmetrics.vcluster.identity import (
    Claim,
    Origin,
    Resolver,
    VClusterRef,
    VirtualPod,
    _Annotations,
    _Meta,
    claim,
)

LONG = "my-very-long-deployment-name-7d9c6b5f4-x2x9k"
DOTTED = "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeef.gggggg"


@pytest.mark.parametrize(
    ("translate", "parts", "expected"),
    [
        # Published by upstream: its unit tests and its documentation.
        (naming.host_name, ("test-pod", "default", "suffix"), "test-pod-x-default-x-suffix"),
        (naming.host_name, ("my-pod", "default", "123"), "my-pod-x-default-x-123"),
        (
            naming.host_name,
            ("nginx-from-other-namespace", "some-other-namespace", "default-namespace-sync"),
            "nginx-from-other-namespace-x-some-other-namespace-x--4b96e8f948",
        ),
        (naming.label_key, ("suffix", "release"), "vcluster.loft.sh/label-suffix-x-a4d451ec23"),
        (naming.label_key, ("suffix", "vcluster.loft.sh/namespace"), "vcluster.loft.sh/label-suffix-x-101dcd4e86"),
        (naming.label_key, ("suffix", "vcluster.loft.sh/managed-by"), "vcluster.loft.sh/label-suffix-x-e5f1b28ab2"),
        # Computed from the published formula by another implementation.
        (naming.host_name, (LONG, "production-environment", "tenant-a"), f"{LONG}-x-produ-33526a435e"),
        (naming.host_name, ("p" * 53, "ns", "vc"), "p" * 53 + "-x-ns-x-vc"),
        (naming.host_name, ("p" * 54, "ns", "vc"), "p" * 52 + "-8a6e3050df"),
        (naming.host_name, (DOTTED, "ns", "vc"), "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeef-c21b8138f8"),
        (naming.host_name, ("nginx-x-default-x-inner", "team", "outer"), "nginx-x-default-x-inner-x-team-x-outer"),
        (
            naming.namespace_label_key,
            ("my-vc", "kubernetes.io/metadata.name"),
            "vcluster.loft.sh/ns-label-my-vc-x-cf1227b7b2",
        ),
        (naming.label_key, ("my-vc", "app"), "vcluster.loft.sh/label-my-vc-x-a172cedcae"),
        (naming.cluster_marker, ("vcluster-my-vc", "my-vc"), "vcluster-my-vc-x-my-vc"),
    ],
)
def test_vectors(translate: Callable[..., str], parts: tuple[str, ...], expected: str) -> None:
    assert translate(*parts) == expected


def test_a_hashed_name_ends_in_ten_hexadecimal_digits() -> None:
    assert naming.may_be_hashed("web-0123456789") is True
    assert naming.may_be_hashed(naming.host_name("p" * 54, "ns", "vc")) is True
    # A digit too few; one that is not hexadecimal; nothing in front; text behind.
    for name in ("web-012345678", "web-012345678g", "0123456789", "web-0123456789-0", "web-x-shop-x-vc"):
        assert naming.may_be_hashed(name) is False


def test_two_pods_can_have_one_host_name() -> None:
    assert naming.host_name("a-x-b", "c", "vc") == naming.host_name("a", "b-x-c", "vc") == "a-x-b-x-c-x-vc"
    assert naming.virtual_name("a-x-b-x-c-x-vc", "c", "vc") == "a-x-b"
    assert naming.virtual_name("a-x-b-x-c-x-vc", "b-x-c", "vc") == "a"


word = st.sampled_from(["x", "a", "b-x-c", "x-x", "web", "7d9c6b5f4", "0"]) | st.from_regex(
    r"[a-z0-9]{1,20}", fullmatch=True
)
label = st.lists(word, min_size=1, max_size=4).map("-".join).filter(lambda text: len(text) <= 63)
pod_names = st.lists(label, min_size=1, max_size=4).map(".".join).filter(lambda text: len(text) <= 253)


@given(name=pod_names, namespace=label, vcluster=label, home=label)
def test_there_and_back(name: str, namespace: str, vcluster: str, home: str) -> None:
    host = naming.host_name(name, namespace, vcluster)
    owner = Owner(managed_by=vcluster, namespace=namespace)
    annotations = _Annotations(name, namespace, "/v1, Kind=Pod", host, home)
    pod = VirtualPod(VClusterRef(home, vcluster), namespace, name)

    by_labels = Resolver().resolve(home, host, owner)
    found = claim(
        Origin(_Meta(name=host, namespace=home, annotations=annotations, labels={naming.MANAGED_BY: vcluster}))
    )
    assert found == Claim(namespace, name)
    by_claims = Resolver(claims={HostPod(home, host): found}).resolve(home, host, owner)

    assert len(host) <= 63
    assert by_claims == (pod.vcluster, pod)
    if len(f"{name}-x-{namespace}-x-{vcluster}") <= 63:
        assert by_labels == (pod.vcluster, pod)
    else:
        assert by_labels == (pod.vcluster, None)


@given(name=pod_names, namespace=label, vcluster=label, forged=label, forged_namespace=label)
def test_what_a_tenant_writes_never_wins(
    name: str, namespace: str, vcluster: str, forged: str, forged_namespace: str
) -> None:
    """`name`, `namespace` and `uid` are copied from the tenant's own annotations: they are not even decoded."""
    import msgspec

    assume((forged, forged_namespace) != (name, namespace))
    host = naming.host_name(name, namespace, vcluster)
    document = {
        "metadata": {
            "name": host,
            "namespace": "home",
            "labels": {"vcluster.loft.sh/managed-by": vcluster, "vcluster.loft.sh/namespace": namespace},
            "annotations": {
                "vcluster.loft.sh/name": forged,
                "vcluster.loft.sh/namespace": forged_namespace,
                "vcluster.loft.sh/uid": "forged",
                "vcluster.loft.sh/object-name": name,
                "vcluster.loft.sh/object-namespace": namespace,
                "vcluster.loft.sh/object-kind": "/v1, Kind=Pod",
                "vcluster.loft.sh/object-host-name": host,
                "vcluster.loft.sh/object-host-namespace": "home",
            },
        }
    }
    found = claim(msgspec.convert(document, Origin))

    assert found == Claim(namespace, name)
