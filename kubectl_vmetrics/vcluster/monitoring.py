"""Which Services of the host may lead to a Prometheus: those of the host's own, never one that a tenant wrote.

Tenants may have rights in the host namespace of their control plane, and labels are all that a Service is recognized
by. So a Service in such a namespace is asked only if the user names it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import NamedTuple

import msgspec

from kubectl_vmetrics.kube.client import PARTIAL_LIST, Client, escape
from kubectl_vmetrics.kube.core import ObjectMeta
from kubectl_vmetrics.kube.errors import Forbidden, NotFound, StatusError, VmetricsError
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.kube.lists import ObjectList, decoder, list_all
from kubectl_vmetrics.prometheus.find import Candidate, find

from . import discovery, identity

NOT_SYNCED = "!vcluster.loft.sh/managed-by"
"""Selects Services of the host's own: those of tenants are synced with the labels that tenants write."""
TENANTS = "in a tenant's namespace: name it with --prometheus"
UNKNOWN = "its namespace may be a tenant's: name it with --prometheus"
"""Why a Service is not chosen."""
_SYNCED = "vcluster.loft.sh/managed-by"
_OURS = ("vcluster.loft.sh/", "loft.sh/vcluster")
"""How the labels begin that vCluster and its platform set on a tenant's Namespace."""
_KAMAJI = "/apis/kamaji.clastix.io/v1alpha1/tenantcontrolplanes"
_MOST = 16
"""The maximum number of namespaces that are searched for synced objects."""


class Judged(NamedTuple):
    """The candidates by whether one of them may be chosen without being named.

    Attributes:
        usable: in order of preference.
        others: with the reason.
        gap: what could not be listed to decide it, "" if nothing.
        refused: why synced objects could not be listed in a namespace of them, None if they could.
    """

    usable: list[Candidate]
    others: list[tuple[Candidate, str]]
    gap: str = ""
    refused: Forbidden | None = None


class _Object(msgspec.Struct):
    metadata: ObjectMeta


def candidates(client: Client) -> list[Candidate]:
    """The candidates, in order of preference, in tenants' namespaces as well: see `judged`.

    Raises:
        Forbidden: Services may not be listed.
        StatusError, ConnectionFailed, BadAnswer: as Client.get.
    """
    found = find(client, labels=NOT_SYNCED)
    # Before v0.26, vCluster did not label what it synced to namespaces that it synced whole.
    synced = identity.read_synced_namespaces(client) if found else {}
    return [item for item in found if item.namespace not in synced]


def judged(client: Client, found: Collection[Candidate]) -> Judged:
    """Which candidates are not in a namespace of a tenant.

    A tenant's namespace has a virtual cluster, a tenant control plane of Kamaji or a synced object in it, or a label of
    vCluster. If it cannot be decided, only a Service with the labels of a known chart is usable, and only in a
    namespace that is known to have no synced pods.

    Raises:
        ConnectionFailed, BadAnswer: as Client.get.
    """
    if not found:
        return Judged([], [])
    tenants, gap = _tenants(client)
    names = [name for name in dict.fromkeys(item.namespace for item in found) if name not in tenants]
    synced, refused = _searched(client, names[:_MOST])
    usable: list[Candidate] = []
    others: list[tuple[Candidate, str]] = []
    for item in found:
        has = synced.get(item.namespace)
        if item.namespace in tenants or has:
            others.append((item, TENANTS))
        elif has is None or (gap and item.chosen):
            others.append((item, UNKNOWN))
        else:
            usable.append(item)
    return Judged(usable, others, gap, refused)


def _tenants(client: Client) -> tuple[set[str], str]:
    """The namespaces that are known to be tenants', and why there may be more of them."""
    calls = [partial(_homes, client), partial(_controlled, client), partial(_labeled, client)]
    found: set[str] = set()
    gap = ""
    for answer in gather(calls):
        if isinstance(answer, NotFound):
            continue  # Kamaji is not installed
        if isinstance(answer, StatusError):
            gap = gap or answer.message
        elif isinstance(answer, VmetricsError):
            raise answer
        else:
            found |= answer[0]
            gap = gap or answer[1]
    return found, gap


def _homes(client: Client) -> tuple[set[str], str]:
    """The namespaces of virtual clusters, and those that their syncers' flags name."""
    found = discovery.look(client)
    names = {item.ref.host_namespace for item in found.clusters} | {item.target for item in found.clusters}
    return names - {""}, "" if found.everywhere else " ".join(found.gaps[:1])


def _controlled(client: Client) -> tuple[set[str], str]:
    return {item.metadata.namespace for item in _list(client, _KAMAJI)}, ""


def _labeled(client: Client) -> tuple[set[str], str]:
    """Namespaces with a label of vCluster; without the right to list them, synced objects have to do."""
    try:
        listed = _list(client, "/api/v1/namespaces")
    except Forbidden:
        return set(), ""
    return {item.metadata.name for item in listed if _marked(item.metadata.labels)}, ""


def _marked(labels: Iterable[str]) -> bool:
    return any(name.startswith(_OURS) for name in labels)


def _searched(client: Client, names: Collection[str]) -> tuple[Mapping[str, bool], Forbidden | None]:
    """Whether there are synced objects, by namespace; those that cannot be listed are missing. And why."""
    kinds = ("pods", "services")
    calls = [partial(_has_synced, client, name, kind) for name in names for kind in kinds]
    gathered = gather(calls)
    answers = iter(gathered)
    found: dict[str, bool] = {}
    for name in names:
        both = [next(answers) for _ in kinds]
        if True in both:
            found[name] = True
        elif both == [False, False]:
            found[name] = False
    return found, next((answer for answer in gathered if isinstance(answer, Forbidden)), None)


def _has_synced(client: Client, namespace: str, kind: str) -> bool:
    path = f"/api/v1/namespaces/{escape(namespace)}/{kind}"
    query = {"labelSelector": _SYNCED, "limit": "1"}
    return bool(client.decode(path, decoder(ObjectList[_Object]), query, accept=PARTIAL_LIST).items)


def _list(client: Client, path: str) -> list[_Object]:
    found: list[_Object] = list_all(client, path, decoder(ObjectList[_Object]), accept=PARTIAL_LIST)
    return found
