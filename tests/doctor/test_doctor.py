"""`doctor`: each failure is found by the one check that is about it, with its cause, and by no other."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kubectl_vmetrics.controlplane import credentials
from kubectl_vmetrics.demo import server
from kubectl_vmetrics.demo.apiserver import Apiserver, Change
from kubectl_vmetrics.demo.breakage import BREAKS
from kubectl_vmetrics.demo.changes import alter, impersonate, refuse, say, together
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.demo.rbac import USERS
from kubectl_vmetrics.doctor import catalogue, check, kubelets, kubevirt
from kubectl_vmetrics.doctor.check import Cause, Check, Outcome, Session, failed, passed
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kubevirt import components
from tests.conftest import Cli, Result, invoke, write_kubeconfig

SHAPE = Shape(pods=30, vclusters=2, tenants=1)
"""Without the tenant whose certificate has lost its group."""
ALWAYS = {"VM404"}
"""Some of the demo's machines have no balloon driver, which is worth a warning."""


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Apiserver, str]]:
    apiserver = Apiserver(build(SHAPE))
    with server.serving(apiserver) as url:
        yield apiserver, url


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubevirt, "APART", 0.01)
    monkeypatch.setattr(components, "ATTEMPTS", 1)


@pytest.fixture
def path(served: tuple[Apiserver, str], tmp_path: Path) -> Path:
    return write_kubeconfig(tmp_path, served[1])


@pytest.fixture
def run(served: tuple[Apiserver, str], path: Path) -> Iterator[Callable[..., Result]]:
    yield lambda *args, **more: invoke("doctor", *args, kubeconfig=path, **more)
    served[0].change = None


def items(result: Result) -> dict[str, dict[str, Any]]:
    assert result.stderr == ""
    return {item["id"]: item for item in json.loads(result.stdout)["items"]}


def test_a_healthy_cluster(run: Callable[..., Result]) -> None:
    started = time.monotonic()
    result = run("-o", "json")
    took = time.monotonic() - started

    found = items(result)
    assert result.code == 0
    assert [item["id"] for item in found.values() if item["result"] == "FAIL"] == []
    assert {item["id"] for item in found.values() if item["result"] == "WARN"} == ALWAYS
    # No swap, no cgroup version in the kubelets' metrics, and a konnectivity that is old.
    assert [item["id"] for item in found.values() if item["result"] == "SKIP"] == ["VM108", "VM504"]
    assert took < 20  # 2 s on a machine that does nothing else


@pytest.mark.parametrize("name", BREAKS)
def test_each_failure_is_found_and_nothing_else(
    name: str, served: tuple[Apiserver, str], run: Callable[..., Result]
) -> None:
    broken = BREAKS[name]
    served[0].change = broken.change
    found = items(run("-o", "json"))

    right = found[broken.check]
    expected = next(item for item in catalogue.CHECKS if item.id == broken.check).causes[broken.cause]
    assert right["result"] in ("FAIL", "WARN")
    assert right["cause"] == expected.text
    assert right["remedy"]
    others = {item["id"] for item in found.values() if item["result"] in ("FAIL", "WARN")} - {broken.check}
    assert others <= ALWAYS


def test_what_a_failure_makes_pointless_says_so(served: tuple[Apiserver, str], run: Callable[..., Result]) -> None:
    served[0].change = BREAKS["log-ip-sans"].change
    found = items(run("metrics-api", "-o", "json"))

    assert {item["id"]: item["found"] for item in found.values() if item["result"] == "SKIP"} == dict.fromkeys(
        ("VM104", "VM105", "VM106", "VM107", "VM108"), "because of VM103"
    )


