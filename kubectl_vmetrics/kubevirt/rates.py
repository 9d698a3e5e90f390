"""Rates of a virtual machine from two samples: cores, bytes per second, latencies. Pure.

The formulas are those of KubeVirt's own recording rules and dashboards (kubevirt/kubevirt pkg/monitoring/rules,
kubevirt/monitoring dashboards). A counter that went back was reset by a migration or a restart: what happened
in between is not known, so the rate is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from .guests import Drive, Guest, Interface, Vcpu

CACHE = 3.25
"""Seconds for which virt-launcher remembers domain statistics (pkg/virt-launcher/virtwrap/manager.go)."""
SHORTEST = 5.0
"""Seconds between two samples below which their difference says more of that cache than of the machine."""
FINE = 30.0
"""Seconds from which on whole-second counters are good for a rate."""

_UNTOLD = ("cdfs", "iso9660", "udf", "squashfs", "cramfs", "tmpfs", "devtmpfs", "overlay", "proc", "sysfs")


class VcpuRates(msgspec.Struct):
    """Shares of one virtual CPU's time: running, waiting for a turn, ready but not scheduled (steal)."""

    running: float | None = None
    wait: float | None = None
    steal: float | None = None


class InterfaceRates(msgspec.Struct):
    """A second: bytes, packets, packets dropped, errors."""

    rx_bytes: float | None = None
    tx_bytes: float | None = None
    rx_packets: float | None = None
    tx_packets: float | None = None
    drops: float | None = None
    errors: float | None = None


class DriveRates(msgspec.Struct):
    """A second: operations and bytes; and seconds for one operation on average."""

    reads: float | None = None
    writes: float | None = None
    read_bytes: float | None = None
    write_bytes: float | None = None
    read_latency: float | None = None
    write_latency: float | None = None
    flush_latency: float | None = None


class Rates(msgspec.Struct):
    """What a virtual machine used between two samples; sums over its devices, and each device.

    Attributes:
        seconds: between the samples.
        coarse: whether CPU is made of whole seconds that are too few.
        cores: of the whole QEMU process.
        wait: share of its vCPUs' time; steal: likewise.
    """

    seconds: float
    coarse: bool = False
    cores: float | None = None
    wait: float | None = None
    steal: float | None = None
    network: InterfaceRates = msgspec.field(default_factory=InterfaceRates)
    disk: DriveRates = msgspec.field(default_factory=DriveRates)
    vcpus: dict[str, VcpuRates] = {}
    interfaces: dict[str, InterfaceRates] = {}
    drives: dict[str, DriveRates] = {}


def between(before: Guest, after: Guest) -> Rates | None:
    """The rates between two samples of one virtual machine; None where they are none.

    They are None if it moved to another node in between, if no time passed, or if the samples are so close to each
    other that both may be the same cached answer, and are.
    """
    seconds = after.at - before.at
    if seconds <= 0 or before.node != after.node or (seconds < SHORTEST + 2 and _same(before, after)):
        return None
    rate = _Rate(seconds)
    found = Rates(seconds, coarse=after.whole and seconds < FINE)
    vcpus = _pairs(before.vcpus, after.vcpus)
    found.vcpus = {name: _vcpu(rate, *pair) for name, pair in vcpus.items()}
    found.cores = rate(before.cpu_seconds, after.cpu_seconds)
    if after.cpu_seconds is None:
        found.cores = _sum(vcpu.running for vcpu in found.vcpus.values())
    if count := len(after.vcpus):
        for field in ("wait", "steal"):
            together = _sum(getattr(vcpu, field) for vcpu in found.vcpus.values())
            setattr(found, field, None if together is None else together / count)
    found.interfaces = {n: _interface(rate, *pair) for n, pair in _pairs(before.interfaces, after.interfaces).items()}
    found.network = _together(InterfaceRates, found.interfaces.values())
    drives = _pairs(before.drives, after.drives)
    found.drives = {name: _drive(rate, [pair]) for name, pair in drives.items()}
    found.disk = _drive(rate, list(drives.values()))
    return found


class _Rate:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, before: float | None, after: float | None) -> float | None:
        gone = _difference(before, after)
        return None if gone is None else gone / self.seconds


