"""VirtualMachineInstances in the API: resources, node and state of a guest."""

from __future__ import annotations

import msgspec

from kubectl_vmetrics.kube.client import Client, escape
from kubectl_vmetrics.kube.core import Condition, holds
from kubectl_vmetrics.kube.errors import NotFound
from kubectl_vmetrics.kube.lists import ObjectList, decoder, list_all
from kubectl_vmetrics.metrics.quantity import NANOS, cpu_nanocores, memory_bytes

from .installation import VERSIONS

PLURAL = "virtualmachineinstances"
CREATED_BY = "kubevirt.io/created-by"
"""Label of a virt-launcher pod: the uid of its VirtualMachineInstance."""


class Meta(msgspec.Struct):
    """metadata without annotations."""

    name: str
    namespace: str = ""
    uid: str = ""
    labels: dict[str, str] = {}


class _Topology(msgspec.Struct):
    cores: int = 0
    sockets: int = 0
    threads: int = 0

    @property
    def count(self) -> int:
        """vCPUs; a number that is left out is 1."""
        if not (self.cores or self.sockets or self.threads):
            return 0
        return (self.cores or 1) * (self.sockets or 1) * (self.threads or 1)


class _Resources(msgspec.Struct):
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}


class _Domain(msgspec.Struct):
    cpu: _Topology = msgspec.field(default_factory=_Topology)
    resources: _Resources = msgspec.field(default_factory=_Resources)


class _Spec(msgspec.Struct):
    domain: _Domain = msgspec.field(default_factory=_Domain)


class System(msgspec.Struct):
    """The operating system of a guest, as its agent reports it."""

    pretty: str = msgspec.field(default="", name="prettyName")
    name: str = ""
    version: str = ""


class _Moving(msgspec.Struct):
    source: str = msgspec.field(default="", name="sourceNode")
    target: str = msgspec.field(default="", name="targetNode")
    completed: bool = False
    failed: bool = False


class _Memory(msgspec.Struct):
    current: str | None = msgspec.field(default=None, name="guestCurrent")


class Status(msgspec.Struct):
    """The state of a machine; node is where it runs."""

    phase: str = ""
    node: str = msgspec.field(default="", name="nodeName")
    conditions: list[Condition] = []
    system: System = msgspec.field(default_factory=System, name="guestOSInfo")
    moving: _Moving | None = msgspec.field(default=None, name="migrationState")
    memory: _Memory = msgspec.field(default_factory=_Memory)
    topology: _Topology = msgspec.field(default_factory=_Topology, name="currentCPUTopology")


class Machine(msgspec.Struct):
    """A VirtualMachineInstance, with the fields that are shown."""

    metadata: Meta
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: Status = msgspec.field(default_factory=Status)

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.metadata.namespace, self.metadata.name

    @property
    def vcpus(self) -> int:
        """The number of vCPUs: plugged in, otherwise requested; 0 if neither is reported."""
        domain = self.spec.domain
        if count := self.status.topology.count or domain.cpu.count:
            return count
        asked = domain.resources.limits.get("cpu") or domain.resources.requests.get("cpu")
        try:
            return -(-cpu_nanocores(asked) // NANOS) if asked else 0
        except ValueError:
            return 0

    @property
    def memory_bytes(self) -> float | None:
        """The guest's current memory; None if it is not reported."""
        try:
            return float(memory_bytes(self.status.memory.current)) if self.status.memory.current else None
        except ValueError:
            return None

    @property
    def target(self) -> str:
        """The node it is migrating to; "" if it is not migrating."""
        moving = self.status.moving
        under_way = moving is not None and not moving.completed and not moving.failed
        return moving.target if moving and under_way and moving.target != self.status.node else ""

    @property
    def state(self) -> str:
        """Migrating, Paused, or its phase."""
        if self.target:
            return "Migrating"
        if holds(self.status.conditions, "Paused"):
            return "Paused"
        return self.status.phase or "Unknown"

    @property
    def system(self) -> str:
        """The guest's operating system in its own words; "" without a guest agent."""
        found = self.status.system
        return found.pretty or " ".join(filter(None, (found.name, found.version)))


def find(client: Client, namespace: str | None, *, name: str | None = None, labels: str | None = None) -> list[Machine]:
    """The VirtualMachineInstances of a namespace, or of all, or one of them.

    Raises:
        NotFound: the one of that name.
        StatusError, ConnectionFailed, BadAnswer: as Client.get; 404 where KubeVirt is not installed.
    """
    scope = f"namespaces/{escape(namespace)}/" if namespace else ""
    for version in VERSIONS:
        path = f"/apis/kubevirt.io/{version}/{scope}{PLURAL}"
        try:
            if name:
                return [client.decode(f"{path}/{escape(name)}", decoder(Machine))]
            return list_all(client, path, decoder(ObjectList[Machine]), {"labelSelector": labels})
        except NotFound as error:
            # That the object is missing is an answer; that the version is, leads to the next one.
            if version == VERSIONS[-1] or (name and f'"{name}"' in error.message):
                raise
    raise AssertionError("the last version returns or raises")
