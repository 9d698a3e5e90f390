"""`doctor prometheus` with a real Prometheus behind the apiserver's proxy: recorded, and with tokens in it."""

from __future__ import annotations

import datetime
import gzip
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kubectl_vmetrics.demo import server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.changes import alter, answer, refuse, say, together
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.demo.exchange import Change, Reply, Request
from tests import prometheus
from tests.conftest import Result, invoke, write_kubeconfig

STARRED = Path(__file__).parents[1] / "recordings" / "kube-state-metrics" / "annotations-star.scrubbed.prom.gz"
PROXY = "/api/v1/namespaces/monitoring/services/http:prometheus-k8s:9090/proxy"
QUERY = f"{PROXY}/api/v1/query"
Run = Callable[..., dict[str, dict[str, Any]]]


def forwarded(url: str, at: str = "") -> Change:
    """Answer for the demo's Prometheus with a real one, at a time of the day of the recording."""
    moment = f"2026-11-24T{at}Z" if at else ""

    def change(request: Request, answer: Callable[[Request], Reply]) -> Reply:
        if not request.path.startswith(PROXY):
            return answer(request)
        query = {**request.query, **({"time": moment} if moment and request.path == QUERY else {})}
        path = f"{url}{request.path.removeprefix(PROXY)}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(path, timeout=30) as found:
                return Reply(found.status, found.read(), found.headers["Content-Type"])
        except urllib.error.HTTPError as error:
            return Reply(error.code, error.read(), error.headers["Content-Type"])

    return change


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Apiserver, str]]:
    apiserver = Apiserver(build(Shape(nodes=1, pods=20, vclusters=2, machines=0, tenants=0)))
    with server.serving(apiserver) as url:
        yield apiserver, url


@pytest.fixture
def run(served: tuple[Apiserver, str], tmp_path: Path) -> Iterator[Run]:
    """The findings with a change of the cluster."""

    def doctor(change: Change | None, *args: str) -> dict[str, dict[str, Any]]:
        served[0].change = change
        path = write_kubeconfig(tmp_path, served[1])
        result: Result = invoke("doctor", *(args or ("prometheus",)), "-o", "json", kubeconfig=path)
        assert result.stderr == ""
        return {item["id"]: item for item in json.loads(result.stdout)["items"]}

    yield doctor
    served[0].change = None


def told(found: dict[str, dict[str, Any]]) -> dict[str, tuple[str, str]]:
    return {id_: (item["result"], item["found"]) for id_, item in found.items()}


# ---------------------------------------------------------------------------------------------------- the real one


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("recorded")
    prometheus.unpack(folder)
    with prometheus.answering({"scrape_configs": []}, folder, "--storage.tsdb.retention.time=100y") as url:
        yield url


CPU_TWICE = "job kubelet (/metrics/cadvisor) and job kubelet (/metrics/resource) and job vmetrics-cadvisor"


@prometheus.MISSING
def test_the_recording_with_an_allowlist(recorded: str, run: Run) -> None:
    """Its three jobs count containers three times, and nothing else is wrong with it."""
    assert told(run(forwarded(recorded, "16:10:50"))) == {
        "VM701": ("PASS", "monitoring/prometheus-k8s (Prometheus 2.42.0+ds) answers"),
        "VM702": ("PASS", "container metrics of 1 kubelet"),
        "VM703": ("PASS", "kube-state-metrics reports 56 pods"),
        "VM704": (
            "PASS",
            "container metrics can be joined with virtual names (kube-state-metrics, proxy-labels, pod-owner)",
        ),
        "VM705": ("WARN", f"monitoring/prometheus-k8s has 57 pods from {CPU_TWICE}"),
        "VM706": ("PASS", "monitoring/kube-state-metrics exports no annotations that hold tokens"),
        "VM707": ("PASS", "no label is made of an annotation with a token"),
        "VM708": ("PASS", "monitoring/otel-collector takes nothing that tenants can write"),
    }


@prometheus.MISSING
def test_the_minute_with_two_instances_of_kube_state_metrics(recorded: str, run: Run) -> None:
    found = run(forwarded(recorded, "16:39:50"))

    assert told(found)["VM703"] == ("PASS", "kube-state-metrics reports 51 pods")
    assert told(found)["VM705"] == (
        "WARN",
        "monitoring/prometheus-k8s has 51 pods from several instances of kube-state-metrics; "
        f"monitoring/prometheus-k8s has 50 pods from {CPU_TWICE}",
    )
    assert "many-to-many matching" in found["VM705"]["cause"]


