"""Recording rules over the recorded Prometheus, as if they had been there.

promtool evaluates rules on what a Prometheus already holds, so rules that read others come in later passes. It writes no
staleness markers, with which Prometheus ends a recorded series at the next evaluation: recorded series are looked back
at for less than one interval instead.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import invoke
from tests.prometheus import answering, blocks, instant_query, promtool, range_query, unpack
from tests.truth.oracle import moment

WAYS = ("pod-info", "kube-state-metrics", "proxy-labels", "pod-owner")
"""Values of --names."""
START, END = moment("16:05:00"), moment("16:43:00")
INTERVAL = 60
RULES, GROUP = "rules.yaml", "recorded-1741"
"""Prometheus delays a group by a hash of its file and name. With these, rules run just before each full minute."""
FRESH = "--query.lookback-delta=59s"
RECORDED = re.compile(r"\bvcluster\w*:\w+:\w+")


ALSO = "both-jobs"
"""Names from kube-state-metrics, and usage from all that has cAdvisor's series: the kubelet's job and the proxy's."""
SELECTORS = {
    "proxy-labels": ['--cadvisor-selector=job="vmetrics-cadvisor"'],
    ALSO: ['--cadvisor-selector=job=~"kubelet|vmetrics-cadvisor"'],
}
"""The proxy's job had a name of its own when this was recorded."""


def rules(way: str) -> list[dict[str, Any]]:
    """The recording rules that `manifests rules` prints for a way of naming."""
    names = "kube-state-metrics" if way == ALSO else way
    result = invoke("manifests", "rules", "--raw", f"--names={names}", *SELECTORS.get(way, []))
    assert result.code == 0, result.stderr
    groups = yaml.safe_load(result.stdout)["groups"]
    return [rule for group in groups for rule in group["rules"] if "record" in rule]


