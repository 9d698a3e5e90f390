"""Where the pods and volume claims of a host come from: the map by which kubelets' metrics are rewritten.

Kubelets name pods by host namespace, name and uid, without labels; so the map is made once from metadata, and kept
fresh by `informer` where a process lives long.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from kubectl_vmetrics.kube.client import PARTIAL_LIST, PARTIAL_OBJECT, Client, escape
from kubectl_vmetrics.kube.errors import Forbidden, NotFound, VmetricsError
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.kube.lists import ObjectList, decoder, list_all

from . import identity, naming
from .homes import Homes, Pair
from .identity import POD_KIND, Origin, SyncedNamespace, VClusterRef, VirtualPod
from .unnamed import Unnamed

PVC_KIND = "/v1, Kind=PersistentVolumeClaim"
VMI_KIND = "kubevirt.io/v1, Kind=VirtualMachineInstance"
PODS, CLAIMS, MACHINES = "pods", "persistentvolumeclaims", "virtualmachineinstances"
_KINDS = {PODS: POD_KIND, CLAIMS: PVC_KIND, MACHINES: VMI_KIND}
_MAPPED = (PODS, CLAIMS)
GRACE = 300.0
"""Seconds that an object stays in the map after it was deleted: kubelets still report its last numbers for a while."""
_NAMESPACE, _NAME = 63, 253  # what Kubernetes allows: nothing longer is the name of an object
_STRANGERS = 20_000
Key = tuple[str, str, str]


class Synced(msgspec.Struct, frozen=True):
    """A virtual object and its host twin.

    Attributes:
        name: "" for what has no name inside (see unnamed); only `owner` and `items` of the map give such ones.
        uid, host_uid: "" where not known.
        at_home: whether it is owned by the Service of a control plane in its own namespace. vCluster sets that owner
            where it syncs to the namespace of its control plane, and cannot elsewhere (pkg/util/translate, SetOwner).
        inner: as identity.inside.
    """

    vcluster: VClusterRef
    namespace: str
    name: str
    uid: str = ""
    host_uid: str = ""
    at_home: bool = False
    inner: tuple[str, ...] = ()


class Listener(Protocol):
    """A listener that caches what the map returned."""

    def forget(self, word: str) -> None:
        """What was said of this host name, or host uid, may be another thing now."""


class Origins:
    """The map. Pure but for `find`, which asks for what is missing. Safe to read while one thread changes it.

    Args:
        synced: host namespaces that virtual clusters synced whole.
        homes: whose an object with the labels of a virtual cluster is.
        ask: reads the metadata of one object (kind, namespace, name); None where nothing is asked any more.
        clock: seconds.

    Attributes:
        synced: as given; may be changed.
        homes: as given; changed by `rehome`.
        namespaces: the host namespaces in which there is or was something of a virtual cluster.
    """

    def __init__(
        self,
        synced: dict[str, SyncedNamespace] | None = None,
        homes: Homes | None = None,
        ask: Callable[[str, str, str], Origin | None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.synced = synced or {}
        self.homes = homes or Homes()
        self._ask = ask
        self._clock = clock
        self._lock = threading.RLock()
        self._found: dict[Key, Synced] = {}
        # What has labels of a virtual cluster that prove nothing, as if it were of one in its own namespace.
        self._unproven: dict[Key, Synced] = {}
        self._unnamed: Unnamed[Key, Synced] = Unnamed(self._owned)
        self._pairs: set[Pair] = set()
        self._by_uid: dict[str, Synced] = {}
        self._strangers: set[Key] = set()
        self._leaving: deque[tuple[float, Key, Synced]] = deque()
        self._told: weakref.WeakSet[Listener] = weakref.WeakSet()
        self.namespaces: set[str] = set(self.synced)

    def __len__(self) -> int:
        return len(self._found)

    def all(self, kind: str) -> list[Synced]:
        """The objects of a kind that are in the map."""
        return [found for (known, _, _), found in list(self._found.items()) if known == kind]

    def items(self) -> list[tuple[Key, Synced]]:
        """Kind, host namespace and host name of all objects that are in the map, and the virtual ones behind them."""
        with self._lock:
            return [*self._found.items(), *self._unnamed.owned()]

    def expire(self) -> None:
        """Let go what was deleted long enough ago, although nothing else happens."""
        with self._lock:
            self._let_go()

    def unresolved(self) -> int:
        """How many objects have labels of a virtual cluster, and no place in the map: owner or name lacks a proof."""
        return len(self._unproven) + self._unnamed.synced()

    def tell(self, listener: Listener) -> None:
        """Notify a listener of changes from now on; the reference is weak."""
        with self._lock:
            self._told.add(listener)

    def add(self, kind: str, origin: Origin) -> Synced | None:
        """Put an object into the map; None if it belongs to no virtual cluster, or its origin is unclear."""
        meta = origin.metadata
        key = (kind, meta.namespace, meta.name)
        found = self._resolve(kind, origin)
        with self._lock:
            self._let_go()
            if found is None:
                self._add_unnamed(key, origin)
                return None
            self._unnamed.discard(key)
            if (found := self._attributed(key, found)) is None:
                self._lost(key)
                return None
            self._unproven.pop(key, None)
            same = found == self._found.get(key)
            self._strangers.discard(key)
            self.namespaces.add(meta.namespace)
            if found.host_uid:
                self._by_uid[found.host_uid] = found
            self._found[key] = found  # although it be the same: what was about to leave is now another object
        if not same:
            self._changed(meta.name, found.host_uid)
        return found

    def _add_unnamed(self, key: Key, origin: Origin) -> None:
        meta = origin.metadata
        vcluster, namespace = meta.managed_by, meta.labels.get(naming.NAMESPACE)
        if vcluster and namespace and key not in self._found:
            claimed = Synced(VClusterRef(meta.namespace, vcluster), namespace, "", "", meta.uid)
            self._pairs.add((meta.namespace, vcluster))
            # What vCluster synced has a Service for an owner, or none.
            created = any(owner.kind != "Service" for owner in meta.owners)
            if self._unnamed.put(key, claimed, created=created):
                self._changed(meta.name)

    def _owned(self, key: Key, claimed: Synced) -> Synced | None:
        """What has no name inside, with its virtual cluster; as identity.Resolver decides."""
        ref = self.homes(key[1], claimed.vcluster.name)
        return msgspec.structs.replace(claimed, vcluster=ref) if ref else None

    def _attributed(self, key: Key, found: Synced) -> Synced | None:
        """The object with its virtual cluster; None, and remembered as in doubt, without proof."""
        if key[1] in self.synced:
            return found
        self._pairs.add((key[1], found.vcluster.name))
        ref = self.homes(key[1], found.vcluster.name, at_home=found.at_home)
        if ref is None:
            self._unproven[key] = found
            return None
        return found if ref == found.vcluster else msgspec.structs.replace(found, vcluster=ref)

    def _lost(self, key: Key) -> None:
        """It belonged to a virtual cluster, and is the host's now."""
        before = self._found.pop(key, None)
        if before is not None:
            self._forget_uid(before)
            self._changed(key[2], before.host_uid)

    def _forget_uid(self, found: Synced) -> None:
        if self._by_uid.get(found.host_uid) is found:
            del self._by_uid[found.host_uid]

    def rehome(self, homes: Homes, synced: dict[str, SyncedNamespace] | None = None) -> None:
        """Decide again whose everything is: virtual clusters came or went, or a proof was found.

        Args:
            homes: as far as is known now.
            synced: the host namespaces that are synced whole now; None for no change.
        """
        with self._lock:
            self.homes = homes
            if synced is not None:
                before, self.synced = self.synced, synced
                self.namespaces |= set(synced)
                # Names there mean something else now; what comes next says what.
                gone = {name for name, item in before.items() if synced.get(name) != item}
                for key in [key for key in self._found if key[1] in gone]:
                    self._lost(key)
            unproven, self._unproven = self._unproven, {}
            moved: dict[int, Synced] = {}
            for key, found in [*self._found.items(), *unproven.items()]:
                if key[1] not in self.synced:
                    self._move(key, found, moved)
            for key in self._unnamed.decide_again():
                self._changed(key[2])
            self._leaving = deque((when, key, moved.get(id(found), found)) for when, key, found in self._leaving)

    def _move(self, key: Key, before: Synced, moved: dict[int, Synced]) -> None:
        now = self._attributed(key, before)
        if now is None:
            self._lost(key)
        elif now != self._found.get(key):
            self._forget_uid(before)
            self._found[key] = moved[id(before)] = now
            if now.host_uid:
                self._by_uid[now.host_uid] = now
            self._strangers.discard(key)
            self._changed(key[2], now.host_uid)

    def unproven(self, kind: str) -> Counter[Pair]:
        """How many objects of a kind are the host's although they have labels of a virtual cluster."""
        with self._lock:
            return Counter((k[1], found.vcluster.name) for k, found in self._unproven.items() if k[0] == kind)

    def unproven_owner(self, kind: str, namespace: str, name: str) -> str:
        """The name of a virtual cluster that the labels of one of these hold; "" for any other object."""
        found = self._unproven.get((kind, namespace, name))
        return found.vcluster.name if found else ""

    def doubtful(self) -> set[Pair]:
        """Host namespaces and names of virtual clusters on labels there which `homes` may have to look into."""
        with self._lock:
            return {pair for pair in self._pairs if pair[0] not in self.synced}

    def remove(self, kind: str, namespace: str, name: str) -> None:
        """Let an object go, in a while (see GRACE)."""
        key = (kind, namespace, name)
        with self._lock:
            self._let_go()
            self._unproven.pop(key, None)
            found = self._found.get(key) or self._unnamed.get(key)
            if found is not None:
                self._leaving.append((self._clock() + GRACE, key, found))

    def _let_go(self) -> None:
        while self._leaving and self._leaving[0][0] <= self._clock():
            _, key, found = self._leaving.popleft()
            # Only if nothing came back in its place.
            self._forget_uid(found)
            if self._found.get(key) is found:
                del self._found[key]
            if self._unnamed.get(key) is found:
                self._unnamed.discard(key)
            self._changed(key[2], found.host_uid)

    def _changed(self, *words: str) -> None:
        with self._lock:
            listeners = list(self._told)
        for listener in listeners:
            for word in filter(None, words):
                listener.forget(word)

    def find(self, kind: str, namespace: str, name: str) -> Synced | None:
        """The virtual object behind a host object; None for one of the host itself.

        What is not in the map but could belong there (it is younger than the map) is asked for, once.
        """
        if len(namespace) > _NAMESPACE or len(name) > _NAME:
            return None
        key = (kind, namespace, name)
        found = self._found.get(key)
        if found is not None or key in self._strangers or key in self._unproven or key in self._unnamed:
            return found
        if synced := self.synced.get(namespace):
            return Synced(synced.vcluster, synced.namespace, name)
        may_be = namespace in self.namespaces and ("-x-" in name or naming.may_be_hashed(name))
        origin = self._ask(*key) if self._ask and may_be else None
        found = self.add(kind, origin) if origin else None
        if found is None:
            with self._lock:
                if len(self._strangers) > _STRANGERS:
                    self._strangers.clear()
                self._strangers.add(key)
        return found

    def owner(self, kind: str, namespace: str, name: str) -> Synced | None:
        """As `find`; and for what belongs to a virtual cluster without a name inside, its owner and no name."""
        return self.find(kind, namespace, name) or self._unnamed.owner((kind, namespace, name))

    def by_uid(self, host_uid: str) -> Synced | None:
        """The virtual object behind a host uid."""
        return self._by_uid.get(host_uid)

    def _resolve(self, kind: str, origin: Origin) -> Synced | None:
        meta, said = origin.metadata, origin.metadata.annotations
        own = (said.kind, said.host_name, said.host_namespace) == (_KINDS[kind], meta.name, meta.namespace)
        uid = (said.uid or "") if own else ""
        if synced := self.synced.get(meta.namespace):
            return Synced(synced.vcluster, synced.namespace, meta.name, uid, meta.uid)
        vcluster, namespace = meta.managed_by, meta.labels.get(naming.NAMESPACE)
        if not vcluster or not namespace:
            return None
        ref = VClusterRef(meta.namespace, vcluster)  # unless `homes` knows better
        name = naming.virtual_name(meta.name, namespace, vcluster)
        if name is None:
            found = identity.claim(origin, _KINDS[kind])
            if found is None:
                return None
            namespace, name = found.namespace, found.name
            if len(namespace) > _NAMESPACE or len(name) > _NAME:
                return None  # an annotation has room for more than any name is long
        at_home = any(owner.kind == "Service" and owner.name == vcluster for owner in meta.owners)
        inner = identity.inside(VirtualPod(ref, namespace, name), meta.labels) if kind == PODS else ()
        return Synced(ref, namespace, name, uid, meta.uid, at_home, inner)


