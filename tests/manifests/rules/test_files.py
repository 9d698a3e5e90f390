"""The files that are printed: as they are in this folder, and as promtool and the Prometheus Operator accept them.

`python -m tests.manifests.rules.test_files` writes them anew.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl_vmetrics.manifests.rules import render
from kubectl_vmetrics.manifests.rules.names import WAYS
from kubectl_vmetrics.manifests.rules.render import ALERTS, Settings
from tests import schemas
from tests.conftest import invoke

from .promtool import MISSING

FOLDER = Path(__file__).parent
PAGE = (FOLDER.parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")
EVERY_WAY = pytest.mark.parametrize("way", WAYS)


def printed(*words: str) -> str:
    """What `manifests rules` prints."""
    result = invoke("manifests", "rules", *words)
    assert (result.code, result.stderr) == (0, "")
    return result.stdout


def groups(text: str) -> dict[str, list[dict[str, Any]]]:
    """The rules of a file, by group."""
    return {group["name"]: group["rules"] for group in yaml.safe_load(text)["groups"]}


def recorded(text: str) -> list[dict[str, Any]]:
    """The recording rules of a file."""
    return [rule for rules in groups(text).values() for rule in rules if "record" in rule]


@EVERY_WAY
def test_files_are_those_of_this_folder(way: str) -> None:
    assert printed("--names", way, "--raw") == (FOLDER / f"{way}.yaml").read_text(encoding="utf-8")


@MISSING
@EVERY_WAY
def test_promtool_accepts_them(way: str) -> None:
    done = subprocess.run(
        ["promtool", "check", "rules", "--lint=all", "--lint-fatal", str(FOLDER / f"{way}.yaml")],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@EVERY_WAY
def test_each_rule_comes_after_those_that_it_reads(way: str) -> None:
    """Rules of a group are evaluated in order; one that came too early would read what was a minute ago.

    Names alone are read from another group.
    """
    found = groups(printed("--names", way, "--raw", "--only", "recording"))
    assert list(found) == ["vmetrics.names", "vmetrics.usage", "vmetrics.requests", "vmetrics.volumes"][: len(found)]
    known = [rule["record"] for rule in found["vmetrics.names"]]
    for name, rules in found.items():
        names = [rule["record"] for rule in rules]
        assert len(set(names)) == len(names)
        for index, rule in enumerate(rules):
            read = set(re.findall(r"vcluster\w*:\w+:\w+", rule["expr"]))
            assert read <= {*names[:index], *(known if name != "vmetrics.names" else [])}, rule["record"]


@EVERY_WAY
def test_every_series_that_an_alert_reads_is_recorded(way: str) -> None:
    found = groups(printed("--names", way, "--raw"))
    known = {rule["record"] for rules in found.values() for rule in rules if "record" in rule}
    for rule in found["vmetrics.alerts"]:
        assert set(re.findall(r"vcluster\w*:\w+:\w+", rule["expr"])) <= known, rule["alert"]


def test_alerts_that_depend_on_the_way() -> None:
    every = {alert.name for alert in ALERTS}
    missing = {
        way: every - {rule["alert"] for rule in groups(printed("--names", way, "--raw"))["vmetrics.alerts"]}
        for way in WAYS
    }

    about_the_proxy = {"VmetricsProxyBehind", "VmetricsProxyDown"}
    assert missing == {
        "pod-info": set(),
        "kube-state-metrics": {*about_the_proxy, "VmetricsVirtualClusterNotReady"},
        "proxy-labels": {"VmetricsVirtualClusterNotReady"},
        "pod-owner": {
            *about_the_proxy,
            "VmetricsVirtualClusterNotReady",
            "VmetricsVolumeNearlyFull",
            "VmetricsNamesUnresolved",
        },
    }


def test_the_page_has_the_options_of_kube_state_metrics() -> None:
    page = (FOLDER.parents[2] / "docs" / "commands" / "manifests-rules.md").read_text(encoding="utf-8")
    block = page.partition("```yaml\n")[2].partition("```")[0]
    values = yaml.safe_load(block)["kube-state-metrics"]

    assert [
        f"--metric-labels-allowlist={','.join(values['metricLabelsAllowlist'])}",
        f"--metric-annotations-allowlist={','.join(values['metricAnnotationsAllowList'])}",
    ] == list(WAYS["kube-state-metrics"].flags)


def test_ways_differ_in_names_alone() -> None:
    """Two ways record the same series; where virtual names are missing, namespaces and claims are, too."""
    names = {way: [rule["record"] for rule in recorded(printed("--names", way, "--raw"))] for way in WAYS}

    assert names["kube-state-metrics"] == names["proxy-labels"] == names["pod-info"]
    assert names["pod-owner"] == [
        name
        for name in names["pod-info"]
        if not name.startswith(("vcluster_namespace:", "vcluster_claim:", "vcluster:volume_"))
    ]
    pod_info, state = (recorded(printed("--names", way, "--raw")) for way in ("pod-info", "kube-state-metrics"))
    assert [rule["record"] for rule, other in zip(pod_info, state, strict=True) if rule != other] == [
        "vcluster_pod:names:max",
        "vcluster_claim:names:max",
    ]


def test_kube_state_metrics_is_started_without_wildcards() -> None:
    text = printed("--names", "kube-state-metrics", "--raw")
    flags = re.findall(r"(?m)^#   (--metric-(?:labels|annotations)-allowlist)=(\S+)$", text)

    assert flags == [
        (
            "--metric-labels-allowlist",
            "pods=[vcluster.loft.sh/managed-by,vcluster.loft.sh/namespace],"
            "persistentvolumeclaims=[vcluster.loft.sh/managed-by,vcluster.loft.sh/namespace]",
        ),
        (
            "--metric-annotations-allowlist",
            "pods=[vcluster.loft.sh/object-name,vcluster.loft.sh/object-kind],"
            "persistentvolumeclaims=[vcluster.loft.sh/object-name]",
        ),
    ]
    # Every label that the rules read is in them, and nothing else.
    allowed = {re.sub(r"\W", "_", key) for _, value in flags for key in re.findall(r"vcluster[\w./-]+", value)}
    assert allowed == set(re.findall(r"(?:label|annotation)_(vcluster_loft_sh_\w+)", text))


@EVERY_WAY
def test_the_operator_accepts_it(way: str) -> None:
    item = json.loads(printed("--names", way, "-o", "json", "--label", "release=prom", "-n", "mon"))["items"][0]

    schemas.validate(item)
    assert item["metadata"] == {
        "name": "vmetrics",
        "namespace": "mon",
        "labels": {"app.kubernetes.io/name": "vmetrics", "release": "prom"},
    }
    text = (FOLDER / f"{way}.yaml").read_text(encoding="utf-8")
    assert item["spec"] == yaml.safe_load(text)
    as_yaml = printed("--names", way, "--label", "release=prom", "-n", "mon")
    assert yaml.safe_load(as_yaml) == item
    assert as_yaml.partition("---\n")[0] == text.partition("groups:")[0]


@pytest.mark.parametrize("part", ["recording", "alerts"])
def test_one_part_alone(part: str) -> None:
    whole, alone = groups(printed("--raw")), groups(printed("--raw", "--only", part))

    assert alone == {name: rules for name, rules in whole.items() if (name == "vmetrics.alerts") is (part == "alerts")}


@pytest.mark.parametrize(
    ("words", "name"),
    [([], "vmetrics"), (["--only", "recording"], "vmetrics-recording"), (["--only", "alerts"], "vmetrics-alerts")],
)
def test_parts_do_not_replace_each_other(words: list[str], name: str) -> None:
    assert yaml.safe_load(printed(*words))["metadata"]["name"] == name


def test_no_alert_at_all(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.yaml"
    path.write_text("".join(f"{alert.name}: false\n" for alert in ALERTS), encoding="utf-8")

    assert "vmetrics.alerts" not in groups(printed("--raw", "--thresholds", str(path)))
    assert groups(printed("--raw", "--only", "alerts", "--thresholds", str(path))) == {}


def test_expressions_are_lines_that_people_can_read() -> None:
    """No escapes and no folded lines: what is printed is what Prometheus shows."""
    for way in WAYS:
        text = printed("--names", way)
        assert "\\n" not in text
        rules = [rule for group in yaml.safe_load(text)["spec"]["groups"] for rule in group["rules"]]
        for rule in rules:
            for line in rule["expr"].splitlines():
                assert re.search(rf"(?m)^ *(expr: )?{re.escape(line.strip())}$", text)


def test_matchers_are_put_where_they_belong() -> None:
    given = {
        "cadvisor": 'job="cadvisor"',
        "kubelet": 'job="kubelets",node!=""',
        "kube-state-metrics": 'job=~"ksm|kube-state"',
        "dcgm": 'app="dcgm"',
        "kubevirt": 'job="kv"',
    }
    words = [word for name, matchers in given.items() for word in (f"--{name}-selector", matchers)]
    text = printed("--raw", *words)

    usual = printed("--raw")
    for matchers in given.values():
        assert matchers in text
    for matchers in (
        'job="kubelet",metrics_path="/metrics/cadvisor"',
        'job="kubelet"',
        'job="kube-state-metrics"',
        'job=~"(nvidia-)?dcgm-exporter"',
        'job="kubevirt-prometheus-metrics"',
    ):
        assert matchers in usual
        assert matchers not in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--names", "labels"],
            '--names: unknown "labels"; choose from pod-info, kube-state-metrics, proxy-labels, pod-owner',
        ),
        (["--only", "some"], '--only: unknown "some"; choose from recording, alerts'),
        (["--raw", "--label", "a=b"], "--raw prints a rule file in YAML, without labels"),
        (["--raw", "-o", "json"], "--raw prints a rule file in YAML, without labels"),
        (["-o", "wide"], "-o wide: manifests are printed as yaml or json"),
        (["--label", "x"], "--label: 'x' is not a label KEY=VALUE"),
        (
            ["-n", "A"],
            "-n: 'A' is not a valid name: use lower case letters, digits and '-', at most 63 characters",
        ),
        *(
            (
                [f"--{name}-selector", text],
                f'--{name}-selector: {text!r} is not a list of matchers such as job="kubelet",node!=""',
            )
            for name, text in (
                ("cadvisor", "kubelet"),
                ("kubelet", "job=kubelet"),
                ("kube-state-metrics", 'job="a"} or vector(1) or x{'),
                ("dcgm", 'job="a'),
                ("kubevirt", 'job=="a"'),
            )
        ),
        (["--thresholds", "missing.yaml"], 'the path "missing.yaml" does not exist'),
        (["--thresholds", ""], 'the path "" does not exist'),
        (["--thresholds", "."], "--thresholds .: Is a directory"),
    ],
)
def test_wrong_options(words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("manifests", "rules", *words)

    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[0] == f"error: {message}"


def test_every_alert_has_a_heading_and_every_heading_an_alert() -> None:
    names = [alert.name for alert in ALERTS]

    assert re.findall(r"(?m)^## (.+)$", PAGE) == names
    assert re.findall(r"(?m)^\| \[(\w+)\]\(#(\w+)\)", PAGE) == [(name, name.lower()) for name in names]
    for alert in ALERTS:
        assert re.fullmatch(r"Vmetrics([A-Z][a-z]+)+", alert.name)
        section = PAGE.partition(f"\n## {alert.name}\n")[2].partition("\n## ")[0]
        assert [word for word in ("**Meaning.**", "**Look at", "**Do.**") if word in section] == [
            "**Meaning.**",
            "**Look at",
            "**Do.**",
        ]


@EVERY_WAY
def test_runbooks_lead_to_the_headings(way: str) -> None:
    for rule in groups(printed("--names", way, "--raw"))["vmetrics.alerts"]:
        assert rule["annotations"]["runbook_url"] == (
            f"https://github.com/kubectl-vmetrics/kubectl-vmetrics/blob/main/docs/alerts.md#{rule['alert'].lower()}"
        )
        assert rule["labels"] == {"severity": rule["labels"]["severity"]}
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}


if __name__ == "__main__":
    for name, chosen in WAYS.items():
        (FOLDER / f"{name}.yaml").write_text(render.rule_file(Settings(way=chosen)), encoding="utf-8")
