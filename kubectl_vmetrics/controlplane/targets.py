"""Scrape targets of control planes."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from functools import partial
from typing import NamedTuple

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import VmetricsError
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.kube.names import SUBDOMAIN, fitted
from kubectl_vmetrics.metrics.targets import Certificate, Target

from . import credentials, kamaji
from .credentials import NoCredential
from .plane import APISERVER, CONTROLLER_MANAGER, ETCD, KAMAJI, KINE, KONNECTIVITY, SCHEDULER, SYNCER, Component, Plane
from .scrape import through

KIND = "controlplanes"
JOBS = {CONTROLLER_MANAGER: "kube-controller-manager", SCHEDULER: "kube-scheduler"}
COMPONENTS = {
    **{name: name for name in (APISERVER, CONTROLLER_MANAGER, SYNCER, KINE, ETCD, KONNECTIVITY)},
    **{name: component for component, name in JOBS.items()},
}
"""Components by the names of their jobs; some monitors call a controller manager by its own name."""
"""The job names that kubernetes-mixin uses; other components are called by their own names."""


class Source(NamedTuple):
    """Where the client certificate of a control plane is: the one that `controlplanes` uses.

    Attributes:
        secret: the name of the Secret; "" if there is none.
        key: the key of a kubeconfig in it; "" if the certificate has its own key.
        why: why there is none.
    """

    secret: str = ""
    key: str = ""
    why: str = "not looked up"

    def recipe(self, plane: Plane) -> tuple[str, ...]:
        """Shell commands that write tls.crt, tls.key and ca.crt; `get` prints one key of a Secret."""
        if not self.secret:
            return (f"# no usable client certificate: {self.why}",)

        def get(secret: str, key: str, file: str) -> str:
            return f"get {shlex.join([plane.namespace, secret, key])} > {file}"

        if plane.kind != KAMAJI:
            keys = {"client-certificate": "tls.crt", "client-key": "tls.key", "certificate-authority": "ca.crt"}
            return tuple(get(self.secret, key, file) for key, file in keys.items())
        ca = get(plane.secret(kamaji.CA), "ca.crt", "ca.crt")
        if not self.key:
            pair = ("apiserver-kubelet-client.crt", "tls.crt"), ("apiserver-kubelet-client.key", "tls.key")
            return (*(get(self.secret, *item) for item in pair), ca)
        view = "kubectl --kubeconfig tenant.conf config view --raw -o"
        powerful = self.secret == plane.secret(kamaji.ADMIN)
        command = f"kubectl vmetrics manifests kamaji {plane.name} -n {plane.namespace} --credential"
        return (
            *([f"# the administrator's certificate, which has all rights; one for metrics only: {command}"] * powerful),
            get(self.secret, self.key, "tenant.conf"),
            f"{view} jsonpath='{{.users[0].user.client-certificate-data}}' | base64 -d > tls.crt",
            f"{view} jsonpath='{{.users[0].user.client-key-data}}' | base64 -d > tls.key",
            "rm tenant.conf",
            ca,
        )


def sources(client: Client, planes: Iterable[Plane]) -> dict[tuple[str, str, str], Source]:
    """Where the client certificate of each control plane is; Secrets are kept in memory only.

    Raises:
        ConnectionFailed, BadAnswer: as Client.get.
    """
    asked = [plane for plane in planes if any(item.authorized for item in plane.components)]
    found = gather([partial(_source, client, plane) for plane in asked])
    for answer in found:
        if isinstance(answer, VmetricsError):
            raise answer
    return {plane.key: answer for plane, answer in zip(asked, found, strict=True) if isinstance(answer, Source)}


def _source(client: Client, plane: Plane) -> Source:
    try:
        found = next(credentials.candidates(client, plane))
    except NoCredential as error:
        return Source(why=f"{error.message}; {error.hint}" if error.hint else error.message)
    secret, _, key = found.source.partition("/")
    return Source(secret, key)


def folder(plane: Plane) -> str:
    """The name of the folder with a control plane's files, and of its Secret; it is unique."""
    return fitted(f"{plane.kind}.{plane.namespace}.{plane.name}", SUBDOMAIN)


def find(planes: Iterable[Plane], known: Mapping[tuple[str, str, str], Source] | None = None) -> list[Target]:
    """Each component of each replica, with a `cluster` label for the control plane, without optional components.

    Args:
        planes: the control planes.
        known: where their certificates are, for formats that need them.
    """
    chosen = known or {}
    return [
        _target(plane, item, chosen.get(plane.key, Source()))
        for plane in planes
        for item in plane.components
        if not _left_out(item)
    ]


def _left_out(item: Component) -> bool:
    # Only a scrape shows whether a virtual cluster has it; its controller-manager always exists.
    return item.optional and item.name != CONTROLLER_MANAGER


def job(component: str) -> str:
    """The job name of a component."""
    return JOBS.get(component, component)


def _target(plane: Plane, item: Component, source: Source) -> Target:
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
        certificate=_certificate(plane, item, source) if item.authorized else None,
    )


def _certificate(plane: Plane, item: Component, source: Source) -> Certificate:
    return Certificate(folder(plane), plane.server_name if item.verified else "", source.recipe(plane))
