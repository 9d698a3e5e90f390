"""The client certificates with which the metrics of a control plane can be read.

The order is from the least to the most: a certificate made for monitoring, that of the kubelets' client while it still
has a group, the administrator's, and last the one that bypasses authorization. Since kubeadm v1.35.5 and v1.36.1, the
certificate of the kubelets' client has no group, so it may not read metrics (kubernetes/kubernetes cmd/kubeadm,
kubeadm:…; clastix/kamaji issue 1171). What is read here stays in memory.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from kubectl_vmetrics.kube.client import Client, escape
from kubectl_vmetrics.kube.errors import Forbidden, NotFound, VmetricsError
from kubectl_vmetrics.kube.forward import Identity
from kubectl_vmetrics.kube.lists import decoder

from . import kamaji, vclusters
from .plane import VCLUSTER, Plane

if TYPE_CHECKING:
    from cryptography import x509

MASTERS, ADMINS, MONITORING = "system:masters", "kubeadm:cluster-admins", "system:monitoring"
SOON = 7 * 86_400
"""Seconds before it expires from which a certificate is reported."""


MISSING, FORBIDDEN, EXPIRED, GROUPLESS, UNUSABLE = "missing", "forbidden", "expired", "groupless", "unusable"
"""Why a Secret has no certificate that may read metrics."""


class Refusal(NamedTuple):
    """A Secret without a certificate that may read metrics.

    Attributes:
        source: its name.
        why: MISSING, FORBIDDEN (to the user), EXPIRED, GROUPLESS or UNUSABLE.
        text: the same as a message, with the Secret's name.
    """

    source: str
    why: str
    text: str


class NoCredential(VmetricsError):
    """A control plane for which there is no usable client certificate."""


class Credential(NamedTuple):
    """A client certificate with its key.

    Attributes:
        source: the Secret and its key, for messages.
        ca: PEM of the CA that signed the control plane's serving certificate.
        user: the certificate's common name.
        groups: its organizations.
        expires: seconds since 1970.
        powerful: whether it has all rights.
    """

    source: str
    identity: Identity
    ca: bytes
    user: str
    groups: tuple[str, ...]
    expires: float
    powerful: bool = False


class _Secret(msgspec.Struct):
    data: dict[str, str] | None = None


class _ClusterData(msgspec.Struct):
    ca: str = msgspec.field(default="", name="certificate-authority-data")


class _UserData(msgspec.Struct):
    certificate: str = msgspec.field(default="", name="client-certificate-data")
    key: str = msgspec.field(default="", name="client-key-data")


class _Cluster(msgspec.Struct):
    cluster: _ClusterData = msgspec.field(default_factory=_ClusterData)


class _User(msgspec.Struct):
    user: _UserData = msgspec.field(default_factory=_UserData)


class _Kubeconfig(msgspec.Struct):
    clusters: list[_Cluster] = []
    users: list[_User] = []


def candidates(client: Client, plane: Plane) -> Iterator[Credential]:
    """Usable certificates, the least powerful first; each Secret is read lazily.

    Raises:
        NoCredential: at the end, with the reason for each Secret.
        ConnectionFailed, BadAnswer: as Client.get.
    """
    refusals: list[str] = []
    for item in examine(client, plane):
        if isinstance(item, Refusal):
            refusals.append(item.text)
        else:
            yield item
    raise NoCredential("; ".join(dict.fromkeys(refusals)), hint=remedy(plane))


def examine(client: Client, plane: Plane) -> Iterator[Credential | Refusal]:
    """Usable certificates, the least powerful first, and refusals; each Secret is read lazily.

    Raises:
        ConnectionFailed, BadAnswer: as Client.get.
    """
    for name, read in _sources(client, plane):
        try:
            found: Credential | Refusal = read()
        except Forbidden:
            found = Refusal(name, FORBIDDEN, f"you are not allowed to read Secret {name}")
        except NotFound:
            found = Refusal(name, MISSING, f"Secret {name} does not exist")
        except _Unusable as error:
            found = Refusal(name, error.why, f"Secret {name}: {error}")
        yield found


def of_kubelet(client: Client, plane: Plane) -> Credential:
    """The certificate of a tenant's kubelet client: the only one in a format that Prometheus reads.

    Raises:
        NoCredential: why it is not usable.
        Forbidden, ConnectionFailed, BadAnswer: as Client.get.
    """
    name = plane.secret(kamaji.KUBELET)
    return in_keys(client, plane, (name, "apiserver-kubelet-client.crt"), (name, "apiserver-kubelet-client.key"))


def in_keys(client: Client, plane: Plane, certificate: tuple[str, str], key: tuple[str, str]) -> Credential:
    """The certificate in two Secret keys in the namespace of a control plane, as a ServiceMonitor refers to them.

    Args:
        client: the cluster.
        plane: the control plane.
        certificate: the name of the Secret with the certificate, and the key in it.
        key: the same for its private key.

    Raises:
        NoCredential: why it is not usable.
        Forbidden, ConnectionFailed, BadAnswer: as Client.get.
    """
    found: list[bytes] = []
    secret, data = "", {}
    for secret, name in (certificate, key):
        try:
            data = _data(client, plane.namespace, secret)
        except NotFound:
            raise NoCredential(f"the Secret {plane.namespace}/{secret} does not exist", hint=remedy(plane)) from None
        except _Unusable as error:
            raise NoCredential(f"the Secret {plane.namespace}/{secret} {error}", hint=remedy(plane)) from None
        if not data.get(name):
            raise NoCredential(f"the Secret {plane.namespace}/{secret} has no key {name}", hint=remedy(plane))
        found.append(data[name])
    try:
        ca = data.get("certificate-authority", b"") if plane.kind == VCLUSTER else authority(client, plane)
        return _checked(certificate[0], found[0], found[1], ca)
    except _Unusable as error:
        raise NoCredential(f"the Secret {plane.namespace}/{certificate[0]}: {error}", hint=remedy(plane)) from None


def authority(client: Client, plane: Plane) -> bytes:
    """PEM of the CA of a tenant's certificates; b"" if it cannot be read. Raises as Client.get otherwise."""
    try:
        return _data(client, plane.namespace, plane.secret(kamaji.CA)).get("ca.crt", b"")
    except (Forbidden, NotFound, _Unusable):
        return b""


