"""Which Services of the host may lead to a Prometheus: those of the host's own, never one that a tenant wrote."""

from __future__ import annotations

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.prometheus.find import Candidate, find

from . import identity

NOT_SYNCED = "!vcluster.loft.sh/managed-by"
"""Selects Services of the host's own: those of tenants are synced with the labels that tenants write."""


def candidates(client: Client) -> list[Candidate]:
    """The candidates, in order of preference.

    Raises:
        Forbidden: Services may not be listed.
        StatusError, ConnectionFailed, BadAnswer: as Client.get.
    """
    found = find(client, labels=NOT_SYNCED)
    # Before v0.26, vCluster did not label what it synced to namespaces that it synced whole.
    synced = identity.read_synced_namespaces(client) if found else {}
    return [item for item in found if item.namespace not in synced]
