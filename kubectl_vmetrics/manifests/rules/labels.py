"""The labels of the recorded series."""

from __future__ import annotations

CLUSTER = "cluster"
"""A label that tells several hosts in one Prometheus apart; where there is none, it matches as empty."""
OWNER = ("vcluster_host_namespace", "vcluster_name")
"""Which virtual cluster: its name alone is not unique, two host namespaces may hold a virtual cluster of one name."""
SPACE = "vcluster_virtual_namespace"
POD = (*OWNER, SPACE, "vcluster_virtual_pod")
CLAIM = (*OWNER, SPACE, "vcluster_virtual_persistentvolumeclaim")

HOST_POD = (CLUSTER, "namespace", "pod")
"""A pod as the host knows it. Not its uid: neither kubelets nor every exporter report one."""
HOST_CLAIM = (CLUSTER, "namespace", "persistentvolumeclaim")

POD_NAMES = "vcluster_pod:names:max"
CLAIM_NAMES = "vcluster_claim:names:max"
NAMESPACE_NAMES = "vcluster_host_namespace:names:max"
