"""`manifests kamaji` and `vcluster`: accepted, enough and no more; and each mistake of hand-made ones is found."""

from __future__ import annotations

import copy
import gzip
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl_vmetrics.demo import server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.demo.exchange import Reply, Request
from kubectl_vmetrics.manifests import controlplane as manifest
from tests import schemas
from tests.conftest import Result, invoke, write_kubeconfig
from tests.prometheus import MISSING, query, running

OPERATOR, RBAC = "/apis/monitoring.coreos.com/v1", "/apis/rbac.authorization.k8s.io/v1"
RECORDING = Path(__file__).parents[1] / "recordings" / "k8s-1.36" / "controlplane" / "apiserver-t0.prom.gz"
Objects = list[dict[str, Any]]


class Host(Apiserver):
    """The demo, with objects that were applied to it; the demo's own Prometheus looks at all."""

    def __init__(self) -> None:
        super().__init__(build(Shape(pods=8, vclusters=1, machines=1, tenants=3)))
        self.applied: Objects = []
        self.prometheus: dict[str, Any] = {"serviceMonitorSelector": {}, "serviceMonitorNamespaceSelector": {}}

    def answer(self, request: Request) -> Reply:
        kinds = {
            f"{OPERATOR}/servicemonitors": "ServiceMonitor",
            "/api/v1/namespaces/tenants/services": "Service",
            "/api/v1/namespaces/team-a/services": "Service",
            f"{RBAC}/namespaces/tenants/rolebindings": "RoleBinding",
            f"{RBAC}/namespaces/team-a/rolebindings": "RoleBinding",
        }
        if request.path == f"{OPERATOR}/prometheuses":
            spec = {"serviceAccountName": "prometheus-k8s", **self.prometheus}
            return self._json({"items": [{"metadata": {"name": "k8s", "namespace": "monitoring"}, "spec": spec}]})
        if request.path in kinds:
            return self._json({"items": [item for item in self.applied if item["kind"] == kinds[request.path]]})
        if found := re.fullmatch(rf"{RBAC}/namespaces/[^/]+/roles/(.*)", request.path):
            for item in self.applied:
                if item["kind"] == "Role" and item["metadata"]["name"] == found[1]:
                    return self._json(item)
        return super().answer(request)

    @staticmethod
    def _json(body: Any) -> Reply:
        return Reply(200, json.dumps(body).encode())


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Host, str]]:
    host = Host()
    with server.serving(host) as url:
        yield host, url


@pytest.fixture
def host(served: tuple[Host, str]) -> Iterator[Host]:
    before = dict(served[0].prometheus)
    yield served[0]
    served[0].applied = []
    served[0].prometheus = before


@pytest.fixture
def run(served: tuple[Host, str], host: Host, tmp_path: Path) -> Callable[..., Result]:
    path = write_kubeconfig(tmp_path, served[1])
    return lambda *args: invoke("manifests", *args, kubeconfig=path)


def printed(result: Result) -> Objects:
    assert (result.code, result.stderr) == (0, "")
    return list(yaml.safe_load_all(result.stdout))


def of(objects: Objects, kind: str) -> dict[str, Any]:
    return next(item for item in objects if item["kind"] == kind)


ACME = ("kamaji", "acme", "-n", "tenants")


@pytest.mark.parametrize(
    "args",
    [ACME, ("kamaji", "globex", "-n", "tenants"), ("kamaji", "--all", "-A"), ("vcluster", "shop", "-n", "team-a")],
)
def test_what_is_printed_is_accepted(args: tuple[str, ...], run: Callable[..., Result]) -> None:
    for item in printed(run(*args)):
        schemas.validate(item)


@pytest.mark.parametrize("args", [ACME, ("vcluster", "shop", "-n", "team-a")])
def test_what_is_printed_makes_the_check_pass(args: tuple[str, ...], host: Host, run: Callable[..., Result]) -> None:
    host.applied = printed(run(*args))
    result = run(*args, "--check")

    assert result.code == 0
    assert {line[:4] for line in result.stdout.splitlines()} == {"PASS"}


def test_rights_are_for_the_one_secret(run: Callable[..., Result]) -> None:
    objects = printed(run(*ACME, "--prometheus-account=prom", "--prometheus-namespace=mon", "--operator-account=op"))
    roles = {item["metadata"]["name"]: item["rules"] for item in objects if item["kind"] == "Role"}

    assert roles["acme-vmetrics-secrets"] == [
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "verbs": ["get"],
            "resourceNames": ["acme-api-server-kubelet-client-certificate"],
        },
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"], "resourceNames": ["acme-vmetrics-ca"]},
    ]
    assert not any("secrets" in rule["resources"] for rule in roles["acme-vmetrics-targets"])
    subjects = {
        item["metadata"]["name"]: item["subjects"][0]["name"] for item in objects if item["kind"] == "RoleBinding"
    }
    assert subjects == {"acme-vmetrics-secrets": "op", "acme-vmetrics-targets": "prom"}
    # The Secret of the authority has its key beside its certificate; only the certificate is handed on.
    assert "PRIVATE" not in json.dumps(objects)
    assert of(objects, "ConfigMap")["data"]["ca.crt"].startswith("-----BEGIN CERTIFICATE-----")
    assert "acme-ca" not in json.dumps([item for item in objects if item["kind"] != "ConfigMap"])


