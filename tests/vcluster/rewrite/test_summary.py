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
    own = {"name": "data", "namespace": "shop"}
    volumes = [{**item, "pvcRef": own} if "pvcRef" in item else item for item in before["pods"][0]["volume"]]
    web = {"name": "web", "namespace": "shop", "uid": "33333333-aaaa-4bbb-8ccc-dddddddddddd"}
    assert shown["pods"] == [{**before["pods"][0], "podRef": web, "volume": volumes}]


VICTIM = {"name": "victim-x-shop-x-vc", "namespace": "team-b"}
HOSTS = {"name": "kube-proxy", "namespace": "kube-system"}
WEB = {"name": "web-x-shop-x-vc", "namespace": "team-a", "uid": "x"}
REF = {"name": "web", "namespace": "shop", "uid": "33333333-aaaa-4bbb-8ccc-dddddddddddd"}


def of_pods(*pods: Any) -> bytes:
    return json.dumps({"later": 1, "pods": list(pods)}).encode()


@pytest.mark.parametrize("isolate", [False, True])
def test_a_tenant_sees_its_own_pods_and_claims_and_every_field_of_them(isolate: bool, origins: Origins) -> None:
    web = {
        "podRef": {**WEB, "later": 1},
        "cpu": {"usageNanoCores": 1},
        "volume": [
            {"name": "of-another", "pvcRef": VICTIM, "usedBytes": 1},
            {"name": "of-the-host", "pvcRef": HOSTS, "usedBytes": 2},
            {"name": "own", "pvcRef": {**CLAIM, "later": 1}, "usedBytes": 3},
            {"name": "scratch", "usedBytes": 4},
        ],
    }
    body = of_pods({"podRef": HOSTS}, {"podRef": VICTIM, "cpu": {}}, web)

    assert json.loads(summary.tenant(body, origins, VC, isolate=isolate)) == {
        "later": 1,
        "pods": [
            {
                "podRef": {**REF, "later": 1},
                "cpu": {"usageNanoCores": 1},
                "volume": [
                    {"name": "own", "pvcRef": {"name": "data", "namespace": "shop", "later": 1}, "usedBytes": 3},
                    {"name": "scratch", "usedBytes": 4},
                ],
            }
        ],
    }


def test_a_pod_without_volumes_of_its_own_has_none(origins: Origins) -> None:
    for volumes in ({}, {"volume": []}, {"volume": [{"pvcRef": VICTIM}]}):
        shown = json.loads(summary.tenant(of_pods({"podRef": WEB, **volumes}), origins, VC))
        assert shown["pods"] == [{"podRef": REF}]


def test_the_host_sees_everything_and_whose_it_is(origins: Origins) -> None:
    pods = [{"podRef": HOSTS}, {"podRef": VICTIM}, {"podRef": WEB, "volume": [{"pvcRef": VICTIM}]}]
    block = {"name": "vc", "namespace": "shop"}

    assert json.loads(summary.host(of_pods(*pods), origins)) == {
        "later": 1,
        "pods": [
            pods[0],
            {**pods[1], "vcluster": {**block, "hostNamespace": "team-b", "pod": "victim"}},
            {**pods[2], "vcluster": {**block, "hostNamespace": "team-a", "pod": "web"}},
        ],
    }


def test_without_pods_there_are_none(origins: Origins) -> None:
    assert json.loads(summary.tenant(b'{"node": {}}', origins, VC)) == {"node": {}, "pods": []}
    assert json.loads(summary.tenant(b'{"node": {}}', origins, VC, isolate=True)) == {"pods": []}
    assert json.loads(summary.host(b'{"node": {}}', origins)) == {"node": {}, "pods": []}


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b'{"pods": {}}', b'{"pods": null}', b'{"pods": "x"}'])
def test_what_is_no_summary_is_refused(body: bytes, origins: Origins) -> None:
    with pytest.raises(ValueError, match=r"^not a summary$"):
        summary.tenant(body, origins, VC)
    with pytest.raises(ValueError, match=r"^not a summary$"):
        summary.host(body, origins)


