"""What the numbers rest on, and what is not covered."""

from __future__ import annotations

from ..given import Given, Made
from ..numbers import period, span
from ..page import Block, Cell, Column, Items, Level, Section, Share, Table, Text
from ..tally import METRICS, QUOTAS, WHOLE

LITTLE = 0.95
"""Below this share of the time, a metric is marked."""
_WORDS = {
    "cpu": "CPU",
    "memory": "Memory",
    "cpuRequest": "CPU requests",
    "memoryRequest": "Memory requests",
    "periods": "CPU periods of containers with limits",
    "throttled": "Throttled periods",
    "oomKills": "Kills at the memory limit",
    "restarts": "Restarts",
    "nodeCpuAllocatable": "Allocatable CPU of nodes",
    "nodeMemoryAllocatable": "Allocatable memory of nodes",
    "volumeUsed": "Use of volumes",
    "volumeCapacity": "Capacity of volumes",
    "volumeRequest": "Requested size of volume claims",
    "vmCpu": "CPU of virtual machines",
    "vmMemory": "Memory of virtual machines",
    "vmRunning": "Running virtual machines",
    "quotaUsed": "Used quota",
    "quotaHard": "Quota",
}


def make(given: Given) -> Made:
    """The section."""
    tally = given.tally
    failures = [_failure(given, title, why) for title, why in given.failures]
    warnings = dict.fromkeys("not all of its parts answered" if given.labels.public else why for why in given.warnings)
    rows: list[list[Cell]] = []
    missing = []
    for metric in METRICS:
        if given.tenant and metric in (*WHOLE, *QUOTAS):
            continue
        share = tally.covered(metric)
        words = _WORDS.get(metric.value, metric.value)
        if share == 0:
            missing.append(words)
            continue
        rows.append([Text(words), Share(share, Level.WARNING if share < LITTLE else Level.PLAIN)])
    items = [
        Text(f"Period: {period(*given.window)}, in steps of {span(given.step)}."),
        Text(f"Source: {given.source}. Virtual names come from: {given.way}."),
        *failures,
        *(Text("The source answered in part:", Level.WARNING, f"{why}.") for why in warnings),
        Text("Pods that lived for less time than lies between two scrapes are not in any number of this page."),
    ]
    if missing:
        items.append(Text("The source has no data in the period for:", Level.PLAIN, f"{', '.join(missing).lower()}."))
    about = "What the numbers of this page rest on: the share of the period for which the source has data, by metric."
    columns = [Column("Metric"), Column("Time with data", numeric=True)]
    blocks: list[Block] = [
        Items(items),
        Table("Share of the period with data", columns, rows, empty="The source has no data."),
    ]
    alerts = list(failures)
    low = tally.covered(METRICS[0])
    if tally.starts and low < LITTLE:
        alerts.append(Text(f"CPU was measured for {low:.0%} of the period only:", Level.WARNING, "sums are too low."))
    return Made(Section("coverage", "What is not covered", about, blocks), alerts)


def _failure(given: Given, title: str, why: str) -> Text:
    # Why something failed is told in the words of a server of the host.
    return Text(
        f"{title} could not be read{'.' if given.labels.public else ':'}",
        Level.WARNING,
        "" if given.labels.public else f"{why}.",
    )
