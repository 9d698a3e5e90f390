"""Who is who in a Prometheus: the virtual cluster and the virtual name behind each host pod and claim of a time.

The rules are those of vcluster.homes: labels and owners prove something in their own host namespace only, and only for
a virtual cluster that runs there. What the proxy exports it has proven itself; it counts for virtual clusters that
exist, and in a namespace with another control plane only if the live rules say the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import VmetricsError
from kubectl_vmetrics.prometheus.api import Prometheus
from kubectl_vmetrics.vcluster import discovery, origins
from kubectl_vmetrics.vcluster.discovery import Inventory, VCluster
from kubectl_vmetrics.vcluster.homes import Homes, Pair
from kubectl_vmetrics.vcluster.identity import SyncedNamespace, VClusterRef

from . import jobs as jobs_
from .jobs import Jobs
from .ways import CLAIMS, PODS, REMEMBERED, WAYS, Asked, Said, Way
from .window import Window

LIVE = "live cluster"
Targets = Iterable[tuple[str, VClusterRef]]
Key = tuple[str, str]
"""Host namespace and host name."""

_POD_OF = r"-(?:\d+|etcd-\d+|(?:(?:api|controller|etcd)-)?[a-z0-9]{6,10}-[a-z0-9]{5})"
"""What follows a virtual cluster's name in the names of its control plane's pods: those of StatefulSets and Deployments
of vCluster's chart, and of its etcd and its API server where those are apart."""


class Identity(NamedTuple):
    """Whose a host object is, and its virtual names.

    Attributes:
        vcluster: on the host itself, never one inside another; None for the host's own.
        namespace: the virtual namespace; None if it is not known.
        name: the virtual name; None if it is not known.
    """

    vcluster: VClusterRef | None
    namespace: str | None
    name: str | None


HOST = Identity(None, None, None)
"""Of what is the host's own."""


class Names:
    """The names of a time.

    Attributes:
        way: where they come from, to be told to users; "" if there are none.
        clusters: the virtual clusters that were seen, those without pods included, with their status where it is known.
        jobs: whose series are trusted.
        recorded: those of them that the Prometheus knows, with what it knows of them: nothing here is of now.
        unproven: how many pods have labels of a virtual cluster that does not run in their namespace.
        warnings: what is missing, and why.
    """

    def __init__(self, jobs: Jobs | None = None) -> None:
        self.way = ""
        self.jobs = jobs or Jobs()
        self.clusters: list[VCluster] = []
        self.recorded: list[VCluster] = []
        self.unproven: Counter[Pair] = Counter()
        self.warnings: list[str] = []
        self._pods: dict[Key, Identity] = {}
        self._nested: dict[Key, Identity] = {}
        self._claimed: dict[Key, Said] = {}
        self._claims: dict[Key, Identity] | None = None
        self._spaces: dict[str, SyncedNamespace] = {}
        self._reader: _Reader | None = None
        self._planes: dict[str, list[tuple[re.Pattern[str], VClusterRef]]] | None = None

    @property
    def known(self) -> list[VClusterRef]:
        """The virtual clusters that were seen, in order."""
        return [item.ref for item in self.clusters]

    def owners(self) -> set[VClusterRef]:
        """The virtual clusters that have pods."""
        return {item.vcluster for item in self._pods.values() if item.vcluster}

    def places(self, vcluster: VClusterRef) -> set[str]:
        """The host namespaces in which a virtual cluster has pods."""
        found = {namespace for (namespace, _), item in self._pods.items() if item.vcluster == vcluster}
        return found | {namespace for namespace, item in self._spaces.items() if item.vcluster == vcluster}

    def of(self, namespace: str, pod: str) -> Identity:
        """Whose a host pod is."""
        found = self._pods.get((namespace, pod))
        if found is None and namespace in self._spaces:
            space = self._spaces[namespace]
            return Identity(space.vcluster, space.namespace, pod)
        return found or HOST

    def innermost(self, namespace: str, pod: str) -> Identity:
        """The same, by the names of the innermost virtual cluster where one runs inside another."""
        return self._nested.get((namespace, pod)) or self.of(namespace, pod)

    def of_claim(self, namespace: str, claim: str) -> Identity:
        """Whose a host PersistentVolumeClaim is. Asks the server the first time; raises as `read`."""
        if self._claims is None:
            self._claims = self._reader.claims() if self._reader else {}
        found = self._claims.get((namespace, claim))
        if found is None and namespace in self._spaces:
            space = self._spaces[namespace]
            return Identity(space.vcluster, space.namespace, claim)
        return found or HOST

    def claimed(self, namespace: str, pod: str) -> tuple[str, str] | None:
        """The virtual cluster and the virtual namespace that labels of a pod name without being a proof."""
        found = self._claimed.get((namespace, pod))
        return (found.vcluster, found.space) if found else None

    def is_control_plane(self, namespace: str, pod: str) -> VClusterRef | None:
        """The virtual cluster whose control plane a host pod is part of; None for any other."""
        if self._planes is None:
            self._planes = {}
            for ref in sorted(self.known, key=lambda ref: -len(ref.name)):
                pattern = re.compile(re.escape(ref.name) + _POD_OF)
                self._planes.setdefault(ref.host_namespace, []).append((pattern, ref))
        for pattern, ref in self._planes.get(namespace, ()):
            if pattern.fullmatch(pod) and (namespace, pod) not in self._pods:
                return ref
        return None


