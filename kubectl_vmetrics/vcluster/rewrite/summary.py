"""stats/summary of kubelets (k8s.io/kubelet/pkg/apis/stats/v1alpha1): JSON in, the same JSON out, unknown fields kept.

As upstream does inside a virtual cluster (loft-sh/vcluster pkg/server/filters/metrics.go, rewriteStats): pods and
claims of others are left out, the node is shown as a whole unless that is not wanted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from kubectl_vmetrics.vcluster.identity import VClusterRef
from kubectl_vmetrics.vcluster.origins import CLAIMS, PODS, Origins, Synced

from . import machine
from .exposition import host_labels

Json = dict[str, Any]

_OF_DISK = ("availableBytes", "capacityBytes", "inodesFree", "inodes")
"""Of a container's root file system, logs and most volumes these are the node's disk's, which all tenants share."""
_USED = ("usedBytes", "inodesUsed")


def tenant(body: bytes | bytearray, origins: Origins, vcluster: VClusterRef, *, isolate: bool = False) -> bytes:
    """The view of one virtual cluster. Raises ValueError for what is no summary.

    Args:
        body: what the kubelet answered.
        origins: the map, of the virtual cluster's namespaces at least.
        vcluster: whose view.
        isolate: leave out what is about the node as a whole: its block, and the size and free space of its disks.
    """
    document = _summary(body)
    disks = _disks(document.get("node")) if isolate else frozenset()

    def pod(item: Json) -> Json | None:
        ref: Any = item.get("podRef")
        found = referred(origins, PODS, ref)
        if found is None or found.vcluster != vcluster:
            return None
        item = {**item, "podRef": {**ref, "name": found.name, "namespace": found.namespace, "uid": found.uid}}
        item["volume"] = [shown for volume in _objects(item, "volume") if (shown := _volume(volume, origins, vcluster))]
        if not item["volume"]:
            del item["volume"]
        if isinstance(network := item.get("network"), dict):
            item["network"] = _network(network)
        return _own_disk(item, disks) if isolate else item

    shown = _rewrite(document, pod)
    if isolate:
        shown.pop("node", None)
    return msgspec.json.encode(shown)


def host(body: bytes | bytearray, origins: Origins) -> bytes:
    """The view of the host: everything, with a block `vcluster` in each synced pod. Raises ValueError."""

    def pod(item: Json) -> Json:
        found = referred(origins, PODS, item.get("podRef"))
        return {**item, "vcluster": vcluster_block(found)} if found else item

    return msgspec.json.encode(_rewrite(_summary(body), pod))


def _volume(volume: Json, origins: Origins, vcluster: VClusterRef) -> Json | None:
    if "pvcRef" not in volume:
        return volume
    ref = volume["pvcRef"]
    found = referred(origins, CLAIMS, ref)
    if found is None or found.vcluster != vcluster:
        return None
    return {**volume, "pvcRef": {**ref, "name": found.name, "namespace": found.namespace}}


def referred(origins: Origins, kind: str, ref: Any) -> Synced | None:
    """The virtual object behind what a document says of one by name and namespace; None if it does not say that."""
    namespace, name = (ref.get("namespace"), ref.get("name")) if isinstance(ref, dict) else (None, None)
    return origins.find(kind, namespace, name) if isinstance(namespace, str) and isinstance(name, str) else None


def vcluster_block(found: Synced) -> Json:
    """What the host's view adds to a pod of a document."""
    labels = host_labels(found, pod=found)
    names = ("name", "hostNamespace", "namespace", "pod")
    return dict(zip(names, labels.values(), strict=True))


def _network(network: Json) -> Json:
    """A pod in the host's network has the host's interfaces, among them those that lead to other pods."""
    kept = [item for item in _objects(network, "interfaces") if machine.interface(str(item.get("name", "")))]
    shown = {**network, **({"interfaces": kept} if "interfaces" in network else {})}
    # The numbers beside the list are those of the default interface, by its name.
    return shown if machine.interface(str(network.get("name", "lo"))) else {"interfaces": kept}


def _disks(node: Any) -> frozenset[int]:
    """The capacities of the node's disks, in bytes: a claim of that capacity is a folder of one of them."""
    found: set[int] = set()
    for part in (node, node.get("runtime") if isinstance(node, dict) else None):
        for disk in part.values() if isinstance(part, dict) else ():
            if isinstance(disk, dict) and isinstance(size := disk.get("capacityBytes"), int):
                found.add(size)
    return frozenset(found)


def _own_disk(pod: Json, disks: frozenset[int]) -> Json:
    shown = dict(pod)
    if "containers" in pod:
        shown["containers"] = [
            {key: _without(value, _OF_DISK) if key in ("rootfs", "logs") else value for key, value in container.items()}
            for container in _objects(pod, "containers")
        ]
    if "ephemeral-storage" in pod:
        shown["ephemeral-storage"] = _without(pod["ephemeral-storage"], _OF_DISK)
    if "volume" in pod:
        shown["volume"] = [
            _without(volume, _OF_DISK)
            if "pvcRef" not in volume
            else _without(volume, (*_OF_DISK, *_USED))
            if volume.get("capacityBytes") in disks
            else volume
            for volume in _objects(pod, "volume")
        ]
    return shown


def _without(found: Any, keys: tuple[str, ...]) -> Any:
    return {key: value for key, value in found.items() if key not in keys} if isinstance(found, dict) else found


def _objects(found: Json, key: str) -> list[Json]:
    items = found.get(key)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _summary(body: bytes | bytearray) -> Json:
    document = msgspec.json.decode(body)
    if not isinstance(document, dict) or not isinstance(document.get("pods", []), list):
        raise ValueError("not a summary")
    return document


def _rewrite(document: Json, pod: Callable[[Json], Json | None]) -> Json:
    return {**document, "pods": [shown for item in _objects(document, "pods") if (shown := pod(item))]}
