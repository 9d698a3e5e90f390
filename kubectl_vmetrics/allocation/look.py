"""Reads what a bill needs beside amounts and names: machines, nodes, storage classes, owners."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from kubectl_vmetrics.controlplane import kamaji
from kubectl_vmetrics.history.names import Names
from kubectl_vmetrics.history.ways import Asked
from kubectl_vmetrics.history.window import Window
from kubectl_vmetrics.kube import core
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import NotFound, VmetricsError
from kubectl_vmetrics.kubevirt import machines
from kubectl_vmetrics.prometheus.api import Prometheus

from .account import Owner
from .directory import GPU_PRODUCTS, Facts, Key

PROJECT, USER = "loft.sh/project", "loft.sh/user"
"""Labels that vCluster's Platform gives to the namespaces of virtual clusters and spaces."""
_GPUS = "nvidia_com_gpu|amd_com_gpu"
_MEBI = 1 << 20
_T = TypeVar("_T")


def read(
    server: Prometheus, window: Window, names: Names, client: Client | None, *, label: str = USER, pools: bool = False
) -> Facts:
    """Facts from a Prometheus, and from the live cluster where it knows more. Raises as Prometheus.query.

    Args:
        server: to ask.
        window: of time.
        names: of the same window.
        client: the host; None to leave it alone.
        label: of namespaces, with the owner.
        pools: whether nodes of all pods are needed; else those of pods with GPUs.
    """
    asked, warnings = Asked(server, names.jobs, window), list[str]()
    state = names.jobs.state
    launchers = {
        (found.get("namespace", ""), found.get("pod", "")): found.get("owner_name", "")
        for found in asked.labels(
            f'kube_pod_owner{{{state},owner_kind="VirtualMachineInstance"}}', ("namespace", "pod", "owner_name")
        )
    }
    classes = {
        (found.get("namespace", ""), found.get("persistentvolumeclaim", "")): found.get("storageclass", "")
        for found in asked.labels(
            f'kube_persistentvolumeclaim_info{{{state},storageclass!=""}}',
            ("namespace", "persistentvolumeclaim", "storageclass"),
        )
    }
    nodes, estimated = _nodes(asked, state, pools=pools)
    labels: dict[str, dict[str, str]] = {}
    if nodes:
        keys = GPU_PRODUCTS
        for found in asked.labels(f"kube_node_labels{{{state}}}", ("node", *map(sanitized, keys))):
            labels[found.get("node", "")] = {key: found.get(sanitized(key), "") for key in keys}
    owners = _owners(asked, state, label)
    facts = Facts(launchers, {}, frozenset(), nodes, labels, classes, owners, (), estimated)
    if client is None:
        return facts
    facts = with_live(client, facts, label=label, nodes=pools or bool(nodes), warn=warnings.append)
    return facts._replace(warnings=tuple(warnings))


def with_live(
    client: Client, facts: Facts, *, label: str, nodes: bool, warn: Callable[[str], object] = lambda _: None
) -> Facts:
    """The same, with what the live cluster knows."""

    def tried(what: str, ask: Callable[[], _T], otherwise: _T) -> _T:
        try:
            return ask()
        except NotFound:
            return otherwise  # KubeVirt or Kamaji is not installed
        except VmetricsError as error:
            warn(f"{what}: {error.message}")
            return otherwise

    nothing: dict[Key, str] = {}
    unlabeled: dict[str, dict[str, str]] = {}
    none: list[core.Node] = []
    sizes = tried("sizes of virtual machines are not available", lambda: sizes_of(machines.find(client, None)), nothing)
    tenants = tried("tenant control planes cannot be listed", lambda: _tenants(client), frozenset[Key]())
    named = tried("labels of namespaces are not available", lambda: core.labels_of_namespaces(client), unlabeled)
    owners = {**facts.owners, **owners_of(named, label)}
    labels = dict(facts.labels)
    if nodes:
        listed = tried("labels of nodes are not available", lambda: core.nodes(client), none)
        labels |= {node.metadata.name: node.metadata.labels for node in listed}
    return facts._replace(sizes=sizes, tenants=tenants, owners=owners, labels=labels)


def sanitized(label: str) -> str:
    """The label of a series in which kube-state-metrics has a label of an object."""
    return "label_" + re.sub(r"[^A-Za-z0-9_]", "_", label)


def sizes_of(found: Iterable[machines.Machine]) -> dict[Key, str]:
    """The sizes of guests, as far as they are reported."""
    sizes = {}
    for machine in found:
        parts = [f"{machine.vcpus} CPU{'' if machine.vcpus == 1 else 's'}"] if machine.vcpus else []
        memory = machine.memory_bytes
        if memory:
            mebibytes = round(memory / _MEBI)
            parts.append(f"{mebibytes // 1024}Gi" if mebibytes % 1024 == 0 else f"{mebibytes}Mi")
        sizes[machine.key] = ", ".join(parts)
    return sizes


def owners_of(labels: dict[str, dict[str, str]], label: str) -> dict[str, Owner]:
    """Owners by namespace, where there is a label."""
    found = {name: Owner(item.get(label, ""), item.get(PROJECT, "")) for name, item in labels.items()}
    return {name: owner for name, owner in found.items() if any(owner)}


def _tenants(client: Client) -> frozenset[Key]:
    api = kamaji.served(client)
    return frozenset((plane.namespace, plane.name) for plane in kamaji.find(client, None, api)) if api else frozenset()


def _nodes(asked: Asked, state: str, *, pools: bool) -> tuple[dict[Key, str], tuple[str, ...]]:
    """The last node of each pod."""
    chosen = f'kube_pod_container_resource_requests{{{state},resource=~"{_GPUS}",node!=""}}'
    if pools:
        chosen = f'kube_pod_info{{{state},node!=""}}'
    nodes: dict[Key, str] = {}
    moved = set()
    for found in asked.labels(chosen, ("namespace", "pod", "node")):
        key = found.get("namespace", ""), found.get("pod", "")
        if nodes.setdefault(key, found.get("node", "")) != found.get("node", ""):
            moved.add(key)
    if not moved:
        return nodes, ()
    subject = "1 pod ran" if len(moved) == 1 else f"{len(moved)} pods ran"
    return nodes, (f"{subject} on several nodes under one name; each is billed at the prices of one of them",)


def _owners(asked: Asked, state: str, label: str) -> dict[str, Owner]:
    keys: Sequence[str] = (sanitized(label), sanitized(PROJECT))
    found = {}
    for item in asked.labels(f"kube_namespace_labels{{{state}}}", ("namespace", *keys)):
        owner = Owner(item.get(keys[0], ""), item.get(keys[1], ""))
        if any(owner):
            found[item.get("namespace", "")] = owner
    return found
