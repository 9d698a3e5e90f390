"""Dashboards: a real Prometheus understands each query, and has an answer to it from recorded series.

The dashboard of tenants, which reads recording rules, is in tests/truth.
"""

from __future__ import annotations

import json
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import yaml

from kubectl_vmetrics.demo.expositions import Process, apiserver, controller_manager, scheduler
from kubectl_vmetrics.manifests import dashboards
from kubectl_vmetrics.manifests.grafana import Dashboard, Panel, render
from tests import schemas
from tests.conftest import Cli, invoke
from tests.controlplane.test_figures import AT, recorded
from tests.kubevirt.cluster import recorded as of_kubevirt
from tests.prometheus import MISSING, answering

PANELS = [(item, panel) for item in dashboards.ALL for panel in item.panels]
HERE = [(item, panel) for item, panel in PANELS if item is not dashboards.TENANTS]
RENAMED = {"controller-manager": "kube-controller-manager", "scheduler": "kube-scheduler"}
OWNER = {"vcluster_host_namespace", "vcluster_name"}
LEFT = {
    "vcluster": OWNER | {"resource"},
    "vcluster_namespace": OWNER | {"vcluster_virtual_namespace"},
    "vcluster_pod": OWNER | {"vcluster_virtual_namespace", "vcluster_virtual_pod", "pod"},
    "vcluster_claim": OWNER | {"vcluster_virtual_namespace", "vcluster_virtual_persistentvolumeclaim"},
}
"""Labels of recorded series that legends may name."""
LINE = re.compile(r"([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)( \d+)?$")


