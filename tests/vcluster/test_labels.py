"""Labels of host pods in virtual terms."""

from __future__ import annotations

import json

from kubectl_vmetrics.vcluster import labels, naming
from kubectl_vmetrics.vcluster.identity import VClusterRef
from tests.replay import RECORDINGS

VC1 = VClusterRef("team-a", "vc1")


def recorded(folder: str, name: str) -> dict[str, dict[str, str]]:
    items = json.loads((RECORDINGS / folder / name).read_text())["items"]
    return {item["metadata"]["name"]: item["metadata"].get("labels", {}) for item in items}


def test_recorded_labels_are_those_inside() -> None:
    inside = recorded("vc1", "apis-metrics.k8s.io-v1beta1-pods.json")
    host = recorded("host", "apis-metrics.k8s.io-v1beta1-namespaces-team-a-pods.json")

    found = [labels.inside(item, VC1) for item in host.values() if item.get(naming.MANAGED_BY) == "vc1"]

    def key(item: dict[str, str]) -> str:
        return json.dumps(item, sort_keys=True)

    assert sorted(found, key=key) == sorted(inside.values(), key=key)


def test_lookup_finds_translated_keys() -> None:
    host = {
        "app": "cart",
        naming.MANAGED_BY: "vc1",
        naming.label_key("vc1", "release"): "blue",
        naming.namespace_label_key("vc1", "team"): "x",
    }

    value = labels.lookup(host, VC1)

    assert value("app") == "cart"
    assert value("release") == "blue"
    assert value(naming.MANAGED_BY) is None
    assert value(naming.label_key("vc1", "release")) is None


def test_lookup_finds_the_keys_of_old_versions_all_of_which_were_hashed() -> None:
    value = labels.lookup({naming.label_key("vc1", "app"): "cart"}, VC1)

    assert value("app") == "cart"
    assert value("other") is None


def test_nested() -> None:
    inner = VClusterRef("team", "inner", VClusterRef("home", "outer"))
    host = {
        "app": "web",
        naming.MANAGED_BY: "outer",
        naming.NAMESPACE: "team",
        naming.label_key("outer", naming.MANAGED_BY): "inner",
        naming.label_key("outer", naming.NAMESPACE): "default",
    }

    assert labels.inside(host, inner) == {"app": "web"}
    assert labels.lookup(host, inner)("app") == "web"
