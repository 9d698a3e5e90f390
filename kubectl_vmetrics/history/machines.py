"""Virtual machines that a Prometheus recorded: two samples of each at one moment, as two scrapes of a virt-handler.

All series of a machine at a time are one query, whatever the number of machines; rates are computed from counters and
from the times at which they were scraped, with the formulas of the live table.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from kubectl_vmetrics.kubevirt import guests, series
from kubectl_vmetrics.kubevirt.guests import Guest, Key
from kubectl_vmetrics.kubevirt.machines import Machine, Meta, Status, System
from kubectl_vmetrics.kubevirt.rates import Rates, between
from kubectl_vmetrics.metrics.samples import Sample as Read
from kubectl_vmetrics.prometheus.answer import Sample
from kubectl_vmetrics.prometheus.api import Prometheus
from kubectl_vmetrics.vcluster import machines as vcluster_machines
from kubectl_vmetrics.vcluster.identity import VClusterRef
from kubectl_vmetrics.vcluster.origins import Synced

from .moment import Moment
from .names import Identity, Names
from .window import Window

JOBS = 'job=~".*(kubevirt|virt-handler).*",job!~".*-x-.*"'
"""A job is named after a Service: KubeVirt's own, or the one of a chart; those of tenants have "-x-" in their names."""
APART = (300.0, 60.0)
"""Seconds between the two samples: five minutes, and one for machines that are younger."""
FRESH = 120.0
"""Seconds for which a sample counts: older ones are of machines that have ended, or have moved."""
_INFO = f"{series.PREFIX}info"
_WHEN = f"{series.PREFIX}memory_resident_bytes"
"""A series that every version has, once for each machine."""
_ALL = r"kubevirt_(migrate_)?vmi_.+|kubevirt_info"
_TARGET = ("cluster", "job", "instance", "endpoint", "pod", "prometheus", "prometheus_replica", "node")
"""Labels that tell one scrape from another: two jobs may scrape one virt-handler, and two of those know a machine
that migrates."""
_Target = tuple[str, ...]


class Recorded(NamedTuple):
    """The machines of a moment.

    Attributes:
        guests: the newest sample of each.
        rates: of those with an earlier sample.
        machines: what virt-controller reported; without those that it does not.
    """

    guests: dict[Key, Guest]
    rates: dict[Key, Rates]
    machines: dict[Key, Machine]


def read(moment: Moment, namespace: str | None = None) -> Recorded:
    """The machines of a host namespace, or of all. Raises as Prometheus.query."""
    fresh = max(FRESH, float(moment.rhythm.fresh))
    now = _snapshot(moment.server, moment.time, namespace, fresh)
    found = {key: max(same, key=lambda item: (item[1].at, item[0])) for key, same in now.items()}
    rates: dict[Key, Rates] = {}
    for apart in (max(APART[0], float(moment.rhythm.window)), APART[1]):
        missing = [key for key in found if key not in rates]
        if not missing:
            break
        before = _snapshot(moment.server, moment.time - apart, namespace, fresh)
        for key in missing:
            target, guest = found[key]
            earlier = next((item for other, item in before.get(key, []) if other == target), None)
            if earlier is not None and (made := between(earlier, guest)):
                rates[key] = made
    info = moment.server.query(_selector(_INFO, moment.server, namespace), at=moment.time)
    return Recorded({key: guest for key, (_, guest) in found.items()}, rates, _machines(info))


def virtual(keys: Mapping[Key, Mapping[str, str]], names: Names) -> dict[Key, Synced]:
    """The virtual names of machines, as far as their labels are conclusive.

    Args:
        keys: the labels of each machine, by its host names, with keys as Prometheus allows them.
        names: which virtual clusters there were, and where.
    """
    places = {ref: {ref.host_namespace, *names.places(ref)} for ref in names.known}

    def home(namespace: str, name: str) -> VClusterRef | None:
        refs = [ref for ref, spaces in places.items() if ref.name == name and namespace in spaces]
        own = VClusterRef(namespace, name)
        return own if own in refs else refs[0] if len(refs) == 1 else None

    found = {key: vcluster_machines.by_labels(key, labels, lambda: home) for key, labels in keys.items()}
    return {key: synced for key, synced in found.items() if synced}


def labels(server: Prometheus, start: float, end: float) -> dict[Key, dict[str, str]]:
    """The labels of all machines that there were in a time, by their host names. Raises as Prometheus.query.

    Args:
        server: to ask.
        start: seconds since the epoch.
        end: the same.
    """
    window = max(1, math.ceil(end - start))
    found: dict[Key, dict[str, str]] = {}
    for sample in server.query(f"last_over_time({_selector(_WHEN, server, None)}[{window}s])", at=end):
        found[_key(sample)] = {
            key.removeprefix(guests.LABEL): value
            for key, value in sample.labels.items()
            if key.startswith(guests.LABEL)
        }
    return found


def identities(server: Prometheus, window: Window, names: Names) -> dict[Key, Identity]:
    """Whose the machines of a time were, as names.of says of pods; the host's own are left out. Raises as `labels`."""
    found = virtual(labels(server, window.start, window.end), names)
    return {key: Identity(item.vcluster, item.namespace, item.name) for key, item in found.items()}


def _selector(name: str, server: Prometheus, namespace: str | None) -> str:
    by_name = f'__name__="{name}"' if re.fullmatch(r"\w+", name) else f'__name__=~"{name}"'
    only = f'namespace="{namespace}"' if namespace else ""
    return f"{{{','.join(filter(None, (by_name, JOBS, server.matchers, only)))}}}"


def _snapshot(
    server: Prometheus, moment: float, namespace: str | None, fresh: float
) -> dict[Key, list[tuple[_Target, Guest]]]:
    """Each machine in each scrape that knows it."""
    times: dict[tuple[_Target, Key], float] = {}
    for sample in server.query(f"timestamp({_selector(_WHEN, server, namespace)})", at=moment):
        times[_target(sample), _key(sample)] = sample.number
    scrapes: dict[_Target, list[Read]] = {}
    for sample in server.query(_selector(_ALL, server, namespace), at=moment):
        name = sample.labels.get("__name__", "")
        if series.wanted(name) and math.isfinite(sample.number):
            scrapes.setdefault(_target(sample), []).append(Read(name, sample.labels, sample.number))
    version = next((listed for listed in scrapes.values() if any(item.name == series.INFO for item in listed)), [])
    info = [item for item in version if item.name == series.INFO][:1]
    found: dict[Key, list[tuple[_Target, Guest]]] = {}
    for target, listed in scrapes.items():
        for key, guest in guests.read([*info, *listed], moment).guests.items():
            guest.at = times.get((target, key), moment)
            if moment - guest.at <= fresh:
                found.setdefault(key, []).append((target, guest))
    return found


def _machines(found: Iterable[Sample]) -> dict[Key, Machine]:
    """What virt-controller reports of each machine."""
    machines: dict[Key, Machine] = {}
    for sample in found:
        given = sample.labels
        system = System(name=given.get("guest_os_name", ""), version=given.get("guest_os_version_id", ""))
        status = Status(phase=given.get("phase", "").capitalize(), node=given.get("node", ""), system=system)
        key = _key(sample)
        machines[key] = Machine(Meta(key[1], key[0]), status=status)
    return machines


def _target(sample: Sample) -> _Target:
    return tuple(sample.labels.get(label, "") for label in _TARGET)


def _key(sample: Sample) -> Key:
    return sample.labels.get("namespace", ""), sample.labels.get("name", "")
