"""The demo cluster's virtual machines, and the pods of KubeVirt itself."""

from __future__ import annotations

import hashlib
import uuid
from typing import NamedTuple

from kubectl_vmetrics.vcluster import naming

NAMESPACE = "kubevirt"
VERSION = "v1.9.0"
PORT = 8443
"""Where components serve /metrics."""


class Machine(NamedTuple):
    """A virtual machine.

    Attributes:
        busy: the share of its vCPUs' time that it uses.
        agent: whether a guest agent reports file systems; balloon: whether a balloon driver reports memory.
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
        return same_uid(f"{self.namespace}/{self.name}")

    @property
    def launcher(self) -> str:
        """The name of its virt-launcher pod."""
        return f"virt-launcher-{self.name}-{hashlib.sha256(self.uid.encode()).hexdigest()[:5]}"

    @property
    def labels(self) -> dict[str, str]:
        """Of its VirtualMachineInstance; KubeVirt's virt-handler finds its own by the first."""
        found = {"kubevirt.io/nodeName": self.node}
        if self.target:
            found["kubevirt.io/migrationTargetNodeName"] = self.target
        if self.vcluster:
            found |= {naming.MANAGED_BY: self.vcluster[0], naming.NAMESPACE: self.vcluster[1]}
        return found


def same_uid(text: str) -> str:
    """A uid that is the same for the same text."""
    return str(uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16]))


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

    @property
    def weight(self) -> int:
        """How busy it is, 1 to 7."""
        return sum(map(ord, self.name)) % 7 + 1

    @property
    def millicores(self) -> int:
        """On average."""
        return 4 * self.weight

    @property
    def mebibytes(self) -> int:
        """On average."""
        return 90 + 11 * self.weight


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