@prometheus.MISSING
def test_the_minutes_without_kube_state_metrics(recorded: str, run: Run) -> None:
    found = told(run(forwarded(recorded, "16:33:50")))

    assert found["VM703"] == ("WARN", "no Prometheus has kube_pod_info")
    assert found["VM704"] == ("PASS", "container metrics can be joined with virtual names (proxy-labels)")


@prometheus.MISSING
def test_before_and_after_the_recording_there_is_nothing(recorded: str, run: Run) -> None:
    assert told(run(forwarded(recorded, "12:00:00"))) == {
        "VM701": ("PASS", "monitoring/prometheus-k8s (Prometheus 2.42.0+ds) answers"),
        "VM702": ("WARN", "no Prometheus has container_cpu_usage_seconds_total of pods"),
        "VM703": ("WARN", "no Prometheus has kube_pod_info"),
        "VM704": ("SKIP", "no Prometheus has container metrics"),
        "VM705": ("SKIP", "no Prometheus has metrics of containers or pods"),
        "VM706": ("PASS", "monitoring/kube-state-metrics exports no annotations that hold tokens"),
        "VM707": ("PASS", "no label is made of an annotation with a token"),
        "VM708": ("PASS", "monitoring/otel-collector takes nothing that tenants can write"),
    }


@prometheus.MISSING
def test_the_evidence_of_the_recording(recorded: str, run: Run) -> None:
    found = run(forwarded(recorded, "16:10:50"), "--only=VM701,VM702,VM704,VM705")

    assert {id_: item.get("evidence") for id_, item in found.items()} == {
        "VM701": ["monitoring/prometheus-k8s (Prometheus 2.42.0+ds): 6 targets, keeps samples for 100y"],
        "VM702": [
            "monitoring/prometheus-k8s: job kubelet (/metrics/cadvisor), 1 target",
            "monitoring/prometheus-k8s: job kubelet (/metrics/resource), 1 target",
            "monitoring/prometheus-k8s: job vmetrics-cadvisor, 1 target",
        ],
        "VM704": [
            "monitoring/prometheus-k8s: pod-info, 0 series",
            "monitoring/prometheus-k8s: kube-state-metrics, 29 series",
            "monitoring/prometheus-k8s: proxy-labels, 89 series",
            "monitoring/prometheus-k8s: pod-owner, 29 series",
        ],
        "VM705": [
            "monitoring/prometheus-k8s: 57 pods from several jobs or endpoints",
            "monitoring/prometheus-k8s: the views of 0 virtual clusters",
            "monitoring/prometheus-k8s: 0 pods from several instances of kube-state-metrics",
        ],
    }


@prometheus.MISSING
def test_the_demo_answers_in_the_shape_of_the_real_one(recorded: str, served: tuple[Apiserver, str]) -> None:
    """Keys and types, of every endpoint that is asked."""

    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shape(item) for key, item in value.items() if key != "metric"}
        return [shape(value[0])] if isinstance(value, list) and value else type(value).__name__

    def asked(url: str, path: str) -> Any:
        with urllib.request.urlopen(url + path, timeout=30) as found:
            assert found.headers["Content-Type"] == "application/json"
            return json.loads(found.read())

    moment = datetime.datetime(2026, 11, 24, 16, 10, 50, tzinfo=datetime.timezone.utc).timestamp()
    demo = served[1] + PROXY
    expression = urllib.parse.quote("count(up)")
    real = asked(recorded, f"/api/v1/query?query={expression}&time={moment + 0.5}")
    assert shape(asked(demo, f"/api/v1/query?query={expression}")) == shape(real)
    assert shape(asked(demo, "/api/v1/labels")) == shape(asked(recorded, "/api/v1/labels"))
    for name in ("buildinfo", "runtimeinfo"):
        ours = shape(asked(demo, f"/api/v1/status/{name}"))
        theirs = shape(asked(recorded, f"/api/v1/status/{name}"))
        assert ours["data"].items() <= theirs["data"].items()
        assert ours["status"] == theirs["status"]


