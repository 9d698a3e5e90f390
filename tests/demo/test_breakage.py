"""Breaks as data: the schema, and that what is broken agrees with itself."""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import Any

import msgspec
import pytest
import yaml

from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.breakage import BREAKS, Break, Step
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.demo.edits import Edit, edited
from tests.conftest import invoke
from tests.demo.asking import Clock, answer, ask, refused

FILES = sorted((item for item in (resources.files("kubectl_vmetrics.demo") / "breaks").iterdir()), key=lambda i: i.name)
KINDS = ("alter", "say", "json", "refuse", "replace", "count", "certificate", "alias", "unavailable", "log", "pause")


def test_every_file_is_read_and_every_name_is_given_once() -> None:
    known = [item["name"] for file in FILES for item in yaml.safe_load(file.read_text(encoding="utf-8"))]

    assert len(FILES) == 5
    assert list(BREAKS) == known
    assert len(set(known)) == len(known)
    for item in BREAKS.values():
        assert re.fullmatch(r"VM\d{3}/[\w-]+", item.finds)
        assert re.fullmatch(r"[^\n]{10,75}", item.text)
        assert not item.text.endswith(".")
        assert item.changes


def test_every_change_is_of_one_kind_and_every_pattern_is_one() -> None:
    for item in BREAKS.values():
        for step in item.changes:
            kinds = [kind for kind in KINDS if getattr(step, kind)]
            kinds += ["metrics_server"] if step.metrics_server is not None else []
            kinds += ["as"] if step.as_ else []
            assert len(kinds) == 1, (item.name, kinds)
            for kind in ("alter", "say", "json", "refuse", "replace", "count", "certificate", "pattern"):
                re.compile(getattr(step, kind))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[{name: a, text: b, finds: VM1/x, changes: [{alters: /a}]}]", "unknown field `alters`"),
        ("[{name: a, text: b, finds: VM1/x, changes: [{alter: /a, edits: [{sets: {}}]}]}]", "unknown field `sets`"),
        ("[{name: a, text: b, finds: VM1/x, changes: [{say: /a, status: '5'}]}]", "Expected `int`, got `str`"),
        ("[{name: a, text: b, finds: VM1/x}]", "missing required field `changes`"),
    ],
)
def test_the_schema_refuses_what_it_does_not_know(text: str, error: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=error):
        msgspec.convert(yaml.safe_load(text), list[Break])


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        ({"items": "a*", "set": {"s.0.t": 1}}, {"items": [("a1", 1), ("b1", 0)]}),
        ({"items": "first", "set": {"s.0.t": 1}}, {"items": [("a1", 1), ("b1", 0)]}),
        ({"label": "x", "set": {"s.0.t": 2}}, {"items": [("a1", 0), ("b1", 2)]}),
        ({"namespace": "n", "drop": True}, {"items": [("b1", 0)]}),
        ({"keep": 1}, {"items": [("a1", 0)]}),
        ({"without": "a1"}, {"items": [("b1", 0)]}),
        ({"items": "b1", "copy": "b2"}, {"items": [("a1", 0), ("b1", 0), ("b2", 0)]}),
        ({"items": "a1", "append": {"s": [{"t": 9}]}}, {"items": [("a1", 0), ("b1", 0)]}),
        ({"items": "a1", "remove": ["s"]}, {"items": [("a1", None), ("b1", 0)]}),
    ],
)
def test_edits(edit: dict[str, Any], expected: dict[str, Any]) -> None:
    body = {
        "items": [
            {"metadata": {"name": "a1", "namespace": "n"}, "s": [{"t": 0}]},
            {"metadata": {"name": "b1", "namespace": "m", "labels": {"x": "1"}}, "s": [{"t": 0}]},
        ]
    }
    edited([msgspec.convert(edit, Edit)], body)

    found = [(item["metadata"]["name"], item["s"][0]["t"] if "s" in item else None) for item in body["items"]]
    assert {"items": found} == expected
    if "append" in edit:
        assert body["items"][0]["s"] == [{"t": 0}, {"t": 9}]


