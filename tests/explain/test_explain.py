"""`explain pod` on the recorded host, and on one whose sources fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kubectl_vmetrics.demo.exchange import Refusal, Reply
from tests.conftest import Cli
from tests.replay import RECORDINGS, Replay

AT = 1_795_249_718.0
"""A few seconds after the recording was made."""


@pytest.fixture(autouse=True)
def _at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: AT)


HASHED = """\
Pod:       a-rather-long-deployment-name-that-is-hashed-5b5d8fff69-m4vr6 (namespace shop, virtual cluster
           team-a/vc1)
Host pod:  a-rather-long-deployment-name-that-is-hashed-5b5d8ff-0eb54a0598 (host namespace team-a, node vm)
Because:   labels vcluster.loft.sh/managed-by=vc1 and vcluster.loft.sh/namespace=shop, which vCluster sets
           virtual cluster team-a/vc1 runs in the pod's own host namespace
           the host name is shortened and ends in a hash; the name inside is in the annotation
           vcluster.loft.sh/object-name, checked against the host name in the annotations, and its hash is
           that of the host name
Status:    Running for 12m, 1 container, 0 restarts

SOURCE             CPU(cores)   MEMORY(bytes)   RSS(bytes)   WINDOW   MEASURED
metrics.k8s.io     36m          0Mi             -            17.8s    7s ago
stats/summary      33m          0Mi             0Mi          -        65s ago
metrics/cadvisor   22s in all   0Mi             0Mi          -        64s ago
Prometheus         <none>       <none>          <none>       <none>   <none>
requests           20m          32Mi
limits             200m         64Mi

Not available:
  Prometheus: the server could not find the requested resource (get services)

Notes:
  - CPU is at 176% of the request (metrics.k8s.io): more than that is not guaranteed
"""


@pytest.mark.parametrize(
    "asked",
    [
        "a-rather-long-deployment-name-that-is-hashed-5b5d8ff-0eb54a0598 -n team-a",
        "a-rather-long-deployment-name-that-is-hashed-5b5d8fff69-m4vr6 -n team-a",
        "a-rather-long-deployment-name-that-is-hashed-5b5d8fff69-m4vr6 -n shop --vcluster vc1",
    ],
)
def test_a_pod_by_each_of_its_names(asked: str, on_host: Cli) -> None:
    result = on_host("explain", "pod", *asked.split())
    assert result.stdout == HASHED
    assert (result.code, result.stderr) == (0, "")


def test_numbers_are_those_of_the_sources(on_host: Cli) -> None:
    """Each against the recorded response, read without this program."""
    found = json.loads(on_host("explain", "pod", "vc1-0", "-n", "team-a", "-o", "json").stdout)
    sources = {item["name"]: item for item in found["sources"]}
    pods = json.loads((RECORDINGS / "host" / "apis-metrics.k8s.io-v1beta1-pods.json").read_text())["items"]
    (metrics,) = [item for item in pods if item["metadata"]["name"] == "vc1-0"]
    (container,) = metrics["containers"]
    assert sources["metrics.k8s.io"]["cpuCores"] == int(container["usage"]["cpu"][:-1]) / 1e9
    assert sources["metrics.k8s.io"]["memoryBytes"] == int(container["usage"]["memory"][:-2]) * 1024
    assert f"{sources['metrics.k8s.io']['windowSeconds']}s" == metrics["window"]

    summary = json.loads((RECORDINGS / "host" / "api-v1-nodes-vm-proxy-stats-summary.json").read_text())
    (pod,) = [item for item in summary["pods"] if item["podRef"]["name"] == "vc1-0"]
    (container,) = pod["containers"]
    assert sources["stats/summary"]["cpuCores"] == container["cpu"]["usageNanoCores"] / 1e9
    assert sources["stats/summary"]["cpuSeconds"] == container["cpu"]["usageCoreNanoSeconds"] / 1e9
    assert sources["stats/summary"]["memoryBytes"] == container["memory"]["workingSetBytes"]
    assert sources["stats/summary"]["rssBytes"] == container["memory"]["rssBytes"]

    text = (RECORDINGS / "host" / "api-v1-nodes-vm-proxy-metrics-cadvisor.txt").read_text()
    lines = [line for line in text.splitlines() if 'pod="vc1-0"' in line and 'container="syncer"' in line]
    values = {line.partition("{")[0]: float(line.rpartition("}")[2].split()[0]) for line in lines}
    assert sources["metrics/cadvisor"]["memoryBytes"] == values["container_memory_working_set_bytes"]
    assert sources["metrics/cadvisor"]["rssBytes"] == values["container_memory_rss"]
    cpu = [
        float(line.rpartition("}")[2].split()[0]) for line in lines if line.startswith("container_cpu_usage_seconds")
    ]
    assert [sources["metrics/cadvisor"]["cpuSeconds"]] == cpu


def test_documents_are_as_their_schema_says(on_host: Cli) -> None:
    import jsonschema

    schema = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "PodExplanation.json").read_text())
    for name, namespace in (
        ("vc1-0", "team-a"),
        ("cart-785676477c-69n6q", "team-a"),
        ("burner-6bfd9cb954-8msjh", "default"),
    ):
        jsonschema.validate(json.loads(on_host("explain", "pod", name, "-n", namespace, "-o", "json").stdout), schema)


def test_a_source_that_fails_costs_its_line(on_host: Cli, host: Replay) -> None:
    host.override["/api/v1/nodes/vm/proxy/stats/summary"] = Refusal(
        403, "Forbidden", 'nodes "vm" is forbidden: User "ann" cannot get resource "nodes/proxy"'
    )
    host.override["/api/v1/nodes/vm/proxy/metrics/cadvisor"] = Reply(200, b"# nothing\n", "text/plain")
    host.override["/apis/metrics.k8s.io/v1beta1/namespaces/team-a/pods/vc1-0"] = Refusal(
        404, "NotFound", 'podmetrics "vc1-0" not found'
    )
    result = on_host("explain", "pod", "vc1-0", "-n", "team-a")
    assert result.code == 0
    assert (
        result.stdout.partition("\n\n")[2]
        == """\