@prometheus.MISSING
def test_tokens_in_a_real_prometheus_are_found_and_never_shown(
    tmp_path: Path, served: tuple[Apiserver, str], run: Run
) -> None:
    """What kube-state-metrics exported of a real host with pods=[*]; its tokens were replaced by SCRUBBED."""
    lines = gzip.decompress(STARRED.read_bytes()).decode().splitlines()
    samples = "".join(f"{line} 1764000000\n" for line in lines if line and not line.startswith("#"))
    text = f"# TYPE kube_pod_annotations gauge\n{samples}# EOF\n"
    assert text.count('="SCRUBBED') >= 24
    prometheus.blocks(tmp_path, text)
    with prometheus.answering({"scrape_configs": []}, tmp_path, "--storage.tsdb.retention.time=100y") as url:
        found = run(forwarded(url))
        shown = ""
        for form in ("table", "json", "yaml"):
            args = ("doctor", "--only=VM707", "-o", form, "-v=9")
            result = invoke(*args, kubeconfig=write_kubeconfig(tmp_path, served[1]))
            assert result.code == 1
            shown += result.stdout + result.stderr

    assert told(found)["VM707"] == ("FAIL", "monitoring/prometheus-k8s has labels that hold them")
    assert "recreate the tenants' pods" in found["VM707"]["remedy"]
    for word in ("SCRUBBED", "loft_sh_token", "last_applied"):
        assert word not in shown
    assert "VM707" in shown


# -------------------------------------------------------------------------------------------------- other clusters


def services(*items: tuple[str, dict[str, str]]) -> Change:
    listed = [
        {
            "metadata": {"name": name, "namespace": "monitoring", "labels": labels},
            "spec": {"ports": [{"name": "web", "port": 9090}]},
        }
        for name, labels in items
    ]
    return answer("/api/v1/services", {"items": listed})


FOUND = {"app": "kube-prometheus-stack-prometheus"}
NONE = "no Prometheus was found by the labels of Services; if there is one, label its Service with vmetrics.io/prometheus=true"


def test_without_any_prometheus(run: Run) -> None:
    found = told(run(services()))

    assert {id_: found[id_] for id_ in ("VM701", "VM702", "VM703", "VM704", "VM705", "VM707")} == dict.fromkeys(
        ("VM701", "VM702", "VM703", "VM704", "VM705", "VM707"), ("SKIP", NONE)
    )
    assert found["VM706"][0] == "PASS"


def test_services_of_tenants_are_left_out(served: tuple[Apiserver, str], run: Run) -> None:
    """A tenant writes the labels of its Service, which the syncer copies to the host."""
    asked: list[str] = []

    def change(request: Request, answer: Callable[[Request], Reply]) -> Reply:
        if request.path == "/api/v1/services":
            asked.append(request.query.get("labelSelector", ""))
        return answer(request)

    run(change)
    assert asked == ["!vcluster.loft.sh/managed-by"]


def test_services_in_namespaces_synced_whole_are_left_out(run: Run) -> None:
    """There, vCluster before v0.26 does not label what it syncs (pkg/util/translate): the Namespace says whose it is."""
    marker = {
        "vcluster.loft.sh/vcluster-name": "shop",
        "vcluster.loft.sh/vcluster-namespace": "team-a",
        "vcluster.loft.sh/managed-by": "team-a-x-shop",
    }
    space = {"name": "monitoring", "labels": marker, "annotations": {"vcluster.loft.sh/object-name": "monitoring"}}
    whole = answer("/api/v1/namespaces", {"items": [{"metadata": space}]})

    assert told(run(together(services(("prometheus-k8s", FOUND)), whole)))["VM701"] == ("SKIP", NONE)


def test_what_a_server_says_in_the_name_of_the_apiserver_is_not_shown(run: Run) -> None:
    """A server can answer with a Status of its own, as if the apiserver had refused."""
    for code, text in (
        (403, 'no "services/proxy" for you'),
        (404, 'services "all" not found: all is well'),
        (500, "a tenant wrote this"),
    ):
        broken = refuse(PROXY.replace("prometheus-k8s", "other") + "/.*", code, "Reason", text)
        found = run(together(services(("other", FOUND), ("prometheus-k8s", FOUND)), broken))
        assert [item["result"] for item in found.values()] == ["PASS" if code == 403 else "FAIL", *["PASS"] * 7]
        assert text not in json.dumps([item["found"] for item in found.values()])


