"""Names and units of virt-handler's series in all versions, in one table.

Sources: kubevirt/kubevirt pkg/monitoring/metrics/virt-handler/domainstats (v1.3 on), pkg/monitoring/vms/prometheus and
pkg/monitoring/domainstats (before), read at each release tag from v0.20 to v1.9.
"""

from __future__ import annotations

from typing import NamedTuple

PREFIX = "kubevirt_vmi_"
MILLI, NANO = 1e-3, 1e-9


class Meaning(NamedTuple):
    """The meaning of a series.

    Attributes:
        group: what of a virtual machine it belongs to: "" for itself, else a kind of device.
        field: the attribute of `guests` that it is.
        factor: what makes its value bytes or seconds.
        by: the label that splits it into two fields, up to v0.40: {value: field}.
        old: whether newer series of the same field are better where both are there.
        whole: whether it was cut to whole seconds.
    """

    group: str
    field: str
    factor: float = 1.0
    by: dict[str, str] | None = None
    old: bool = False
    whole: bool = False


VCPU, INTERFACE, DRIVE, FILESYSTEM, MIGRATION = "vcpu", "interface", "drive", "filesystem", "migration"
DEVICE_LABEL = {VCPU: "id", INTERFACE: "interface", DRIVE: "drive", FILESYSTEM: "mount_point"}


def _gauges() -> dict[str, Meaning]:
    found = {
        f"memory_{name}_bytes": Meaning("", name)
        for name in ("resident", "domain", "available", "usable", "unused", "cached")
    }
    found |= {
        "memory_actual_balloon_bytes": Meaning("", "balloon"),
        "memory_domain_total_bytes": Meaning("", "domain", old=True),
        "memory_domain_bytes_total": Meaning("", "domain", old=True),
        "dirty_rate_bytes_per_second": Meaning("", "dirty_rate"),
        "guest_load_1m": Meaning("", "load1"),
        "filesystem_capacity_bytes": Meaning(FILESYSTEM, "capacity"),
        "filesystem_used_bytes": Meaning(FILESYSTEM, "used"),
        "filesystem_total_bytes": Meaning(FILESYSTEM, "capacity", old=True),
        "filesystem_capacity_bytes_total": Meaning(FILESYSTEM, "capacity", old=True),
    }
    return found


def _counters() -> dict[str, Meaning]:
    return {
        "cpu_usage_seconds_total": Meaning("", "cpu_seconds"),
        "cpu_usage_seconds": Meaning("", "cpu_seconds", old=True, whole=True),
        "vcpu_seconds_total": Meaning(VCPU, "seconds"),
        "vcpu_seconds": Meaning(VCPU, "seconds", old=True, whole=True),
        "vcpu_wait_seconds_total": Meaning(VCPU, "wait"),
        "vcpu_wait_seconds": Meaning(VCPU, "wait", MILLI, old=True),  # milliseconds, whatever it is called
        "vcpu_delay_seconds_total": Meaning(VCPU, "delay"),
        "memory_swap_in_traffic_bytes": Meaning("", "swap_in"),
        "memory_swap_out_traffic_bytes": Meaning("", "swap_out"),
        "memory_swap_in_traffic_bytes_total": Meaning("", "swap_in", old=True),
        "memory_swap_out_traffic_bytes_total": Meaning("", "swap_out", old=True),
        "memory_swap_traffic_bytes_total": Meaning("", "", by={"in": "swap_in", "out": "swap_out"}, old=True),
        "memory_pgmajfault_total": Meaning("", "major_faults"),
        "memory_pgmajfault": Meaning("", "major_faults", old=True),
    }


def _networks() -> dict[str, Meaning]:
    found = {}
    for way, field in (("receive", "rx"), ("transmit", "tx")):
        for what in ("bytes", "packets", "errors"):
            found[f"network_{way}_{what}_total"] = Meaning(INTERFACE, f"{field}_{what}")
        found[f"network_{way}_packets_dropped_total"] = Meaning(INTERFACE, f"{field}_drops")
    # Still there in v1.9, beside those above, and the same numbers: adding both counts twice.
    for name, what in (("traffic_bytes", "bytes"), ("traffic_packets", "packets"), ("errors", "errors")):
        by = {"rx": f"rx_{what}", "tx": f"tx_{what}"}
        found[f"network_{name}_total"] = Meaning(INTERFACE, "", by=by, old=True)
    return found


def _drives() -> dict[str, Meaning]:
    found = {}
    for way in ("read", "write"):
        found[f"storage_iops_{way}_total"] = Meaning(DRIVE, f"{way}s")
        found[f"storage_{way}_traffic_bytes_total"] = Meaning(DRIVE, f"{way}_bytes")
    for way in ("read", "write", "flush"):
        found[f"storage_{way}_times_seconds_total"] = Meaning(DRIVE, f"{way}_seconds")
        found[f"storage_{way}_times_ms_total"] = Meaning(DRIVE, f"{way}_seconds", MILLI, old=True)
    found["storage_flush_requests_total"] = Meaning(DRIVE, "flushes")
    found["storage_iops_total"] = Meaning(DRIVE, "", by={"read": "reads", "write": "writes"}, old=True)
    pair = {"read": "read_bytes", "write": "write_bytes"}
    found["storage_traffic_bytes_total"] = Meaning(DRIVE, "", by=pair, old=True)
    pair = {"read": "read_seconds", "write": "write_seconds"}
    found["storage_times_ms_total"] = Meaning(DRIVE, "", NANO, by=pair, old=True)  # nanoseconds, not milliseconds
    return found


def _migrations() -> dict[str, Meaning]:
    fields = {
        "data_bytes_total": "total",
        "data_total_bytes": "total",
        "data_processed_bytes": "processed",
        "data_remaining_bytes": "remaining",
        "dirty_memory_rate_bytes": "dirty_rate",
        "memory_transfer_rate_bytes": "transfer_rate",
        "disk_transfer_rate_bytes": "transfer_rate",  # v1.1 to v1.6: memory all the same
    }
    old = ("data_total_bytes", "disk_transfer_rate_bytes")
    return {f"migration_{name}": Meaning(MIGRATION, field, old=name in old) for name, field in fields.items()}


MEANINGS: dict[str, Meaning] = {
    PREFIX + name: meaning
    for table in (_gauges(), _counters(), _networks(), _drives(), _migrations())
    for name, meaning in table.items()
}
MEANINGS |= {
    f"kubevirt_migrate_vmi_{name}": MEANINGS[f"{PREFIX}migration_{name}"]
    for name in (
        "data_processed_bytes",
        "data_remaining_bytes",
        "dirty_memory_rate_bytes",
        "memory_transfer_rate_bytes",
    )
}
INFO = "kubevirt_info"
WAIT_TOTAL = f"{PREFIX}vcpu_wait_seconds_total"
WAIT_IN_MILLISECONDS = ("v1.2.1", "v1.2.2")
"""The versions in which vcpu_wait_seconds_total was milliseconds; nothing in the numbers themselves shows it."""


def wanted(name: str) -> bool:
    """Whether a series of virt-handler is read."""
    return name in MEANINGS or name == INFO
