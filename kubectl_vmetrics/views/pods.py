"""The tables of `top pods`.

Three views of the same pods: of the host by its own names, as kubectl prints it; of the host with virtual names beside
them; and from inside one virtual cluster, as kubectl prints it there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from kubectl_vmetrics.metrics.metrics_api import Container
from kubectl_vmetrics.metrics.metrics_api import usage as container_usage
from kubectl_vmetrics.metrics.usage import NOTHING, HostPod, Usage
from kubectl_vmetrics.output import order
from kubectl_vmetrics.output.formats import View
from kubectl_vmetrics.output.table import Columns, Row
from kubectl_vmetrics.output.units import NONE, mebibytes, millicores
from kubectl_vmetrics.vcluster.identity import VClusterRef
from kubectl_vmetrics.vcluster.pods import Pod

from .names import UNRESOLVED, Names, namespace, pod_name, vcluster_cell, vcluster_object, virtual_namespace

if TYPE_CHECKING:
    from kubectl_vmetrics.kube.core import Pod as CorePod
    from kubectl_vmetrics.metrics.kubelet import Pod as KubeletPod
    from kubectl_vmetrics.metrics.traffic import Rates

    from .columns import Column
    from .pod_columns import Shown

__all__ = ["UNRESOLVED", "Names", "Options", "sorts", "usage_object", "vcluster_cell", "vcluster_object", "view"]
API_VERSION = "metrics.k8s.io/v1beta1"
RULE = "________"
_SPARE = ("HOST-NAME", "NODE")


class Options(NamedTuple):
    """How to show pods; the flags of `kubectl top pods` and -o wide.

    Attributes:
        sort_by: the name of a column.
        details: of each host pod, for -o wide and programs; None if they were not asked for.
        wide: whether the columns of -o wide are shown.
        pressure, network, io: whether these columns are shown.
        reported: what kubelets report besides CPU and memory; None if they were not asked.
        rates: what pods send, receive, read and write; None if that was not asked for.
        extra: further columns; their items are `pod_columns.Shown`.
    """

    names: Names = Names.HOST
    namespaces: bool = False
    containers: bool = False
    sort_by: str = ""
    total: bool = False
    headers: bool = True
    swap: bool = False
    details: Mapping[HostPod, CorePod] | None = None
    pressure: bool = False
    reported: Mapping[HostPod, KubeletPod] | None = None
    wide: bool = False
    network: bool = False
    io: bool = False
    rates: Mapping[HostPod, Rates] | None = None
    extra: Sequence[Column] = ()

    @property
    def asked(self) -> list[Column]:
        """The columns that flags add."""
        if not (self.pressure or self.network or self.io or self.extra):
            return []
        from . import pod_columns, traffic

        found = pod_columns.pressure() if self.pressure else []
        return [*found, *traffic.columns(network=self.network, io=self.io), *self.extra]

    @property
    def more(self) -> list[Column]:
        """The columns after kubectl's own."""
        if not self.wide:
            return self.asked
        from . import pod_columns

        return [*self.asked, *pod_columns.wide(reported=self.reported is not None)]

    @property
    def lead(self) -> list[str]:
        """The headers up to the names of pods and containers."""
        return [
            *(["NAMESPACE"] if self.namespaces else []),
            *(["VCLUSTER", "VNAMESPACE"] if self.names is Names.BOTH else []),
            *(["POD"] if self.containers else []),
            "NAME",
        ]


AnyPods = Sequence[Pod[Any]]


def sorts(options: Options) -> list[str]:
    """What --sort-by takes; whether there are virtual clusters is not known yet."""
    from .columns import name

    lead = options._replace(names=Names.HOST if options.names is Names.VIRTUAL else Names.BOTH).lead
    swap = ["swap"] if options.swap else []
    return ["cpu", "memory", *map(name, lead), *swap, *(column.name for column in options.more)]


def view(pods: AnyPods, options: Options) -> View:
    """The table, and the document, of pods."""
    more = options.more
    groups = _ordered(pods, options)
    ordered = [pod for group in groups for _, pod in group.pods]
    headers = [*options.lead, "CPU(cores)", "MEMORY(bytes)", *(["SWAP(bytes)"] if options.swap else [])]
    headers += [column.header for column in more]
    simple = not options.containers and not more and not options.swap
    rows = _simple_rows(groups) if simple else [row for pod in ordered for row in _rows(pod, options, more)]
    footer = _footer(pods, options, len(headers), more) if options.total else []
    records = (lambda: [*rows, _sums(pods, options, len(headers), more)]) if options.total else None
    spare = _SPARE if options.names is Names.BOTH or more else None
    return View(
        headers,
        rows,
        lambda: _document(ordered, options),
        lambda: _names(ordered, options),
        footer,
        records,
        spare,
        lambda: _plain(ordered, options),
    )