def test_as_text(served: tuple[Apiserver, str], run: Callable[..., Result]) -> None:
    served[0].change = BREAKS["kubelet-down"].change
    result = run("kubelets")

    lines = result.stdout.splitlines()
    assert result.code == 1
    assert lines[0] == "kubelets"
    assert lines[1] == "PASS  VM201 nodes: all 3 nodes are ready"
    assert lines[2].startswith(
        "FAIL  VM202 kubelets through the apiserver: 1 of 3 kubelets does not answer: worker-2: "
    )
    assert lines[3] == "      -> systemctl status kubelet, on the node"
    # The others go on with those that answer.
    assert re.sub(r"[\d.]+ (KiB|ms)", "N", "\n".join(lines[4:])) == (
        "PASS  VM203 container metrics of kubelets: 2 kubelets report containers (N in total); without worker-2, which does not answer\n"
        "PASS  VM204 response times of kubelets: the slowest answered in N; without worker-2, which does not answer\n"
        "PASS  VM205 cgroups: cgroup v2; without worker-2, which does not answer\n"
        "PASS  VM206 pressure: 2 kubelets report pressure (PSI); without worker-2, which does not answer\n"
        "\n"
        "5 PASS, 1 FAIL"
    )


def test_without_any_kubelet_the_rest_is_pointless(served: tuple[Apiserver, str], run: Callable[..., Result]) -> None:
    served[0].change = BREAKS["kubelet-rights"].change
    found = items(run("kubelets", "-o", "json"))

    assert {item["id"]: item["found"] for item in found.values() if item["result"] == "SKIP"} == dict.fromkeys(
        ("VM203", "VM204", "VM205", "VM206"), "because of VM202"
    )


def test_exit_codes(served: tuple[Apiserver, str], run: Callable[..., Result]) -> None:
    assert run("kubevirt").code == 0
    assert run("kubevirt", "--fail-on=warning").code == 1
    served[0].change = BREAKS["virt-handler-down"].change
    assert run("kubevirt").code == 1
    assert run("kubevirt", "--fail-on=never").code == 0


def test_a_user_without_rights_gets_an_answer(served: tuple[Apiserver, str], run: Callable[..., Result]) -> None:
    served[0].change = BREAKS["no-rights"].change
    result = run()

    assert result.code == 1
    assert "FAIL" not in result.stdout
    assert "WARN  VM601 rights for each command: missing rights for: top pods, top nodes" in result.stdout
    matrix = {line.split("  ")[0]: line for line in result.stdout.splitlines() if " no  " in line}
    assert "get pods.metrics.k8s.io, list pods.metrics.k8s.io" in matrix["top pods"]
    assert "create pods/portforward" in matrix["controlplanes"]


def test_rights_in_one_namespace(run: Callable[..., Result], path: Path, served: tuple[Apiserver, str]) -> None:
    """alice may read the namespace of her virtual cluster, and nothing that is in no namespace."""
    served[0].change = impersonate(USERS["alice"])
    everywhere, there = run("rbac").stdout, run("rbac", "-n", "team-a").stdout

    assert "missing rights for: top pods, top nodes, top vclusters, " in everywhere
    assert (
        "      -> kubectl vmetrics doctor rbac -n NAMESPACE; or ask for them: kubectl vmetrics manifests" in everywhere
    )
    assert (
        "missing rights in team-a for: top nodes, top vclusters --private-nodes, top pods --network, "
        "top vclusters --network, top volumes, top gpus, top pods --gpu, " in there
    )
    assert (
        "      -> kubectl vmetrics manifests rbac --for COMMAND -n NAMESPACE --user YOU | kubectl apply -f -" in there
    )
    matrix = {line.split("  ")[0]: line.split()[2:] for line in there.splitlines() if line.startswith("top ")}
    assert matrix["top pods"] == ["partly", "list", "namespaces"]
    assert matrix["top vclusters"] == ["partly", "list", "namespaces,", "list", "nodes"]
    assert matrix["top nodes"][0] == "no"
    assert re.search("(?m)^top pods +no ", run("rbac", "-n", "team-b").stdout)


@pytest.mark.parametrize(
    ("user", "results"),
    [
        ("viewer", {"VM401": "PASS", "VM402": "SKIP", "VM403": "PASS", "VM404": "SKIP"}),
        ("nobody", {"VM401": "SKIP", "VM402": "SKIP", "VM403": "SKIP", "VM404": "SKIP"}),
    ],
)
def test_kubevirt_without_rights_is_not_called_broken_or_absent(
    user: str, results: dict[str, str], served: tuple[Apiserver, str], run: Callable[..., Result]
) -> None:
    served[0].change = impersonate(USERS[user])
    result = run("kubevirt", "-o", "json")
    found = items(result)

    assert {id_: item["result"] for id_, item in found.items()} == results
    assert all(item["found"].startswith("not allowed: ") for item in found.values() if item["result"] == "SKIP")
    assert result.code == 1


