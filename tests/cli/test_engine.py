"""--prometheus: which server a command asks, with which credentials, and what is never printed."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from kubectl_vmetrics.cli import cluster, engine, engines
from kubectl_vmetrics.cli.command import Command
from kubectl_vmetrics.cli.main import _guarded
from kubectl_vmetrics.cli.options import options
from kubectl_vmetrics.demo import server
from kubectl_vmetrics.output.terminal import Environment
from tests.conftest import Result, invoke, write_kubeconfig
from tests.prometheus_package.quirky import Asked, Quirky, error, reply, vector

SECRET = "s3cr3t-v4lue"
HOST = "/api/v1/namespaces/{}/services/http:{}:9090/proxy"


@click.command(cls=Command)
@engine.prometheus_options
@click.pass_context
def ask(context: click.Context, /) -> int:
    """Ask the server for one number."""
    found = engine.open_prometheus(context, cluster.client(context))
    context.obj.stdout.write(f"{found.name} {found.number('up')} {found.matchers}\n")
    return 0


class Cluster:
    """An apiserver with Services of Prometheus, all of them answered by one application.

    Attributes:
        has: numbers by the Service and what stands in a query; 0 for all others.
        lists: objects by the path that lists them; an answer for another one, such as a refusal.
        synced: host namespaces that a virtual cluster owns whole.
    """

    def __init__(self, behind: Quirky) -> None:
        self.behind = behind
        self.reset()

    def reset(self) -> None:
        self.services: list[dict[str, Any]] = []
        self.has: dict[tuple[str, str], float] = {}
        self.closed: set[str] = set()
        self.lists: dict[str, Any] = {}

    def add(self, path: str, labels: dict[str, str] | None = None, **has: float) -> None:
        namespace, _, name = path.partition("/")
        found = {"app": "prometheus-server"} if labels is None else labels
        meta = {"namespace": namespace, "name": name, "labels": found}
        self.services.append({"metadata": meta, "spec": {"ports": [{"name": "web", "port": 9090}]}})
        self.has |= {(path, key): number for key, number in has.items()}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        path = environ["PATH_INFO"]
        if path == "/api/v1/services":
            selector = environ.get("QUERY_STRING", "")
            kept = [item for item in self.services if "managed-by" not in selector or not _synced(item)]
            self.behind.queue.append(reply({"items": kept}))
        elif path.startswith("/api/v1/namespaces/") and "/proxy/" in path:
            _, _, _, _, namespace, _, service, *_ = path.split("/")
            self.behind.queue.append(lambda asked: self._answer(f"{namespace}/{service.split(':')[1]}", asked))
        elif path.startswith("/api/v1/namespaces/") and path.count("/") == 6 and path not in self.lists:
            named = [item for item in self.services if item["metadata"]["name"] == path.rpartition("/")[2]]
            self.behind.queue.append(reply(named[0]) if named else reply("no", 404, "text/plain"))
        else:
            listed = self.lists.get(path, [])
            self.behind.queue.append(reply({"items": listed}) if isinstance(listed, list) else listed)
        return self.behind(environ, start_response)

    def _answer(self, path: str, asked: Asked) -> Any:
        if path in self.closed:
            return reply("Unauthorized", 401, "text/plain")
        query = asked.form.get("query", "")
        if asked.path.endswith("/query_range"):
            series = [{"metric": {}, "values": [[float(asked.form["end"]), "1"]]}]
            return reply({"status": "success", "data": {"resultType": "matrix", "result": series}})
        if asked.path.endswith("info"):
            return reply({"status": "success", "data": {"version": "2.42.0", "storageRetention": "15d"}})
        number = next((number for (owner, key), number in self.has.items() if owner == path and key in query), 0.0)
        return vector(({}, number))


def _synced(item: dict[str, Any]) -> bool:
    return "vcluster.loft.sh/managed-by" in item["metadata"]["labels"]


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Cluster, Quirky, str, str]]:
    behind, outside = Quirky(), Quirky()
    host = Cluster(behind)
    with server.serving(host) as url, server.serving(outside) as other:
        yield host, outside, url, other


@pytest.fixture
def host(served: tuple[Cluster, Quirky, str, str], monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setattr(engines.time, "time", lambda: 1_764_000_000.0)
    for item in served[:2]:
        item.reset()
    served[0].behind.reset()
    return served[0]


@pytest.fixture
def outside(served: tuple[Cluster, Quirky, str, str], host: Cluster) -> tuple[Quirky, str]:
    return served[1], served[3]


class Run:
    """Runs `ask`, or another command, against the cluster."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig

    def __call__(self, *args: str, **variables: str) -> Result:
        out, err = io.StringIO(), io.StringIO()
        found = {"KUBECONFIG": str(self._kubeconfig), "VMETRICS_TRACEBACK": "1", **variables}
        environment = Environment(out, err, found)
        code = _run(list(args), environment)
        return Result(code, out.getvalue(), err.getvalue())


