"""The tables of `vmi --per-vcpu`, `--disks` and `--interfaces`: one row for each part of a virtual machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kubectl_vmetrics.kubevirt.rates import Rates
from kubectl_vmetrics.output.table import Row

from .cells import LONGEST, count, milliseconds, percent, short, speed


def _vcpus(rates: Rates) -> Iterable[Row]:
    for name in sorted(rates.vcpus, key=_number):
        found = rates.vcpus[name]
        yield [name, percent(found.running), percent(found.steal), percent(found.wait)]


def _disks(rates: Rates) -> Iterable[Row]:
    for name, found in sorted(rates.drives.items()):
        yield [
            short(name, LONGEST),
            speed(found.read_bytes),
            speed(found.write_bytes),
            count(found.reads),
            count(found.writes),
            milliseconds(found.read_latency),
            milliseconds(found.write_latency),
            milliseconds(found.flush_latency),
        ]


def _interfaces(rates: Rates) -> Iterable[Row]:
    for name, found in sorted(rates.interfaces.items()):
        counts = [count(value) for value in (found.rx_packets, found.tx_packets, found.drops, found.errors)]
        yield [short(name, LONGEST), speed(found.rx_bytes), speed(found.tx_bytes), *counts]


TABLES: dict[str, tuple[list[str], Callable[[Rates], Iterable[Row]]]] = {
    "vcpus": (["VCPU", "CPU(%)", "STEAL(%)", "WAIT(%)"], _vcpus),
    "disks": (["DISK", "READ", "WRITE", "READ-IOPS", "WRITE-IOPS", "READ-LAT", "WRITE-LAT", "FLUSH-LAT"], _disks),
    "interfaces": (["INTERFACE", "RX", "TX", "RX-PACKETS", "TX-PACKETS", "DROPS", "ERRORS"], _interfaces),
}


def _number(text: str) -> tuple[int, str]:
    return (int(text), text) if text.isdecimal() else (1 << 30, text)