def lines(text: Iterable[str], at: int, **labels: str) -> Iterator[tuple[str, str]]:
    """Samples as OpenMetrics at one time, with more labels."""
    more = ",".join(f'{key}="{value}"' for key, value in labels.items())
    for line in text:
        found = LINE.match(line)
        if found:
            block = f"{{{more},{found[2][1:]}" if found[2] else f"{{{more}}}"
            yield found[1], f"{found[1]}{block} {found[3]} {at}"


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What was recorded of a control plane and of virtual machines, at two times.

    The recorded control plane elected no leader: that is the demo's, as another cluster.
    """
    folder = tmp_path_factory.mktemp("dashboards")
    found: dict[str, dict[str, None]] = {}
    for moment, at in (("t0", AT - 15), ("t15", AT)):
        for job in ("apiserver", "controller-manager", "scheduler"):
            labels = {"job": RENAMED.get(job, job), "instance": f"10.0.0.1:{len(job)}", "cluster": "t/acme"}
            text = recorded(job, moment).decode().splitlines()
            for name, line in [*lines(text, at, **labels), *lines(["up 1"], at, **labels)]:
                found.setdefault(name, {})[line] = None
        ran = Process("x", float(at - AT + 1000))
        own = {
            "apiserver": apiserver(ran, "v1.36.2"),
            "kube-controller-manager": controller_manager(ran, "v1.36.2", leads=True),
            "kube-scheduler": scheduler(ran, "v1.36.2", leads=True),
        }
        for job, text in own.items():
            for name, line in lines(text, at, job=job, instance="10.0.0.2:1", cluster="t/other"):
                found.setdefault(name, {})[line] = None
        machines = of_kubevirt(f"kv-handler-{moment}.prom").decode().splitlines()
        for name, line in lines(machines, at, cluster="host"):
            if not line.startswith("kubevirt_vmi_migration"):  # which come with several times of their own
                found.setdefault(name, {})[line] = None
        moving = of_kubevirt("kv-handler-t15.prom").decode().splitlines()
        last = {
            line.rpartition(" ")[0].rpartition(" ")[0]: line for line in moving if line.startswith("kubevirt_vmi_migr")
        }
        for name, line in lines(last.values(), at, cluster="host"):
            found.setdefault(name, {})[line] = None
    text = "\n".join(line for listed in found.values() for line in listed) + "\n# EOF\n"
    (folder / "samples").write_text(text)
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(folder / "samples"), str(folder / "data")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    with answering({"scrape_configs": []}, folder, "--storage.tsdb.retention.time=100y") as url:
        yield url


def filled(expression: str) -> str:
    """With everything chosen, as Grafana does it."""
    text = expression.replace("$__rate_interval", "15s")
    return re.sub(r"\$\{?(cluster|namespace|name)\b\}?", ".*", text)


def ask(url: str, expression: str) -> list[Any]:
    query = f"{url}/api/v1/query?time={AT}&query={urllib.parse.quote(expression)}"
    try:
        with urllib.request.urlopen(query, timeout=30) as answer:
            found: list[Any] = json.loads(answer.read())["data"]["result"]
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{expression}: {error.read().decode()}") from None
    return found


@MISSING
@pytest.mark.parametrize(("item", "panel"), HERE, ids=[f"{item.name}: {panel.title}" for item, panel in HERE])
def test_each_query_has_an_answer(item: Dashboard, panel: Panel, prometheus: str) -> None:
    for expression, _ in panel.queries:
        assert "$" not in filled(expression)
        assert ask(prometheus, filled(expression)), filled(expression)


@MISSING
def test_each_variable_has_values(prometheus: str) -> None:
    for item in {item.name: item for item, _ in HERE}.values():
        for variable in item.variables:
            values = {series["metric"].get(variable.label) for series in ask(prometheus, filled(variable.query))}
            assert values - {None}, variable


@pytest.mark.parametrize(("item", "panel"), PANELS, ids=[f"{item.name}: {panel.title}" for item, panel in PANELS])
def test_queries_keep_to_the_rules(item: Dashboard, panel: Panel) -> None:
    for expression, legend in panel.queries:
        # Each selector keeps to the clusters that were chosen.
        selectors = re.findall(r"[\w:]+\{([^}]*)\}", expression)
        assert selectors
        assert all('cluster=~"$cluster"' in selector for selector in selectors)
        # Rates of counters and buckets alone, and of nothing else.
        for family in re.findall(r"rate\(([\w:]+)", expression):
            assert family.endswith(("_total", "_bucket"))
        for family in re.findall(r"([\w:]+)\{[^}]*\}(?!\[)", expression):
            assert item is not dashboards.TENANTS or family.startswith(("vcluster:", "vcluster_"))
            assert not family.endswith(("_seconds_total", "_bucket")) or "count by" in expression
        # A legend names labels that the query leaves.
        for label in re.findall(r"\{\{(\w+)\}\}", legend):
            levels = [left for level, left in LEFT.items() if f"{level}:" in expression]
            assert all(label in left for left in levels)
            assert levels or re.search(rf"by \([^)]*\b{label}\b", expression)


@pytest.mark.parametrize("item", dashboards.ALL, ids=[item.name for item in dashboards.ALL])
def test_the_model_hangs_together(item: Dashboard) -> None:
    model = render(item)

    assert model["templating"]["list"][1]["name"] == "cluster"
    ids = [panel["id"] for panel in model["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in model["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells
    for panel in model["panels"]:
        for target in panel.get("targets", []):
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_config_maps() -> None:
    result = invoke("manifests", "dashboards", "-n", "grafana", "--label=look=here", "--folder=Tenants")
    found = list(yaml.safe_load_all(result.stdout))

    assert [item["metadata"]["name"] for item in found] == [item.name for item in dashboards.ALL]
    for item, dashboard in zip(found, dashboards.ALL, strict=True):
        schemas.validate(item)
        assert item["metadata"]["namespace"] == "grafana"
        assert item["metadata"]["labels"] == {"look": "here"}
        assert item["metadata"]["annotations"] == {"grafana_folder": "Tenants"}
        assert json.loads(item["data"][f"{dashboard.name}.json"]) == render(dashboard)
        assert len(json.dumps(item)) < 256 * 1024  # what kubectl apply can keep in an annotation
    # The JSON is a block of lines that people can read.
    assert result.stdout.count('.json: |\n    {\n      "uid": "vmetrics-') == len(dashboards.ALL)
    plain = yaml.safe_load(invoke("manifests", "dashboards", "vmetrics-machines").stdout)
    assert plain["metadata"]["labels"] == {"grafana_dashboard": "1"}
    raw = json.loads(invoke("manifests", "dashboards", "vmetrics-machines", "--raw").stdout)
    assert raw == render(dashboards.MACHINES)


@pytest.mark.parametrize(
    ("args", "stderr"),
    [
        (["nope"], 'error: unknown dashboard "nope"; choose from vmetrics-tenants, '),
        (["--raw"], "error: --raw prints one dashboard: vmetrics-tenants, "),
        (
            ["vmetrics-tenants", "--raw", "--label=a=b"],
            "error: --raw prints JSON for import, without --label and --folder",
        ),
        (
            ["vmetrics-tenants", "--raw", "--folder=x"],
            "error: --raw prints JSON for import, without --label and --folder",
        ),
        (["--label=x y"], "error: --label: 'x y' is not a label KEY=VALUE\n"),
    ],
)
def test_bad_input(args: list[str], stderr: str, on_demo: Cli) -> None:
    result = on_demo("manifests", "dashboards", *args)
    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.startswith(stderr)
