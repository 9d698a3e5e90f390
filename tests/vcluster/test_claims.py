"""What is asked of a cluster to know whose a pod is: metadata alone, of no more objects than needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import Forbidden
from kubectl_vmetrics.metrics.metrics_api import Owner
from kubectl_vmetrics.metrics.usage import HostPod
from kubectl_vmetrics.vcluster import identity, naming
from kubectl_vmetrics.vcluster.identity import Claim, SyncedNamespace, VClusterRef
from tests.conftest import Scripted

LONG = "a-name-so-long-that-it-is-hashed-on-the-host-5b5d8fff69-m4vr6"
PODS = "/api/v1/namespaces/home/pods"
ONE = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"

Serve = Callable[[dict[str, Any]], tuple[Scripted, str]]
ClientOf = Callable[[str], Client]
Asked = tuple[HostPod, Owner]


def hashed(index: int, vcluster: str = "vc", namespace: str = "home") -> tuple[Asked, Claim, dict[str, Any]]:
    """A pod whose name was hashed: as it is asked for, what it says, and its metadata."""
    name = f"{LONG}-{index}"
    host = naming.host_name(name, "shop", vcluster)
    labels = {naming.MANAGED_BY: vcluster, naming.NAMESPACE: "shop"}
    said = {
        "vcluster.loft.sh/object-name": name,
        "vcluster.loft.sh/object-namespace": "shop",
        "vcluster.loft.sh/object-kind": "/v1, Kind=Pod",
        "vcluster.loft.sh/object-host-name": host,
        "vcluster.loft.sh/object-host-namespace": namespace,
    }
    found = {"metadata": {"name": host, "namespace": namespace, "labels": labels, "annotations": said}}
    return (HostPod(namespace, host), Owner(vcluster, "shop")), Claim("shop", name), found


def forbidden(_: Any) -> tuple[int, Any]:
    return 403, {"kind": "Status", "message": "pods is forbidden", "reason": "Forbidden"}


def requests(application: Scripted) -> set[tuple[str, str | None, str]]:
    """Path, label selector and Accept of each request."""
    return {
        (path, parse_qs(query).get("labelSelector", [None])[0], environ["HTTP_ACCEPT"])
        for path, query, environ in application.seen
    }


def test_eight_pods_are_asked_for_one_by_one(scripted: Serve, client_of: ClientOf) -> None:
    pods = [hashed(index) for index in range(8)]
    application, url = scripted({f"{PODS}/{found['metadata']['name']}": found for _, _, found in pods})

    claims, errors = identity.read_claims(client_of(url), [asked for asked, _, _ in pods])

    assert claims == {asked[0]: claim for asked, claim, _ in pods}
    assert errors == []
    assert requests(application) == {(f"{PODS}/{asked[0].name}", None, ONE) for asked, _, _ in pods}


def test_more_are_found_in_one_list_for_each_virtual_cluster(scripted: Serve, client_of: ClientOf) -> None:
    pods = [hashed(index) for index in range(8)] + [hashed(8, "other"), hashed(9, namespace="away")]
    by_namespace = {
        namespace: {"items": [found for _, _, found in pods if found["metadata"]["namespace"] == namespace]}
        for namespace in ("home", "away")
    }
    away = "/api/v1/namespaces/away/pods"
    application, url = scripted({PODS: by_namespace["home"], away: by_namespace["away"]})

    claims, errors = identity.read_claims(client_of(url), [asked for asked, _, _ in pods])

    assert claims == {asked[0]: claim for asked, claim, _ in pods}
    assert errors == []
    assert requests(application) == {
        (PODS, "vcluster.loft.sh/managed-by=vc", LIST),
        (PODS, "vcluster.loft.sh/managed-by=other", LIST),
        (away, "vcluster.loft.sh/managed-by=vc", LIST),
    }


def test_a_list_tells_of_no_pod_that_was_not_asked_for(scripted: Serve, client_of: ClientOf) -> None:
    pods = [hashed(index) for index in range(9)]
    foreign, forged = hashed(10)[2], hashed(0)[2]
    forged["metadata"]["annotations"]["vcluster.loft.sh/object-host-name"] = "another"
    _, url = scripted({PODS: {"items": [foreign, forged, *(found for _, _, found in pods[1:])]}})

    claims, errors = identity.read_claims(client_of(url), [asked for asked, _, _ in pods])

    assert claims == {asked[0]: claim for asked, claim, _ in pods[1:]}
    assert errors == []


def test_only_names_that_were_hashed_are_kept_of_a_list(scripted: Serve, client_of: ClientOf) -> None:
    """Of ten thousand pods a handful have hashed names: the others are dropped page by page."""
    asked, _, long = hashed(0)
    short = {
        "metadata": {
            "name": "web-x-shop-x-vc",
            "namespace": "home",
            "labels": {naming.MANAGED_BY: "vc"},
            "annotations": {"vcluster.loft.sh/object-name": "web", "vcluster.loft.sh/object-namespace": "shop"},
        }
    }
    bare = {"metadata": {"name": "bare", "namespace": "home"}}
    _, url = scripted({PODS: {"items": [short, long, bare]}})

    kept = identity._many(client_of(url), "home", "vc")()

    assert [item.metadata.name for item in kept] == [asked[0].name, "bare"]


@pytest.mark.parametrize("first", [0, 1])
def test_a_pod_that_is_gone_is_no_error_and_one_that_may_not_be_read_costs_itself(
    first: int, scripted: Serve, client_of: ClientOf
) -> None:
    pods = [hashed(index) for index in range(3)]
    (gone, _), (kept, claim, found), (hidden, _) = pods[0][:2], pods[1], pods[2][:2]
    _, url = scripted({f"{PODS}/{kept[0].name}": found, f"{PODS}/{hidden[0].name}": forbidden})
    asked = [gone, hidden, kept] if first else [kept, hidden, gone]

    claims, errors = identity.read_claims(client_of(url), asked)

    assert claims == {kept[0]: claim}
    assert [(type(error), str(error)) for error in errors] == [(Forbidden, "pods is forbidden")]


def test_a_list_that_may_not_be_read_costs_its_own_pods(scripted: Serve, client_of: ClientOf) -> None:
    pods = [hashed(index, namespace="away" if index else "home") for index in range(9)]
    away = "/api/v1/namespaces/away/pods"
    _, url = scripted({PODS: forbidden, away: {"items": [found for _, _, found in pods[1:]]}})

    claims, errors = identity.read_claims(client_of(url), [asked for asked, _, _ in pods])

    assert claims == {asked[0]: claim for asked, claim, _ in pods[1:]}
    assert [type(error) for error in errors] == [Forbidden]


NAMESPACES = "/api/v1/namespaces"


def test_synced_namespaces_are_found_by_their_label(scripted: Serve, client_of: ClientOf) -> None:
    def namespace(name: str, marker: str, virtual: str) -> dict[str, Any]:
        labels = {
            "vcluster.loft.sh/vcluster-name": "vc",
            "vcluster.loft.sh/vcluster-namespace": "home",
            naming.MANAGED_BY: marker,
        }
        return {"metadata": {"name": name, "labels": labels, "annotations": {"vcluster.loft.sh/object-name": virtual}}}

    items = [namespace("one", "home-x-vc", "shop"), namespace("two", "forged", "bank")]
    application, url = scripted({NAMESPACES: {"items": items}})

    found = identity.read_synced_namespaces(client_of(url))

    assert found == {"one": SyncedNamespace(VClusterRef("home", "vc"), "shop")}
    assert requests(application) == {(NAMESPACES, "vcluster.loft.sh/vcluster-name", LIST)}


def test_without_the_right_to_list_namespaces_none_is_known(scripted: Serve, client_of: ClientOf) -> None:
    _, url = scripted({NAMESPACES: forbidden})

    assert identity.read_synced_namespaces(client_of(url)) == {}
