"""Who is who on the host: the account, the node and the price class of whatever a step has amounts of."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from kubectl_vmetrics.history.names import Identity
from kubectl_vmetrics.history.steps import Container
from kubectl_vmetrics.vcluster import naming
from kubectl_vmetrics.vcluster.identity import VClusterRef

from .account import Account, Kind, Owner

Key = tuple[str, str]
"""Host namespace, and a name there."""
CLAIM_OF_PLANE = "data-"
"""What the names of claims of vCluster's StatefulSet begin with, before the pod's."""
GPU_PRODUCTS = ("nvidia.com/gpu.product", "amd.com/gpu.product-name")
"""Labels of nodes with the model of their GPUs (GPU feature discovery of NVIDIA's and AMD's operators)."""


class Known(Protocol):
    """Names of host pods and claims; history.names.Names is one."""

    def innermost(self, namespace: str, pod: str) -> Identity:
        """Whose a pod is."""

    def of_claim(self, namespace: str, claim: str) -> Identity:
        """Whose a claim is."""

    def is_control_plane(self, namespace: str, pod: str) -> VClusterRef | None:
        """The virtual cluster whose control plane a pod is part of."""


_OF_DEPLOYMENT = re.compile(r"-[a-z0-9]{6,10}-[a-z0-9]{5}")
"""What follows a Deployment's name in the names of its pods."""
Workload = Callable[[str, str, Identity], tuple[str, str]]
"""Kind and name of the workload of a host pod, by the names of its owner."""


class Facts(NamedTuple):
    """What is known beside virtual names.

    Attributes:
        machines: the virtual machine (VirtualMachineInstance) of a virt-launcher pod.
        sizes: of virtual machines.
        tenants: Kamaji's tenant control planes.
        nodes: of pods.
        labels: of nodes.
        classes: storage classes of claims.
        owners: by host namespace.
        warnings: what could not be read.
        estimated: what is not exact, a sentence each.
    """

    machines: Mapping[Key, str] = {}
    sizes: Mapping[Key, str] = {}
    tenants: frozenset[Key] = frozenset()
    nodes: Mapping[Key, str] = {}
    labels: Mapping[str, Mapping[str, str]] = {}
    classes: Mapping[Key, str] = {}
    owners: Mapping[str, Owner] = {}
    warnings: tuple[str, ...] = ()
    estimated: tuple[str, ...] = ()


class HostDirectory:
    """A ledger's directory.

    Args:
        known: names of pods and claims.
        facts: what is known beside them.
        workload: kind and name of a pod's workload.
        pool: of a node, by its labels.
        detailed: whether workloads are told apart; else namespaces are the smallest accounts.
    """

    def __init__(
        self,
        known: Known,
        facts: Facts,
        workload: Workload,
        pool: Callable[[Mapping[str, str]], str] | None = None,
        *,
        detailed: bool = True,
    ) -> None:
        self._known = known
        self._facts = facts
        self._workload = workload
        self._pool = pool
        self._detailed = detailed
        self._places: dict[str, tuple[str, str]] = {}
        self._sizes: dict[Account, str] = {}

    def account(self, container: Container) -> Account:
        """The workload, virtual machine or control plane of a container."""
        namespace, pod = container.namespace, container.pod
        plane = self._known.is_control_plane(namespace, pod)
        if plane is not None:
            return Account(Kind.CONTROL_PLANE, plane, name=plane.name)
        identity = self._known.innermost(namespace, pod)
        machine = self._facts.machines.get((namespace, pod))
        if machine is not None:
            return self._machine(namespace, machine, identity)
        tenant = self._tenant(namespace, pod) if identity.vcluster is None else None
        if tenant is not None:
            return Account(Kind.CONTROL_PLANE, None, namespace, name=tenant)
        kind, name = self._workload(namespace, pod, identity)
        if identity.vcluster is not None:
            return self._workload_account(identity.vcluster, identity.namespace or "", kind, name)
        return self._workload_account(None, namespace, kind, name)

    def _tenant(self, namespace: str, pod: str) -> str | None:
        """The tenant control plane whose Deployment a host pod is of; Kamaji gives both one name."""
        found = [
            name
            for place, name in self._facts.tenants
            if place == namespace and pod.startswith(name) and _OF_DEPLOYMENT.fullmatch(pod, len(name))
        ]
        return max(found, key=len, default=None)

    def _workload_account(self, ref: VClusterRef | None, namespace: str, kind: str, name: str) -> Account:
        inside = (kind, name) if self._detailed else ("", "")
        return Account(Kind.WORKLOAD, ref, namespace, *inside)

    def _machine(self, namespace: str, name: str, identity: Identity) -> Account:
        """A virtual machine, by the names of its owner."""
        ref, own = identity.vcluster, name
        if ref is not None and identity.namespace:
            own = naming.virtual_name(name, identity.namespace, ref.name) or name
        account = Account(Kind.VM, ref, identity.namespace or namespace, "VirtualMachineInstance", own)
        self._sizes[account] = self._facts.sizes.get((namespace, name), "")
        return account

    def claimant(self, claim: Container) -> Account:
        """The account to which a volume claim is billed: itself, or the control plane that keeps its data in it."""
        namespace, name = claim.namespace, claim.pod
        if name.startswith(CLAIM_OF_PLANE):
            plane = self._known.is_control_plane(namespace, name.removeprefix(CLAIM_OF_PLANE))
            if plane is not None:
                return Account(Kind.CONTROL_PLANE, plane, name=plane.name)
        identity = self._known.of_claim(namespace, name)
        kind = "PersistentVolumeClaim"
        if identity.vcluster is not None:
            return self._workload_account(identity.vcluster, identity.namespace or "", kind, identity.name or name)
        return self._workload_account(None, namespace, kind, name)

    def place(self, container: Container) -> tuple[str, str]:
        """The pool of a container's node, and the model of that node's GPUs; "" where unknown."""
        node = self._facts.nodes.get((container.namespace, container.pod))
        return self.node(node) if node else ("", "")

    def node(self, name: str) -> tuple[str, str]:
        """The pool of a node, and the model of its GPUs."""
        found = self._places.get(name)
        if found is None:
            labels = self._facts.labels.get(name, {})
            model = next((labels[key] for key in GPU_PRODUCTS if labels.get(key)), "")
            found = self._places[name] = (self._pool(labels) if self._pool else "", model)
        return found

    def storage_class(self, claim: Container) -> str:
        """The storage class of a claim; "" if unknown."""
        return self._facts.classes.get((claim.namespace, claim.pod), "")

    def size(self, machine: Account) -> str:
        """The size of a virtual machine's guest; "" if unknown."""
        return self._sizes.get(machine, "")
