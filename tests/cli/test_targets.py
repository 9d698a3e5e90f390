"""`targets`: what a real Prometheus makes of what is printed, and what -w tells."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl_vmetrics.cli import targets as command
from kubectl_vmetrics.demo import server as demo_server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.manifests import prometheus
from tests.conftest import Cli, Result, Scripted, invoke, write_kubeconfig
from tests.kubevirt.cluster import cluster, pod
from tests.prometheus import MISSING, checked, query, running

Serve = Callable[[dict[str, Any]], tuple[Scripted, str]]
PODS = "/api/v1/namespaces/kubevirt/pods"
NODE = {
    "metadata": {"name": "node01"},
    "status": {
        "addresses": [{"type": "Hostname", "address": "h"}, {"type": "InternalIP", "address": "fd00::1"}],
        "conditions": [{"type": "Ready", "status": "True"}],
    },
}


def printed(on_demo: Cli, *args: str) -> Any:
    result = on_demo("targets", *args)
    assert (result.code, result.stderr) == (0, "")
    return yaml.safe_load(result.stdout)


@contextlib.contextmanager
def file_server(text: str) -> Iterator[str]:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [text.encode()]

    with demo_server.serving(application) as url:
        yield url


def active(url: str, job: str) -> list[dict[str, Any]]:
    """What Prometheus has found, once it has tried all of it."""
    query(url, f'up{{job="{job}"}}')
    with urllib.request.urlopen(f"{url}/api/v1/targets?state=active", timeout=5) as answer:
        listed: list[dict[str, Any]] = json.loads(answer.read())["data"]["activeTargets"]
    return [item for item in listed if item["labels"]["job"] == job]


@MISSING
@pytest.mark.parametrize("form", ["http-sd", "file-sd", "scrape-config"])
def test_a_real_prometheus_scrapes_them_through_the_apiserver(form: str, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        host = stack.enter_context(demo_server.serving(Apiserver(build(Shape()))))
        path = write_kubeconfig(tmp_path, host)
        text = invoke("targets", "-o", form, "--through-apiserver", kubeconfig=path).stdout
        config: dict[str, Any] = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}}
        if form == "scrape-config":
            config |= yaml.safe_load(text)
            for job in config["scrape_configs"]:  # files of a pod, which are not here; and no half a minute to wait
                del job["authorization"], job["tls_config"]
                job |= {"scrape_interval": "1s", "scrape_timeout": "1s"}
        elif form == "http-sd":
            found = {"url": f"{stack.enter_context(file_server(text))}/sd", "refresh_interval": "1s"}
            config["scrape_configs"] = [{"job_name": "x", "honor_labels": True, "http_sd_configs": [found]}]
        else:
            (tmp_path / "found.yml").write_text(text)
            files = {"files": [str(tmp_path / "found.yml")], "refresh_interval": "1s"}
            config["scrape_configs"] = [{"job_name": "x", "honor_labels": True, "file_sd_configs": [files]}]
        url = stack.enter_context(running(config, tmp_path))

        query(url, "count(up == 1) == 20")  # with the etcd and the operator of Kamaji
        machines = query(url, "kubevirt_vmi_memory_domain_bytes")
        assert {item["metric"]["namespace"] for item in machines} >= {"prod", "dev"}
        assert {item["metric"]["instance"] for item in machines} == {f"10.244.9.{n}:8443" for n in (1, 2, 3)}
        cpu = query(url, 'container_cpu_usage_seconds_total{job="kubelet",metrics_path="/metrics/cadvisor"}')
        assert {item["metric"]["node"] for item in cpu} == {"worker-1", "worker-2", "worker-3"}


def test_control_planes_are_jobs_of_their_own(on_demo: Cli) -> None:
    config = printed(on_demo, "controlplanes", "-o", "scrape-config")
    jobs = {job["job_name"].removeprefix("vmetrics-controlplanes-"): job for job in config["scrape_configs"]}

    acme, globex = "kamaji.tenants.acme", "kamaji.tenants.globex"
    assert set(jobs) == {
        *("http", acme, f"{acme}-self-signed", globex, f"{globex}-self-signed"),
        *("vcluster.team-a.shop", "vcluster.team-b.dev", "vcluster.team-c.dev"),
    }
    folder = "/etc/prometheus/secrets/kamaji.tenants.acme"
    assert jobs[acme]["tls_config"] == {
        "cert_file": f"{folder}/tls.crt",
        "key_file": f"{folder}/tls.key",
        "ca_file": f"{folder}/ca.crt",
        "server_name": "acme.tenants.svc",
    }
    assert jobs[f"{acme}-self-signed"]["tls_config"]["insecure_skip_verify"] is True
    labels = [group["labels"] for group in jobs[f"{acme}-self-signed"]["static_configs"]]
    assert {(item["cluster"], item["job"]) for item in labels} == {
        ("tenants/acme", "kube-controller-manager"),
        ("tenants/acme", "kube-scheduler"),
    }
    assert len(labels) == 4


@MISSING
def test_direct_targets_are_what_prometheus_finds(on_demo: Cli, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("a token")
    text = on_demo("targets", "-o", "scrape-config").stdout
    for job in (config := yaml.safe_load(text.replace(prometheus.TOKEN_FILE, str(token))))["scrape_configs"]:
        # promtool looks for the files; what is in them is none of its business here.
        job["tls_config"] = {
            key: str(token) if key.endswith("_file") else value for key, value in job.get("tls_config", {}).items()
        }
    checked(config, tmp_path)
    (tmp_path / "found.yml").write_text(on_demo("targets", "-o", "file-sd").stdout)
    job = {"job_name": "x", "file_sd_configs": [{"files": [str(tmp_path / "found.yml")]}]}
    settings = {"scrape_interval": "1s", "scrape_timeout": "300ms"}
    with running({"global": settings, "scrape_configs": [job]}, tmp_path) as url:
        handlers = active(url, "kubevirt-prometheus-metrics")
        assert {item["scrapeUrl"] for item in handlers} == {
            f"https://10.244.9.{number}:8443/metrics" for number in range(1, 10)
        }
        assert {item["labels"]["container"] for item in handlers} == {
            "virt-api",
            "virt-controller",
            "virt-handler",
            "virt-operator",
        }
        kubelets = {item["scrapeUrl"] for item in active(url, "kubelet")}
        assert "https://10.0.0.1:10250/metrics/cadvisor" in kubelets
        assert len(kubelets) == 9


def test_scrapes_may_take_as_long_as_handlers_do(on_demo: Cli) -> None:
    jobs = {job["job_name"]: job for job in printed(on_demo, "-o", "scrape-config")["scrape_configs"]}

    assert jobs["vmetrics-kubevirt"]["scrape_timeout"] == "20s"
    assert jobs["vmetrics-kubevirt"]["honor_labels"] is True
    assert "authorization" not in jobs["vmetrics-kubevirt"]
    assert jobs["vmetrics-kubelet"]["authorization"]["credentials_file"].endswith("/token")


@pytest.fixture
def run(scripted: Serve, tmp_path: Path) -> Callable[..., Result]:
    def on(answers: dict[str, Any], *args: str, **more: Any) -> Result:
        return invoke("targets", *args, kubeconfig=write_kubeconfig(tmp_path, scripted(answers)[1]), **more)

    return on


def answers(*handlers: str) -> dict[str, Any]:
    workloads = {f"/apis/apps/v1/{kind}": {"items": []} for kind in ("statefulsets", "deployments")}
    return {**cluster({(name, "node01"): None for name in handlers}), "/api/v1/nodes": {"items": [NODE]}, **workloads}


def test_ipv6_and_the_port_that_no_node_tells(run: Callable[..., Result]) -> None:
    result = run(answers("virt-handler-a"), "kubelet", "--no-headers")

    assert result.stdout.splitlines()[0].split() == [
        "kubelet",
        "<none>",
        "node01",
        "node01",
        "[fd00::1]:10250",
        "/metrics",
        "yes",
    ]


def test_what_would_be_counted_twice_is_listed_on_request(run: Callable[..., Result]) -> None:
    def paths(*args: str) -> list[str]:
        return [line.split()[5] for line in run(answers(), "kubelet", "--no-headers", *args).stdout.splitlines()]

    assert paths() == ["/metrics", "/metrics/cadvisor", "/metrics/probes"]
    assert paths("--endpoints=metrics/resource, metrics") == ["/metrics/resource", "/metrics"]
    assert run(answers(), "kubelet", "--endpoints=pods") == (
        1,
        "",
        'error: unknown endpoint "pods"; choose from metrics, metrics/cadvisor, metrics/resource, metrics/probes\n',
    )


def test_a_pod_without_an_address_is_shown_but_not_scraped(run: Callable[..., Result]) -> None:
    waiting = pod("virt-handler-a", "node01", ready=False)
    del waiting["status"]["podIP"]
    found = {**answers(), PODS: {"items": [waiting]}}

    assert run(found, "kubevirt", "--no-headers").stdout.split()[4:] == ["<none>", "/metrics", "no"]
    assert run(found, "kubevirt", "-o", "http-sd").stdout == "[]\n"


def test_each_source(run: Callable[..., Result]) -> None:
    port, target = [{"name": "metrics", "port": 8443}], {"kind": "Pod", "name": "virt-handler-z"}
    found = answers("virt-handler-a")
    found["/apis/discovery.k8s.io/v1/namespaces/kubevirt/endpointslices"] = {
        "items": [
            {
                "metadata": {"name": "s"},
                "ports": port,
                "endpoints": [{"addresses": ["10.0.0.9"], "targetRef": target, "nodeName": "node09"}],
            }
        ]
    }
    found["/api/v1/namespaces/kubevirt/endpoints/kubevirt-prometheus-metrics"] = {
        "subsets": [{"ports": port, "notReadyAddresses": [{"ip": "10.0.0.8", "targetRef": target}]}]
    }

    def of(source: str) -> list[str]:
        return run(found, "kubevirt", "--no-headers", f"--source={source}").stdout.split()

    assert of("pods")[2:] == ["virt-handler-a", "node01", "10.0.0.1:8443", "/metrics", "yes"]
    assert of("endpointslices")[2:] == ["virt-handler-z", "node09", "10.0.0.9:8443", "/metrics", "yes"]
    assert of("endpoints")[2:] == ["virt-handler-z", "<none>", "10.0.0.8:8443", "/metrics", "no"]


FORBIDDEN = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "it is forbidden"}
UNREAD: dict[str, tuple[str, int, str]] = {
    "nodes": ("/api/v1/nodes", 403, "targets of kubelet are not known: it is forbidden"),
    "KubeVirt": (
        "/apis/kubevirt.io/v1/kubevirts",
        403,
        "targets of kubevirt are not known: KubeVirt was not found: no KubeVirt object can be listed, and none of the "
        "namespaces where it is usually installed has its pods",
    ),
    "virtual clusters": (
        "/apis/apps/v1/statefulsets",
        403,
        "virtual clusters may be missing: it is forbidden",
    ),
    "datastores": (
        "/apis/kamaji.clastix.io/v1alpha1/datastores",
        403,
        "cannot list the etcd of datastores: it is forbidden",
    ),
}


def unread(what: str) -> dict[str, Any]:
    """All kinds of targets, and one that may not be read."""
    found: dict[str, Any] = answers("virt-handler-a")
    kamaji = "/apis/kamaji.clastix.io"
    found[kamaji] = {"preferredVersion": {"version": "v1alpha1"}}
    for kind in ("tenantcontrolplanes", "datastores"):
        found[f"{kamaji}/v1alpha1/{kind}"] = {"items": []}
    found["/api/v1/pods"] = {"items": []}
    path, code, _ = UNREAD[what]
    if what == "KubeVirt":
        found[PODS] = lambda _: (code, FORBIDDEN)
    return {**found, path: lambda _: (code, FORBIDDEN)}


@pytest.mark.parametrize("what", UNREAD)
@pytest.mark.parametrize("form", ["table", "wide", "json", "file-sd"])
def test_what_cannot_be_read_is_named_and_the_rest_is_printed(form: str, what: str, run: Callable[..., Result]) -> None:
    result = run(unread(what), "-o", form)

    assert (result.code, result.stderr) == (1, f"Warning: {UNREAD[what][2]}\n")
    assert ("virt-handler-a" in result.stdout) == (what != "KubeVirt")
    assert ("10250" in result.stdout) == (what != "nodes")


@pytest.mark.parametrize("what", UNREAD)
@pytest.mark.parametrize("form", ["http-sd", "file-sd", "scrape-config"])
def test_a_file_is_replaced_by_a_complete_list_only(
    form: str, what: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    path = tmp_path / "targets.yml"
    path.write_text("good\n")
    result = run(unread(what), "-o", form, f"--to={path}")

    assert result == (1, "", f"error: {path} was not changed: {UNREAD[what][2]}\n")
    assert path.read_text() == "good\n"
    assert run(answers("virt-handler-a"), "-o", form, f"--to={path}") == (0, "", "")
    assert "virt-handler-a" in path.read_text()


def test_a_file_stays_where_the_cluster_does_not_answer(run: Callable[..., Result], tmp_path: Path) -> None:
    path = tmp_path / "targets.yml"
    path.write_text("good\n")
    broken = {"kind": "Status", "code": 500, "reason": "InternalError", "message": "etcd is tired"}
    result = run({**answers(), "/api/v1/nodes": lambda _: (500, broken)}, "-o", "file-sd", f"--to={path}")

    assert result == (1, "", "Error from server (InternalError): etcd is tired\n")
    assert path.read_text() == "good\n"
    assert [item.name for item in tmp_path.iterdir() if item.name.startswith(".")] == []


def test_a_file_that_cannot_be_written_stays(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "targets.yml"
    path.write_text("good\n")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kubectl_vmetrics.cli.files.os.fsync", full)
    result = run(answers("virt-handler-a"), "-o", "file-sd", f"--to={path}")

    assert result == (1, "", f"error: --to: {path}: no space left on device\n")
    assert path.read_text() == "good\n"
    assert [item.name for item in tmp_path.iterdir() if item.name.startswith(".")] == []


def test_one_kind_that_cannot_be_read(run: Callable[..., Result]) -> None:
    found = {**answers("virt-handler-a"), "/api/v1/nodes": lambda _: (403, FORBIDDEN)}
    assert run(found, "kubelet") == (1, "", "Error from server (Forbidden): it is forbidden\n")

    without = {path: answer for path, answer in answers().items() if "kubevirt" not in path}
    assert run(without).code == 0
    assert run(without, "kubevirt").stderr.startswith("error: KubeVirt was not found")


class Rounds:
    """Time that ends the command after some looks; what a look sees is changed before it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *changes: Callable[[], None]) -> None:
        self.changes = list(changes)
        from types import SimpleNamespace

        monkeypatch.setattr(command, "time", SimpleNamespace(monotonic=lambda: 0.0, sleep=self._sleep))

    def _sleep(self, seconds: float) -> None:
        if not self.changes:
            raise KeyboardInterrupt
        self.changes.pop(0)()


