"""What each command needs to be allowed, so that it can be looked up, asked for, and granted."""

from __future__ import annotations

from typing import NamedTuple

from kubectl_vmetrics.kube.access import Right

METRICS = "metrics.k8s.io"


class Need(NamedTuple):
    """Rights of a command.

    Attributes:
        rights: all that it asks for.
        optional: without which it shows less, and says so.
    """

    rights: tuple[Right, ...]
    optional: tuple[Right, ...] = ()


def _rights(group: str, resources: str, *verbs: str) -> tuple[Right, ...]:
    return tuple(Right(group, resource, verb) for resource in resources.split() for verb in verbs)


_POD_METRICS = _rights(METRICS, "pods", "get", "list")
_NODES = (*_rights(METRICS, "nodes", "get", "list"), *_rights("", "nodes", "get", "list"))
_PODS = _rights("", "pods", "get", "list")
_WORKLOADS = _rights("apps", "statefulsets deployments", "list")
_KUBELETS = (*_rights("", "nodes/proxy", "get"), *_rights("", "nodes", "get", "list"))
_KUBEVIRT = (
    *_rights("kubevirt.io", "kubevirts", "list"),
    *_rights("", "pods", "list"),
    *_rights("", "pods/proxy", "get"),
)
_PLANES = (
    *_rights("kamaji.clastix.io", "tenantcontrolplanes", "list"),
    *_WORKLOADS,
    *_rights("", "pods", "list"),
    *_rights("", "pods/portforward", "create"),
    *_rights("", "secrets", "get"),
)

_STORES = (
    *_rights("kamaji.clastix.io", "datastores kubeconfiggenerators", "list"),
    # Of datastores whose endpoints are Services.
    *_rights("discovery.k8s.io", "endpointslices", "list"),
)

_SPACES = _rights("", "namespaces", "list")
_CLAIMS = _rights("", "persistentvolumeclaims", "list")
_HOST = _rights("", "nodes", "list")

COMMANDS: dict[str, Need] = {
    "top pods": Need(_POD_METRICS, (*_PODS, *_WORKLOADS, *_SPACES)),
    "top nodes": Need(_NODES, (*_PODS, *_WORKLOADS, *_SPACES, *_rights(METRICS, "pods", "list"))),
    "top vclusters": Need((*_POD_METRICS, *_WORKLOADS), (*_SPACES, *_HOST)),
    "top namespaces": Need((*_POD_METRICS, *_WORKLOADS), (*_SPACES, *_HOST)),
    "top volumes": Need((*_KUBELETS, *_PODS, *_CLAIMS), _SPACES),
    "raw": Need((*_KUBELETS[:1], *_PODS, *_CLAIMS), (*_WORKLOADS, *_SPACES)),
    "proxy": Need(
        (
            *_KUBELETS,
            *_NODES,
            *_POD_METRICS,
            *_WORKLOADS,
            *_rights("", "pods persistentvolumeclaims", "get", "list", "watch"),
            *_rights("", "namespaces", "list", "watch"),
        )
    ),
    "vmi": Need(
        (*_KUBEVIRT, *_rights("kubevirt.io", "virtualmachineinstances", "list")),
        (*_POD_METRICS, *_WORKLOADS),
    ),
    "components": Need(_KUBEVIRT),
    "controlplanes": Need(
        _PLANES,
        (*_STORES, *_rights("", "pods/proxy", "get")),
    ),
    "targets": Need((*_KUBEVIRT[:2], *_HOST, *_PLANES[:4]), _STORES),
}
COMMANDS = {
    name: Need(tuple(dict.fromkeys(need.rights)), tuple(dict.fromkeys(need.optional)))
    for name, need in COMMANDS.items()
}
