"""What a service account may do in a namespace, as roles and their bindings say (rbac.authorization.k8s.io/v1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from .client import Client, escape
from .core import ObjectMeta
from .errors import NotFound
from .lists import ObjectList, decoder, list_all

PATH = "/apis/rbac.authorization.k8s.io/v1"


class Account(NamedTuple):
    """A ServiceAccount."""

    namespace: str
    name: str


class Rule(msgspec.Struct):
    """A PolicyRule."""

    groups: list[str] = msgspec.field(default=[], name="apiGroups")
    resources: list[str] = []
    names: list[str] = msgspec.field(default=[], name="resourceNames")
    verbs: list[str] = []

    def allows(self, group: str, resource: str, verb: str) -> bool:
        """Whether it allows a verb on every object of a resource."""
        return not self.names and _in(group, self.groups) and _in(resource, self.resources) and _in(verb, self.verbs)


class Role(msgspec.Struct):
    """A Role or ClusterRole."""

    metadata: ObjectMeta
    rules: list[Rule] | None = None


class _Subject(msgspec.Struct):
    kind: str = ""
    name: str = ""
    namespace: str = ""


class _Reference(msgspec.Struct):
    kind: str = ""
    name: str = ""


class Binding(msgspec.Struct):
    """A RoleBinding or ClusterRoleBinding."""

    metadata: ObjectMeta
    role: _Reference = msgspec.field(default_factory=_Reference, name="roleRef")
    subjects: list[_Subject] | None = None

    def binds(self, account: Account) -> bool:
        """Whether the account is one of its subjects, itself or by a group that it is always in."""
        user = f"system:serviceaccount:{account.namespace}:{account.name}"
        groups = ("system:authenticated", "system:serviceaccounts", f"system:serviceaccounts:{account.namespace}")
        return any(
            (item.kind == "ServiceAccount" and (item.namespace, item.name) == account)
            or (item.kind == "User" and item.name == user)
            or (item.kind == "Group" and item.name in groups)
            for item in self.subjects or []
        )


def rules(client: Client, account: Account, namespace: str) -> list[Rule]:
    """What is allowed to an account in a namespace. Raises as Client.get."""
    inside = f"{PATH}/namespaces/{escape(namespace)}"
    kind = decoder(ObjectList[Binding])
    bindings: list[Binding] = list_all(client, f"{inside}/rolebindings", kind)
    bindings += list_all(client, f"{PATH}/clusterrolebindings", kind)
    found: list[Rule] = []
    for reference in {(item.role.kind, item.role.name) for item in bindings if item.binds(account)}:
        where = f"{PATH}/clusterroles" if reference[0] == "ClusterRole" else f"{inside}/roles"
        try:
            role: Role = client.decode(f"{where}/{escape(reference[1])}", decoder(Role))
        except NotFound:
            continue  # a binding to a role that is gone grants nothing
        found += role.rules or []
    return found


def missing(found: Sequence[Rule], group: str, resources: Iterable[str], verbs: Sequence[str]) -> list[str]:
    """Those of some resources on which not all of these verbs are allowed."""
    return [
        resource
        for resource in resources
        if not all(any(rule.allows(group, resource, verb) for rule in found) for verb in verbs)
    ]


def _in(item: str, listed: Sequence[str]) -> bool:
    return item in listed or "*" in listed
