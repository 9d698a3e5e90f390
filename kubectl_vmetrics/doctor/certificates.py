"""Client certificates for tenant control planes, which the plugin needs to read their metrics."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from kubectl_vmetrics.controlplane import credentials, kamaji
from kubectl_vmetrics.controlplane.credentials import Credential, Refusal
from kubectl_vmetrics.controlplane.plane import Plane
from kubectl_vmetrics.kube.errors import BadAnswer, VmetricsError
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.metrics.findings import counted, some

from .check import Cause, Outcome, Session, failed, passed, skipped, warned
from .tenants import NONE, tenants

CERTIFICATES = {
    "group": Cause(
        "the client certificate usually recommended for scraping no longer has a group, so the apiserver returns 403: "
        "kubeadm 1.35.5, 1.36.1 and newer renew it without one",
        "kubectl vmetrics manifests kamaji NAME -n NAMESPACE --credential",
        "clastix/kamaji issue 1171",
    ),
    "none": Cause(
        "there is no usable client certificate for a control plane",
        "kubectl vmetrics doctor --only VM502: why each Secret is not usable",
    ),
    "expired": Cause(
        "a client certificate has expired; Kamaji should have renewed it a day before",
        "kubectl -n NAMESPACE annotate secret SECRET certs.kamaji.clastix.io/rotate=",
    ),
    "ends": Cause(
        "a client certificate expires soon; Kamaji renews it a day before",
        "kubectl -n NAMESPACE annotate secret SECRET certs.kamaji.clastix.io/rotate=",
    ),
}


class _Login(NamedTuple):
    """The client certificates for one tenant control plane.

    Attributes:
        usable: the least powerful certificate that works; None if there is none.
        refusals: why the other Secrets are not usable.
    """

    plane: Plane
    usable: Credential | None
    refusals: list[Refusal]

    def has(self, why: str) -> bool:
        """Whether a Secret was refused for this reason."""
        return any(item.why == why for item in self.refusals)

    @property
    def why(self) -> str:
        """Why no certificate is usable, if the reason is known; "" otherwise."""
        reasons = (credentials.GROUPLESS, credentials.EXPIRED, credentials.FORBIDDEN)
        return next((reason for reason in reasons if self.has(reason)), "")

    @property
    def ends(self) -> bool:
        """Whether the usable certificate expires soon."""
        return self.usable is not None and self.usable.expires - time.time() < credentials.SOON

    @property
    def seen(self) -> str:
        """One line of evidence."""
        texts = list(dict.fromkeys(item.text for item in self.refusals))
        if self.usable:
            days = int((self.usable.expires - time.time()) // 86_400)
            who = f"{self.usable.source} as {self.usable.user} ({', '.join(self.usable.groups)})"
            texts.insert(0, f"{who}, valid for {counted(days, 'more day')}")
        return f"{self.plane.path}: {'; '.join(texts)}"


def _examined(session: Session, plane: Plane) -> _Login:
    """Examine a tenant's Secrets up to the first usable one; the kubelet client's Secret is always among them."""
    found: Credential | None = None
    refusals = []
    enough = (plane.secret(kamaji.KUBELET), plane.secret(kamaji.ADMIN))
    try:
        for item in credentials.examine(session.client, plane):
            if isinstance(item, Refusal):
                refusals.append(item)
            else:
                found = found or item
            if found and item.source.partition("/")[0] in enough:
                break
    except BadAnswer as error:
        refusals.append(Refusal("", credentials.UNUSABLE, error.message))
    return _Login(plane, found, refusals)


def usable(session: Session) -> Outcome:
    """Whether each tenant has a certificate that may read its metrics."""
    awake = [plane for plane in tenants(session) if not plane.asleep]
    if not awake:
        return skipped("all tenant control planes are asleep" if tenants(session) else NONE)
    found = gather([partial(_examined, session, plane) for plane in awake], limit=16)
    logins = []
    for item in found:
        if isinstance(item, VmetricsError):
            raise item
        logins.append(item)
    return _judged(logins)


def _judged(logins: Sequence[_Login]) -> Outcome:
    """The worst finding of all tenants."""
    seen = [item.seen for item in logins]
    without = [item for item in logins if item.usable is None]
    # A Secret that you are not allowed to read may still hold a usable certificate.
    hidden = [item.plane.path for item in without if item.why == credentials.FORBIDDEN]
    for cause, why in (("group", credentials.GROUPLESS), ("expired", credentials.EXPIRED), ("none", "")):
        if bad := [item.plane for item in without if item.why == why]:
            names = some([plane.path for plane in bad])
            return failed(f"no certificate may read the metrics of {names}", cause, _remedy(bad[0], cause), seen)
    if hidden:
        return skipped(f"you are not allowed to read the Secrets of {some(hidden)}", seen, refused=True)
    for cause, text, bad in (
        ("expired", "expired certificates", [item.plane for item in logins if item.has(credentials.EXPIRED)]),
        ("ends", "certificates that expire within a week", [item.plane for item in logins if item.ends]),
    ):
        if bad:
            return warned(f"{text}: {some([plane.path for plane in bad])}", cause, _remedy(bad[0], cause), seen)
    has = "has" if len(logins) == 1 else "have"
    return passed(f"{counted(len(logins), 'tenant control plane')} {has} a certificate that may read metrics", seen)


def _remedy(plane: Plane, cause: str) -> str:
    if cause == "group":
        return f"kubectl vmetrics manifests kamaji {plane.name} -n {plane.namespace} --credential"
    if cause == "expired":
        secret = plane.secret(kamaji.KUBELET)
        return f"kubectl -n {plane.namespace} annotate secret {secret} certs.kamaji.clastix.io/rotate="
    return ""
