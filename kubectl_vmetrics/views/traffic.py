"""Columns and fields of --network and --io; items have `rates`."""

from __future__ import annotations

from typing import Any

from kubectl_vmetrics.metrics.traffic import DISK, NETWORK, STALLS, Rates

from .cells import told
from .columns import RATE, SHARE, SPEED, Column, Kind, rounded

_NAMES = {
    "received": ("NET-RX", "network_received_bytes_per_second", SPEED),
    "sent": ("NET-TX", "network_sent_bytes_per_second", SPEED),
    "errors": ("NET-ERRORS", "network_errors_per_second", RATE),
    "drops": ("NET-DROPS", "network_drops_per_second", RATE),
    "read": ("DISK-READ", "disk_read_bytes_per_second", SPEED),
    "written": ("DISK-WRITE", "disk_written_bytes_per_second", SPEED),
    "reads": ("READ-IOPS", "disk_reads_per_second", RATE),
    "writes": ("WRITE-IOPS", "disk_writes_per_second", RATE),
    "waiting": ("IO-SOME(%)", "io_pressure_some_share", SHARE),
    "stalled": ("IO-FULL(%)", "io_pressure_full_share", SHARE),
}


def columns(*, network: bool, io: bool, stalls: bool = True) -> list[Column]:
    """The columns that were asked for; `stalls` for pods, whose shares of time have no sum."""
    fields = [*(NETWORK if network else ()), *(DISK if io else ()), *(STALLS if io and stalls else ())]
    return [_column(field, *_NAMES[field]) for field in fields]


def _column(field: str, header: str, name: str, kind: Kind) -> Column:
    def value(item: Any) -> float | None:
        rates: Rates | None = item.rates
        return getattr(rates, field) if rates else None

    return Column(header, name, kind, value, summed=field not in STALLS)


def document(rates: Rates | None, *, network: bool, io: bool) -> dict[str, Any]:
    """The fields of an item."""
    if rates is None:
        return {}
    found: dict[str, Any] = {}
    if network:
        found["network"] = _told(
            receivedBytesPerSecond=rates.received,
            sentBytesPerSecond=rates.sent,
            errorsPerSecond=rates.errors,
            dropsPerSecond=rates.drops,
        )
    if io:
        found["disk"] = _told(
            readBytesPerSecond=rates.read,
            writtenBytesPerSecond=rates.written,
            readsPerSecond=rates.reads,
            writesPerSecond=rates.writes,
        )
        if stalls := _told(some=rates.waiting, full=rates.stalled):
            found["ioPressureShare"] = stalls
    return found


def _told(**values: float | None) -> dict[str, float]:
    return {name: rounded(value) for name, value in told(values).items()}
