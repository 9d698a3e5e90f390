"""The demo cluster's KubeVirt: its object, virtual machines with their pods, a virt-handler on each node."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from kubectl_vmetrics.kube.discovery import ApiResource

from .cluster import Cluster, Container, DemoPod
from .exchange import Key, Reply, Request, missing
from .machines import NAMESPACE, PORT, VERSION, Component, Machine, components, machines, same_uid
from .objects import Object
from .usage import memory, worked
from .virt_handler import Ran, component, exposition
from .world import World

_PATH = re.compile(rf"/api/v1/namespaces/{NAMESPACE}/pods/https:([^/:]+):{PORT}/proxy/metrics/?")
_TEXT = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
MINUTES = 8_333
"""The age of everything here when the demo starts."""
_OVERHEAD = Container("overhead", "", 10, 180)
"""What a virt-launcher uses beside its machine."""


def sign_up(world: World) -> None:
    """Run KubeVirt, if the cluster has machines, and the machines."""
    part = KubeVirt(world)
    part.sign_up()


class KubeVirt:
    """Objects and pods, and what virt-handlers tell."""

    def __init__(self, world: World) -> None:
        cluster = world.cluster
        nodes = [node.name for node in cluster.workers]
        self._world = world
        self._components = {item.name: item for item in components(nodes)} if cluster.machines else {}
        self._machines = of_cluster(cluster)
        self._pods = {item.name: _component_pod(item) for item in self._components.values()}
        self._launchers = {machine: launcher(machine) for machine in self._machines}

    def sign_up(self) -> None:
        """Hold the world."""
        world = self._world
        there = [Key(NAMESPACE, "kubevirt", {}, {}, self._kubevirt)]
        world.add(ApiResource("kubevirt.io", "v1", "kubevirts", "KubeVirt", True, ("kv",)), there)
        world.add(
            ApiResource("kubevirt.io", "v1", "virtualmachineinstances", "VirtualMachineInstance", True, ("vmi",)),
            [Key(m.namespace, m.name, m.labels, {}, partial(self._instance, m)) for m in self._machines],
        )
        for item in self._components.values():
            world.add_pod(self._pods[item.name], partial(self._pod, item))
        for machine, pod in self._launchers.items():
            world.add_pod(pod, partial(self._launcher_pod, machine, pod))
        world.routes.append(self.route)

    def route(self, request: Request) -> Reply | None:
        """Answer for a component."""
        found = _PATH.fullmatch(request.path)
        if not found:
            return None
        item = self._components.get(found[1])
        if item is None:
            raise missing("pods", found[1])
        now, pod = self._world.seconds(), self._pods[item.name]
        size = memory(pod, pod.containers[0], now) * 1024
        text = "".join(f"{line}\n" for line in component(item, _ran(pod, now), size))
        if item.kind == "virt-handler":
            there = [(m, _ran(pod, now)) for m, pod in self._launchers.items() if m.node == item.node]
            text += exposition(there)
        return Reply(200, text.encode(), _TEXT)

    def _meta(self, name: str, namespace: str, labels: dict[str, str], **more: Any) -> Object:
        stamp = self._world.objects.stamp(MINUTES)
        meta = {"name": name, "namespace": namespace, "resourceVersion": "1000", "creationTimestamp": stamp}
        return {**meta, "labels": labels, **more}

    def _kubevirt(self) -> Object:
        status = {"phase": "Deployed", "observedKubeVirtVersion": VERSION, "operatorVersion": VERSION}
        meta = self._meta("kubevirt", NAMESPACE, {})
        return {"kind": "KubeVirt", "apiVersion": "kubevirt.io/v1", "metadata": meta, "spec": {}, "status": status}

    def _instance(self, machine: Machine) -> Object:
        status: Object = {
            "phase": "Running",
            "nodeName": machine.node,
            "conditions": [{"type": "Ready", "status": "True"}],
            "memory": {"guestCurrent": f"{machine.mebibytes}Mi"},
            "currentCPUTopology": {"cores": machine.vcpus, "sockets": 1, "threads": 1},
        }
        if machine.agent and machine.system:
            status["guestOSInfo"] = {"prettyName": machine.system}
        if machine.target:
            status["migrationState"] = {"sourceNode": machine.node, "targetNode": machine.target}
        meta = self._meta(machine.name, machine.namespace, machine.labels, uid=machine.uid)
        kind = {"kind": "VirtualMachineInstance", "apiVersion": "kubevirt.io/v1", "metadata": meta}
        return {**kind, "spec": {"domain": {"cpu": {"cores": machine.vcpus}}}, "status": status}

    def _pod(self, item: Component) -> Object:
        made = self._world.objects.pod(self._pods[item.name])
        made["spec"]["containers"][0] |= {
            "resources": {},
            "ports": [{"name": "metrics", "containerPort": PORT, "protocol": "TCP"}],
        }
        made["status"]["podIP"] = item.address
        return made

    def _launcher_pod(self, machine: Machine, pod: DemoPod) -> Object:
        made = self._world.objects.pod(pod)
        made["metadata"]["annotations"] = {"kubevirt.io/domain": machine.name}
        owner = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "name": machine.name}
        made["metadata"]["ownerReferences"] = [{**owner, "uid": machine.uid, "controller": True}]
        return made


def of_cluster(cluster: Cluster) -> list[Machine]:
    """The machines of a cluster."""
    awake = [(v.namespace, v.name) for v in cluster.vclusters if not v.paused]
    return machines([node.name for node in cluster.workers], awake, cluster.machines)


def _ran(pod: DemoPod, now: float) -> Ran:
    return Ran(now + pod.minutes * 60.0, worked(pod, now))


def _component_pod(item: Component) -> DemoPod:
    container = Container(item.kind, f"quay.io/kubevirt/{item.kind}:{VERSION}", item.millicores, item.mebibytes)
    owner = ("DaemonSet" if item.kind == "virt-handler" else "ReplicaSet", item.kind)
    uid = same_uid(f"{NAMESPACE}/{item.name}")
    phase = item.weight * 0.9
    return DemoPod(NAMESPACE, item.name, uid, item.node, item.labels, (container,), owner, None, phase, MINUTES)


def launcher(machine: Machine) -> DemoPod:
    """The pod in which a machine runs: KubeVirt copies the machine's labels to it, a virtual cluster's included."""
    labels = {"kubevirt.io": "virt-launcher", "kubevirt.io/created-by": machine.uid, **machine.labels}
    compute = Container(
        "compute",
        f"quay.io/kubevirt/virt-launcher:{VERSION}",
        round(machine.busy * machine.vcpus * 1000) + _OVERHEAD.millicores,
        round(machine.mebibytes * 0.83) + _OVERHEAD.mebibytes,
    )
    return DemoPod(
        machine.namespace,
        machine.launcher,
        same_uid(machine.launcher),
        machine.node,
        labels,
        (compute,),
        ("VirtualMachineInstance", machine.name),
        None,
        sum(map(ord, machine.name)) % 628 / 100,
        MINUTES,
    )
