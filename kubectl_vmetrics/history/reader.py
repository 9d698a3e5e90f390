"""Reads amounts of every metric, some steps at a time."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

from kubectl_vmetrics.prometheus.api import Prometheus

from . import gauges
from .counters import Counters
from .coverage import Coverage
from .grid import Grid, Key, collect
from .jobs import Jobs
from .queries import (
    EXPORTED,
    HOST_NETWORK,
    KILLED,
    LIMITS,
    NODE,
    PHASE,
    PLAIN,
    REQUESTS,
    SIDECAR_LIMITS,
    SIDECAR_REQUESTS,
    SIDECARS,
    VM_AVAILABLE,
    VM_RESIDENT,
    VM_USABLE,
    Metric,
    Query,
)
from .step import Container
from .window import Window

_POINTS = 2_000_000
"""Numbers of one metric that are in memory at a time."""
_STEPS = 500
"""Steps that are read at a time, if few series have them."""
_FINE = 300.0
"""Seconds: in steps up to this length it matters when a counter was sampled."""
_RECENT = 120.0
"""Seconds for which the last sample of a counter is looked for in short steps."""
_FRESH = 45.0
"""Seconds for which a sample of a gauge counts at least: cAdvisor's are up to 25 s old when they are scraped."""
_FEW = 4
"""Samples: in steps with fewer, the last one stands for the step."""

_BRIEF = 2
"""Samples of a pod, up to which it was there too briefly for its CPU to be complete."""

_RESOURCES = {
    Metric.CPU_REQUEST: ("requests", ("cpu",)),
    Metric.MEMORY_REQUEST: ("requests", ("memory",)),
    Metric.GPU_REQUEST: ("requests", ("nvidia_com_gpu", "amd_com_gpu")),
    Metric.CPU_LIMIT: ("limits", ("cpu",)),
    Metric.MEMORY_LIMIT: ("limits", ("memory",)),
}
_COUNTED = (Metric.OOM_KILLS, Metric.RESTARTS)
"""Whole numbers, which are not divided between steps."""
_TRAFFIC = (Metric.NETWORK_RECEIVE, Metric.NETWORK_TRANSMIT)

Columns = dict[Container, "array[float]"]
"""Amounts of one metric: an array with one number for each step."""


