"""`rightsize` on the demo: against the demo's own functions of time, and what its patches make of a manifest."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest
import yaml

from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.demo.past import NIGHTLY, lives
from kubectl_vmetrics.demo.usage import worked
from kubectl_vmetrics.history.rightsize import MEBI, Advice, Key, Numbers
from kubectl_vmetrics.history.window import Window
from kubectl_vmetrics.history.workloads import Workload
from kubectl_vmetrics.vcluster.identity import VClusterRef
from kubectl_vmetrics.views import rightsize as view
from tests.conftest import Cli
from tests.prometheus import MISSING

SHOP = VClusterRef("team-a", "shop")
DAY = 86_400.0


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return {}


@pytest.fixture
def found(on_live_demo: Cli, document: dict[str, Any]) -> dict[str, Any]:
    """The advice for one virtual cluster, as JSON; read once."""
    if not document:
        result = on_live_demo("rightsize", "--vcluster", "shop", "-o", "json")
        assert (result.code, result.stderr) == (0, "")
        document.update(json.loads(result.stdout))
    return document


@MISSING
def test_advice_is_that_of_the_demos_own_functions(found: dict[str, Any]) -> None:
    """CPU of every container, integrated by hand; its pods by their owners in the demo, not by their names."""
    world = Apiserver(build(Shape())).world
    expected: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    replicas: dict[tuple[str, str, str], float] = {}
    requests: dict[tuple[str, str, str], int] = {}
    for life in lives(world):
        pod = life.pod
        if pod.namespace != "team-a" or pod.origin is None or (life.end is not None and life.end < -14 * DAY):
            continue
        name = re.sub(r"-[a-z0-9]{10}$|-\d{8}$", "", pod.owner[1])
        start, end = max(life.start, -14 * DAY), life.end or 0.0
        for container in pod.containers:
            key = (pod.origin.namespace, name, container.name)
            replicas[key] = replicas.get(key, 0.0) + (end - start) / (14 * DAY)
            if life.end is None or pod.owner[0] == "Job":
                requests[key] = container.requested[0]
            step = 900.0
            moments = [start + step * n for n in range(int((end - start) // step))]
            rates = [(worked(pod, t + step) - worked(pod, t)) / step * container.millicores / 1000 for t in moments]
            if rates:
                rates.sort()
                expected.setdefault(key, []).append((rates[int(len(rates) * 0.95)], rates[-1]))

    seen = set()
    for item in found["items"]:
        key = (item["metadata"]["namespace"], item["workload"]["name"], item["container"])
        seen.add(key)
        cpu = item["cpu"]
        most = max(top for _, top in expected[key])
        # Of the step in which a pod begins, samples do not show where.
        assert cpu["maxCores"] == pytest.approx(most, rel=0.15, abs=0.001), key
        if item["workload"]["kind"] != "CronJob":
            assert cpu["percentileCores"] == pytest.approx(max(p for p, _ in expected[key]), rel=0.05, abs=0.001), key
        # Jobs run for four samples or so: how long is not known better.
        assert item["replicas"] == pytest.approx(replicas[key], rel=0.4 if key[1] == NIGHTLY else 0.05), key
        assert cpu.get("requestCores", 0.0) == pytest.approx(requests[key] / 1000, abs=1e-4), key
        assert cpu["suggestedRequestCores"] >= cpu["percentileCores"]
        assert item["memory"]["suggestedRequestBytes"] >= item["memory"]["maxBytes"] * 1.15
        saves = (cpu.get("requestCores", 0.0) - cpu["suggestedRequestCores"]) * item["replicas"]
        assert cpu["savesCores"] == pytest.approx(saves, abs=1e-4)
    assert seen == set(expected)


@MISSING
def test_sums_are_those_of_the_items(found: dict[str, Any]) -> None:
    (total,) = found["sums"]
    assert total["vcluster"] == {"name": "shop", "hostNamespace": "team-a"}
    saves = sum(item["cpu"]["savesCores"] for item in found["items"])
    assert total["cpu"]["savesCores"] == pytest.approx(saves, abs=1e-4)
    assert total["memory"]["savesBytes"] == pytest.approx(
        sum(i["memory"]["savesBytes"] for i in found["items"]), abs=99
    )
    assert found["window"]["daysOfData"] == pytest.approx(14, abs=0.05)


@MISSING
def test_patches_are_in_the_terms_of_the_virtual_cluster(found: dict[str, Any], on_live_demo: Cli) -> None:
    """Each container's resources are those of the document; a tenant's Deployment takes the patch as it is."""
    result = on_live_demo("rightsize", "--vcluster", "shop", "-n", "shop", "-o", "yaml")

    assert (result.code, result.stderr) == (0, "")
    documents = [item for item in yaml.safe_load_all(result.stdout) if item]
    assert [(item["kind"], item["metadata"]["namespace"], item["metadata"]["name"]) for item in documents] == [
        ("Deployment", "shop", "cart"),
        ("StatefulSet", "shop", "orders-db"),
        ("Deployment", "shop", "recommendations-for-the-landing-page"),
    ]
    assert "# Virtual cluster team-a/shop: Deployment shop/cart\n" in result.stdout
    containers = documents[0]["spec"]["template"]["spec"]["containers"]
    assert [item["name"] for item in containers] == ["main", "sidecar"]
    for container in containers:
        (item,) = [
            item
            for item in found["items"]
            if (item["workload"]["name"], item["container"]) == ("cart", container["name"])
        ]
        assert container["resources"]["requests"]["cpu"] == f"{round(item['cpu']['suggestedRequestCores'] * 1000)}m"
        assert container["resources"]["limits"]["memory"] == f"{item['memory']['suggestedLimitBytes'] // MEBI}Mi"


@MISSING
def test_the_table_and_csv_of_the_whole_host(on_live_demo: Cli) -> None:
    table = on_live_demo("rightsize", "--since", "3d", "--step", "1h")
    assert table.code == 0
    assert re.fullmatch(r"based on 3\.0 days of data\n", table.stderr)
    lines = table.stdout.splitlines()
    assert lines[0].split() == (
        [
            "VCLUSTER",
            "NAMESPACE",
            "WORKLOAD",
            "CONTAINER",
            "RESOURCE",
            "REQUEST",
            "LIMIT",
            "P95",
            "MAX",
            "SUGGESTED",
            "SAVES",
            "NOTES",
        ]
    )
    assert any(re.match(r"team-b/dev +shop +statefulset/orders-db +main +cpu ", line) for line in lines)
    assert any(
        re.match(r"<none> +kube-system +daemonset/kube-proxy +main|<none> +kube-system +daemonset/kube-proxy", line)
        for line in lines
    )
    assert "virt-launcher" not in table.stdout

    rows = list(
        csv.DictReader(io.StringIO(on_live_demo("rightsize", "--since", "3d", "--step", "1h", "-o", "csv").stdout))
    )
    shop = [row for row in rows if row["VCLUSTER"] == "team-a/shop"]
    assert {row["RESOURCE"] for row in shop} == {"cpu", "memory"}
    assert sum(not row["WORKLOAD"] for row in shop) == 2


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--since", "3h"], "--since: advice requires at least 1d of data; use 7d or more for a good one"),
        (["--cpu-percentile", "40"], "--cpu-percentile accepts only numbers from 50 to 100"),
        (["--cpu-percentile", "nan"], "--cpu-percentile accepts only numbers from 50 to 100"),
        (["--memory-headroom", "x"], "--memory-headroom accepts only numbers from 0 to 1000"),
        (["--min-cpu", "lots"], "--min-cpu: 'lots' is not a quantity (example: 10m)"),
        (["--min-memory", "-1Mi"], "--min-cpu and --min-memory must be 0 or more"),
        (["--step", "0s"], "--step: '0s' is not a duration (example: 7d, 36h, 1h30m)"),
        (["--sort-by", "name"], "--sort-by accepts only cpu or memory"),
        (["-o", "yaml", "-w"], "--watch cannot be used with -o yaml, which prints patches"),
    ],
)
def test_bad_input(on_demo: Cli, args: list[str], message: str) -> None:
    result = on_demo("rightsize", *args)
    assert (result.code, result.stdout, result.stderr) == (1, "", f"error: {message}\n")


@MISSING
def test_an_unknown_virtual_cluster(on_live_demo: Cli) -> None:
    result = on_live_demo("rightsize", "--vcluster", "nope")
    assert (result.code, result.stdout) == (1, "")
    assert '"nope"' in result.stderr


def advice(kind: str, name: str, *, known: bool = True, vcluster: VClusterRef | None = SHOP) -> Advice:
    suggested = 0.25 if known else None
    cpu = Numbers(1.0, 2.0, 0.2, 0.5, suggested, 2.0 if known else None, 0.75 if known else 0.0)
    memory = Numbers(None, None, 50.0 * MEBI, 60.0 * MEBI, 69.0 * MEBI if known else None)
    return Advice(Key(vcluster, "web", Workload(kind, name), "main"), 1.0, 14.0, cpu, memory, 0.3, 2, grows=True)


def test_patches_of_kinds() -> None:
    window = Window(1_795_000_000.0, 1_796_209_600.0)
    text = view.patches(
        [
            advice("CronJob", "tick"),
            advice("Rollout", "x"),
            advice("Job", "once"),
            advice("Deployment", "new", known=False),
        ],
        window,
        13.96,
    )
    assert text == (
        "# Requests and limits by what was used from 2026-11-18T11:06:40Z to 2026-12-02T11:06:40Z.\n"
        "# Days with data: 14.0.\n"
        "---\n"
        "# Virtual cluster team-a/shop: CronJob web/tick\n"
        "apiVersion: batch/v1\n"
        "kind: CronJob\n"
        "metadata:\n  name: tick\n  namespace: web\n"
        "spec:\n  jobTemplate:\n    spec:\n      template:\n        spec:\n          containers:\n"
        "          - name: main\n            resources:\n"
        "              requests:\n                cpu: 250m\n                memory: 69Mi\n"
        "              limits:\n                cpu: 2000m\n"
        "# Virtual cluster team-a/shop: Rollout web/x: no patch (no pod template to patch)\n"
        "# Virtual cluster team-a/shop: Job web/once: no patch (no pod template to patch)\n"
        "# Virtual cluster team-a/shop: Deployment web/new: no patch (less than 1d of data)\n"
    )


def test_a_name_cannot_leave_its_comment() -> None:
    """Prometheus is not trusted: what it calls a workload may hold line breaks and YAML."""
    name = "x\n---\nkind: Secret\n\x1b[31m"
    text = view.patches([advice("Deployment", name), advice("", name)], Window(0.0, DAY), 1.0)
    documents = [item for item in yaml.safe_load_all(text) if item]
    assert [(item["kind"], item["metadata"]["name"]) for item in documents] == [("Deployment", name)]
    assert "\x1b" not in text


def test_notes() -> None:
    assert view.notes(advice("Deployment", "x"), "cpu") == ["throttled in 30% of periods"]
    assert view.notes(advice("Deployment", "x"), "memory") == ["no request", "killed 2 times for memory", "grows"]
    assert view.notes(advice("Deployment", "x", known=False), "cpu")[-1] == "less than 1d of data"


@MISSING
def test_the_document_has_its_schema(found: dict[str, Any]) -> None:
    from pathlib import Path

    import jsonschema

    path = Path(__file__).parents[2] / "docs" / "schemas" / "RightsizeList.json"
    jsonschema.Draft202012Validator(json.loads(path.read_text())).validate(found)