SOURCE             CPU(cores)   MEMORY(bytes)   RSS(bytes)   WINDOW   MEASURED
metrics.k8s.io     <none>       <none>          <none>       <none>   <none>
stats/summary      <none>       <none>          <none>       <none>   <none>
metrics/cadvisor   <none>       <none>          <none>       <none>   <none>
Prometheus         <none>       <none>          <none>       <none>   <none>
requests           -            -
limits             -            -

Not available:
  metrics.k8s.io: no metrics of this pod (yet)
  stats/summary: nodes "vm" is forbidden: User "ann" cannot get resource "nodes/proxy"
  metrics/cadvisor: cAdvisor has no series of this pod (yet)
  Prometheus: the server could not find the requested resource (get services)
"""
    )


def test_no_annotation_is_printed(on_host: Cli) -> None:
    """Those of synced pods hold the tenants' tokens."""
    pods = json.loads((RECORDINGS / "host" / "api-v1-pods.json").read_text())["items"]
    (pod,) = [
        item
        for item in pods
        if item["metadata"]["name"].startswith("a-rather-long-dep") and item["metadata"]["namespace"] == "team-a"
    ]
    shown = ("object-name", "/name", "/namespace", "uid")
    values = [text for key, text in pod["metadata"]["annotations"].items() if not key.endswith(shown)]
    values = [
        text for text in values if len(text) > 20 and text not in (pod["metadata"]["name"], pod["metadata"]["uid"])
    ]
    assert values
    for form in ("", "json", "yaml"):
        arguments = ["-o", form] if form else []
        shown = on_host("explain", "pod", pod["metadata"]["name"], "-n", "team-a", *arguments).stdout
        assert not [text for text in values if text in shown]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("pod nope -n team-a", 'Error from server (NotFound): pods "nope" not found\n'),
        ("pod nope -n shop --vcluster vc1", 'Error from server (NotFound): pods "nope" not found\n'),
        ("pod vc1-0 --vcluster vc1 -n shop", 'Error from server (NotFound): pods "vc1-0" not found\n'),
        ("node vm", 'error: explain: unknown kind "node"; only pods can be explained\n'),
        ("pod", "error: explain pod NAME\nSee 'kubectl vmetrics explain -h' for help and examples\n"),
        ("pod a -o wide", "error: -o wide: explain prints text, json or yaml\n"),
    ],
)
def test_errors(asked: str, message: str, on_host: Cli) -> None:
    result = on_host("explain", *asked.split())
    assert (result.code, result.stdout, result.stderr) == (1, "", message)


