"""Which virtual clusters there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import Forbidden, UsageError
from kubectl_vmetrics.vcluster import discovery
from kubectl_vmetrics.vcluster.discovery import VCluster
from kubectl_vmetrics.vcluster.identity import VClusterRef
from tests.conftest import Scripted


def workload(name: str = "vc", image: str = "ghcr.io/loft-sh/vcluster-pro:0.37.0", **changes: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": changes.get("namespace", "home"),
            "labels": {"app": "vcluster", "release": name, **changes.get("labels", {})},
            "annotations": {"other": "secret", **changes.get("annotations", {})},
        },
        "spec": {
            "replicas": changes.get("replicas", 1),
            "template": {
                "spec": {"containers": [{"name": "proxy", "image": "x:9"}, {"name": "syncer", "image": image}]}
            },
        },
        "status": {"readyReplicas": changes.get("ready", 1)},
    }


Serve = Callable[[dict[str, Any]], tuple[Scripted, str]]
STATEFUL, DEPLOYMENTS = "/apis/apps/v1/statefulsets", "/apis/apps/v1/deployments"


def found(serve: Serve, client_of: Callable[[str], Client], *workloads: dict[str, Any]) -> list[VCluster]:
    _, url = serve({STATEFUL: {"items": list(workloads[:1])}, DEPLOYMENTS: {"items": list(workloads[1:])}})
    return discovery.find(client_of(url))


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "Running"),
        ({"ready": 0}, "NotReady"),
        ({"replicas": 0, "ready": 0}, "ScaledDown"),
        ({"replicas": 0, "ready": 0, "annotations": {"loft.sh/paused": "true"}}, "Paused"),
        ({"labels": {"loft.sh/sleep-mode": "true"}}, "Paused"),
        ({"annotations": {"loft.sh/paused": "false"}}, "Running"),
    ],
    ids=str,
)
def test_status(changes: dict[str, Any], status: str, scripted: Serve, client_of: Callable[[str], Client]) -> None:
    assert [v.status for v in found(scripted, client_of, workload(**changes))] == [status]


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("ghcr.io/loft-sh/vcluster-pro:0.37.0", "0.37.0"),
        ("registry.local:5000/vcluster:0.30.1-alpine", "0.30.1-alpine"),
        ("registry.local:5000/vcluster", ""),
        ("vcluster:0.20.0@sha256:0123", "0.20.0"),
        ("vcluster@sha256:0123", ""),
        ("", ""),
    ],
)
def test_version(image: str, version: str, scripted: Serve, client_of: Callable[[str], Client]) -> None:
    assert [v.version for v in found(scripted, client_of, workload(image=image))] == [version]


def test_stateful_sets_and_deployments_in_order(scripted: Serve, client_of: Callable[[str], Client]) -> None:
    unnamed = workload()
    del unnamed["metadata"]["labels"]["release"]  # a nested control plane's, for one

    refs = [
        v.ref for v in found(scripted, client_of, workload("b"), workload("a", namespace="z"), workload("a"), unnamed)
    ]

    assert refs == [VClusterRef("home", "a"), VClusterRef("home", "b"), VClusterRef("z", "a")]


def refuse(_: Any) -> tuple[int, Any]:
    return 403, {"kind": "Status", "message": "statefulsets.apps is forbidden", "reason": "Forbidden"}


def test_without_rights_on_the_host_the_own_namespace_is_looked_at(
    scripted: Serve, client_of: Callable[[str], Client]
) -> None:
    scope = "/apis/apps/v1/namespaces/default"
    answers = {
        STATEFUL: refuse,
        DEPLOYMENTS: refuse,
        f"{scope}/statefulsets": {"items": [workload()]},
        f"{scope}/deployments": refuse,
    }
    _, url = scripted(answers)

    assert [v.ref.name for v in discovery.find(client_of(url))] == ["vc"]


def test_without_any_rights(scripted: Serve, client_of: Callable[[str], Client]) -> None:
    scope = "/apis/apps/v1/namespaces/default"
    _, url = scripted(
        {STATEFUL: refuse, DEPLOYMENTS: refuse, f"{scope}/statefulsets": refuse, f"{scope}/deployments": refuse}
    )

    with pytest.raises(Forbidden):
        discovery.find(client_of(url))


KNOWN = [VCluster(VClusterRef(namespace, name)) for namespace, name in (("a", "dev"), ("b", "dev"), ("b", "shop"))]


def test_select() -> None:
    assert discovery.select(KNOWN, "shop") == VClusterRef("b", "shop")
    assert discovery.select(KNOWN, "b/dev") == VClusterRef("b", "dev")
    inner = VClusterRef("team", "inner", VClusterRef("b", "shop"))
    assert discovery.select(KNOWN, "shop/team/inner") == discovery.select(KNOWN, "b/shop/team/inner") == inner


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dev", 'there are several virtual clusters "dev": specify one with --vcluster a/dev or b/dev'),
        ("nope", 'virtual cluster "nope" not found; choose from a/dev, b/dev, b/shop'),
        ("a/shop", 'virtual cluster "a/shop" not found; choose from a/dev, b/dev, b/shop'),
        ("a//shop", '--vcluster: "a//shop" is not [HOSTNS/]NAME'),
        ("", '--vcluster: "" is not [HOSTNS/]NAME'),
    ],
)
def test_select_refuses(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        discovery.select(KNOWN, text)

    assert caught.value.message == message


def test_an_error_does_not_list_hundreds_of_virtual_clusters() -> None:
    known = [VCluster(VClusterRef(f"ns-{number}", "vc"), "Running") for number in range(12)]

    with pytest.raises(UsageError) as raised:
        discovery.select(known, "nope")

    first = ", ".join(f"ns-{number}/vc" for number in range(10))
    assert raised.value.message == (
        f'virtual cluster "nope" not found; choose from {first} and 2 more; `top vclusters` lists all'
    )