def test_one_of_two_that_may_not_be_reached(run: Run) -> None:
    """You may have the right in one namespace; and a server may claim that you have not."""
    message = 'x is forbidden: User "u" cannot get resource "services/proxy" in API group ""'
    broken = refuse(PROXY.replace("prometheus-k8s", "other") + "/.*", 403, "Forbidden", message)
    found = run(together(services(("other", FOUND), ("prometheus-k8s", FOUND)), broken))

    assert [item["result"] for item in found.values()] == ["PASS"] * 8
    text = "monitoring/prometheus-k8s (Prometheus 2.42.0) answers; you may not reach monitoring/other"
    assert told(found)["VM701"] == ("PASS", text)


def test_one_of_two_that_does_not_answer(run: Run) -> None:
    broken = refuse(
        PROXY.replace("prometheus-k8s", "other") + "/.*", 503, "ServiceUnavailable", "no endpoints available"
    )
    found = run(together(services(("other", FOUND), ("prometheus-k8s", FOUND)), broken))

    assert told(found)["VM701"] == ("FAIL", "monitoring/other does not answer: no endpoints available")
    assert [item["result"] for item in found.values()] == ["FAIL", *["PASS"] * 7]


def test_one_that_requires_credentials(run: Run) -> None:
    closed = say(PROXY.replace("prometheus-k8s", "other") + "/.*", "Unauthorized", 401)
    rest = "monitoring/other requires credentials, which the apiserver does not pass on"
    found = told(run(together(services(("other", FOUND), ("prometheus-k8s", FOUND)), closed)))
    assert found["VM701"] == ("PASS", f"monitoring/prometheus-k8s (Prometheus 2.42.0) answers; {rest}")

    found = told(run(together(services(("other", FOUND)), closed)))
    assert found["VM701"] == ("SKIP", rest)
    assert found["VM707"] == ("SKIP", "each Prometheus requires credentials")


def test_only_the_first_are_asked(served: tuple[Apiserver, str], run: Run) -> None:
    asked: set[str] = set()

    def change(request: Request, answer: Callable[[Request], Reply]) -> Reply:
        if "/proxy/" in request.path:
            asked.add(request.path.split("/")[6])
            return answer(request._replace(path=f"{PROXY}/{request.path.partition('/proxy/')[2]}"))
        return answer(request)

    names = [f"p{index}" for index in range(12)]
    found = run(together(services(*((name, FOUND) for name in sorted(names))), change), "--only=VM701")["VM701"]

    assert asked == {f"http:{name}:9090" for name in sorted(names)[:8]}
    assert found["found"] == (
        "monitoring/p0 (Prometheus 2.42.0), monitoring/p1 (Prometheus 2.42.0), monitoring/p10 (Prometheus 2.42.0) "
        "and 5 more answer"
    )
    assert len(found["evidence"]) == 9
    assert found["evidence"][-1] == "not asked: monitoring/p6, monitoring/p7, monitoring/p8 and 1 more"


def test_something_else_behind_such_a_service(run: Run) -> None:
    page = say(f"{PROXY}/.*", "<html>log in</html>")
    assert told(run(page))["VM701"] == (
        "FAIL",
        "monitoring/prometheus-k8s does not answer: monitoring/prometheus-k8s does not answer as Prometheus does",
    )


def test_not_a_number(run: Run) -> None:
    """A server may answer anything: a count that is none counts nothing."""
    for text in ("NaN", "+Inf", "-5", "x" * 1000):
        sample = {"metric": {"job": "\x1b[2J" + "j" * 500}, "value": [1, text]}
        body = {"status": "success", "data": {"resultType": "vector", "result": [sample]}}
        found = told(run(answer(QUERY, body)))
        assert found["VM701"][0] == "PASS"
        assert found["VM702"] == ("WARN", "no Prometheus has container_cpu_usage_seconds_total of pods")
        assert all(len(text) < 300 for _, text in found.values())


@pytest.mark.parametrize(
    ("path", "skipped"),
    [
        ("/api/v1/services", ["VM701", "VM702", "VM703", "VM704", "VM705", "VM707"]),
        (f"{PROXY}/.*", ["VM701", "VM702", "VM703", "VM704", "VM705", "VM707"]),
        ("/apis/apps/v1/daemonsets", ["VM706", "VM708"]),
        ("/api/v1/namespaces/monitoring/configmaps/otel-collector", ["VM708"]),
    ],
)
def test_without_a_right_a_check_is_skipped_and_names_it(
    path: str, skipped: list[str], served: tuple[Apiserver, str], run: Run, tmp_path: Path
) -> None:
    message = 'x is forbidden: User "u" cannot get resource "services/proxy" in API group ""'
    found = told(run(refuse(path, 403, "Forbidden", message)))

    assert {id_ for id_, (result, _) in found.items() if result != "PASS"} == set(skipped)
    assert {found[id_] for id_ in skipped} == {("SKIP", f"not allowed: {message}")}
    assert invoke("doctor", "prometheus", kubeconfig=write_kubeconfig(tmp_path, served[1])).code == 1