def test_kubectl_s_ways_to_name_a_pod(on_host: Cli) -> None:
    first = on_host("explain", "pod/vc1-0", "-n", "team-a").stdout
    assert first == on_host("explain", "po", "vc1-0", "-n", "team-a").stdout != ""


def test_prometheus(on_host: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recorded Prometheus, asked about a pod at a time at which it was recorded, beside an independent query."""
    from tests import prometheus

    if prometheus.MISSING.args[0]:
        pytest.skip(prometheus.MISSING.kwargs["reason"])
    prometheus.unpack(tmp_path)
    with prometheus.answering({}, tmp_path, "--storage.tsdb.retention.time=100y") as url:
        stamps = prometheus.instant_query(url, 'max_over_time(timestamp(up{job="kubelet"})[60d:5m])', 1_797_000_000)
        at = max(float(item["value"][1]) for item in stamps) - 900
        monkeypatch.setattr("time.time", lambda: at)
        found = json.loads(on_host("explain", "pod", "vc1-0", "-n", "team-a", "-o", "json", "--prometheus", url).stdout)
        (source,) = [item for item in found["sources"] if item["name"] == "Prometheus"]
        chosen = '{namespace="team-a",pod="vc1-0",container="syncer",job="kubelet",metrics_path="/metrics/cadvisor"}'
        (cpu,) = prometheus.instant_query(url, f"rate(container_cpu_usage_seconds_total{chosen}[5m])", at)
        (memory,) = prometheus.instant_query(url, f"container_memory_working_set_bytes{chosen}", at)
        assert source["cpuCores"] == pytest.approx(float(cpu["value"][1]), rel=1e-6)
        assert source["memoryBytes"] == float(memory["value"][1])
        assert at - 60 < source["measuredAt"] <= at


def test_what_the_tenant_sees(on_host: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The virtual cluster's own answer, as recorded, by the names inside."""
    from kubectl_vmetrics.controlplane import tenants
    from kubectl_vmetrics.kube.client import Client
    from kubectl_vmetrics.kube.errors import NotFound
    from kubectl_vmetrics.metrics import metrics_api
    from kubectl_vmetrics.metrics.metrics_api import Scope, TimedPodMetrics

    recorded = json.loads((RECORDINGS / "vc1" / "apis-metrics.k8s.io-v1beta1-pods.json").read_text())["items"]
    asked: list[tuple[str, Scope]] = []

    def pods(_: Client, vcluster: object, scope: Scope, kind: type[TimedPodMetrics]) -> object:
        asked.append((vcluster.path, scope))  # type: ignore[attr-defined]
        for item in recorded:
            if (item["metadata"]["namespace"], item["metadata"]["name"]) == (scope.namespace, scope.name):
                import msgspec

                return [msgspec.json.decode(json.dumps(item), type=kind)], []
        raise NotFound("not found", code=404, reason="NotFound")

    monkeypatch.setattr(tenants, "pods", pods)
    line = ["explain", "pod", "cart-785676477c-69n6q-x-shop-x-vc1", "-n", "team-a", "--tenant-api", "-o", "json"]
    found = {item["name"]: item for item in json.loads(on_host(*line).stdout)["sources"]}
    assert asked == [("team-a/vc1", Scope("shop", "cart-785676477c-69n6q"))]
    (own,) = [item for item in recorded if item["metadata"]["name"] == "cart-785676477c-69n6q"]
    cores = sum(int(container["usage"]["cpu"].removesuffix("n")) for container in own["containers"]) / 1e9
    assert found["metrics.k8s.io inside"]["cpuCores"] == pytest.approx(cores)
    assert metrics_api.GROUP  # the API is the same inside and outside
    host = on_host("explain", "pod", "vc1-0", "-n", "team-a", "--tenant-api").stdout
    assert "  metrics.k8s.io inside: the pod does not exist inside a virtual cluster\n" in host
