"""Claims: what they use and hold, from the kubelets, and what they request, from kube-state-metrics."""

from __future__ import annotations

from .expression import operation, over, selector
from .labels import CLAIM, CLAIM_NAMES, HOST_CLAIM
from .record import Record
from .sources import Sources


def records(sources: Sources) -> list[Record]:
    """Used, capacity and requested, in bytes."""
    families = {
        "used": selector("kubelet_volume_stats_used_bytes", sources.kubelet),
        "capacity": selector("kubelet_volume_stats_capacity_bytes", sources.kubelet),
        "requested": selector("kube_persistentvolumeclaim_resource_requests_storage_bytes", sources.state),
    }
    join = f"* on ({', '.join(HOST_CLAIM)}) group_left ({', '.join(CLAIM)})"
    return [
        # By max: several nodes may mount one claim, and each kubelet reports it.
        Record(f"vcluster_claim:{name}_bytes:max", operation(over("max", HOST_CLAIM, family), join, CLAIM_NAMES))
        for name, family in families.items()
    ]
