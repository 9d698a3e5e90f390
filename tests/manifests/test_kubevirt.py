"""`manifests kubevirt`: objects that are accepted and enough, and a check that finds each thing that goes wrong."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests import schemas
from tests.conftest import Cli, Result, Scripted, invoke, write_kubeconfig

Serve = Callable[[dict[str, Any]], tuple[Scripted, str]]
Change = Callable[[dict[str, Any]], None]
KUBEVIRTS = "/apis/kubevirt.io/v1/kubevirts"
SERVICE = "/api/v1/namespaces/kubevirt/services/kubevirt-prometheus-metrics"
MONITORS, PROMETHEUSES = "/apis/monitoring.coreos.com/v1/servicemonitors", "/apis/monitoring.coreos.com/v1/prometheuses"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
ACCOUNT = "/api/v1/namespaces/monitoring/serviceaccounts/prometheus-k8s"
SPACE = "/api/v1/namespaces/monitoring"
VERBS = ["get", "list", "watch"]


def named(name: str, namespace: str = "", **labels: str) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": namespace,
        "labels": {key.replace("_", "."): value for key, value in labels.items()},
    }


def well() -> dict[str, Any]:
    """A cluster in which virt-operator and Prometheus got along."""
    rule = {"apiGroups": [""], "resources": ["services", "endpoints", "pods"], "verbs": VERBS}
    subject = {"kind": "ServiceAccount", "name": "prometheus-k8s", "namespace": "monitoring"}
    return {
        KUBEVIRTS: {"items": [{"metadata": named("kubevirt", "kubevirt"), "spec": {}}]},
        SERVICE: {
            "metadata": named("kubevirt-prometheus-metrics", "kubevirt", prometheus_kubevirt_io="true"),
            "spec": {"ports": [{"name": "metrics", "port": 443}]},
        },
        MONITORS: {
            "items": [
                {
                    "metadata": named("prometheus-kubevirt-rules", "monitoring", release="stack"),
                    "spec": {
                        "selector": {"matchLabels": {"prometheus.kubevirt.io": "true"}},
                        "namespaceSelector": {"matchNames": ["kubevirt"]},
                        "endpoints": [
                            {
                                "port": "metrics",
                                "scheme": "https",
                                "tlsConfig": {"insecureSkipVerify": True},
                                "honorLabels": True,
                            }
                        ],
                    },
                }
            ]
        },
        PROMETHEUSES: {
            "items": [
                {
                    "metadata": named("k8s", "monitoring"),
                    "spec": {
                        "serviceAccountName": "prometheus-k8s",
                        "serviceMonitorSelector": {"matchLabels": {"release": "stack"}},
                    },
                }
            ]
        },
        SPACE: {"metadata": named("monitoring")},
        ACCOUNT: {"metadata": named("prometheus-k8s", "monitoring")},
        f"{RBAC}/namespaces/kubevirt/rolebindings": {
            "items": [
                {
                    "metadata": named("kubevirt-monitoring", "kubevirt"),
                    "roleRef": {"kind": "Role", "name": "kubevirt-monitoring"},
                    "subjects": [subject],
                }
            ]
        },
        f"{RBAC}/clusterrolebindings": {"items": []},
        f"{RBAC}/namespaces/kubevirt/roles/kubevirt-monitoring": {
            "metadata": named("kubevirt-monitoring", "kubevirt"),
            "rules": [rule],
        },
    }


@pytest.fixture
def run(scripted: Serve, tmp_path: Path) -> Callable[..., Result]:
    def command(answers: dict[str, Any], *args: str) -> Result:
        path = write_kubeconfig(tmp_path, scripted(answers)[1])
        return invoke("manifests", "kubevirt", *args, kubeconfig=path)

    return command


def checks(result: Result) -> dict[str, dict[str, str]]:
    return {item["check"]: item for item in json.loads(result.stdout)["items"]}


def test_all_is_well(run: Callable[..., Result]) -> None:
    result = run(well(), "--check")

    assert (result.code, result.stderr) == (0, "")
    assert [line[:4] for line in result.stdout.splitlines()] == ["PASS"] * 7


def spec(answers: dict[str, Any], path: str) -> Any:
    return answers[path]["items"][0]["spec"]


def forbid(answers: dict[str, Any], path: str) -> None:
    answers[path] = lambda _: (403, {"kind": "Status", "code": 403, "reason": "Forbidden", "message": f"no {path}"})


def no_account(answers: dict[str, Any]) -> None:
    del answers[ACCOUNT]
    answers[MONITORS] = {"items": []}
    spec(answers, PROMETHEUSES)["serviceAccountName"] = "stack-prometheus"


def no_operator(answers: dict[str, Any]) -> None:
    del answers[MONITORS], answers[PROMETHEUSES]


def other_account(answers: dict[str, Any]) -> None:
    spec(answers, KUBEVIRTS).update(monitorNamespace="observability", monitorAccount="prom")
    answers["/api/v1/namespaces/observability"] = {"metadata": named("observability")}


CASES: dict[str, tuple[Change, str, str, str]] = {
    "no operator": (
        no_operator,
        "prometheus-operator",
        "the Prometheus Operator is not installed",
        "targets kubevirt -o scrape-config",
    ),
    "no account": (
        no_account,
        "account",
        "looks for the service account prometheus-k8s in openshift-monitoring (does not exist), monitoring (exists, "
        "but without it), because the KubeVirt object names none",
        '{"spec":{"monitorNamespace":"monitoring","monitorAccount":"stack-prometheus"}}',
    ),
    "another account": (
        other_account,
        "account",
        "looks for the service account prom in observability (exists, but without it); without it",
        "patch kubevirt kubevirt",
    ),
    "frozen": (
        lambda a: a.update({MONITORS: {"items": []}}),
        "service-monitor",
        "virt-operator decided before Prometheus was installed",
        "manifests kubevirt | kubectl apply",
    ),
    "old label": (
        lambda a: a[SERVICE]["metadata"].update(labels={"prometheus.kubevirt.io": ""}),
        "service-monitor",
        "selects Services with the label prometheus.kubevirt.io=true, which this Service lacks",
        "apply",
    ),
    "other namespace": (
        lambda a: spec(a, MONITORS).update(namespaceSelector={}),
        "service-monitor",
        "does not look for Services in kubevirt",
        "apply",
    ),
    "no service": (lambda a: a.pop(SERVICE), "service", "is missing", "log"),
    "no port": (lambda a: a[SERVICE]["spec"]["ports"].clear(), "service", "has no port metrics", "log"),
    "endpoint port": (
        lambda a: spec(a, MONITORS)["endpoints"][0].update(port="https"),
        "endpoint",
        "has no endpoint for the port metrics",
        "port: metrics",
    ),
    "http": (
        lambda a: spec(a, MONITORS)["endpoints"][0].pop("scheme"),
        "endpoint",
        "it scrapes over HTTP",
        "scheme: https",
    ),
    "verified": (
        lambda a: spec(a, MONITORS)["endpoints"][0].pop("tlsConfig"),
        "endpoint",
        "it verifies certificates",
        "insecureSkipVerify: true",
    ),
    "labels": (
        lambda a: spec(a, MONITORS)["endpoints"][0].pop("honorLabels"),
        "endpoint",
        "becomes exported_namespace",
        "honorLabels: true",
    ),
    "no prometheus": (
        lambda a: a[PROMETHEUSES]["items"].clear(),
        "selected",
        "there is no Prometheus object",
        "create one",
    ),
    "label of the release": (
        lambda a: spec(a, PROMETHEUSES).update(serviceMonitorSelector={"matchLabels": {"release": "other"}}),
        "selected",
        "Prometheus monitoring/k8s does not select monitoring/prometheus-kubevirt-rules: it only selects ServiceMonitors "
        "with the label release=other",
        "manifests kubevirt",
    ),
    "expressions": (
        lambda a: spec(a, PROMETHEUSES).update(
            serviceMonitorSelector={
                "matchExpressions": [
                    {"key": "team", "operator": "Exists"},
                    {"key": "release", "operator": "NotIn", "values": ["stack"]},
                    {"key": "release", "operator": "In", "values": ["a", "b"]},
                ]
            }
        ),
        "selected",
        "with the label team, release!=stack, release in (a,b)",
        "manifests kubevirt",
    ),
    "no selector": (
        lambda a: spec(a, PROMETHEUSES).pop("serviceMonitorSelector"),
        "selected",
        "serviceMonitorSelector is not set",
        "manifests kubevirt",
    ),
    "own namespace": (
        lambda a: a[PROMETHEUSES]["items"][0]["metadata"].update(namespace="prom"),
        "selected",
        "it only selects ServiceMonitors in its own namespace, prom",
        "manifests kubevirt",
    ),
    "namespace label": (
        lambda a: spec(a, PROMETHEUSES).update(serviceMonitorNamespaceSelector={"matchLabels": {"watch": "yes"}}),
        "selected",
        "in namespaces with the label watch=yes",
        "manifests kubevirt",
    ),
    "no rights": (
        lambda a: a[f"{RBAC}/namespaces/kubevirt/roles/kubevirt-monitoring"]["rules"][0].update(resources=["pods"]),
        "rights",
        "runs as monitoring/prometheus-k8s, which cannot list and watch services, endpoints in kubevirt",
        "--monitor-namespace monitoring --monitor-account prometheus-k8s",
    ),
    "a binding without role": (
        lambda a: a.pop(f"{RBAC}/namespaces/kubevirt/roles/kubevirt-monitoring"),
        "rights",
        "cannot list and watch services, endpoints, pods",
        "manifests kubevirt",
    ),
    "slices": (
        lambda a: spec(a, PROMETHEUSES).update(serviceDiscoveryRole="EndpointSlice"),
        "rights",
        "cannot list and watch endpointslices",
        "manifests kubevirt",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_mistake_is_found_and_nothing_else(name: str, run: Callable[..., Result]) -> None:
    change, failing, found, remedy = CASES[name]
    answers = copy.deepcopy(well())
    change(answers)
    result = run(answers, "--check", "-o", "json")

    shown = checks(result)
    assert result.code == 1
    failed = {name for name, item in shown.items() if item["result"] == "FAIL"}
    # An account that is missing is why there is no ServiceMonitor; the check says both.
    assert failed - {"service-monitor"} == {failing} - {"service-monitor"}
    assert found in shown[failing]["found"]
    assert remedy in shown[failing]["remedy"]


def test_two_monitors_are_a_warning(run: Callable[..., Result]) -> None:
    answers = well()
    second = copy.deepcopy(answers[MONITORS]["items"][0])
    second["metadata"]["name"] = "mine"
    answers[MONITORS]["items"].append(second)
    result = run(answers, "--check", "-o", "json")

    assert (result.code, checks(result)["one-monitor"]["result"]) == (0, "WARN")


def test_openshift(run: Callable[..., Result]) -> None:
    answers = well()
    answers["/api/v1/namespaces/openshift-monitoring"] = {"metadata": named("openshift-monitoring")}
    result = run(answers, "--check", "-o", "json")
    assert checks(result)["openshift-label"]["remedy"] == (
        "kubectl label namespace monitoring openshift.io/cluster-monitoring=true"
    )

    answers[SPACE]["metadata"]["labels"]["openshift.io/cluster-monitoring"] = "true"
    assert checks(run(answers, "--check", "-o", "json"))["openshift-label"]["result"] == "PASS"


def test_rights_of_the_whole_cluster_count(run: Callable[..., Result]) -> None:
    answers = well()
    answers[f"{RBAC}/namespaces/kubevirt/rolebindings"] = {"items": []}
    answers[f"{RBAC}/clusterrolebindings"] = {
        "items": [
            {
                "metadata": named("stack"),
                "roleRef": {"kind": "ClusterRole", "name": "stack"},
                "subjects": [{"kind": "Group", "name": "system:serviceaccounts:monitoring"}],
            }
        ]
    }
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    answers[f"{RBAC}/clusterroles/stack"] = {"metadata": named("stack"), "rules": rules}

    assert checks(run(answers, "--check", "-o", "json"))["rights"]["result"] == "PASS"


@pytest.mark.parametrize(
    ("path", "skipped"),
    [
        (MONITORS, "prometheus-operator"),
        (PROMETHEUSES, "selected"),
        (SERVICE, "service"),
        (ACCOUNT, "account"),
        (f"{RBAC}/clusterrolebindings", "rights"),
    ],
)
def test_what_may_not_be_read_is_skipped(path: str, skipped: str, run: Callable[..., Result]) -> None:
    answers = well()
    forbid(answers, path)
    result = run(answers, "--check", "-o", "json")

    assert result.code == 0
    assert checks(result)[skipped] == {"check": skipped, "result": "SKIP", "found": f"no {path}"}


def objects(result: Result) -> dict[str, dict[str, Any]]:
    assert result.code == 0
    return {item["kind"]: item for item in yaml.safe_load_all(result.stdout)}


def test_what_is_printed_is_accepted_and_makes_the_check_pass(run: Callable[..., Result]) -> None:
    """Nothing is there but Prometheus, of another release, elsewhere, with slices, and a Service of an old KubeVirt."""
    answers = well()
    answers[MONITORS] = {"items": []}
    answers[SERVICE]["metadata"]["labels"] = {"prometheus.kubevirt.io": ""}
    answers[PROMETHEUSES]["items"][0] = {
        "metadata": named("prom", "observability"),
        "spec": {
            "serviceAccountName": "prom-sa",
            "serviceDiscoveryRole": "EndpointSlice",
            "serviceMonitorSelector": {"matchLabels": {"team": "infra"}},
        },
    }
    answers[f"{RBAC}/namespaces/kubevirt/rolebindings"] = {"items": []}
    found = objects(run(answers))

    for item in found.values():
        schemas.validate(item)
    assert found["RoleBinding"]["subjects"][0]["namespace"] == "observability"
    assert found["ServiceMonitor"]["metadata"]["labels"]["openshift.io/cluster-monitoring"] == ""
    answers[MONITORS] = {"items": [found["ServiceMonitor"]]}
    answers[f"{RBAC}/namespaces/kubevirt/rolebindings"] = {"items": [found["RoleBinding"]]}
    answers[f"{RBAC}/namespaces/kubevirt/roles/vmetrics-kubevirt"] = found["Role"]
    assert run(answers, "--check").code == 0


def applied(answers: dict[str, Any], found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A cluster with what was printed."""
    return {
        **answers,
        MONITORS: {"items": [found["ServiceMonitor"]]},
        f"{RBAC}/namespaces/kubevirt/rolebindings": {"items": [found["RoleBinding"]]},
        f"{RBAC}/namespaces/kubevirt/roles/vmetrics-kubevirt": found["Role"],
    }


