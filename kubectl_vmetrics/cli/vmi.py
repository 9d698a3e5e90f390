"""`vmi`: resource usage of virtual machines."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import BadAnswer, Forbidden, NotFound, UsageError, VmetricsError
from kubectl_vmetrics.kube.selector import LabelSelector, parse_labels
from kubectl_vmetrics.kubevirt import rates
from kubectl_vmetrics.output.terminal import Environment

from .cluster import client as open_client
from .cluster import flags, narrowed
from .command import Command
from .show import Outcome, Show, sampling_options
from .top.choose import Targets, choose, not_empty, target_option, vcluster_option
from .top.source import recorded, recorded_option

if TYPE_CHECKING:
    from kubectl_vmetrics.kubevirt.guests import Key
    from kubectl_vmetrics.kubevirt.machines import Machine
    from kubectl_vmetrics.kubevirt.recall import Recall
    from kubectl_vmetrics.kubevirt.sampling import Sampled
    from kubectl_vmetrics.vcluster.homes import Homes
    from kubectl_vmetrics.vcluster.identity import VClusterRef
    from kubectl_vmetrics.vcluster.origins import Synced
    from kubectl_vmetrics.views.vmi import Shown


@click.command(
    "vmi",
    cls=Command,
    arguments="[NAME | -l label]",
    help="""Display resource usage of virtual machines, one row for each VirtualMachineInstance.

Rates are computed from two samples taken 15 seconds apart, because virt-handler's numbers can be 3 seconds old. Samples
are cached: a call within a minute of another returns immediately, with rates over the last 15 to 85 seconds. CPU(%) is
relative to the guest's vCPUs. Memory is what programs in the guest use. "~" marks the memory of the QEMU process
(the guest has no balloon driver to report its own), CPU from a counter of whole seconds, and sums that include either.

"-" means not reported, or a counter that was reset between samples.