def _run(args: list[str], environment: Environment) -> int:
    from kubectl_vmetrics.cli.main import root

    root.lazy["ask"] = (f"{__name__}:ask", "")
    try:
        return _guarded(args if args[:1] == ["targets"] else ["ask", *args], environment)
    finally:
        del root.lazy["ask"]


@pytest.fixture
def run(served: tuple[Cluster, Quirky, str, str], host: Cluster, tmp_path: Path) -> Run:
    return Run(write_kubeconfig(tmp_path, served[2]))


# ---------------------------------------------------------------------------------------------------------- choice


def test_the_only_one_is_asked_without_a_word(host: Cluster, run: Run) -> None:
    host.add("mon/prom", up=7)
    assert run() == (0, "mon/prom 7.0 \n", "")
    assert [asked.path for asked in host.behind.asked if "/proxy/" in asked.path] == [
        HOST.format("mon", "prom") + "/api/v1/query"
    ]


def test_of_several_the_one_with_containers_and_names_is_used_and_reported(host: Cluster, run: Run) -> None:
    host.add("a/empty")
    host.add("b/state", kube_pod_info=9)
    host.add("c/plain", container_cpu=5, kube_pod_info=9)
    host.add("d/named", container_cpu=5, kube_pod_info=9, vcluster_pod_info=3, up=8)
    host.add("e/closed", container_cpu=99)
    host.closed.add("e/closed")
    result = run()
    assert (result.code, result.stdout) == (0, "d/named 8.0 \n")
    assert result.stderr == (
        "Using d/named: Prometheus 2.42.0, cAdvisor (5 pods), kube-state-metrics (9 pods), names of virtual clusters, "
        "samples since 2025-11-24 (see kubectl vmetrics targets prometheus; choose with --prometheus); 3 others answered\n"
    )


OPTED = {"vmetrics.io/prometheus": "true"}


def test_what_a_server_has_counts_before_its_labels_and_its_namespace(host: Cluster, run: Run) -> None:
    host.add("a/few", **{"by (instance)": 2, "by (namespace, pod)": 900})
    host.add("z/many", OPTED, up=2, **{"by (instance)": 3, "by (namespace, pod)": 90})
    result = run()
    assert (result.code, result.stdout) == (0, "z/many 2.0 \n")
    host.add("y/chart", up=3, **{"by (instance)": 3, "by (namespace, pod)": 90})
    result = run()
    assert (result.code, result.stdout) == (0, "y/chart 3.0 \n")
    assert result.stderr.startswith("Using y/chart: Prometheus 2.42.0, cAdvisor (90 pods), no kube-state-metrics, ")


def test_of_equally_good_servers_in_different_namespaces_none_is_used(host: Cluster, run: Run) -> None:
    for path, pods in (("a/prom", 100), ("a/same-namespace", 100), ("b/other", 95), ("c/smaller", 80)):
        host.add(path, **{"by (instance)": 3, "by (namespace, pod)": pods})
    message = (
        "several Prometheus servers are equally good (a/prom, b/other): choose one with --prometheus NAMESPACE/NAME"
    )
    assert run() == (1, "", f"error: {message}\n")
    assert run("--prometheus=b/other") == (0, "b/other 0.0 \n", "")
    listed = run("targets", "prometheus", "-o", "json")
    assert [item["used"] for item in json.loads(listed.stdout)["items"]] == [False] * 4
    assert "none is used unless you choose one with --prometheus: a/prom, b/other are equally good" in listed.stderr