def test_the_check_passes_with_the_own_monitor_where_virt_operator_finds_no_account(run: Callable[..., Result]) -> None:
    answers = well()
    no_account(answers)
    assert checks(run(answers, "--check", "-o", "json"))["account"]["result"] == "FAIL"

    result = run(applied(answers, objects(run(answers))), "--check")
    assert result.code == 0
    assert [line[:4] for line in result.stdout.splitlines()] == ["PASS"] * 7
    assert "monitoring/vmetrics-kubevirt replaces the ServiceMonitor that virt-operator would create" in result.stdout


def test_a_monitor_that_nobody_looks_at_does_not_replace_the_account(run: Callable[..., Result]) -> None:
    answers = well()
    no_account(answers)
    made = applied(answers, objects(run(answers)))
    spec(made, PROMETHEUSES)["serviceMonitorSelector"] = {"matchLabels": {"release": "another"}}

    found = checks(run(made, "--check", "-o", "json"))
    assert (found["account"]["result"], found["selected"]["result"]) == ("FAIL", "FAIL")


def stranger(name: str = "own", account: str = "builder", **labels: str) -> dict[str, Any]:
    """A Prometheus object of somebody who may create objects in one namespace."""
    return {"metadata": named(name, "team-b", **labels), "spec": {"serviceAccountName": account}}


