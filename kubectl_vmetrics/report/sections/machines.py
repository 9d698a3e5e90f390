"""Virtual machines (KubeVirt)."""

from __future__ import annotations

from ..given import Given, Made
from ..numbers import GIB, HOUR, NONE, decimal, plural, size
from ..page import Cell, Column, Number, Section, Table, Text
from ..tally import Machine

MOST = 200
"""Machines that are listed; the rest are summed up."""


def make(given: Given) -> Made | None:
    """The section; None if there are no machines."""
    found = [
        (label, machine)
        for (identity, namespace, name), machine in given.tally.machines.items()
        if (label := given.labels.thing(identity, namespace, name)) is not None
    ]
    if not found:
        return None
    found.sort(key=lambda pair: (-pair[1].cpu, pair[0]))
    columns = [
        Column("Virtual machine"),
        *(Column(title, numeric=True) for title in ("Running, hours", "CPU mean, cores", "CPU maximum, cores")),
        *(Column(title, numeric=True) for title in ("Memory mean", "Memory maximum")),
        *(Column(title, numeric=True) for title in ("CPU, core-hours", "Memory, GiB-hours")),
    ]
    rows: list[list[Cell]] = [[label, *_cells(machine)] for label, machine in found[:MOST]]
    rest = [machine for _, machine in found[MOST:]]
    totals: list[list[Cell]] = []
    if rest:
        running = sum(machine.running or machine.seen for machine in rest)
        cpu, memory = sum(machine.cpu for machine in rest), sum(machine.memory for machine in rest)
        hours = Number(running, decimal(running / HOUR))
        sums = [_hours(cpu / HOUR), _hours(memory / HOUR / GIB)]
        totals = [[Text(plural(len(rest), "other machine")), hours, *[Text("")] * 4, *sums]]
    about = "Virtual machines as KubeVirt reports them: CPU of the whole guest, and the memory that programs in it use."
    return Made(
        Section("machines", "Virtual machines", about, [Table("Usage of virtual machines", columns, rows, totals)])
    )


def _hours(value: float) -> Number:
    return Number(value, decimal(value))


def _cells(machine: Machine) -> list[Cell]:
    running = machine.running or machine.seen
    cpu = machine.cpu / running if running else None
    memory = machine.memory / running if running and machine.memory else None  # without a guest agent it is not known
    return [
        Number(running, decimal(running / HOUR)),
        Number(cpu, decimal(cpu)),
        Number(machine.cpu_peak, decimal(machine.cpu_peak)),
        Number(memory, size(memory)),
        Number(memory and machine.memory_peak, size(memory and machine.memory_peak)),
        _hours(machine.cpu / HOUR),
        _hours(machine.memory / HOUR / GIB) if memory else Number(None, NONE),
    ]
