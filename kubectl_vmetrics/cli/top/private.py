"""--private-nodes: asking virtual clusters whose nodes are their own for what they use.

Imported only where there is such a virtual cluster, or the option.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from kubectl_vmetrics.cli.show import Outcome
from kubectl_vmetrics.controlplane import tenants
from kubectl_vmetrics.controlplane.credentials import NoCredential
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import BadAnswer, ConnectionFailed, MetricsNotAvailable, VmetricsError
from kubectl_vmetrics.metrics.findings import some
from kubectl_vmetrics.metrics.metrics_api import AnyPod, Owner, Scope, Skipped, pod_usage
from kubectl_vmetrics.vcluster import private_nodes
from kubectl_vmetrics.vcluster.groups import PRIVATE, TENANT, VClusterUsage
from kubectl_vmetrics.vcluster.identity import VClusterRef, VirtualPod
from kubectl_vmetrics.vcluster.pods import Found, Pod
from kubectl_vmetrics.views import pods as view
from kubectl_vmetrics.views.pods import Names

from .choose import no_resources

FLAG = "--private-nodes"


class Filled(NamedTuple):
    """Rows of virtual clusters, with what those with private nodes answered.

    Attributes:
        partial: whether one of them could not be asked.
    """

    rows: list[VClusterUsage]
    warnings: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    partial: bool = False


def fill(client: Client, rows: Sequence[VClusterUsage], namespace: str | None, *, ask: bool) -> Filled:
    """Mark virtual clusters with private nodes and, if wanted, ask them.

    Args:
        client: the host.
        rows: what is on the host.
        namespace: the host namespace of all rows; None for any.
        ask: whether to ask their control planes.
    """
    listed = [row.vcluster for row in rows if row.vcluster]
    populated = {row.vcluster.ref for row in rows if row.vcluster and row.pods}
    own = private_nodes.find(client, listed, populated)
    if not own:
        return Filled(list(rows))
    if not ask:
        names = some(sorted(ref.path for ref in own))
        has = "has" if len(own) == 1 else "have"
        note = f"{names} {has} private nodes, whose pods are not on the host: add {FLAG} to read their own Metrics API"
        return Filled([_marked(row, PRIVATE) if _ref(row) in own else row for row in rows], (note,))
    answers = tenants.usage(client, own, namespace)
    filled: list[VClusterUsage] = []
    warnings: list[str] = []
    skipped: list[Skipped] = []
    for row in rows:
        ref = _ref(row)
        answer = answers.get(ref) if ref in own else None
        if isinstance(answer, tenants.Used):
            filled.append(_marked(row, TENANT)._replace(pods=answer.pods, usage=answer.usage))
            skipped += answer.skipped
        elif ref in own and ref:
            filled.append(_marked(row, PRIVATE))
            why = (
                f"{answer.message}{f'; {answer.hint}' if answer.hint else ''}" if answer else "it has no control plane"
            )
            warnings.append(f"{ref.path} was not read: {why}")
        else:
            filled.append(row)
    return Filled(filled, tuple(warnings), tuple(skipped), bool(warnings))


def pods(client: Client, vcluster: VClusterRef, question: Scope, kind: type[AnyPod]) -> Found[AnyPod]:
    """The pods of a virtual cluster with private nodes, by its own names. Raises as tenants.pods."""
    listed, skipped = tenants.pods(client, vcluster, question, kind)
    found: Found[AnyPod] = Found([], skipped, [])
    for metrics in listed:
        try:
            found.pods.append(Pod(metrics, tenants.checked(pod_usage(metrics)), Owner()))
        except ValueError as error:
            skipped.append(Skipped(f"pod {metrics.metadata.namespace}/{metrics.metadata.name}", str(error)))
    return found


def outcome(
    client: Client, vcluster: VClusterRef, question: Scope, kind: type[AnyPod], options: view.Options
) -> Outcome:
    """The table of `top pods` inside a virtual cluster with private nodes."""
    try:
        found = pods(client, vcluster, question, kind)
    except (MetricsNotAvailable, NoCredential, ConnectionFailed, BadAnswer) as error:
        raise VmetricsError(f"{vcluster.path} was not read: {error.message}", hint=error.hint) from None
    for pod in found.pods:
        meta = pod.metrics.metadata
        pod.vcluster, pod.virtual = vcluster, VirtualPod(vcluster, meta.namespace, meta.name)
    shown = view.view(found.pods, options._replace(names=Names.VIRTUAL, namespaces=question.namespace is None))

    def document() -> Any:
        # The pods have no names on the host, and no labels of vCluster's that would have to go.
        made = shown.document()
        items = [{key: value for key, value in item.items() if key != "host"} for item in made["items"]]
        return {**made, "items": [{**item, "source": TENANT} for item in items]}

    def plain() -> tuple[Sequence[str], list[list[Any]]]:
        fields, rows = shown.plain() if shown.plain else ([], [])
        return fields, [[None if f in _OF_HOST else v for f, v in zip(fields, row, strict=True)] for row in rows]

    own = shown._replace(document=document, plain=plain)
    return Outcome(own, no_resources(question.namespace), skipped=tuple(found.skipped))


_OF_HOST = ("host_namespace", "host_name")


def _ref(row: VClusterUsage) -> VClusterRef | None:
    return row.vcluster.ref if row.vcluster else None


def _marked(row: VClusterUsage, source: str) -> VClusterUsage:
    # What its pods hold on the host is nothing, and says nothing.
    return row._replace(source=source, holding=None, rates=None)
