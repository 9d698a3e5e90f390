"""What `history` can show of each kind of row: fields by the names of --metric."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from .queries import Metric


class Kind(str, Enum):
    """What a row is."""

    VCLUSTERS = "vclusters"
    NAMESPACES = "namespaces"
    PODS = "pods"
    NODES = "nodes"
    VMI = "vmi"
    VOLUMES = "volumes"


class Unit(Enum):
    """The unit of a field's points, and what its total is."""

    CORES = ("cores", "coreSeconds")
    BYTES = ("bytes", "byteSeconds")
    GPUS = ("gpus", "gpuSeconds")
    RATE = ("bytesPerSecond", "bytes")
    COUNT = ("perStep", "count")
    UNITS = ("units", "unitSeconds")

    @property
    def label(self) -> str:
        """Its name in documents."""
        return self.value[0]

    @property
    def total(self) -> str:
        """The name of totals in documents."""
        return self.value[1]


class Field(NamedTuple):
    """A series of points that a row has.

    Attributes:
        name: in documents: "cpu".
        label: in tables: "cpu".
        metric: what it is made of.
        unit: of its points.
        resource: of quotas, which have many; "" for anything else.
        of: the name that the fields of all resources have in common.
    """

    name: str
    label: str
    metric: Metric
    unit: Unit
    resource: str = ""
    of: str = ""


_CPU = Field("cpu", "cpu", Metric.CPU, Unit.CORES)
_MEMORY = Field("memory", "memory", Metric.MEMORY, Unit.BYTES)


def _pair(names: tuple[str, str], labels: tuple[str, str], metrics: tuple[Metric, Metric], *units: Unit) -> list[Field]:
    return [
        Field(name, label, metric, unit)
        for name, label, metric, unit in zip(names, labels, metrics, (units * 2)[:2], strict=True)
    ]


_RECEIVED, _READ = ("networkReceive", "networkTransmit"), ("diskRead", "diskWrite")
_NETWORK_LABELS, _DISK_LABELS = ("net-rx", "net-tx"), ("disk-read", "disk-write")
_REQUESTED = ("cpuRequest", "memoryRequest"), ("cpu-request", "memory-request")
_LIMITED = ("cpuLimit", "memoryLimit"), ("cpu-limit", "memory-limit")
_ALLOCATABLE = ("cpuAllocatable", "memoryAllocatable"), ("cpu-allocatable", "memory-allocatable")
_VOLUMES = [
    Field("volumeUsed", "used", Metric.VOLUME_USED, Unit.BYTES),
    Field("volumeCapacity", "capacity", Metric.VOLUME_CAPACITY, Unit.BYTES),
    Field("volumeRequest", "request", Metric.VOLUME_REQUEST, Unit.BYTES),
]

_PODS: Mapping[str, Sequence[Field]] = {
    "cpu": [_CPU],
    "memory": [_MEMORY],
    "network": _pair(_RECEIVED, _NETWORK_LABELS, (Metric.NETWORK_RECEIVE, Metric.NETWORK_TRANSMIT), Unit.RATE),
    "disk": _pair(_READ, _DISK_LABELS, (Metric.DISK_READ, Metric.DISK_WRITE), Unit.RATE),
    "gpu": _pair(("gpu", "gpuRequest"), ("gpu", "gpu-request"), (Metric.GPU, Metric.GPU_REQUEST), Unit.GPUS),
    "requests": _pair(*_REQUESTED, (Metric.CPU_REQUEST, Metric.MEMORY_REQUEST), Unit.CORES, Unit.BYTES),
    "limits": _pair(*_LIMITED, (Metric.CPU_LIMIT, Metric.MEMORY_LIMIT), Unit.CORES, Unit.BYTES),
    "restarts": _pair(
        ("restarts", "oomKills"), ("restarts", "oom-kills"), (Metric.RESTARTS, Metric.OOM_KILLS), Unit.COUNT
    ),
}
_QUOTA = _pair(
    ("quotaUsed", "quotaHard"), ("quota-used", "quota-hard"), (Metric.QUOTA_USED, Metric.QUOTA_HARD), Unit.UNITS
)
_GROUPS = {**_PODS, "volumes": _VOLUMES, "quota": _QUOTA}

FIELDS: Mapping[Kind, Mapping[str, Sequence[Field]]] = {
    Kind.PODS: _PODS,
    Kind.NAMESPACES: _GROUPS,
    Kind.VCLUSTERS: _GROUPS,
    Kind.NODES: {
        "cpu": [Field("cpu", "cpu", Metric.NODE_CPU, Unit.CORES)],
        "memory": [Field("memory", "memory", Metric.NODE_MEMORY, Unit.BYTES)],
        "allocatable": _pair(
            *_ALLOCATABLE, (Metric.NODE_CPU_ALLOCATABLE, Metric.NODE_MEMORY_ALLOCATABLE), Unit.CORES, Unit.BYTES
        ),
    },
    Kind.VMI: {
        "cpu": [Field("cpu", "cpu", Metric.VM_CPU, Unit.CORES)],
        "memory": [Field("memory", "memory", Metric.VM_MEMORY, Unit.BYTES)],
        "network": _pair(
            _RECEIVED, _NETWORK_LABELS, (Metric.VM_NETWORK_RECEIVE, Metric.VM_NETWORK_TRANSMIT), Unit.RATE
        ),
        "disk": _pair(_READ, _DISK_LABELS, (Metric.VM_DISK_READ, Metric.VM_DISK_WRITE), Unit.RATE),
    },
    Kind.VOLUMES: {"volumes": _VOLUMES},
}
"""The fields of each kind by the names of --metric; the first two are the default."""

METRICS = tuple(dict.fromkeys(name for fields in FIELDS.values() for name in fields))


def chosen(kind: Kind, names: Sequence[str]) -> list[Field]:
    """The fields of a kind for values of --metric; without any, CPU and memory, or what volumes use.

    Raises:
        ValueError: a kind has no such metric.
    """
    known = FIELDS[kind]
    for name in names:
        if name not in known:
            raise ValueError(f"{kind.value} have no metric {name!r}: use {', '.join(known)}")
    wanted = names or [name for name in ("cpu", "memory") if name in known] or list(known)
    return [field for name in dict.fromkeys(wanted) for field in known[name]]


def of_quota(field: Field, resource: str) -> Field:
    """The field of one resource of a quota."""
    what = resource.removeprefix("requests.").removeprefix("limits.")
    unit = (
        Unit.CORES
        if what == "cpu"
        else Unit.BYTES
        if what in ("memory", "storage", "ephemeral-storage")
        else Unit.UNITS
    )
    return field._replace(
        name=field.name + "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", resource)),
        label=f"{field.label}:{resource}",
        unit=unit,
        resource=resource,
        of=field.name,
    )