TENANT = {"metadata": {"name": "vc1", "namespace": "team-a", "labels": {"app": "vcluster", "release": "vc1"}}}
SYNCED = [{"metadata": {"name": "x", "namespace": "team-a"}}]
REFUSED = reply({"kind": "Status", "status": "Failure", "reason": "Forbidden", "message": "no", "code": 403}, 403)
SIGNS: dict[str, dict[str, Any]] = {
    "virtual cluster": {"/apis/apps/v1/statefulsets": [TENANT]},
    "Kamaji": {"/apis/kamaji.clastix.io/v1alpha1/tenantcontrolplanes": SYNCED},
    "synced pod": {"/api/v1/namespaces/team-a/pods": SYNCED},
    "synced service": {"/api/v1/namespaces/team-a/services": SYNCED},
    "label": {"/api/v1/namespaces": [{"metadata": {"name": "team-a", "labels": {"vcluster.loft.sh/project": "p"}}}]},
}


@pytest.mark.parametrize("labels", [None, OPTED], ids=["chart", "opt-in"])
@pytest.mark.parametrize("sign", SIGNS)
def test_a_service_in_a_tenants_namespace_is_used_only_if_it_is_named(
    sign: str, labels: dict[str, str] | None, host: Cluster, run: Run
) -> None:
    host.lists = SIGNS[sign]
    host.add("team-a/evil", labels, up=666, **{"by (instance)": 99, "by (namespace, pod)": 999})
    reason = "in a tenant's namespace: name it with --prometheus"
    assert run() == (1, "", f"error: no Prometheus to use: team-a/evil is {reason}\n")
    host.add("mon/prom", up=3)
    assert run() == (0, "mon/prom 3.0 \n", "")
    items = json.loads(run("targets", "prometheus", "-o", "json").stdout)["items"]
    assert [(item["name"], item["used"], item.get("error")) for item in items] == [
        ("mon/prom", True, None),
        ("team-a/evil", False, reason),
    ]
    assert not [asked.path for asked in host.behind.asked if "team-a" in asked.path and "/proxy/" in asked.path]
    assert run("--prometheus=team-a/evil") == (0, "team-a/evil 666.0 \n", "")


def test_many_services_of_tenants_do_not_crowd_out_the_hosts(host: Cluster, run: Run) -> None:
    host.lists = SIGNS["virtual cluster"]
    for number in range(20):
        host.add(f"team-a/evil-{number}", {"app": "kube-prometheus-stack-prometheus"}, up=666)
    host.add("mon/prom", up=3)
    assert run() == (0, "mon/prom 3.0 \n", "")


def test_without_the_right_to_list_virtual_clusters_only_charts_where_nothing_is_synced_are_used(
    host: Cluster, run: Run
) -> None:
    places = ("/apis/apps/v1/", "/apis/apps/v1/namespaces/default/")
    host.lists = {f"{place}{kind}": REFUSED for place in places for kind in ("statefulsets", "deployments")}
    host.add("a/mine", OPTED, up=2)
    reason = "its namespace may be a tenant's: name it with --prometheus"
    assert run() == (1, "", f"error: no Prometheus to use: a/mine is not used: {reason}\n")
    host.add("mon/prom", up=3)
    result = run()
    assert (result.code, result.stdout) == (0, "mon/prom 3.0 \n")
    assert result.stderr == "Warning: whether mon/prom is in a tenant's namespace is not known: no\n"
    host.lists["/api/v1/namespaces/mon/pods"] = REFUSED
    assert run() == (
        1,
        "",
        f"error: no Prometheus to use: mon/prom is not used: {reason}; a/mine is not used: {reason}\n",
    )
    host.lists["/api/v1/namespaces/mon/pods"] = SYNCED
    assert "mon/prom is in a tenant's namespace" in run().stderr


def test_credentials_without_encryption_are_reported(run: Run, outside: tuple[Quirky, str]) -> None:
    loopback = run(f"--prometheus={outside[1]}", VMETRICS_PROMETHEUS_TOKEN=SECRET)
    assert (loopback.code, loopback.stderr) == (0, "")
    far = run("--prometheus=http://metrics.invalid", VMETRICS_PROMETHEUS_TOKEN=SECRET)
    warning = "Warning: credentials are sent to http://metrics.invalid without encryption: use https\n"
    assert far.code == 1
    assert far.stderr.startswith(warning)
    assert far.stderr.count("Warning") == 1
    assert "Warning" not in run("--prometheus=http://metrics.invalid").stderr