def test_nothing_secret_is_shown(served: tuple[Apiserver, str], run: Callable[..., Result]) -> None:
    shown = ""
    for form in ("", "json", "yaml"):
        result = run(*(["-o", form] if form else []), "-v=9")
        shown += result.stdout + result.stderr

    for word in ("eyJ", "PRIVATE KEY", "vcluster.loft.sh/token", "BEGIN CERTIFICATE"):
        assert word not in shown


def test_offline(run: Callable[..., Result]) -> None:
    result = invoke("doctor", "VM105", "vm202")

    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.startswith(
        "VM105  metrics-api: APIService\n\nSkipped if VM101 or VM104 fails, unless it is run with --only.\n"
    )
    assert "VM202  kubelets: kubelets through the apiserver" in result.stdout
    for item in catalogue.CHECKS:
        text = invoke("doctor", item.id).stdout
        assert all(cause.text in text and cause.remedy in text for cause in item.causes.values())


@pytest.mark.parametrize(
    ("asked", "broken", "shown"),
    [
        (["VM201"], "", ["VM201"]),
        (["vm203"], "", ["VM202", "VM203"]),
        (["VM203,VM201"], "", ["VM201", "VM202", "VM203"]),
        (["VM203", " VM201 "], "", ["VM201", "VM202", "VM203"]),
        (["VM107"], "", ["VM101", "VM102", "VM103", "VM104", "VM105", "VM106", "VM107"]),
        # What was asked for is run even where what it needs failed.
        (["VM104"], "log-ip-sans", ["VM102", "VM103", "VM104"]),
        (["VM203"], "kubelet-rights", ["VM202", "VM203"]),
    ],
)
def test_some_checks_alone(
    asked: list[str], broken: str, shown: list[str], served: tuple[Apiserver, str], run: Callable[..., Result]
) -> None:
    served[0].change = BREAKS[broken].change if broken else None
    found = items(run(*(f"--only={text}" for text in asked), "-o", "json"))

    assert list(found) == shown
    names = [name.strip().upper() for text in asked for name in text.split(",")]
    assert {id_ for id_, item in found.items() if "evidence" in item} == set(names)
    assert not [item for item in found.values() if item["found"].startswith("because of")]


def test_the_evidence_of_one_check(served: tuple[Apiserver, str], run: Callable[..., Result]) -> None:
    served[0].change = BREAKS["log-ip-sans"].change
    result = run("--only", "VM103")

    lines = result.stdout.splitlines()
    assert result.code == 1
    assert lines[:2] == [
        "metrics-api",
        "PASS  VM102 server of metrics.k8s.io: metrics.k8s.io is served by kube-system/metrics-server",
    ]
    assert lines[2].startswith('FAIL  VM103 metrics-server log: "Failed to scrape node" err=')
    assert lines[3].startswith("      -> ")
    assert re.fullmatch(r"      \| .*doesn't contain any IP SANs.*", lines[4])
    assert lines[-1] == "1 PASS, 1 FAIL"


@pytest.mark.parametrize("id_", [item.id for item in catalogue.CHECKS])
def test_each_check_shows_what_it_saw(id_: str, run: Callable[..., Result]) -> None:
    found = items(run("--only", id_, "-o", "json"))[id_]

    nothing = {"VM108", "VM504", "VM602"}  # no swap, no konnectivity; one answer that is yes or no
    assert bool(found["evidence"]) == (id_ not in nothing), found
    assert all(text == text.strip() and len(text) <= 200 for text in found["evidence"])