def read(
    server: Prometheus,
    window: Window,
    client: Client | None = None,
    *,
    targets: Targets = (),
    jobs: Jobs | None = None,
    namespace: str | None = None,
) -> Names:
    """The names that pods had in a window, from the best way that the Prometheus has.

    Args:
        server: to ask.
        window: of time; names of a few minutes before are remembered, as long as nothing else took them.
        client: the host, to ask for what the Prometheus does not know; None to leave it alone.
        targets: host namespaces to which virtual clusters elsewhere sync their pods, as given by the user.
        jobs: whose series are trusted, if that is known already.
        namespace: the only host namespace whose pods and claims are asked about; None for all.

    Raises:
        VmetricsError: as jobs.read.
        QueryFailed, ConnectionFailed: as Prometheus.query.
    """
    longer = Window(window.start - REMEMBERED, window.end)
    asked = Asked(server, jobs or jobs_.read(server, longer), longer)
    return _Reader(asked, window, client, targets, namespace).names


class _Reader:
    """Reads names once; stays for claims, which few ask for."""

    def __init__(
        self, asked: Asked, window: Window, client: Client | None, targets: Targets, namespace: str | None
    ) -> None:
        self._host, self._asked = asked, asked.within(namespace) if namespace else asked
        self._window, self._client, self._targets = window, client, list(targets)
        self._inventory = _inventory(client)
        self._homes: Homes | None = None
        self._used: list[Way] = []
        self._origins: origins.Origins | None = None
        self.names = names = Names(asked.jobs)
        names._reader = self
        refs = self._infos()
        self._read_pods(refs)
        known = {item.ref: item for item in self._inventory.clusters} | refs
        names.clusters = [known.get(ref) or VCluster(ref, "") for ref in sorted({*known, *names.owners()})]
        names.way = " and ".join(way.name for way in self._used)
        if self._origins is not None:
            names.way = f"{names.way} and the {LIVE}" if names.way else LIVE

    def _infos(self) -> dict[VClusterRef, VCluster]:
        """Virtual clusters of the window, from the proxy, by their last status; and host namespaces synced whole."""
        keys = ("vcluster_host_namespace", "vcluster_name", "version", "status")
        chosen = f"vcluster_info{{{self._host.jobs.names}}}"
        found = {}
        for labels in (*self._host.labels(chosen, keys), *self._host.now(chosen, keys, self._window.end)):
            ref = VClusterRef(labels.get(keys[0], ""), labels.get(keys[1], ""))
            found[ref] = VCluster(ref, labels.get("status", ""), labels.get("version", ""))
        if found:
            space = ("namespace", *keys[:2], "vcluster_virtual_namespace")
            for labels in self._host.labels(f"vcluster_namespace_info{{{self._host.jobs.names}}}", space):
                host, home, name, virtual = (labels.get(key, "") for key in space)
                ref = VClusterRef(home, name)
                if ref in found and host not in self._homes_of(found):
                    self.names._spaces[host] = SyncedNamespace(ref, virtual)
        return found

    def _homes_of(self, refs: Iterable[VClusterRef]) -> set[str]:
        """The host namespaces with control planes: pods there are never those of another one elsewhere."""
        return {ref.host_namespace for ref in (*refs, *(item.ref for item in self._inventory.clusters))}

    def _read_pods(self, refs: dict[VClusterRef, VCluster]) -> None:
        self._refs, self._taken = refs, self._homes_of(refs)
        for way in WAYS:
            found = self._decided(way, PODS)
            if not found:
                continue
            self._used.append(way)
            for key, identity_ in found.items():
                before = self.names._pods.get(key)
                if before is None or (before.name is None and before.vcluster == identity_.vcluster):
                    self.names._pods[key] = identity_
            if way is WAYS[0]:
                self._read_nested()
            if way.virtual and self._covers(way):
                break
        self.names.recorded = [refs.get(ref) or VCluster(ref, "") for ref in sorted({*refs, *self.names.owners()})]
        if not any(way.virtual for way in self._used):
            self._read_live(PODS, self.names._pods)

    def _covers(self, way: Way) -> bool:
        """Whether a way works since the window began; a few minutes are not worth the question."""
        witness = way.witness(self._asked.jobs)
        return self._window.seconds <= REMEMBERED or self._asked.covered(witness, self._window.start)

    def claims(self) -> dict[Key, Identity]:
        found: dict[Key, Identity] = {}
        for way in WAYS:
            found = {**self._decided(way, CLAIMS), **found}
            if found and way in self._used:
                break
        if not found:
            self._read_live(CLAIMS, found)
        return found

    def _decided(self, way: Way, kind: str) -> dict[Key, Identity]:
        """What a way says, as far as it proves something."""
        said: dict[Key, Said] = {}
        several: dict[Key, set[Said]] = {}
        for item in way.read(self._asked, kind):
            before = said.setdefault(item.key, item)
            if before != item:
                several.setdefault(item.key, {before}).add(item)
        if several:  # an object was deleted, and another one has its name: the last one counts
            last = {item.key: item for item in way.read(self._asked.last(), kind)}
            for key, items in several.items():
                if key in last:
                    said[key] = last[key]
                elif len({(item.home, item.vcluster) for item in items}) > 1:
                    del said[key]
                else:
                    said[key] = said[key]._replace(space="", virtual="")
        if said and not (way.proven and all(map(self._agrees, said.values()))):
            self._prove()
        owners = {item.owner: self._owner(item, way) for item in {item.owner: item for item in said.values()}.values()}
        doubtful = {(item.namespace, item.vcluster) for item in said.values() if owners[item.owner] is None}
        if doubtful and self._homes and self._client and self._homes.settle(self._client, doubtful):
            owners = {item.owner: self._owner(item, way) for item in said.values()}
        found = {}
        for key, item in said.items():
            ref = owners[item.owner]
            if ref is not None:
                found[key] = Identity(ref, item.space or None, item.virtual or None)
            elif kind == PODS:
                self.names._claimed.setdefault(key, item)
                self.names.unproven[item.namespace, item.vcluster] += 1
        return found

    def _agrees(self, item: Said) -> bool:
        """Whether a virtual cluster is one that the proxy lists, and the object is where it may sync to."""
        known = VClusterRef(item.home, item.vcluster) in self._refs
        return known and (item.home == item.namespace or item.namespace not in self._taken)

    def _owner(self, item: Said, way: Way) -> VClusterRef | None:
        ref = VClusterRef(item.home, item.vcluster)
        if way.proven and self._agrees(item):
            return ref
        homes = self._homes or Homes()
        if item.home == item.namespace:
            return homes(item.namespace, item.vcluster, at_home=item.at_home)
        if item.namespace in self._taken:
            return ref if homes(item.namespace, item.vcluster) == ref else None
        return None if homes.exists(ref) is False else ref

    def _prove(self) -> None:
        """Find out which virtual clusters there were: where labels name others, the pods are the host's."""
        if self._homes is not None:
            return
        asked = self._host
        workloads = set()
        for kind in ("statefulset", "deployment"):
            chosen = f"kube_{kind}_created{{{asked.jobs.state}}}"
            for labels in asked.labels(chosen, ("namespace", kind)):
                workloads.add((labels.get("namespace", ""), labels.get(kind, "")))
        live = {item.ref: item for item in self._inventory.clusters}
        seen = {VClusterRef(*pair): VCluster(VClusterRef(*pair), "") for pair in workloads}
        clusters = list({**seen, **self._refs, **live}.values())
        self._homes = Homes(Inventory(clusters, everywhere=bool(workloads)), self._targets)

    def _read_nested(self) -> None:
        inner = ("vcluster_host_namespace", "vcluster_name", "vcluster_virtual_namespace", "vcluster_virtual_pod")
        keys = ("namespace", "pod", "vcluster_parent", *inner)
        for labels in self._asked.labels(f"vcluster_nested_pod_info{{{self._asked.jobs.names}}}", keys):
            host, pod, parent, *own = (labels.get(key, "") for key in keys)
            way = [*parent.split("/"), *own]
            outer = self.names._pods.get((host, pod))
            ref = outer.vcluster if outer else None
            if ref and len(way) % 2 == 0 and all(way) and way[:2] == [ref.host_namespace, ref.name]:
                self.names._nested[host, pod] = _inside(ref, way[2:])

    def _read_live(self, kind: str, found: dict[Key, Identity]) -> None:
        """What the live cluster knows, for objects that the Prometheus cannot name."""
        if self._client is None:
            return
        if self._origins is None:
            try:
                self._origins = origins.read(self._client, Homes(self._inventory, self._targets))
            except VmetricsError as error:
                self.names.warnings.append(f"names of the live cluster are not available: {error.message}")
                return
            self.names._spaces |= self._origins.synced
        wanted = origins.PODS if kind == PODS else origins.CLAIMS
        for (what, namespace, name), item in self._origins.items():
            if what != wanted:
                continue
            key, before = (namespace, name), found.get((namespace, name))
            if before is None or before.vcluster == item.vcluster:
                found[key] = Identity(item.vcluster, item.namespace, item.name or None)
                if item.inner and kind == PODS:
                    self.names._nested[key] = _inside(item.vcluster, list(item.inner))


def _inside(ref: VClusterRef, way: list[str]) -> Identity:
    """The innermost of pairs: virtual clusters, and at last a pod."""
    while len(way) > 2:
        ref = VClusterRef(way[0], way[1], ref)
        way = way[2:]
    return Identity(ref, way[0], way[1])


def _inventory(client: Client | None) -> Inventory:
    """The virtual clusters of the live cluster, as far as they can be listed."""
    if client is None:
        return Inventory()
    try:
        return discovery.look(client)
    except VmetricsError:
        return Inventory()