def test_of_several_prometheus_none_is_taken_by_chance(run: Callable[..., Result]) -> None:
    answers = well()
    answers[PROMETHEUSES]["items"].insert(0, stranger())
    assert run(answers) == (
        1,
        "",
        "error: Prometheus may run as one of several service accounts: team-b/builder (Prometheus team-b/own), "
        "monitoring/prometheus-k8s (Prometheus monitoring/k8s); specify one with --monitor-namespace and "
        "--monitor-account\n",
    )
    for given in (["--monitor-namespace=monitoring"], ["--monitor-account=prometheus-k8s"]):
        subject = objects(run(answers, *given))["RoleBinding"]["subjects"][0]
        assert (subject["namespace"], subject["name"]) == ("monitoring", "prometheus-k8s")
    # What the KubeVirt object names was chosen by whoever installed KubeVirt.
    spec(answers, KUBEVIRTS).update(monitorNamespace="monitoring", monitorAccount="prometheus-k8s")
    assert objects(run(answers))["RoleBinding"]["subjects"][0]["name"] == "prometheus-k8s"


def test_what_a_tenant_synced_to_the_host_is_no_candidate(run: Callable[..., Result]) -> None:
    answers = well()
    synced = stranger(account="tenant")
    synced["metadata"]["labels"] = {"vcluster.loft.sh/managed-by": "shop"}
    answers[PROMETHEUSES]["items"].insert(0, synced)
    assert objects(run(answers))["RoleBinding"]["subjects"][0]["name"] == "prometheus-k8s"