def test_watching(run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    found = answers("virt-handler-a", "virt-handler-b")
    broken = {"kind": "Status", "code": 500, "reason": "InternalError", "message": "etcd is tired"}

    def refuse() -> None:
        found[PODS] = lambda _: (500, broken)

    def replace() -> None:
        found[PODS] = {"items": [pod("virt-handler-b", "node01", ready=False), pod("virt-handler-c", "node02")]}

    Rounds(monkeypatch, lambda: None, refuse, refuse, replace)
    result = run(found, "kubevirt", "-w")

    assert result.code == 130
    assert [line.split()[:4:3] for line in result.stdout.splitlines()] == [
        ["EVENT", "NAME"],
        ["ADDED", "virt-handler-a"],
        ["ADDED", "virt-handler-b"],
        ["REMOVED", "virt-handler-a"],
        ["ADDED", "virt-handler-c"],
    ]
    assert result.stderr == "Error from server (InternalError): etcd is tired\n"


def test_a_file_is_replaced_when_something_changes(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = answers("virt-handler-a")
    path = tmp_path / "targets.yml"
    seen: list[tuple[int, list[str]]] = []

    def look(change: Callable[[], None]) -> Callable[[], None]:
        def step() -> None:
            names = [item["labels"]["pod"] for item in yaml.safe_load(path.read_text())]
            seen.append((path.stat().st_ino, names))
            change()

        return step

    def more() -> None:
        found[PODS] = {"items": [pod("virt-handler-a", "node01"), pod("virt-handler-b", "node01")]}

    Rounds(monkeypatch, look(lambda: None), look(more), look(lambda: None))
    result = run(found, "kubevirt", "-w", "-o", "file-sd", f"--to={path}")

    assert (result.code, result.stdout) == (130, "")
    assert [names for _, names in seen] == [
        ["virt-handler-a"],
        ["virt-handler-a"],
        ["virt-handler-a", "virt-handler-b"],
    ]
    assert seen[0][0] == seen[1][0] != seen[2][0]
    assert [item.name for item in tmp_path.iterdir() if item.name.startswith(".")] == []


def test_while_watching_a_file_stays_at_an_incomplete_list(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = answers("virt-handler-a")
    path = tmp_path / "targets.yml"
    seen: list[str] = []

    def refuse() -> None:
        found["/api/v1/nodes"] = lambda _: (403, FORBIDDEN)
        found[PODS] = {"items": [pod("virt-handler-b", "node01")]}

    def look() -> None:
        seen.append(path.read_text())

    def mend() -> None:
        look()
        found["/api/v1/nodes"] = {"items": [NODE]}

    Rounds(monkeypatch, refuse, look, mend, look)
    result = run(found, "-w", "-o", "file-sd", f"--to={path}")

    assert (result.code, result.stdout) == (130, "")
    assert result.stderr == f"error: {path} was not changed: targets of kubelet are not known: it is forbidden\n"
    assert ["virt-handler-a" in text for text in seen] == [True, True, False]
    assert ["10250" in text for text in seen] == [True, True, True]


def test_hostile_names_are_quoted(run: Callable[..., Result]) -> None:
    found = {**answers(), PODS: {"items": [pod("virt-handler-x\n- evil: [", "no\x1b[31mde")]}}

    parsed = yaml.safe_load(run(found, "kubevirt", "-o", "file-sd").stdout)
    assert parsed[0]["labels"]["pod"] == "virt-handler-x\n- evil: ["
    assert "\x1b" not in run(found, "kubevirt").stdout


@pytest.mark.parametrize(
    ("args", "stderr"),
    [
        (["kamaji"], 'error: unknown kind of target "kamaji"; choose from '),
        (["--source=dns"], "error: --source accepts only pods, endpointslices, endpoints\n"),
        (["--to=x"], "error: --through-apiserver and --to require -o http-sd, file-sd, scrape-config\n"),
        (["-o", "http-sd", "--to=/nowhere/at/all"], "error: --to: /nowhere/at/all: no such file or directory\n"),
        (
            ["-o", "prom"],
            'error: unable to match a printer suitable for the output format "prom", allowed formats are: '
            "table,http-sd,file-sd,scrape-config,csv,custom-columns,json,jsonpath,name,wide,yaml,",
        ),
    ],
)
def test_bad_input(args: list[str], stderr: str, on_demo: Cli) -> None:
    result = on_demo("targets", *args)

    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.startswith(stderr)
