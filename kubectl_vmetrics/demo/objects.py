"""The demo cluster's objects as an apiserver writes them."""

from __future__ import annotations

import base64
import datetime
import json
import uuid
from collections import Counter
from typing import Any

from kubectl_vmetrics.vcluster import naming

from .cluster import Claim, Cluster, Container, DemoNode, DemoPod, DemoVCluster, Origin
from .usage import node_labels

Object = dict[str, Any]

CREATED = 40 * 86_400
"""Seconds before the start of the demo, when its oldest objects were made."""

_RESERVED_CORES, _RESERVED_KIBI = 4, 1024 * 1024
"""What kubelets keep for the system: the difference between a node's capacity and what is allocatable."""


def allocatable(node: DemoNode) -> tuple[int, int]:
    """Cores and KiB for pods."""
    return node.cores, node.gibibytes * 1024 * 1024 - 102_400


def capacity(node: DemoNode) -> tuple[int, int]:
    """Cores and KiB of the machine."""
    cores, kibibytes = allocatable(node)
    return cores + _RESERVED_CORES, kibibytes + _RESERVED_KIBI


def product(node: DemoNode) -> dict[str, str]:
    """The label in which NVIDIA's feature discovery says which GPUs a node has."""
    return {"nvidia.com/gpu.product": node.gpus[0].model.replace(" ", "-")} if node.gpus else {}


