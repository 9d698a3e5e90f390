"""--vcluster: from the value of the flag to a virtual cluster on the host."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sized
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import Forbidden, UsageError
from kubectl_vmetrics.metrics.metrics_api import Scope
from kubectl_vmetrics.vcluster.identity import VClusterRef

if TYPE_CHECKING:
    from kubectl_vmetrics.vcluster.discovery import VCluster
    from kubectl_vmetrics.vcluster.homes import Homes

Targets = Iterable[tuple[str, VClusterRef]]
"""What --target-namespace gives: a host namespace, and the virtual cluster that syncs its pods there."""


def not_empty(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """The value of an option that filters. Raises UsageError if it is empty, which would show everything."""
    given = context.get_parameter_source(option.name or "") is not ParameterSource.DEFAULT
    if given and value is not None and not value.strip():
        raise UsageError(f"{option.opts[0]}: the value is empty; leave the option out to see everything")
    return value


def vcluster_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --vcluster."""
    return click.option(
        "--vcluster",
        metavar="[HOSTNS/]NAME",
        callback=not_empty,
        help="Show the view from inside this virtual cluster; -n, -l and NAME refer to it.",
    )(command)


def target_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --target-namespace."""
    return click.option(
        "--target-namespace",
        "targets",
        multiple=True,
        metavar="HOSTNS=VCNS/NAME",
        callback=_targets,
        help="Declare that virtual cluster VCNS/NAME syncs pods to host namespace HOSTNS; can be repeated.",
    )(command)


def _targets(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> Targets:
    if not values:
        return ()
    from kubectl_vmetrics.vcluster import homes

    return homes.parse_targets(values)


def choose(client: Client, text: str, targets: Targets = ()) -> tuple[VClusterRef, Homes]:
    """The virtual cluster that --vcluster selects, and all known ones.

    Raises:
        UsageError: there is no virtual cluster of that name, or several.
        StatusError, ConnectionFailed, BadAnswer: as discovery.look.
    """
    from kubectl_vmetrics.vcluster import discovery
    from kubectl_vmetrics.vcluster.homes import Homes

    parts = text.split("/")
    try:
        # With a host namespace, the rights of one namespace are enough.
        known = discovery.look(client, parts[0] if len(parts) % 2 == 0 else None)
    except Forbidden as error:
        if len(parts) % 2:
            error.hint = f"--vcluster HOSTNS/{text} needs rights in that namespace only"
            raise
        ref = VClusterRef(parts[0], parts[1])
        known = discovery.Inventory([discovery.VCluster(ref, "")])  # take the user's word for it
    return discovery.select(known.clusters, text), Homes(known, targets)


def explain(client: Client, scope: Scope) -> None:
    """Return if there are no pods; otherwise raise why they have no metrics. Raises as absence.explain."""
    import datetime

    from kubectl_vmetrics.metrics import absence

    absence.explain(client, scope, datetime.datetime.now(datetime.timezone.utc))


def no_resources(namespace: str | None) -> str:
    """Kubectl's message for an empty list."""
    return f"No resources found in {namespace} namespace." if namespace else "No resources found"


def nothing_on(client: Client, node: str, pods: Sized) -> str:
    """The message for an empty list of pods on a node. Raises NotFound if there is no such node, and as core.node."""
    if not pods:
        from kubectl_vmetrics.kube import core

        core.node(client, node)
    return f"No resources found on node {node}"


def nothing_inside(vcluster: VClusterRef, known: Iterable[VCluster], namespace: str | None) -> str:
    """Why a virtual cluster shows no pods: kubectl's message, and the reason if it is known."""
    from kubectl_vmetrics.vcluster import discovery

    known = list(known)
    status = next((v.status for v in known if v.ref == vcluster), "")
    if status in (discovery.PAUSED, discovery.SCALED_DOWN):
        return f"{no_resources(namespace)}\nvirtual cluster {vcluster.path} is {status}"
    if any(v.ref == vcluster and v.private for v in known):
        return (
            f"{no_resources(namespace)}\nvirtual cluster {vcluster.path} has private nodes, whose pods are not on the "
            "host: add --private-nodes to read its own Metrics API"
        )
    if vcluster.parent:
        return (
            f"{no_resources(namespace)}\nthe host does not know nested virtual clusters without pods: "
            f"check the name {vcluster.path}"
        )
    return no_resources(namespace)