@pytest.mark.parametrize(
    ("name", "id_", "expected"),
    [
        ("kubelet-down", "VM202", r"worker-2: error trying to reach service: .*connection refused"),
        ("node-down", "VM201", r"worker-\d: Ready is (False|Unknown) \(.*\), kubelet v.*"),
        ("no-containers", "VM203", r"worker-\d: \d+ KiB, 0 containers"),
        ("cgroup-v1", "VM205", r"worker-1: cgroup v1 \(and 2 nodes like it\)"),
        ("cgroup-v1", "VM206", r"worker-1: cgroup v1, which measures no pressure \(and 2 nodes like it\)"),
        ("no-pressure", "VM206", r"worker-1: no pressure \(and 2 nodes like it\)"),
        ("crash-loop", "VM104", r"kube-system/metrics-server-\S+: .*waiting: CrashLoopBackOff.*"),
        ("nodes-missing", "VM106", r"worker-\d: no metrics"),
        ("vcluster-paused", "VM301", r"team-a/shop: (Paused|ScaledDown), vCluster .*"),
        ("private-nodes", "VM303", r"team-a/shop: 0 pods on the host"),
        ("fake-nodes", "VM304", r"team-a/shop: sync.fromHost.nodes.enabled is false, privateNodes.enabled is false"),
        ("virt-handler-down", "VM402", r"virt-handler-\S+: .*connection refused.*"),
        ("service-monitor", "VM403", r"FAIL \S+: .*ServiceMonitor.*"),
        ("datastore", "VM503", r"default: etcd, not ready.*"),
        ("no-agents", "VM504", r"tenants/acme \S+: 0 agents"),
        ("no-rights", "VM601", r"top pods: needs get pods.metrics.k8s.io, .*"),
    ],
)
def test_the_evidence_holds_what_is_wrong(
    name: str, id_: str, expected: str, served: tuple[Apiserver, str], run: Callable[..., Result]
) -> None:
    served[0].change = BREAKS[name].change
    found = items(run("--only", id_, "-o", "json"))[id_]

    assert any(re.fullmatch(expected, line) for line in found["evidence"]), found["evidence"]


def test_evidence_is_bounded_and_printable() -> None:
    from kubectl_vmetrics.views import doctor as view

    lines = [f"{index}\x1b[2J" + "x" * 300 for index in range(50)]
    outcome = passed("fine", lines)
    result = check.Result(made("VM101", outcome), outcome)

    text = view.text([result], asked=["VM101"]).splitlines()
    shown = [line for line in text if line.startswith("      | ")]
    assert len(shown) == view.MOST
    assert shown[-1] == "      | and 31 more"
    assert all(line.isprintable() and len(line) < 220 for line in shown)
    assert view.text([result]).splitlines() == ["x", "PASS  VM101 VM101: fine", "", "1 PASS"]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('E1124 17:00:00.1 1 scraper.go:1] "Failed" err="x509: bad"', '"Failed" err="x509: bad"'),
        ('err="[invalid bearer token, service account token has expired]"', None),
        ("Authorization: Bearer abcdefghijklmnopqrstuvwx", "Authorization: Bearer …"),
        ("password=hunter2 user=x", "password=… user=x"),
        ("token: eyJhbGciOiJSUzI1NiJ9.eyJhIjoxfQ.c2ln", "token: …"),
        ("got eyJhbGciOiJSUzI1NiJ9.eyJhIjoxfQ.c2ln now", "got … now"),
        ("x" * 300, "x" * 199 + "…"),
    ],
)
def test_a_line_of_a_log_shows_no_credentials(line: str, shown: str | None) -> None:
    from kubectl_vmetrics.doctor import server as metrics_server

    assert metrics_server._said(line) == (line if shown is None else shown)


@pytest.mark.parametrize(
    ("args", "stderr"),
    [
        (["--only=VM999"], 'error: --only: unknown check "VM999"; checks are VM101, VM102, '),
        (["--only=rbac"], 'error: --only: unknown check "rbac"; checks are VM101, VM102, '),
        (["--only="], 'error: --only: unknown check ""; checks are VM101, '),
        (["--only=VM101,"], 'error: --only: unknown check ""; checks are VM101, '),
        (["--only=VM101", "rbac"], "error: --only names checks to run and cannot be combined with areas\n"),
        (["--only=VM101", "VM102"], "error: --only names checks to run and cannot be combined with areas\n"),
        (["metrics"], 'error: unknown area "metrics"; areas are metrics-api, kubelets, vcluster, '),
        (["--fail-on=x"], "error: --fail-on accepts only fail, warning, never\n"),
        (["VM999"], 'error: unknown check "VM999"; checks are VM101, VM102, '),
        (["VM101", "rbac"], "error: specify areas to check or IDs to explain, not both\n"),
        (["-o", "x"], 'error: unable to match a printer suitable for the output format "x"'),
    ],
)
def test_bad_input(args: list[str], stderr: str, on_demo: Cli) -> None:
    result = on_demo("doctor", *args)
    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.startswith(stderr)


