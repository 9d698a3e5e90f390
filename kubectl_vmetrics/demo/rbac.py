"""The demo cluster's roles and who holds them, as objects. `authorization` decides by them.

Roles are those of a cluster made with kubeadm, of metrics-server, and of people that a demonstration needs:

| user | may |
| --- | --- |
| kubernetes-admin | everything; who asks without credentials |
| viewer | read the whole cluster, but no Secrets and nothing through proxies |
| alice, dave, carol | the same in the namespace of the first, second, third virtual cluster |
| anybody else, such as nobody | discovery, and to ask what they may do |
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from kubectl_vmetrics.kube.discovery import ApiResource

from .exchange import ADMIN, Key, User
from .objects import Object
from .world import World

GROUP = "rbac.authorization.k8s.io"
ROLES = ApiResource(GROUP, "v1", "roles", "Role", True)
BINDINGS = ApiResource(GROUP, "v1", "rolebindings", "RoleBinding", True)
CLUSTER_ROLES = ApiResource(GROUP, "v1", "clusterroles", "ClusterRole", False)
CLUSTER_BINDINGS = ApiResource(GROUP, "v1", "clusterrolebindings", "ClusterRoleBinding", False)
KINDS = {api.kind: api for api in (ROLES, BINDINGS, CLUSTER_ROLES, CLUSTER_BINDINGS)}
TENANTS = ("alice", "dave", "carol")
"""The first of the virtual clusters is alice's, the next dave's, the next carol's."""
USERS = {name: User(name, ("system:authenticated",)) for name in ("viewer", *TENANTS, "nobody")} | {ADMIN.name: ADMIN}
"""Who has a token, `demo-NAME`."""

_AUTHENTICATED, _UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"
_PUBLIC = "/healthz /livez /readyz /version /version/"
_READ = "get list watch"


def rule(group: str, resources: str, verbs: str) -> Object:
    """A rule on resources, which are named in one string, as verbs are."""
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}


def _paths(paths: str, verbs: str = "get") -> Object:
    return {"nonResourceURLs": paths.split(), "verbs": verbs.split()}


_CLUSTER_ROLES: dict[str, list[Object]] = {
    "cluster-admin": [rule("*", "*", "*"), _paths("*", "*")],
    "prometheus-k8s": [rule("", "nodes/metrics", "get"), _paths("/metrics /metrics/slis")],
    "system:aggregated-metrics-reader": [rule("metrics.k8s.io", "nodes pods", _READ)],
    "system:auth-delegator": [
        rule("authentication.k8s.io", "tokenreviews", "create"),
        rule("authorization.k8s.io", "subjectaccessreviews", "create"),
    ],
    "system:basic-user": [
        rule("authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews", "create"),
        rule("authentication.k8s.io", "selfsubjectreviews", "create"),
    ],
    "system:discovery": [_paths(f"/api /api/* /apis /apis/* /openapi /openapi/* {_PUBLIC}")],
    "system:metrics-server": [rule("", "nodes/metrics", "get"), rule("", "nodes pods", _READ)],
    "system:monitoring": [_paths("/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*")],
    "system:public-info-viewer": [_paths(_PUBLIC)],
    "view": [
        rule("", "configmaps endpoints events persistentvolumeclaims pods serviceaccounts services", _READ),
        rule("", "namespaces pods/log pods/status", _READ),
        rule("apps", "daemonsets deployments replicasets statefulsets", _READ),
        rule("discovery.k8s.io", "endpointslices", _READ),
        rule("kubevirt.io", "kubevirts virtualmachineinstances virtualmachines", "get list"),
        rule("metrics.k8s.io", "nodes pods", _READ),
    ],
    "viewer": [rule("", "nodes", _READ), rule("kamaji.clastix.io", "datastores tenantcontrolplanes", _READ)],
}
_CLUSTER_BINDINGS = (
    ("cluster-admin", "cluster-admin", ("Group", "system:masters")),
    ("kubeadm:cluster-admins", "cluster-admin", ("Group", "kubeadm:cluster-admins")),
    ("metrics-server:system:auth-delegator", "system:auth-delegator", ("kube-system", "metrics-server")),
    ("prometheus-k8s", "prometheus-k8s", ("monitoring", "prometheus-k8s")),
    ("system:basic-user", "system:basic-user", ("Group", _AUTHENTICATED)),
    ("system:discovery", "system:discovery", ("Group", _AUTHENTICATED)),
    ("system:metrics-server", "system:metrics-server", ("kube-system", "metrics-server")),
    ("system:public-info-viewer", "system:public-info-viewer", ("Group", _AUTHENTICATED)),
    ("system:public-info-viewer:anonymous", "system:public-info-viewer", ("Group", _UNAUTHENTICATED)),
    ("viewer", "viewer", ("User", "viewer")),
    ("viewer:view", "view", ("User", "viewer")),
)


def sign_up(world: World) -> None:
    """Hold all of it."""
    for kind, api in KINDS.items():
        world.add(api, [_key(item) for item in objects(world) if item["kind"] == kind])


def objects(world: World) -> Iterator[Object]:
    """Roles and their bindings."""
    for name, rules in _CLUSTER_ROLES.items():
        yield held("ClusterRole", name, "", rules=rules)
    for name, role, subject in _CLUSTER_BINDINGS:
        yield bound("ClusterRoleBinding", name, "", ("ClusterRole", role), subject)
    for name, vcluster in zip(TENANTS, world.cluster.vclusters, strict=False):
        yield bound("RoleBinding", name, vcluster.namespace, ("ClusterRole", "view"), ("User", name))


def held(kind: str, name: str, namespace: str, **more: Any) -> Object:
    """A role or a binding."""
    space = {"namespace": namespace} if namespace else {}
    return {
        "kind": kind,
        "apiVersion": f"{GROUP}/v1",
        "metadata": {"name": name, **space, "labels": {}, "resourceVersion": "1000"},
        **more,
    }


def bound(kind: str, name: str, namespace: str, role: tuple[str, str], subject: tuple[str, str]) -> Object:
    """A binding of a role, by its kind and name, to a subject: (User or Group, name), or a service account."""
    if subject[0] in ("User", "Group"):
        who = {"kind": subject[0], "apiGroup": GROUP, "name": subject[1]}
    else:
        who = {"kind": "ServiceAccount", "namespace": subject[0], "name": subject[1]}
    reference = {"apiGroup": GROUP, "kind": role[0], "name": role[1]}
    return held(kind, name, namespace, roleRef=reference, subjects=[who])


def _key(item: Object) -> Key:
    meta = item["metadata"]
    return Key(meta.get("namespace", ""), meta["name"], meta["labels"], {}, partial(dict, item))
