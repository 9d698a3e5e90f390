"""How long a report of a large host takes, and how much memory, from made-up steps: no Prometheus is asked.

Run as `python -m tests.benchmarks.report [VCLUSTERS] [PODS] [STEPS]`; 300, 20,000 and 720 (30 days of hours) by default.
"""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Iterator

from kubectl_vmetrics.history.names import HOST, Identity
from kubectl_vmetrics.history.queries import Metric
from kubectl_vmetrics.history.steps import Container, Step
from kubectl_vmetrics.history.window import Window
from kubectl_vmetrics.report import compose, html
from kubectl_vmetrics.report.given import Given, Labels
from kubectl_vmetrics.report.tally import METRICS, Tally
from kubectl_vmetrics.vcluster.identity import VClusterRef
from tests.report.made import START, Known

GIB = 2.0**30
HOUR = 3600.0


def names(vclusters: int, pods: int) -> Known:
    """Pods, spread evenly; each tenth has a claim."""
    refs = [VClusterRef(f"tenants-{index % 20}", f"vcluster-{index}") for index in range(vclusters)]
    pods_, claims = {}, {}
    for index in range(pods):
        ref = refs[index % vclusters]
        name, space = f"workload-{index}-6c9f7d8b5-abcde", f"namespace-{index % 7}"
        pods_[ref.host_namespace, f"{name}-x-{space}-x-{ref.name}"] = Identity(ref, space, name)
        if index % 10 == 0:
            claims[ref.host_namespace, f"data-{index}-x-{space}-x-{ref.name}"] = Identity(ref, space, f"data-{index}")
    return Known(refs, pods_, claims)


def steps(who: Known, count: int, *, each: int = 1) -> Iterator[Step]:
    """Hours; with `each`, only every such pod is there after the first hour."""
    keys = [Container(namespace, pod, "main") for namespace, pod in who._pods]
    claims = [Container(namespace, claim) for namespace, claim in who._claims or ()]
    for index in range(count):
        start = START + index * HOUR
        here = keys if index == 0 else keys[::each]
        cpu = {key: HOUR * (0.1 + 0.05 * math.sin(index / 7 + number)) for number, key in enumerate(here)}
        amounts = {
            Metric.CPU: cpu,
            Metric.MEMORY: dict.fromkeys(here, 0.3 * GIB * HOUR),
            Metric.CPU_REQUEST: dict.fromkeys(here, 0.2 * HOUR),
            Metric.MEMORY_REQUEST: dict.fromkeys(here, 0.5 * GIB * HOUR),
            Metric.PERIODS: dict.fromkeys(here, 3000.0),
            Metric.THROTTLED: dict.fromkeys(here, 100.0),
            Metric.VOLUME_USED: {
                key: HOUR * GIB * (1 + index / 100 * (number % 3)) for number, key in enumerate(claims)
            },
            Metric.VOLUME_CAPACITY: dict.fromkeys(claims, 20 * GIB * HOUR),
            Metric.NODE_CPU_ALLOCATABLE: {Container("", f"node-{node}"): 64 * HOUR for node in range(200)},
        }
        yield Step(start, start + HOUR, amounts, dict.fromkeys(METRICS, 1.0))


def page(vclusters: int, pods: int, count: int, *, each: int = 1) -> str:
    """The page."""
    who = names(vclusters, pods)
    tally = Tally(who, None, lambda *_: HOST)
    for step in steps(who, count, each=each):
        tally.add(step)
    window = Window(START, START + count * HOUR)
    given = Given(window, HOUR, tally, Labels(who.known, public=False), "made up", who.way, now=window.end)
    return html.render(compose.compose(given))


def main() -> None:
    """Print time, size and memory."""
    vclusters, pods, count = (int(text) for text in (*sys.argv[1:], *("300", "20000", "720")[len(sys.argv) - 1 :]))
    began = time.monotonic()
    text = page(vclusters, pods, count)
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{vclusters} virtual clusters, {pods} pods, {count} steps: {len(text.encode()) / 1e6:.2f} MB page")
    print(f"{seconds:.1f} s, of that making the steps; {peak:.0f} MiB at most")


if __name__ == "__main__":
    main()
