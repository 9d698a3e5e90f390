"""Who a bill is for: accounts, from one workload up to a virtual cluster or an owner."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from kubectl_vmetrics.vcluster.identity import VClusterRef


class Kind(str, Enum):
    """What an account stands for."""

    VCLUSTER = "vcluster"
    NAMESPACE = "namespace"
    WORKLOAD = "workload"
    VM = "vm"
    CONTROL_PLANE = "controlplane"
    OWNER = "owner"
    SHARED = "shared"
    """The host's own pods, which serve all tenants."""
    IDLE = "idle"
    """Allocatable, and allocated to nobody."""
    OVERCOMMITTED = "overcommitted"
    """What was billed beyond allocatable; negative."""
    UNMEASURED = "unmeasured"
    """Allocatable while nothing was measured."""


BALANCE = (Kind.SHARED, Kind.IDLE, Kind.UNMEASURED, Kind.OVERCOMMITTED)
"""Rows of no tenant, in the order in which they end a bill."""


class By(str, Enum):
    """What the rows of a bill are: values of --by."""

    VCLUSTER = "vcluster"
    NAMESPACE = "namespace"
    WORKLOAD = "workload"
    VM = "vm"
    OWNER = "owner"


class Account(NamedTuple):
    """One account. Only the fields that its kind needs are set.

    Attributes:
        kind: what it stands for.
        vcluster: the virtual cluster; None on the host.
        namespace: the virtual namespace; without a virtual cluster, the host's.
        controller: the kind of workload, "Deployment"; "" if unknown.
        name: of the workload, the virtual machine, the control plane or the owner.
    """

    kind: Kind
    vcluster: VClusterRef | None = None
    namespace: str = ""
    controller: str = ""
    name: str = ""

    @property
    def tenant(self) -> bool:
        """Whether a tenant is billed for it."""
        return self.kind not in BALANCE

    @property
    def home(self) -> str:
        """The host namespace whose labels name the owner; "" if there is none."""
        base = self.vcluster
        while base is not None and base.parent is not None:
            base = base.parent
        return base.host_namespace if base else self.namespace

    @property
    def path(self) -> str:
        """A unique name, for tables and documents: team-a/vc1/shop/Deployment/frontend."""
        parts = [self.vcluster.path if self.vcluster else "", self.namespace, self.controller, self.name]
        if self.kind is Kind.CONTROL_PLANE and self.vcluster:
            parts = [self.vcluster.path, "control plane"]
        return "/".join(part for part in parts if part) or self.kind.value

    def within(self, vcluster: VClusterRef) -> bool:
        """Whether it belongs to a virtual cluster, or to one nested in it."""
        own = self.vcluster
        while own is not None:
            if own == vcluster:
                return True
            own = own.parent
        return False


class Owner(NamedTuple):
    """Who pays, from the labels of a host namespace; "" where there is no label.

    Attributes:
        name: a user, a team or a cost centre.
        project: the project in vCluster's Platform.
    """

    name: str = ""
    project: str = ""


NOBODY = Owner()


class Grouping:
    """Puts the smallest accounts (workloads, virtual machines, control planes) together, as --by says.

    A host pod is billed to its namespace if that namespace has an owner or runs virtual machines; every other host
    pod is shared.

    Args:
        by: what the rows are.
        owners: by host namespace, where there is a label.
        tenants: host namespaces that are billed although they have no owner.
    """

    def __init__(self, by: By, owners: Mapping[str, Owner], tenants: frozenset[str] = frozenset()) -> None:
        self._by = by
        self._owners = owners
        self._tenants = tenants

    def owner(self, account: Account) -> Owner:
        """Who pays for an account; nobody for the host's own."""
        return self._owners.get(account.home, NOBODY) if account.tenant else NOBODY

    def of(self, account: Account) -> Account:
        """The row to which one of the smallest accounts is added."""
        if self._is_shared(account):
            if self._by in (By.VCLUSTER, By.VM, By.OWNER):
                return Account(Kind.SHARED)
            inside = account.controller, account.name
            return Account(Kind.SHARED, None, account.namespace, *(inside if self._by is By.WORKLOAD else ()))
        if self._by is By.WORKLOAD:
            return account
        if self._by is By.OWNER:
            found = self.owner(account)
            return Account(Kind.OWNER, name=found.name or found.project)
        if account.kind is Kind.VM and self._by is By.VM:
            return account
        if account.kind is Kind.CONTROL_PLANE and (self._by is By.NAMESPACE or not account.vcluster):
            return account
        if account.vcluster and self._by is not By.NAMESPACE:
            return Account(Kind.VCLUSTER, account.vcluster)
        return Account(Kind.NAMESPACE, account.vcluster, account.namespace)

    def _is_shared(self, account: Account) -> bool:
        if account.vcluster or account.kind in (Kind.VM, Kind.CONTROL_PLANE):
            return False
        return account.namespace not in self._owners and account.namespace not in self._tenants
