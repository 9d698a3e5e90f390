"""Kamaji: tenants, what their metrics can be read with, their datastores and tunnels."""

from __future__ import annotations

import time

from kubectl_vmetrics.controlplane import credentials, kamaji
from kubectl_vmetrics.controlplane.credentials import NoCredential
from kubectl_vmetrics.controlplane.plane import KONNECTIVITY, Plane
from kubectl_vmetrics.controlplane.scrape import through
from kubectl_vmetrics.kube.errors import Forbidden
from kubectl_vmetrics.metrics.findings import some
from kubectl_vmetrics.metrics.samples import Reader
from kubectl_vmetrics.metrics.snapshot import Snapshot

from .check import Absent, Cause, Check, Outcome, Session, failed, passed, skipped, warned

AREA = "kamaji"


def _api(session: Session) -> str:
    api = kamaji.served(session.client)
    if api is None:
        raise Absent("Kamaji is not installed")
    return api


def _tenants(session: Session) -> list[Plane]:
    return session.once("tenants", lambda: kamaji.find(session.client, None, _api(session)))


_TENANTS = {
    "not-ready": Cause(
        "a tenant's control plane has no replica that is ready",
        "kubectl -n NAMESPACE describe tenantcontrolplane NAME",
        "https://kamaji.clastix.io",
    )
}


def _ready(session: Session) -> Outcome:
    found = _tenants(session)
    bad = [plane.path for plane in found if not plane.asleep and plane.ready < plane.wanted]
    if bad:
        return failed(f"replicas that are not ready: {some(bad)}", "not-ready")
    asleep = sum(plane.asleep for plane in found)
    return passed(f"{len(found)} tenant control planes" + (f", of which {asleep} sleep" if asleep else ""))


_LOGIN = {
    "group": Cause(
        "the certificate that guides name for scraping has lost its group, and is answered 403: since kubeadm 1.35.5 "
        "and 1.36.1 it has none, from its next renewal on",
        "kubectl vmetrics manifests kamaji NAME -n NAMESPACE --credential",
        "clastix/kamaji issue 1171",
    ),
    "none": Cause(
        "there is nothing to log in with at a control plane",
        "kubectl vmetrics controlplanes -A: what is said of each Secret",
    ),
    "ends": Cause(
        "a certificate ends soon, and was not renewed; Kamaji does so a day before",
        "kubectl -n NAMESPACE annotate secret SECRET certs.kamaji.clastix.io/rotate=",
    ),
}


def _login(session: Session) -> Outcome:
    found = _tenants(session)
    lost: list[str] = []
    none: list[str] = []
    ending: list[str] = []
    for plane in found:
        if plane.asleep:
            continue
        try:
            credential = next(credentials.candidates(session.client, plane))
        except NoCredential as error:
            if "may not be read" in error.message and "names no group" not in error.message:
                raise Forbidden(error.message, code=403) from None
            (lost if "names no group" in error.message else none).append(plane.path)
            continue
        if credential.expires - time.time() < credentials.SOON:
            ending.append(plane.path)
    for names, cause in ((lost, "group"), (none, "none")):
        if names:
            remedy = ""
            if cause == "group":
                namespace, _, name = names[0].partition("/")
                remedy = f"kubectl vmetrics manifests kamaji {name} -n {namespace} --credential"
            return failed(f"no certificate may read the metrics of {some(names)}", cause, remedy)
    if ending:
        return warned(f"certificates end within a week: {some(ending)}", "ends")
    return passed(f"{len(found)} tenant control planes let their metrics be read")


_STORES = {
    "not-ready": Cause(
        "a datastore is not ready: every tenant on it is affected",
        "kubectl get datastore NAME -o yaml: its conditions",
        "clastix/kamaji api/v1alpha1 DataStore",
    )
}


def _stores(session: Session) -> Outcome:
    found = [plane for plane in kamaji.operator(session.client, _api(session)) if plane.status]
    bad = [plane.name for plane in found if plane.status == "NotReady"]
    if bad:
        return failed(f"not ready: {', '.join(bad)}", "not-ready")
    return passed(f"{len(found)} datastores are ready")


_TUNNEL = {
    "none": Cause(
        "no agent is connected: logs, exec, webhooks and the Metrics API of the tenant do not work",
        "in the tenant: kubectl -n kube-system get pods -l k8s-app=konnectivity-agent; port 8132 must be open to it",
        "kubernetes-sigs/apiserver-network-proxy",
    )
}


def _tunnel(session: Session) -> Outcome:
    found = _tenants(session)
    asked = [(plane, part) for plane in found for part in plane.components if part.name == KONNECTIVITY]
    if not asked:
        return skipped("no konnectivity server tells of its agents without being logged in (v0.34 and newer do)")
    alone = []
    for plane, part in asked:
        text = session.client.get(through(plane, part), accept="text/plain").body
        ready = Snapshot(Reader(lambda name: name == BACKENDS).read([text]), 0.0).total(BACKENDS)
        if ready == 0:
            alone.append(plane.path)
    if alone:
        return failed(f"no agents are connected to {', '.join(dict.fromkeys(alone))}", "none")
    return passed(f"agents are connected to {len(asked)} konnectivity servers")


BACKENDS = "konnectivity_network_proxy_server_ready_backends"

CHECKS = (
    Check("VM501", AREA, "tenants", _TENANTS, _ready),
    Check("VM502", AREA, "certificates", _LOGIN, _login),
    Check("VM503", AREA, "datastores", _STORES, _stores),
    Check("VM504", AREA, "konnectivity", _TUNNEL, _tunnel),
)