class _Group(NamedTuple):
    """Pods with the same cells before their names.

    Attributes:
        lead: those cells.
        pods: with their names, in order.
    """

    lead: list[str]
    pods: list[tuple[str, Pod[Any]]]


def _ordered(pods: AnyPods, options: Options) -> list[_Group]:
    """Pods in kubectl's order for --sort-by, otherwise in the order of the columns before the name."""
    names = options.names
    if options.sort_by in ("cpu", "memory"):
        ordered = (
            order.descending(pods, lambda pod: -(-pod.usage.cpu_nanocores // 1_000_000))
            if options.sort_by == "cpu"
            else order.descending(pods, lambda pod: pod.usage.memory_bytes)
        )
        return [_Group(_lead(pod, options), [(pod_name(pod, names), pod)]) for pod in ordered]
    groups = _by_name(pods, options)
    return _by_column(groups, options) if options.sort_by else groups


def _by_column(groups: list[_Group], options: Options) -> list[_Group]:
    """In the order of any other column; pods that are equal there stay in the order of their names."""
    from . import columns
    from .columns import Column

    def cell(index: int) -> Callable[[Any], str | None]:
        def text(item: Any) -> str | None:
            found = [*_lead(item.pod, options), pod_name(item.pod, options.names)][index]
            return None if found == NONE else found

        return text

    heads = [header for header in options.lead if header != ("NAME" if options.containers else "")]
    known = [Column(header, "", columns.TEXT, cell(index)) for index, header in enumerate(heads)]
    known.append(Column("SWAP(bytes)", "", columns.MEMORY, lambda item: item.usage.swap_bytes))
    shown = [_shown(pod, None, pod.usage, options) for group in groups for _, pod in group.pods]
    ordered = columns.ordered(shown, [*known, *options.more], options.sort_by)
    return [_Group(_lead(item.pod, options), [(pod_name(item.pod, options.names), item.pod)]) for item in ordered]


def _by_name(pods: AnyPods, options: Options) -> list[_Group]:
    """In the order of the columns in front of the name, and of the name."""
    names = options.names
    # Sorted group by group, 100,000 pods take a third of the time: most comparisons are of the same few cells.
    found: defaultdict[Any, list[tuple[str, Pod[Any]]]] = defaultdict(list)
    key: Callable[[Any], Any] | None = None
    if names is Names.HOST:
        apart = options.namespaces
        for pod in pods:
            meta = pod.metrics.metadata
            found[meta.namespace if apart else ""].append((meta.name, pod))
    elif names is Names.VIRTUAL:
        for pod in pods:
            found[virtual_namespace(pod)].append((pod_name(pod, names), pod))
    else:
        for pod in pods:
            if virtual := pod.virtual:
                found[pod.metrics.metadata.namespace, pod.vcluster, virtual.namespace].append((virtual.name, pod))
            else:
                place = pod.metrics.metadata.namespace, pod.vcluster, virtual_namespace(pod)
                found[place].append((pod_name(pod, names), pod))

        def key(place: tuple[str, VClusterRef | None, str]) -> tuple[str, str, str]:
            return place[0], place[1].path if place[1] else "", place[2]

    for members in found.values():
        members.sort(key=itemgetter(0))
    return [_Group(_lead(found[place][0][1], options), found[place]) for place in sorted(found, key=key)]


def _lead(pod: Pod[Any], options: Options) -> list[str]:
    """The cells in front of a pod's name."""
    lead = [namespace(pod, options.names)] if options.namespaces else []
    if options.names is Names.BOTH:
        lead += [vcluster_cell(pod.vcluster, pod.metrics.metadata.namespace), virtual_namespace(pod)]
    return lead


def _simple_rows(groups: list[_Group]) -> Sequence[Row]:
    """The rows of the plain table, which may have 100,000 of them: column by column."""
    pods = [pair for group in groups for pair in group.pods]
    columns = [
        [name for name, _ in pods],
        [f"{-(-pod.usage.cpu_nanocores // 1_000_000)}m" for _, pod in pods],
        [f"{pod.usage.memory_bytes >> 20}Mi" for _, pod in pods],
    ]
    leads = [(group.lead, len(group.pods)) for group in groups]
    return Columns(columns, leads if groups and groups[0].lead else ())


def _rows(pod: Pod[Any], options: Options, more: Sequence[Column]) -> list[Row]:
    prefix = [*_lead(pod, options), pod_name(pod, options.names)]
    found: list[Row] = []
    for container, usage in _parts(pod, options):
        name = [container.name] if container else []
        cells = _cells(usage, options)
        if more:
            shown = _shown(pod, container, usage, options)
            cells += [column.cell(shown) for column in more]
        found.append([*prefix, *name, *cells])
    return found


def _parts(pod: Pod[Any], options: Options) -> Sequence[tuple[Container | None, Usage]]:
    if not options.containers:
        return [(None, pod.usage)]
    used = [(container, container_usage(container.usage)) for container in pod.metrics.containers]
    return _sorted_containers(used, options.sort_by)


def _shown(pod: Pod[Any], container: Container | None, usage: Usage, options: Options) -> Shown:
    from .pod_columns import Shown

    host = pod.host
    whole = (options.reported or {}).get(host)
    part = (
        next((found for found in whole.containers if found.name == container.name), None)
        if whole and container
        else None
    )
    return Shown(
        pod,
        container,
        usage,
        options.names,
        part if container else whole,
        (options.details or {}).get(host),
        (options.rates or {}).get(host) if container is None else None,
    )


def _sorted_containers(used: list[tuple[Container, Usage]], sort_by: str) -> list[tuple[Container, Usage]]:
    if sort_by == "cpu":
        return order.descending(used, lambda pair: -(-pair[1].cpu_nanocores // 1_000_000))
    if sort_by == "memory":
        return order.descending(used, lambda pair: pair[1].memory_bytes)
    return sorted(used, key=lambda pair: pair[0].name)


def _cells(usage: Usage, options: Options) -> list[str]:
    cells = [millicores(usage.cpu_nanocores), mebibytes(usage.memory_bytes)]
    return [*cells, mebibytes(usage.swap_bytes)] if options.swap else cells


def _total_usage(pods: AnyPods) -> Usage:
    return sum((pod.usage for pod in pods), NOTHING)


def _sums(pods: AnyPods, options: Options, columns: int, more: Sequence[Column]) -> list[str]:
    """The sums, each in its column."""
    cells = _cells(_total_usage(pods), options)
    return [*[""] * (columns - len(cells) - len(more)), *cells, *_more_sums(pods, options, more)]


def _more_sums(pods: AnyPods, options: Options, more: Sequence[Column]) -> list[str]:
    if not any(column.summed for column in more):
        return [""] * len(more)
    from . import columns

    return columns.sums([_shown(pod, None, pod.usage, options) for pod in pods], more)


def _footer(pods: AnyPods, options: Options, columns: int, more: Sequence[Column]) -> list[Row]:
    if options.names is Names.BOTH or more:
        from . import columns as declared

        return declared.footer(_sums(pods, options, columns, more))
    cells = _cells(_total_usage(pods), options)
    # kubectl's own table, to the byte: with --show-swap the totals stand one column too far right, and without
    # headers -A and --containers are not counted (k8s.io/kubectl metrics_printer.go, printPodResourcesSum).
    width = columns if options.headers else 3 + options.swap
    return [[*[""] * (width - 2), RULE, RULE], [*[""] * (width - 2), *cells]]


def _plain(pods: AnyPods, options: Options) -> tuple[list[str], list[list[Any]]]:
    from . import columns, pod_columns

    declared = pod_columns.plain(
        containers=options.containers, extra=options.asked, reported=options.reported is not None
    )
    items = [_shown(pod, *part, options) for pod in pods for part in _parts(pod, options)]
    return columns.table(items, declared, total=options.total)


def _document(pods: AnyPods, options: Options) -> dict[str, Any]:
    from . import pod_documents, traffic

    items = [_shown(pod, None, pod.usage, options) for pod in pods]
    asked = {"network": options.network, "io": options.io}
    found = pod_documents.document(items, options.names, pressure=options.pressure, **asked)
    if not options.total:
        return found
    sums: dict[str, Any] = {"usage": usage_object(_total_usage(pods))}
    if options.rates is not None:
        from kubectl_vmetrics.metrics.traffic import total

        sums |= traffic.document(total(item.rates for item in items if item.rates), **asked)
    return {**found, "sum": sums}


def usage_object(usage: Usage) -> dict[str, str]:
    """Usage in a document: quantities."""
    from .pod_documents import usage_object as made

    return made(usage)


def _names(pods: AnyPods, options: Options) -> list[str]:
    # Names to hand to kubectl with the same kubeconfig: host names, but in the view from inside.
    names = Names.VIRTUAL if options.names is Names.VIRTUAL else Names.HOST
    return [f"pod/{pod_name(pod, names)}" for pod in pods]
