"""Who may do what in the demo cluster: role-based access control, by the roles and bindings that it holds.

Words are those of k8s.io/apiserver pkg/endpoints/handlers/responsewriters/errors.go and of Kubernetes'
plugin/pkg/auth/authorizer/rbac.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from .attributes import Attributes
from .exchange import Refusal, User
from .objects import Object

_ACCOUNT = "system:serviceaccount:"


class Grant(NamedTuple):
    """Rules that a subject holds.

    Attributes:
        namespace: in which; "" for all and for what is in none.
        why: as SubjectAccessReviews tell it.
    """

    namespace: str
    rules: list[Object]
    why: str


class Authorizer:
    """Decides.

    Args:
        objects: roles and their bindings.
    """

    def __init__(self, objects: Iterable[Object]) -> None:
        self._roles: dict[tuple[str, str, str], list[Object]] = {}
        self._bindings: list[Object] = []
        self._held: dict[User, list[Grant]] = {}
        self.add(objects)

    def add(self, objects: Iterable[Object]) -> None:
        """Hold more of them; other kinds are left out."""
        for item in objects:
            meta = item["metadata"]
            if item["kind"] in ("Role", "ClusterRole"):
                self._roles[item["kind"], meta.get("namespace", ""), meta["name"]] = item.get("rules") or []
            elif item["kind"] in ("RoleBinding", "ClusterRoleBinding"):
                self._bindings.append(item)
        self._held.clear()

    def remove(self, objects: Iterable[Object]) -> None:
        """Hold them no more."""
        for item in objects:
            meta = item["metadata"]
            self._roles.pop((item["kind"], meta.get("namespace", ""), meta["name"]), None)
            self._bindings = [held for held in self._bindings if held != item]
        self._held.clear()

    def check(self, user: User, asked: Attributes) -> None:
        """Raises Refusal, code 403, for what the user may not do."""
        if self.why(user, asked) is None:
            raise _forbidden(user, asked)

    def why(self, user: User, asked: Attributes) -> str | None:
        """By which binding a user may do something; None where there is none."""
        for grant in self.grants(user):
            if grant.namespace in ("", asked.namespace) and any(_covers(rule, asked) for rule in grant.rules):
                return grant.why
        return None

    def grants(self, user: User) -> list[Grant]:
        """What a user holds."""
        if user not in self._held:
            self._held[user] = list(self._found(user))
        return self._held[user]

    def _found(self, user: User) -> Iterator[Grant]:
        for item in sorted(self._bindings, key=lambda item: item["kind"] != "ClusterRoleBinding"):
            namespace, reference = item["metadata"].get("namespace", ""), item["roleRef"]
            for subject in item.get("subjects") or []:
                told = _subject(user, subject, namespace)
                if told:
                    kind, name = reference["kind"], reference["name"]
                    rules = self._roles.get((kind, namespace if kind == "Role" else "", name), [])
                    own = item["metadata"]["name"] + (f"/{namespace}" if namespace else "")
                    why = f'RBAC: allowed by {item["kind"]} "{own}" of {kind} "{name}" to {told}'
                    yield Grant(namespace, rules, why)
                    break


def _subject(user: User, subject: Mapping[str, Any], namespace: str) -> str:
    """How a subject is called, if it is the user; otherwise nothing."""
    kind, name = subject["kind"], subject["name"]
    if kind == "User" and name == user.name:
        return f'User "{name}"'
    if kind == "Group" and name in user.groups:
        return f'Group "{name}"'
    space = subject.get("namespace") or namespace
    if kind == "ServiceAccount" and user.name == f"{_ACCOUNT}{space}:{name}":
        return f'ServiceAccount "{name}/{space}"'
    return ""


def _covers(rule: Object, asked: Attributes) -> bool:
    verbs = rule.get("verbs", [])
    if asked.verb not in verbs and "*" not in verbs:
        return False
    if not asked.resource:
        return any(_path(pattern, asked.path) for pattern in rule.get("nonResourceURLs", []))
    groups, resources, names = (rule.get(key, []) for key in ("apiGroups", "resources", "resourceNames"))
    anything = {"*", asked.combined, *([f"*/{asked.subresource}"] if asked.subresource else [])}
    return (
        (asked.group in groups or "*" in groups)
        and not anything.isdisjoint(resources)
        and (not names or asked.name in names)
    )


def _path(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern[:-1]))


def _forbidden(user: User, asked: Attributes) -> Refusal:
    if not asked.resource:
        return Refusal(403, "Forbidden", f'forbidden: User "{user.name}" cannot {asked.verb} path "{asked.path}"', {})
    full = f"{asked.resource}.{asked.group}" if asked.group else asked.resource
    what = f'{full} "{asked.name}"' if asked.name else full
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    message = (
        f'{what} is forbidden: User "{user.name}" cannot {asked.verb} resource "{asked.combined}" '
        f'in API group "{asked.group}" {where}'
    )
    details = {"name": asked.name, "group": asked.group, "kind": asked.resource}
    return Refusal(403, "Forbidden", message, {key: value for key, value in details.items() if value})
