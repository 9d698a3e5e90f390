"""Each virtual machine in one scrape of a virt-handler. Pure.

A virtual machine is identified by namespace and name; every label of a VirtualMachineInstance is a label of its
series, so label sets differ within one family.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from kubectl_vmetrics.kube.errors import TooLarge
from kubectl_vmetrics.metrics.samples import Sample
from kubectl_vmetrics.metrics.text import Broken

from . import series
from .series import DRIVE, FILESYSTEM, INTERFACE, MIGRATION, VCPU, Meaning

LABEL = "kubernetes_vmi_label_"
Key = tuple[str, str]
MOST = 5_000
"""Virtual machines of one node: a kubelet runs 110 pods where nobody says otherwise, and hardly more than 1,000."""


class Vcpu(msgspec.Struct, omit_defaults=True):
    """One virtual CPU: seconds that it ran, waited in the run queue, and was ready but not scheduled (steal)."""

    seconds: float | None = None
    wait: float | None = None
    delay: float | None = None


class Interface(msgspec.Struct, omit_defaults=True):
    """One network interface, as the guest sees it: counters of bytes and packets."""

    rx_bytes: float | None = None
    tx_bytes: float | None = None
    rx_packets: float | None = None
    tx_packets: float | None = None
    rx_errors: float | None = None
    tx_errors: float | None = None
    rx_drops: float | None = None
    tx_drops: float | None = None


class Drive(msgspec.Struct, omit_defaults=True):
    """One disk: counters of operations and bytes, and the time that operations took together, in seconds."""

    reads: float | None = None
    writes: float | None = None
    flushes: float | None = None
    read_bytes: float | None = None
    write_bytes: float | None = None
    read_seconds: float | None = None
    write_seconds: float | None = None
    flush_seconds: float | None = None


class Filesystem(msgspec.Struct, omit_defaults=True):
    """One mount inside the guest, reported by the guest agent; bytes."""

    kind: str = ""
    capacity: float | None = None
    used: float | None = None


class Migration(msgspec.Struct, omit_defaults=True):
    """A live migration in progress, at its newest sample; bytes, and bytes per second."""

    total: float | None = None
    processed: float | None = None
    remaining: float | None = None
    dirty_rate: float | None = None
    transfer_rate: float | None = None


class Guest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A virtual machine in one scrape. None stands for what is not reported, which is not zero.

    Attributes:
        at: when, seconds since 1970.
        labels: of its VirtualMachineInstance, keys as Prometheus allows them.
        whole: whether CPU time is in whole seconds only.
        cpu_seconds: of the whole QEMU process.
        available: what the guest's system calls total; usable: what it could still give to programs.
    """

    namespace: str
    name: str
    node: str = ""
    at: float = 0.0
    labels: dict[str, str] = {}
    whole: bool = False
    cpu_seconds: float | None = None
    resident: float | None = None
    domain: float | None = None
    balloon: float | None = None
    available: float | None = None
    usable: float | None = None
    unused: float | None = None
    cached: float | None = None
    swap_in: float | None = None
    swap_out: float | None = None
    major_faults: float | None = None
    load1: float | None = None
    dirty_rate: float | None = None
    vcpus: dict[str, Vcpu] = {}
    interfaces: dict[str, Interface] = {}
    drives: dict[str, Drive] = {}
    filesystems: dict[str, Filesystem] = {}
    migration: Migration | None = None

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return self.namespace, self.name


class Scrape(msgspec.Struct):
    """One scrape of one virt-handler.

    Attributes:
        version: KubeVirt's, "" if it is not reported.
        broken: the lines that are not metrics.
    """

    guests: dict[Key, Guest]
    version: str = ""
    broken: Broken = Broken()


_KINDS: dict[str, type[Any]] = {VCPU: Vcpu, INTERFACE: Interface, DRIVE: Drive, FILESYSTEM: Filesystem}
_TABLES = {VCPU: "vcpus", INTERFACE: "interfaces", DRIVE: "drives", FILESYSTEM: "filesystems"}


def read(samples: Iterable[Sample], at: float) -> Scrape:
    """Gather samples by virtual machine.

    Args:
        samples: of one virt-handler.
        at: when it answered, seconds since 1970.

    Raises:
        TooLarge: there are more than a node can run; and whatever `samples` raises.
    """
    found = Scrape({})
    timestamps: dict[tuple[Key, str], int] = {}
    new: set[tuple[int, str]] = set()
    whole: set[tuple[Key, str]] = set()
    for sample in samples:
        labels = sample.labels
        if sample.name == series.INFO:
            found.version = labels.get("kubeversion", "")
            continue
        meaning = series.MEANINGS.get(sample.name)
        namespace, name = labels.get("namespace"), labels.get("name")
        if meaning is None or not namespace or not name:
            continue
        guest = found.guests.get((namespace, name))
        if guest is None:
            if len(found.guests) >= MOST:
                raise TooLarge(f"more than {MOST:,} virtual machines in one answer")
            guest = found.guests[namespace, name] = Guest(namespace=namespace, name=name, at=at)
        guest.node = labels.get("node") or guest.node
        if not guest.labels and meaning.group != MIGRATION:  # whose series carry none
            guest.labels = {key[len(LABEL) :]: value for key, value in labels.items() if key.startswith(LABEL)}
        field = meaning.by.get(labels.get("type", ""), "") if meaning.by else meaning.field
        target = _target(guest, meaning, labels)
        if not field or target is None:
            continue
        value = sample.value * meaning.factor
        if meaning.group == MIGRATION:
            # Several samples of one series in one scrape, not always in order: the newest counts.
            when = sample.timestamp or 0
            if when < timestamps.get((guest.key, field), -1):
                continue
            timestamps[guest.key, field] = when
        elif meaning.old and (id(target), field) in new:
            continue
        elif meaning.group == VCPU and (meaning.old or (id(target), field) in new):
            # The same total once more, under another state.
            value = max(value, getattr(target, field) or 0.0)
        if not meaning.old:
            new.add((id(target), field))
        if meaning.whole:
            whole.add((guest.key, field))
        setattr(target, field, value)
    for guest in found.guests.values():
        guest.whole = (guest.key, "seconds" if guest.cpu_seconds is None else "cpu_seconds") in whole
        _mend(guest, found.version)
    return found


def _target(guest: Guest, meaning: Meaning, labels: dict[str, str]) -> Any:
    if not meaning.group:
        return guest
    if meaning.group == MIGRATION:
        guest.migration = guest.migration or Migration()
        return guest.migration
    device = labels.get(series.DEVICE_LABEL[meaning.group])
    if device is None:
        return None
    table: dict[str, Any] = getattr(guest, _TABLES[meaning.group])
    if device not in table:
        table[device] = _KINDS[meaning.group]()
    if meaning.group == FILESYSTEM:
        table[device].kind = labels.get("file_system_type", "")
    return table[device]


def _mend(guest: Guest, version: str) -> None:
    """Correct errors of known versions: KubeVirt v1.2.1 to v1.5.3 reports milliseconds in a metric named seconds."""
    together = sum(vcpu.seconds or 0.0 for vcpu in guest.vcpus.values())
    # vCPUs are a part of the process, so they cannot have run longer than it.
    if guest.cpu_seconds is not None and together > max(1.5 * guest.cpu_seconds, 1.0):
        for vcpu in guest.vcpus.values():
            vcpu.seconds = None if vcpu.seconds is None else vcpu.seconds / 1000
    if version in series.WAIT_IN_MILLISECONDS:
        for vcpu in guest.vcpus.values():
            vcpu.wait = None if vcpu.wait is None else vcpu.wait / 1000