def read(client: Client, homes: Homes | None = None) -> Origins:
    """Make the map of a whole host.

    Raises:
        StatusError, ConnectionFailed, BadAnswer: as Client.get, for pods; claims are left out where they are forbidden.
    """
    homes = homes or Homes()
    origins = _read(client, [None], homes.proven(identity.read_synced_namespaces(client)), homes)
    if homes.settle(client, origins.doubtful()):
        origins.rehome(homes)
    return origins


def of_vcluster(client: Client, vcluster: VClusterRef, homes: Homes | None = None) -> Origins:
    """Make the map of the namespaces of one virtual cluster. Raises as `read`."""
    homes = homes or Homes()
    homes.settle_for(client, vcluster)
    synced = homes.proven(identity.read_synced_namespaces(client))
    places = [vcluster.host_namespace, *homes.places(client, vcluster)]
    return _read(client, places, {n: s for n, s in synced.items() if s.vcluster == vcluster}, homes)


def asking(client: Client) -> Callable[[str, str, str], Origin | None]:
    """What reads the metadata of one object, for Origins; None for one that is not there, or not ours to read."""

    def ask(kind: str, namespace: str, name: str) -> Origin | None:
        path = f"/api/v1/namespaces/{escape(namespace)}/{kind}/{escape(name)}"
        try:
            found: Origin = client.decode(path, decoder(Origin), accept=PARTIAL_OBJECT)
        except (NotFound, Forbidden):
            return None
        return found

    return ask


def _read(client: Client, places: Sequence[str | None], synced: dict[str, SyncedNamespace], homes: Homes) -> Origins:
    origins = Origins(synced, homes, asking(client))
    # Pods of namespaces that were synced whole may carry no label; all others do.
    lists: list[tuple[str, str | None, str | None]] = [
        (k, place, naming.MANAGED_BY) for k in _MAPPED for place in places
    ]
    lists += [(kind, place, None) for kind in _MAPPED for place in synced]
    for (kind, _, _), answer in zip(lists, gather([_list(client, *wanted) for wanted in lists]), strict=True):
        if isinstance(answer, VmetricsError):
            if kind == CLAIMS and isinstance(answer, Forbidden):
                continue
            raise answer
        for origin in answer:
            origins.add(kind, origin)
    return origins


def _list(client: Client, kind: str, namespace: str | None, selector: str | None) -> Callable[[], list[Origin]]:
    scope = f"namespaces/{escape(namespace)}/" if namespace else ""
    return lambda: list_all(
        client, f"/api/v1/{scope}{kind}", decoder(ObjectList[Origin]), {"labelSelector": selector}, accept=PARTIAL_LIST
    )