def _difference(before: float | None, after: float | None) -> float | None:
    if before is None or after is None or after < before:
        return None
    return after - before


def _vcpu(rate: _Rate, before: Vcpu, after: Vcpu) -> VcpuRates:
    return VcpuRates(
        rate(before.seconds, after.seconds), rate(before.wait, after.wait), rate(before.delay, after.delay)
    )


def _interface(rate: _Rate, before: Interface, after: Interface) -> InterfaceRates:
    def of(*fields: str) -> float | None:
        return _sum(rate(getattr(before, field), getattr(after, field)) for field in fields)

    return InterfaceRates(
        of("rx_bytes"),
        of("tx_bytes"),
        of("rx_packets"),
        of("tx_packets"),
        of("rx_drops", "tx_drops"),
        of("rx_errors", "tx_errors"),
    )


def _drive(rate: _Rate, pairs: list[tuple[Drive, Drive]]) -> DriveRates:
    def gone(field: str) -> float | None:
        return _sum(_difference(getattr(before, field), getattr(after, field)) for before, after in pairs)

    def per_second(field: str) -> float | None:
        found = gone(field)
        return None if found is None else found / rate.seconds

    def latency(time: str, operations: str) -> float | None:
        # Weighted by operations over all drives. Without any there is no latency, which is not a latency of nothing.
        took, count = gone(time), gone(operations)
        return took / count if took is not None and count else None

    return DriveRates(
        per_second("reads"),
        per_second("writes"),
        per_second("read_bytes"),
        per_second("write_bytes"),
        latency("read_seconds", "reads"),
        latency("write_seconds", "writes"),
        latency("flush_seconds", "flushes"),
    )


Device = TypeVar("Device")


def _pairs(before: Mapping[str, Device], after: Mapping[str, Device]) -> dict[str, tuple[Device, Device]]:
    """Devices in both samples; one that was plugged in since the first has no rate."""
    return {name: (before[name], device) for name, device in after.items() if name in before}


def _together(kind: type[InterfaceRates], devices: Iterable[InterfaceRates]) -> InterfaceRates:
    listed = list(devices)
    return kind(**{field: _sum(getattr(item, field) for item in listed) for field in kind.__struct_fields__})


def _sum(values: Iterable[float | None]) -> float | None:
    """The sum; None if there are no values or one is not known, since a partial sum would look complete."""
    listed = list(values)
    found = [value for value in listed if value is not None]
    return sum(found) if found and len(found) == len(listed) else None


def _same(before: Guest, after: Guest) -> bool:
    def counters(guest: Guest) -> list[Any]:
        return [guest.cpu_seconds, guest.vcpus, guest.interfaces, guest.drives]

    return counters(before) == counters(after)


class Memory(msgspec.Struct, frozen=True):
    """Memory of a guest in bytes.

    Attributes:
        used: by the guest's programs; of the QEMU process if the guest does not report it (`estimated`).
        total: what the guest has.
    """

    used: float | None
    total: float | None
    estimated: bool = False

    @property
    def share(self) -> float | None:
        """Used of total."""
        return self.used / self.total if self.used is not None and self.total else None


def memory(guest: Guest, current: float | None = None) -> Memory:
    """What a guest uses: total less what programs could still get, or less what is free and cached.

    Args:
        guest: the newest sample.
        current: VMI.status.memory.guestCurrent, where it is known.
    """
    whole = guest.available
    if whole is not None and guest.usable is not None:
        return Memory(max(whole - guest.usable, 0.0), whole)
    if whole is not None and guest.unused is not None and guest.cached is not None:
        return Memory(max(whole - guest.unused - guest.cached, 0.0), whole)
    return Memory(guest.resident, current or guest.domain or whole, estimated=True)


def filesystems(guest: Guest) -> dict[str, float]:
    """Usage of each mount as a share; those that cannot fill up are left out."""
    found = {}
    for mount, held in guest.filesystems.items():
        kind = held.kind.lower()
        if kind in _UNTOLD or kind.startswith(("cgroup", "fuse")) or mount == "System Reserved":
            continue
        if held.capacity and held.used is not None:
            found[mount] = held.used / held.capacity
    return found
