"""The pods that used most."""

from __future__ import annotations

from collections.abc import Sequence

from ..given import Given, Made
from ..numbers import NONE, decimal, plural
from ..page import Cell, Column, Number, Section, Table, Text
from ..tally import Pod

MOST = 50
"""Pods that are listed; the rest are summed up."""


def make(given: Given) -> Made | None:
    """The section; None if there are no pods."""
    pods = given.tally.pods
    shown_pods = {
        pod: numbers for pod, numbers in pods.items() if pod.group.vcluster is not None or not given.labels.public
    }
    if not shown_pods:
        return None
    ordered = sorted(shown_pods, key=lambda pod: (-shown_pods[pod][0], pod.namespace, pod.name))
    columns = [
        Column("Pod"),
        Column("CPU used, core-hours", numeric=True),
        Column("CPU requested, core-hours", numeric=True),
        Column("Memory used, GiB-hours", numeric=True),
        Column("Memory requested, GiB-hours", numeric=True),
    ]
    rows = [[_pod(given, pod), *_hours(shown_pods[pod])] for pod in ordered[:MOST]]
    rest = ordered[MOST:]
    totals: list[list[Cell]] = []
    if rest:
        sums = [sum(shown_pods[pod][column] for pod in rest) for column in range(4)]
        totals = [[Text(f"{plural(len(rest), 'other pod')}"), *_hours(sums)]]
    caption = f"The {plural(len(rows), 'pod')} that used most CPU" if rest else "Pods"
    about = "Pods by the CPU that they used in the period. Pods with the same name, one after the other, are one row."
    return Made(Section("pods", "Largest pods", about, [Table(caption, columns, rows, totals)]))


def _pod(given: Given, pod: Pod) -> Text:
    below = "host" if pod.group.vcluster is None else "" if given.tenant else given.labels.name(pod.group.vcluster)
    return Text(f"{pod.namespace}/{pod.name}", below=below)


def _hours(numbers: Sequence[float]) -> list[Cell]:
    cpu, memory, cpu_request, memory_request = (
        numbers[0] / 3600,
        numbers[1] / 3600 / 2**30,
        numbers[2] / 3600,
        numbers[3] / 3600 / 2**30,
    )
    return [Number(value, decimal(value) if value else NONE) for value in (cpu, cpu_request, memory, memory_request)]
