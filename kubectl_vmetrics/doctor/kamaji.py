"""Kamaji: tenant control planes, their client certificates, datastores and tunnels."""

from __future__ import annotations

from functools import partial

from kubectl_vmetrics.controlplane.plane import KONNECTIVITY, Component, Plane
from kubectl_vmetrics.controlplane.scrape import through
from kubectl_vmetrics.kube.errors import Forbidden, VmetricsError
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.metrics.findings import counted, is_, some
from kubectl_vmetrics.metrics.samples import Reader
from kubectl_vmetrics.metrics.snapshot import Snapshot

from . import certificates, datastores
from .check import Cause, Check, Outcome, Session, failed, passed, skipped
from .tenants import NONE, tenants

AREA = "kamaji"


_TENANTS = {
    "not-ready": Cause(
        "requests may fail or be slow until they are ready",
        "kubectl -n NAMESPACE describe tenantcontrolplane NAME",
        "https://kamaji.clastix.io",
    )
}


def _ready(session: Session) -> Outcome:
    found = tenants(session)
    if not found:
        return skipped(NONE)
    seen = [f"{plane.path}: {plane.status}, {plane.ready} of {plane.wanted} ready, {plane.version}" for plane in found]
    bad = [plane.path for plane in found if not plane.asleep and plane.ready < plane.wanted]
    if bad:
        return failed(f"replicas not ready: {some(bad)}", "not-ready", evidence=seen)
    asleep = sum(plane.asleep for plane in found)
    return passed(
        counted(len(found), "tenant control plane") + (f", of which {asleep} {is_(asleep)} asleep" if asleep else ""),
        seen,
    )


_TUNNEL = {
    "none": Cause(
        "logs, exec, webhooks and the Metrics API of these tenants do not work without one",
        "in the tenant: kubectl -n kube-system get pods -l k8s-app=konnectivity-agent; the agents must reach port 8132",
        "kubernetes-sigs/apiserver-network-proxy",
    )
}


def _tunnel(session: Session) -> Outcome:
    found = tenants(session)
    if not found:
        return skipped(NONE)
    asked = [(plane, part) for plane in found for part in plane.components if part.name == KONNECTIVITY]
    if not asked:
        return skipped("no konnectivity server reports its agents to unauthenticated requests (v0.34 and newer do)")
    answers = gather([partial(_agents, session, plane, part) for plane, part in asked], limit=16)
    alone, silent, seen = [], [], []
    for (plane, part), count in zip(asked, answers, strict=True):
        if isinstance(count, Forbidden):
            raise count
        if isinstance(count, VmetricsError):
            seen.append(f"{plane.path} {part.pod}: {count.message}")
        else:
            seen.append(
                f"{plane.path} {part.pod}: " + ("not reported" if count is None else counted(round(count), "agent"))
            )
        if isinstance(count, VmetricsError) or count is None:
            silent.append(part.pod)
        elif count <= 0:
            alone.append(plane.path)
    if alone:
        return failed(f"no agents are connected to {', '.join(dict.fromkeys(alone))}", "none", "", seen)
    known = len(asked) - len(silent)
    if not known:
        return skipped(f"{some(silent)} {'does' if len(silent) == 1 else 'do'} not report agents", seen)
    rest = f"; not reported by {some(silent)}" if silent else ""
    return passed(f"agents are connected to {counted(known, 'konnectivity server')}{rest}", seen)


def _agents(session: Session, plane: Plane, part: Component) -> float | None:
    """The number of agents connected to a server; None if its metrics do not report it."""
    text = session.client.get(through(plane, part), accept="text/plain").body
    return Snapshot(Reader(lambda name: name == BACKENDS).read([text]), 0.0).total(BACKENDS)


BACKENDS = "konnectivity_network_proxy_server_ready_backends"

CHECKS = (
    Check("VM501", AREA, "tenants", _TENANTS, _ready),
    Check("VM502", AREA, "certificates", certificates.CERTIFICATES, certificates.usable),
    Check("VM503", AREA, "datastores", datastores.READY, datastores.ready),
    Check("VM504", AREA, "konnectivity", _TUNNEL, _tunnel),
)
