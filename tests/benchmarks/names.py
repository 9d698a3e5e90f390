"""What /metrics/names costs: of a map of many pods, after a change and without one.

    python -m tests.benchmarks.names [PODS]

Run by hand. Prints times of the proxy alone: no host is asked for names.
"""

from __future__ import annotations

import sys
import time

import msgspec

from kubectl_vmetrics.proxy.names import Names
from kubectl_vmetrics.vcluster.discovery import Inventory, VCluster
from kubectl_vmetrics.vcluster.homes import Homes
from kubectl_vmetrics.vcluster.identity import Origin, VClusterRef
from kubectl_vmetrics.vcluster.origins import PODS, Origins
from tests.changing import synced_pod

PER_VCLUSTER = 200
ROUNDS = 5


def pod(number: int, owners: int) -> Origin:
    """A pod, by its number."""
    uid = f"aaaaaaaa-bbbb-cccc-dddd-{number:012d}"
    name = f"frontend-7c9d8f6b5-{number:06d}"
    return msgspec.convert(synced_pod(f"team-{number % owners}", "web", name, "vc", uid), Origin)


def took(names: Names, clusters: list[VCluster]) -> tuple[float, int]:
    """Milliseconds and bytes of an answer."""
    started = time.perf_counter()
    size = sum(map(len, names.exposition(clusters)))
    return (time.perf_counter() - started) * 1000, size


def main(pods: int) -> None:
    """Measure and print."""
    owners = max(1, pods // PER_VCLUSTER)
    clusters = [VCluster(VClusterRef(f"team-{number}", "vc"), "Running", "0.37.0") for number in range(owners)]
    origins = Origins(homes=Homes(Inventory(clusters, everywhere=True)))
    for number in range(pods):
        origins.add(PODS, pod(number, owners))
    names = Names(origins)
    changed, kept, size = [], [], 0
    for number in range(ROUNDS):
        origins.add(PODS, pod(pods + number, owners))
        milliseconds, size = took(names, clusters)
        changed.append(milliseconds)
        kept.append(took(names, clusters)[0])
    print(
        f"{pods} pods of {owners} virtual clusters, {size / 1e6:.1f} MB: {min(changed):.0f} ms after a change, "
        f"{min(kept):.2f} ms without one"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
