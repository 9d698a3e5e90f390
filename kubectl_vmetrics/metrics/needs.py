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

COMMANDS: dict[str, Need] = {
    "top pods": Need(_POD_METRICS, (*_PODS, *_WORKLOADS, *_rights("", "namespaces", "list"))),
    "top nodes": Need(_NODES, (*_PODS, *_WORKLOADS)),
    "top vclusters": Need((*_POD_METRICS, *_PODS, *_WORKLOADS, *_rights(METRICS, "nodes", "list"))),
    "top namespaces": Need((*_POD_METRICS, *_PODS, *_WORKLOADS), _rights("", "namespaces", "list")),
    "top volumes": Need((*_KUBELETS, *_PODS, *_rights("", "persistentvolumeclaims", "list")), _WORKLOADS),
    "raw": Need((*_KUBELETS, *_PODS, *_rights("", "persistentvolumeclaims", "list")), _WORKLOADS),
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
        (*_rights("kamaji.clastix.io", "datastores kubeconfiggenerators", "list"), *_rights("", "pods/proxy", "get")),
    ),
    "targets": Need((*_KUBEVIRT[:2], *_rights("", "nodes", "list"), *_PLANES[:4])),
}
COMMANDS = {
    name: Need(tuple(dict.fromkeys(need.rights)), tuple(dict.fromkeys(need.optional)))
    for name, need in COMMANDS.items()
}
