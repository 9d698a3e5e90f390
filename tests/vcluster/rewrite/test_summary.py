"""stats/summary in a tenant's view: the numbers of shared disks, and of the host's network."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kubectl_vmetrics.vcluster.identity import VClusterRef
from kubectl_vmetrics.vcluster.origins import Origins
from kubectl_vmetrics.vcluster.rewrite import summary
from tests.vcluster.rewrite.test_machine import origins as _origins

VC = VClusterRef("team-a", "vc")
origins = _origins
SHARED, FREE = 270_553_174_016, 72_137_904_128
DISK = {"availableBytes": FREE, "capacityBytes": SHARED, "inodesFree": 16, "inodes": 17}
USED = {"time": "2026-11-21T08:27:43Z", "usedBytes": 4096, "inodesUsed": 1}
MEMORY = {"availableBytes": 66_109_440, "workingSetBytes": 999_424}  # of the container's own limit
CLAIM = {"name": "data-x-shop-x-vc", "namespace": "team-a"}
OWN_DISK = {**USED, "availableBytes": 5, "capacityBytes": 6, "inodesFree": 7, "inodes": 8}


def document(**pod: Any) -> bytes:
    return json.dumps(
        {
            "node": {"nodeName": "n", "fs": {**DISK, **USED}, "runtime": {"imageFs": {**DISK, "capacityBytes": 99}}},
            "pods": [
                {
                    "podRef": {"name": "web-x-shop-x-vc", "namespace": "team-a", "uid": "x"},
                    "containers": [
                        {"name": "main", "memory": MEMORY, "rootfs": {**DISK, **USED}, "logs": {**DISK, **USED}}
                    ],
                    "ephemeral-storage": {**DISK, **USED},
                    "volume": [
                        {"name": "scratch", **DISK, **USED},
                        {"name": "local", "pvcRef": CLAIM, **DISK, **USED},
                        {"name": "on-images", "pvcRef": CLAIM, **DISK, **USED, "capacityBytes": 99},
                        {"name": "own", "pvcRef": CLAIM, **OWN_DISK},
                    ],
                    **pod,
                }
            ],
        }
    ).encode()


def test_isolated_the_nodes_disks_are_not_shown(origins: Origins) -> None:
    shown = json.loads(summary.tenant(document(), origins, VC, isolate=True))

    own = {"name": "data", "namespace": "shop"}
    assert shown == {
        "pods": [
            {
                "podRef": {"name": "web", "namespace": "shop", "uid": "33333333-aaaa-4bbb-8ccc-dddddddddddd"},
                "containers": [{"name": "main", "memory": MEMORY, "rootfs": USED, "logs": USED}],
                "ephemeral-storage": USED,
                "volume": [
                    {"name": "scratch", **USED},
                    {"name": "local", "pvcRef": own, "time": USED["time"]},
                    {"name": "on-images", "pvcRef": own, "time": USED["time"]},
                    {"name": "own", "pvcRef": own, **OWN_DISK},
                ],
            }
        ]
    }


def test_otherwise_they_are(origins: Origins) -> None:
    shown, before = json.loads(summary.tenant(document(), origins, VC)), json.loads(document())

    assert shown["node"] == before["node"]
    assert shown["pods"][0]["containers"] == before["pods"][0]["containers"]


@pytest.mark.parametrize("isolate", [False, True])
def test_a_pod_in_the_hosts_network_shows_no_interface_of_another(isolate: bool, origins: Origins) -> None:
    eth0, other = {"name": "eth0", "rxBytes": 1}, {"name": "cali1a2b3c4d5e6", "rxBytes": 2}
    for first, network in ((eth0, {**eth0, "interfaces": [eth0]}), (other, {"interfaces": [eth0]})):
        body = document(network={**first, "interfaces": [other, eth0]})
        (pod,) = json.loads(summary.tenant(body, origins, VC, isolate=isolate))["pods"]
        assert pod["network"] == network


@pytest.mark.parametrize("wrong", ["volume", "containers", "network", "ephemeral-storage"])
def test_a_strange_document_is_no_reason_to_fail(wrong: str, origins: Origins) -> None:
    for value in (None, 1, "x", [1, None, "x"], {"x": 1}):
        summary.tenant(document(**{wrong: value}), origins, VC, isolate=True)