def test_an_account_is_never_made_up(run: Callable[..., Result]) -> None:
    answers = well()
    answers[PROMETHEUSES]["items"] = []
    options = "specify one with --monitor-namespace and --monitor-account"
    assert run(answers) == (1, "", f"error: the service account of Prometheus was not found: {options}\n")


def test_the_schema_finds_mistakes() -> None:
    monitor = well()[MONITORS]["items"][0] | {"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor"}
    schemas.validate(monitor)
    for key, value in (
        ("interval", "30 s"),
        ("honourLabels", True),
        ("scheme", "ftp"),
        ("tlsConfig", {"insecure": True}),
    ):
        wrong = copy.deepcopy(monitor)
        wrong["spec"]["endpoints"][0][key] = value
        with pytest.raises(jsonschema.ValidationError):
            schemas.validate(wrong)


def test_without_a_cluster() -> None:
    args = ["--monitor-namespace=mon", "--monitor-account=prom", "--label=release=stack", "-n", "kv"]
    found = objects(invoke("manifests", "kubevirt", *args))

    assert list(found) == ["Role", "RoleBinding", "ServiceMonitor"]
    assert found["Role"]["metadata"]["namespace"] == "kv"
    assert found["ServiceMonitor"]["metadata"]["namespace"] == "mon"
    assert found["ServiceMonitor"]["metadata"]["labels"]["release"] == "stack"
    assert found["ServiceMonitor"]["spec"]["namespaceSelector"] == {"matchNames": ["kv"]}


