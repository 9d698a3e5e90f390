"""Alerts on the recorded host: no query fails at any minute, and what would fire is true."""

from __future__ import annotations

import itertools

import pytest
import yaml

from tests.conftest import invoke
from tests.prometheus import MISSING, range_query
from tests.truth.conftest import Prometheus
from tests.truth.evaluated import END, INTERVAL, SELECTORS, START, WAYS

pytestmark = MISSING

THROTTLED = {
    ("team-a", "burner-x-default-x-vc1"),
    ("team-a", "sized-8458b59c94-5jxfn-x-shop-x-vc1"),
    ("team-b", "burner-x-default-x-vc2"),
    ("team-b", "sized-x-default-x-vc2"),
}
"""Pods that try to use more than their limits for more than 15 minutes. The hashed one does, for ten."""


def minutes(text: str) -> int:
    """Of a duration as the rules have them: 15m, 0s."""
    return int(text[:-1]) if text.endswith("m") else 0


@pytest.mark.parametrize("way", WAYS)
def test_what_fires_is_true(way: str, prometheus_by: Prometheus) -> None:
    """Neither two minutes without kube-state-metrics nor two of them at once nor recreated pods raise an alarm."""
    printed = invoke("manifests", "rules", "--raw", "--only=alerts", f"--names={way}", *SELECTORS.get(way, []))
    rules = [rule for group in yaml.safe_load(printed.stdout)["groups"] for rule in group["rules"]]
    assert {"VmetricsQuotaNearLimit", "VmetricsNamesAbsent"} <= {rule["alert"] for rule in rules}
    firing: dict[str, set[tuple[str, str]]] = {}
    for rule in rules:
        for series in range_query(prometheus_by(way), rule["expr"], START, END, INTERVAL):
            times = [round(float(time)) for time, _ in series["values"]]
            longest = run = 1
            for before, after in itertools.pairwise(times):
                run = run + 1 if after - before == INTERVAL else 1
                longest = max(longest, run)
            if longest > minutes(rule["for"]):
                pod = (series["metric"].get("namespace", ""), series["metric"].get("pod", ""))
                firing.setdefault(rule["alert"], set()).add(pod)

    # The recorded scrape of the proxy kept no counters of throttling.
    assert firing == ({} if way == "proxy-labels" else {"VmetricsPodThrottled": THROTTLED})