def remedy(plane: Plane) -> str:
    """How to get a certificate for a control plane that may read metrics and nothing else."""
    if plane.kind == VCLUSTER:
        return f"grant: get on the Secret {plane.secret(vclusters.CERTIFICATE)} in {plane.namespace}"
    return (
        f"create one: kubectl vmetrics manifests kamaji {plane.name} -n {plane.namespace} --credential; "
        f"or grant: get on the Secret {plane.secret(kamaji.ADMIN)} in {plane.namespace}"
    )


class _Unusable(Exception):
    def __init__(self, text: str, why: str = UNUSABLE) -> None:
        super().__init__(text)
        self.why = why


class _Read(NamedTuple):
    """Reads one certificate; called if the previous ones are not usable."""

    client: Client
    plane: Plane
    secret: str
    form: str
    key: str = ""

    def __call__(self) -> Credential:
        data = _data(self.client, self.plane.namespace, self.secret)
        if self.form == "kubeconfig":
            certificate, key, ca = _from_kubeconfig(data.get(self.key, b""))
        elif self.form == "vcluster":
            certificate, key, ca = (
                data.get(k, b"") for k in ("client-certificate", "client-key", "certificate-authority")
            )
        else:
            certificate, key = (
                data.get("apiserver-kubelet-client.crt", b""),
                data.get("apiserver-kubelet-client.key", b""),
            )
            ca = b""
        if not certificate or not key:
            raise _Unusable("has no certificate" + (f" under {self.key}" if self.key else ""))
        if not ca:
            ca = _data(self.client, self.plane.namespace, self.plane.secret(kamaji.CA)).get("ca.crt", b"")
        return _checked(f"{self.secret}{f'/{self.key}' if self.key else ''}", certificate, key, ca)


def _sources(client: Client, plane: Plane) -> Iterator[tuple[str, _Read]]:
    if plane.kind == VCLUSTER:
        name = plane.secret(vclusters.CERTIFICATE)
        yield name, _Read(client, plane, name, "vcluster")
        return
    for what, name in plane.secrets:
        if what.startswith("generator:"):
            yield name, _Read(client, plane, name, "kubeconfig", "value")
    name = plane.secret(kamaji.KUBELET)
    yield name, _Read(client, plane, name, "kubelet")
    name = plane.secret(kamaji.ADMIN)
    for key in ("admin.conf", "super-admin.conf"):
        yield name, _Read(client, plane, name, "kubeconfig", key)


def _data(client: Client, namespace: str, name: str) -> dict[str, bytes]:
    found = client.decode(f"/api/v1/namespaces/{escape(namespace)}/secrets/{escape(name)}", decoder(_Secret))
    try:
        return {key: base64.b64decode(value, validate=True) for key, value in (found.data or {}).items()}
    except (binascii.Error, ValueError):
        raise _Unusable("is not valid base64") from None


def _from_kubeconfig(text: bytes) -> tuple[bytes, bytes, bytes]:
    import yaml

    try:
        found = msgspec.convert(yaml.safe_load(text) or {}, _Kubeconfig)
        user, cluster = found.users[0].user, found.clusters[0].cluster
        return base64.b64decode(user.certificate), base64.b64decode(user.key), base64.b64decode(cluster.ca)
    except (yaml.YAMLError, msgspec.ValidationError, binascii.Error, ValueError, IndexError, RecursionError):
        raise _Unusable("has no valid kubeconfig") from None


def _checked(source: str, certificate: bytes, key: bytes, ca: bytes) -> Credential:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.x509.oid import NameOID

    try:
        found = x509.load_pem_x509_certificate(certificate)
        names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        groups = tuple(str(item.value) for item in found.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm):
        raise _Unusable("has no valid certificate") from None
    user = str(names[0].value) if names else ""
    expires = found.not_valid_after_utc.timestamp()
    if expires < time.time():
        raise _Unusable(f"its certificate expired at {found.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}", EXPIRED)
    if not groups:
        raise _Unusable(f'the certificate of "{user}" has no group, so it may not read /metrics', GROUPLESS)
    if ca and not _signed(found, ca):
        raise _Unusable("its certificate is not signed by the CA of the control plane")
    return Credential(source, Identity(certificate, key), ca, user, groups, expires, MASTERS in groups)


def _signed(certificate: x509.Certificate, ca: bytes) -> bool:
    """Whether it is signed by one of these CAs."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        authorities = x509.load_pem_x509_certificates(ca)
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm):
        raise _Unusable("has no valid CA certificate") from None
    for authority in authorities:
        try:
            certificate.verify_directly_issued_by(authority)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            continue
        return True
    return False