class Reader:
    """Reads grid after grid.

    Attributes:
        brief: of the last grid, pods that were there for a sample or two, by the last of their steps.
    """

    def __init__(
        self, server: Prometheus, window: Window, metrics: Sequence[Metric], jobs: Jobs, *, containers: bool
    ) -> None:
        self._server = server
        self._window = window
        self._jobs = jobs
        self._only = str(getattr(server, "matchers", ""))
        self._metrics = metrics
        self._containers = containers
        self._counters: dict[tuple[Metric, int], Counters] = {}
        self._chosen: dict[Metric, int] = {}
        self._debts: dict[Container, float] = {}
        self._expected: dict[Query, int] = {}
        self._coverage = Coverage(server, window)
        self.brief: dict[int, set[Container]] = {}

    def most(self) -> int:
        """How many steps to read at a time."""
        largest = 1
        for metric in self._metrics:
            query = self._on(PLAIN[metric][0] if metric in PLAIN else REQUESTS)
            for at in {self._window.end, (self._window.start + self._window.end) / 2}:
                found = self._server.query(f"count({' or '.join(query.selectors)})", at=at)
                count = int(found[0].number) if found else 0
                self._expected[query] = max(self._expected.get(query, 0), count)
                largest = max(largest, count)
        return max(2, min(_STEPS, _POINTS // largest))

    def read(self, grid: Grid) -> tuple[dict[Metric, Columns], dict[Metric, list[float]]]:
        """Amounts and coverage of the steps of a grid."""
        amounts: dict[Metric, Columns] = {}
        present: dict[Metric, list[float]] = {}
        held: dict[str, dict[Key, array[float]]] = {}
        for metric in self._metrics:
            if metric in _RESOURCES:
                what, resources = _RESOURCES[metric]
                if what not in held:
                    held[what] = self._held(grid, what)
                chosen = {key: numbers for key, numbers in held[what].items() if key[3] in resources}
                query = self._on(REQUESTS)
                amounts[metric] = _columns(query, chosen)
            elif metric is Metric.OOM_KILLS:
                amounts[metric], query = self._killed(grid)
            elif metric is Metric.VM_MEMORY:
                amounts[metric], query = self._guests(grid), self._on(VM_AVAILABLE)
            else:
                amounts[metric], query = self._plain(grid, metric)
            some = any(any(numbers) for numbers in amounts[metric].values())
            present[metric] = self._coverage.shares(grid, query.witness, otherwise=some)
        if any(metric in amounts for metric in _TRAFFIC):
            shared = self._collect(sharing := self._on(HOST_NETWORK), grid, sharing.samples(grid.step), ahead=0)
            for metric in _TRAFFIC:
                for key in [key for key in amounts.get(metric, ()) if key[:2] in shared]:
                    del amounts[metric][key]
        return amounts, present

    def _on(self, query: Query) -> Query:
        return query.on(self._jobs, self._only)

    def _plain(self, grid: Grid, metric: Metric) -> tuple[Columns, Query]:
        """Amounts from the first source that has any."""
        queries = [self._on(query) for query in PLAIN[metric]]
        first = self._chosen.get(metric, 0)
        for index in range(first, len(queries)):
            query = queries[index]
            found = (
                self._grown(grid, metric, index, query)
                if query.counter
                else self._integrals(grid, query, brief=metric is Metric.MEMORY)
            )
            if found:
                self._chosen[metric] = index
                if metric is Metric.CPU:
                    return self._divided(found, query), query
                return _columns(query, found), query
        return {}, queries[first]

    def _grown(self, grid: Grid, metric: Metric, index: int, whole: Query) -> dict[Key, array[float]]:
        query = whole
        if metric is Metric.CPU and index == 0 and not self._containers:
            query = query._replace(selectors=query.selectors[:1])
        seconds = max(grid.step, _RECENT)
        fine = grid.step <= _FINE and metric not in _COUNTED
        values = self._collect(query, grid, query.last(seconds), ahead=int(fine))
        if not values and metric is Metric.CPU and index == 0 and not self._containers:
            # kube-prometheus-stack keeps containers alone.
            query = whole
            values = self._collect(query, grid, query.last(seconds), ahead=int(fine))
        if not values:
            return {}
        times = self._collect(query, grid, query.time(), ahead=1) if fine else None
        counters = self._counters.setdefault((metric, index), Counters())
        return counters.feed(
            grid,
            values,
            len(query.by),
            times=times,
            largest=lambda: self._collect(query, grid, query.largest(grid.step), ahead=int(fine)),
            smallest=lambda: self._collect(query, grid, query.smallest(grid.step), ahead=int(fine)),
        )

    def _integrals(self, grid: Grid, query: Query, *, brief: bool = False) -> dict[Key, array[float]]:
        if self._short(grid, query):
            found = self._around(grid, query, query.newest(self._fresh(query)))
            if brief:
                self.brief = gauges.brief(grid, found, self._fresh(query) / grid.step + 1, one=True)
            return gauges.held(grid, found)
        if query.peak:
            return gauges.held(grid, self._around(grid, query, query.largest(grid.step)))
        counts = self._around(grid, query, query.samples(grid.step))
        if not counts:
            return {}
        if brief:
            self.brief = gauges.brief(grid, counts, _BRIEF)
        return gauges.integrals(grid, self._around(grid, query, query.mean(grid.step)), counts, unique=query.unique)

    def _short(self, grid: Grid, query: Query) -> bool:
        return grid.step < self._coverage.interval(query) * _FEW

    def _fresh(self, query: Query) -> float:
        return max(_FRESH, 2.5 * self._coverage.interval(query))

    def _around(self, grid: Grid, query: Query, expression: str) -> dict[Key, array[float]]:
        return self._collect(query, grid, expression, ahead=1)

    def _held(self, grid: Grid, what: str) -> dict[Key, array[float]]:
        """Requests or limits of containers and sidecars, as long as their pods run."""
        own, sidecars = (REQUESTS, SIDECAR_REQUESTS) if what == "requests" else (LIMITS, SIDECAR_LIMITS)
        found = self._integrals(grid, self._on(own))
        infos, phase = self._on(SIDECARS), self._on(PHASE)
        restartable = self._collect(infos, grid, infos.samples(grid.step), ahead=0)
        if restartable:
            names = {(*key[:3], key[-1]) for key in restartable}
            initial = self._integrals(grid, self._on(sidecars))
            found.update({key: numbers for key, numbers in initial.items() if (*key[:3], key[-1]) in names})
        expression = phase.newest(self._fresh(phase)) if self._short(grid, phase) else phase.mean(grid.step)
        running = self._collect(phase, grid, expression, ahead=0)
        if not running:
            return found  # kube-state-metrics without phases
        for key, numbers in found.items():
            shares = running.get((*key[:2], key[-1]))
            share = 0.0
            for k in range(grid.steps):
                if shares is not None and shares[k + 1] == shares[k + 1]:
                    share = shares[k + 1]
                numbers[k] *= share
        return found

    def _killed(self, grid: Grid) -> tuple[Columns, Query]:
        """OOM kills that cAdvisor saw, or restarts after one: what is killed may be gone before it is scraped."""
        columns, query = self._plain(grid, Metric.OOM_KILLS)
        reasons = self._on(KILLED)
        killed = self._collect(reasons, grid, reasons.newest(1.5 * self._coverage.interval(reasons)), ahead=0)
        if killed:
            restarts = PLAIN[Metric.RESTARTS][0]
            counted = self._grown(grid, Metric.OOM_KILLS, 1, self._on(restarts))
            found = {
                key: array("d", [one if flag > 0 else 0.0 for one, flag in zip(counted[key], flags[1:], strict=True)])
                for key, flags in killed.items()
                if key in counted
            }
            for key, numbers in _columns(restarts, found).items():
                columns[key] = array("d", map(max, numbers, columns.get(key, numbers)))
            query = query if columns and not found else reasons
        return columns, query

    def _guests(self, grid: Grid) -> Columns:
        """Memory that programs in guests use: what the guest has, less what it could still give; or else QEMU's."""
        queries = [self._on(query) for query in (VM_AVAILABLE, VM_USABLE, VM_RESIDENT)]
        available, usable, resident = (_columns(query, self._integrals(grid, query)) for query in queries)
        return resident | {
            key: array("d", [max(0.0, one - other) for one, other in zip(numbers, usable[key], strict=True)])
            for key, numbers in available.items()
            if key in usable
        }

    def _divided(self, found: dict[Key, array[float]], query: Query) -> Columns:
        """CPU of containers, and of each pod what its cgroup has beyond them."""
        columns = _columns(query, found)
        within: dict[Container, list[array[float]]] = {}
        for key, numbers in columns.items():
            if key.container:
                within.setdefault(key._replace(container=""), []).append(numbers)
        if not self._containers:
            # Containers stand in for the cgroups of pods where those are not kept.
            return {
                pod: columns.get(pod) or array("d", map(sum, zip(*inside, strict=True)))
                for pod, inside in [*within.items(), *((key, []) for key in columns if not key.container)]
            }
        for key, inside in within.items():
            whole = columns.get(key)
            if whole is None:
                continue
            debt = self._debts.pop(key, 0.0)
            for k, together in enumerate(zip(*inside, strict=True)):
                # Containers and their pod are sampled at different moments: what is missing now comes later.
                debt += whole[k] - sum(together)
                whole[k] = max(0.0, debt)
                debt = min(0.0, debt)
            if debt:
                self._debts[key] = debt
        return columns

    def _collect(self, query: Query, grid: Grid, expression: str, *, ahead: int) -> dict[Key, array[float]]:
        by = query.sampled if query.counter else query.by
        found = collect(self._server, expression, by, grid, ahead=ahead, expected=self._expected.get(query, 0))
        self._expected[query] = max(self._expected.get(query, 0), len(found))
        if query.scale != 1.0:
            for numbers in found.values():
                for k, number in enumerate(numbers):
                    numbers[k] = number * query.scale
        if query.key == NODE and "instance" in by:
            # Where series have no label with the node's name, its address stands in.
            place = by.index("instance")
            return {(key[0] or key[place].rpartition(":")[0], *key[1:]): values for key, values in found.items()}
        return found


def _columns(query: Query, found: Mapping[Key, array[float]]) -> Columns:
    """Amounts by container: those of its identities added up."""
    columns: Columns = {}
    for key, numbers in found.items():
        name = _container(query, key)
        if name is None:
            continue
        known = columns.get(name)
        if known is None:
            columns[name] = numbers
        elif query.alike:
            columns[name] = array("d", map(max, known, numbers))
        else:
            columns[name] = array("d", [one + other for one, other in zip(known, numbers, strict=True)])
    return columns


def _container(query: Query, key: Key) -> Container | None:
    if query.key == NODE:
        return Container("", key[0]) if key[0] else None
    names = key[: len(query.key)]
    if EXPORTED[0] in query.by:
        exported = key[len(names) : len(names) + 2]
        names = exported if exported[1] else names
    return Container(*names) if names[1] else None
