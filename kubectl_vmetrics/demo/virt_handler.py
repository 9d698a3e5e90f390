"""What the demo cluster's KubeVirt components tell at /metrics.

Names and label order of the series are those of virt-handler v1.9.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .machines import VERSION, Component, Machine

_MEBI = 1 << 20


class Ran(NamedTuple):
    """How long something has run, in seconds: by the clock, and as `usage.worked` counts."""

    seconds: float
    worked: float


def component(item: Component, ran: Ran, memory_bytes: int) -> Iterator[str]:
    """What each component reports about itself."""
    weight = item.weight
    yield "# TYPE process_cpu_seconds_total counter"
    yield f"process_cpu_seconds_total {item.millicores / 1000 * ran.worked:.2f}"
    yield "# TYPE process_resident_memory_bytes gauge"
    yield f"process_resident_memory_bytes {float(memory_bytes)!r}"
    yield "# TYPE kubevirt_rest_client_requests_total counter"
    for code, verb, resource, share in (
        ("200", "LIST", "virtualmachineinstances", 0.4),
        ("200", "PATCH", "nodes", 0.1),
        ("409", "UPDATE", "virtualmachineinstances", 0.003),
        ("<error>", "WATCH", "kubevirts", 0.0),
    ):
        labels = f'code="{code}",host="10.96.0.1:443",method="GET",resource="{resource}",verb="{verb}"'
        # Lost when the apiserver was restarted, long ago, and no more since.
        value = int(share * weight * ran.seconds) if share else 3
        yield f"kubevirt_rest_client_requests_total{{{labels}}} {value}"
    if item.kind in ("virt-controller", "virt-operator"):
        name = f"kubevirt_{item.kind.replace('-', '_')}_leading_status"
        yield f"# TYPE {name} gauge"
        yield f"{name} {int(item.leads)}"


def exposition(listed: Iterable[tuple[Machine, Ran]]) -> str:
    """What a virt-handler reports about the machines on its node."""
    families: dict[str, list[str]] = {
        "kubevirt_info": [f'kubevirt_info{{goversion="go1.27",kubeversion="{VERSION}"}} 1']
    }
    for machine, ran in listed:
        own = labels_of(machine)
        for name, value, more in samples(machine, ran):
            labels = ",".join(f'{key}="{text}"' for key, text in sorted({**own, **more}.items()))
            full = f"kubevirt_vmi_{name}"
            families.setdefault(full, []).append(f"{full}{{{labels}}} {value!r}")
    lines = []
    for name, listing in sorted(families.items()):
        lines += [f"# TYPE {name} {'counter' if name.endswith('_total') else 'gauge'}", *listing]
    return "\n".join(lines) + "\n"


def labels_of(machine: Machine) -> dict[str, str]:
    """What all series of a machine have: its labels, and which it is."""
    own = {f"kubernetes_vmi_label_{re.sub(r'[./-]', '_', key)}": value for key, value in machine.labels.items()}
    return {**own, "name": machine.name, "namespace": machine.namespace, "node": machine.node}


def samples(machine: Machine, ran: Ran) -> Iterator[tuple[str, float, dict[str, str]]]:
    """Names without kubevirt_vmi_, values, and labels of a machine's series.

    All that a machine does goes with the CPU that it uses, so counters are multiples of the same integral.
    """
    busy = machine.busy * ran.worked
    used = busy * machine.vcpus
    size = float(machine.mebibytes * _MEBI)
    yield "cpu_usage_seconds_total", round(used, 6), {}
    yield "memory_resident_bytes", round(size * 0.83), {}
    yield "memory_domain_bytes", size, {}
    if machine.balloon:
        yield "memory_available_bytes", round(size * 0.97), {}
        yield "memory_usable_bytes", round(size * (0.97 - 0.6 * machine.busy - 0.2)), {}
    for index in range(machine.vcpus):
        yield "vcpu_seconds_total", round(busy * 0.95, 2), {"id": str(index), "state": "running"}
        yield "vcpu_wait_seconds_total", round(busy * 0.002, 6), {"id": str(index)}
        yield "vcpu_delay_seconds_total", round(busy * 0.03, 6), {"id": str(index)}
    for way, speed in (("receive", 180_000.0), ("transmit", 65_000.0)):
        yield f"network_{way}_bytes_total", int(speed * used), {"interface": "default"}
        yield f"network_{way}_packets_total", int(speed / 800 * used), {"interface": "default"}
    for drive, share in (("rootdisk", 1.0), *((("datadisk", 4.0),) if machine.vcpus > 4 else ())):
        for way, count in (("read", 12.0), ("write", 31.0)):
            operations = int(count * share * used)
            yield f"storage_iops_{way}_total", operations, {"drive": drive}
            yield f"storage_{way}_traffic_bytes_total", operations * 16_384, {"drive": drive}
            yield f"storage_{way}_times_seconds_total", round(operations * 0.0011, 6), {"drive": drive}
    if machine.agent:
        for mount, full in (("/", 0.37), ("/var", 0.81)):
            labels = {"mount_point": mount, "file_system_type": "ext4", "disk_name": "vda1"}
            yield "filesystem_capacity_bytes", 40e9, labels
            yield "filesystem_used_bytes", round(40e9 * full), labels
    if machine.target:
        yield "migration_data_bytes_total", size, {}
        yield "migration_data_processed_bytes", round(size * (ran.seconds % 60) / 60), {}
