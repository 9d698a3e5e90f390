"""Kamaji's datastores, which store the tenants' objects, and the etcd behind those with the etcd driver.

A DataStore's endpoints are host:port without a scheme, of pods (etcd-0.etcd.kamaji-system.svc.cluster.local:2379), of
Services (kamaji-etcd.kamaji-system.svc:2379) or of something outside the cluster; whether it is usable is in
status.ready, and in older versions in a condition (clastix/kamaji api/v1alpha1 datastore_types.go).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from kubectl_vmetrics.kube import endpoints
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.core import Condition, ObjectMeta
from kubectl_vmetrics.kube.endpoints import Address
from kubectl_vmetrics.kube.errors import Forbidden, NotFound
from kubectl_vmetrics.kube.lists import ObjectList, decoder, list_all

from .plane import ETCD, KAMAJI, Component, Plane

VALID = "kamaji.clastix.io/DataStoreValidation"
"""The condition that reports whether Kamaji can use it."""
METRICS_PORT = 2381
"""The metrics port of etcd in the chart kamaji-etcd: --listen-metrics-urls."""
ETCD_DRIVER = "etcd"
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class Host(NamedTuple):
    """An endpoint inside the cluster: a Service, or one pod behind it.

    Attributes:
        address: as the DataStore has it, without the port.
        pod: its name; "" for all pods of the Service.
    """

    address: str
    namespace: str
    service: str
    pod: str = ""


class Store(NamedTuple):
    """A datastore.

    Attributes:
        driver: etcd, MySQL, PostgreSQL or NATS.
        ready: whether Kamaji can use it; None if its status does not report that.
        reason: the reason of its condition.
        hosts: its endpoints inside the cluster.
    """

    name: str
    driver: str
    ready: bool | None
    reason: str
    hosts: tuple[Host, ...]


class _Spec(msgspec.Struct):
    driver: str = ""
    endpoints: list[str] | None = None


class _Status(msgspec.Struct):
    ready: bool | None = None
    conditions: list[Condition] | None = None


class _Store(msgspec.Struct):
    metadata: ObjectMeta
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


def find(client: Client, api: str) -> list[Store]:
    """All datastores, with any driver.

    Args:
        client: the cluster.
        api: see `kamaji.served`.

    Raises:
        StatusError, ConnectionFailed, BadAnswer: as Client.get.
    """
    listed: list[_Store] = list_all(client, f"{api}/datastores", decoder(ObjectList[_Store]))
    return [_store(item) for item in listed]


def _store(item: _Store) -> Store:
    valid = next((each for each in item.status.conditions or [] if each.type == VALID), Condition())
    ready = item.status.ready
    if ready is None:
        ready = {"True": True, "False": False}.get(valid.status)
    hosts = dict.fromkeys(host for text in item.spec.endpoints or [] if (host := inside(text)))
    return Store(item.metadata.name, item.spec.driver, ready, "" if ready else valid.reason, tuple(hosts))


def inside(endpoint: str) -> Host | None:
    """Parse an endpoint; None if it is outside the cluster.

    >>> inside("kamaji-etcd.kamaji-system.svc:2379")
    Host(address='kamaji-etcd.kamaji-system.svc', namespace='kamaji-system', service='kamaji-etcd', pod='')
    """
    address = endpoint.partition(":")[0].rstrip(".").lower()
    parts = address.split(".")
    if not all(_LABEL.fullmatch(part) for part in parts):
        return None
    if len(parts) > 2 and parts[2] == "svc":
        return Host(address, parts[1], parts[0])
    if len(parts) > 3 and parts[3] == "svc":
        return Host(address, parts[2], parts[1], parts[0])
    return None


def members(client: Client, store: Store) -> list[Address]:
    """The pods behind a datastore's endpoints, without duplicates. A pod that is an endpoint itself counts as ready.

    Raises:
        StatusError, ConnectionFailed, BadAnswer: as Client.get.
    """
    found: dict[tuple[str, str], Address] = {}
    for host in store.hosts:
        if host.pod:
            listed = [Address(host.address, 0, host.namespace, host.pod)]
        else:
            listed = endpoints.members(client, host.namespace, host.service)
        for address in listed:
            found.setdefault((address.namespace, address.pod or address.ip), address)
    return list(found.values())


def planes(client: Client, api: str, warn: Callable[[str], object]) -> list[Plane]:
    """The etcds of datastores that run as pods of this cluster.

    Args:
        client: the cluster.
        api: see `kamaji.served`.
        warn: called with what could not be read.

    Raises:
        StatusError, ConnectionFailed, BadAnswer: as Client.get.
    """
    try:
        listed = find(client, api)
    except NotFound:
        return []
    except Forbidden as error:
        warn(f"cannot list the etcd of datastores: {error.message}")
        return []
    found = []
    for store in listed:
        if store.driver != ETCD_DRIVER or not store.hosts:
            continue
        try:
            everything = members(client, store)
        except (Forbidden, NotFound) as error:
            warn(f"cannot list the etcd of datastore {store.name}: {error.message}")
            continue
        pods = [item for item in everything if item.pod]
        if pods or not everything:
            found.append(_plane(store, pods))
    return found


def _plane(store: Store, pods: list[Address]) -> Plane:
    components = tuple(
        Component(ETCD, item.pod, item.ip, METRICS_PORT, authorized=False, scheme="http") for item in pods
    )
    status = "" if store.ready is None else "Ready" if store.ready else "NotReady"
    ready = 0 if store.ready is False else sum(item.ready for item in pods)
    return Plane(KAMAJI, store.hosts[0].namespace, store.name, "", status, False, len(pods), ready, components)
