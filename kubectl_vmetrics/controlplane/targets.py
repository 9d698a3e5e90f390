"""Scrape targets of control planes."""

from __future__ import annotations

from collections.abc import Iterable

from kubectl_vmetrics.metrics.targets import Certificate, Target

from . import kamaji, names, vclusters
from .plane import CONTROLLER_MANAGER, KAMAJI, SCHEDULER, Component, Plane
from .scrape import through

KIND = "controlplanes"
JOBS = {CONTROLLER_MANAGER: "kube-controller-manager", SCHEDULER: "kube-scheduler"}
"""What dashboards of the field call them; the others have the name of the component."""


def find(planes: Iterable[Plane]) -> list[Target]:
    """Each component of each replica, with `cluster` for the control plane; optional ones are left out."""
    return [_target(plane, item) for plane in planes for item in plane.components if not _left_out(item)]


def _left_out(item: Component) -> bool:
    # Whether a virtual cluster has it is known by asking only; its controller-manager is always there.
    return item.optional and item.name != CONTROLLER_MANAGER


def job(component: str) -> str:
    """The name of a component's job."""
    return JOBS.get(component, component)


def _target(plane: Plane, item: Component) -> Target:
    labels = {"cluster": plane.path, "component": item.name, "kind": plane.kind, "namespace": plane.namespace}
    return Target(
        KIND,
        job(item.name),
        item.address,
        item.port,
        item.path,
        item.scheme,
        "" if item.authorized else through(plane, item),
        (*labels.items(), ("pod", item.pod)),
        certificate=_certificate(plane, item) if item.authorized else None,
    )


def _certificate(plane: Plane, item: Component) -> Certificate:
    if plane.kind == KAMAJI:
        secret = f"secrets/{plane.secret(kamaji.KUBELET)}/apiserver-kubelet-client"
        # Not the Secret of the authority, which holds its key as well.
        ca = f"configmaps/{names.authority(plane)}/ca.crt" if item.verified else ""
        return Certificate(f"{secret}.crt", f"{secret}.key", ca, plane.server_name if item.verified else "")
    secret = f"secrets/{plane.secret(vclusters.CERTIFICATE)}"
    return Certificate(
        f"{secret}/client-certificate", f"{secret}/client-key", f"{secret}/certificate-authority", plane.server_name
    )
