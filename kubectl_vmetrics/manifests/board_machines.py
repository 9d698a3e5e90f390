"""The dashboard of virtual machines."""

from __future__ import annotations

from .grafana import Dashboard, Panel, Variable
from .promql import IN, sum_

_HOSTS = Variable("cluster", "cluster", "kubevirt_vmi_memory_domain_bytes")
_SPACES = Variable("namespace", "namespace", f"kubevirt_vmi_memory_domain_bytes{{{IN}}}")
_NAMES = Variable("name", "name", f'kubevirt_vmi_memory_domain_bytes{{{IN},namespace=~"$namespace"}}')
_VM = f'{IN},namespace=~"$namespace",name=~"$name"'
_BY = "namespace, name"
_LEGEND = "{{namespace}}/{{name}}"


def _vm(family: str) -> str:
    return sum_(_BY, f"kubevirt_vmi_{family}", _VM)


def _latency(way: str) -> str:
    operations = _vm(f"storage_iops_{way}_total")
    return f"{_vm(f'storage_{way}_times_seconds_total')} / ({operations} > 0)"


_COUNT = f"count by ({_BY}) (sum by ({_BY}, id) (kubevirt_vmi_vcpu_seconds_total{{{_VM}}}))"
_AVAILABLE, _USABLE = (
    f"sum by ({_BY}) (kubevirt_vmi_memory_{kind}_bytes{{{_VM}}})" for kind in ("available", "usable")
)

MACHINES = Dashboard(
    "vmetrics-machines",
    "Virtual machines",
    "What KubeVirt's virtual machines use, as reported by the guests where possible.",
    [_HOSTS, _SPACES, _NAMES],
    [
        (
            "CPU",
            [
                Panel("Cores", [(_vm("cpu_usage_seconds_total"), _LEGEND)]),
                Panel(
                    "Share of vCPUs used", [(f"{_vm('cpu_usage_seconds_total')} / {_COUNT}", _LEGEND)], "percentunit"
                ),
                Panel(
                    "Steal",
                    [(f"{_vm('vcpu_delay_seconds_total')} / {_COUNT}", _LEGEND)],
                    "percentunit",
                    about="Runnable but not running: the host is short of CPU.",
                ),
            ],
        ),
        (
            "Memory",
            [
                Panel(
                    "Used by the guest",
                    [(f"{_AVAILABLE} - {_USABLE}", _LEGEND)],
                    "bytes",
                    about="Only guests with a balloon driver report it.",
                ),
                Panel("Share of guest memory used", [(f"1 - {_USABLE} / {_AVAILABLE}", _LEGEND)], "percentunit"),
                Panel(
                    "Resident on the host",
                    [(f"sum by ({_BY}) (kubevirt_vmi_memory_resident_bytes{{{_VM}}})", _LEGEND)],
                    "bytes",
                ),
            ],
        ),
        (
            "Network and disks",
            [
                Panel("Received", [(_vm("network_receive_bytes_total"), _LEGEND)], "Bps", width=6),
                Panel("Transmitted", [(_vm("network_transmit_bytes_total"), _LEGEND)], "Bps", width=6),
                Panel("Read", [(_vm("storage_read_traffic_bytes_total"), _LEGEND)], "Bps", width=6),
                Panel("Written", [(_vm("storage_write_traffic_bytes_total"), _LEGEND)], "Bps", width=6),
                Panel("Read latency", [(_latency("read"), _LEGEND)], "s", width=8),
                Panel("Write latency", [(_latency("write"), _LEGEND)], "s", width=8),
                Panel(
                    "Fullest file systems",
                    [
                        (
                            f"max by ({_BY}, mount_point) (kubevirt_vmi_filesystem_used_bytes{{{_VM}}} / "
                            f"kubevirt_vmi_filesystem_capacity_bytes{{{_VM}}})",
                            f"{_LEGEND} {{{{mount_point}}}}",
                        )
                    ],
                    "percentunit",
                    width=8,
                ),
            ],
        ),
        (
            "Live migration",
            [
                Panel(
                    "Data remaining",
                    [(f"max by ({_BY}) (kubevirt_vmi_migration_data_remaining_bytes{{{_VM}}})", _LEGEND)],
                    "bytes",
                ),
                Panel(
                    "Dirty rate",
                    [(f"max by ({_BY}) (kubevirt_vmi_dirty_rate_bytes_per_second{{{_VM}}})", _LEGEND)],
                    "Bps",
                ),
            ],
        ),
    ],
)