def test_the_demo_breaks() -> None:
    listed = invoke("demo", "--break", "list").stdout

    assert [line.split()[0] for line in listed.splitlines()] == list(BREAKS)
    assert (
        invoke("demo", "--break", "nope").stderr
        == 'error: --break: unknown name "nope"; --break list prints the choices\n'
    )
    result = invoke("demo", "--break", "no-metrics-server", "doctor", "metrics-api")
    assert "FAIL  VM102 server of metrics.k8s.io: there is no APIService v1beta1.metrics.k8s.io" in result.stdout


# --------------------------------------------------------------------------------------------------------- catalogue


def test_identifiers_are_unique_and_in_order() -> None:
    ids = [item.id for item in catalogue.CHECKS]

    assert ids == sorted(set(ids))
    areas = dict.fromkeys(item.area for item in catalogue.CHECKS)
    assert tuple(areas) == check.AREAS
    for item in catalogue.CHECKS:
        assert set(item.needs) <= {other.id for other in catalogue.CHECKS}
        for cause in item.causes.values():
            assert cause.text
            assert cause.remedy
            # What a remedy names exists.
            for name in [word.strip(".,:;") for word in cause.remedy.split() if word.startswith("VM")]:
                assert name in ids


REMEDIES = sorted(
    {
        found[0].strip()
        for item in catalogue.CHECKS
        for cause in item.causes.values()
        for found in re.finditer(r"kubectl vmetrics [^;:|,(]+", cause.remedy)
    }
)
EXAMPLES = {"NAME": "acme", "NAMESPACE": "tenants", "COMMAND": "vmi", "YOU": "jane"}


@pytest.mark.parametrize("line", REMEDIES)
def test_a_remedy_is_a_command_that_runs(line: str, path: Path) -> None:
    args = [EXAMPLES.get(word, word) for word in shlex.split(line)[2:]]
    result = invoke(*args, kubeconfig=path)

    assert not result.stderr.startswith("error:"), result.stderr
    assert result.stdout
    # What a check sees is shown by running it, and not by its description.
    assert "doctor" not in args or not re.fullmatch(r"VM\d+", args[-1]) or "--only" in args


def test_the_documentation_is_made_of_the_checks() -> None:
    page = (Path(__file__).parents[2] / "docs" / "checks.md").read_text()

    assert catalogue.table() in page


def test_every_cause_can_be_shown_by_the_demo() -> None:
    """Or why not: these take a cluster that is different from what the demo can be."""
    shown = {(item.check, item.cause) for item in BREAKS.values()}
    left = {(item.id, cause) for item in catalogue.CHECKS for cause in item.causes} - shown

    assert left - {(id_, cause) for id_, cause, _ in SELDOM.values()} == {
        ("VM204", "slow"),
        ("VM404", "balloon"),  # always
        # In tests/doctor/test_kamaji.py:
        ("VM502", "ends"),
        ("VM502", "expired"),
        ("VM503", "no-endpoints"),
        ("VM601", "in-namespace"),  # with -n: test_rights_in_one_namespace
        ("VM602", "power"),  # told, never found to be wrong
    }


def hidden(*paths: str) -> Change:
    return together(*(refuse(path, 403, "Forbidden", "is forbidden") for path in paths))


def condition(**more: str) -> Change:
    def edit(body: Any) -> None:
        body["status"]["conditions"] = [{"type": "Available", "status": "False", **more}] if more else []

    return alter(r"/apis/apiregistration.*", edit)


def fewer(body: Any) -> None:
    del body["items"][2:]