def test_with_v_the_choice_is_reported_in_any_case(host: Cluster, run: Run) -> None:
    host.add("mon/prom", up=1)
    result = run("-v=1")
    assert (result.code, result.stdout) == (0, "mon/prom 1.0 \n")
    assert result.stderr == (
        "Using mon/prom: Prometheus 2.42.0, no cAdvisor metrics, no kube-state-metrics, samples since 2025-11-24\n"
    )


def test_none(host: Cluster, run: Run) -> None:
    assert run() == (1, "", f"error: {engines.NONE}\n")


def test_none_that_answers(host: Cluster, run: Run) -> None:
    for path in ("a/one", "b/two"):
        host.add(path)
        host.closed.add(path)
    assert run().stderr == (
        "error: no Prometheus answers (a/one: a/one requires credentials, which the apiserver does not pass on; "
        "b/two: b/two requires credentials, which the apiserver does not pass on): name one with --prometheus\n"
    )


def test_a_service_that_a_tenant_wrote_is_never_found(host: Cluster, run: Run) -> None:
    host.add("team-a/prom-x-default-x-vc1", {"app": "prometheus-server", "vcluster.loft.sh/managed-by": "vc1"}, up=1)
    assert run() == (1, "", f"error: {engines.NONE}\n")


# ----------------------------------------------------------------------------------------------------------- named


def test_by_url_and_by_service(host: Cluster, run: Run, outside: tuple[Quirky, str]) -> None:
    host.add("mon/prom", up=3)
    assert run(f"--prometheus={outside[1]}/") == (0, f"{outside[1]} 1.0 \n", "")
    assert run(VMETRICS_PROMETHEUS=outside[1]) == (0, f"{outside[1]} 1.0 \n", "")
    assert run("--prometheus", "mon/prom", VMETRICS_PROMETHEUS=outside[1]) == (0, "mon/prom 3.0 \n", "")


def test_matchers(run: Run, outside: tuple[Quirky, str]) -> None:
    given = ("--prometheus-match", 'cluster=pr"o\\d', "--prometheus-match", "replica=a")
    expected = 'cluster="pr\\"o\\\\d",replica="a"'
    assert run(f"--prometheus={outside[1]}", *given) == (0, f"{outside[1]} 1.0 {expected}\n", "")
    found = run(VMETRICS_PROMETHEUS=outside[1], VMETRICS_PROMETHEUS_MATCH="a=1\nb=2")
    assert found == (0, f'{outside[1]} 1.0 a="1",b="2"\n', "")


@pytest.mark.parametrize(
    ("args", "variables", "message"),
    [
        (["--prometheus=prom"], {}, "--prometheus: use a URL (http://… or https://…) or a Service as NAMESPACE/NAME"),
        (["--prometheus=a/b/c"], {}, "--prometheus: use a URL (http://… or https://…) or a Service as NAMESPACE/NAME"),
        (["--prometheus=ftp://x"], {}, "--prometheus is not a URL: use http://HOST:PORT/PREFIX or https://…"),
        (
            ["--prometheus=http://x", "--prometheus-port-forward"],
            {},
            "--prometheus-port-forward is for a Service: use --prometheus NAMESPACE/NAME",
        ),
        (
            ["--prometheus=a/b", "--prometheus-sigv4-region=us-east-1"],
            {},
            "--prometheus-sigv4-region is for a URL: use --prometheus https://aps-workspaces.…",
        ),
        (["--prometheus-match=x"], {}, "--prometheus-match: use LABEL=VALUE, for example cluster=prod"),
        (["--prometheus-match=x}=y"], {}, "--prometheus-match: use LABEL=VALUE, for example cluster=prod"),
        (
            ["--prometheus-job=mine"],
            {},
            "--prometheus-job: use KIND=NAME; KIND is kubelet, cadvisor, kube-state-metrics or names",
        ),
        (["--prometheus-exec='x"], {}, "--prometheus-exec: a quotation mark is not closed"),
        (
            ["--prometheus-client-key=x"],
            {},
            "--prometheus-client-certificate and --prometheus-client-key belong together",
        ),
        ([], {"VMETRICS_PROMETHEUS_PASSWORD": SECRET}, "a password for Prometheus needs --prometheus-username"),
        (
            ["--prometheus-username=ann"],
            {"VMETRICS_PROMETHEUS_TOKEN": SECRET},
            "credentials for Prometheus: use only one of a token, a user, --prometheus-exec and SigV4",
        ),
        (
            ["--prometheus-password-file=/no/such"],
            {},
            "--prometheus-password-file: /no/such: no such file or directory",
        ),
    ],
)
def test_bad_input(args: list[str], variables: dict[str, str], message: str, host: Cluster, run: Run) -> None:
    host.add("mon/prom", up=3)
    assert run(*args, **variables) == (1, "", f"error: {message}\n")


