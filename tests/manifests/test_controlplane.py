"""`manifests kamaji` and `vcluster`: accepted, enough and no more; and each mistake of hand-made ones is found."""

from __future__ import annotations

import base64
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
from kubectl_vmetrics.demo.controlplanes import ControlPlanes
from kubectl_vmetrics.demo.exchange import Refusal, Reply, Request
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
        self.gone: set[str] = set()
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
        single = {"roles": "Role", "rolebindings": "RoleBinding", "configmaps": "ConfigMap", "secrets": "Secret"}
        if found := re.fullmatch(r".*/namespaces/([^/]+)/([a-z]+)/([^/]+)", request.path):
            for item in self.applied:
                meta = item["metadata"]
                if (meta.get("namespace"), meta["name"]) == (found[1], found[3]) and item["kind"] == single.get(
                    found[2]
                ):
                    return self._json(item)
        if request.path in self.gone:
            raise Refusal(404, "NotFound", "it is not there")
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
    served[0].gone = set()
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


def test_a_name_with_its_namespace(run: Callable[..., Result]) -> None:
    assert run("vcluster", "team-a/shop") == run("vcluster", "shop", "-n", "team-a")
    assert run("kamaji", "tenants/acme", "-n", "elsewhere") == run(*ACME)
    both = printed(run("kamaji", "tenants/acme", "tenants/globex", "tenants/acme"))
    assert [item["metadata"]["name"] for item in both if item["kind"] == "Service"] == [
        "acme-vmetrics",
        "globex-vmetrics",
    ]


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
            assert kept == {
                "0.005",
                "0.025",
                "0.05",
                "0.1",
                "0.2",
                "0.4",
                "0.6",
                "0.8",
                "1",
                "2",
                "5",
                "10",
                "30",
                "60",
                "+Inf",
            }
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
        "has Kamaji's label kamaji.clastix.io/name with another value",
    ),
    "3: another port": (
        lambda o, h: of(o, "Service")["spec"]["ports"][0].update(targetPort=6444),
        "service-port",
        "FAIL",
        "port apiserver targets 6444, but the control plane listens on 6443, 10257, 10259",
    ),
    "4: all Secrets": (all_secrets, "secrets", "FAIL", "may read every Secret in tenants"),
    "7: another namespace": (
        lambda o, h: of(o, "ServiceMonitor")["metadata"].update(namespace="monitoring"),
        "secret-namespace",
        "FAIL",
        "is not in tenants, so it cannot use the Secrets",
    ),
    "7: not selected": (
        lambda o, h: h.prometheus.update(serviceMonitorSelector={"matchLabels": {"release": "stack"}}),
        "selected",
        "FAIL",
        "it only selects ServiceMonitors with the label release=stack",
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
        "drops the bounds 1, 5, 30, which the recording rules of kubernetes-mixin need",
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
        "uses only the name as its cluster label",
    ),
    "no cluster": (lambda o, h: relabelled(o, "cluster", None), "cluster-label", "FAIL", "sets no cluster label"),
    "no job": (lambda o, h: relabelled(o, "job", None), "job-label", "WARN", "sets no job label for apiserver"),
    "nothing is checked": (
        lambda o, h: endpoint(o)["tlsConfig"].update(insecureSkipVerify=True),
        "verification",
        "WARN",
        "does not verify the server on apiserver",
    ),
    "no certificate": (
        lambda o, h: endpoint(o, 1).update(tlsConfig={"insecureSkipVerify": True}),
        "endpoint-certificate",
        "FAIL",
        "scrapes kube-controller-manager without a client certificate",
    ),
    "a port that there is not": (
        lambda o, h: endpoint(o, 2).update(port="scheduler"),
        "endpoint-port",
        "FAIL",
        "refers to port scheduler, which the Service does not have",
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
        "no Service selects its pods",
    ),
    "no rights": (
        lambda o, h: next(i for i in o if i["metadata"]["name"] == "acme-vmetrics-targets")["rules"][0].update(
            resources=["pods"]
        ),
        "rights",
        "FAIL",
        "is not allowed to list and watch services, endpoints in tenants",
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
    assert "has no group, so it may not read /metrics" in found[0]["found"]
    assert found[0]["remedy"] == "kubectl vmetrics manifests kamaji globex -n tenants --credential"


KUBELET = "acme-api-server-kubelet-client-certificate"


def certificate(host: Host, *groups: str, days: float = 365, key: str = "apiserver-kubelet-client") -> dict[str, Any]:
    """The Secret of the kubelets' client, with another certificate of the tenant's authority."""
    planes = next(part for part in host.parts if isinstance(part, ControlPlanes))
    own = planes._certificates["tenants", "acme"].authority.client("kube-apiserver-kubelet-client", *groups, days=days)
    data = {f"{key}.crt": own.certificate, f"{key}.key": own.key}
    encoded = {name: base64.b64encode(value).decode() for name, value in data.items()}
    return {"kind": "Secret", "metadata": {"name": KUBELET, "namespace": "tenants"}, "data": encoded}


def bind(binding: str, account: str) -> Change:
    def change(objects: Objects, host: Host) -> None:
        found = next(i for i in objects if i["kind"] == "RoleBinding" and i["metadata"]["name"] == binding)
        found["subjects"][0]["name"] = account

    return change


def another(objects: Objects, host: Host) -> None:
    """A second ServiceMonitor, by somebody who did not see the first."""
    second = copy.deepcopy(of(objects, "ServiceMonitor"))
    second["metadata"]["name"] = "by-hand"
    objects.append(second)


def to_own_service(objects: Objects, host: Host) -> None:
    """A second ServiceMonitor, for the Service that Kamaji makes."""
    service = copy.deepcopy(of(objects, "Service"))
    service["metadata"] |= {"name": "acme", "labels": {"kamaji.clastix.io/name": "acme"}}
    second = copy.deepcopy(of(objects, "ServiceMonitor"))
    second["metadata"]["name"] = "by-hand"
    second["spec"]["selector"] = {"matchLabels": {"kamaji.clastix.io/name": "acme"}}
    second["spec"]["endpoints"] = second["spec"]["endpoints"][:1]
    objects += [service, second]


LOGIN = "tenants/acme: tenants/acme-vmetrics cannot authenticate: the Secret tenants/acme-api-server-kubelet-client-certificate"
TARGETS, SECRETS = "acme-vmetrics-targets", "acme-vmetrics-secrets"
WRONG: dict[str, tuple[Change, list[tuple[str, str, str]]]] = {
    "the Secret is gone": (
        lambda o, h: h.gone.add(f"/api/v1/namespaces/tenants/secrets/{KUBELET}"),
        [("credential", "FAIL", f"{LOGIN} does not exist")],
    ),
    "its certificate expired": (
        lambda o, h: o.append(certificate(h, "kubeadm:cluster-admins", days=-2)),
        [("credential", "FAIL", f"{LOGIN}: its certificate expired at 20")],
    ),
    "it lost its group": (
        lambda o, h: o.append(certificate(h)),
        [
            (
                "credential",
                "FAIL",
                f'{LOGIN}: the certificate of "kube-apiserver-kubelet-client" has no group, so it may not read /metrics',
            )
        ],
    ),
    "another key": (
        lambda o, h: o.append(certificate(h, "kubeadm:cluster-admins", key="client")),
        [("credential", "FAIL", f"{LOGIN} has no key apiserver-kubelet-client.crt")],
    ),
    "a better one lies beside it": (
        lambda o, h: endpoint(o)["tlsConfig"].update(cert={"secret": {"name": "made", "key": "tls.crt"}}),
        [
            (
                "credential",
                "FAIL",
                "tenants/acme: tenants/acme-vmetrics cannot authenticate: the Secret tenants/made does not exist",
            ),
        ],
    ),
    "the authority is gone": (
        lambda o, h: o.remove(of(o, "ConfigMap")),
        [
            (
                "credential",
                "FAIL",
                "tenants/acme: tenants/acme-vmetrics cannot authenticate: the ConfigMap tenants/acme-vmetrics-ca does not exist",
            )
        ],
    ),
    "Prometheus' account does not exist": (
        bind(TARGETS, "nobody"),
        [
            (
                "account",
                "FAIL",
                f"tenants/acme: the RoleBinding tenants/{TARGETS} binds the service account monitoring/nobody, which does not exist",
            ),
            (
                "rights",
                "FAIL",
                "tenants/acme: monitoring/prometheus-k8s is not allowed to list and watch services, endpoints, pods in tenants",
            ),
        ],
    ),
    "another account than Prometheus'": (
        bind(TARGETS, "prometheus-operator"),
        [
            (
                "account",
                "FAIL",
                f"tenants/acme: the RoleBinding tenants/{TARGETS} binds the service account monitoring/prometheus-operator, but "
                "Prometheus runs as monitoring/prometheus-k8s",
            ),
            (
                "rights",
                "FAIL",
                "tenants/acme: monitoring/prometheus-k8s is not allowed to list and watch services, endpoints, pods in tenants",
            ),
        ],
    ),
    "the operator's account does not exist": (
        bind(SECRETS, "nobody"),
        [
            (
                "account",
                "FAIL",
                f"tenants/acme: the RoleBinding tenants/{SECRETS} binds the service account monitoring/nobody, which does not exist",
            ),
            (
                "operator-rights",
                "FAIL",
                f"tenants/acme: the Prometheus Operator runs as monitoring/prometheus-operator, which is not allowed to get the Secret {KUBELET} in tenants",
            ),
        ],
    ),
    "two ServiceMonitors": (
        another,
        [
            (
                "scraped-twice",
                "WARN",
                "tenants/acme: the same pods are scraped by tenants/acme-vmetrics through the Service acme-vmetrics and "
                "tenants/by-hand through the Service acme-vmetrics",
            )
        ],
    ),
    "one more for Kamaji's Service": (
        to_own_service,
        [
            (
                "scraped-twice",
                "WARN",
                "tenants/acme: the same pods are scraped by tenants/acme-vmetrics through the Service acme-vmetrics and "
                "tenants/by-hand through the Service acme",
            )
        ],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_check_judges_what_is_used(name: str, host: Host, run: Callable[..., Result]) -> None:
    """Each credential and account that the objects name, and not the best one that could be had."""
    change, expected = WRONG[name]
    host.applied = by_hand(printed(run(*ACME)))
    change(host.applied, host)
    answer = run(*ACME, "--check", "-o", "json")

    items = json.loads(answer.stdout)["items"]
    found = [(item["check"], item["result"], item["found"]) for item in items if item["result"] != "PASS"]
    assert [(check, result) for check, result, _ in found] == [(check, result) for check, result, _ in expected]
    for (_, _, said), (_, _, wanted) in zip(found, expected, strict=True):
        assert said.startswith(wanted)
    failed = any(result == "FAIL" for _, result, _ in expected)
    assert answer.code == (1 if failed else 0)
    assert not (failed and any("is well" in item["found"] for item in items))
    assert all(item["remedy"] for item in items if item["result"] != "PASS")


def test_a_certificate_that_is_still_to_be_made_is_missed(host: Host, run: Callable[..., Result]) -> None:
    """The generator's output is no Secret that Prometheus reads; it is made by hand, once."""
    host.applied = printed(run(*ACME, "--credential"))
    before = run(*ACME, "--check")
    assert before.code == 1
    assert (
        "FAIL  credential: tenants/acme: tenants/acme-vmetrics cannot authenticate: the Secret tenants/acme-vmetrics-client "
        "does not exist"
    ) in before.stdout

    made = certificate(host, "system:monitoring", key="tls")
    made["metadata"]["name"] = "acme-vmetrics-client"
    host.applied.append(made)
    after = run(*ACME, "--check")
    assert (after.code, {line[:4] for line in after.stdout.splitlines()}) == (0, {"PASS"})
    assert "the certificate in acme-vmetrics-client may read /metrics (system:monitoring)" in after.stdout


@pytest.mark.parametrize("gone", ["deleted", "expired"])
def test_a_tenant_without_a_usable_certificate_gets_another(gone: str, host: Host, run: Callable[..., Result]) -> None:
    if gone == "deleted":
        host.gone.add(f"/api/v1/namespaces/tenants/secrets/{KUBELET}")
    else:
        host.applied = [certificate(host, "kubeadm:cluster-admins", days=-2)]
    objects = printed(run(*ACME))
    assert of(objects, "KubeconfigGenerator")
    assert endpoint(objects)["tlsConfig"]["cert"]["secret"]["name"] == "acme-vmetrics-client"


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
    assert "uses only the name as its cluster label, like elsewhere/acme" in labels[0]["found"]


def test_without_the_operator(run: Callable[..., Result], host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Host.answer
    gone = Reply(404, b"404 page not found\n", "text/plain")
    monkeypatch.setattr(Host, "answer", lambda self, r: gone if OPERATOR in r.path else real(self, r))

    assert run(*ACME, "--check").stdout.startswith("FAIL  prometheus-operator: the cluster has no ServiceMonitor CRD")
    # Whoever installs it later says for whom the objects are.
    refused = run(*ACME)
    assert (refused.code, refused.stdout) == (1, "")
    assert refused.stderr.endswith("specify one with --prometheus-namespace and --prometheus-account\n")
    given = ("--prometheus-namespace=mon", "--prometheus-account=prom", "--operator-account=op")
    subjects = [item["subjects"][0] for item in printed(run(*ACME, *given)) if item["kind"] == "RoleBinding"]
    assert [(item["namespace"], item["name"]) for item in subjects] == [("mon", "prom"), ("mon", "op")]


# ------------------------------------------------------------------------------------------------ who gets the rights


def prometheus(namespace: str, name: str, account: str | None = "prom", **labels: str) -> dict[str, Any]:
    spec = {"serviceMonitorSelector": {}, "serviceMonitorNamespaceSelector": {}}
    labels = {key.replace("_", "/"): value for key, value in labels.items()}
    meta = {"name": name, "namespace": namespace, "labels": labels}
    return {"metadata": meta, "spec": {**spec, **({"serviceAccountName": account} if account else {})}}


def deployment(namespace: str, name: str, image: str, container: str = "manager") -> dict[str, Any]:
    pod = {"serviceAccountName": "operator", "containers": [{"name": container, "image": image}]}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"template": {"spec": pod}}}


BOTH = "specify one with --prometheus-namespace and --prometheus-account"
OF_OPERATOR = "specify one with --operator-namespace and --operator-account"
IMAGE = "quay.io/prometheus-operator/prometheus-operator:v0.90.1"
REFUSED: dict[str, tuple[Objects | None, Objects | None, str]] = {
    "two Prometheus": (
        [prometheus("team-b", "own"), prometheus("monitoring", "k8s", "prometheus-k8s")],
        None,
        "Prometheus may run as one of several service accounts: team-b/prom (Prometheus team-b/own), "
        f"monitoring/prometheus-k8s (Prometheus monitoring/k8s); {BOTH}",
    ),
    "a tenant's own": (
        [prometheus("tenants", "own", None)],
        None,
        f"the service account of Prometheus may belong to a tenant: tenants/default (Prometheus tenants/own); {BOTH}",
    ),
    "one that a virtual cluster synced": (
        [prometheus("monitoring", "own", **{"vcluster.loft.sh_managed-by": "shop"})],
        None,
        f"the service account of Prometheus was not found: {BOTH}",
    ),
    "none": ([], None, f"the service account of Prometheus was not found: {BOTH}"),
    "two operators": (
        None,
        [deployment("monitoring", "operator", IMAGE), deployment("team-b", "mine", IMAGE)],
        "the Prometheus Operator may run as one of several service accounts: monitoring/operator (Deployment "
        f"monitoring/operator), team-b/operator (Deployment team-b/mine); {OF_OPERATOR}",
    ),
    "no operator": (
        None,
        [deployment("monitoring", "prometheus-operator", "registry.example/other:1")],
        f"the service account of the Prometheus Operator was not found: {OF_OPERATOR}",
    ),
}


@pytest.fixture
def with_objects(host: Host, monkeypatch: pytest.MonkeyPatch) -> Callable[[Objects | None, Objects | None], None]:
    """Other Prometheus objects and Deployments than the demo's."""

    def replace(found: Objects | None, deployments: Objects | None) -> None:
        real = Host.answer

        def answer(self: Host, request: Request) -> Reply:
            if request.path == f"{OPERATOR}/prometheuses" and found is not None:
                return self._json({"items": found})
            if (
                request.path == "/apis/apps/v1/deployments"
                and deployments is not None
                and "labelSelector" not in request.query
            ):
                return self._json({"items": deployments})
            return real(self, request)

        monkeypatch.setattr(Host, "answer", answer)

    return replace


@pytest.mark.parametrize("case", REFUSED)
def test_rights_are_never_for_an_account_found_by_chance(
    case: str, run: Callable[..., Result], with_objects: Callable[[Objects | None, Objects | None], None]
) -> None:
    found, deployments, said = REFUSED[case]
    with_objects(found, deployments)
    for plane in (ACME, ("vcluster", "shop", "-n", "team-a")):
        expected = said.replace("tenants/", f"{plane[-1]}/") if case == "a tenant's own" else said
        if case == "a tenant's own":
            with_objects([prometheus(plane[-1], "own", None)], deployments)
        assert run(*plane) == (1, "", f"error: {expected}\n")


@pytest.mark.parametrize(
    ("args", "account"),
    [
        (["--prometheus-namespace=monitoring"], ("monitoring", "prometheus-k8s")),
        (["--prometheus-account=prometheus-k8s"], ("monitoring", "prometheus-k8s")),
        (["--prometheus-namespace=tenants"], ("tenants", "prom")),
        (["--prometheus-namespace=new", "--prometheus-account=not-yet"], ("new", "not-yet")),
    ],
)
def test_the_user_says_which(
    args: list[str],
    account: tuple[str, str],
    run: Callable[..., Result],
    with_objects: Callable[[Objects | None, Objects | None], None],
) -> None:
    with_objects([prometheus("tenants", "own"), prometheus("monitoring", "k8s", "prometheus-k8s")], None)
    subjects = {
        item["metadata"]["name"]: item["subjects"][0]
        for item in printed(run(*ACME, *args))
        if item["kind"] == "RoleBinding"
    }
    bound = subjects["acme-vmetrics-targets"]
    assert (bound["namespace"], bound["name"]) == account
    # The operator's is that of its Deployment, whatever Prometheus runs as.
    operator = subjects["acme-vmetrics-secrets"]
    assert (operator["namespace"], operator["name"]) == ("monitoring", "prometheus-operator")


@pytest.mark.parametrize(
    "found",
    [
        deployment("obs", "kube-prometheus-stack-operator", IMAGE, "kube-prometheus-stack"),
        deployment(
            "obs", "prometheus-operator", f"quay.io/openshift-release-dev/art@sha256:{'0' * 64}", "prometheus-operator"
        ),
        deployment("obs", "x", f"registry.example:5000/mirror/prometheus-operator@sha256:{'0' * 64}"),
    ],
)
def test_the_operator_is_known_by_what_it_runs(
    found: dict[str, Any],
    run: Callable[..., Result],
    with_objects: Callable[[Objects | None, Objects | None], None],
) -> None:
    with_objects(None, [deployment("obs", "prometheus-operator", "registry.example/other:1"), found])
    subjects = [item["subjects"][0] for item in printed(run(*ACME)) if item["kind"] == "RoleBinding"]
    assert (subjects[1]["namespace"], subjects[1]["name"]) == ("obs", "operator")


@pytest.mark.parametrize(
    ("args", "stderr"),
    [
        (["kamaji"], "error: specify one or more NAMEs, or --all\nSee "),
        (["kamaji", "acme", "--all"], "error: specify one or more NAMEs, or --all\nSee "),
        (
            ["kamaji", "nope", "-n", "tenants"],
            'Error from server (NotFound): control plane "nope" not found in tenants namespace; -A searches all namespaces\n',
        ),
        (
            ["kamaji", "acme"],
            'Error from server (NotFound): control plane "acme" not found in default namespace; -A searches all namespaces\n',
        ),
        (["kamaji", "team-a/acme"], 'Error from server (NotFound): control plane "team-a/acme" not found\n'),
        (["vcluster", "team-a/nope"], 'Error from server (NotFound): control plane "team-a/nope" not found\n'),
        (["vcluster", "team-a/shop/x"], 'error: "team-a/shop/x" is not [NAMESPACE/]NAME\n'),
        (["vcluster", "/shop"], 'error: "/shop" is not [NAMESPACE/]NAME\n'),
        (["vcluster", "team-a/"], 'error: "team-a/" is not [NAMESPACE/]NAME\n'),
        (
            ["kamaji", "--all", "-n", "default"],
            "error: no Kamaji control planes found in default namespace; -A searches all namespaces\n",
        ),
        (
            ["kamaji", "--all", "-n", "default", "--check"],
            "error: no Kamaji control planes found in default namespace; -A searches all namespaces\n",
        ),
        (["kamaji", "acme", "--prometheus-account=A"], "error: --prometheus-account: 'A' is not a valid name"),
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
