"""Tenant control planes that a Prometheus recorded: two scrapes of each component at one moment.

A control plane is the label `cluster` with NAMESPACE/NAME, and a component the label `job`, as `manifests kamaji` and
`manifests vcluster` set both. Large families are added up by the labels that are read, so answers stay small.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from kubectl_vmetrics.controlplane import figures
from kubectl_vmetrics.controlplane.health import Health, NotRecorded
from kubectl_vmetrics.controlplane.plane import KAMAJI, SYNCER, VCLUSTER, Component, Plane
from kubectl_vmetrics.controlplane.targets import COMPONENTS
from kubectl_vmetrics.kube.errors import ConnectionFailed, VmetricsError
from kubectl_vmetrics.metrics import process
from kubectl_vmetrics.metrics.samples import Sample as Read
from kubectl_vmetrics.metrics.snapshot import Pair, Snapshot
from kubectl_vmetrics.prometheus.answer import Sample
from kubectl_vmetrics.prometheus.api import Prometheus

from .moment import Moment

APART = 300.0
"""Seconds between the two scrapes."""
_REPLICAS = ("prometheus", "prometheus_replica", "replica")
"""Labels of Prometheus servers of a pair, whose series are the same."""
_SUMMED: Mapping[str, tuple[str, ...]] = {
    figures.REQUESTS: ("verb", "subresource", "code"),
    figures.DURATIONS: ("verb", "subresource", "le"),
    figures.ETCD: ("le",),
    figures.ATTEMPT_DURATIONS: ("le",),
}
_TARGET = ("cluster", "job", "pod", "instance")
_OWN = f'job=~"{"|".join(COMPONENTS)}",cluster=~".+/.+"'


class Target(NamedTuple):
    """A component of a replica: NAMESPACE/NAME of its control plane, its job, its pod, and host:port of the scrape."""

    path: str
    job: str
    pod: str
    instance: str

    @property
    def component(self) -> Component:
        """As the live table knows it."""
        host, _, port = self.instance.rpartition(":")
        number = int(port) if port.isdigit() and len(port) < 6 else 0
        return Component(COMPONENTS.get(self.job, self.job), self.pod or self.instance, host, number)


Recorded = dict[str, dict[Target, "Pair | VmetricsError"]]
"""The scrapes of components by NAMESPACE/NAME of their control planes; an error for a target that was down."""


def read(moment: Moment) -> Recorded:
    """The scrapes of each control plane, by NAMESPACE/NAME; an error for a target that was down.

    Raises:
        QueryFailed, StatusError, ConnectionFailed, TooLarge: as Prometheus.query.
    """
    server = moment.server
    ups = {_target(item): item.number for item in server.query(_series("up", server), at=moment.time)}
    apart = max(APART, float(moment.rhythm.window))
    after, before = (_snapshots(server, at) for at in (moment.time, moment.time - apart))
    found: Recorded = {}
    for target, up in sorted(ups.items()):
        here = found.setdefault(target.path, {})
        if up == 1 and target in after:
            earlier = before.get(target)
            here[target] = Pair(earlier if earlier and earlier.at < after[target].at else None, after[target])
        else:
            here[target] = ConnectionFailed(f"{server.name} could not scrape it: no answer")
    return found


def present(planes: Iterable[Plane], recorded: Recorded, who: str) -> list[list[Health]]:
    """The components of control planes that exist, also those that are not scraped.

    Args:
        planes: of the live cluster.
        recorded: see `read`.
        who: the Prometheus, for messages.
    """
    found = []
    for plane in planes:
        listed = _health(plane, recorded.get(plane.path, {}))
        seen = {(item.component.name, item.component.pod) for item in listed}
        for component in plane.components:
            if (component.name, component.pod) not in seen and not component.optional and not plane.asleep:
                listed.append(Health(plane, component, error=NotRecorded(f"{who} does not scrape it")))
        found.append(listed)
    return found


def past(planes: Iterable[Plane], recorded: Recorded) -> list[list[Health]]:
    """The components of control planes that were scraped then, whether they still exist or not.

    Args:
        planes: of the live cluster, for what they are; all else about them is of now.
        recorded: see `read`.
    """
    known = {plane.path: plane for plane in planes}
    found = []
    for path, targets in sorted(recorded.items()):
        namespace, _, name = path.partition("/")
        kind = known[path].kind if path in known else _kind(targets)
        found.append(_health(Plane(kind, namespace, name), targets))
    return found


def _kind(targets: Iterable[Target]) -> str:
    return VCLUSTER if any(COMPONENTS.get(target.job) == SYNCER for target in targets) else KAMAJI


def _health(plane: Plane, targets: Mapping[Target, Pair | VmetricsError]) -> list[Health]:
    listed = []
    for target, pair in targets.items():
        component = target.component
        if isinstance(pair, VmetricsError):
            listed.append(Health(plane, component, error=pair))
        else:
            listed.append(Health(plane, component, figures.read(component, pair), seconds=pair.seconds))
    return listed


def _series(name: str, server: Prometheus) -> str:
    return f"{name}{{{','.join(filter(None, (_OWN, server.matchers)))}}}"


def _snapshots(server: Prometheus, at: float) -> dict[Target, Snapshot]:
    """Each target's scrape."""
    times = {_target(item): item.number for item in server.query(f"timestamp({_series('up', server)})", at=at)}
    samples: dict[Target, list[Read]] = {}
    replicas = ", ".join(_REPLICAS)
    for name, labels in _SUMMED.items():
        by = ", ".join((*_TARGET, *labels))
        expression = f"sum by ({by}) (max without ({replicas}) ({_series(name, server)}))"
        _gather(samples, server.query(expression, at=at), name)
    plain = "|".join(name for name in wanted() if name not in _SUMMED)
    chosen = ",".join(filter(None, (f'__name__=~"{plain}"', _OWN, server.matchers)))
    _gather(samples, server.query(f"{{{chosen}}}", at=at))
    return {target: Snapshot(listed, times.get(target, at)) for target, listed in samples.items()}


def _gather(samples: dict[Target, list[Read]], found: Iterable[Sample], name: str = "") -> None:
    for item in found:
        own = {key: value for key, value in item.labels.items() if key not in _REPLICAS and key != "__name__"}
        if math.isfinite(item.number):
            listed = samples.setdefault(_target(item), [])
            listed.append(Read(name or item.labels.get("__name__", ""), own, item.number))


def wanted() -> list[str]:
    """The families that are read."""
    return sorted({*figures.FAMILIES, *process.FAMILIES, *process.REQUESTS})


def _target(item: Sample) -> Target:
    return Target(*(item.labels.get(label, "") for label in _TARGET))
