"""Finding control planes of all kinds, for the commands that are about them."""

from __future__ import annotations

from collections.abc import Sequence

from kubectl_vmetrics.controlplane import kamaji, vclusters
from kubectl_vmetrics.controlplane.plane import KAMAJI, KINDS, VCLUSTER, Plane
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import Forbidden, MetricsNotAvailable


def find(client: Client, namespace: str | None, kinds: Sequence[str] = KINDS) -> tuple[list[Plane], list[str]]:
    """The control planes of a namespace, or of all, by kind and name; and what could not be listed.

    Raises:
        MetricsNotAvailable: only Kamaji was asked for, and it is not installed.
        StatusError, ConnectionFailed, BadAnswer: as Client.get.
    """
    found: list[Plane] = []
    warnings: list[str] = []
    refused = 0
    for kind in kinds:
        try:
            found += _of_kamaji(client, namespace, warnings, alone=len(kinds) == 1) if kind == KAMAJI else []
            found += vclusters.find(client, namespace, warnings.append) if kind == VCLUSTER else []
        except Forbidden as error:
            refused += 1
            if refused == len(kinds):
                raise
            warnings.append(f"control planes of {kind} are not known: {error.message}")
    return sorted(found, key=lambda plane: plane.key), warnings


def _of_kamaji(client: Client, namespace: str | None, warnings: list[str], *, alone: bool) -> list[Plane]:
    api = kamaji.served(client)
    if api is None:
        if alone:
            raise MetricsNotAvailable("Kamaji is not installed: the cluster has no TenantControlPlane CRD")
        return []
    found = kamaji.find(client, namespace, api)
    return found if namespace else found + kamaji.operator(client, api, warnings.append)