PODS = r"/api/v1/(namespaces/[^/]+/)?pods"
SYSTEM = r"/api/v1/namespaces/kube-system/pods"
SELDOM: dict[str, tuple[str, str, Change]] = {
    "no endpoints, pods hidden": (
        "VM105",
        "EndpointsNotFound",
        together(hidden(SYSTEM), condition(reason="EndpointsNotFound", message="cannot find endpointslices")),
    ),
    "no addresses, pods hidden": (
        "VM105",
        "MissingEndpoints",
        together(hidden(SYSTEM), condition(reason="MissingEndpoints", message="have no addresses")),
    ),
    "not looked at": ("VM105", "unknown", condition()),
    "lists fail": ("VM106", "unavailable", say(r"/apis/metrics\.k8s\.io/.*", "service unavailable\n", 503)),
    "some pods": ("VM107", "some", alter(r"/apis/metrics\.k8s\.io/v1beta1/pods", fewer)),
    "an ill kubelet": (
        "VM202",
        "other",
        say(r"/api/v1/nodes/worker-1/proxy/.*", "Internal Error: failed to list", 500),
    ),
    "hashed names": ("VM302", "hidden", hidden(PODS)),
    "no secrets": ("VM502", "none", refuse(r"/api/v1/namespaces/tenants/secrets/.*", 404, "NotFound", "not found")),
}


@pytest.mark.parametrize("name", SELDOM)
def test_what_the_demo_does_not_break(name: str, served: tuple[Apiserver, str], run: Callable[..., Result]) -> None:
    id_, cause, served[0].change = SELDOM[name]
    found = items(run("-o", "json"))

    expected = next(item for item in catalogue.CHECKS if item.id == id_).causes[cause]
    assert (found[id_]["result"] in ("FAIL", "WARN"), found[id_]["cause"]) == (True, expected.text)
    assert {item["id"] for item in found.values() if item["result"] in ("FAIL", "WARN")} - {id_} <= ALWAYS


def test_limits(run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubelets, "SLOW", 0.0)
    monkeypatch.setattr(credentials, "SOON", 400 * 86_400)
    found = items(run("-o", "json"))

    causes = {item["id"]: item.get("cause") for item in found.values() if item["result"] == "WARN"}
    assert causes["VM204"].startswith("metrics-server times out after 10s")
    assert causes["VM502"].startswith("a client certificate expires soon")


# ------------------------------------------------------------------------------------------------------------ running


def made(id_: str, outcome: Outcome | Exception, *needs: str) -> Check:
    def run(_: Session) -> Outcome:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return Check(id_, "x", id_, {"c": Cause("c", "r")}, run, needs)


def test_a_failure_is_named_at_the_end_of_a_chain(client_of: Callable[[str], Client]) -> None:
    session = Session(client_of("http://127.0.0.1:1"))
    chain = [
        made("A", failed("broken", "c")),
        made("B", passed(""), "A"),
        made("C", passed(""), "B"),
        made("D", passed("")),
    ]
    results = check.run(chain, session)

    assert [result.outcome.found for result in results] == ["broken", "because of A", "because of A", ""]
    with pytest.raises(ValueError, match="depend on each other"):
        check.run([made("A", passed(""), "B"), made("B", passed(""), "A")], session)


def test_what_was_skipped_for_want_of_rights_blocks_nothing(client_of: Callable[[str], Client]) -> None:
    from kubectl_vmetrics.kube.errors import Forbidden

    session = Session(client_of("http://127.0.0.1:1"))
    results = check.run([made("A", Forbidden("no", code=403)), made("B", passed("seen"), "A")], session)

    assert [(item.outcome.result, item.outcome.found) for item in results] == [
        ("SKIP", "not allowed: no"),
        ("PASS", "seen"),
    ]


def test_an_unreachable_cluster(client_of: Callable[[str], Client], tmp_path: Path) -> None:
    result = invoke("doctor", "metrics-api", kubeconfig=write_kubeconfig(tmp_path, "http://127.0.0.1:1"))

    said = "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?\n"
    assert result == (1, "", said)


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"TERM": "xterm", "NO_COLOR": ""}, False), ({}, False)],
)
def test_colours_are_for_terminals_that_want_them(
    variables: dict[str, str], coloured: bool, on_demo: Any, tmp_path: Path
) -> None:
    for line in (("doctor", "vcluster"), ("manifests", "kubevirt", "--check")):
        shown = on_demo(*line, terminal=True, **variables).stdout
        assert ("\033[32mPASS\033[0m  " in shown) is coloured
        assert re.sub(r"\033\[[\d;]*m", "", shown) == on_demo(*line, TERM="xterm").stdout
