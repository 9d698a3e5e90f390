"""metrics.k8s.io: lists and objects of PodMetrics, JSON in, the same JSON out, unknown fields kept.

Upstream's counterpart: loft-sh/vcluster pkg/integrations/metricsserver/metricsserver.go. A single object is treated as
a list of one: its labels are the virtual ones, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from kubectl_vmetrics.vcluster import labels
from kubectl_vmetrics.vcluster.identity import VClusterRef
from kubectl_vmetrics.vcluster.origins import PODS, Origins

from .summary import referred, vcluster_block

Json = dict[str, Any]


def tenant(body: bytes | bytearray, origins: Origins, vcluster: VClusterRef) -> bytes:
    """The view of one virtual cluster. Raises ValueError for what is neither a list nor an object."""

    def item(found: Json) -> Json | None:
        meta = _meta(found)
        pod = referred(origins, PODS, meta)
        if pod is None or pod.vcluster != vcluster:
            return None
        shown = {key: value for key, value in meta.items() if key not in ("labels", "annotations")}
        written = meta.get("labels")
        virtual = labels.inside(written, vcluster) if isinstance(written, dict) else {}
        names: Mapping[str, Any] = {"name": pod.name, "namespace": pod.namespace}
        return {**found, "metadata": {**shown, **names, **({"labels": virtual} if virtual else {})}}

    return _rewrite(body, item)


def host(body: bytes | bytearray, origins: Origins) -> bytes:
    """The view of the host: everything, with a block `vcluster` in each synced pod. Raises ValueError."""

    def item(found: Json) -> Json:
        pod = referred(origins, PODS, found.get("metadata"))
        return {**found, "vcluster": vcluster_block(pod)} if pod else found

    return _rewrite(body, item)


def _meta(item: Json) -> Json:
    meta = item.get("metadata")
    return meta if isinstance(meta, dict) else {}


def _rewrite(body: bytes | bytearray, item: Any) -> bytes:
    document = msgspec.json.decode(body)
    if not isinstance(document, dict):
        raise ValueError("neither a list nor an object")
    if "items" in document:
        items = document["items"] if isinstance(document["items"], list) else []
        shown = [kept for found in items if isinstance(found, dict) and (kept := item(found))]
        return msgspec.json.encode({**document, "items": shown})
    found = item(document)
    if found is None:
        raise LookupError(str(_meta(document).get("name", "")))
    return msgspec.json.encode(found)
