"""Rules, roles and bindings."""

from __future__ import annotations

from collections.abc import Sequence

from .bundle import Object

READ = ("get", "list")
WATCH = ("list", "watch")
FOLLOW = ("get", "list", "watch")
API_GROUP = "rbac.authorization.k8s.io"


def rule(group: str, resources: Sequence[str], verbs: Sequence[str]) -> Object:
    """A PolicyRule."""
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


def role(name: str, rules: Sequence[Object], *, namespace: str | None = None) -> Object:
    """A Role, or a ClusterRole where there is no namespace."""
    kind = "Role" if namespace else "ClusterRole"
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": f"{API_GROUP}/v1", "kind": kind, "metadata": metadata, "rules": list(rules)}


def binding(name: str, subject: Object, *, namespace: str | None = None) -> Object:
    """The binding of the role of that name: a RoleBinding, or a ClusterRoleBinding where there is no namespace."""
    kind = "Role" if namespace else "ClusterRole"
    return {
        "apiVersion": f"{API_GROUP}/v1",
        "kind": f"{kind}Binding",
        "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
        "roleRef": {"apiGroup": API_GROUP, "kind": kind, "name": name},
        "subjects": [subject],
    }


def service_account(name: str, namespace: str) -> Object:
    """A ServiceAccount as the subject of a binding."""
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}