@pytest.mark.parametrize(
    "strange",
    [
        *[1, None, "x", [1], {"cpu": {}}, {"podRef": None}, {"podRef": "web"}, {"podRef": [WEB]}],
        *[{"podRef": {"name": 1, "namespace": "team-a"}}, {"podRef": {"name": "web-x-shop-x-vc", "namespace": [1]}}],
    ],
    ids=str,
)
def test_what_is_no_pod_costs_itself(strange: Any, origins: Origins) -> None:
    body = of_pods(strange, {"podRef": WEB})

    assert json.loads(summary.tenant(body, origins, VC))["pods"] == [{"podRef": REF}]
    kept = [strange] if isinstance(strange, dict) else []
    block = {"name": "vc", "namespace": "shop", "hostNamespace": "team-a", "pod": "web"}
    assert json.loads(summary.host(body, origins))["pods"] == [*kept, {"podRef": WEB, "vcluster": block}]


@pytest.mark.parametrize("claim", [None, 1, "team-b/victim", ["victim"], {}, {"name": 1}], ids=str)
def test_a_volume_whose_claim_cannot_be_read_is_not_shown(claim: Any, origins: Origins) -> None:
    shown = json.loads(summary.tenant(of_pods({"podRef": WEB, "volume": [{"pvcRef": claim}]}), origins, VC))

    assert shown["pods"] == [{"podRef": REF}]


def test_disks_are_compared_in_bytes_whatever_else_the_node_says(origins: Origins) -> None:
    """nodeStats has fs, and runtime.imageFs and containerFs, which may be another disk."""
    own = {"pvcRef": CLAIM, "capacityBytes": 7, "usedBytes": 1}
    for node in ({"fs": {"capacityBytes": 7}}, {"runtime": {"containerFs": {"capacityBytes": 7}}}):
        body = json.dumps({"node": node, "pods": [{"podRef": WEB, "volume": [own]}]}).encode()
        (pod,) = json.loads(summary.tenant(body, origins, VC, isolate=True))["pods"]
        assert pod["volume"] == [{"pvcRef": {"name": "data", "namespace": "shop"}}]
    for strange in (None, 1, "x", [7], {"fs": 7}, {"fs": {"capacityBytes": "7"}}, {"runtime": [7]}, {"fs": {}}):
        body = json.dumps({"node": strange, "pods": [{"podRef": WEB, "volume": [own]}]}).encode()
        (pod,) = json.loads(summary.tenant(body, origins, VC, isolate=True))["pods"]
        assert pod["volume"] == [{**own, "pvcRef": {"name": "data", "namespace": "shop"}}]


@pytest.mark.parametrize(
    ("network", "shown"),
    [
        # The numbers beside the list are those of the default interface, without a name in old kubelets.
        ({"rxBytes": 1}, {"rxBytes": 1}),
        ({"name": "eth0", "rxBytes": 1}, {"name": "eth0", "rxBytes": 1}),
        ({"name": "veth12", "rxBytes": 1}, {"interfaces": []}),
        ({"rxBytes": 1, "interfaces": []}, {"rxBytes": 1, "interfaces": []}),
        (
            {"rxBytes": 1, "interfaces": [{"rxBytes": 2}, {"name": "eth0"}]},
            {"rxBytes": 1, "interfaces": [{"name": "eth0"}]},
        ),
        ({"rxBytes": 1, "interfaces": "x"}, {"rxBytes": 1, "interfaces": []}),
    ],
    ids=str,
)
def test_network(network: dict[str, Any], shown: dict[str, Any], origins: Origins) -> None:
    (pod,) = json.loads(summary.tenant(of_pods({"podRef": WEB, "network": network}), origins, VC))["pods"]

    assert pod["network"] == shown


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
