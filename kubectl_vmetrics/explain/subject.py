"""The pod that is explained: by its host name, or by its name inside a virtual cluster."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from kubectl_vmetrics.kube.client import PARTIAL_LIST, Answer, Client, decode, escape
from kubectl_vmetrics.kube.core import Pod
from kubectl_vmetrics.kube.errors import Forbidden, NotFound, UsageError
from kubectl_vmetrics.kube.lists import ObjectList, decoder, list_all, pods_path
from kubectl_vmetrics.metrics.findings import either
from kubectl_vmetrics.vcluster import identity, naming
from kubectl_vmetrics.vcluster.homes import Homes
from kubectl_vmetrics.vcluster.identity import Origin, SyncedNamespace, VClusterRef

from .ownership import Ownership, of_pod


class _State(msgspec.Struct):
    started: str | None = msgspec.field(default=None, name="startedAt")


class _States(msgspec.Struct):
    running: _State | None = None


class _Status(msgspec.Struct):
    name: str = ""
    restarts: int = msgspec.field(default=0, name="restartCount")
    state: _States = msgspec.field(default_factory=_States)


class _Statuses(msgspec.Struct):
    started: str | None = msgspec.field(default=None, name="startTime")
    phase: str = ""
    containers: list[_Status] = msgspec.field(default_factory=list, name="containerStatuses")


class _Timed(msgspec.Struct):
    status: _Statuses = msgspec.field(default_factory=_Statuses)


class Subject(NamedTuple):
    """A host pod.

    Attributes:
        pod: what it asked for, and where it runs.
        uid: on the host.
        ownership: whose it is, and why.
        phase: Running, Pending and so on.
        started: seconds since the epoch at which the kubelet saw it first; None before.
        running: by container, since when it has been running; None if it is not.
        restarts: of all containers.
    """

    pod: Pod
    uid: str
    ownership: Ownership
    phase: str
    started: float | None
    running: dict[str, float | None]
    restarts: int

    @property
    def namespace(self) -> str:
        """Its host namespace."""
        return self.pod.metadata.namespace

    @property
    def name(self) -> str:
        """Its host name."""
        return self.pod.metadata.name


def on_host(client: Client, namespace: str, name: str, homes: Homes) -> Subject:
    """The pod with this host name, otherwise the only pod of the host namespace with this name inside.

    Raises:
        NotFound: there is none of that name, in the server's own words.
        UsageError: several virtual pods have it; the message says how to specify each.
        StatusError, ConnectionFailed, BadAnswer: as Client.get.
    """
    synced = homes.proven(identity.read_synced_namespaces(client))
    try:
        return _read(client, namespace, name, homes, synced)
    except NotFound as missing:
        try:
            candidates = _candidates(client, namespace, name)
        except Forbidden:
            raise missing from None  # a user who may get a pod need not be allowed to list them
        found = [_read(client, namespace, host, homes, synced) for host in candidates]
        found = [item for item in found if item.ownership.virtual and item.ownership.virtual.name == name]
        if not found:
            raise missing from None
    if len(found) > 1:
        places = sorted({(v.vcluster.path, v.namespace) for item in found if (v := item.ownership.virtual) is not None})
        ways = either([f"--vcluster {path} -n {inside}" for path, inside in places])
        raise UsageError(f'there are {len(found)} pods "{name}" in virtual clusters: specify one with {ways}')
    return found[0]


def inside(client: Client, vcluster: VClusterRef, namespace: str, name: str, homes: Homes) -> Subject:
    """The host pod behind a pod of a virtual cluster.

    Args:
        client: the host.
        vcluster: which one; may be nested.
        namespace: inside it.
        name: inside it.
        homes: whose pods are.

    Raises:
        NotFound: there is none.
        StatusError, ConnectionFailed, BadAnswer: as Client.get.
    """
    wanted, base, level, host = name, vcluster, namespace, name
    while base.parent:
        host, level, base = naming.host_name(host, level, base.name), base.host_namespace, base.parent
    synced = homes.proven(identity.read_synced_namespaces(client))
    homes.settle_for(client, base)
    places = [(place, naming.host_name(host, level, base.name)) for place in _places(client, base, homes)]
    places += [(place, host) for place, item in synced.items() if item.vcluster == base and item.namespace == level]
    for place, candidate in places:
        try:
            found = _read(client, place, candidate, homes, synced)
        except NotFound:
            continue
        virtual = found.ownership.virtual
        if virtual and virtual.vcluster == vcluster and (virtual.namespace, virtual.name) == (namespace, wanted):
            return found
    raise NotFound(f'pods "{name}" not found', code=404, reason="NotFound")


def _places(client: Client, base: VClusterRef, homes: Homes) -> list[str]:
    return [base.host_namespace, *homes.places(client, base)]


def _candidates(client: Client, namespace: str, name: str) -> Sequence[str]:
    """Host names of synced pods that may have this name inside."""
    listed: list[Origin] = list_all(
        client,
        pods_path(namespace),
        decoder(ObjectList[Origin]),
        {"labelSelector": naming.MANAGED_BY},
        accept=PARTIAL_LIST,
        keep=lambda item: item.metadata.name.startswith(f"{name}-x-") or item.metadata.annotations.name == name,
    )
    return [item.metadata.name for item in listed]


def _read(client: Client, namespace: str, name: str, homes: Homes, synced: dict[str, SyncedNamespace]) -> Subject:
    path = f"{pods_path(namespace)}/{escape(name)}"
    answer: Answer = client.get(path)
    pod = decode(answer, decoder(Pod), path)
    origin = decode(answer, decoder(Origin), path)
    timed = decode(answer, decoder(_Timed), path).status
    running = {
        item.name: seconds(item.state.running.started if item.state.running else None) for item in timed.containers
    }
    restarts = sum(item.restarts for item in timed.containers)
    owned = of_pod(client, origin, homes, synced)
    return Subject(pod, origin.metadata.uid, owned, timed.phase, seconds(timed.started), running, restarts)


def seconds(stamp: str | None) -> float | None:
    """A time as seconds since the epoch; None for none, and for what is no time.

    >>> seconds("2026-11-29T16:00:00Z")
    1795968000.0
    """
    try:
        return datetime.datetime.fromisoformat((stamp or "").replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError):
        return None
