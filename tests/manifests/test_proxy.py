"""`manifests proxy`: what it prints is complete, safe, and allows what the proxy asks for and no more."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

import kubectl_vmetrics
from kubectl_vmetrics.cli.main import root
from kubectl_vmetrics.demo import server as demo_server
from kubectl_vmetrics.demo.exchange import Refusal
from kubectl_vmetrics.manifests import image
from kubectl_vmetrics.manifests.proxy_settings import own_name
from kubectl_vmetrics.metrics import quantity
from kubectl_vmetrics.proxy import server
from kubectl_vmetrics.vcluster.identity import VClusterRef
from tests import schemas
from tests.abuse.bench import MEMORY
from tests.conftest import invoke
from tests.proxy.test_proxy import EVERYTHING, get, serve
from tests.replay import Replay
from tests.rights import Rights, request

VC1 = VClusterRef("team-a", "vc1")


def printed(*args: str) -> list[dict[str, Any]]:
    result = invoke("manifests", "proxy", "--image=example/vmetrics:1", *args)
    assert (result.code, result.stderr) == (0, "")
    return list(yaml.safe_load_all(result.stdout))


def of_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next(item for item in objects if item["kind"] == kind)


class Guarded(Replay):
    """The recorded host, with RBAC."""

    def __init__(self, rights: Rights) -> None:
        super().__init__("host")
        self.rights = rights
        self.refused: list[str] = []

    def _answer(self, path: str, query: dict[str, str], accept: str, user: str) -> Any:
        asked = request(path + ("?watch=1" if query.get("watch") else ""))
        if asked and not self.rights.allow(asked):
            self.refused.append(path)
            raise Refusal(403, "Forbidden", f"{asked.resource} is forbidden")
        return super()._answer(path, query, accept, user)


@contextlib.contextmanager
def running(rights: Rights, only: VClusterRef | None, *, isolate: bool = False) -> Iterator[tuple[Guarded, str]]:
    host = Guarded(rights)
    with demo_server.serving(host) as url, serve(only, url, views={"isolate": isolate}) as proxy:
        yield host, proxy


@pytest.mark.parametrize("only", [None, VC1])
def test_the_rights_are_enough_and_the_least(only: VClusterRef | None) -> None:
    rights = Rights(printed(*([f"--vcluster={only.path}"] if only else [])))
    with running(rights, only) as (host, url):
        paths = [*EVERYTHING, "/api/v1/pods", "/api/v1/nodes", "/api/v1/nodes/vm", "/apis/metrics.k8s.io/v1beta1/nodes"]
        paths += ["/apis/metrics.k8s.io/v1beta1/nodes/vm", "/sd", "/readyz"]
        for path in paths:
            assert get(f"{url}{path}")[0] == 200, path
        if only is None:
            for path in EVERYTHING:
                assert get(f"{url}/vclusters/team-a/vc1{path}")[0] == 200, path

    assert host.refused == []
    # Used only where something is younger than the map, or where kubectl asks for one object; --vcluster looks at
    # workloads when the process starts.
    seldom = {"pods", "persistentvolumeclaims"}
    unused = {rule for rule in rights.allowed - rights.used if not (rule[2] in seldom and rule[3] == "get")}
    assert {rule[1] for rule in unused} <= ({"apps"} if only else set())
    assert {verb for *_, verb in rights.allowed} == {"get", "list", "watch"}
    if only:
        assert {rule[0] for rule in rights.allowed if rule[2] in (*seldom, "statefulsets")} == {"team-a"}


def test_isolated_it_needs_no_usage_of_nodes() -> None:
    rights = Rights(printed(f"--vcluster={VC1.path}", "--isolate"))
    with running(rights, VC1, isolate=True) as (host, url):
        for path in (
            *EVERYTHING,
            "/api/v1/pods",
            "/api/v1/nodes",
            "/apis/metrics.k8s.io/v1beta1/nodes",
            "/sd",
            "/readyz",
        ):
            assert get(f"{url}{path}")[0] == 200, path
        assert get(f"{url}/api/v1/nodes/vm")[0] == 200  # made of the tenant's own pods
        assert get(f"{url}/apis/metrics.k8s.io/v1beta1/nodes/vm")[0] == 404

    assert host.refused == []
    unused = {rule for rule in rights.allowed - rights.used if rule[2] not in ("pods", "persistentvolumeclaims")}
    assert {rule[1] for rule in unused} <= {"apps"}
    assert not [rule for rule in rights.allowed if rule[1:3] in (("metrics.k8s.io", "nodes"), ("", "nodes"))]


def test_a_target_namespace_has_a_role_of_its_own() -> None:
    objects = printed("--vcluster=team-a/vc1", "--target-namespace=pods-of-a=team-a/vc1")
    rights = Rights(objects)

    args = of_kind(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "--target-namespace=pods-of-a=team-a/vc1" in args
    assert {rule[1:3] for rule in rights.allowed if rule[0] == "pods-of-a"} == {
        ("", "pods"),
        ("", "persistentvolumeclaims"),
        ("metrics.k8s.io", "pods"),
    }


def test_the_pod_is_locked_down() -> None:
    spec = of_kind(printed(), "Deployment")["spec"]
    pod = spec["template"]["spec"]
    container = pod["containers"][0]

    assert spec["replicas"] == 2
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"readinessProbe", "livenessProbe", "resources"} <= container.keys()


def test_probes_are_the_proxys_own_and_pods_end_in_time() -> None:
    """Probes ask what needs no kubelet, with time for a busy moment, and a pod has the time that draining takes."""
    pod = of_kind(printed(), "Deployment")["spec"]["template"]["spec"]
    container = pod["containers"][0]

    assert {kind: container[kind]["httpGet"]["path"] for kind in container if kind.endswith("Probe")} == {
        "readinessProbe": "/readyz",
        "livenessProbe": "/healthz",
        "startupProbe": "/healthz",
    }
    for kind in ("readinessProbe", "livenessProbe"):
        assert container[kind]["timeoutSeconds"] == 5
        assert container[kind]["failureThreshold"] >= 3
    assert pod["terminationGracePeriodSeconds"] >= server.LINGER + server.DRAIN + 5
    assert container["resources"]["limits"] == {"memory": "512Mi"}
    assert quantity.memory_bytes("512Mi") >= 2 * MEMORY * 2**20


@pytest.mark.parametrize(
    ("args", "source"),
    [
        ([], {}),
        (
            ["--from-namespace=monitoring", "--from-namespace=team-a"],
            {
                "matchExpressions": [
                    {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["monitoring", "team-a"]}
                ]
            },
        ),
    ],
)
def test_the_network_is_closed_but_for_clients_the_apiserver_and_dns(args: list[str], source: dict[str, Any]) -> None:
    objects = printed(*args)
    policy = of_kind(objects, "NetworkPolicy")["spec"]
    pod = of_kind(objects, "Deployment")["spec"]["template"]

    assert policy["podSelector"]["matchLabels"] == pod["metadata"]["labels"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    port = pod["spec"]["containers"][0]["ports"][0]["containerPort"]
    assert policy["ingress"] == [
        {"from": [{"namespaceSelector": source}], "ports": [{"port": port, "protocol": "TCP"}]}
    ]
    dns, apiserver = policy["egress"]
    assert dns["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}]
    assert {(item["port"], item["protocol"]) for item in dns["ports"]} == {(53, "UDP"), (53, "TCP")}
    assert [item["port"] for item in apiserver["ports"]] == [443, 6443, 8443, 16443]


def test_the_arguments_are_the_commands_own() -> None:
    import click

    args = of_kind(printed("--vcluster=team-a/vc1", "--isolate", "--name=vmetrics-proxy"), "Deployment")["spec"][
        "template"
    ]["spec"]["containers"][0]["args"]
    assert args[0] == "proxy"
    command = root.get_command(click.Context(root), "proxy")
    assert command is not None
    known = {option for parameter in command.params for option in parameter.opts}
    assert {arg.partition("=")[0] for arg in args[1:]} <= known
    hosts = re.compile(next(arg for arg in args if arg.startswith("--accept-hosts=")).partition("=")[2])
    for host in ("vmetrics-proxy", "vmetrics-proxy.vmetrics", "vmetrics-proxy.vmetrics.svc.cluster.local", "10.1.2.3"):
        assert hosts.fullmatch(host)
    for host in ("evil.example", "vmetrics-proxy.other.svc", "10.1.2.3.evil.example"):
        assert not hosts.fullmatch(host)


def test_everything_hangs_together() -> None:
    objects = printed("-n", "monitoring", "--name=vm", "--token-secret=t", "--tls-secret=s")
    deployment, service = of_kind(objects, "Deployment"), of_kind(objects, "Service")
    labels = deployment["spec"]["template"]["metadata"]["labels"]

    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"] == labels
    assert {item["metadata"].get("namespace", "monitoring") for item in objects} == {"monitoring"}
    assert [volume["secret"]["secretName"] for volume in deployment["spec"]["template"]["spec"]["volumes"][:2]] == [
        "t",
        "s",
    ]
    for item in objects:
        if item["kind"].endswith("Binding"):
            assert item["subjects"] == [{"kind": "ServiceAccount", "name": "vm", "namespace": "monitoring"}]


def test_json_and_one_replica() -> None:
    result = invoke("manifests", "proxy", "--image=a", "--replicas=1", "-o", "json")

    kinds = [item["kind"] for item in json.loads(result.stdout)["items"]]
    assert kinds == ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Deployment", "Service", "NetworkPolicy"]
    assert "&id" not in invoke("manifests", "proxy", "--image=a").stdout


# ---------------------------------------------------------------------------------- only names, monitors, certificates


@pytest.mark.parametrize("only", [None, VC1])
def test_only_names_take_no_rights_on_nodes(only: VClusterRef | None) -> None:
    """They are enough, all of them are used, and the one on namespaces is the only one that is cluster-wide by nature."""
    objects = printed("--only-names", *([f"--vcluster={only.path}"] if only else []))
    rights = Rights(objects)
    home = only.host_namespace if only else None
    watched = {(home, "", kind, verb) for kind in ("pods", "persistentvolumeclaims") for verb in ("list", "watch")}
    listed = {(home, "apps", kind, "list") for kind in ("deployments", "statefulsets")}
    assert rights.allowed == {*watched, *listed, (None, "", "namespaces", "list"), (None, "", "namespaces", "watch")}

    host = Guarded(rights)
    with demo_server.serving(host) as url, serve(only, url, only_names=True) as proxy:
        for path in ("/metrics/names", "/metrics", "/sd", "/readyz", "/healthz"):
            assert get(f"{proxy}{path}")[0] == 200, path
        names = get(f"{proxy}/metrics/names")[1].decode()
        assert get(f"{proxy}/api/v1/nodes/vm/proxy/metrics/cadvisor")[0] == 404

    assert "vcluster_pod_info{" in names
    assert 'vcluster_name="vc1"' in names
    assert ('vcluster_name="vc2"' in names) == (only is None)
    assert host.refused == []
    unused = rights.allowed - rights.used
    assert {rule[1] for rule in unused} <= ({"apps"} if only else set())


def test_only_names_in_target_namespaces() -> None:
    rights = Rights(printed("--only-names", "--vcluster=team-a/vc1", "--target-namespace=pods-of-a=team-a/vc1"))

    assert {rule for rule in rights.allowed if rule[0] == "pods-of-a"} == {
        ("pods-of-a", "", kind, verb) for kind in ("pods", "persistentvolumeclaims") for verb in ("list", "watch")
    }


def access(secret: str, key: str) -> dict[str, Any]:
    return {
        "authorization": {"type": "Bearer", "credentials": {"name": "vmetrics-proxy-client-token", "key": "token"}},
        "tlsConfig": {
            "ca": {"secret": {"name": secret, "key": key}},
            "serverName": "vmetrics-proxy.monitoring.svc",
        },
    }


LABELS = {"app.kubernetes.io/name": "vmetrics-proxy", "app.kubernetes.io/instance": "vmetrics-proxy"}


@pytest.mark.parametrize(
    ("args", "endpoints"),
    [
        ([], "metrics,metrics/cadvisor,metrics/probes,names"),
        (["--only-names"], "names"),
    ],
)
def test_a_scrape_config_leads_to_what_the_proxy_lists(args: list[str], endpoints: str) -> None:
    objects = printed("-n", "monitoring", "--monitor=scrapeconfig", "--label=release=prometheus", *args)
    scraped, watched = objects[-2:]
    let_in = access("vmetrics-proxy-serving-cert", "tls.crt")

    for item in (scraped, watched):
        schemas.validate(item)
        assert item["metadata"] == {
            "name": "vmetrics-proxy",
            "namespace": "monitoring",
            "labels": {**LABELS, "release": "prometheus"},
        }
    assert scraped["kind"] == "ScrapeConfig"
    assert scraped["spec"] == {
        "httpSDConfigs": [{"url": f"https://vmetrics-proxy.monitoring.svc/sd?endpoints={endpoints}", **let_in}],
        **let_in,
        "scheme": "HTTPS",
        "honorLabels": True,
        "scrapeInterval": "30s",
        "scrapeTimeout": "20s",
    }
    assert [(item["path"], item["relabelings"][0]["replacement"]) for item in watched["spec"]["endpoints"]] == [
        ("/metrics", "vmetrics-proxy")
    ]


def test_a_service_monitor_scrapes_names_and_the_proxy_itself() -> None:
    objects = printed("-n", "monitoring", "--monitor=servicemonitor")
    found, service = objects[-1], of_kind(objects, "Service")

    schemas.validate(found)
    assert [item["kind"] for item in objects].count("ServiceMonitor") == 1
    assert "ScrapeConfig" not in {item["kind"] for item in objects}
    assert found["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert found["spec"]["endpoints"] == [
        {
            "port": service["spec"]["ports"][0]["name"],
            "scheme": "https",
            "path": path,
            "interval": "30s",
            "honorLabels": True,
            **access("vmetrics-proxy-serving-cert", "tls.crt"),
            "relabelings": [{"action": "replace", "targetLabel": "job", "replacement": job}],
        }
        for path, job in (("/metrics/names", "vmetrics-names"), ("/metrics", "vmetrics-proxy"))
    ]


@pytest.mark.parametrize(
    ("args", "warned"),
    [
        (["--monitor=scrapeconfig"], True),
        (["--monitor=scrapeconfig", "--only-names"], False),
        (["--monitor=servicemonitor"], False),
        ([], False),
    ],
    ids=str,
)
def test_two_jobs_for_one_kubelet_are_warned_of(args: list[str], warned: bool) -> None:
    notes = invoke("manifests", "proxy", *args).stdout.partition("---")[0]

    assert ("sums count twice" in notes) == warned


def test_the_endpoints_of_a_scrape_config_are_those_of_the_proxy() -> None:
    """What the ScrapeConfig asks for, asked of a proxy: the targets are those of /sd but the proxy itself."""
    scraped = of_kind(printed("--monitor=scrapeconfig"), "ScrapeConfig")
    query = scraped["spec"]["httpSDConfigs"][0]["url"].partition("?")[2]
    with demo_server.serving(Replay("host")) as host, serve(None, host) as url:
        every, some = (json.loads(get(f"{url}/sd{rest}")[1]) for rest in ("", f"?{query}"))

    assert some == [group for group in every if group["labels"]["job"] != "vmetrics-proxy"]
    assert {group["labels"]["job"] for group in some} == {"kubelet", "vmetrics-names"}


@pytest.mark.parametrize(
    ("issuer", "reference"),
    [
        ("internal", {"group": "cert-manager.io", "kind": "Issuer", "name": "internal"}),
        ("issuer/internal", {"group": "cert-manager.io", "kind": "Issuer", "name": "internal"}),
        ("ClusterIssuer/ca.example", {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": "ca.example"}),
    ],
)
def test_cert_manager_issues_the_certificate(issuer: str, reference: dict[str, str]) -> None:
    result = invoke("manifests", "proxy", "-n", "monitoring", "--monitor=scrapeconfig", f"--cert-manager={issuer}")
    objects = list(yaml.safe_load_all(result.stdout))
    found = of_kind(objects, "Certificate")
    secrets = [v["secret"]["secretName"] for v in volumes(objects) if "secret" in v]

    schemas.validate(found)
    assert found["metadata"]["namespace"] == "monitoring"
    assert found["spec"] == {
        "secretName": secrets[1],
        "dnsNames": ["vmetrics-proxy.monitoring.svc", "vmetrics-proxy.monitoring", "vmetrics-proxy"],
        "usages": ["server auth"],
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        "issuerRef": reference,
    }
    scraped = of_kind(objects, "ScrapeConfig")["spec"]
    assert scraped["tlsConfig"] == access(secrets[1], "ca.crt")["tlsConfig"]
    assert scraped["tlsConfig"]["serverName"] in found["spec"]["dnsNames"]
    notes = result.stdout.partition("---")[0]
    assert "create secret tls" not in notes
    assert "create secret generic vmetrics-proxy-client-token --from-literal=token=" in notes


def test_the_secrets_are_created_in_order() -> None:
    """The namespace first, and a certificate for the name that Prometheus connects to, without cert-manager."""
    notes = invoke("manifests", "proxy", "-n", "watch").stdout.partition("---")[0].replace("# ", "")
    commands = notes.replace("\\\n", "").splitlines()

    assert [line.split() for line in commands if line.startswith(("  kubectl", "  openssl"))] == [
        line.split()
        for line in (
            "kubectl create namespace watch",
            "kubectl -n watch create secret generic vmetrics-proxy-client-token"
            " --from-literal=token=$(openssl rand -hex 32)",
            "openssl req -x509 -newkey rsa:2048 -nodes -days 365 -keyout tls.key -out tls.crt"
            " -subj /CN=vmetrics-proxy -addext subjectAltName=DNS:vmetrics-proxy.watch.svc",
            "kubectl -n watch create secret tls vmetrics-proxy-serving-cert --cert=tls.crt --key=tls.key",
        )
    ]


@pytest.mark.parametrize(
    ("args", "whose"),
    [([], "names of all tenants' pods, claims"), (["--vcluster=team-a/shop"], "names of team-a/shop's pods, claims")],
)
def test_whose_names_the_token_opens(args: list[str], whose: str) -> None:
    notes = invoke("manifests", "proxy", "--only-names", *args).stdout.partition("---")[0].replace("\n# ", " ")

    assert whose in notes


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("servicemonitor", "if its labels match serviceMonitorSelector of the"),
        ("scrapeconfig", "if their labels match scrapeConfigSelector and serviceMonitorSelector of the"),
    ],
)
def test_what_selects_the_objects_of_the_operator(kind: str, said: str) -> None:
    notes = invoke("manifests", "proxy", f"--monitor={kind}").stdout.partition("---")[0].replace("\n# ", " ")

    assert said in notes


def volumes(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = of_kind(objects, "Deployment")["spec"]["template"]["spec"]["volumes"]
    return found


def test_secrets_are_named_after_what_they_open() -> None:
    for args, name in (([], "vmetrics-proxy"), (["--vcluster=team-a/vc1"], own_name(VC1)), (["--name=m"], "m")):
        names = [volume["secret"]["secretName"] for volume in volumes(printed(*args))[:2]]
        assert names == [f"{name}-client-token", f"{name}-serving-cert"]


def test_the_image_is_that_of_the_release(monkeypatch: pytest.MonkeyPatch) -> None:
    result = invoke("manifests", "proxy")
    version = kubectl_vmetrics.__version__
    assert f"image: ghcr.io/kubectl-vmetrics/kubectl-vmetrics:{version}\n" in result.stdout
    assert "# The image is pushed when this version is released." in result.stdout
    assert "is released" not in invoke("manifests", "proxy", "--image=example/vmetrics:1").stdout

    monkeypatch.setattr(image.of_release, "__defaults__", ("1.2.0.dev1",))
    assert invoke("manifests", "proxy") == (
        1,
        "",
        "error: --image is required: this is a development version, and only releases have an image\n",
    )


@pytest.mark.parametrize(
    ("args", "stderr"),
    [
        (["--image=a b"], "error: --image: 'a b' is not an image\n"),
        (
            ["--monitor=podmonitor"],
            'error: --monitor: unknown kind "podmonitor"; choose from scrapeconfig, servicemonitor, none\n',
        ),
        (["--label=a=b"], "error: --label requires --monitor scrapeconfig or servicemonitor\n"),
        (["--monitor=scrapeconfig", "--label=a"], "error: --label: 'a' is not a label KEY=VALUE\n"),
        (
            ["--only-names", "--isolate"],
            "error: --only-names and --isolate cannot be used together: names have no metrics of nodes\n",
        ),
        (
            ["--cert-manager=pod/x"],
            "error: --cert-manager: 'pod/x' is not the name of an issuer: use NAME or clusterissuer/NAME\n",
        ),
        (
            ["--cert-manager=/x"],
            "error: --cert-manager: '/x' is not the name of an issuer: use NAME or clusterissuer/NAME\n",
        ),
        (
            ["--cert-manager="],
            "error: --cert-manager: '' is not the name of an issuer: use NAME or clusterissuer/NAME\n",
        ),
        (["--image=a", "--replicas=0"], "error: --replicas must be 1 or more\n"),
        (
            ["--image=a", "--vcluster=vc1"],
            'error: --vcluster: "vc1" is not HOSTNS/NAME; the roles need the host namespace\n',
        ),
        (
            ["--image=a", "--vcluster=a/vc1", "--target-namespace=b=a/vc2"],
            "error: --target-namespace: with --vcluster, only namespaces of a/vc1\n",
        ),
        (
            ["--image=a", "--name=A b"],
            "error: --name: 'A b' is not a valid name: use lower case letters, digits and '-', at most 63 characters\n",
        ),
        (["--image=a", "-o", "table"], "error: -o table: manifests are printed as yaml or json\n"),
    ],
)
def test_bad_input(args: list[str], stderr: str) -> None:
    assert invoke("manifests", "proxy", *args) == (1, "", stderr)