def test_every_replica_and_their_labels(run: Callable[..., Result]) -> None:
    objects = printed(run(*ACME))
    service, monitor = of(objects, "Service"), of(objects, "ServiceMonitor")

    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == {"kamaji.clastix.io/name": "acme"}
    assert "kamaji.clastix.io/name" not in service["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"] == service["metadata"]["labels"]
    assert {port["name"]: port["port"] for port in service["spec"]["ports"]} == {
        "apiserver": 6443,
        "kube-controller-manager": 10257,
        "kube-scheduler": 10259,
    }
    for endpoint in monitor["spec"]["endpoints"]:
        labels = {item["targetLabel"]: item["replacement"] for item in endpoint["relabelings"]}
        assert labels == {"cluster": "tenants/acme", "job": endpoint["port"]}
        assert endpoint["tlsConfig"].get("insecureSkipVerify") is (None if endpoint["port"] == "apiserver" else True)


def test_a_tenant_whose_certificate_lost_its_group_gets_another(run: Callable[..., Result]) -> None:
    result = run("kamaji", "globex", "-n", "tenants")
    objects = printed(result)

    assert of(objects, "KubeconfigGenerator")["spec"]["groups"] == [{"stringValue": "system:monitoring"}]
    endpoint = of(objects, "ServiceMonitor")["spec"]["endpoints"][0]
    assert endpoint["tlsConfig"]["cert"] == {"secret": {"name": "globex-vmetrics-client", "key": "tls.crt"}}
    assert "create secret tls globex-vmetrics-client" in result.stdout
    assert "KubeconfigGenerator" not in run(*ACME).stdout
    assert "KubeconfigGenerator" in run(*ACME, "--credential").stdout
    # Three tenants, of which one needs it: one generator, not three.
    kinds = [item["kind"] for item in printed(run("kamaji", "--all", "-A", "--credential"))]
    assert (kinds.count("KubeconfigGenerator"), kinds.count("ServiceMonitor")) == (1, 3)


def test_a_virtual_clusters(run: Callable[..., Result]) -> None:
    objects = printed(run("vcluster", "shop", "-n", "team-a"))

    assert of(objects, "Service")["spec"]["ports"] == [{"name": "https", "port": 8443, "targetPort": 8443}]
    endpoints = {item["path"]: item for item in of(objects, "ServiceMonitor")["spec"]["endpoints"]}
    assert list(endpoints) == ["/metrics", "/metrics/controller-manager", "/metrics/syncer"]
    assert endpoints["/metrics"]["tlsConfig"]["ca"] == {"secret": {"name": "vc-shop", "key": "certificate-authority"}}


# ------------------------------------------------------------------------------------------------------------ buckets


@MISSING
def test_a_real_prometheus_drops_half_of_the_buckets_and_keeps_what_is_needed(tmp_path: Path) -> None:
    text = gzip.decompress(RECORDING.read_bytes())

    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain; version=0.0.4")])
        return [text]

    rule = {"action": "drop", "source_labels": manifest.DROP["sourceLabels"], "regex": manifest.DROP["regex"]}
    with server.serving(application) as url:
        target = {"static_configs": [{"targets": [url.removeprefix("http://")]}], "scrape_interval": "2s"}
        jobs = [
            {"job_name": "all", **target},
            {"job_name": "less", "metric_relabel_configs": [rule], **target},
        ]
        with running({"global": {"scrape_timeout": "2s"}, "scrape_configs": jobs}, tmp_path) as prometheus:
            name = "apiserver_request_duration_seconds_bucket"

            def bounds(job: str) -> set[str]:
                found = query(prometheus, f'count by (le) ({name}{{job="{job}"}})')
                return {item["metric"]["le"] for item in found}

            everything, kept = bounds("all"), bounds("less")
            assert kept == {"0.05", "0.1", "0.2", "0.4", "0.6", "0.8", "1", "2", "5", "10", "30", "60", "+Inf"}
            assert kept < everything
            for family in (
                name,
                "apiserver_request_sli_duration_seconds_bucket",
                "etcd_request_duration_seconds_bucket",
            ):
                less = query(prometheus, f'count({family}{{job="less"}}) / count({family}{{job="all"}})')
                assert float(less[0]["value"][1]) < 0.75
            assert query(
                prometheus, 'count(apiserver_request_total{job="less"}) == count(apiserver_request_total{job="all"})'
            )


