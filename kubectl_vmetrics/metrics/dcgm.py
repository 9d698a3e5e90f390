"""What a dcgm-exporter reports about the GPUs of its node. Pure.

Names, units and the order of labels: NVIDIA/dcgm-exporter etc/default-counters.csv,
internal/pkg/rendermetrics/render_metrics.go and internal/pkg/transformation/kubernetes.go. With --use-old-namespace,
names and labels are others (uuid, pod_name, pod_namespace, container_name), and some installations collect both.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from .samples import Labels, Sample

MEBI = 1 << 20
BLANK = 2.0**47
"""Values from here on mean "not supported" or "not permitted": dcgm_structs.h, DCGM_FP64_BLANK; those of integers are
larger."""

_UTILISATION, _ACTIVE = "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
_USED, _FREE, _RESERVED = "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_FB_RESERVED"
_TOTAL = "DCGM_FI_DEV_FB_TOTAL"
_POWER, _TEMPERATURE = "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_GPU_TEMP"
_FIELDS = frozenset((_UTILISATION, _ACTIVE, _USED, _FREE, _RESERVED, _TOTAL, _POWER, _TEMPERATURE))
_OF_DEVICE = {
    "gpu": "gpu",
    "UUID": "uuid",
    "uuid": "uuid",
    "modelName": "model",
    "GPU_I_PROFILE": "profile",
    "GPU_I_ID": "instance",
}
_BESIDE = ("pci_bus_id", "device")
_OF_POD = {
    **dict.fromkeys(("namespace", "pod_namespace", "exported_namespace"), "namespace"),
    **dict.fromkeys(("pod", "pod_name", "exported_pod"), "pod"),
    **dict.fromkeys(("container", "container_name", "exported_container"), "container"),
}


class Holder(NamedTuple):
    """A container that a device is assigned to, by host names."""

    namespace: str
    pod: str
    container: str = ""


class Gpu(msgspec.Struct):
    """A device, or a MIG slice of one.

    Attributes:
        uuid: of the whole device, also for a slice.
        index: of the device on its node, as in /dev/nvidia0.
        profile, instance: of a MIG slice: "1g.10gb" and "7"; "" for a whole device.
        percent: utilization, 0 to 100; of a slice, of its own compute engines. None if not reported, as all of these.
        used, total: bytes of memory.
        watts: power draw, for a slice that of the whole device.
        celsius: temperature.
        holders: those that it is assigned to; several if it is shared.
    """

    uuid: str
    index: str = ""
    model: str = ""
    profile: str = ""
    instance: str = ""
    percent: float | None = None
    used: int | None = None
    total: int | None = None
    watts: float | None = None
    celsius: float | None = None
    holders: list[Holder] = []


def wanted(name: str) -> bool:
    """Whether a family is read."""
    return name.upper() in _FIELDS


def labels(pairs: Iterable[tuple[str, str]]) -> Labels:
    """The labels that are read, by one name each.

    With --kubernetes-enable-pod-labels, the labels of the pod stand between those of the device and those that name
    the pod, and the author of the pod chooses their names. So labels of a device count only at the beginning, and of
    the pod's names the last one.
    """
    found: Labels = {}
    # Other software writes labels in order of their names; there, they can be anywhere.
    templated = at_start = True
    for index, (name, value) in enumerate(pairs):
        templated = templated and (index > 0 or name == "gpu")
        at_start = at_start and (name in _OF_DEVICE or name in _BESIDE)
        if key := _OF_DEVICE.get(name):
            if at_start or not templated:
                found.setdefault(key, value)
        elif key := _OF_POD.get(name):
            found[key] = value
    return found


def read(samples: Iterable[Sample]) -> list[Gpu]:
    """The devices and slices, in order of index and instance, each once, however many families report it.

    Args:
        samples: with labels as `labels` makes them.
    """
    found: dict[tuple[str, str], _Device] = {}
    for sample in samples:
        uuid = sample.labels.get("uuid") or sample.labels.get("gpu", "")
        key = (uuid, sample.labels.get("instance", ""))
        if uuid:
            found.setdefault(key, _Device(sample.labels)).add(sample)
    sliced = {uuid for uuid, instance in found if instance}
    # A device that is sliced cannot be assigned as a whole, but may report what its slices do not.
    return [
        item.made(found.get((uuid, "")))
        for (uuid, instance), item in sorted(found.items(), key=lambda entry: entry[1].order)
        if instance or uuid not in sliced
    ]


class _Device:
    """The samples of one device or slice."""

    def __init__(self, known: Labels) -> None:
        self._labels = known
        self._values: dict[str, float] = {}
        self._current: set[str] = set()
        self._holders: dict[Holder, None] = {}

    @property
    def order(self) -> tuple[int, int, str]:
        """The device's place on its node."""
        return (_number(self._labels.get("gpu", "")), _number(self._labels.get("instance", "")), str(self._labels))

    def add(self, sample: Sample) -> None:
        """Take a sample; the current family wins over the old one."""
        name, known = sample.name.upper(), sample.labels
        if 0 <= sample.value < BLANK and (sample.name == name or name not in self._current):
            self._values[name] = sample.value
        if sample.name == name:
            self._current.add(name)
        if known.get("pod") and known.get("namespace"):
            self._holders[Holder(known["namespace"], known["pod"], known.get("container", ""))] = None

    def made(self, whole: _Device | None) -> Gpu:
        """The device, with power and temperature of the whole one for a slice."""
        values, known = self._values, self._labels
        power = {**(whole._values if whole else {}), **values}
        active = values.get(_ACTIVE)
        percent = values.get(_UTILISATION, active * 100 if active is not None else None)
        if known.get("instance") and active is not None:
            percent = active * 100
        used = values.get(_USED)
        total = values.get(_TOTAL)
        if total is None and used is not None and _FREE in values:
            total = used + values[_FREE] + values.get(_RESERVED, 0)
        return Gpu(
            known.get("uuid", ""),
            known.get("gpu", ""),
            known.get("model", ""),
            known.get("profile", ""),
            known.get("instance", ""),
            percent,
            None if used is None else int(used * MEBI),
            None if total is None else int(total * MEBI),
            power.get(_POWER),
            power.get(_TEMPERATURE),
            list(self._holders),
        )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 1 << 30