With --source prometheus, nothing is sampled: rates are means over five minutes that a Prometheus recorded.""",
    examples=[
        ("The machines in the default namespace", "vmi"),
        ("All machines, sorted by CPU", "vmi -A --sort-by=cpu"),
        ("With steal, latencies, operating systems and file systems", "vmi -A -o wide"),
        ("The disks of one machine", "vmi db-0 -n prod --disks"),
        ("The machines of a virtual cluster, under their names there", "vmi --vcluster shop"),
        ("Refresh every 15 seconds", "vmi -A -w"),
        ("Two hours ago, from Prometheus", "vmi -A --at 2h"),
    ],
)
@click.argument("names", nargs=-1)
@click.option("-A", "--all-namespaces", is_flag=True, help="All namespaces.")
@click.option("-l", "--selector", default="", help="Label selector: '=', '==', '!=', 'in', 'notin', exists.")
@click.option("--node", default="", callback=not_empty, help="Only machines on this node.")
@click.option("--sort-by", default="", help="Sort by cpu, memory, network or disk, in descending order.")
@click.option("--sum", "total", is_flag=True, help="Add a row with the sums.")
@click.option("--per-vcpu", is_flag=True, help="Show one row per vCPU.")
@click.option("--disks", is_flag=True, help="Show one row per disk.")
@click.option("--interfaces", is_flag=True, help="Show one row per network interface.")
@vcluster_option
@target_option
@recorded_option("virt-handler")
@sampling_options(rates.SHORTEST)
@click.pass_context
def vmi(
    context: click.Context,
    /,
    names: tuple[str, ...],
    all_namespaces: bool,
    selector: str,
    node: str,
    sort_by: str,
    total: bool,
    per_vcpu: bool,
    disks: bool,
    interfaces: bool,
    vcluster: str | None,
    targets: Targets,
    **output: Any,
) -> int:
    """Read the options, take samples, print."""
    from kubectl_vmetrics.kubevirt import sampling
    from kubectl_vmetrics.output.progress import Progress
    from kubectl_vmetrics.views import vmi as view

    if len(names) > 1 or (names and selector):
        raise UsageError(f"vmi [NAME | -l label]\nSee '{context.command_path} -h' for help and examples")
    if sort_by and sort_by not in view.SORTS:
        raise UsageError(f"--sort-by accepts only {', '.join(view.SORTS)}")
    kinds = [kind for kind, given in (("vcpus", per_vcpu), ("disks", disks), ("interfaces", interfaces)) if given]
    if len(kinds) > 1:
        raise UsageError("only one of --per-vcpu, --disks and --interfaces can be provided")
    if kinds and total:
        raise UsageError("--sum cannot be used with --per-vcpu, --disks or --interfaces")
    labels = parse_labels(selector)
    show = Show(context, **output, shortest=(rates.SHORTEST, "virt-handler's numbers can be 3 seconds old"))
    options = view.Options(all_namespaces, sort_by, total, show.wide, "".join(kinds), bool(vcluster))
    if recorded(context):
        from . import machines

        return machines.run(context, show, options, targets, names=names, labels=labels, node=node, vcluster=vcluster)
    environment: Environment = context.obj
    client = open_client(context)
    sampler = sampling.Sampler(
        client,
        apart=show.interval,
        recall=_recall(context, client),
        progress=Progress(environment, "seconds until the second sample"),
    )

    def find() -> Outcome:
        ref, listed = choose(client, vcluster, targets) if vcluster else (None, None)
        homes = functools.cache(lambda: listed or _homes(client, targets))
        namespace = (ref.host_namespace if ref else None) if all_namespaces or ref else client.namespace
        machines, warnings = _machines(client, namespace)
        machines = _possible(machines, names, labels)
        found, failures, partial = _joined(client, sampler, namespace, machines, node, homes)
        warnings += _unresolved(found, ref, homes)
        inside = narrowed(context, all_namespaces=all_namespaces) if ref else None
        kept = []
        for item in found:
            virtual = item.virtual
            if ref and (virtual is None or virtual.vcluster != ref or inside not in (None, virtual.namespace)):
                continue
            name = virtual.name if virtual and ref else item.key[1]
            if names and names[0] not in (name, virtual.name if virtual else name):
                continue
            if _matches(item, labels):
                kept.append(item)
        if names and not kept:
            raise NotFound(f'virtualmachineinstances.kubevirt.io "{names[0]}" not found', code=404, reason="NotFound")
        if show.details:
            kept = _with_pods(client, namespace, kept, warnings)
        where = f" on node {node}" if node else "" if namespace is None or ref else f" in {namespace} namespace."
        warnings += failures
        shown = options._replace(namespaces=all_namespaces or bool(ref and inside is None))
        return Outcome(view.view(kept, shown), f"No resources found{where}", tuple(warnings), partial=partial)

    return show.run(find)


def _recall(context: click.Context, client: Client) -> Recall | None:
    from kubectl_vmetrics.kubevirt.recall import Recall

    variables = context.obj.variables
    home = variables.get("HOME") or variables.get("USERPROFILE")
    folder = flags(context).cache_dir or variables.get("KUBECACHEDIR") or (f"{home}/.kube/cache" if home else None)
    return Recall(Path(folder), client.connection.server) if folder else None


def _machines(client: Client, namespace: str | None) -> tuple[list[Machine] | None, list[str]]:
    from kubectl_vmetrics.kubevirt import machines

    try:
        return machines.find(client, namespace), []
    except Forbidden as error:
        return None, [f"names, states and vCPUs come from metrics only: {error.message}"]
    except NotFound:
        return [], []  # whether KubeVirt is there at all is found out next


def _possible(machines: list[Machine] | None, names: tuple[str, ...], labels: LabelSelector) -> list[Machine] | None:
    """Machines that can match, as far as that is known before scraping."""
    from kubectl_vmetrics.vcluster import naming

    if machines is None:
        return None
    if names:
        # One of a virtual cluster may have the name there.
        machines = [
            machine
            for machine in machines
            if machine.metadata.name == names[0] or naming.MANAGED_BY in machine.metadata.labels
        ]
    return [machine for machine in machines if labels.matches(machine.metadata.labels.get)]


def _joined(
    client: Client,
    sampler: Any,
    namespace: str | None,
    machines: list[Machine] | None,
    node: str,
    homes: Callable[[], Homes],
) -> tuple[list[Shown], list[str], bool]:
    """The machines, why some have no metrics, and whether a handler's answer could not be read."""
    from kubectl_vmetrics.kubevirt import components, discovery, installation
    from kubectl_vmetrics.views.vmi import Shown

    installed = installation.find(client)
    handlers = [item for item in discovery.find(client, installed) if item.kind == components.HANDLER]
    if machines is not None:
        # Only where there is something to be told: each scrape makes a handler ask all its machines.
        nodes = {machine.status.node for machine in machines}
        handlers = [handler for handler in handlers if handler.node in nodes]
    if node:
        handlers = [handler for handler in handlers if handler.node == node]
    sampled: Sampled = sampler.sample(handlers)
    if sampled.failures and not sampled.guests and machines is None:
        component, failure = sampled.failures[0]
        if isinstance(failure, BadAnswer):
            raise BadAnswer(f"{component.place} could not be scraped: {failure.message}")
        raise failure
    known: dict[Key, Machine | None] = {machine.key: machine for machine in machines or []}
    if machines is None:
        known = dict.fromkeys(key for key in sampled.guests if namespace in (None, key[0]))
    virtual, note = _virtual(client, namespace, known, sampled, homes)
    found = [
        Shown(key, machine, sampled.guests.get(key), sampled.rates.get(key), virtual.get(key))
        for key, machine in known.items()
        if not node or node in (machine.status.node if machine else "", _node(sampled, key))
    ]
    partial = bool(sampled.failures or sampled.broken)
    notes = [*([note] if note else []), *_unheard(found, sampled, {handler.node for handler in handlers})]
    return found, notes, partial


