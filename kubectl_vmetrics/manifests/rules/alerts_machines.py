"""Alerts about virtual machines of KubeVirt: CPU that the host does not give, memory that the guest does not have.

Families: kubevirt/kubevirt pkg/monitoring/metrics/virt-handler/domainstats, v1.3 and newer.
"""

from __future__ import annotations

from .alert import PERCENTAGE, Alert, Given, Threshold, label
from .expression import grouped, operation, over, rate, selector

_DELAY = "kubevirt_vmi_vcpu_delay_seconds_total"
_MACHINE = ("cluster", "namespace", "name")
_A_MACHINE = f"virtual machine {label('namespace')}/{label('name')}"


def _starved(given: Given) -> str:
    # By vCPU and node: after a live migration, two nodes report the machine for a while.
    delay = over("max", (*_MACHINE, "node", "id"), rate(selector(_DELAY, given.sources.kubevirt)))
    return f"{over('avg', _MACHINE, delay)} > {given.limit}"


def _short(given: Given) -> str:
    usable, available = (
        over("max", _MACHINE, selector(f"kubevirt_vmi_memory_{kind}_bytes", given.sources.kubevirt))
        for kind in ("usable", "available")
    )
    return f"{operation(usable, '/', grouped(f'{available} > 0'))}\n< {given.limit}"


ALERTS = (
    Alert(
        "VmetricsMachineCpuStarved",
        _starved,
        Threshold(0.1, "15m", "warning"),
        f"The {_A_MACHINE} waits for CPU.",
        f"The vCPUs of the {_A_MACHINE} were ready to run for {PERCENTAGE} of the time and the host did not run them.",
        "above",
        "share of the time, average of the vCPUs, 0 to 1",
    ),
    Alert(
        "VmetricsMachineMemoryLow",
        _short,
        Threshold(0.05, "15m", "warning"),
        f"The {_A_MACHINE} is short of memory.",
        f"Only {PERCENTAGE} of the guest's memory of the {_A_MACHINE} is usable.",
        "below",
        "share of the guest's memory, 0 to 1",
    ),
)
