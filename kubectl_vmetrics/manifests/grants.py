"""Least-privilege roles for commands, and their subjects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubectl_vmetrics.kube import names
from kubectl_vmetrics.kube.access import Right
from kubectl_vmetrics.metrics.needs import CLUSTER_WIDE, COMMANDS

from . import rbac
from .bundle import Bundle, Object


def own_name(subject: Object) -> str:
    """The name of the roles of a subject and of their bindings: those of the next subject do not replace them.

    >>> own_name({"kind": "ServiceAccount", "name": "exporter", "namespace": "monitoring"})
    'vmetrics:serviceaccount:monitoring:exporter'
    """
    parts = [str(subject[key]) for key in ("kind", "namespace", "name") if key in subject]
    return names.segment(":".join(["vmetrics", parts[0].lower(), *parts[1:]]))


def bundle(
    commands: Sequence[str], name: str, subject: Object, *, namespace: str = "", complete: bool = False
) -> Bundle:
    """A ClusterRole and its binding; for one namespace a Role, and a ClusterRole for what is in none.

    Args:
        commands: of needs.COMMANDS.
        name: of the objects.
        subject: who gets them.
        namespace: "" for all.
        complete: with what only shows more.
    """
    wanted: dict[Right, None] = {}
    for command in commands:
        need = COMMANDS[command]
        wanted |= dict.fromkeys([*need.rights, *(need.optional if complete else ())])
    inside = [right for right in wanted if namespace and (right.group, right.resource) not in CLUSTER_WIDE]
    outside = [right for right in wanted if right not in inside]
    objects: list[Object] = []
    if outside:
        # What one namespace takes of the whole cluster stays when another namespace takes something else.
        whole = names.segment(f"{name}:{namespace}") if namespace else name
        objects += [rbac.role(whole, rules(outside)), rbac.binding(whole, subject)]
    if inside:
        objects += [
            rbac.role(name, rules(inside), namespace=namespace),
            rbac.binding(name, subject, namespace=namespace),
        ]
    return Bundle(objects, _notes(wanted))


def rules(rights: Iterable[Right]) -> list[Object]:
    """As few rules as there are groups and sets of verbs."""
    verbs: dict[tuple[str, str], list[str]] = {}
    for right in rights:
        verbs.setdefault((right.group, right.resource), []).append(right.verb)
    together: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (group, resource), listed in verbs.items():
        together.setdefault((group, tuple(sorted(set(listed)))), []).append(resource)
    return [rbac.rule(group, resources, listed) for (group, listed), resources in together.items()]


def _notes(wanted: Iterable[Right]) -> list[str]:
    notes = []
    resources = {(right.group, right.resource) for right in wanted}
    if ("", "nodes/proxy") in resources:
        notes.append("nodes/proxy: its holders can run commands in every pod on every node. For operators only.")
    if ("", "services/proxy") in resources:
        notes.append("services/proxy: its holders can read what Services answer without authentication.")
    if ("", "secrets") in resources:
        notes.append(
            "secrets: those of tenants hold the keys to their control planes. For operators only; better in their"
        )
        notes.append("namespaces alone (-n), or by resourceNames.")
    if ("", "pods/portforward") in resources:
        notes.append("pods/portforward: leads to every port of every pod that it is granted for.")
    return [*notes, ""] if notes else []
