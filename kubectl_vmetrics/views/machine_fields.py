"""Columns of `vmi` for programs: paths in its document, by their names."""

from __future__ import annotations

LEAD = {
    "host_namespace": "host.namespace",
    "host_name": "host.name",
    "vcluster_namespace": "vcluster.hostNamespace",
    "vcluster": "vcluster.name",
    "virtual_namespace": "virtual.namespace",
    "virtual_name": "virtual.name",
    "node": "node",
}
MACHINE = {
    "status": "status",
    "vcpus": "vcpus",
    "cpu_cores": "cpu.cores",
    "cpu_share": "cpu.share",
    "cpu_steal_share": "cpu.steal",
    "cpu_wait_share": "cpu.wait",
    "load1": "load1",
    "memory_used_bytes": "memory.usedBytes",
    "memory_total_bytes": "memory.totalBytes",
    "memory_estimated": "memory.estimated",
    "pod_overhead_bytes": "memory.podOverheadBytes",
    "memory_dirty_bytes_per_second": "memory.dirtyBytesPerSecond",
    "network_received_bytes_per_second": "network.rx_bytes",
    "network_sent_bytes_per_second": "network.tx_bytes",
    "network_drops_per_second": "network.drops",
    "network_errors_per_second": "network.errors",
    "disk_read_bytes_per_second": "disk.read_bytes",
    "disk_written_bytes_per_second": "disk.write_bytes",
    "disk_reads_per_second": "disk.reads",
    "disk_writes_per_second": "disk.writes",
    "disk_read_latency_seconds": "disk.read_latency",
    "disk_write_latency_seconds": "disk.write_latency",
    "migration_processed_bytes": "migration.processed",
    "migration_total_bytes": "migration.total",
    "os": "os",
    "filesystems_used_share": "filesystems",
    "interval_seconds": "intervalSeconds",
}
DEVICES: dict[str, tuple[str, str, dict[str, str]]] = {
    "vcpus": (
        "vcpuRates",
        "vcpu",
        {
            "vcpu": "part.vcpu",
            "running_share": "part.running",
            "steal_share": "part.steal",
            "wait_share": "part.wait",
        },
    ),
    "disks": (
        "disks",
        "disk",
        {
            "disk": "part.disk",
            "read_bytes_per_second": "part.read_bytes",
            "written_bytes_per_second": "part.write_bytes",
            "reads_per_second": "part.reads",
            "writes_per_second": "part.writes",
            "read_latency_seconds": "part.read_latency",
            "write_latency_seconds": "part.write_latency",
            "flush_latency_seconds": "part.flush_latency",
        },
    ),
    "interfaces": (
        "interfaces",
        "interface",
        {
            "interface": "part.interface",
            "received_bytes_per_second": "part.rx_bytes",
            "sent_bytes_per_second": "part.tx_bytes",
            "received_packets_per_second": "part.rx_packets",
            "sent_packets_per_second": "part.tx_packets",
            "drops_per_second": "part.drops",
            "errors_per_second": "part.errors",
        },
    ),
}
"""Where each kind of device is in a document, what its name is called there, and its columns for programs."""
