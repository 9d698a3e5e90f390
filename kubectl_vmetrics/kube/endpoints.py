"""The endpoints of a Service: its EndpointSlices, and the older Endpoints."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from .client import Client, escape
from .core import ObjectMeta
from .lists import ObjectList, decoder, list_all

SERVICE_LABEL = "kubernetes.io/service-name"


class Address(NamedTuple):
    """One address behind a port of a Service.

    Attributes:
        pod: its name; "" if it is not a pod.
    """

    ip: str
    port: int
    namespace: str
    pod: str = ""
    node: str = ""
    ready: bool = True


class _Reference(msgspec.Struct):
    kind: str = ""
    name: str = ""


class _Port(msgspec.Struct):
    name: str | None = None
    port: int | None = None


class _Conditions(msgspec.Struct):
    ready: bool | None = None


class _Endpoint(msgspec.Struct):
    addresses: list[str] = []
    conditions: _Conditions = msgspec.field(default_factory=_Conditions)
    target: _Reference | None = msgspec.field(default=None, name="targetRef")
    node: str | None = msgspec.field(default=None, name="nodeName")


class _Slice(msgspec.Struct):
    metadata: ObjectMeta
    ports: list[_Port] | None = None
    endpoints: list[_Endpoint] | None = None


class _OldAddress(msgspec.Struct):
    ip: str
    target: _Reference | None = msgspec.field(default=None, name="targetRef")
    node: str | None = msgspec.field(default=None, name="nodeName")


class _Subset(msgspec.Struct):
    addresses: list[_OldAddress] | None = None
    waiting: list[_OldAddress] | None = msgspec.field(default=None, name="notReadyAddresses")
    ports: list[_Port] | None = None


class _Endpoints(msgspec.Struct):
    subsets: list[_Subset] | None = None


def slices(client: Client, namespace: str, service: str, port: str) -> list[Address]:
    """The addresses for a named port in the EndpointSlices. Raises as Client.get."""
    found = _slices(client, namespace, service)
    # All addresses of an endpoint are the same process, so the first is enough; a port that is not there is none.
    return [
        Address(item.addresses[0], number, namespace, _pod(item.target), item.node or "", _ready(item))
        for part in found
        if (number := _number(part.ports, port))
        for item in part.endpoints or []
        if item.addresses
    ]


def members(client: Client, namespace: str, service: str) -> list[Address]:
    """All addresses behind a Service, whatever their ports (0), each once. Raises as Client.get."""
    found = _slices(client, namespace, service)
    each = {
        item.addresses[0]: Address(item.addresses[0], 0, namespace, _pod(item.target), item.node or "", _ready(item))
        for part in found
        for item in part.endpoints or []
        if item.addresses
    }
    return list(each.values())


def _slices(client: Client, namespace: str, service: str) -> list[_Slice]:
    found: list[_Slice] = list_all(
        client,
        f"/apis/discovery.k8s.io/v1/namespaces/{escape(namespace)}/endpointslices",
        decoder(ObjectList[_Slice]),
        {"labelSelector": f"{SERVICE_LABEL}={service}"},
    )
    return found


def endpoints(client: Client, namespace: str, service: str, port: str) -> list[Address]:
    """The same from the Endpoints, at most 1,000 addresses. Raises as Client.get."""
    path = f"/api/v1/namespaces/{escape(namespace)}/endpoints/{escape(service)}"
    found = client.decode(path, decoder(_Endpoints))
    return [
        Address(address.ip, number, namespace, _pod(address.target), address.node or "", ready)
        for subset in found.subsets or []
        if (number := _number(subset.ports, port))
        for ready, addresses in ((True, subset.addresses), (False, subset.waiting))
        for address in addresses or []
    ]


def _ready(endpoint: _Endpoint) -> bool:
    # Not told means that it is (discovery.k8s.io/v1, EndpointConditions).
    return endpoint.conditions.ready is not False


def _number(ports: list[_Port] | None, name: str) -> int:
    return next((port.port or 0 for port in ports or [] if port.name == name), 0)


def _pod(target: _Reference | None) -> str:
    return target.name if target and target.kind == "Pod" else ""
