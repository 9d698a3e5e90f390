"""The embedded cluster's Prometheus, by its objects alone, and what leads it to KubeVirt."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from kubectl_vmetrics.kube.discovery import ApiResource
from kubectl_vmetrics.kube.endpoints import SERVICE_LABEL

from . import kubevirt
from .exchange import Key, Resource
from .kubevirt import Component
from .objects import Object

NAMESPACE = "monitoring"
ACCOUNT, OPERATOR = "prometheus-k8s", "prometheus-operator"
GROUP, RBAC = "monitoring.coreos.com", "rbac.authorization.k8s.io"
SERVICE = "kubevirt-prometheus-metrics"
LABELS = {"kubevirt.io": "", "prometheus.kubevirt.io": "true"}
PORT = {"name": "metrics", "port": 443, "targetPort": "metrics", "protocol": "TCP"}


def resources(components: Iterable[Component], services: list[Key]) -> list[Resource]:
    """Services, their addresses, accounts, roles, and the objects of the Prometheus Operator."""
    listed = list(components)
    core, rbac, operator = (
        partial(ApiResource, "", "v1"),
        partial(ApiResource, RBAC, "v1"),
        partial(ApiResource, GROUP, "v1"),
    )
    space = kubevirt.NAMESPACE
    there = bool(listed)
    service = {"selector": {"prometheus.kubevirt.io": "true"}, "clusterIP": "None", "ports": [PORT]}
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
    reference = {"apiGroup": RBAC, "kind": "Role", "name": "kubevirt-monitoring"}
    rule = {"apiGroups": [""], "resources": ["services", "endpoints", "pods"], "verbs": ["get", "list", "watch"]}
    endpoint = {"port": "metrics", "scheme": "https", "tlsConfig": {"insecureSkipVerify": True}, "honorLabels": True}
    monitor = {
        "selector": {"matchLabels": {"prometheus.kubevirt.io": "true"}},
        "namespaceSelector": {"matchNames": [space]},
        "endpoints": [endpoint],
    }
    prometheus = {"serviceAccountName": ACCOUNT, "serviceMonitorSelector": {}, "serviceMonitorNamespaceSelector": {}}
    own = {"k8s-app": "kubevirt", "prometheus.kubevirt.io": "true", "openshift.io/cluster-monitoring": ""}
    made = _resource(core("services", "Service", True), there, space, SERVICE, LABELS, spec=service)
    of_kubevirt = made.entries(None)
    return [
        Resource(core("services", "Service", True, ("svc",)), _among([*of_kubevirt, *services])),
        _resource(
            core("endpoints", "Endpoints", True, ("ep",)), there, space, SERVICE, LABELS, subsets=[_subset(listed)]
        ),
        _resource(
            ApiResource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", True),
            there,
            space,
            f"{SERVICE}-5kq7x",
            {**LABELS, SERVICE_LABEL: SERVICE},
            addressType="IPv4",
            ports=[{"name": "metrics", "port": kubevirt.PORT, "protocol": "TCP"}],
            endpoints=[_endpoint(item) for item in listed],
        ),
        Resource(
            core("serviceaccounts", "ServiceAccount", True, ("sa",)), _among([_account(ACCOUNT), _account(OPERATOR)])
        ),
        _resource(rbac("roles", "Role", True), there, space, "kubevirt-monitoring", {}, rules=[rule]),
        _resource(
            rbac("rolebindings", "RoleBinding", True),
            there,
            space,
            "kubevirt-monitoring",
            {},
            roleRef=reference,
            subjects=[subject],
        ),
        _resource(rbac("clusterroles", "ClusterRole", False), False, "", "", {}),
        _resource(rbac("clusterrolebindings", "ClusterRoleBinding", False), False, "", "", {}),
        _resource(
            operator("servicemonitors", "ServiceMonitor", True, ("smon",)),
            there,
            NAMESPACE,
            "prometheus-kubevirt-rules",
            own,
            spec=monitor,
        ),
        _resource(operator("prometheuses", "Prometheus", True, ("prom",)), True, NAMESPACE, "k8s", {}, spec=prometheus),
    ]


def deployments() -> list[Key]:
    """The Prometheus Operator, as kube-prometheus installs it."""
    labels = {"app.kubernetes.io/name": OPERATOR, "app.kubernetes.io/component": "controller"}
    image = f"quay.io/prometheus-operator/{OPERATOR}:v0.90.1"
    pod = {"serviceAccountName": OPERATOR, "containers": [{"name": OPERATOR, "image": image}]}
    meta = {"name": OPERATOR, "namespace": NAMESPACE, "labels": labels, "resourceVersion": "1000"}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}}
    made = {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": meta,
        "spec": {**spec, "template": {"metadata": {"labels": labels}, "spec": pod}},
        "status": {"replicas": 1, "readyReplicas": 1},
    }
    return [Key(NAMESPACE, OPERATOR, labels, {}, lambda: dict(made))]


def _account(name: str) -> Key:
    meta = {"name": name, "namespace": NAMESPACE, "labels": {}, "resourceVersion": "1000"}
    return Key(NAMESPACE, name, {}, {}, lambda: {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": meta})


def _resource(
    api: ApiResource, there: bool, namespace: str, name: str, labels: dict[str, str], **more: Any
) -> Resource:
    """A kind of which there is one object, or none."""
    made: Object = {"kind": api.kind, "apiVersion": api.group_version}
    meta = {
        "name": name,
        **({"namespace": namespace} if namespace else {}),
        "labels": labels,
        "resourceVersion": "1000",
    }
    key = Key(namespace, name, labels, {}, lambda: {**made, "metadata": meta, **more})
    return Resource(api, _among([key] if there else []))


def _among(keys: list[Key]) -> Callable[[str | None], list[Key]]:
    return lambda namespace: [key for key in keys if namespace in (None, key.namespace)]


def _target(item: Component) -> Object:
    return {"kind": "Pod", "name": item.name, "namespace": kubevirt.NAMESPACE}


def _endpoint(item: Component) -> Object:
    return {
        "addresses": [item.address],
        "conditions": {"ready": True},
        "nodeName": item.node,
        "targetRef": _target(item),
    }


def _subset(listed: list[Component]) -> Object:
    addresses = [{"ip": item.address, "nodeName": item.node, "targetRef": _target(item)} for item in listed]
    return {"addresses": addresses, "ports": [{"name": "metrics", "port": kubevirt.PORT, "protocol": "TCP"}]}
