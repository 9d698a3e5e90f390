"""One scrape of control planes, concurrently, each with its own client certificate."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import NamedTuple

from kubectl_vmetrics.kube.client import Client, Stream, escape
from kubectl_vmetrics.kube.errors import Forbidden, NotFound, Unauthorized, VmetricsError
from kubectl_vmetrics.kube.forward import Forward, Identity, Peer, forward
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.kube.lists import pods_path
from kubectl_vmetrics.metrics.samples import Reader
from kubectl_vmetrics.metrics.snapshot import Snapshot

from . import credentials
from .credentials import Credential, NoCredential
from .plane import Component, Plane

LIMIT = 20.0
"""Timeout for all components of one replica, in seconds."""
KEPT = 30.0
"""Seconds after which a tenant's Secret is read again, because it may have changed or been deleted."""
PATIENCE = 2.5
"""Seconds after which the others no longer wait for a slow replica; a table needs two scrapes."""
CONCURRENCY = 16
"""Replicas scraped at a time; each needs a connection to the apiserver, and through it to a kubelet."""
TEXT = "text/plain;version=0.0.4"


class Instance(NamedTuple):
    """A component of a control plane."""

    plane: tuple[str, str, str]
    component: Component


Taken = dict[Instance, "Snapshot | VmetricsError"]
Ask = Callable[[str], AbstractContextManager[Stream]]


class Scraper:
    """Scrapes control planes, and remembers the certificate that each of them accepted.

    Args:
        client: the cluster.
        wanted: which families are read.

    Attributes:
        used: the certificate that each control plane accepted.
    """

    def __init__(self, client: Client, wanted: Callable[[str], bool]) -> None:
        self._client = client
        self._reader = Reader(wanted)
        self.used: dict[tuple[str, str, str], Credential] = {}
        self._read: dict[tuple[str, str, str], float] = {}
        self._peers: dict[tuple[Identity, str, bytes | None], Peer] = {}

    def take(self, planes: Sequence[Plane]) -> Taken:
        """A snapshot of each component, or its error; optional components only if they exist."""
        calls = [
            partial(self._replica, plane, pod)
            for plane in planes
            for pod in dict.fromkeys(item.pod for item in plane.components)
        ]
        found: Taken = {}
        for call, taken in zip(calls, gather(calls, limit=CONCURRENCY, patience=PATIENCE), strict=True):
            plane, pod = call.args
            if isinstance(taken, VmetricsError):
                needed = [item for item in plane.components if item.pod == pod and not item.optional]
                found |= dict.fromkeys((Instance(plane.key, item) for item in needed), taken)
            else:
                found |= taken
        return found

    def _replica(self, plane: Plane, pod: str) -> Taken:
        parts = [item for item in plane.components if item.pod == pod]
        found: Taken = {}
        open_to_all = [item for item in parts if not item.authorized]
        for item in open_to_all:
            self._put(found, plane, item, partial(self._through, plane, item))
        closed = [item for item in parts if item.authorized]
        if closed:
            try:
                self._forwarded(found, plane, pod, closed)
            except VmetricsError as error:
                for item in closed:
                    if not item.optional:
                        found.setdefault(Instance(plane.key, item), error)
        return found

    def _put(self, found: Taken, plane: Plane, item: Component, ask: Ask) -> None:
        key = Instance(plane.key, item)
        try:
            for path in filter(None, (item.path, item.fallback)):
                asked = time.time()
                try:
                    with ask(path) as stream:
                        at = (asked + time.time()) / 2
                        found[key] = Snapshot(self._reader.read(stream.chunks), at)
                    return
                except (NotFound, Forbidden):
                    if path == item.fallback or not item.fallback:
                        raise
        except VmetricsError as error:
            found.pop(key, None)
            if not item.optional:
                found[key] = error

    def _through(self, plane: Plane, item: Component, path: str) -> AbstractContextManager[Stream]:
        return self._client.stream(through(plane, item._replace(path=path)), accept=TEXT, limit=LIMIT)

    def _forwarded(self, found: Taken, plane: Plane, pod: str, parts: Sequence[Component]) -> None:
        ports = list(dict.fromkeys(item.port for item in parts))
        refused: list[str] = []
        try:
            for credential in self._credentials(plane):
                with forward(self._client, plane.namespace, pod, ports, LIMIT) as ways:
                    try:
                        self._all(found, plane, parts, ways, credential)
                    except (Forbidden, Unauthorized) as error:
                        refused.append(f"Secret {credential.source} is not authorized: {error.message}")
                        continue
                self.used[plane.key] = credential
                return
        except NoCredential as error:
            raise NoCredential("; ".join([*refused, error.message]), hint=error.hint) from None

    def _all(
        self, found: Taken, plane: Plane, parts: Sequence[Component], ways: Forward, credential: Credential
    ) -> None:
        """Raises Forbidden and Unauthorized of the first component, because the certificate is the cause."""
        for port in dict.fromkeys(item.port for item in parts):
            here = [item for item in parts if item.port == port]
            try:
                connection = ways.open(port, self._peer(plane, credential, verified=here[0].verified))
            except VmetricsError as error:
                found |= {Instance(plane.key, item): error for item in here if not item.optional}
                continue
            for item in here:
                self._put(found, plane, item, partial(connection.stream, accept=TEXT))
                first = found.get(Instance(plane.key, item))
                if item is parts[0] and isinstance(first, (Forbidden, Unauthorized)):
                    raise first

    def _peer(self, plane: Plane, credential: Credential, *, verified: bool) -> Peer:
        key = credential.identity, plane.server_name, credential.ca if verified else None
        if key not in self._peers:
            self._peers[key] = Peer(credential.identity, key[2], plane.server_name)
        return self._peers[key]

    def _credentials(self, plane: Plane) -> Iterator[Credential]:
        """The certificate accepted before, then each candidate."""
        known = self.used.get(plane.key)
        if known and time.monotonic() - self._read.get(plane.key, -math.inf) < KEPT:
            yield known  # and if that one has been renewed, the current ones
        self._read[plane.key] = time.monotonic()
        yield from credentials.candidates(self._client, plane)


def through(plane: Plane, item: Component) -> str:
    """The apiserver's proxy path of a component that requires no client certificate."""
    return f"{pods_path(plane.namespace)}/{item.scheme}:{escape(item.pod)}:{item.port}/proxy{item.path}"
