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

from .exposition import host_labels

Json = dict[str, Any]


def tenant(body: bytes | bytearray, origins: Origins, vcluster: VClusterRef, *, isolate: bool = False) -> bytes:
    """The view of one virtual cluster. Raises ValueError for what is no summary."""

    def pod(item: Json) -> Json | None:
        ref = item.get("podRef") or {}
        found = origins.find(PODS, str(ref.get("namespace", "")), str(ref.get("name", "")))
        if found is None or found.vcluster != vcluster:
            return None
        item = {**item, "podRef": {**ref, "name": found.name, "namespace": found.namespace, "uid": found.uid}}
        if isinstance(item.get("volume"), list):
            item["volume"] = [shown for volume in item["volume"] if (shown := _volume(volume, origins, vcluster))]
        return item

    return _rewrite(body, pod, isolate=isolate)


def host(body: bytes | bytearray, origins: Origins) -> bytes:
    """The view of the host: everything, with a block `vcluster` in each synced pod. Raises ValueError."""

    def pod(item: Json) -> Json:
        ref = item.get("podRef") or {}
        found = origins.find(PODS, str(ref.get("namespace", "")), str(ref.get("name", "")))
        return {**item, "vcluster": vcluster_block(found)} if found else item

    return _rewrite(body, pod, isolate=False)


def _volume(volume: Json, origins: Origins, vcluster: VClusterRef) -> Json | None:
    ref = volume.get("pvcRef")
    if not isinstance(ref, dict):
        return volume
    found = origins.find(CLAIMS, str(ref.get("namespace", "")), str(ref.get("name", "")))
    if found is None or found.vcluster != vcluster:
        return None
    return {**volume, "pvcRef": {**ref, "name": found.name, "namespace": found.namespace}}


def vcluster_block(found: Synced) -> Json:
    """What the host's view adds to a pod of a document."""
    labels = host_labels(found, pod=found)
    names = ("name", "hostNamespace", "namespace", "pod")
    return dict(zip(names, labels.values(), strict=True))


def _rewrite(body: bytes | bytearray, pod: Callable[[Json], Json | None], *, isolate: bool) -> bytes:
    document = msgspec.json.decode(body)
    if not isinstance(document, dict) or not isinstance(document.get("pods", []), list):
        raise ValueError("not a summary")
    shown = dict(document)
    if isolate:
        shown.pop("node", None)
    pods = [item for item in document.get("pods", []) if isinstance(item, dict)]
    shown["pods"] = [item for found in pods if (item := pod(found))]
    return msgspec.json.encode(shown)
