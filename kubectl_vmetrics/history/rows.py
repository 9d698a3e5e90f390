"""Rows over time: pods and what they add up to, by virtual names."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from kubectl_vmetrics.prometheus.api import Prometheus
from kubectl_vmetrics.vcluster.identity import VClusterRef

from . import machines, steps
from .fields import Field, Kind, Unit, of_quota
from .names import HOST, Identity, Names
from .queries import Metric
from .statistics import Statistics, of
from .steps import Container, Step
from .window import Window

_GROUPS = (Kind.VCLUSTERS, Kind.NAMESPACES)
_VOLUMES = (Metric.VOLUME_USED, Metric.VOLUME_CAPACITY, Metric.VOLUME_REQUEST)
_QUOTAS = (Metric.QUOTA_USED, Metric.QUOTA_HARD)

_HALF = 0.5
_ALWAYS = (Metric.CPU, Metric.MEMORY, Metric.VM_CPU, Metric.NODE_CPU, Metric.RESTARTS, Metric.OOM_KILLS)
"""Without an amount, these are 0."""


class Key(NamedTuple):
    """What a row is about.

    Attributes:
        vcluster: None for what is the host's own.
        host_namespace: "" for a node, and for the row of everything outside virtual clusters.
        host_name: "" for a group.
        namespace: the virtual namespace; None if there is none, or it is not known.
        name: the virtual name; None if there is none, or it is not known.
    """

    vcluster: VClusterRef | None
    host_namespace: str
    host_name: str = ""
    namespace: str | None = None
    name: str | None = None

    @property
    def order(self) -> tuple[bool, str, str, str, str]:
        """For sorting: by namespace, virtual cluster and name, and everything outside virtual clusters last."""
        path = self.vcluster.path if self.vcluster else ""
        outside = not (self.host_namespace or self.host_name)
        return outside, self.host_namespace, path, self.namespace or "", self.name or self.host_name


class Row(NamedTuple):
    """Points of what a row is about.

    Attributes:
        points: by the name of the field, the mean of each step; NaN where it is not known, or not there.
        totals: by the name of the field: what all steps add up to, those without a point included.
    """

    key: Key
    points: dict[str, array[float]]
    totals: dict[str, float]


class History(NamedTuple):
    """Rows over a window.

    Attributes:
        window: what was asked for.
        times: where each step starts and ends, in seconds since the epoch.
        fields: those of the rows, in order.
        rows: sorted by name.
        present: by metric, for which share of each step there was data.
        brief: how many pods were gone after a sample or two.
    """

    window: Window
    times: list[tuple[float, float]]
    fields: list[Field]
    rows: list[Row]
    present: dict[Metric, list[float]]
    brief: int = 0

    @property
    def seconds(self) -> list[float]:
        """The length of each step."""
        return [end - start for start, end in self.times]

    def statistics(self, row: Row, field: Field) -> Statistics:
        """Of one field of a row."""
        return of(row.points[field.name], self.seconds) if field.name in row.points else Statistics()

    def share(self, metric: Metric) -> float:
        """For which share of the window there was data of a metric."""
        return math.fsum(
            share * length for share, length in zip(self.present[metric], self.seconds, strict=True)
        ) / math.fsum(self.seconds)

    def covered(self) -> Window | None:
        """From the first to the last step with any data; None without any."""
        known = [
            (start, end)
            for index, (start, end) in enumerate(self.times)
            if any(shares[index] > 0 for shares in self.present.values())
        ]
        return Window(known[0][0], known[-1][1]) if known else None


class Wanted(NamedTuple):
    """Which rows.

    Attributes:
        vcluster: None for the host's view.
        namespace: a virtual one from inside a virtual cluster, else one of the host; None for all.
        name: of a pod, a namespace, a virtual cluster and so on, virtual or of the host; None for all.
    """

    kind: Kind
    fields: Sequence[Field]
    vcluster: VClusterRef | None = None
    namespace: str | None = None
    name: str | None = None

    def has(self, key: Key) -> bool:
        """Whether a row is wanted."""
        inside = self.vcluster is not None
        if inside and key.vcluster != self.vcluster:
            return False
        place = key.namespace if inside else key.host_namespace
        if self.namespace is not None and self.kind is not Kind.NODES and place != self.namespace:
            return False
        if self.name is None:
            return True
        if self.kind is Kind.VCLUSTERS:
            return key.vcluster is not None and self.name in (key.vcluster.name, key.vcluster.path)
        if self.kind is Kind.NAMESPACES:
            return self.name == key.namespace or (not inside and self.name == key.host_namespace)
        return self.name == key.name or (self.name == key.host_name and not (inside and key.name))


def read(
    server: Prometheus,
    window: Window,
    step: float,
    wanted: Wanted,
    names: Names,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> History:
    """Rows over a window.

    Args:
        server: to ask.
        window: from when to when.
        step: seconds of each step.
        wanted: which rows, and what of them.
        names: those of the window.
        progress: called with how many steps are read, of how many.

    Raises:
        VmetricsError: as steps.read.
    """
    metrics = list(dict.fromkeys(field.metric for field in wanted.fields))
    owners = machines.identities(server, window, names) if wanted.kind is Kind.VMI else {}
    rows = _Rows(wanted, names, owners)
    for item in steps.read(server, window, step, metrics, containers=False, jobs=names.jobs, progress=progress):
        rows.add(item)
    return rows.history(window)


class _Rows:
    """Collects steps."""

    def __init__(self, wanted: Wanted, names: Names, machines: Mapping[tuple[str, str], Identity]) -> None:
        self._wanted = wanted
        self._machines = machines
        self._names = names
        self._keys: dict[tuple[bool, str, str], Key | None] = {}
        self._amounts: dict[Key, dict[str, array[float]]] = {}
        self._times: list[tuple[float, float]] = []
        self._present: dict[Metric, list[float]] = {}
        self._fields: dict[str, Field] = {}
        self._cpu: set[tuple[str, str]] = set()
        self._memory: set[tuple[str, str]] = set()
        self._brief: set[tuple[str, str]] = set()
        self._homes: dict[str, list[VClusterRef]] = {}
        for ref in names.known:
            self._homes.setdefault(ref.host_namespace, []).append(ref)

    def add(self, step: Step) -> None:
        """Add a step."""
        index = len(self._times)
        self._times.append((step.start, step.end))
        for field in self._wanted.fields:
            if field.metric not in self._present:
                self._present[field.metric] = [0.0] * index
        for metric, shares in self._present.items():
            shares.append(step.present.get(metric, 0.0))
        for pod in step.brief:
            if self._key(pod, Metric.MEMORY) is not None:
                self._brief.add(pod[:2])
        for field in self._wanted.fields:
            for container, amount in step.amounts.get(field.metric, {}).items():
                key = self._key(container, field.metric)
                if key is None:
                    continue
                own = of_quota(field, container.container) if field.metric in _QUOTAS else field
                self._fields[own.name] = own
                columns = self._amounts.setdefault(key, {})
                column = columns.get(own.name)
                if column is None:
                    column = columns[own.name] = array("d")
                if len(column) <= index:
                    column.extend([0.0] * (index + 1 - len(column)))
                column[index] += amount
                if metric_of_pods := {Metric.CPU: self._cpu, Metric.MEMORY: self._memory}.get(field.metric):
                    metric_of_pods.add(container[:2])

    def _key(self, container: Container, metric: Metric) -> Key | None:
        """The row that an amount belongs to; None if it is not wanted."""
        claim = metric in _VOLUMES
        place = (claim, container.namespace, container.pod if metric not in _QUOTAS else "")
        if place not in self._keys:
            key = self._made(container, metric, claim=claim)
            self._keys[place] = key if key is not None and self._wanted.has(key) else None
        return self._keys[place]

    def _made(self, container: Container, metric: Metric, *, claim: bool) -> Key | None:
        kind, space, name = self._wanted.kind, container.namespace, container.pod
        if kind is Kind.NODES:
            return Key(None, "", name)
        if metric in _QUOTAS:
            # Where a host namespace holds several virtual clusters, nobody knows whose share is used.
            homes = self._homes.get(space, [])
            ref = homes[0] if len(homes) == 1 else None
            if kind is Kind.VCLUSTERS:
                return Key(ref, space) if ref else None
            return Key(None, space) if self._wanted.vcluster is None else None
        identity = self._identity(space, name, claim=claim)
        ref = identity.vcluster
        if kind is Kind.VCLUSTERS:
            return Key(ref, ref.host_namespace) if ref else Key(None, "")
        if kind is Kind.NAMESPACES:
            return Key(ref, space, namespace=identity.namespace)
        return Key(ref, space, name, identity.namespace, identity.name)

    def _identity(self, space: str, name: str, *, claim: bool) -> Identity:
        if self._wanted.kind is Kind.VMI:
            return self._machines.get((space, name), HOST)
        if claim:
            return self._names.of_claim(space, name)
        if self._wanted.vcluster and self._wanted.vcluster.parent:
            return self._names.innermost(space, name)
        return self._names.of(space, name)

    def history(self, window: Window) -> History:
        """What was collected."""
        fields = self._ordered()
        if self._wanted.kind is Kind.VCLUSTERS:
            for ref in self._names.known:
                key = Key(ref, ref.host_namespace)
                if self._wanted.has(key):
                    self._amounts.setdefault(key, {})
        rows = [self._row(key, columns, fields) for key, columns in self._amounts.items()]
        rows.sort(key=lambda row: row.key.order)
        pods = self._wanted.kind in (*_GROUPS, Kind.PODS) and Metric.MEMORY in self._present
        brief = len(self._brief | (self._cpu - self._memory)) if pods else 0
        return History(window, self._times, fields, rows, self._present, brief)

    def _ordered(self) -> list[Field]:
        found: list[Field] = []
        for field in self._wanted.fields:
            if field.metric in _QUOTAS:
                own = [item for item in self._fields.values() if item.metric is field.metric]
                found += sorted(own, key=lambda item: item.name)
            else:
                found.append(field)
        return found

    def _row(self, key: Key, columns: dict[str, array[float]], fields: Iterable[Field]) -> Row:
        points, totals = {}, {}
        empty = array("d")
        group = self._wanted.kind in _GROUPS
        count = len(self._times)
        for column in columns.values():
            column.extend([0.0] * (count - len(column)))
        # A group that holds nothing uses nothing; a pod that uses nothing is idle, or not there.
        there = [index for index in range(count) if any(column[index] > 0 for column in columns.values())]
        life = range(count) if group else range(there[0], there[-1] + 1) if there else range(0)
        for field in fields:
            column = columns.get(field.name, empty)
            if column is empty:
                if field.resource or not (group or field.metric in _ALWAYS):
                    continue
                column = array("d", bytes(8 * count))
            totals[field.name] = math.fsum(column)
            points[field.name] = array("d", self._points(field, column, life))
        return Row(key, points, totals)

    def _points(self, field: Field, column: array[float], life: range) -> Iterable[float]:
        shares = self._present[field.metric]
        # Where a server's data begins, a step has less than it should, and of counters nothing.
        began = next((index for index, share in enumerate(shares) if share > 0), 0)
        partial = began if began > 0 or shares[:1] < [_HALF] else -1
        for index, (amount, share) in enumerate(zip(column, shares, strict=True)):
            start, end = self._times[index]
            if share <= 0 or index == partial or index not in life:
                yield math.nan
            else:
                yield amount if field.unit is Unit.COUNT else amount / (end - start)