# --------------------------------------------------------------------------------------------------------- secrets


@pytest.mark.parametrize(
    ("args", "variables"),
    [
        ([], {"VMETRICS_PROMETHEUS_TOKEN": SECRET}),
        (["--prometheus-header", f"X-Key:{SECRET}"], {}),
        (["--prometheus-username=ann"], {"VMETRICS_PROMETHEUS_PASSWORD": SECRET}),
        (["--prometheus-exec", f"echo {SECRET}"], {}),
        (["--prometheus-sigv4-region", "us-east-1"], {}),
    ],
)
def test_credentials_go_to_no_server_that_is_merely_found(
    args: list[str], variables: dict[str, str], host: Cluster, run: Run
) -> None:
    host.add("mon/prom", up=3)
    message = "credentials for Prometheus are only sent to one that you name: add --prometheus"
    assert run(*args, **variables) == (1, "", f"error: {message}\n")
    assert host.behind.asked == []


def test_a_tenant_is_no_credential(host: Cluster, run: Run) -> None:
    host.add("mon/mimir", {"app.kubernetes.io/name": "mimir", "app.kubernetes.io/component": "query-frontend"})
    host.add("mon/prom", up=3)
    assert run("--prometheus=mon/prom", "--prometheus-tenant=team-a").stdout == "mon/prom 3.0 \n"
    assert host.behind.asked[-1].headers["x-scope-orgid"] == "team-a"
    run("--prometheus=mon/mimir")
    assert host.behind.asked[-1].headers["x-scope-orgid"] == "anonymous"
    run("--prometheus=mon/mimir", VMETRICS_PROMETHEUS_TENANT="team-b")
    assert host.behind.asked[-1].headers["x-scope-orgid"] == "team-b"