class Objects:
    """Renders objects; `start` is when the demo started."""

    def __init__(self, cluster: Cluster, start: datetime.datetime) -> None:
        self.cluster = cluster
        self.start = start

    def stamp(self, minutes: int) -> str:
        """A time that many minutes before the start."""
        return (self.start - datetime.timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _meta(self, name: str, namespace: str = "", minutes: int = CREATED // 60, **more: Any) -> Object:
        found: Object = {"name": name, **({"namespace": namespace} if namespace else {})}
        return {**found, "resourceVersion": "1000", "creationTimestamp": self.stamp(minutes), **more}

    def node(self, node: DemoNode) -> Object:
        """A v1.Node."""
        free, whole = allocatable(node), capacity(node)
        return {
            "kind": "Node",
            "apiVersion": "v1",
            "metadata": self._meta(node.name, labels={**node_labels(node.name), **product(node)}),
            "spec": {"taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]} if node.gpus else {},
            "status": {
                "capacity": {"cpu": str(whole[0]), "memory": f"{whole[1]}Ki", "pods": "250", **devices(node)},
                "allocatable": {"cpu": str(free[0]), "memory": f"{free[1]}Ki", "pods": "250", **devices(node)},
                "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
                "addresses": [
                    {"type": "InternalIP", "address": node.address},
                    {"type": "Hostname", "address": node.name},
                ],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
                "nodeInfo": {"kubeletVersion": "v1.36.2", "operatingSystem": "linux", "architecture": "amd64"},
            },
        }

    def namespace(self, name: str) -> Object:
        """A v1.Namespace."""
        meta = self._meta(name, labels={"kubernetes.io/metadata.name": name})
        return {"kind": "Namespace", "apiVersion": "v1", "metadata": meta, "spec": {}, "status": {"phase": "Active"}}

    def pod_metadata(self, pod: DemoPod) -> Object:
        """A pod's metadata: labels, and for a synced one the annotations of vCluster's syncer."""
        kind, name = pod.owner
        owner = {"apiVersion": "v1" if pod.origin else "apps/v1", "kind": kind, "name": name, "controller": True}
        if pod.origin:
            owner |= {"kind": "Service", "name": pod.origin.vcluster}
        more: Object = {"uid": pod.uid, "labels": pod.labels, "ownerReferences": [owner]}
        if pod.origin:
            more["annotations"] = _annotations(pod)
        return self._meta(pod.name, pod.namespace, pod.minutes, **more)

    def pod(self, pod: DemoPod) -> Object:
        """A v1.Pod."""
        index = sum(map(ord, pod.uid)) % 250 + 1
        return {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": self.pod_metadata(pod),
            "spec": {
                "nodeName": pod.node,
                "containers": [
                    {
                        "name": container.name,
                        "image": container.image,
                        "resources": _resources(container),
                    }
                    for container in pod.containers
                ],
            },
            "status": {
                "phase": "Running",
                "qosClass": "Burstable",
                "podIP": f"10.244.1.{index}",
                "startTime": self.stamp(pod.minutes),
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [
                    {
                        "name": container.name,
                        "ready": True,
                        "restartCount": 0,
                        "image": container.image,
                        "state": {"running": {}},
                    }
                    for container in pod.containers
                ],
            },
        }

    def claim(self, pod: DemoPod, claim: Claim) -> Object:
        """A v1.PersistentVolumeClaim."""
        more: Object = {"uid": claim.uid}
        if claim.origin:
            more["labels"] = {naming.MANAGED_BY: claim.origin.vcluster, naming.NAMESPACE: claim.origin.namespace}
            more["annotations"] = _object_annotations(
                claim.origin, "/v1, Kind=PersistentVolumeClaim", claim.host_name, pod.namespace
            )
        size = {"storage": f"{claim.gibibytes}Gi"}
        return {
            "kind": "PersistentVolumeClaim",
            "apiVersion": "v1",
            "metadata": self._meta(claim.host_name, pod.namespace, pod.minutes, **more),
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": size},
                "volumeName": f"pvc-{claim.uid}",
            },
            "status": {"phase": "Bound", "capacity": size},
        }

    def stateful_set(self, vcluster: DemoVCluster) -> Object:
        """The StatefulSet of a virtual cluster's control plane, as its chart makes it."""
        labels = {
            "app": "vcluster",
            "chart": f"vcluster-{vcluster.version}",
            "heritage": "Helm",
            "release": vcluster.name,
        }
        selector = {"app": "vcluster", "release": vcluster.name}
        image = f"ghcr.io/loft-sh/vcluster-pro:{vcluster.version}"
        # The chart takes an image with the binaries of nodes for private nodes: charts/vcluster _init-containers.tpl.
        kubernetes = f"ghcr.io/loft-sh/kubernetes:v1.34.1{'-full' if vcluster.private else ''}"
        replicas = 0 if vcluster.paused else 1
        more: Object = {"labels": labels}
        if vcluster.paused:
            more["annotations"] = {"loft.sh/paused": "true", "loft.sh/paused-replicas": "1"}
        status = dict.fromkeys(("readyReplicas", "currentReplicas", "updatedReplicas"), replicas) if replicas else {}
        return {
            "kind": "StatefulSet",
            "apiVersion": "apps/v1",
            "metadata": self._meta(vcluster.name, vcluster.namespace, **more),
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": selector},
                "serviceName": f"{vcluster.name}-headless",
                "template": {
                    "metadata": {"labels": selector},
                    "spec": {
                        "initContainers": [{"name": "kubernetes", "image": kubernetes}],
                        "containers": [{"name": "syncer", "image": image}],
                    },
                },
            },
            "status": {"replicas": replicas, **status},
        }


def _resources(container: Container) -> Object:
    found: Object = {}
    for name, (cpu, memory) in (("requests", container.requested), ("limits", container.limited)):
        if cpu and memory:
            found[name] = {"cpu": f"{cpu}m", "memory": f"{memory}Mi"}
        if container.gpus[1]:
            found.setdefault(name, {})[container.gpus[0]] = str(container.gpus[1])
    return found


def devices(node: DemoNode) -> dict[str, str]:
    """GPUs and slices by resource, as NVIDIA's device plugin counts them."""
    found = Counter(
        f"nvidia.com/mig-{part.profile}" if part else "nvidia.com/gpu"
        for gpu in node.gpus
        for part in gpu.slices or (None,)
    )
    return {resource: str(count) for resource, count in sorted(found.items())}


def _object_annotations(origin: Origin, kind: str, host_name: str, host_namespace: str) -> dict[str, str]:
    return {
        "vcluster.loft.sh/object-host-name": host_name,
        "vcluster.loft.sh/object-host-namespace": host_namespace,
        "vcluster.loft.sh/object-kind": kind,
        "vcluster.loft.sh/object-name": origin.name,
        "vcluster.loft.sh/object-namespace": origin.namespace,
        "vcluster.loft.sh/object-uid": origin.uid,
    }


def _virtual_owner(pod: DemoPod) -> Object:
    """The owner of a synced pod inside its virtual cluster, which vCluster's syncer writes down on the host's pod."""
    kind, name = pod.owner
    uid = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{pod.namespace} {kind} {name}"))
    return {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid, "controller": True}


def _annotations(pod: DemoPod) -> dict[str, str]:
    origin = pod.origin
    if origin is None:
        return {}
    token = base64.urlsafe_b64encode(f"not a real token of {origin.uid}".encode()).decode().rstrip("=")
    return {
        "vcluster.loft.sh/labels": "\n".join(f'{k}="{v}"' for k, v in sorted(pod.labels.items()) if "loft.sh" not in k),
        "vcluster.loft.sh/name": origin.name,
        "vcluster.loft.sh/namespace": origin.namespace,
        **_object_annotations(origin, "/v1, Kind=Pod", pod.name, pod.namespace),
        "vcluster.loft.sh/owner-references": json.dumps([_virtual_owner(pod)], separators=(",", ":")),
        "vcluster.loft.sh/owner-set-kind": pod.owner[0],
        "vcluster.loft.sh/service-account-name": "default",
        # A real one stands here on a real host: whatever prints it is seen in a demo as well.
        "vcluster.loft.sh/token-demo": f"eyJkZW1v.{token}.c2lnbmF0dXJl",
        "vcluster.loft.sh/uid": origin.uid,
    }
