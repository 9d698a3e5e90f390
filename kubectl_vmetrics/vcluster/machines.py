"""Virtual machines of virtual clusters: host names of VirtualMachineInstances to the tenants' own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kubectl_vmetrics.kube.client import PARTIAL_LIST, Client, escape
from kubectl_vmetrics.kube.errors import StatusError
from kubectl_vmetrics.kube.lists import ObjectList, decoder, list_all

from . import naming
from .homes import Homes, warning
from .identity import Origin, VClusterRef
from .origins import MACHINES, Origins, Synced

Key = tuple[str, str]
_SANITIZED = {
    key: key.replace(".", "_").replace("/", "_").replace("-", "_") for key in (naming.MANAGED_BY, naming.NAMESPACE)
}


def names(client: Client, namespace: str | None, homes: Homes) -> tuple[dict[Key, Synced], str | None]:
    """The virtual names of the synced machines in a host namespace, or in all; empty if pods cannot be listed.

    Returns:
        The names, and a warning about machines whose labels do not prove whose they are.
    """
    scope = f"namespaces/{escape(namespace)}/" if namespace else ""
    origins = Origins(homes=homes)
    found: dict[Key, Synced] = {}
    try:
        listed: list[Origin] = list_all(
            client,
            f"/apis/kubevirt.io/v1/{scope}{MACHINES}",
            decoder(ObjectList[Origin]),
            {"labelSelector": naming.MANAGED_BY},
            accept=PARTIAL_LIST,
        )
    except StatusError:
        return {}, None
    for item in listed:
        origins.add(MACHINES, item)
    if homes.settle(client, origins.doubtful()):
        origins.rehome(homes)
    for item in listed:
        synced = origins.find(MACHINES, item.metadata.namespace, item.metadata.name)
        if synced:
            found[item.metadata.namespace, item.metadata.name] = synced
    return found, warning(origins.unproven(MACHINES), "machine", homes)


Home = Callable[[str, str], VClusterRef | None]
"""From a host namespace and the name of a virtual cluster to that, if it is proven."""


def by_labels(key: Key, labels: Mapping[str, str], homes: Callable[[], Home]) -> Synced | None:
    """The same from the labels of its series, whose keys are sanitized; None if the name is not conclusive."""
    vcluster, namespace = (labels.get(_SANITIZED[key]) for key in (naming.MANAGED_BY, naming.NAMESPACE))
    if not vcluster or not namespace:
        return None
    name = naming.virtual_name(key[1], namespace, vcluster)
    ref = homes()(key[0], vcluster)
    return Synced(ref, namespace, name) if name and ref else None