def test_the_rule_is_the_same_on_prometheus_3() -> None:
    regex = str(manifest.DROP["regex"])
    for bound in ("0.005", "0.05", "0.1", "1", "2", "3", "4", "5", "6", "8", "10", "15", "20", "30", "45", "60"):
        names = [f"apiserver_request_duration_seconds_bucket;{bound}"]
        names += [f"{names[0]}.0"] if bound.isdigit() else []
        assert len({bool(re.fullmatch(regex, name)) for name in names}) == 1
    assert not re.fullmatch(regex, "apiserver_request_duration_seconds_bucket;1.0")
    assert not re.fullmatch(regex, "workqueue_queue_duration_seconds_bucket;3")


# -------------------------------------------------------------------------------------------------- hand-made objects

GUIDE_REGEX = (
    "apiserver_request_duration_seconds_bucket;(0.15|0.2|0.3|0.35|0.4|0.45|0.6|0.7|0.8|0.9|1.25|1.5|1.75|2|3|3.5|4|4.5|"
    "6|7|8|9|15|25|40|50)"
)


def by_hand(good: Objects) -> Objects:
    """Good objects as somebody might have written them, who follows the guide and thinks further."""
    return copy.deepcopy(good)


Change = Callable[[Objects, Host], None]


def endpoint(objects: Objects, index: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = of(objects, "ServiceMonitor")["spec"]["endpoints"][index]
    return found


def relabelled(objects: Objects, label: str, value: str | None) -> None:
    for item in of(objects, "ServiceMonitor")["spec"]["endpoints"]:
        item["relabelings"] = [
            {**rule, "replacement": value or rule["replacement"]} if rule["targetLabel"] == label else rule
            for rule in item["relabelings"]
            if value or rule["targetLabel"] != label
        ]


def all_secrets(objects: Objects, host: Host) -> None:
    role = next(
        item for item in objects if item["metadata"]["name"] == "acme-vmetrics-targets" and item["kind"] == "Role"
    )
    role["rules"].append({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch"]})


def drops(regex: str) -> Change:
    rule = {"action": "drop", "sourceLabels": ["__name__", "le"], "regex": regex}
    return lambda objects, host: endpoint(objects).update(metricRelabelings=[rule])


MISTAKES: dict[str, tuple[Change, str, str, str]] = {
    "2: Kamaji's label": (
        lambda o, h: of(o, "Service")["metadata"]["labels"].update({"kamaji.clastix.io/name": "acme-metrics"}),  # type: ignore[func-returns-value]
        "service-label",
        "FAIL",
        "has Kamaji's own label kamaji.clastix.io/name with another value",
    ),
    "3: another port": (
        lambda o, h: of(o, "Service")["spec"]["ports"][0].update(targetPort=6444),
        "service-port",
        "FAIL",
        "apiserver leads to 6444; the control plane listens at 6443, 10257, 10259",
    ),
    "4: all Secrets": (all_secrets, "secrets", "FAIL", "may read every Secret in tenants"),
    "7: another namespace": (
        lambda o, h: of(o, "ServiceMonitor")["metadata"].update(namespace="monitoring"),
        "secret-namespace",
        "FAIL",
        "is not in tenants, where the Secrets are",
    ),
    "7: not selected": (
        lambda o, h: h.prometheus.update(serviceMonitorSelector={"matchLabels": {"release": "stack"}}),
        "selected",
        "FAIL",
        "it selects ServiceMonitors with the label release=stack",
    ),
    "8: the guide's regex on Prometheus 3": (
        drops(GUIDE_REGEX),
        "buckets",
        "WARN",
        "drops the bounds 2, 3, 4, 6, 8, 15 on Prometheus 2 only",
    ),
    "8: bounds of the objectives": (
        drops(str(manifest.DROP["regex"]).replace("(3|", "(1|5|30|3|")),
        "buckets",
        "FAIL",
        "drops the bounds 1, 5, 30, which the field's recording rules need",
    ),
    "9: one histogram of three": (
        drops(
            str(manifest.DROP["regex"]).replace(
                "|apiserver_request_sli_duration_seconds|etcd_request_duration_seconds", ""
            )
        ),
        "buckets",
        "WARN",
        "drops no buckets of apiserver_request_sli_duration_seconds_bucket, etcd_request_duration_seconds_bucket",
    ),
    "12: the name alone": (
        lambda o, h: relabelled(o, "cluster", "acme"),
        "cluster-label",
        "WARN",
        "has only the name as its cluster label",
    ),
    "no cluster": (lambda o, h: relabelled(o, "cluster", None), "cluster-label", "FAIL", "gives no cluster label"),
    "no job": (lambda o, h: relabelled(o, "job", None), "job-label", "WARN", "without a job label for apiserver"),
    "nothing is checked": (
        lambda o, h: endpoint(o)["tlsConfig"].update(insecureSkipVerify=True),
        "verification",
        "WARN",
        "sends its certificate to whoever answers at apiserver",
    ),
    "no certificate": (
        lambda o, h: endpoint(o, 1).update(tlsConfig={"insecureSkipVerify": True}),
        "endpoint-certificate",
        "FAIL",
        "asks kube-controller-manager without a certificate",
    ),
    "a port that there is not": (
        lambda o, h: endpoint(o, 2).update(port="scheduler"),
        "endpoint-port",
        "FAIL",
        "names the port scheduler, which the Service has not",
    ),
    "no monitor": (
        lambda o, h: o.remove(of(o, "ServiceMonitor")),
        "service-monitor",
        "FAIL",
        "no ServiceMonitor selects its Service",
    ),
    "no service": (
        lambda o, h: o.remove(of(o, "Service")),
        "service-monitor",
        "FAIL",
        "no Service leads to its metrics",
    ),
    "no rights": (
        lambda o, h: next(i for i in o if i["metadata"]["name"] == "acme-vmetrics-targets")["rules"][0].update(
            resources=["pods"]
        ),
        "rights",
        "FAIL",
        "may not list and watch services, endpoints in tenants",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_is_found_and_nothing_else(name: str, host: Host, run: Callable[..., Result]) -> None:
    change, check, result, said = MISTAKES[name]
    objects = by_hand(printed(run(*ACME)))
    change(objects, host)
    host.applied = objects
    answer = run(*ACME, "--check", "-o", "json")

    found = [item for item in json.loads(answer.stdout)["items"] if item["result"] != "PASS"]
    assert {(item["check"], item["result"]) for item in found} == {(check, result)}
    assert said in found[0]["found"]
    assert found[0]["found"].startswith("tenants/acme: ")
    assert found[0]["remedy"]
    assert answer.code == (1 if result == "FAIL" else 0)


def test_1_a_certificate_that_lost_its_group(host: Host, run: Callable[..., Result]) -> None:
    host.applied = json.loads(json.dumps(printed(run(*ACME))).replace("acme", "globex"))
    answer = run("kamaji", "globex", "-n", "tenants", "--check", "-o", "json")

    found = [item for item in json.loads(answer.stdout)["items"] if item["result"] == "FAIL"]
    assert [item["check"] for item in found] == ["credential"]
    assert "names no group, so it may not read /metrics" in found[0]["found"]
    assert found[0]["remedy"] == "kubectl vmetrics manifests kamaji globex -n tenants --credential"


def test_12_two_of_the_same_name(host: Host, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    host.applied = printed(run(*ACME))
    relabelled(host.applied, "cluster", "acme")
    real = Host.answer

    def twice(self: Host, request: Request) -> Reply:
        reply = real(self, request)
        if request.path.endswith("/tenantcontrolplanes"):
            body = json.loads(reply.body)
            other = copy.deepcopy(body["items"][0])
            other["metadata"]["namespace"] = "elsewhere"
            return self._json({**body, "items": [*body["items"], other]})
        return reply

    monkeypatch.setattr(Host, "answer", twice)
    found = json.loads(run("kamaji", "--all", "-A", "--check", "-o", "json").stdout)["items"]
    labels = [item for item in found if item["check"] == "cluster-label"]
    assert labels[0]["result"] == "FAIL"
    assert "has only the name as its cluster label, as it is of elsewhere/acme" in labels[0]["found"]


def test_without_the_operator(run: Callable[..., Result], host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Host.answer
    gone = Reply(404, b"404 page not found\n", "text/plain")
    monkeypatch.setattr(Host, "answer", lambda self, r: gone if OPERATOR in r.path else real(self, r))

    assert run(*ACME, "--check").stdout.startswith("FAIL  prometheus-operator: the cluster knows no ServiceMonitors")
    assert of(printed(run(*ACME)), "RoleBinding")["subjects"][0]["namespace"] == "monitoring"


@pytest.mark.parametrize(
    ("args", "stderr"),
    [
        (["kamaji"], "error: one NAME or more, or --all\nSee "),
        (["kamaji", "acme", "--all"], "error: one NAME or more, or --all\nSee "),
        (["kamaji", "nope", "-n", "tenants"], 'Error from server (NotFound): control plane "nope" not found\n'),
        (["kamaji", "acme", "--prometheus-account=A"], "error: --prometheus-account: 'A' is no name"),
        (
            ["vcluster", "shop", "-n", "team-a", "-o", "table"],
            "error: -o table: manifests are printed as yaml or json\n",
        ),
    ],
)
def test_bad_input(args: list[str], stderr: str, run: Callable[..., Result]) -> None:
    result = run(*args)
    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.startswith(stderr)
