"""The workload behind a pod, by its name where the pod ran: inside its virtual cluster, or on the host.

Of live pods, the owner is known: vCluster's syncer writes the virtual one to an annotation of the host pod
(pkg/controllers/resources/pods/translate), and kube-state-metrics exports the host's (kube_pod_owner). The name of a
pod that is gone still shows what made it (k8s.io/apimachinery pkg/util/rand, pkg/controller/controller_utils.go).
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from kubectl_vmetrics.kube.client import PARTIAL_LIST, Client
from kubectl_vmetrics.kube.errors import VmetricsError
from kubectl_vmetrics.kube.lists import ObjectList, decoder, list_all, pods_path
from kubectl_vmetrics.prometheus.api import Prometheus
from kubectl_vmetrics.vcluster import naming

from .names import Identity, Names
from .ways import Asked
from .window import Window

DEPLOYMENT, STATEFUL_SET, CRON_JOB, JOB, POD = "Deployment", "StatefulSet", "CronJob", "Job", "Pod"
LARGEST = 4096
"""Bytes of an annotation that are decoded. One owner has about 200."""
_SAFE = "bcdfghjklmnpqrstvwxz2456789"
_LONGEST = 63
"""Characters of a pod's name that a controller makes: of a longer one, the end before the suffix is cut off."""
_REPLICA = re.compile(rf"(.+)-(?:[bcdf4-9]{{6,10}}|[{_SAFE}]{{8,10}})-[{_SAFE}]{{5}}")
"""A pod of a ReplicaSet. Its hash is a decimal number in other letters: of 8 to 10, rarely 6 or 7."""
_SCHEDULED = re.compile(rf"(.+)-[123]\d{{7}}(?:-\d+)?-[{_SAFE}]{{5}}")
"""A pod of a CronJob: the minute since 1970 for which its Job was due; the index of an indexed Job. No digit of a
ReplicaSet's hash is below 4."""
_INDEXED = re.compile(rf"(.+)-\d{{1,5}}-[{_SAFE}]{{5}}")
_ORDINAL = re.compile(r"(.+)-\d+")
_SUFFIX = re.compile(rf"(.+)-[{_SAFE}]{{5}}")
_CUT = re.compile(rf"(.+)-[bcdf4-9]{{1,10}}-?[{_SAFE}]{{5}}")
_HASH = re.compile(rf"(.+)-(?:[bcdf4-9]{{6,10}}|[{_SAFE}]{{8,10}})")
_DUE = re.compile(r"(.+)-[123]\d{7}")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]{0,62}")
_NAME = re.compile(r"[a-z0-9]([a-z0-9.:-]{0,251}[a-z0-9])?")


class Workload(NamedTuple):
    """What makes pods.

    Attributes:
        kind: "" where only the name is known: a DaemonSet, a Job, or another controller.
    """

    kind: str
    name: str


class Workloads:
    """The workloads of a time.

    Args:
        names: whose pods are.
        owners: kind and name of owners, by host namespace and host pod, as far as they are known.
    """

    def __init__(self, names: Names, owners: dict[tuple[str, str], tuple[str, str]] | None = None) -> None:
        self._names = names
        self._owners = {key: owned(*found) for key, found in (owners or {}).items()}
        self._kinds: dict[tuple[object, str | None, str], str] = {}
        for (namespace, pod), found in self._owners.items():
            self._kinds.setdefault((*self._place(namespace, pod), found.name), found.kind)

    def of(self, namespace: str, pod: str) -> Workload:
        """The workload of a pod.

        Args:
            namespace: on the host.
            pod: its name on the host.
        """
        known = self._owners.get((namespace, pod))
        if known is not None:
            return known
        name = self._names.of(namespace, pod).name or pod
        if found := _SUFFIX.fullmatch(name):  # perhaps the owner of another pod
            kind = self._kinds.get((*self._place(namespace, pod), found[1]))
            if kind is not None:
                return Workload(kind, found[1])
        return by_name(name)

    def _place(self, namespace: str, pod: str) -> tuple[object, str | None]:
        identity: Identity = self._names.of(namespace, pod)
        return (identity.vcluster, identity.namespace) if identity.vcluster else (None, namespace)


