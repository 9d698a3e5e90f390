"""What a bill costs: a month by the hour, 300 virtual clusters, 20,000 pods of which some are replaced each day.

Run by hand: `python -m tests.benchmarks.bill [BY [DAYS]]`; it prints CPU time. The steps are made up, so this is the ledger alone; reading them from a
Prometheus is what history's own benchmark measures.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator

from kubectl_vmetrics.allocation.account import By
from kubectl_vmetrics.allocation.bill import Share
from kubectl_vmetrics.allocation.directory import Facts, HostDirectory
from kubectl_vmetrics.allocation.gather import by_name
from kubectl_vmetrics.allocation.ledger import METRICS, Ledger
from kubectl_vmetrics.allocation.making import Question, Sources, make
from kubectl_vmetrics.history.names import HOST, Identity
from kubectl_vmetrics.history.steps import Container, Metric, Step
from kubectl_vmetrics.history.window import Window
from kubectl_vmetrics.output import formats
from kubectl_vmetrics.vcluster.identity import VClusterRef
from kubectl_vmetrics.views import bill as view

TENANTS, PODS, DAYS, NODES, REPLACED = 300, 20_000, 30, 400, 0.05
HOUR = 3600.0
REFS = [VClusterRef(f"team-{index}", f"vc-{index}") for index in range(TENANTS)]


class Names:
    """Whose pods are, by their names."""

    def innermost(self, namespace: str, pod: str) -> Identity:
        place, space = namespace.rpartition("-")[2], pod.rpartition("-x-")[2]
        return Identity(REFS[int(place)], space, pod.partition("-x-")[0]) if place.isdigit() else HOST

    def of_claim(self, namespace: str, claim: str) -> Identity:
        return self.innermost(namespace, claim)

    def is_control_plane(self, namespace: str, pod: str) -> VClusterRef | None:
        return None


def steps(days: int) -> Iterator[Step]:
    """Each hour, of each pod what it used and requested."""
    generation = [0] * PODS
    nodes = [Container("", f"node-{index}") for index in range(NODES)]
    for hour in range(days * 24):
        if hour % 24 == 0:
            for index in range(hour // 24, PODS, round(1 / REPLACED)):
                generation[index] += 1
            pods = [
                Container(
                    f"team-{index % TENANTS}",
                    f"app-{index // 900}-{turn:08x}-{index % 30:05}-x-space-{index % 7}",
                    "main",
                )
                for index, turn in enumerate(generation)
            ]
        amounts = {
            Metric.CPU: {pod: (index % 40) * 7.3 + hour for index, pod in enumerate(pods)},
            Metric.CPU_REQUEST: {pod: (index % 17) * 36.0 for index, pod in enumerate(pods)},
            Metric.MEMORY: {pod: (index % 50 + 1) * 3.1e10 for index, pod in enumerate(pods)},
            Metric.MEMORY_REQUEST: {pod: (index % 30 + 1) * 6e10 for index, pod in enumerate(pods)},
            Metric.NETWORK_TRANSMIT: {pod: index * 1e3 for index, pod in enumerate(pods)},
            Metric.NETWORK_RECEIVE: {pod: index * 2e3 for index, pod in enumerate(pods)},
            Metric.RUNNING: dict.fromkeys(pods, HOUR),
            Metric.NODE_CPU_ALLOCATABLE: dict.fromkeys(nodes, 32 * HOUR),
            Metric.NODE_MEMORY_ALLOCATABLE: dict.fromkeys(nodes, 128000000000.0 * HOUR),
        }
        yield Step(hour * HOUR, (hour + 1) * HOUR, amounts, dict.fromkeys(METRICS, 1.0))


def peak() -> float:
    """MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    by = By(sys.argv[1]) if len(sys.argv) > 1 else By.VCLUSTER
    days = int(sys.argv[2]) if len(sys.argv) > 2 else DAYS
    before, spent, made = peak(), 0.0, 0.0
    ledger = Ledger(HostDirectory(Names(), Facts(), by_name, detailed=by is By.WORKLOAD))
    began = time.process_time()
    for step in steps(days):
        added = time.process_time()
        ledger.add(step)
        spent += time.process_time() - added
    made = time.process_time() - began - spent
    window = Window(0, days * 24 * HOUR)
    ended = time.process_time()
    found = make(ledger, Facts(), Question(by, Share.BY_USAGE), Sources(window, HOUR, "benchmark"))
    text = formats.render(view.view(found), "json")
    print(
        f"{by.value}: {len(found.rows)} rows of {PODS} pods over {days} days: {spent:.1f} CPU s in the ledger "
        f"({spent / (days * 24) * 1000:.0f} ms per step), {made:.1f} s to make up the steps, "
        f"{time.process_time() - ended:.2f} s for rows and {len(text) / 1e6:.1f} MB of JSON; "
        f"peak {peak():.0f} MiB, {before:.0f} MiB before"
    )


if __name__ == "__main__":
    main()
