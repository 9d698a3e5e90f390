"""--vcluster: from what the user wrote to a virtual cluster of the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import Forbidden
from kubectl_vmetrics.metrics.metrics_api import Scope
from kubectl_vmetrics.vcluster.identity import VClusterRef

if TYPE_CHECKING:
    from kubectl_vmetrics.vcluster.discovery import VCluster


def vcluster_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --vcluster."""
    return click.option(
        "--vcluster",
        metavar="[HOSTNS/]NAME",
        help="Look from inside this virtual cluster: -n, -l and NAME then mean what they mean there.",
    )(command)


def choose(client: Client, text: str) -> tuple[VClusterRef, list[VCluster]]:
    """The virtual cluster that is meant, and all that are known.

    Raises:
        UsageError: there is none of that name, or several.
        StatusError, ConnectionFailed, BadAnswer: as discovery.find.
    """
    from kubectl_vmetrics.vcluster import discovery

    parts = text.split("/")
    try:
        # With a host namespace, the rights of one namespace are enough.
        known = discovery.find(client, parts[0] if len(parts) % 2 == 0 else None)
    except Forbidden:
        if len(parts) % 2:
            raise
        known = [discovery.VCluster(VClusterRef(parts[0], parts[1]), "")]  # take the user's word for it
    return discovery.select(known, text), known


def explain(client: Client, scope: Scope) -> None:
    """Return if nothing has metrics because nothing is there. Raises as absence.explain."""
    import datetime

    from kubectl_vmetrics.metrics import absence

    absence.explain(client, scope, datetime.datetime.now(datetime.timezone.utc))


def no_resources(namespace: str | None) -> str:
    """The words of kubectl for an empty list of a namespace, or of all."""
    return f"No resources found in {namespace} namespace." if namespace else "No resources found"


def nothing_inside(vcluster: VClusterRef, known: list[VCluster], namespace: str | None) -> str:
    """Why a virtual cluster shows no pods: kubectl's words, and more where more is known."""
    from kubectl_vmetrics.vcluster import discovery

    status = next((v.status for v in known if v.ref == vcluster), "")
    if status in (discovery.PAUSED, discovery.SCALED_DOWN):
        return f"{no_resources(namespace)}\nvirtual cluster {vcluster.path} is {status}"
    return no_resources(namespace)
