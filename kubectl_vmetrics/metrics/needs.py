"""The rights that each command needs, to check, explain and grant them."""

from __future__ import annotations

from typing import NamedTuple

from kubectl_vmetrics.kube.access import Right

METRICS = "metrics.k8s.io"
CLUSTER_WIDE = {
    ("", "nodes"),
    ("", "nodes/proxy"),
    ("", "namespaces"),
    ("metrics.k8s.io", "nodes"),
    ("kamaji.clastix.io", "datastores"),
    ("kamaji.clastix.io", "kubeconfiggenerators"),
}
"""What is in no namespace, so that a Role cannot allow it."""


class Need(NamedTuple):
    """Rights of a command.

    Attributes:
        rights: all rights it uses.
        optional: those without which it shows less, and says so.
    """

    rights: tuple[Right, ...]
    optional: tuple[Right, ...] = ()


def _rights(group: str, resources: str, *verbs: str) -> tuple[Right, ...]:
    return tuple(Right(group, resource, verb) for resource in resources.split() for verb in verbs)


_POD_METRICS = _rights(METRICS, "pods", "list")
_PODS = _rights("", "pods", "list")
_ONE_OR_ALL = ("get", "list")
_NODES = (*_rights(METRICS, "nodes", *_ONE_OR_ALL), *_rights("", "nodes", *_ONE_OR_ALL))
_WORKLOADS = _rights("apps", "statefulsets deployments", "list")
_SPACES = _rights("", "namespaces", "list")
_CLAIMS = _rights("", "persistentvolumeclaims", "list")
_HOST = _rights("", "nodes", "list")
_KUBELETS = _rights("", "nodes/proxy", "get")
_HELD = (*_PODS, *_CLAIMS, *_rights("", "resourcequotas", "list"), *_KUBELETS)
_HANDLERS = (*_rights("kubevirt.io", "kubevirts", "list"), *_PODS, *_rights("", "pods/proxy", "get"))
_GENERATORS = _rights("kamaji.clastix.io", "kubeconfiggenerators", "list")
_STORES = (
    *_rights("kamaji.clastix.io", "datastores", "list"),
    *_rights("discovery.k8s.io", "endpointslices", "list"),  # of those whose endpoints are Services
)
# Of tenants' Secrets. `top` tries to read vc-config-NAME of old virtual clusters as well, which is not worth the right:
# --target-namespace says the same.
_SECRETS = _rights("", "secrets", "get")
_FORWARD = _rights("", "pods/portforward", "get", "create")
"""A port-forward is a WebSocket, which is a GET; since Kubernetes 1.35 it takes the right to create as well, as the
POST of older clients does (kubernetes/kubernetes pkg/registry/core/pod/rest, gate
AuthorizePodWebsocketUpgradeCreatePermission)."""
_PLANES = (*_rights("kamaji.clastix.io", "tenantcontrolplanes", "list"), *_WORKLOADS, *_PODS, *_STORES)

_PROMETHEUS = (
    *_rights("", "services pods", "list"),
    *_rights("", "services/proxy", "get"),
    *_WORKLOADS,
    *_rights("apps", "daemonsets", "list"),
    *_rights("", "configmaps", "get"),  # of OpenTelemetry collectors
)

