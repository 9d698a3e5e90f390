"""The names of virtual clusters as info series: /metrics/names.

A Prometheus that scrapes kubelets already joins its own series with these, on the host's `namespace` and `pod`, and
needs no second scrape of the kubelets. Each pod of a virtual cluster has exactly one vcluster_pod_info, whose owner is
the virtual cluster on the host: labels of tenants never decide whose usage it is. What runs in virtual clusters
inside that one is named by a family of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence

from kubectl_vmetrics.vcluster.discovery import VCluster
from kubectl_vmetrics.vcluster.identity import VClusterRef
from kubectl_vmetrics.vcluster.origins import CLAIMS, PODS, Key, Origins, Synced

PATH = "/metrics/names"
PART = 1 << 17
"""Bytes of a part of the exposition: clients share the parts, and their answers are sent part by part."""

_OWNER = ("vcluster_name", "vcluster_host_namespace")
_SPACE = (*_OWNER, "vcluster_virtual_namespace")
_POD = ("namespace", "pod", "uid", *_SPACE, "vcluster_virtual_pod")
FAMILIES: dict[str, tuple[tuple[str, ...], str]] = {
    "vcluster_pod_info": (_POD, "Pods of virtual clusters: the host's namespace, pod and UID, and the virtual names."),
    "vcluster_nested_pod_info": (
        (*_POD, "vcluster_parent"),
        "Pods of virtual clusters inside another, by their innermost names; vcluster_host_namespace is in the parent.",
    ),
    "vcluster_persistentvolumeclaim_info": (
        ("namespace", "persistentvolumeclaim", "uid", *_SPACE, "vcluster_virtual_persistentvolumeclaim"),
        "Volume claims of virtual clusters: the host's namespace, claim and UID, and the virtual names.",
    ),
    "vcluster_namespace_info": (("namespace", *_SPACE), "Host namespaces that a virtual cluster synced whole."),
    "vcluster_info": (
        (*_OWNER, "version", "status"),
        "Virtual clusters: the version of the syncer's image, and Running, NotReady, Paused or ScaledDown.",
    ),
}
"""By name: the labels of a family, and its help."""


class Names:
    """The exposition of one map. Lines of pods and claims are kept until something in the map changes.

    Args:
        origins: the map.
        only: whose names to show; None for all. A host namespace may hold several virtual clusters.
    """

    def __init__(self, origins: Origins, only: VClusterRef | None = None) -> None:
        self._origins = origins
        self._only = only
        self._lock = threading.Lock()
        self._version = object()
        self._kept: tuple[object, tuple[bytes, ...], frozenset[VClusterRef]] = (None, (), frozenset())
        origins.tell(self)

    def forget(self, _: str) -> None:
        """Something changed."""
        self._version = object()

    def exposition(self, clusters: Sequence[VCluster]) -> Iterator[bytes]:
        """Prometheus text, in parts.

        Args:
            clusters: the virtual clusters that were found, for vcluster_info.
        """
        objects, owners = self._objects()
        spaces = [
            (host, *_owner(item.vcluster), item.namespace)
            for host, item in list(self._origins.synced.items())
            if self._only in (None, item.vcluster)
        ]
        known = {item.ref: item for item in clusters if self._only in (None, item.ref)}
        infos = [known.get(ref, VCluster(ref, "")) for ref in {*known, *owners}]
        rest = [
            *_family("vcluster_namespace_info", spaces),
            *_family("vcluster_info", [(*_owner(item.ref), item.version, item.status) for item in infos]),
        ]
        return iter([*objects, *_parts(rest)])

    def _objects(self) -> tuple[tuple[bytes, ...], frozenset[VClusterRef]]:
        """The parts of pods and claims, and whose they are."""
        self._origins.expire()  # what is over is told to `forget`
        with self._lock:  # others wait for the one that renders, and take what it made
            version = self._version  # before the map is read: what changes after that is another version
            if self._kept[0] is not version:
                items = self._origins.items()
                if self._only:
                    items = [item for item in items if item[1].vcluster == self._only]
                self._kept = (version, *_render(items))
            return self._kept[1:]


def _render(items: Iterable[tuple[Key, Synced]]) -> tuple[tuple[bytes, ...], frozenset[VClusterRef]]:
    rows: dict[str, list[tuple[str, ...]]] = {PODS: [], CLAIMS: []}
    inside: list[tuple[str, ...]] = []
    owners = set()
    for (kind, namespace, name), found in items:
        host = (namespace, name, found.host_uid)
        rows[kind].append((*host, *_owner(found.vcluster), found.namespace, found.name))
        owners.add(found.vcluster)
        if found.inner:
            inside.append((*host, *_innermost(found)))
    lines = [
        *_family("vcluster_pod_info", rows[PODS]),
        *_family("vcluster_nested_pod_info", inside),
        *_family("vcluster_persistentvolumeclaim_info", rows[CLAIMS]),
    ]
    return tuple(_parts(lines)), frozenset(owners)


def _owner(ref: VClusterRef) -> tuple[str, str]:
    return ref.name, ref.host_namespace


def _innermost(found: Synced) -> tuple[str, ...]:
    """Name, namespace in the parent, virtual namespace and pod of a nested pod, and the path of the parent."""
    *outer, home, name, namespace, pod = found.inner
    return name, home, namespace, pod, "/".join([found.vcluster.path, *outer])


def _family(name: str, rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """The lines of a family; an empty label is left out, which to Prometheus is the same."""
    labels, help_ = FAMILIES[name]
    yield f"# HELP {name} {help_}\n# TYPE {name} gauge\n"
    whole = f"{name}{{" + ",".join(f'{label}="%s"' for label in labels) + "} 1\n"
    lines = []
    for row in rows:
        text = "".join(row)
        shown = tuple(map(_escape, row)) if "\\" in text or '"' in text or "\n" in text else row
        if "" in shown:
            pairs = zip(labels, shown, strict=True)
            lines.append(f"{name}{{" + ",".join(f'{label}="{value}"' for label, value in pairs if value) + "} 1\n")
        else:
            lines.append(whole % shown)
    lines.sort()
    yield from lines


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _parts(lines: Iterable[str]) -> Iterator[bytes]:
    some: list[str] = []
    size = 0
    for line in lines:
        some.append(line)
        size += len(line)
        if size >= PART:
            yield "".join(some).encode("utf-8", "replace")
            some, size = [], 0
    if some:
        yield "".join(some).encode("utf-8", "replace")
