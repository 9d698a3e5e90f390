"""Control planes, machines and the doctor, on any cluster."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import invoke
from tests.e2e.conftest import USER, Cluster

VERDICTS = {"Healthy", "Degraded", "Unknown", "Sleeping", "Paused", "Down"}


@pytest.fixture(scope="module")
def planes(cluster: Cluster) -> list[dict[str, Any]]:
    result = cluster.run("controlplanes", "-A", "--interval=5s", "-o", "json")
    if not result.stdout:
        pytest.skip(result.stderr)
    found: list[dict[str, Any]] = json.loads(result.stdout)["items"]
    return found


def test_control_planes_answer_through_port_forwards(planes: list[dict[str, Any]]) -> None:
    """Of virtual clusters that run: their apiserver, with the certificate of their own Secret."""
    for item in planes:
        if item["controlPlaneKind"] != "vcluster" or item["status"] != "Running":
            continue
        apiservers = [part for part in item["components"] if part["name"] == "apiserver"]
        assert apiservers
        for part in apiservers:
            assert part["up"], part
            assert part["version"].startswith("v1.")
            assert part["memoryBytes"] > 1 << 20


def test_verdicts_have_reasons(planes: list[dict[str, Any]]) -> None:
    for item in planes:
        assert (item["verdict"] in ("Degraded", "Unknown")) <= bool(item["reasons"] or item["notes"]), item
        # A control plane that nobody could look at is not known to be ill.
        if item["verdict"] == "Degraded" and item["components"]:
            assert any(part["up"] for part in item["components"])


@pytest.mark.parametrize("flag", ["--fail-on-problems", "--fail-on-unknown"])
def test_exit_codes_are_those_of_the_verdicts(flag: str, planes: list[dict[str, Any]], cluster: Cluster) -> None:
    found = {item["verdict"] for item in planes}
    wanted = {"--fail-on-problems": {"Degraded"}, "--fail-on-unknown": {"Degraded", "Unknown"}}[flag]
    code = cluster.run("controlplanes", "-A", "--interval=5s", flag).code

    assert code == int(bool(found & wanted))


def test_lost_in_the_table_is_lost_in_the_document(planes: list[dict[str, Any]]) -> None:
    for item in planes:
        for part in item["components"]:
            if part.get("connectionErrorsGrown"):
                assert any(part["name"] in reason for reason in item["reasons"]), item


def test_forwarding_takes_both_verbs_and_the_roles_that_are_printed_hold_them(cluster: Cluster) -> None:
    objects = list(yaml.safe_load_all(invoke("manifests", "rbac", "--for=controlplanes", f"--user={USER}").stdout))
    rules = [rule for item in objects for rule in item.get("rules", []) if "pods/portforward" in rule["resources"]]
    assert [set(rule["verbs"]) for rule in rules] == [{"get", "create"}]

    before = cluster.run("controlplanes", "-A", "--interval=1s", f"--as={USER}")
    assert (before.code, before.stdout) == (1, "")
    assert f'User "{USER}" cannot list resource ' in before.stderr
    assert "in the namespace" not in before.stderr
    with cluster.grant(objects):
        allowed, mine = (
            cluster.items("controlplanes", "-A", "--interval=1s", *more) for more in ([f"--as={USER}"], [])
        )
    ours = {(item["metadata"]["namespace"], item["metadata"]["name"]) for item in allowed}
    assert ours <= {(item["metadata"]["namespace"], item["metadata"]["name"]) for item in mine}
    assert any(part["up"] for item in allowed for part in item["components"]) == any(
        part["up"] for item in mine for part in item["components"]
    )
    after = cluster.run("controlplanes", "-A", "--interval=1s", f"--as={USER}")
    assert (after.code, after.stdout) == (1, "")


@pytest.mark.parametrize("missing", ["get", "create"])
def test_one_verb_alone_is_refused_and_the_hint_names_what_is_missing(missing: str, cluster: Cluster) -> None:
    objects = list(yaml.safe_load_all(invoke("manifests", "rbac", "--for=controlplanes", f"--user={USER}").stdout))
    for item in objects:
        for rule in item.get("rules", []):
            if "pods/portforward" in rule["resources"]:
                rule["verbs"] = [verb for verb in rule["verbs"] if verb != missing]
    with cluster.grant(objects):
        result = cluster.run("controlplanes", "-A", "--interval=1s", "--kind=vcluster", f"--as={USER}")
    if not result.stdout:
        pytest.skip(result.stderr)

    assert "pods/portforward" in result.stderr
    assert missing in result.stderr


def test_scrape_configurations_are_ones(cluster: Cluster, tmp_path: Path) -> None:
    """promtool takes it, and no two control planes share a file."""
    text = cluster.run("targets", "controlplanes", "-o", "scrape-config").stdout
    jobs = (yaml.safe_load(text) or {}).get("scrape_configs") or []
    files: dict[str, tuple[str, str]] = {}
    for job in jobs:
        path = (job.get("tls_config") or {}).get("cert_file")
        for labels in (found.get("labels", {}) for found in job.get("static_configs", []) if path):
            owner = (labels["kind"], labels["cluster"])
            assert files.setdefault(path, owner) == owner
            assert labels["cluster"].replace("/", ".") in path
    if jobs and shutil.which("promtool"):
        (tmp_path / "prometheus.yml").write_text(text)
        done = subprocess.run(
            ["promtool", "check", "config", "--syntax-only", str(tmp_path / "prometheus.yml")],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_checks_of_manifests_judge_every_tenant(cluster: Cluster, planes: list[dict[str, Any]]) -> None:
    for item in planes:
        meta, kind = item["metadata"], item["controlPlaneKind"]
        if kind == "kamaji" and not any(part["name"] == "apiserver" for part in item["components"]):
            continue  # its operator, or a datastore
        result = cluster.run("manifests", kind, meta["name"], "-n", meta["namespace"], "--check", "-o", "json")
        found = json.loads(result.stdout)["items"]
        assert {part["check"] for part in found} >= {"credential", "service-monitor"}
        assert result.code == int(any(part["result"] == "FAIL" for part in found))
        slashed = cluster.run("manifests", kind, f"{meta['namespace']}/{meta['name']}", "--check", "-o", "json")
        assert json.loads(slashed.stdout)["items"] == found


# ------------------------------------------------------------------------------------------------------- machines


def test_a_second_look_at_machines_does_not_wait(cluster: Cluster) -> None:
    first = cluster.run("vmi", "-A", "--interval=5s", "-o", "json")
    if first.code or not json.loads(first.stdout)["items"]:
        pytest.skip(first.stderr or "there are no virtual machines")
    started = time.monotonic()
    second = cluster.run("vmi", "-A", "--interval=5s", "-o", "json")

    assert time.monotonic() - started < 4.5
    keys = [[item["metadata"] for item in json.loads(result.stdout)["items"]] for result in (first, second)]
    assert keys[0] == keys[1]
    running = [item for item in json.loads(second.stdout)["items"] if item.get("status") == "Running"]
    assert all("cpuCores" in json.dumps(item) or "cpu" in json.dumps(item) for item in running)


def test_kubevirts_own_check_says_why(cluster: Cluster) -> None:
    result = cluster.run("manifests", "kubevirt", "--check", "-o", "json")
    if not result.stdout:
        pytest.skip(result.stderr)
    found = json.loads(result.stdout)["items"]

    assert result.code == int(any(item["result"] == "FAIL" for item in found))
    assert all(item.get("remedy") for item in found if item["result"] == "FAIL")


# --------------------------------------------------------------------------------------------------------- doctor


def test_the_doctor_gives_an_answer(cluster: Cluster) -> None:
    found = cluster.run("doctor", "-o", "json")
    items = {item["id"]: item for item in json.loads(found.stdout)["items"]}

    assert found.stderr == ""
    assert {item["result"] for item in items.values()} <= {"PASS", "WARN", "FAIL", "SKIP"}
    # Nothing found is nothing passed.
    assert not [item for item in items.values() if item["result"] == "PASS" and item["found"].startswith("0 ")]
    # cgroup v1 knows no pressure.
    if items["VM205"]["result"] == "WARN":
        assert items["VM206"]["result"] != "PASS"


def test_one_check_alone_shows_its_evidence(cluster: Cluster) -> None:
    (found,) = cluster.items("doctor", "--only", "VM201")
    assert found["id"] == "VM201"
    assert "VM201" in cluster.run("doctor", "--only", "VM201").stdout


# ---------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("top pods -A", 'cannot list resource "pods" in API group "metrics.k8s.io" at the cluster scope'),
        ("top nodes", 'cannot list resource "nodes" in API group "metrics.k8s.io" at the cluster scope'),
        ("controlplanes -A", "at the cluster scope"),
        ("components -A", ""),
    ],
)
def test_nobody_is_told_which_right_is_missing(line: str, said: str, cluster: Cluster) -> None:
    result = cluster.run(*line.split(), "--as=vmetrics-e2e-nobody")

    assert (result.code, result.stdout) == (1, "")
    assert said in result.stderr
    assert "in the namespace" not in result.stderr


def test_bad_input(cluster: Cluster) -> None:
    formats = cluster.run("targets", "-o", "foo").stderr
    assert all(name in formats for name in ("scrape-config", "http-sd", "file-sd"))
    started = time.monotonic()
    unreachable = invoke("proxy", "-s", "http://127.0.0.1:1", "--port=0")
    assert (unreachable.code, unreachable.stdout) == (1, "")
    assert "127.0.0.1:1" in unreachable.stderr
    assert time.monotonic() - started < 20