_FOUND = (*_rights("", "services pods", "list"), *_rights("", "services/proxy", "get"))
_JUDGED = _rights("kamaji.clastix.io", "tenantcontrolplanes", "list")
"""Beside those of virtual clusters, to know the namespaces of tenants."""
COMMANDS: dict[str, Need] = {
    "top pods": Need(
        _rights(METRICS, "pods", *_ONE_OR_ALL), (*_rights("", "pods", *_ONE_OR_ALL), *_WORKLOADS, *_SPACES)
    ),
    "top nodes": Need(_NODES, (*_PODS, *_WORKLOADS, *_SPACES, *_POD_METRICS)),
    "top vclusters": Need((*_POD_METRICS, *_WORKLOADS), (*_SPACES, *_HOST)),
    "top vclusters --private-nodes": Need(
        (*_POD_METRICS, *_WORKLOADS, *_PODS, *_FORWARD, *_SECRETS), (*_SPACES, *_HOST)
    ),
    "top namespaces": Need((*_POD_METRICS, *_WORKLOADS), (*_SPACES, *_HOST)),
    "top vclusters -o wide": Need(
        (*_POD_METRICS, *_WORKLOADS), (*_SPACES, *_HOST, *_HELD, *_rights("", "pods/proxy", "get"))
    ),
    "top namespaces -o wide": Need(
        (*_POD_METRICS, *_WORKLOADS), (*_SPACES, *_HOST, *_HELD, *_rights("", "pods/proxy", "get"))
    ),
    "top pods --network": Need(
        (*_rights(METRICS, "pods", *_ONE_OR_ALL), *_PODS, *_KUBELETS),
        (*_rights("", "pods", "get"), *_WORKLOADS, *_SPACES),
    ),
    "top vclusters --network": Need((*_POD_METRICS, *_WORKLOADS, *_PODS, *_KUBELETS), (*_SPACES, *_HOST)),
    "top volumes": Need((*_KUBELETS, *_HOST, *_PODS), (*_CLAIMS, *_WORKLOADS, *_SPACES)),
    "top gpus": Need((*_HOST, *_PODS, *_rights("", "pods/proxy", "get")), (*_CLAIMS, *_WORKLOADS, *_SPACES)),
    "top pods --gpu": Need(
        (*_POD_METRICS, *_HOST, *_PODS, *_rights("", "pods/proxy", "get")),
        (*_rights("", "pods", "get"), *_WORKLOADS, *_SPACES),
    ),
    "top pods --source=kubelet": Need((*_KUBELETS, *_PODS), (*_rights("", "pods", "get"), *_WORKLOADS, *_SPACES)),
    "top nodes --source=kubelet": Need(
        (*_KUBELETS, *_rights("", "nodes", *_ONE_OR_ALL)), (*_PODS, *_WORKLOADS, *_SPACES)
    ),
    "raw": Need((*_KUBELETS, *_PODS), (*_CLAIMS, *_WORKLOADS, *_SPACES)),
    "proxy": Need(
        (
            *_KUBELETS,
            *_NODES,
            *_rights(METRICS, "pods", *_ONE_OR_ALL),
            *_WORKLOADS,
            *_rights("", "pods persistentvolumeclaims", "get", "list", "watch"),
            *_rights("", "namespaces", "list", "watch"),
        )
    ),
    "proxy --only-names": Need((*_rights("", "pods persistentvolumeclaims namespaces", "list", "watch"), *_WORKLOADS)),
    "vmi": Need((*_HANDLERS, *_rights("kubevirt.io", "virtualmachineinstances", "list")), (*_POD_METRICS, *_WORKLOADS)),
    "components": Need(_HANDLERS),
    "controlplanes": Need((*_PLANES, *_FORWARD, *_SECRETS, *_rights("", "pods/proxy", "get")), _GENERATORS),
    "explain": Need(
        _rights("", "pods", "get"),
        (
            *_rights(METRICS, "pods", "get"),
            *_KUBELETS,
            *_PODS,
            *_WORKLOADS,
            *_SPACES,
            *_rights("", "services", "list"),
            *_rights("", "services/proxy", "get"),
            *_rights("monitoring.coreos.com", "prometheuses", "list"),
            *_JUDGED,
        ),
    ),
    "history": Need(
        _FOUND,
        (*_WORKLOADS, *_SPACES, *_rights("monitoring.coreos.com", "prometheuses", "list"), *_JUDGED),
    ),
    "rightsize": Need(
        _FOUND,
        (*_WORKLOADS, *_SPACES, *_PODS, *_rights("monitoring.coreos.com", "prometheuses", "list"), *_JUDGED),
    ),
    "bill": Need(
        _FOUND,
        (
            *_WORKLOADS,
            *_SPACES,
            *_PODS,
            *_HOST,
            *_rights("kamaji.clastix.io", "tenantcontrolplanes", "list"),
            *_GENERATORS,
            *_rights("kubevirt.io", "virtualmachineinstances", "list"),
            *_rights("monitoring.coreos.com", "prometheuses", "list"),
        ),
    ),
    "report": Need(
        _FOUND,
        (
            *_PLANES,
            *_FORWARD,
            *_SECRETS,
            *_rights("", "pods/proxy", "get"),
            *_GENERATORS,
            *_WORKLOADS,
            *_SPACES,
            *_PODS,
            *_HOST,
            *_rights("kubevirt.io", "virtualmachineinstances", "list"),
            *_rights("monitoring.coreos.com", "prometheuses", "list"),
        ),
    ),
    "targets": Need((*_rights("kubevirt.io", "kubevirts", "list"), *_HOST, *_PLANES), (*_GENERATORS, *_SECRETS)),
    "targets prometheus": Need(
        _FOUND,
        (*_rights("monitoring.coreos.com", "prometheuses", "list"), *_SPACES, *_WORKLOADS, *_JUDGED),
    ),
    "doctor prometheus": Need(
        _PROMETHEUS,
        (*_rights("monitoring.coreos.com", "prometheuses", "list"), *_HOST, *_SPACES, *_WORKLOADS, *_JUDGED),
    ),
}
COMMANDS = {
    name: Need(tuple(dict.fromkeys(need.rights)), tuple(dict.fromkeys(need.optional)))
    for name, need in COMMANDS.items()
}
