"""The ways in which Prometheus learns the virtual name of a host pod, and the series that hold these names.

Each way gives the same series, with the value 1, one per host pod or claim; everything else is joined with it. So a way
that fails costs the names and nothing else, and all rules but these two are the same for every way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from .expression import call, operation, over, relabeled, selector
from .labels import CLAIM, CLAIM_NAMES, HOST_CLAIM, HOST_POD, NAMESPACE_NAMES, OWNER, POD, POD_NAMES
from .record import Record
from .sources import Sources

LOOK_BACK = "10m"
"""How long a name is remembered: longer than kubelets' series outlive a pod (5m), or a restart of what serves names."""

Seen = Callable[[str], str]
"""From a selector to the series that are read of it: those now, or those of the last minutes."""


class Way(NamedTuple):
    """A way to learn names.

    Attributes:
        name: its name in --names.
        pods: the names of pods, from the sources; one series per host pod and virtual name.
        claims: the same for claims; None where claims have no names.
        witness: a selector of series that exist as long as names are served.
        virtual: whether it knows names inside the virtual cluster, not only the virtual cluster.
        flags: what kube-state-metrics must be started with.
    """

    name: str
    pods: Callable[[Sources, Seen], str]
    claims: Callable[[Sources, Seen], str] | None
    witness: Callable[[Sources], str]
    virtual: bool = True
    flags: Sequence[str] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that a pod gets."""
        return POD if self.virtual else OWNER


_MANAGED_BY, _NAMESPACE = "label_vcluster_loft_sh_managed_by", "label_vcluster_loft_sh_namespace"
_NAME, _KIND = "annotation_vcluster_loft_sh_object_name", "annotation_vcluster_loft_sh_object_kind"
_OWNING = 'owner_kind="Service"'
"""Synced pods are owned by the Service of their virtual cluster (vCluster's setOwner); no controller of Kubernetes lets
a Service own pods."""


def _pod_info(sources: Sources, seen: Seen) -> str:
    return over("group", (*HOST_POD, *POD), seen(selector("vcluster_pod_info", sources.names)))


def _claim_info(sources: Sources, seen: Seen) -> str:
    chosen = selector("vcluster_persistentvolumeclaim_info", sources.names)
    return over("group", (*HOST_CLAIM, *CLAIM), seen(chosen))


def _labeled_pods(sources: Sources, seen: Seen) -> str:
    # A tenant's view of the proxy has no vcluster_virtual_namespace: its namespace and pod are not the host's.
    chosen = selector("container_memory_working_set_bytes", sources.cadvisor, 'vcluster_virtual_namespace!=""')
    return over("group", (*HOST_POD, *POD), seen(chosen))


def _labeled_claims(sources: Sources, seen: Seen) -> str:
    named = 'vcluster_virtual_persistentvolumeclaim!=""'
    chosen = selector("kubelet_volume_stats_used_bytes", sources.kubelet, named)
    return over("group", (*HOST_CLAIM, *CLAIM), seen(chosen))


def _owned_pods(sources: Sources, seen: Seen) -> str:
    keys = (*HOST_POD, "owner_name")
    found = over("group", keys, seen(selector("kube_pod_owner", sources.state, _OWNING)))
    changes = ("vcluster_host_namespace", "namespace"), ("vcluster_name", "owner_name")
    return over("group", (*HOST_POD, *OWNER), relabeled(found, changes))


def _state_pods(sources: Sources, seen: Seen) -> str:
    # What the host makes of a synced object carries copies of its labels and annotations: virt-launcher those of its
    # virtual machine. It is the tenant's, but no pod of this name is inside.
    return _state("pod", HOST_POD, ("uid",), POD, sources, seen, kind=f'{_KIND}=~"|/v1, Kind=Pod"')


def _state_claims(sources: Sources, seen: Seen) -> str:
    return _state("persistentvolumeclaim", HOST_CLAIM, (), CLAIM, sources, seen)


def _state(
    what: str,
    keys: tuple[str, ...],
    identity: tuple[str, ...],
    virtual: tuple[str, ...],
    sources: Sources,
    seen: Seen,
    kind: str = "",
) -> str:
    """Labels of kube-state-metrics joined with its annotations; both are written by vCluster, and not by tenants.

    The label `vcluster.loft.sh/namespace` and the annotation `vcluster.loft.sh/object-name` are overwritten at each
    sync. The annotation `vcluster.loft.sh/name` is not: a tenant may write it, and it is not read.
    """
    exact = (*keys, *identity)
    labels = selector(f"kube_{what}_labels", sources.state, f'{_MANAGED_BY}!=""')
    annotations = selector(f"kube_{what}_annotations", sources.state, f'{_NAME}!=""', kind)
    owned = over("group", (*exact, _MANAGED_BY, _NAMESPACE), seen(labels))
    found = operation(
        owned,
        f"* on ({', '.join(exact)}) group_left ({_NAME})",
        over("topk", exact, "1", over("group", (*exact, _NAME), seen(annotations))),
    )
    found = operation(found, f"or on ({', '.join(exact)})", owned)
    host, name, space, own = virtual
    changes = (host, "namespace"), (name, _MANAGED_BY), (space, _NAMESPACE), (own, _NAME)
    return over("group", (*keys, *virtual), relabeled(found, changes))


_LABEL_KEYS = "vcluster.loft.sh/managed-by,vcluster.loft.sh/namespace"
_FLAGS = (
    f"--metric-labels-allowlist=pods=[{_LABEL_KEYS}],persistentvolumeclaims=[{_LABEL_KEYS}]",
    "--metric-annotations-allowlist=pods=[vcluster.loft.sh/object-name,vcluster.loft.sh/object-kind],"
    "persistentvolumeclaims=[vcluster.loft.sh/object-name]",
)

POD_INFO = Way("pod-info", _pod_info, _claim_info, lambda at: selector("vcluster_pod_info", at.names))
STATE = Way(
    "kube-state-metrics",
    _state_pods,
    _state_claims,
    lambda at: selector("kube_pod_labels", at.state, f'{_MANAGED_BY}!=""'),
    flags=_FLAGS,
)
LABELS = Way(
    "proxy-labels",
    _labeled_pods,
    _labeled_claims,
    lambda at: selector("container_memory_working_set_bytes", at.cadvisor, 'vcluster_virtual_namespace!=""'),
)
POD_OWNER = Way("pod-owner", _owned_pods, None, lambda at: selector("kube_pod_owner", at.state, _OWNING), virtual=False)
WAYS = {way.name: way for way in (POD_INFO, STATE, LABELS, POD_OWNER)}


def records(way: Way, sources: Sources) -> list[Record]:
    """The names of pods, of claims, and of host namespaces that belong to one virtual cluster."""
    found = [Record(POD_NAMES, _remembered(HOST_POD, lambda seen: way.pods(sources, seen)))]
    if way.claims:
        claims = way.claims
        found.append(Record(CLAIM_NAMES, _remembered(HOST_CLAIM, lambda seen: claims(sources, seen))))
    return [*found, Record(NAMESPACE_NAMES, _alone())]


def _remembered(keys: tuple[str, ...], names: Callable[[Seen], str]) -> str:
    """The names there are now, and those of the last minutes for whatever has none now; never two for one object.

    Two would fail the rules that join with them ("many-to-many matching not allowed"), for all pods.
    """
    now, recent = names(lambda text: text), names(lambda text: call("max_over_time", f"{text}[{LOOK_BACK}]"))
    return over("topk", keys, "1", operation(now, f"or on ({', '.join(keys)})", recent))


def _alone() -> str:
    keys = ("cluster", "namespace")
    owners = over("group", (*keys, *OWNER), POD_NAMES)
    return operation(owners, f"and on ({', '.join(keys)})", f"{over('count', keys, owners)} == 1")