def container(**more: Any) -> Change:
    def edit(body: Any) -> None:
        for item in body["items"]:
            if item["metadata"]["name"] == "kube-state-metrics":
                item["spec"]["template"]["spec"]["containers"][0].update(more)

    return alter("/apis/apps/v1/deployments", edit)


def test_flags_from_a_file(run: Run) -> None:
    text = "the flags of monitoring/kube-state-metrics are in a file or in environment variables"
    assert told(run(container(args=["--config=/etc/config.yaml"])))["VM706"] == ("SKIP", text)


def test_without_kube_state_metrics_and_collectors(run: Run) -> None:
    nothing = answer("/apis/apps/v1/(deployments|daemonsets)", {"items": []})
    found = told(run(nothing))
    assert found["VM706"] == ("SKIP", "no workload runs kube-state-metrics")
    assert found["VM708"] == ("SKIP", "no workload runs an OpenTelemetry collector")


@pytest.mark.parametrize(
    ("image", "one"),
    [
        ("registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.20.0", True),
        ("quay.io/x/rhel-kube-state-metrics@sha256:0123", True),
        ("localhost:5000/kube-state-metrics", True),
        ("registry.example/kube-state-metrics/other:1.0", False),
        ("", False),
    ],
)
def test_it_is_found_by_its_image(image: str, one: bool, run: Run) -> None:
    found = told(run(container(image=image, args=["--metric-annotations-allowlist", "pods=[*]"])))["VM706"]
    assert found[0] == ("FAIL" if one else "SKIP")


@pytest.mark.parametrize(
    "volume",
    [
        {"configMap": {"name": "own"}},
        {"projected": {"sources": [{"secret": {"name": "x"}}, {"configMap": {"name": "own"}}]}},
    ],
)
def test_configurations_are_read_by_the_volumes_of_collectors_alone(
    volume: dict[str, Any], served: tuple[Apiserver, str], run: Run
) -> None:
    asked: list[str] = []
    text = "{extract: {annotations: [{key: vcluster.loft.sh/name}]}}"

    def edit(body: Any) -> None:
        body["items"][0]["spec"]["template"]["spec"]["volumes"] = [{"name": "x", **volume}, {"emptyDir": {}}]

    def change(request: Request, answer: Callable[[Request], Reply]) -> Reply:
        if "configmaps" in request.path or "secrets" in request.path:
            asked.append(request.path)
            return Reply(200, json.dumps({"data": {"a": "{}", "b": text}, "binaryData": {"c": "AAAA"}}).encode())
        return answer(request)

    found = told(run(together(change, alter("/apis/apps/v1/daemonsets", edit))))
    assert found["VM708"] == ("FAIL", "monitoring/otel-collector takes vcluster.loft.sh/name")
    assert asked == ["/api/v1/namespaces/monitoring/configmaps/own"]


def test_a_collector_without_a_mounted_configuration(run: Run) -> None:
    def edit(body: Any) -> None:
        del body["items"][0]["spec"]["template"]["spec"]["volumes"]

    found = told(run(alter("/apis/apps/v1/daemonsets", edit)))
    text = "the configuration of monitoring/otel-collector is in no ConfigMap that its pods mount"
    assert found["VM708"] == ("SKIP", text)


def test_nothing_of_a_configuration_is_shown(served: tuple[Apiserver, str], tmp_path: Path) -> None:
    text = "{exporters: {x: {headers: {Authorization: Bearer hunter2}}}, annotations: [{key: vcluster.loft.sh/name}]}"
    path = "/api/v1/namespaces/monitoring/configmaps/otel-collector"
    for data in ({"config.yaml": text}, {"config.yaml": f"hunter2: [{{{text}"}, {"config.yaml": ["hunter2"]}):
        served[0].change = answer(path, {"data": data})
        args = ("doctor", "--only=VM708", "-v=9")
        result = invoke(*args, kubeconfig=write_kubeconfig(tmp_path, served[1]))
        assert "VM708" in result.stdout
        assert "hunter2" not in result.stdout + result.stderr
    served[0].change = None