def passes(found: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Rules in an order in which each comes after those that it reads; rules of the same pass read none of each other."""
    left, known = list(found), {rule["record"] for rule in found}
    made = []
    while left:
        done = known - {rule["record"] for rule in left}
        ready = [rule for rule in left if needs(rule) & known <= done]
        assert ready, "rules read each other in circles"
        made.append([{**rule, "expr": ending(rule["expr"])} for rule in ready])
        left = [rule for rule in left if rule not in ready]
    return made


def ending(expression: str) -> str:
    """With recorded series that end when they are not recorded any more."""
    return re.sub(rf"({RECORDED.pattern})(\{{[^}}]*\}})?(?![\w:\[])", r"last_over_time(\1\2[59s])", expression)


def needs(rule: dict[str, Any]) -> set[str]:
    """Recorded series that a rule reads."""
    return set(RECORDED.findall(rule["expr"]))


@contextlib.contextmanager
def recorded(folder: Path, *more: str) -> Iterator[str]:
    """A Prometheus with what a folder holds; gives its URL."""
    with answering({"scrape_configs": []}, folder, "--storage.tsdb.retention.time=100y", *more) as url:
        yield url


def evaluate(folder: Path, found: Sequence[dict[str, Any]]) -> None:
    """Add to the data in a folder what rules make of it, once a minute."""
    for part in passes(found):
        group = {"name": GROUP, "interval": f"{INTERVAL}s", "rules": part}
        (folder / RULES).write_text(json.dumps({"groups": [group]}))
        with recorded(folder) as url:
            promtool(
                *("tsdb", "create-blocks-from", "rules", f"--url={url}", f"--start={START}", f"--end={END}"),
                *(f"--eval-interval={INTERVAL}s", "--output-dir=data", RULES),
                folder=folder,
            )


def made_up_names(folder: Path) -> str:
    """What /metrics/names of the proxy would have served, made up from kube-state-metrics and the recorded claims.

    Each pod is there from the first to the last time that kube-state-metrics knew it, gaps included, and for four
    minutes more. The recording has neither labels nor annotations of claims: the two synced ones are named here.
    """
    labels, at = {}, {}
    with recorded(folder) as url:
        for series in range_query(url, 'kube_pod_labels{label_vcluster_loft_sh_managed_by!=""}', START - 60, END, 15):
            metric, times = series["metric"], [int(time) for time, _ in series["values"]]
            labels[metric["uid"]] = metric["label_vcluster_loft_sh_managed_by"], metric["namespace"], metric["pod"]
            at.setdefault(metric["uid"], []).extend(times)
        names = range_query(url, 'kube_pod_annotations{annotation_vcluster_loft_sh_object_name!=""}', START, END, 15)
    made: dict[str, list[str]] = {
        "vcluster_pod_info": [],
        "vcluster_persistentvolumeclaim_info": [],
        "vcluster_info": [],
    }
    virtual = {series["metric"]["uid"]: series["metric"] for series in names}
    target = 'cluster="lab",job="vmetrics-names",instance="vmetrics"'
    for uid, (name, namespace, pod) in labels.items():
        metric = virtual[uid]
        text = (
            f'{target},namespace="{namespace}",pod="{pod}",uid="{uid}",vcluster_name="{name}",'
            f'vcluster_host_namespace="{namespace}",'
            f'vcluster_virtual_namespace="{metric["annotation_vcluster_loft_sh_object_namespace"]}",'
            f'vcluster_virtual_pod="{metric["annotation_vcluster_loft_sh_object_name"]}"'
        )
        last = min(END, max(at[uid]) + 240)
        made["vcluster_pod_info"] += [
            f"vcluster_pod_info{{{text}}} 1 {time}" for time in range(min(at[uid]), last + 1, 15)
        ]
    always = range(START - 60, END + 1, 15)
    for namespace, name in (("team-a", "vc1"), ("team-b", "vc2"), ("team-c", "vc1")):
        owner = f'{target},vcluster_host_namespace="{namespace}",vcluster_name="{name}"'
        made["vcluster_info"] += [
            f'vcluster_info{{{owner},version="0.37.0",status="Running"}} 1 {time}' for time in always
        ]
        if namespace != "team-c":
            claim = (
                f'{owner},namespace="{namespace}",persistentvolumeclaim="store-x-data-x-{name}",uid="made-up",'
                'vcluster_virtual_namespace="data",vcluster_virtual_persistentvolumeclaim="store"'
            )
            made["vcluster_persistentvolumeclaim_info"] += [
                f"vcluster_persistentvolumeclaim_info{{{claim}}} 1 {time}" for time in always
            ]
    return "\n".join(line for lines in made.values() for line in lines) + "\n# EOF\n"


def build(way: str, folder: Path) -> None:
    """Make the data of a Prometheus: the recording, and what the rules of a way of naming made of it."""
    unpack(folder)
    if way == "pod-info":
        blocks(folder, made_up_names(folder))
    evaluate(folder, rules(way))


def series(url: str, name: str) -> list[dict[str, Any]]:
    """All series of a name that there ever were."""
    return instant_query(url, f"count_over_time({name}[{END - START + INTERVAL}s])", END)


def each_minute(url: str, expression: str, *labels: str) -> dict[tuple[str, ...], dict[int, float]]:
    """Values by the labels' values and by time."""
    found: dict[tuple[str, ...], dict[int, float]] = {}
    for series in range_query(url, expression, START, END, INTERVAL):
        key = tuple(series["metric"].get(label, "") for label in labels)
        assert key not in found, f"{expression}: {key} twice"
        found[key] = {int(time): float(value) for time, value in series["values"]}
    return found


def at(url: str, expression: str, time: float, *labels: str) -> dict[tuple[str, ...], float]:
    """Values by the labels' values, at one time."""
    found: dict[tuple[str, ...], float] = {}
    for series in instant_query(url, expression, time):
        key = tuple(series["metric"].get(label, "") for label in labels)
        assert key not in found, f"{expression}: {key} twice"
        found[key] = float(series["value"][1])
    return found
