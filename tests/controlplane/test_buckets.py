"""Rules that leave out buckets of an apiserver's histograms, and what is missing afterwards."""

from __future__ import annotations

import msgspec
import pytest

from kubectl_vmetrics.controlplane import buckets
from kubectl_vmetrics.manifests.controlplane import DROP
from kubectl_vmetrics.metrics.monitors import ServiceMonitor

ALL = (
    "(apiserver_request_duration_seconds|apiserver_request_sli_duration_seconds|etcd_request_duration_seconds)_bucket;"
)
FIRST = "apiserver_request_duration_seconds_bucket;"


def monitor(regex: str, action: str = "drop", sources: tuple[str, ...] = ("__name__", "le")) -> ServiceMonitor:
    rule = {"action": action, "sourceLabels": list(sources), "regex": regex}
    found = {"metadata": {"name": "m", "namespace": "n"}, "spec": {"endpoints": [{"metricRelabelings": [rule]}]}}
    return msgspec.convert(found, ServiceMonitor)


@pytest.mark.parametrize(
    ("regex", "expected"),
    [
        (str(DROP["regex"]), []),
        (f"{ALL}(3)(\\.0)?", []),
        (
            f"{ALL}(0\\.005|0\\.025|3(\\.0)?)",
            [("WARN", "n/m drops the bounds 0.005, 0.025, so latencies below 50 ms cannot be distinguished")],
        ),
        (f"{ALL}0\\.025", [("WARN", "n/m drops the bounds 0.025, so latencies below 50 ms cannot be distinguished")]),
        (
            f"{ALL}(1|5|30)(\\.0)?|{ALL}3(\\.0)?",
            [("FAIL", "n/m drops the bounds 1, 5, 30, which the recording rules of kubernetes-mixin need")],
        ),
        (f"{ALL}3", [("WARN", "n/m drops the bounds 3 on Prometheus 2 only; version 3 writes 3.0")]),
        (
            f"{FIRST}3(\\.0)?",
            [
                (
                    "WARN",
                    "n/m drops no buckets of apiserver_request_sli_duration_seconds_bucket, "
                    "etcd_request_duration_seconds_bucket, which has as many",
                )
            ],
        ),
    ],
)
def test_what_is_left_out(regex: str, expected: list[tuple[str, str]]) -> None:
    assert [(item.result, item.found) for item in buckets.check(monitor(regex))] == expected


@pytest.mark.parametrize(
    "item",
    [
        monitor(f"{ALL}1", action="keep"),
        monitor(f"{ALL}1", sources=("le",)),
        msgspec.convert({"metadata": {"name": "m"}}, ServiceMonitor),
    ],
)
def test_other_rules_are_not_judged(item: ServiceMonitor) -> None:
    assert list(buckets.check(item)) == []


def test_a_regex_that_only_prometheus_knows_matches_nothing() -> None:
    assert {item.result for item in buckets.check(monitor("(?P<x>a)(?P<x>b)"))} == {"WARN"}
