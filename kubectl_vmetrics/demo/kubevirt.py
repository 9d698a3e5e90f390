"""The embedded cluster's KubeVirt: its object, a virt-handler on each node, virtual machines and their counters.

Names and label order of the series are those of virt-handler v1.9.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from kubectl_vmetrics.kube.discovery import ApiResource
from kubectl_vmetrics.vcluster import naming

from .exchange import Key, Refusal, Reply, Request, Resource
from .objects import Object

if TYPE_CHECKING:
    from .apiserver import Apiserver

NAMESPACE = "kubevirt"
VERSION = "v1.9.0"
PORT = 8443
_PATH = re.compile(rf"/api/v1/namespaces/{NAMESPACE}/pods/https:([^/:]+):{PORT}/proxy/metrics/?")
_MEBI = 1 << 20
_AGE = 500_000.0
"""Seconds that every machine has run when the demo starts."""


class Machine(NamedTuple):
    """A virtual machine.

    Attributes:
        busy: the share of its vCPUs' time that it uses.
        agent: whether a guest agent tells of file systems; balloon: whether a balloon driver tells of memory.
        target: the node to which it is moving.
        vcluster: whose it is, with its namespace there.
    """

    namespace: str
    name: str
    node: str
    vcpus: int
    mebibytes: int
    busy: float
    system: str = ""
    agent: bool = False
    balloon: bool = True
    target: str = ""
    vcluster: tuple[str, str] | None = None

    @property
    def uid(self) -> str:
        """The same for the same machine."""
        return str(uuid.UUID(bytes=hashlib.sha256(f"{self.namespace}/{self.name}".encode()).digest()[:16]))

    @property
    def labels(self) -> dict[str, str]:
        """Of its VirtualMachineInstance; KubeVirt's virt-handler finds its own by the first."""
        found = {"kubevirt.io/nodeName": self.node}
        if self.target:
            found["kubevirt.io/migrationTargetNodeName"] = self.target
        if self.vcluster:
            found |= {naming.MANAGED_BY: self.vcluster[0], naming.NAMESPACE: self.vcluster[1]}
        return found


def machines(nodes: list[str], vclusters: list[tuple[str, str]], count: int) -> list[Machine]:
    """So many machines: a few that each show something, and then more of the same.

    Args:
        nodes: where they run.
        vclusters: (host namespace, name) of those that may own some.
        count: how many.
    """
    if not nodes:
        return []
    at = [nodes[index % len(nodes)] for index in range(3)]
    found = [
        Machine("prod", "db-0", at[0], 8, 16_384, 0.42, "Debian GNU/Linux 13 (trixie)", agent=True),
        Machine("prod", "web", at[1], 2, 4096, 0.31, target=at[2] if at[2] != at[1] else ""),
        Machine("dev", "appliance", at[2], 1, 512, 0.05, balloon=False),
        Machine("dev", "windows", at[0], 4, 8192, 0.17, "Microsoft Windows Server 2025", agent=True, balloon=False),
    ]
    if vclusters:
        namespace, name = vclusters[0]
        found.append(
            Machine(namespace, f"build-x-batch-x-{name}", at[1], 4, 8192, 0.77, agent=True, vcluster=(name, "batch"))
        )
    for index in range(len(found), count):
        node = nodes[index % len(nodes)]
        found.append(Machine("fleet", f"worker-{index}", node, 2, 2048, (index % 90) / 100, agent=index % 2 == 0))
    return found[:count]


class Component(NamedTuple):
    """A pod of KubeVirt itself; of several of a kind, one leads."""

    kind: str
    name: str
    node: str
    address: str
    leads: bool = False

    @property
    def labels(self) -> dict[str, str]:
        """By which KubeVirt's Service finds it."""
        return {"kubevirt.io": self.kind, "prometheus.kubevirt.io": "true"}


def components(nodes: list[str]) -> list[Component]:
    """A virt-handler on each node, and two of the others."""
    kinds = [("virt-handler", node) for node in nodes]
    kinds += [(kind, node) for kind in ("virt-api", "virt-controller", "virt-operator") for node in nodes[:2]]
    found, seen = [], set()
    for index, (kind, node) in enumerate(kinds):
        name = f"{kind}-{hashlib.sha256(f'{kind}{node}'.encode()).hexdigest()[:5]}"
        leads = kind in ("virt-controller", "virt-operator") and kind not in seen
        found.append(Component(kind, name, node, f"10.244.{9 + index // 250}.{index % 250 + 1}", leads))
        seen.add(kind)
    return found