def test_a_second_monitor_is_told_of(run: Callable[..., Result]) -> None:
    assert run(well()).stdout.startswith(
        "# monitoring/prometheus-kubevirt-rules already selects the Service: with the one below, everything is scraped "
        "twice.\n"
    )


def test_the_demo_is_well(on_demo: Cli) -> None:
    assert on_demo("manifests", "kubevirt", "--check").code == 0


@pytest.mark.parametrize(
    ("args", "stderr"),
    [
        (
            ["--monitor-namespace=A b"],
            "error: --monitor-namespace: 'A b' is not a valid name: use lower case letters, digits and '-', at most 63 characters\n",
        ),
        (["--label=x"], "error: --label: 'x' is not a label KEY=VALUE\n"),
        (
            ["--check", "-n", "kubevirt"],
            "error: --check cannot be combined with --namespace: it checks what is in the cluster\n",
        ),
        (
            ["--check", "--monitor-account=x", "--label=a=b"],
            "error: --check cannot be combined with --monitor-account, --label: it checks what is in the cluster\n",
        ),
        (["-o", "table"], "error: -o table: manifests are printed as yaml or json\n"),
    ],
)
def test_bad_input(args: list[str], stderr: str, on_demo: Cli) -> None:
    assert on_demo("manifests", "kubevirt", *args) == (1, "", stderr)
