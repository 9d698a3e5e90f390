"""The demo cluster's Prometheus, by its objects alone, and what leads it to KubeVirt."""

from __future__ import annotations

from functools import partial
from typing import Any

from kubectl_vmetrics.kube.discovery import ApiResource
from kubectl_vmetrics.kube.endpoints import SERVICE_LABEL

from . import machines, rbac
from .cluster import Container, DemoPod
from .exchange import Key
from .machines import Component, same_uid
from .objects import Object
from .world import DEPLOYMENTS, SERVICES, World

NAMESPACE = "monitoring"
ACCOUNT, OPERATOR = "prometheus-k8s", "prometheus-operator"
GROUP = "monitoring.coreos.com"
SERVICE = "kubevirt-prometheus-metrics"
LABELS = {"kubevirt.io": "", "prometheus.kubevirt.io": "true"}
PORT = {"name": "metrics", "port": 443, "targetPort": "metrics", "protocol": "TCP"}
_ROLE = "kubevirt-monitoring"
_OPERATOR_MINUTES = 50_000


def sign_up(world: World) -> None:
    """Hold Services, their addresses, accounts, roles, and the objects of the Prometheus Operator."""
    core, operator = partial(ApiResource, "", "v1"), partial(ApiResource, GROUP, "v1")
    prometheus = {"serviceAccountName": ACCOUNT, "serviceMonitorSelector": {}, "serviceMonitorNamespaceSelector": {}}
    world.add(core("serviceaccounts", "ServiceAccount", True, ("sa",)), [_account(ACCOUNT), _account(OPERATOR)])
    _run_operator(world)
    kind = operator("prometheuses", "Prometheus", True, ("prom",))
    world.add(kind, [_key(kind, NAMESPACE, "k8s", {}, spec=prometheus)])
    monitors = operator("servicemonitors", "ServiceMonitor", True, ("smon",))
    endpoints = core("endpoints", "Endpoints", True, ("ep",))
    slices = ApiResource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", True)
    for api in (SERVICES, monitors, endpoints, slices):
        world.add(api)
    if not world.cluster.machines:
        return
    space, listed = machines.NAMESPACE, machines.components([node.name for node in world.cluster.workers])
    service = {"selector": {"prometheus.kubevirt.io": "true"}, "clusterIP": "None", "ports": [PORT]}
    world.add(SERVICES, [_key(SERVICES, space, SERVICE, LABELS, spec=service)])
    world.add(endpoints, [_key(endpoints, space, SERVICE, LABELS, subsets=[_subset(listed)])])
    addresses = {
        "addressType": "IPv4",
        "ports": [{"name": "metrics", "port": machines.PORT, "protocol": "TCP"}],
        "endpoints": [_endpoint(item) for item in listed],
    }
    world.add(slices, [_key(slices, space, f"{SERVICE}-5kq7x", {**LABELS, SERVICE_LABEL: SERVICE}, **addresses)])
    world.add(monitors, [_monitor(monitors)])
    rules = [rbac.rule("", "services endpoints pods", "get list watch")]
    world.add(rbac.ROLES, [_key(rbac.ROLES, space, _ROLE, {}, rules=rules)])
    held = rbac.bound("RoleBinding", _ROLE, space, ("Role", _ROLE), (NAMESPACE, ACCOUNT))
    world.add(rbac.BINDINGS, [Key(space, _ROLE, {}, {}, lambda: held)])


def _account(name: str) -> Key:
    return _key(ApiResource("", "v1", "serviceaccounts", "ServiceAccount", True), NAMESPACE, name, {})


def _run_operator(world: World) -> None:
    """The Prometheus Operator, as kube-prometheus installs it."""
    labels = {"app.kubernetes.io/name": OPERATOR, "app.kubernetes.io/component": "controller"}
    image = f"quay.io/prometheus-operator/{OPERATOR}:v0.90.1"
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"serviceAccountName": OPERATOR, "containers": [{"name": OPERATOR, "image": image}]},
        },
    }
    status = {"replicas": 1, "readyReplicas": 1}
    world.add(DEPLOYMENTS, [_key(DEPLOYMENTS, NAMESPACE, OPERATOR, labels, spec=spec, status=status)])
    nodes, name, owner = world.cluster.workers, f"{OPERATOR}-6d5f9c7b8d-7x4kq", ("ReplicaSet", f"{OPERATOR}-6d5f9c7b8d")
    container = Container(OPERATOR, image, 8, 45)
    pod = DemoPod(
        NAMESPACE, name, same_uid(name), nodes[-1].name, labels, (container,), owner, None, 2.0, _OPERATOR_MINUTES
    )
    world.add_pod(pod, lambda: world.objects.pod(pod))


def _monitor(api: ApiResource) -> Key:
    """KubeVirt's own."""
    endpoint = {"port": "metrics", "scheme": "https", "tlsConfig": {"insecureSkipVerify": True}, "honorLabels": True}
    monitor = {
        "selector": {"matchLabels": {"prometheus.kubevirt.io": "true"}},
        "namespaceSelector": {"matchNames": [machines.NAMESPACE]},
        "endpoints": [endpoint],
    }
    own = {"k8s-app": "kubevirt", "prometheus.kubevirt.io": "true", "openshift.io/cluster-monitoring": ""}
    return _key(api, NAMESPACE, "prometheus-kubevirt-rules", own, spec=monitor)


def _key(api: ApiResource, namespace: str, name: str, labels: dict[str, str], **more: Any) -> Key:
    meta = {"name": name, "namespace": namespace, "labels": labels, "resourceVersion": "1000"}
    made: Object = {"kind": api.kind, "apiVersion": api.group_version, "metadata": meta, **more}
    return Key(namespace, name, labels, {}, lambda: dict(made))


def _target(item: Component) -> Object:
    return {"kind": "Pod", "name": item.name, "namespace": machines.NAMESPACE}


def _endpoint(item: Component) -> Object:
    return {
        "addresses": [item.address],
        "conditions": {"ready": True},
        "nodeName": item.node,
        "targetRef": _target(item),
    }


def _subset(listed: list[Component]) -> Object:
    addresses = [{"ip": item.address, "nodeName": item.node, "targetRef": _target(item)} for item in listed]
    return {"addresses": addresses, "ports": [{"name": "metrics", "port": machines.PORT, "protocol": "TCP"}]}
