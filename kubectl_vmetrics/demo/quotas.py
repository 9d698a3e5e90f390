"""The demo cluster's ResourceQuotas: what vCluster's policies make in the host namespaces of tenants."""

from __future__ import annotations

from functools import partial

from kubectl_vmetrics.kube.discovery import ApiResource

from .cluster import DemoVCluster
from .exchange import Key
from .objects import Object
from .world import World

_CORES, _GIBI, _STORAGE = 10, 20, 100
"""The defaults of policies.resourceQuota are 10 cores, 20Gi of memory and 100Gi of storage, as requests."""


def sign_up(world: World) -> None:
    """Hold one for every second virtual cluster."""
    kind = ApiResource("", "v1", "resourcequotas", "ResourceQuota", True, ("quota",))
    world.add(kind, [_key(world, vcluster) for vcluster in limited(world)])


def limited(world: World) -> list[DemoVCluster]:
    """The virtual clusters that have one."""
    return world.cluster.vclusters[::2]


def _key(world: World, vcluster: DemoVCluster) -> Key:
    name, labels = f"vc-{vcluster.name}", {"app": "vcluster", "release": vcluster.name}
    return Key(vcluster.namespace, name, labels, {}, partial(made, world, vcluster))


def made(world: World, vcluster: DemoVCluster) -> Object:
    """The one of a virtual cluster, with what its pods request."""
    pods = world.pods_in(vcluster.namespace)
    containers = [container for pod in pods for container in pod.containers]
    cores, memory = (sum(item.requested[index] for item in containers) for index in (0, 1))
    most_cores, most_memory = (sum(item.limited[index] for item in containers) for index in (0, 1))
    claims = [pod.claim for pod in pods if pod.claim]
    hard = {"requests.cpu": str(_CORES), "requests.memory": f"{_GIBI}Gi", "requests.storage": f"{_STORAGE}Gi"}
    hard |= {"limits.cpu": str(2 * _CORES), "limits.memory": f"{2 * _GIBI}Gi", "count/pods": "20"}
    used = {"requests.cpu": f"{cores}m", "requests.memory": f"{memory}Mi"}
    used |= {"requests.storage": f"{sum(claim.gibibytes for claim in claims)}Gi"}
    used |= {"limits.cpu": f"{most_cores}m", "limits.memory": f"{most_memory}Mi", "count/pods": str(len(pods))}
    meta = {"name": f"vc-{vcluster.name}", "namespace": vcluster.namespace, "resourceVersion": "1000"}
    meta |= {"creationTimestamp": world.objects.stamp(57_600)}
    status = {"hard": hard, "used": used}
    return {
        "kind": "ResourceQuota",
        "apiVersion": "v1",
        "metadata": {**meta, "labels": {"app": "vcluster", "release": vcluster.name}},
        "spec": {"hard": hard},
        "status": status,
    }
