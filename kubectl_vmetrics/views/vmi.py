"""The tables of `vmi`: virtual machines, and their vCPUs, disks and interfaces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from kubectl_vmetrics.kubevirt.guests import Guest, Key
from kubectl_vmetrics.kubevirt.machines import Machine
from kubectl_vmetrics.kubevirt.rates import Memory, Rates, filesystems, memory
from kubectl_vmetrics.output import order
from kubectl_vmetrics.output.formats import View
from kubectl_vmetrics.output.table import Row
from kubectl_vmetrics.output.units import NONE, UNKNOWN, mebibytes, millicores
from kubectl_vmetrics.vcluster.origins import Synced

from . import devices, fields, machine_fields
from .cells import ABOUT, LONGEST, count, milliseconds, percent, short, speed, told

RULE = "________"
KIND = "VirtualMachineInstance"


class Shown(NamedTuple):
    """One virtual machine and all that is known of it.

    Attributes:
        machine: None without the right to read VirtualMachineInstances.
        guest: None if no virt-handler reports it.
        virtual: its names inside its virtual cluster.
        pod_bytes: working set of its virt-launcher pod, if that was asked for.
    """

    key: Key
    machine: Machine | None = None
    guest: Guest | None = None
    rates: Rates | None = None
    virtual: Synced | None = None
    pod_bytes: int | None = None

    @property
    def vcpus(self) -> int:
        """How many the guest has."""
        return (self.machine.vcpus if self.machine else 0) or (len(self.guest.vcpus) if self.guest else 0)

    @property
    def cores(self) -> float:
        """CPU in cores, 0 if it is not known, for sorting and sums."""
        return (self.rates.cores or 0.0) if self.rates else 0.0

    @property
    def memory(self) -> Memory:
        """What its guest uses."""
        if self.guest is None:
            return Memory(None, None)
        return memory(self.guest, self.machine.memory_bytes if self.machine else None)


class Options(NamedTuple):
    """How to show virtual machines.

    Attributes:
        devices: "" for one row per machine, otherwise vcpus, disks or interfaces.
        inside: whether only virtual names are shown.
    """

    namespaces: bool = False
    sort_by: str = ""
    total: bool = False
    wide: bool = False
    devices: str = ""
    inside: bool = False


def _network(item: Shown) -> float:
    found = item.rates.network if item.rates else None
    return (found.rx_bytes or 0.0) + (found.tx_bytes or 0.0) if found else 0.0


def _disk(item: Shown) -> float:
    found = item.rates.disk if item.rates else None
    return (found.read_bytes or 0.0) + (found.write_bytes or 0.0) if found else 0.0


SORTS: dict[str, Callable[[Shown], int]] = {
    "cpu": lambda item: round(item.cores * 1e9),
    "memory": lambda item: round(item.memory.used or 0.0),
    "network": lambda item: round(_network(item)),
    "disk": lambda item: round(_disk(item)),
}
"""What --sort-by takes, the largest first."""


def view(items: Sequence[Shown], options: Options) -> View:
    """The table, and the document, of virtual machines."""
    both = not options.inside and any(item.virtual for item in items)
    ordered = sorted(items, key=lambda item: _names(item, virtual=options.inside or both))
    if options.sort_by:
        ordered = order.descending(ordered, SORTS[options.sort_by])
    lead = [
        *(["NAMESPACE"] if options.namespaces else []),
        *(["VCLUSTER", "VNAMESPACE"] if both else []),
        "NAME",
        "NODE",
    ]
    if options.devices:
        headers, cells = devices.TABLES[options.devices]
        parts = {item.key: list(cells(item.rates)) if item.rates else [] for item in ordered}
        rows: list[Row] = [[*_lead(item, options, both), *row] for item in ordered for row in parts[item.key]]
        named = [item for item in ordered if parts[item.key]]
    else:
        headers = [*_HEADERS, *(_WIDE if options.wide else [])]
        rows = [
            [*_lead(item, options, both), *_cells(item), *(_wide(item) if options.wide else [])] for item in ordered
        ]
        named = ordered

    def names() -> list[str]:
        return [f"vmi/{_names(item, virtual=options.inside)[-1]}" for item in named]

    def document() -> dict[str, Any]:
        return _document(ordered, options)

    def plain() -> fields.Table:
        found = document()
        items = found["items"]
        if options.inside:
            items = [{**item, "virtual": item["metadata"]} if "vcluster" in item else item for item in items]
        if not options.devices:
            return fields.table(items, machine_fields.LEAD | machine_fields.MACHINE, found.get("sum"))
        path, name, listed = machine_fields.DEVICES[options.devices]
        return fields.table(fields.each(items, path, name), machine_fields.LEAD | listed)

    if not options.total:
        return View([*lead, *headers], rows, document, names, spare=_SPARE, plain=plain)
    sums = _sums(_totals(ordered), len(lead), len(headers))
    footer = [[RULE if cell else "" for cell in sums], sums]
    return View([*lead, *headers], rows, document, names, footer, lambda: [*rows, sums], _SPARE, plain)


def _names(item: Shown, *, virtual: bool) -> tuple[str, ...]:
    if virtual and item.virtual:
        return item.virtual.vcluster.path, item.virtual.namespace, item.virtual.name
    return "", *item.key


def _lead(item: Shown, options: Options, both: bool) -> list[str]:
    namespace, name = item.key
    virtual = item.virtual
    shown = [virtual.namespace if virtual and options.inside else namespace] if options.namespaces else []
    if both:
        shown += [virtual.vcluster.name, virtual.namespace] if virtual else [NONE, NONE]
    return [*shown, virtual.name if virtual else name, _node(item)]


def _node(item: Shown) -> str:
    node = (item.machine.status.node if item.machine else "") or (item.guest.node if item.guest else "")
    target = item.machine.target if item.machine else _label(item.guest, "kubevirt_io_migrationTargetNodeName")
    return f"{node}->{target}" if target and target != node else node or NONE


def _label(guest: Guest | None, key: str) -> str:
    return guest.labels.get(key, "") if guest else ""


def _state(item: Shown) -> str:
    if item.machine:
        return item.machine.state
    return "Migrating" if item.guest and item.guest.migration else "Running"


# ------------------------------------------------------------------------------------------------------ one row each

_SPARE = ("OS", "NODE")
_HEADERS = ["STATUS", "VCPU", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"]
_HEADERS += ["NET-RX", "NET-TX", "DISK-READ", "DISK-WRITE"]
_WIDE = ["STEAL(%)", "WAIT(%)", "LOAD", "READ-IOPS", "WRITE-IOPS", "READ-LAT", "WRITE-LAT"]
_WIDE += ["POD-OVERHEAD(bytes)", "DIRTY", "MIGRATED(%)", "OS", "FILESYSTEMS"]


def _cells(item: Shown) -> list[str]:
    shown = [_state(item), str(item.vcpus or "-")]
    if item.guest is None:
        return [*shown, *[UNKNOWN] * 4, *["-"] * 4]
    used = item.memory
    about = ABOUT if used.estimated else ""
    return [
        *shown,
        *_cpu(item),
        f"{about}{mebibytes(int(used.used))}" if used.used is not None else "-",
        f"{about}{percent(used.share)}" if used.share is not None else "-",
        *_traffic(item.rates),
    ]


def _cpu(item: Shown) -> list[str]:
    cores = item.rates.cores if item.rates else None
    if item.rates is None or cores is None:
        return ["-", "-"]
    about = ABOUT if item.rates.coarse else ""
    share = f"{about}{percent(cores / item.vcpus)}" if item.vcpus else "-"
    return [f"{about}{millicores(round(cores * 1e9))}", share]


def _traffic(rates: Rates | None) -> list[str]:
    if rates is None:
        return ["-"] * 4
    network, disk = rates.network, rates.disk
    return [speed(value) for value in (network.rx_bytes, network.tx_bytes, disk.read_bytes, disk.write_bytes)]


def _wide(item: Shown) -> list[str]:
    guest, rates = item.guest, item.rates
    disk = rates.disk if rates else None
    moving = guest.migration if guest else None
    done = moving.processed / moving.total if moving and moving.total and moving.processed is not None else None
    over = item.pod_bytes - guest.resident if guest and item.pod_bytes and guest.resident is not None else None
    mounts = sorted(filesystems(guest).items()) if guest else []
    return [
        percent(rates.steal if rates else None),
        percent(rates.wait if rates else None),
        f"{guest.load1:.2f}" if guest and guest.load1 is not None else "-",
        count(disk.reads if disk else None),
        count(disk.writes if disk else None),
        milliseconds(disk.read_latency if disk else None),
        milliseconds(disk.write_latency if disk else None),
        "-" if over is None else f"{int(over / (1 << 20))}Mi",
        speed(guest.dirty_rate if guest else None),
        percent(done),
        short((item.machine.system if item.machine else "") or "-", LONGEST),
        short(",".join(f"{short(mount, 24)}:{percent(share)}" for mount, share in mounts) or "-", 2 * LONGEST),
    ]


class _Totals(NamedTuple):
    """Sums of known values; None if no value is known.

    Attributes:
        share: of the vCPUs of those machines whose CPU is known.
        coarse, estimated: whether CPU, or memory, includes what the table marks.
    """

    vcpus: int
    cores: float | None
    share: float | None
    coarse: bool
    memory: float | None
    estimated: bool
    network: tuple[float | None, float | None]
    disk: tuple[float | None, float | None]


def _totals(items: Sequence[Shown]) -> _Totals:
    rates = [item.rates for item in items if item.rates]
    running = [item for item in items if item.rates and item.rates.cores is not None]
    # A machine that is still being scheduled has vCPUs already, but no CPU time of which they would be a share.
    sized = [item for item in running if item.vcpus]
    used = [item.memory for item in items if item.memory.used is not None]
    return _Totals(
        sum(item.vcpus for item in items),
        _total(item.cores for item in running),
        sum(item.cores for item in sized) / sum(item.vcpus for item in sized) if sized else None,
        any(item.rates.coarse for item in running if item.rates),
        _total(memory.used for memory in used),
        any(memory.estimated for memory in used),
        (_total(rate.network.rx_bytes for rate in rates), _total(rate.network.tx_bytes for rate in rates)),
        (_total(rate.disk.read_bytes for rate in rates), _total(rate.disk.write_bytes for rate in rates)),
    )


def _total(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _sums(totals: _Totals, lead: int, columns: int) -> list[str]:
    """The sums, each in its column; estimates are marked, and "-" means not known."""
    about = ABOUT if totals.coarse else ""
    memory = "-" if totals.memory is None else mebibytes(int(totals.memory))
    cells = [
        str(totals.vcpus),
        "-" if totals.cores is None else f"{about}{millicores(round(totals.cores * 1e9))}",
        "-" if totals.share is None else f"{about}{percent(totals.share)}",
        f"{ABOUT if totals.estimated else ''}{memory}",
        "",
        *map(speed, (*totals.network, *totals.disk)),
    ]
    return [*[""] * (lead + 1), *cells, *[""] * (columns - 1 - len(cells))]


# -------------------------------------------------------------------------------------------------- document


def _document(items: Sequence[Shown], options: Options) -> dict[str, Any]:
    found: dict[str, Any] = {
        "kind": f"{KIND}MetricsList",
        "apiVersion": "vmetrics/v1",
        "metadata": {},
        "items": [_item(item, options) for item in items],
    }
    if not options.total:
        return found
    totals = _totals(items)
    (received, sent), (read, written) = totals.network, totals.disk
    return {
        **found,
        "sum": {
            "vcpus": totals.vcpus,
            "cpu": told({"cores": totals.cores}),
            "memory": told({"usedBytes": totals.memory, "estimated": totals.estimated or None}),
            "network": told({"rx_bytes": received, "tx_bytes": sent}),
            "disk": told({"read_bytes": read, "write_bytes": written}),
        },
    }


def _item(item: Shown, options: Options) -> dict[str, Any]:
    """Base units: cores, bytes, seconds, and per-second rates; unknown values are omitted."""
    # Of the host's view, metadata is the host's: names of virtual namespaces are not unique there.
    virtual, guest = item.virtual, item.guest
    namespace, name = (virtual.namespace, virtual.name) if virtual and options.inside else item.key
    used, rates = item.memory, item.rates
    over = item.pod_bytes - guest.resident if guest and item.pod_bytes and guest.resident is not None else None
    dirty = guest.dirty_rate if guest else None
    found: dict[str, Any] = {
        "kind": f"{KIND}Metrics",
        "metadata": {"name": name, "namespace": namespace},
        "node": _node(item),
        "status": _state(item),
        "vcpus": item.vcpus or None,
        "memory": told(
            {
                "usedBytes": used.used,
                "totalBytes": used.total,
                "estimated": used.estimated or None,
                "podOverheadBytes": over,
                "dirtyBytesPerSecond": dirty,
            }
        ),
        "load1": guest.load1 if guest else None,
        "os": (item.machine.system if item.machine else "") or None,
    }
    if rates:
        share = rates.cores / item.vcpus if rates.cores is not None and item.vcpus else None
        found |= {
            "intervalSeconds": rates.seconds,
            "cpu": told({"cores": rates.cores, "share": share, "steal": rates.steal, "wait": rates.wait}),
            "network": _fields(rates.network),
            "disk": _fields(rates.disk),
            "vcpuRates": {name: _fields(device) for name, device in rates.vcpus.items()},
            "interfaces": {name: _fields(device) for name, device in rates.interfaces.items()},
            "disks": {name: _fields(device) for name, device in rates.drives.items()},
        }
    if item.guest and (mounts := filesystems(item.guest)):
        found["filesystems"] = mounts
    if item.guest and item.guest.migration:
        found["migration"] = _fields(item.guest.migration)
    if virtual:
        found["vcluster"] = {"name": virtual.vcluster.name, "hostNamespace": virtual.vcluster.host_namespace}
    if virtual and not options.inside:
        found["virtual"] = {"name": virtual.name, "namespace": virtual.namespace}
    found["host"] = {"name": item.key[1], "namespace": item.key[0]}
    return told(found)


def _fields(struct: Any) -> dict[str, Any]:
    return told({name: getattr(struct, name) for name in struct.__struct_fields__})
