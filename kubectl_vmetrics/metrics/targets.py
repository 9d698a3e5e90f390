"""Scrape targets: what Prometheus would have to be told; and those of the kubelets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from kubectl_vmetrics.kube.client import Client, escape
from kubectl_vmetrics.kube.core import Condition, ObjectMeta, holds
from kubectl_vmetrics.kube.lists import ObjectList, decoder, list_all

from .kubelet import ONCE

PORT = 10250
"""A kubelet's, where its node does not say."""

_ORDER = ("InternalIP", "ExternalIP", "Hostname", "InternalDNS", "ExternalDNS")


class Certificate(NamedTuple):
    """The client certificate that a target asks for, as files that Prometheus reads: tls.crt, tls.key and ca.crt.

    Attributes:
        folder: where they are; each control plane has its own.
        name: the name in the target's own certificate, which ca.crt signed; "" where it makes one for itself.
        recipe: commands that make the files, or why they cannot be made.
    """

    folder: str
    name: str = ""
    recipe: tuple[str, ...] = ()


class Target(NamedTuple):
    """Something to scrape.

    Attributes:
        kind: of target: kubevirt, kubelet, …
        job: what Prometheus calls its job.
        host: a name or an IP address without brackets; "" while there is none.
        path: of its metrics.
        through: its path at the apiserver, which passes the request on; "" where that would not be let in.
        labels: for its series, with those that name it.
        ready: whether it is worth asking.
        seconds: how long a scrape of it may last at least.
        authorized: whether it asks for a token.
        certificate: the client certificate that it asks for; None for none.
        honor: whether its own labels go before those of the target.
    """

    kind: str
    job: str
    host: str
    port: int
    path: str = "/metrics"
    scheme: str = "https"
    through: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    ready: bool = True
    seconds: int = 10
    authorized: bool = False
    honor: bool = False
    certificate: Certificate | None = None

    @property
    def address(self) -> str:
        """As a target of Prometheus: host and port, brackets around IPv6."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if host else ""

    def label(self, name: str) -> str:
        """One of its labels; "" without it."""
        return dict(self.labels).get(name, "")


class _Address(msgspec.Struct):
    type: str = ""
    address: str = ""


class _Endpoint(msgspec.Struct):
    port: int = msgspec.field(default=PORT, name="Port")


class _Endpoints(msgspec.Struct):
    kubelet: _Endpoint = msgspec.field(default_factory=_Endpoint, name="kubeletEndpoint")


class _Status(msgspec.Struct):
    addresses: list[_Address] = []
    endpoints: _Endpoints = msgspec.field(default_factory=_Endpoints, name="daemonEndpoints")
    conditions: list[Condition] = []


class _Node(msgspec.Struct):
    metadata: ObjectMeta
    status: _Status = msgspec.field(default_factory=_Status)


def kubelets(client: Client, endpoints: Sequence[str] = ONCE) -> list[Target]:
    """Endpoints of all kubelets, labelled as by kube-prometheus: job kubelet, metrics_path. Raises as Client.get."""
    found: list[_Node] = list_all(client, "/api/v1/nodes", decoder(ObjectList[_Node]))
    targets = []
    for node in sorted(found, key=lambda item: item.metadata.name):
        name, status = node.metadata.name, node.status
        addresses = {item.type: item.address for item in reversed(status.addresses)}
        host = next((addresses[kind] for kind in _ORDER if addresses.get(kind)), "")
        ready = holds(status.conditions, "Ready")
        targets += [
            Target(
                "kubelet",
                "kubelet",
                host,
                status.endpoints.kubelet.port or PORT,
                f"/{text}",
                through=f"/api/v1/nodes/{escape(name)}/proxy/{text}",
                labels=(("metrics_path", f"/{text}"), ("node", name)),
                ready=ready,
                authorized=True,
                honor=True,
            )
            for text in endpoints
        ]
    return targets