FAULTS = {
    "right": None,
    "closed": reply(f"no such token: {SECRET}", 401, "text/plain", X_Echo=SECRET),
    "refused": error(422, "execution", f"series with {SECRET}"),
    "away": error(503, "unavailable", SECRET),
    "redirect": reply("", 302, Location=f"http://elsewhere/{SECRET}"),
    "other": reply(f"<html>{SECRET}", 200, "text/html"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("way", ["url", "token", "file", "basic", "header", "exec", "signed"])
def test_no_credential_is_printed_or_logged(
    way: str, fault: str, run: Run, outside: tuple[Quirky, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quirky, url = outside
    (tmp_path / "secret").write_text(SECRET)
    if answer := FAULTS[fault]:
        quirky.queue += [answer] * 8
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, SECRET if name != "AWS_ACCESS_KEY_ID" else "AKID")
    ways: dict[str, tuple[list[str], dict[str, str]]] = {
        "url": ([f"--prometheus={url.replace('://', f'://ann:{SECRET}@')}"], {}),
        "token": ([f"--prometheus={url}"], {"VMETRICS_PROMETHEUS_TOKEN": SECRET}),
        "file": ([f"--prometheus={url}", f"--prometheus-token-file={tmp_path}/secret"], {}),
        "basic": ([f"--prometheus={url}", "--prometheus-username=ann"], {"VMETRICS_PROMETHEUS_PASSWORD": SECRET}),
        "header": ([f"--prometheus={url}", f"--prometheus-header=X-Key:@{tmp_path}/secret"], {}),
        "exec": ([f"--prometheus={url}", f"--prometheus-exec=cat {tmp_path}/secret"], {}),
        "signed": ([f"--prometheus={url}", "--prometheus-sigv4-region=eu-west-1"], {}),
    }
    args, variables = ways[way]
    result = run(*args, "-v=9", **variables)

    assert result.code == (0 if fault == "right" else 1)
    assert f"POST {url}/api/v1/query" in result.stderr
    assert SECRET not in result.stdout + result.stderr
    sent = [text for asked in quirky.asked for text in asked.headers.values()]
    if way == "signed":
        assert any(text.startswith("AWS4-HMAC-SHA256 Credential=AKID/") for text in sent)
    elif way in ("url", "basic"):
        assert any(text.startswith("Basic ") for text in sent)
    else:
        assert any(SECRET in text for text in sent)


# ---------------------------------------------------------------------------------------------- targets prometheus


def test_targets_prometheus(host: Cluster, run: Run) -> None:
    host.add("a/empty")
    host.add("c/plain", container_cpu=5, kube_pod_info=1)
    host.add("e/closed")
    host.closed.add("e/closed")
    result = run("targets", "prometheus")
    assert (result.code, result.stderr) == (0, "")
    rows = [[cell.strip() for cell in line.split("   ") if cell.strip()] for line in result.stdout.splitlines()]
    assert rows == [
        ["PROMETHEUS", "KIND", "VERSION", "CADVISOR", "KUBE-STATE-METRICS", "NAMES", "SINCE", "USED", "STATUS"],
        ["a/empty", "Prometheus", "2.42.0", "no", "no", "no", "2025-11-24", "no", "answers"],
        ["c/plain", "Prometheus", "2.42.0", "5 pods", "1 pod", "no", "2025-11-24", "yes", "answers"],
        [
            *("e/closed", "Prometheus", *["<none>"] * 5, "no"),
            "e/closed requires credentials, which the apiserver does not pass on",
        ],
    ]
    items = json.loads(run("targets", "prometheus", "-o", "json").stdout)["items"]
    assert items[1] == {
        "kind": "Prometheus",
        "name": "c/plain",
        "used": True,
        "answers": True,
        "service": {"namespace": "c", "name": "plain", "port": 9090, "scheme": "http", "prefix": ""},
        "serverKind": "Prometheus",
        "version": "2.42.0",
        "retention": "15d",
        "oldestSample": "2025-11-24T16:00:00Z",
        "targets": 0,
        "cadvisorPods": 5,
        "kubeStateMetricsPods": 1,
        "namedPods": 0,
        "recordedSeries": 0,
    }
    assert items[2]["error"] == "e/closed requires credentials, which the apiserver does not pass on"
    assert (
        run("targets", "prometheus", "-o", "name").stdout
        == "prometheus/a/empty\nprometheus/c/plain\nprometheus/e/closed\n"
    )


def test_targets_prometheus_by_url(run: Run, outside: tuple[Quirky, str]) -> None:
    result = run("targets", "prometheus", f"--prometheus={outside[1]}", "-o", "csv")
    assert result.stdout.splitlines()[1].startswith(f"{outside[1]},")


def test_targets_prometheus_none(host: Cluster, run: Run) -> None:
    assert run("targets", "prometheus") == (0, "", "No Prometheus found\n")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["prometheus", "kubelet"],
            "targets prometheus lists servers, not targets: it cannot be combined with other kinds",
        ),
        (["kubelet", "--prometheus=a/b"], "--prometheus is for targets prometheus"),
        (
            ["prometheus", "--to=x"],
            "targets prometheus takes none of --source, --endpoints, --through-apiserver and --to",
        ),
    ],
)
def test_targets_with_what_does_not_fit(args: list[str], message: str, run: Run) -> None:
    assert run("targets", *args) == (1, "", f"error: {message}\n")


def test_options_lists_them_all(run: Run) -> None:
    out = io.StringIO()
    with options.make_context("options", [], obj=Environment(out, io.StringIO(), {})) as context:
        options.invoke(context)
    for name, _, _ in engine.OPTIONS:
        assert f"\n--prometheus-{name} " in out.getvalue() or f"\n--prometheus-{name}\n" in out.getvalue()


def test_the_rest_of_the_apiserver_is_left_alone(host: Cluster, run: Run) -> None:
    """A service is read and asked; nothing is created, and no Secret is read."""
    host.add("mon/prom", up=3)
    run()
    assert {asked.method for asked in host.behind.asked} == {"GET"}
    assert not [asked.path for asked in host.behind.asked if "secrets" in asked.path]


@pytest.mark.parametrize(
    "option", ["--prometheus", "--prometheus-tenant", "--prometheus-token-file", "--prometheus-header"]
)
def test_an_empty_variable_is_an_error_and_not_the_default(option: str) -> None:
    done = invoke("history", f"{option}=")
    message = f"error: {option}: the value is empty; leave the option out for the default\n"
    assert (done.code, done.stdout, done.stderr) == (1, "", message)
