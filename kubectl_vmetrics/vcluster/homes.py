"""Which virtual cluster a pod belongs to, inside and outside the host namespace of its control plane.

A virtual cluster is identified by a host namespace and a name. Labels on pods contain only the name, and anyone can
set them in their own host namespace, so they count only for a virtual cluster in that same namespace. One in another
namespace needs proof: a host Namespace that its syncer marked as its own, its own configuration, or
--target-namespace. If two virtual clusters claim the same pods, neither gets them. If control planes cannot be
listed, a pod belongs to the virtual cluster of that name in the pod's own namespace, so no tenant gains anything from
another namespace.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Collection, Iterable, Mapping

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import StatusError, UsageError
from kubectl_vmetrics.kube.gather import gather

from . import discovery, settings
from .discovery import Inventory, VCluster
from .identity import SyncedNamespace, VClusterRef

Pair = tuple[str, str]
"""A host namespace, and the name of a virtual cluster on the labels of something there."""

_TARGET = re.compile(r"([a-z0-9][a-z0-9-]{0,62})=([a-z0-9][a-z0-9-]{0,62})/([a-z0-9][a-z0-9.-]{0,252})")
_SETTING = ("experimental", "syncSettings", "targetNamespace")


class Homes:
    """Decides which virtual cluster labels refer to; call it with a host namespace and the name on the labels.

    Args:
        inventory: the virtual clusters that were found, and where the list is complete.
        targets: host namespaces to which virtual clusters elsewhere sync their pods, as given by the user.
    """

    def __init__(self, inventory: Inventory | None = None, targets: Iterable[tuple[str, VClusterRef]] = ()) -> None:
        self._given: dict[str, set[VClusterRef]] = {}
        for namespace, ref in targets:
            self._given.setdefault(namespace, set()).add(ref)
        self._proven: dict[str, set[VClusterRef]] = {}
        self._read: set[VClusterRef] = set()
        self._set(inventory or Inventory())

    def _set(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self._known = {item.ref for item in inventory.clusters}
        for item in inventory.clusters:
            if item.target:
                self._proven.setdefault(item.target, set()).add(item.ref)

    @property
    def clusters(self) -> list[VCluster]:
        """The virtual clusters that were found."""
        return list(self.inventory.clusters)

    def __call__(self, namespace: str, name: str, *, at_home: bool = False) -> VClusterRef | None:
        """The virtual cluster, None where the labels are no proof: then it is the host's.

        Args:
            namespace: of the object on the host.
            name: of the virtual cluster, as its labels have it.
            at_home: whether the object is owned by the Service of a control plane in its own namespace. The
                configuration of a control plane elsewhere cannot claim it.
        """
        own = VClusterRef(namespace, name)
        if own in self._known:
            return own
        if claimed := self._claimants(self._given, namespace, name):
            return claimed[0] if len(claimed) == 1 else None
        if not self.inventory.covers(namespace):
            return own  # its control plane may run there, unseen: the word of one elsewhere does not count
        claimed = [] if at_home else self._claimants(self._proven, namespace, name)
        return claimed[0] if len(claimed) == 1 else None

    @staticmethod
    def _claimants(targets: Mapping[str, set[VClusterRef]], namespace: str, name: str) -> list[VClusterRef]:
        return sorted(ref for ref in targets.get(namespace, ()) if ref.name == name)

    def contested(self) -> str | None:
        """A warning about host namespaces claimed by several virtual clusters of one name; None if there are none."""
        for namespace, refs in sorted(self._proven.items()):
            for name in sorted({ref.name for ref in refs}):
                claimed = self._claimants(self._proven, namespace, name)
                if len(claimed) > 1 and not self._claimants(self._given, namespace, name):
                    paths = " and ".join(ref.path for ref in claimed)
                    return (
                        f"{paths} both claim host namespace {namespace}, so its pods count as the host's. Specify one "
                        f"with --target-namespace {namespace}={claimed[0].path}"
                    )
        return None

    def exists(self, ref: VClusterRef) -> bool | None:
        """Whether this virtual cluster exists; None if the list is not complete there."""
        if ref in self._known:
            return True
        return False if self.inventory.covers(ref.host_namespace) else None

    def proven(self, synced: Mapping[str, SyncedNamespace]) -> dict[str, SyncedNamespace]:
        """The synced host namespaces that are valid.

        Namespaces of virtual clusters that do not exist are excluded, and so are namespaces that contain a control
        plane: pods there belong to that one, whatever the labels of the Namespace.
        """
        taken = {ref.host_namespace for ref in self._known}
        return {
            namespace: item
            for namespace, item in synced.items()
            if namespace not in taken and self.exists(item.vcluster) is not False
        }

    def targets_of(self, vcluster: VClusterRef) -> list[str]:
        """The host namespaces other than its own to which a virtual cluster provably syncs pods."""
        found = {namespace for targets in (self._given, self._proven) for namespace in targets}
        return sorted(namespace for namespace in found if self(namespace, vcluster.name) == vcluster)

    def settle(self, client: Client, pairs: Collection[Pair]) -> bool:
        """Read the configurations of virtual clusters that these may belong to; returns whether anything changed."""
        doubtful = {
            item
            for namespace, name in pairs
            if VClusterRef(namespace, name) not in self._known
            for item in self.inventory.clusters
            if item.ref.name == name
        }
        return self._settle(client, doubtful)

    def settle_for(self, client: Client, vcluster: VClusterRef) -> bool:
        """The same for one virtual cluster."""
        learned = self._settle(client, {item for item in self.inventory.clusters if item.ref == vcluster})
        return learned and bool(self.places(client, vcluster))

    def places(self, client: Client, vcluster: VClusterRef) -> list[str]:
        """As targets_of, after checking for others that claim the same host namespaces."""
        claimed = {(namespace, vcluster.name) for namespace, refs in self._proven.items() if vcluster in refs}
        if claimed:
            self.widen(client)
            self.settle(client, claimed)
        return self.targets_of(vcluster)

    def widen(self, client: Client) -> None:
        """Extend the search from one host namespace to all; without the right to do so, nothing changes."""
        if self.inventory.everywhere:
            return
        with contextlib.suppress(StatusError):
            found = discovery.look(client)
            if found.everywhere:
                self._set(found)

    def same(self, other: Homes) -> bool:
        """Whether both decide the same, apart from what was read from configurations."""
        return self._decides_by() == other._decides_by()

    def _decides_by(self) -> tuple[object, ...]:
        clusters = {(item.ref, item.target) for item in self.inventory.clusters}
        return clusters, self.inventory.everywhere, self.inventory.namespace, self._given

    def learn(self, other: Homes) -> None:
        """Copy what an earlier instance read about virtual clusters that still exist."""
        self._read |= other._read & self._known
        for namespace, refs in other._proven.items():
            if kept := refs & self._read:
                self._proven.setdefault(namespace, set()).update(kept)

    def _settle(self, client: Client, wanted: Collection[VCluster]) -> bool:
        asked = sorted(item.ref for item in wanted if item.ref not in self._read and _may_have_target(item.version))
        self._read |= {item.ref for item in wanted}
        learned = False
        answers = gather([functools.partial(_target, client, ref) for ref in asked])
        for ref, target in zip(asked, answers, strict=True):
            if isinstance(target, str) and target and target != ref.host_namespace:
                self._proven.setdefault(target, set()).add(ref)
                learned = True
        return learned


def read(client: Client, namespace: str | None = None, targets: Iterable[tuple[str, VClusterRef]] = ()) -> Homes:
    """Find virtual clusters in a host namespace, or everywhere; without the right to list them, none are known.

    Raises:
        ConnectionFailed, BadAnswer: as Client.get.
    """
    try:
        return Homes(discovery.look(client, namespace), targets)
    except StatusError:
        return Homes(None, targets)


def parse_targets(texts: Iterable[str]) -> list[tuple[str, VClusterRef]]:
    """Parse values of --target-namespace: HOSTNS=VCNS/NAME. Raises UsageError."""
    found = []
    for text in texts:
        parts = _TARGET.fullmatch(text)
        if parts is None:
            raise UsageError(f'--target-namespace: "{text}" is not HOSTNS=VCNS/NAME')
        found.append((parts[1], VClusterRef(parts[2], parts[3])))
    return found


def warning(counted: Mapping[Pair, int], what: str = "pod", homes: Homes | None = None) -> str | None:
    """A warning about objects whose labels prove nothing, from the number of objects per pair."""
    total = sum(counted.values())
    if not total:
        return None
    if homes and (contested := homes.contested()):
        return contested
    (namespace, name), *others = sorted(counted)
    where = f"{name} in {namespace}" + (f", and {len(others)} more" if others else "")
    subject = f"1 {what} carries" if total == 1 else f"{total} {what}s carry"
    rest = "its namespace ({}); it counts" if total == 1 else "their namespace ({}); they count"
    return (
        f"{subject} labels of a virtual cluster that does not run in {rest.format(where)} as the host's. If it syncs "
        f"there, add --target-namespace {namespace}=HOSTNS/{name}"
    )


def _may_have_target(version: str) -> bool:
    """v0.20 to v0.28 keep the setting in a Secret; before, it was a flag; since, there is none. Unknown ones may."""
    found = re.match(r"v?(\d{1,4})\.(\d{1,4})", version)
    return found is None or (0, 20) <= (int(found[1]), int(found[2])) <= (0, 28)


def _target(client: Client, ref: VClusterRef) -> str:
    """The target namespace in the values stored by the chart; "" if there is none, or it cannot be read."""
    return settings.read(client, ref, _SETTING) or ""
