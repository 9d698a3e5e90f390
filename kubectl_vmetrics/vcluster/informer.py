"""Keeps the map of origins fresh in a process that lives long: watches instead of lists."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from kubectl_vmetrics.kube import cancel
from kubectl_vmetrics.kube.client import Client, escape
from kubectl_vmetrics.kube.errors import ConnectionFailed, Forbidden
from kubectl_vmetrics.kube.reflector import Reflector

from . import identity, naming
from .homes import Homes
from .identity import Origin, VClusterRef
from .origins import CLAIMS, PODS, Origins, asking


class Informer:
    """The map of a host, or of one virtual cluster's namespaces, kept fresh. Asks for nothing before `origins`.

    Args:
        client: the host.
        vcluster: whose namespaces; None for the whole host.
        homes: whose things with the labels of a virtual cluster are, until `rehome` knows better.
    """

    def __init__(self, client: Client, vcluster: VClusterRef | None = None, homes: Homes | None = None) -> None:
        self._client = client
        self._vcluster = vcluster
        self._origins = Origins({}, homes, asking(client))
        self._marked: dict[str, Origin] = {}
        self._lock = threading.Lock()
        self._spaces_lock = threading.Lock()
        self._main: list[Reflector[Origin]] = []
        self._synced: dict[str, list[Reflector[Origin]]] = {}
        self._spaces: Reflector[Origin] | None = None
        self._complete = False

    def __len__(self) -> int:
        return len(self._origins)

    def unresolved(self) -> int:
        """As Origins.unresolved."""
        return self._origins.unresolved()

    def origins(self, wait: float = 30.0) -> Origins:
        """The map, once it is whole.

        Args:
            wait: seconds to wait for that.

        Raises:
            StatusError, ConnectionFailed, BadAnswer: it could not be read so far; retries go on in the background.
        """
        if self._complete:
            return self._origins
        with self._lock:
            if self._spaces is None:
                self._begin()
        end = time.monotonic() + wait
        for reflector in [self._spaces, *self._main]:
            self._await(reflector, end)
        for reflector in self._reflectors():  # by now with those of synced namespaces
            self._await(reflector, end)
        self._complete = True
        return self._origins

    def _await(self, reflector: Reflector[Origin] | None, end: float) -> None:
        while reflector and not reflector.synced.wait(0.02):
            cancel.check()
            error = reflector.error
            if self._optional(reflector) and isinstance(error, Forbidden):
                return
            if error is not None:
                raise error
            if time.monotonic() > end:
                raise ConnectionFailed(f"{reflector.path}: no answer yet (Timeout)")

    def silence(self) -> float:
        """Seconds since the host was last heard of; 0 while all watches are well that the map needs."""
        # A namespace synced whole may come before its rights do: that costs its pods alone.
        needed = [r for r in self._main if not self._optional(r)]
        reflectors = [r for r in self._reflectors() if r in needed or not isinstance(r.error, Forbidden)]
        return max((reflector.silence() for reflector in reflectors), default=0.0)

    def cuts(self) -> int:
        """How often a watch broke off, or a list failed."""
        return sum(reflector.cuts for reflector in self._reflectors())

    def expired(self) -> int:
        """How often a watch's version was too old."""
        return sum(reflector.expired for reflector in self._reflectors())

    def stop(self) -> None:
        """End all watches."""
        for reflector in self._reflectors():
            reflector.stop()

    def _reflectors(self) -> list[Reflector[Origin]]:
        spaces = [self._spaces] if self._spaces else []
        return [*spaces, *self._main, *(r for several in list(self._synced.values()) for r in several)]

    def _optional(self, reflector: Reflector[Origin]) -> bool:
        """Whether the map is of use without a list: as in origins.read."""
        return reflector is self._spaces or reflector.path.endswith(f"/{CLAIMS}")

    def _begin(self) -> None:
        places: list[str | None] = [None]
        if self._vcluster:
            places = [self._vcluster.host_namespace, *self._origins.homes.targets_of(self._vcluster)]
        self._main = [self._reflector(kind, place, naming.MANAGED_BY) for place in places for kind in (PODS, CLAIMS)]
        # Namespaces that were synced whole may hold pods without a label: each has its own watch.
        self._spaces = Reflector(
            self._client,
            "/api/v1/namespaces",
            Origin,
            _Namespaces(self._namespaces),
            labels="vcluster.loft.sh/vcluster-name",
        )
        for reflector in (self._spaces, *self._main):
            reflector.start()

    def _reflector(self, kind: str, namespace: str | None, labels: str | None) -> Reflector[Origin]:
        scope = f"namespaces/{escape(namespace)}/" if namespace else ""
        path = f"/api/v1/{scope}{kind}"
        return Reflector(self._client, path, Origin, _Objects(self._origins, kind), labels=labels)

    def rehome(self, homes: Homes) -> None:
        """Virtual clusters came or went: decide again whose everything is."""
        with self._spaces_lock:
            self._sort(homes)

    def _namespaces(self, found: dict[str, Origin]) -> None:
        with self._spaces_lock:
            self._marked = dict(found)
            self._sort(self._origins.homes)

    def _sort(self, homes: Homes) -> None:
        known = {name: synced for name, item in self._marked.items() if (synced := identity.synced_namespace(item))}
        wanted = {n: s for n, s in homes.proven(known).items() if self._vcluster in (None, s.vcluster)}
        self._origins.rehome(homes, wanted)
        for name in [name for name in self._synced if name not in wanted]:
            for reflector in self._synced.pop(name):
                reflector.stop()
        for name in wanted:
            if name not in self._synced:
                self._synced[name] = [self._reflector(kind, name, None) for kind in (PODS, CLAIMS)]
                for reflector in self._synced[name]:
                    reflector.start()


class _Objects:
    """From a reflector to the map; keeps in mind which objects are this reflector's."""

    def __init__(self, origins: Origins, kind: str) -> None:
        self._origins = origins
        self._kind = kind
        self._keys: set[tuple[str, str]] = set()

    def replace(self, items: Sequence[Origin]) -> None:
        before, self._keys = self._keys, set()
        for item in items:
            self.put(item)
        for namespace, name in before - self._keys:
            self._origins.remove(self._kind, namespace, name)

    def put(self, item: Origin) -> None:
        self._keys.add((item.metadata.namespace, item.metadata.name))
        self._origins.add(self._kind, item)

    def remove(self, item: Origin) -> None:
        self._keys.discard((item.metadata.namespace, item.metadata.name))
        self._origins.remove(self._kind, item.metadata.namespace, item.metadata.name)


class _Namespaces:
    """All namespaces of a list, told at each change."""

    def __init__(self, tell: Callable[[dict[str, Origin]], None]) -> None:
        self._tell = tell
        self._found: dict[str, Origin] = {}

    def replace(self, items: Sequence[Origin]) -> None:
        self._found = {item.metadata.name: item for item in items}
        self._tell(self._found)

    def put(self, item: Origin) -> None:
        self._found[item.metadata.name] = item
        self._tell(self._found)

    def remove(self, item: Origin) -> None:
        self._found.pop(item.metadata.name, None)
        self._tell(self._found)
