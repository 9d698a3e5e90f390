"""The history of the demo in kube-state-metrics, and of its names in the proxy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kubectl_vmetrics.metrics.quantity import cpu_nanocores, memory_bytes
from kubectl_vmetrics.vcluster import naming

from . import quotas
from .cluster import MEBI, DemoPod, DemoVCluster
from .objects import CREATED, allocatable, capacity, devices, product
from .past import Lived
from .remote_write import Series
from .usage import node_labels
from .world import World

STATE = {"job": "kube-state-metrics", "instance": "10.244.1.7:8080"}
NAMES = {"job": "vmetrics-names", "instance": "10.244.1.8:8001"}
_CLASS = "standard"


def of_pod(lived: Lived) -> Iterator[Series]:
    """All of a pod, as long as it is there."""
    pod = lived.pod
    ones = [1.0] * lived.count
    own = {"namespace": pod.namespace, "pod": pod.name, "uid": pod.uid}

    def series(name: str, labels: Mapping[str, str], values: list[float] = ones) -> Series:
        return Series({"__name__": name, **STATE, **own, **labels}, lived.first, values, lived.ends)

    kind, owner = ("Service", pod.origin.vcluster) if pod.origin else pod.owner
    by = {"created_by_kind": kind, "created_by_name": owner}
    yield series("kube_pod_info", {"node": pod.node, "host_network": "false", **by})
    yield series("kube_pod_owner", {"owner_kind": kind, "owner_name": owner, "owner_is_controller": "true"})
    yield series("kube_pod_labels", _labels(pod))
    yield series("kube_pod_annotations", _annotations(pod))
    yield series("kube_pod_status_phase", {"phase": "Running"})
    for container in pod.containers:
        named = {"container": container.name}
        for what, (millicores, mebibytes) in (("requests", container.requested), ("limits", container.limited)):
            for resource, unit, value in (("cpu", "core", millicores / 1000), ("memory", "byte", mebibytes * MEBI)):
                if value:
                    labels = {**named, "node": pod.node, "resource": resource, "unit": unit}
                    yield series(f"kube_pod_container_resource_{what}", labels, [float(value)] * lived.count)
            resource, count = container.gpus
            if count:
                labels = {**named, "node": pod.node, "resource": plain(resource), "unit": "integer"}
                yield series(f"kube_pod_container_resource_{what}", labels, [float(count)] * lived.count)
    kills = lived.life.kills
    for index, container in enumerate(pod.containers):
        own_kills = kills if not index else ()
        counts = [float(sum(kill <= at for kill in own_kills)) for at in lived.there]
        yield series("kube_pod_container_status_restarts_total", {"container": container.name}, counts)
        yield series("kube_pod_container_info", {"container": container.name})
    if kills:
        labels = {"container": pod.containers[0].name, "reason": "OOMKilled"}
        after = [float(at >= kills[0]) for at in lived.there]
        yield series("kube_pod_container_status_last_terminated_reason", labels, after)
    if naming.MANAGED_BY in pod.labels:
        # The pod of a virtual machine was made on the host: it has a virtual cluster, and no name there.
        labels = {
            **NAMES,
            "vcluster_name": pod.labels[naming.MANAGED_BY],
            "vcluster_host_namespace": pod.namespace,
            "vcluster_virtual_namespace": pod.labels[naming.NAMESPACE],
            "vcluster_virtual_pod": pod.origin.name if pod.origin else "",
        }
        yield series("vcluster_pod_info", labels)


def of_cluster(world: World, count: int) -> Iterator[Series]:
    """Nodes, claims and virtual clusters: the same at every moment."""

    def series(name: str, labels: Mapping[str, str], value: float = 1.0, own: Mapping[str, str] = STATE) -> Series:
        return Series({"__name__": name, **own, **labels}, 0, [value] * count)

    for node in world.cluster.nodes:
        for name, (cores, kibibytes) in (("allocatable", allocatable(node)), ("capacity", capacity(node))):
            for resource, unit, value in (
                ("cpu", "core", cores),
                ("memory", "byte", kibibytes * 1024),
                ("pods", "integer", 250),
            ):
                labels = {"node": node.name, "resource": resource, "unit": unit}
                yield series(f"kube_node_status_{name}", labels, float(value))
            for resource, number in devices(node).items():
                labels = {"node": node.name, "resource": plain(resource), "unit": "integer"}
                yield series(f"kube_node_status_{name}", labels, float(number))
        known = {**node_labels(node.name), **product(node)}
        yield series("kube_node_labels", {"node": node.name, **{f"label_{plain(k)}": v for k, v in known.items()}})
        yield series("kube_node_info", {"node": node.name, "internal_ip": node.address})
    for pod in (*world.pods, *world.cluster.stopped):
        claim = pod.claim
        if claim is None:
            continue
        own = {"namespace": pod.namespace, "persistentvolumeclaim": claim.host_name}
        size = float(claim.gibibytes * 1024 * MEBI)
        yield series("kube_persistentvolumeclaim_resource_requests_storage_bytes", own, size)
        yield series(
            "kube_persistentvolumeclaim_info", {**own, "storageclass": _CLASS, "volumename": f"pvc-{claim.uid}"}
        )
        if claim.origin:
            named = {
                "vcluster_name": claim.origin.vcluster,
                "vcluster_host_namespace": pod.namespace,
                "vcluster_virtual_namespace": claim.origin.namespace,
                "vcluster_virtual_persistentvolumeclaim": claim.origin.name,
            }
            yield series("vcluster_persistentvolumeclaim_info", {**own, "uid": claim.uid, **named}, own=NAMES)
    for vcluster in quotas.limited(world):
        quota = quotas.made(world, vcluster)
        own = {"namespace": vcluster.namespace, "resourcequota": quota["metadata"]["name"]}
        for kind in ("hard", "used"):
            for resource, text in quota["status"][kind].items():
                amount = cpu_nanocores(text) / 1e9 if resource.endswith("cpu") else float(memory_bytes(text))
                yield series("kube_resourcequota", {**own, "resource": resource, "type": kind}, amount)
    for vcluster in world.cluster.vclusters:
        yield from _of_vcluster(world, vcluster, count)


def _of_vcluster(world: World, vcluster: DemoVCluster, count: int) -> Iterator[Series]:
    replicas = float(not vcluster.paused)
    own = {"namespace": vcluster.namespace, "statefulset": vcluster.name}
    created = world.started - CREATED
    yield Series({"__name__": "kube_statefulset_created", **STATE, **own}, 0, [created] * count)
    for name in ("replicas", "status_replicas", "status_replicas_ready"):
        yield Series({"__name__": f"kube_statefulset_{name}", **STATE, **own}, 0, [replicas] * count)
    labels = {
        "vcluster_name": vcluster.name,
        "vcluster_host_namespace": vcluster.namespace,
        "version": vcluster.version,
        "status": "Paused" if vcluster.paused else "Running",
    }
    yield Series({"__name__": "vcluster_info", **NAMES, **labels}, 0, [1.0] * count)


def _labels(pod: DemoPod) -> dict[str, str]:
    """Those of the allowlist, as kube-state-metrics writes their names."""
    chosen = (naming.MANAGED_BY, naming.NAMESPACE)
    return {f"label_{plain(key)}": pod.labels[key] for key in chosen if key in pod.labels}


def _annotations(pod: DemoPod) -> dict[str, str]:
    if pod.origin is None:
        return {}
    prefix = "annotation_vcluster_loft_sh_object_"
    return {f"{prefix}name": pod.origin.name, f"{prefix}namespace": pod.origin.namespace}


def plain(key: str) -> str:
    """A label or a resource as kube-state-metrics writes it."""
    return key.translate(str.maketrans("./-", "___"))
