"""metrics.k8s.io: lists and objects of PodMetrics, as a tenant and as the host see them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kubectl_vmetrics.vcluster import naming
from kubectl_vmetrics.vcluster.origins import Origins
from kubectl_vmetrics.vcluster.rewrite import pod_metrics
from tests.vcluster.rewrite.test_machine import VC
from tests.vcluster.rewrite.test_machine import origins as _origins

origins = _origins
USAGE = [{"name": "main", "usage": {"cpu": "1m", "memory": "2Ki"}}]


def pod(name: str, namespace: str, **meta: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": "2026-11-21T08:27:43Z", **meta},
        "timestamp": "2026-11-21T08:27:43Z",
        "window": "15s",
        "containers": USAGE,
        "later": {"unknown": 1},
    }


LABELS = {
    naming.MANAGED_BY: "vc",
    naming.NAMESPACE: "shop",
    "app": "web",
    naming.label_key("vc", "release"): "stable",
}
OWN = pod("web-x-shop-x-vc", "team-a", labels=LABELS, annotations={"token": "eyJ.secret"})
SHOWN = pod("web", "shop", labels={"app": "web", "release": "stable"})
VICTIM = pod("victim-x-shop-x-vc", "team-b", labels=LABELS)
HOSTS = pod("kube-proxy", "kube-system")


def document(*items: Any) -> bytes:
    return json.dumps({"kind": "PodMetricsList", "metadata": {"later": 1}, "items": list(items)}).encode()


def test_a_tenant_sees_its_own_pods_under_their_own_names_and_nothing_else_of_them_changed(origins: Origins) -> None:
    shown = json.loads(pod_metrics.tenant(document(HOSTS, VICTIM, OWN), origins, VC))

    assert shown == {"kind": "PodMetricsList", "metadata": {"later": 1}, "items": [SHOWN]}


def test_without_labels_there_are_none(origins: Origins) -> None:
    for labels in ({}, {"labels": None}, {"labels": {}}, {"labels": {naming.MANAGED_BY: "vc"}}):
        shown = json.loads(pod_metrics.tenant(document(pod("web-x-shop-x-vc", "team-a", **labels)), origins, VC))

        assert shown["items"] == [pod("web", "shop")]


def test_one_object_is_a_list_of_one(origins: Origins) -> None:
    assert json.loads(pod_metrics.tenant(json.dumps(OWN).encode(), origins, VC)) == SHOWN
    for other, name in ((VICTIM, "victim-x-shop-x-vc"), (HOSTS, "kube-proxy")):
        with pytest.raises(LookupError) as raised:
            pod_metrics.tenant(json.dumps(other).encode(), origins, VC)
        assert raised.value.args == (name,)
    with pytest.raises(LookupError) as raised:
        pod_metrics.tenant(b"{}", origins, VC)
    assert raised.value.args == ("",)


def test_the_host_sees_everything_and_whose_it_is(origins: Origins) -> None:
    shown = json.loads(pod_metrics.host(document(HOSTS, VICTIM, OWN), origins))

    def block(host_namespace: str, name: str) -> dict[str, str]:
        return {"name": "vc", "hostNamespace": host_namespace, "namespace": "shop", "pod": name}

    assert shown == {
        "kind": "PodMetricsList",
        "metadata": {"later": 1},
        "items": [
            HOSTS,
            {**VICTIM, "vcluster": block("team-b", "victim")},
            {**OWN, "vcluster": block("team-a", "web")},
        ],
    }
    assert json.loads(pod_metrics.host(json.dumps(HOSTS).encode(), origins)) == HOSTS


@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"', b"null"])
def test_what_is_neither_a_list_nor_an_object_is_refused(body: bytes, origins: Origins) -> None:
    with pytest.raises(ValueError, match=r"^neither a list nor an object$"):
        pod_metrics.tenant(body, origins, VC)
    with pytest.raises(ValueError, match=r"^neither a list nor an object$"):
        pod_metrics.host(body, origins)


@pytest.mark.parametrize(
    "strange",
    [
        *[1, None, "x", [OWN], {}, {"metadata": None}, {"metadata": [1]}],
        *[{"metadata": {"name": 1, "namespace": "team-a"}}, {"metadata": {"name": "web-x-shop-x-vc"}}],
    ],
    ids=str,
)
def test_an_item_that_is_no_pod_costs_itself(strange: Any, origins: Origins) -> None:
    assert json.loads(pod_metrics.tenant(document(strange, OWN), origins, VC))["items"] == [SHOWN]
    kept = [strange] if isinstance(strange, dict) and strange else []
    assert json.loads(pod_metrics.host(document(strange, HOSTS), origins))["items"] == [*kept, HOSTS]


@pytest.mark.parametrize("labels", [1, "x", [1], [["app", "web"]]], ids=str)
def test_labels_that_are_none_are_not_shown(labels: Any, origins: Origins) -> None:
    body = document(pod("web-x-shop-x-vc", "team-a", labels=labels))

    assert json.loads(pod_metrics.tenant(body, origins, VC))["items"] == [pod("web", "shop")]


@pytest.mark.parametrize("items", [None, 1, "x", {"a": OWN}])
def test_items_that_are_no_list_are_none(items: Any, origins: Origins) -> None:
    body = json.dumps({"items": items}).encode()

    assert json.loads(pod_metrics.tenant(body, origins, VC)) == {"items": []}
    assert json.loads(pod_metrics.host(body, origins)) == {"items": []}
