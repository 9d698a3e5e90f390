"""With which certificate a control plane is asked: each case with real X.509 certificates."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from kubectl_vmetrics.controlplane import credentials, kamaji, vclusters
from kubectl_vmetrics.controlplane.credentials import Credential, NoCredential
from kubectl_vmetrics.controlplane.plane import KAMAJI, VCLUSTER, Plane
from kubectl_vmetrics.demo.certificates import Authority, Pair
from kubectl_vmetrics.kube.client import Client
from tests.conftest import Scripted

Serve = Callable[[dict[str, Any]], tuple[Scripted, str]]
CA, OTHER = Authority("kubernetes"), Authority("kubernetes")
SECRETS = "/api/v1/namespaces/t/secrets"
PLANE = Plane(
    KAMAJI,
    "t",
    "acme",
    secrets=(
        ("generator:mon", "acme-mon"),
        (kamaji.KUBELET, "acme-kubelet"),
        (kamaji.ADMIN, "acme-admin-kubeconfig"),
        (kamaji.CA, "acme-ca"),
    ),
)


def secret(**data: bytes) -> dict[str, Any]:
    return {"data": {key.replace("_", "."): base64.b64encode(value).decode() for key, value in data.items()}}


def kubelet(pair: Pair) -> dict[str, Any]:
    return {
        "data": {
            "apiserver-kubelet-client.crt": base64.b64encode(pair.certificate).decode(),
            "apiserver-kubelet-client.key": base64.b64encode(pair.key).decode(),
        }
    }


def kubeconfig(pair: Pair, ca: bytes = CA.pem) -> bytes:
    def encoded(text: bytes) -> str:
        return base64.b64encode(text).decode()

    user = {"client-certificate-data": encoded(pair.certificate), "client-key-data": encoded(pair.key)}
    document = {
        "clusters": [{"name": "c", "cluster": {"certificate-authority-data": encoded(ca)}}],
        "users": [{"name": "u", "user": user}],
    }
    return yaml.safe_dump(document).encode()


@pytest.fixture
def first(scripted: Serve, client_of: Callable[[str], Client]) -> Callable[..., Credential]:
    def read(plane: Plane = PLANE, **answers: Any) -> Credential:
        found = {f"{SECRETS}/{name.replace('_', '-')}": answer for name, answer in answers.items()}
        found.setdefault(f"{SECRETS}/acme-ca", secret(ca_crt=CA.pem))
        return next(credentials.candidates(client_of(scripted(found)[1]), plane))

    return read


ADMIN = CA.client("kubernetes-admin", "kubeadm:cluster-admins")
MASTER = CA.client("kubernetes-super-admin", "system:masters")
ADMINS = secret(admin_conf=kubeconfig(ADMIN), super_admin_conf=kubeconfig(MASTER))
ADMINS["data"]["super-admin.conf"] = ADMINS["data"].pop("super.admin.conf")


def test_the_one_made_for_monitoring_comes_first(first: Callable[..., Credential]) -> None:
    pair = CA.client("vmetrics", "system:monitoring")
    found = first(
        acme_mon=secret(value=kubeconfig(pair)),
        acme_kubelet=kubelet(CA.client("kube-apiserver-kubelet-client", "system:masters")),
        acme_admin_kubeconfig=ADMINS,
    )

    assert (found.source, found.user, found.groups) == ("acme-mon/value", "vmetrics", ("system:monitoring",))
    assert found.identity.certificate == pair.certificate
    assert not found.powerful


@pytest.mark.parametrize("group", ["system:masters", "kubeadm:cluster-admins"])
def test_the_kubelets_client_while_it_has_a_group(group: str, first: Callable[..., Credential]) -> None:
    pair = CA.client("kube-apiserver-kubelet-client", group)
    found = first(acme_kubelet=kubelet(pair), acme_admin_kubeconfig=ADMINS)

    assert (found.source, found.groups, found.powerful) == ("acme-kubelet", (group,), group == "system:masters")
    assert found.ca == CA.pem


def test_without_its_group_the_administrators(first: Callable[..., Credential]) -> None:
    lost = kubelet(CA.client("kube-apiserver-kubelet-client"))
    assert first(acme_kubelet=lost, acme_admin_kubeconfig=ADMINS).source == "acme-admin-kubeconfig/admin.conf"

    only = {"data": {"super-admin.conf": ADMINS["data"]["super-admin.conf"]}}
    found = first(acme_kubelet=lost, acme_admin_kubeconfig=only)
    assert (found.source, found.powerful) == ("acme-admin-kubeconfig/super-admin.conf", True)


def forbidden(_: Any) -> Any:
    return 403, {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "secrets is forbidden"}


BROKEN = Pair(b"no certificate", b"no key")
CASES = {
    "no group": (
        kubelet(CA.client("kube-apiserver-kubelet-client")),
        'the certificate of "kube-apiserver-kubelet-client" has no group, so it may not read /metrics',
    ),
    "expired": (kubelet(CA.client("u", "system:masters", days=-2)), "its certificate expired at 20"),
    "another authority": (
        kubelet(OTHER.client("u", "system:masters")),
        "its certificate is not signed by the CA of the control plane",
    ),
    "no certificate": (secret(other=b"x"), "has no certificate"),
    "not a certificate": (kubelet(BROKEN), "has no valid certificate"),
    "not base64": ({"data": {"apiserver-kubelet-client.crt": "%"}}, "is not valid base64"),
    "empty": ({}, "has no certificate"),
}


@pytest.mark.parametrize("name", CASES)
def test_each_reason_is_said_and_nothing_of_the_secret(name: str, first: Callable[..., Credential]) -> None:
    answer, why = CASES[name]
    with pytest.raises(NoCredential) as error:
        first(acme_kubelet=answer, acme_admin_kubeconfig=forbidden)

    assert f"Secret acme-kubelet: {why}" in error.value.message
    assert "Secret acme-mon does not exist" in error.value.message
    assert "you are not allowed to read Secret acme-admin-kubeconfig" in error.value.message
    assert "PRIVATE KEY" not in str(error.value)
    assert "kubectl vmetrics manifests kamaji acme -n t --credential" in (error.value.hint or "")


@pytest.mark.parametrize("text", [b"", b"[]", b"users: 5", b"users: [{user: {client-certificate-data: '%'}}]", b"\x00"])
def test_kubeconfigs_that_are_none(text: bytes, first: Callable[..., Credential]) -> None:
    with pytest.raises(NoCredential, match=r"acme-mon: has no (valid kubeconfig|certificate)"):
        first(acme_mon=secret(value=text))


def test_a_virtual_clusters(first: Callable[..., Credential]) -> None:
    plane = Plane(VCLUSTER, "t", "shop", secrets=((vclusters.CERTIFICATE, "vc-shop"),))
    data = {
        "client-certificate": MASTER.certificate,
        "client-key": MASTER.key,
        "certificate-authority": CA.pem,
    }
    encoded = {"data": {key: base64.b64encode(value).decode() for key, value in data.items()}}

    assert first(plane, vc_shop=encoded).groups == ("system:masters",)
    with pytest.raises(NoCredential) as error:
        first(plane, vc_shop=forbidden)
    assert error.value.hint == "grant: get on the Secret vc-shop in t"


def test_nothing_of_it_is_shown_by_accident(first: Callable[..., Credential]) -> None:
    found = first(acme_kubelet=kubelet(MASTER))

    key = MASTER.key.decode().splitlines()[1]
    for shown in (repr(found), str(found), f"{found.identity}", json.dumps(str(found._asdict()))):
        assert key not in shown
        assert "PRIVATE" not in shown
