"""`vmi` with --source prometheus: the machines that a Prometheus recorded, now or at --at.

Imported only where it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import click

from kubectl_vmetrics.history import machines, span
from kubectl_vmetrics.history.moment import Moment
from kubectl_vmetrics.kube.errors import NotFound, StatusError, VmetricsError
from kubectl_vmetrics.kube.selector import LabelSelector
from kubectl_vmetrics.kubevirt.guests import Guest, Key
from kubectl_vmetrics.metrics.metrics_api import PodMetrics, Scope
from kubectl_vmetrics.vcluster import discovery
from kubectl_vmetrics.vcluster import machines as vcluster_machines
from kubectl_vmetrics.vcluster.origins import Synced
from kubectl_vmetrics.views import vmi as view
from kubectl_vmetrics.views.vmi import Shown

from .cluster import narrowed
from .show import Outcome, Show
from .top.choose import Targets
from .top.recorded import Recorded

_LAUNCHER = re.compile(r"virt-launcher-(.+)-[a-z0-9]{5}")


def run(
    context: click.Context,
    show: Show,
    options: view.Options,
    targets: Targets,
    *,
    names: tuple[str, ...],
    labels: LabelSelector,
    node: str,
    vcluster: str | None,
) -> int:
    """Ask Prometheus and print; the arguments are those of `vmi`. Returns the exit code."""
    asked = Recorded(context, targets)
    everywhere = options.namespaces

    def find() -> Outcome:
        moment = asked.moment()
        ref = discovery.select(moment.clusters(), vcluster) if vcluster else None
        namespace = None if ref or everywhere else asked.client.namespace
        found = machines.read(moment, namespace)
        if not found.guests and not found.machines:
            _explain(moment)
        virtual = _virtual(moment, found, asked)
        inside = narrowed(context, all_namespaces=everywhere) if ref else None
        kept = []
        for key in sorted(found.guests.keys() | found.machines.keys()):
            machine, guest, named = found.machines.get(key), found.guests.get(key), virtual.get(key)
            if ref and (named is None or named.vcluster != ref or inside not in (None, named.namespace)):
                continue
            own = {key[1], *([named.name] if named else [])}
            if names and names[0] not in ({named.name} if ref and named else own):
                continue
            if node and node not in (guest.node if guest else "", machine.status.node if machine else ""):
                continue
            if not _matches(labels, guest):
                continue
            kept.append(Shown(key, machine, guest, found.rates.get(key), named))
        if names and not kept:
            raise NotFound(f'virtualmachineinstances.kubevirt.io "{names[0]}" not found', code=404, reason="NotFound")
        if show.details:
            kept = _with_pods(moment, namespace, kept)
        where = f" on node {node}" if node else "" if namespace is None else f" in {namespace} namespace."
        shown = options._replace(namespaces=everywhere or bool(ref and inside is None))
        outcome = Outcome(view.view(kept, shown), f"No resources found{where}", tuple(_missing(moment, kept)))
        return asked.outcome(moment, outcome, names=False)

    return show.run(find)


def _explain(moment: Moment) -> None:
    """Raises VmetricsError where there is nothing of KubeVirt in the Prometheus at all."""
    if not machines.labels(moment.server, moment.time - 7 * 86400, moment.time):
        raise VmetricsError(
            f"{moment.server.name} has no metrics of KubeVirt's machines: scrape them, see kubectl vmetrics manifests "
            "kubevirt"
        )
    if moment.empty:
        raise VmetricsError(span.explain(moment.server, moment.time))


def _virtual(moment: Moment, found: machines.Recorded, asked: Recorded) -> dict[Key, Synced]:
    """The virtual names: by labels, and of now by the annotations of the live cluster, which are exact."""
    known = machines.virtual({key: guest.labels for key, guest in found.guests.items()}, moment.names)
    if moment.past or not any("vcluster_loft_sh_managed_by" in guest.labels for guest in found.guests.values()):
        return known
    from kubectl_vmetrics.vcluster import homes

    try:
        live, _ = vcluster_machines.names(asked.client, None, homes.read(asked.client, targets=asked.targets))
    except StatusError:
        return known
    return {**known, **{key: synced for key, synced in live.items() if key in found.guests}}


def _missing(moment: Moment, items: Iterable[Shown]) -> list[str]:
    """What the table cannot have."""
    listed = list(items)
    notes = []
    if listed and not any(item.machine for item in listed):
        notes.append(f"{moment.server.name} has no kubevirt_vmi_info, so states and operating systems are not known")
    left = [item for item in listed if item.virtual is None and item.guest and _managed(item)]
    if left:
        paths = ", ".join("/".join(item.key) for item in left[:3])
        count = "keeps its host name" if len(left) == 1 else "keep their host names"
        notes.append(f"{paths} {count}: labels do not show the virtual name, which is hashed, or of another cluster")
    return notes


def _managed(item: Shown) -> bool:
    return bool(item.guest and "vcluster_loft_sh_managed_by" in item.guest.labels)


def _matches(labels: LabelSelector, guest: Guest | None) -> bool:
    """Whether the labels of the machine's series match, whose keys are those that Prometheus allows."""
    known = guest.labels if guest else {}
    return not labels.requirements or labels.matches(lambda key: known.get(re.sub(r"[./-]", "_", key)))


def _with_pods(moment: Moment, namespace: str | None, items: list[Shown]) -> list[Shown]:
    """Add the memory of virt-launcher pods, matched by their names."""
    used: dict[Key, int] = {}
    for pod in moment.pods(Scope(namespace), PodMetrics, containers=False, names=False).pods:
        if match := _LAUNCHER.fullmatch(pod.host.name):
            key = pod.host.namespace, match[1]
            # Two pods while it migrates: the one that holds the guest is the larger one.
            used[key] = max(used.get(key, 0), pod.usage.memory_bytes)
    return [item._replace(pod_bytes=used.get(item.key)) for item in items]