class KubeVirt:
    """Objects and a route of the apiserver."""

    def __init__(self, apiserver: Apiserver, count: int) -> None:
        cluster = apiserver.cluster
        nodes = [node.name for node in cluster.nodes]
        self._apiserver = apiserver
        self._machines = machines(nodes, [(v.namespace, v.name) for v in cluster.vclusters], count)
        self.components = components(nodes) if count else []

    def resources(self) -> list[Resource]:
        """KubeVirts and VirtualMachineInstances."""
        fixed = Key(NAMESPACE, "kubevirt", {}, {}, self._kubevirt)
        instances = [Key(m.namespace, m.name, m.labels, {}, partial(self._instance, m)) for m in self._machines]

        def entries(keys: list[Key]) -> Callable[[str | None], list[Key]]:
            return lambda namespace: [key for key in keys if namespace in (None, key.namespace)]

        plural = "virtualmachineinstances"
        return [
            Resource(ApiResource("kubevirt.io", "v1", "kubevirts", "KubeVirt", True, ("kv",)), entries([fixed])),
            Resource(
                ApiResource("kubevirt.io", "v1", plural, "VirtualMachineInstance", True, ("vmi",)), entries(instances)
            ),
        ]

    def pods(self) -> list[Key]:
        """Its own pods."""
        return [
            Key(
                NAMESPACE,
                item.name,
                item.labels,
                {"spec.nodeName": item.node, "status.phase": "Running"},
                partial(self._pod, item),
            )
            for item in self.components
        ]

    def route(self, request: Request) -> Reply | None:
        """Answer for a virt-handler."""
        found = _PATH.fullmatch(request.path)
        if not found:
            return None
        item = next((item for item in self.components if item.name == found[1]), None)
        if item is None:
            raise Refusal(404, "NotFound", f'pods "{found[1]}" not found')
        seconds = self._apiserver.clock() - self._apiserver.started + _AGE
        text = "".join(f"{line}\n" for line in _own(item, seconds))
        if item.kind == "virt-handler":
            text += _exposition([machine for machine in self._machines if machine.node == item.node], seconds)
        return Reply(200, text.encode(), "text/plain; version=0.0.4; charset=utf-8; escaping=underscores")

    def _stamped(self, name: str, namespace: str, labels: dict[str, str], **more: Any) -> Object:
        stamp = self._apiserver.objects.stamp(9_000)
        meta = {"name": name, "namespace": namespace, "resourceVersion": "1000", "creationTimestamp": stamp}
        return {**meta, "labels": labels, **more}

    def _kubevirt(self) -> Object:
        status = {"phase": "Deployed", "observedKubeVirtVersion": VERSION, "operatorVersion": VERSION}
        meta = self._stamped("kubevirt", NAMESPACE, {})
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
        meta = self._stamped(machine.name, machine.namespace, machine.labels, uid=machine.uid)
        kind = {"kind": "VirtualMachineInstance", "apiVersion": "kubevirt.io/v1", "metadata": meta}
        return {**kind, "spec": {"domain": {"cpu": {"cores": machine.vcpus}}}, "status": status}

    def _pod(self, item: Component) -> Object:
        container = {
            "name": item.kind,
            "image": f"quay.io/kubevirt/{item.kind}:{VERSION}",
            "resources": {},
            "ports": [{"name": "metrics", "containerPort": PORT, "protocol": "TCP"}],
        }
        return {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": self._stamped(item.name, NAMESPACE, item.labels),
            "spec": {"nodeName": item.node, "containers": [container]},
            "status": {
                "phase": "Running",
                "podIP": item.address,
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        }


def _own(item: Component, seconds: float) -> Iterator[str]:
    """What each component tells of itself."""
    weight = sum(map(ord, item.name)) % 7 + 1
    yield "# TYPE process_cpu_seconds_total counter"
    yield f"process_cpu_seconds_total {0.004 * weight * seconds:.2f}"
    yield "# TYPE process_resident_memory_bytes gauge"
    yield f"process_resident_memory_bytes {float((90 + 11 * weight) * _MEBI)!r}"
    yield "# TYPE kubevirt_rest_client_requests_total counter"
    for code, verb, resource, share in (
        ("200", "LIST", "virtualmachineinstances", 0.4),
        ("200", "PATCH", "nodes", 0.1),
        ("409", "UPDATE", "virtualmachineinstances", 0.003),
        ("<error>", "WATCH", "kubevirts", 0.0),
    ):
        labels = f'code="{code}",host="10.96.0.1:443",method="GET",resource="{resource}",verb="{verb}"'
        # Lost when the apiserver was restarted, long ago, and no more since.
        value = int(share * weight * seconds) if share else 3
        yield f"kubevirt_rest_client_requests_total{{{labels}}} {value}"
    if item.kind in ("virt-controller", "virt-operator"):
        name = f"kubevirt_{item.kind.replace('-', '_')}_leading_status"
        yield f"# TYPE {name} gauge"
        yield f"{name} {int(item.leads)}"


def _exposition(listed: Iterable[Machine], seconds: float) -> str:
    families: dict[str, list[str]] = {
        "kubevirt_info": [f'kubevirt_info{{goversion="go1.27",kubeversion="{VERSION}"}} 1']
    }
    for machine in listed:
        own = {f"kubernetes_vmi_label_{re.sub(r'[./-]', '_', key)}": value for key, value in machine.labels.items()}
        own |= {"name": machine.name, "namespace": machine.namespace, "node": machine.node}
        for name, value, more in _samples(machine, seconds):
            labels = ",".join(f'{key}="{text}"' for key, text in sorted({**own, **more}.items()))
            full = f"kubevirt_vmi_{name}"
            families.setdefault(full, []).append(f"{full}{{{labels}}} {value!r}")
    lines = []
    for name, samples in sorted(families.items()):
        lines += [f"# TYPE {name} {'counter' if name.endswith('_total') else 'gauge'}", *samples]
    return "\n".join(lines) + "\n"


def _samples(machine: Machine, seconds: float) -> Iterator[tuple[str, float, dict[str, str]]]:
    used = machine.busy * machine.vcpus
    size = float(machine.mebibytes * _MEBI)
    yield "cpu_usage_seconds_total", round(used * seconds, 6), {}
    yield "memory_resident_bytes", round(size * 0.83), {}
    yield "memory_domain_bytes", size, {}
    if machine.balloon:
        yield "memory_available_bytes", round(size * 0.97), {}
        yield "memory_usable_bytes", round(size * (0.97 - 0.6 * machine.busy - 0.2)), {}
    for index in range(machine.vcpus):
        yield "vcpu_seconds_total", round(machine.busy * 0.95 * seconds, 2), {"id": str(index), "state": "running"}
        yield "vcpu_wait_seconds_total", round(machine.busy * 0.002 * seconds, 6), {"id": str(index)}
        yield "vcpu_delay_seconds_total", round(machine.busy * 0.03 * seconds, 6), {"id": str(index)}
    for way, speed in (("receive", 180_000.0), ("transmit", 65_000.0)):
        yield f"network_{way}_bytes_total", int(speed * used * seconds), {"interface": "default"}
        yield f"network_{way}_packets_total", int(speed / 800 * used * seconds), {"interface": "default"}
    for drive, share in (("rootdisk", 1.0), *((("datadisk", 4.0),) if machine.vcpus > 4 else ())):
        for way, count in (("read", 12.0), ("write", 31.0)):
            operations = int(count * share * used * seconds)
            yield f"storage_iops_{way}_total", operations, {"drive": drive}
            yield f"storage_{way}_traffic_bytes_total", operations * 16_384, {"drive": drive}
            yield f"storage_{way}_times_seconds_total", round(operations * 0.0011, 6), {"drive": drive}
    if machine.agent:
        for mount, full in (("/", 0.37), ("/var", 0.81)):
            labels = {"mount_point": mount, "file_system_type": "ext4", "disk_name": "vda1"}
            yield "filesystem_capacity_bytes", 40e9, labels
            yield "filesystem_used_bytes", round(40e9 * full), labels
    if machine.target:
        yield "migration_data_bytes_total", size, {}
        yield "migration_data_processed_bytes", round(size * (seconds % 60) / 60), {}