def test_arguments_are_replaced_by_name() -> None:
    container = {"args": ["--secure-port=1", "--other"]}
    body = {"items": [{"metadata": {"name": "a"}, "spec": {"containers": [container]}}]}
    edited([Edit(items="a", argument="--secure-port=2")], body)

    assert container["args"] == ["--other", "--secure-port=2"]


def paused(server: Apiserver) -> dict[str, Any]:
    """Everything that is said of the pods of team-a/shop."""
    found: dict[str, Any] = {}
    found["pods"] = [item["metadata"]["name"] for item in answer(server, "/api/v1/namespaces/team-a/pods")["items"]]
    path = "/apis/metrics.k8s.io/v1beta1/namespaces/team-a/pods"
    found["metrics"] = [item["metadata"]["name"] for item in answer(server, path)["items"]]
    texts = [
        ask(server, f"/api/v1/nodes/worker-{index}/proxy/{endpoint}")[2].decode()
        for index in (1, 2, 3)
        for endpoint in ("metrics/cadvisor", "metrics/resource", "metrics/probes", "stats/summary")
    ]
    found["kubelets"] = [line for text in texts for line in text.splitlines() if '"team-a"' in line]
    machines = answer(server, "/apis/kubevirt.io/v1/namespaces/team-a/virtualmachineinstances")["items"]
    found["machines"] = [item["metadata"]["name"] for item in machines]
    return found


def test_a_paused_virtual_cluster_has_no_pods_anywhere_and_keeps_its_volumes() -> None:
    server = Apiserver(build(Shape()), Clock())
    before, nodes = paused(server), answer(server, "/apis/metrics.k8s.io/v1beta1/nodes")
    claims = answer(server, "/api/v1/namespaces/team-a/persistentvolumeclaims")["items"]
    assert all(before.values())

    server.change = BREAKS["vcluster-paused"].change
    assert paused(server) == {key: [] for key in before}
    assert answer(server, "/api/v1/namespaces/team-a/persistentvolumeclaims")["items"] == claims != []
    (found,) = answer(server, "/apis/apps/v1/namespaces/team-a/statefulsets")["items"]
    assert (found["spec"]["replicas"], found["status"]) == (0, {"replicas": 0})
    assert found["metadata"]["annotations"]["loft.sh/paused"] == "true"
    # What the pods used is used no more, and nobody can be connected to them.
    assert answer(server, "/apis/metrics.k8s.io/v1beta1/nodes") != nodes
    upgrade = {"SEC_WEBSOCKET_KEY": "x"}
    assert refused(server, "/api/v1/namespaces/team-a/pods/shop-0/portforward", "ports=8443", **upgrade)["code"] == 404

    server.change = None
    assert paused(server) == before


def test_a_paused_virtual_cluster_in_tables() -> None:
    shown = invoke("demo", "--break", "vcluster-paused", "top", "vclusters", "-o", "json")
    (first,) = [item for item in json.loads(shown.stdout)["items"] if item["metadata"]["name"] == "shop"]
    assert (first["status"], first["pods"]) == ("Paused", 0)

    inside = invoke("demo", "--break", "vcluster-paused", "top", "pods", "--vcluster", "shop", "-A")
    assert (inside.code, inside.stdout) == (0, "")


def test_a_user_without_rights_is_one_of_the_cluster() -> None:
    """Not an answer of its own: the same roles decide as for --as nobody."""
    server = Apiserver(build(Shape()), Clock())
    asked = "/apis/metrics.k8s.io/v1beta1/pods"
    impersonated = refused(server, asked, IMPERSONATE_USER="nobody")
    server.change = BREAKS["no-rights"].change

    assert refused(server, asked) == impersonated


def test_every_step_is_described() -> None:
    described = Step.__doc__ or ""
    for kind in (*KINDS, "metrics_server", "as_"):
        assert f"        {kind}: " in described