def read(server: Prometheus, window: Window, names: Names, client: Client | None = None) -> Workloads:
    """The workloads of a window: one query, and one list of live pods' metadata.

    Args:
        server: the Prometheus.
        window: of time.
        names: of that time.
        client: the host, for the owners of its live pods inside virtual clusters; None to leave it alone.

    Raises:
        QueryFailed, ConnectionFailed: as Prometheus.query.
    """
    owners: dict[tuple[str, str], tuple[str, str]] = {}
    labels = ("namespace", "pod", "owner_kind", "owner_name")
    for found in Asked(server, names.jobs, window).labels(f"kube_pod_owner{{{names.jobs.state}}}", labels):
        namespace, pod, kind, name = (found.get(label, "") for label in labels)
        # A pod of a virtual cluster has another there: vCluster makes a Service of the host the owner.
        if names.of(namespace, pod).name is None and _valid(kind, name):
            owners[namespace, pod] = (kind, name)
    if client is not None:
        owners |= {key: found for key, found in _live(client).items() if names.of(*key).vcluster}
    return Workloads(names, owners)


def owned(kind: str, name: str) -> Workload:
    """The workload of a pod with this owner: that of a ReplicaSet is its Deployment, that of a Job its CronJob.

    >>> owned("ReplicaSet", "cart-6d5f9c7b8d")
    Workload(kind='Deployment', name='cart')
    """
    if kind == "ReplicaSet" and (found := _HASH.fullmatch(name)):
        return Workload(DEPLOYMENT, found[1])
    if kind == JOB and (found := _DUE.fullmatch(name)):
        return Workload(CRON_JOB, found[1])
    return Workload(kind, name)


def by_name(pod: str) -> Workload:
    """What a pod's name shows of what made it.

    >>> by_name("cart-6d5f9c7b8d-x7k2p"), by_name("db-0")
    (Workload(kind='Deployment', name='cart'), Workload(kind='StatefulSet', name='db'))
    """
    for pattern, kind in ((_SCHEDULED, CRON_JOB), (_INDEXED, JOB), (_REPLICA, DEPLOYMENT), (_ORDINAL, STATEFUL_SET)):
        if found := pattern.fullmatch(pod):
            return Workload(kind, found[1])
    if len(pod) == _LONGEST and (found := _CUT.fullmatch(pod)):
        return Workload(DEPLOYMENT, found[1])
    if found := _SUFFIX.fullmatch(pod):
        return Workload("", found[1])
    return Workload(POD, pod)


class _Reference(msgspec.Struct):
    kind: str = ""
    name: str = ""
    controller: bool = False


class _Annotations(msgspec.Struct):
    # The only one that is decoded: beside it are the tenants' tokens.
    owners: str = msgspec.field(default="", name="vcluster.loft.sh/owner-references")


class _Meta(msgspec.Struct):
    name: str
    namespace: str = ""
    annotations: _Annotations = msgspec.field(default_factory=_Annotations)


class _Pod(msgspec.Struct):
    metadata: _Meta


def referenced(annotation: str) -> tuple[str, str] | None:
    """Kind and name of the virtual owner in the annotation of a host pod; None without one, or for anything else."""
    if not annotation or len(annotation) > LARGEST:
        return None
    try:
        found = msgspec.json.decode(annotation, type=list[_Reference])
    except (msgspec.DecodeError, RecursionError):
        return None
    chosen = next((item for item in found if item.controller), found[0] if found else None)
    return (chosen.kind, chosen.name) if chosen and _valid(chosen.kind, chosen.name) else None


def _valid(kind: str, name: str) -> bool:
    return kind not in ("", "<none>", "Node", "Service") and bool(_KIND.fullmatch(kind) and _NAME.fullmatch(name))


def _live(client: Client) -> dict[tuple[str, str], tuple[str, str]]:
    """Owners of live pods inside virtual clusters, by their host names; none where pods may not be listed."""
    try:
        pods = list_all(
            client,
            pods_path(None),
            decoder(ObjectList[_Pod]),
            {"labelSelector": naming.MANAGED_BY},
            accept=PARTIAL_LIST,
            keep=lambda pod: bool(pod.metadata.annotations.owners),
        )
    except VmetricsError:
        return {}
    found = {}
    for pod in pods:
        reference = referenced(pod.metadata.annotations.owners)
        if reference:
            found[pod.metadata.namespace, pod.metadata.name] = reference
    return found