def _node(sampled: Sampled, key: Key) -> str:
    guest = sampled.guests.get(key)
    return guest.node if guest else ""


def _homes(client: Client, targets: Targets) -> Homes:
    from kubectl_vmetrics.vcluster import homes

    return homes.read(client, targets=targets)


def _virtual(
    client: Client,
    namespace: str | None,
    known: dict[Key, Machine | None],
    sampled: Sampled,
    homes: Callable[[], Homes],
) -> tuple[dict[Key, Synced], str | None]:
    from kubectl_vmetrics.vcluster import machines as vcluster_machines
    from kubectl_vmetrics.vcluster import naming

    if any(machine and naming.MANAGED_BY in machine.metadata.labels for machine in known.values()):
        return vcluster_machines.names(client, namespace, homes())
    found = {}
    for key, machine in known.items():
        guest = sampled.guests.get(key)
        if machine is None and guest and (synced := vcluster_machines.by_labels(key, guest.labels, homes)):
            found[key] = synced
    return found, None


def _unresolved(found: list[Shown], vcluster: VClusterRef | None, homes: Callable[[], Homes]) -> list[str]:
    """Warnings about machines of virtual clusters whose virtual names are not known."""
    from kubectl_vmetrics.metrics.findings import some
    from kubectl_vmetrics.vcluster import naming

    owners = {
        item.key: item.machine.metadata.labels.get(naming.MANAGED_BY)
        for item in found
        if item.machine and item.virtual is None
    }
    asked = [(key, owner) for key, owner in owners.items() if owner and (vcluster is None or owner == vcluster.name)]
    # There is another warning for labels that do not prove a virtual cluster.
    left = ["/".join(key) for key, owner in asked if homes()(key[0], owner)]
    keep = "keeps its host name" if len(left) == 1 else "keep their host names"
    why = "the annotations with the virtual names are missing or belong to another object"
    return [f"{some(left)} {keep}: {why}"] if left else []


def _unheard(found: list[Shown], sampled: Sampled, handled: set[str]) -> list[str]:
    """Why machines have no metrics."""
    from kubectl_vmetrics.kubevirt.components import reason, unread
    from kubectl_vmetrics.metrics.findings import some

    notes = [
        f"{failure.component.place} could not be scraped, so its machines have no metrics: {reason(failure.error)}"
        for failure in sampled.failures
    ]
    notes += [unread(handler, broken) for handler, broken in sampled.broken]
    failed = {failure.component.node for failure in sampled.failures}
    running = [i for i in found if i.guest is None and i.machine and i.machine.status.phase == "Running"]
    nowhere = sorted({i.machine.status.node for i in running if i.machine} - handled)
    if nowhere:
        notes.append(f"no virt-handler runs on {', '.join(nowhere)}, so its machines have no metrics")
    silent = [i.key for i in running if i.machine and i.machine.status.node in handled - failed]
    if silent:
        names = some(["/".join(key) for key in silent])
        notes.append(
            f"virt-handler does not report {names}: started moments ago, or its virt-launcher did not answer in time"
        )
    return notes


def _matches(item: Shown, labels: LabelSelector) -> bool:
    if not labels.requirements:
        return True
    if item.machine:
        return labels.matches(item.machine.metadata.labels.get)
    found = item.guest.labels if item.guest else {}
    return labels.matches(lambda key: found.get(key.replace(".", "_").replace("/", "_").replace("-", "_")))


def _with_pods(client: Client, namespace: str | None, items: list[Shown], warnings: list[str]) -> list[Shown]:
    """Add the memory of virt-launcher pods, matched by the label with the machine's UID."""
    from kubectl_vmetrics.kubevirt.machines import CREATED_BY
    from kubectl_vmetrics.metrics import metrics_api
    from kubectl_vmetrics.metrics.metrics_api import PodMetrics, Scope

    try:
        listed, _ = metrics_api.pods(client, Scope(namespace, labels="kubevirt.io=virt-launcher"), PodMetrics)
    except VmetricsError as error:
        warnings.append(f"memory of virt-launcher pods is not available: {error.message}")
        return items
    used: dict[str, int] = {}
    for pod in listed:
        uid = pod.labels().get(CREATED_BY, "")
        # Two pods while it migrates: the one that holds the guest is the larger one.
        used[uid] = max(used.get(uid, 0), metrics_api.pod_usage(pod).memory_bytes)
    return [item._replace(pod_bytes=used.get(item.machine.metadata.uid) if item.machine else None) for item in items]
