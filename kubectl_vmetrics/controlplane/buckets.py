"""Whether a ServiceMonitor that drops buckets of an apiserver's histograms keeps the necessary ones. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kubectl_vmetrics.metrics.findings import FAIL, WARN, Finding
from kubectl_vmetrics.metrics.monitors import Relabeling, ServiceMonitor

_HISTOGRAMS = (
    "apiserver_request_duration_seconds_bucket",
    "apiserver_request_sli_duration_seconds_bucket",
    "etcd_request_duration_seconds_bucket",
)
_OBJECTIVES = ("1", "5", "30")
"""Bounds in seconds that the recording rules of kubernetes-mixin need."""
_SMALL = ("0.005", "0.025")
"""The range of most requests; without these bounds, a quantile of 5 ms is reported as 49 ms."""
_WHOLE = ("2", "3", "4", "6", "8", "10", "15", "20", "45", "60")


def check(monitor: ServiceMonitor) -> Iterator[Finding]:
    """The rule that drops buckets of the apiserver's histograms, if there is one."""
    dropping = [
        item
        for endpoint in monitor.spec.endpoints
        for item in endpoint.metric_relabelings
        if item.action.lower() == "drop" and item.sources == ["__name__", "le"]
    ]
    if not dropping:
        return
    if lost := [bound for bound in _OBJECTIVES if _drops(dropping, _HISTOGRAMS[1], bound)]:
        yield Finding(
            "buckets",
            FAIL,
            f"{monitor.path} drops the bounds {', '.join(lost)}, which the recording rules of kubernetes-mixin need",
            "keep them",
        )
    first = _HISTOGRAMS[0]
    if small := [bound for bound in _SMALL if _drops(dropping, first, bound)]:
        yield Finding(
            "buckets",
            WARN,
            f"{monitor.path} drops the bounds {', '.join(small)}, so latencies below 50 ms cannot be distinguished",
            "keep them",
        )
    apart = [b for b in _WHOLE if _drops(dropping, first, b) != _drops(dropping, first, f"{b}.0")]
    if apart:
        yield Finding(
            "buckets",
            WARN,
            f"{monitor.path} drops the bounds {', '.join(apart)} on Prometheus 2 only; version 3 writes {apart[0]}.0",
            r"add (\.0)? to the regex",
        )
    kept = [name for name in _HISTOGRAMS if not any(_drops(dropping, name, bound) for bound in (*_SMALL, *_WHOLE))]
    if kept:
        yield Finding(
            "buckets",
            WARN,
            f"{monitor.path} drops no buckets of {', '.join(kept)}, which has as many",
            "add it to the rule",
        )


def _drops(rules: Sequence[Relabeling], name: str, bound: str) -> bool:
    for item in rules:
        try:
            if re.fullmatch(item.regex, f"{name};{bound}"):
                return True
        except re.error:  # RE2 has syntax that Python does not; a regex that does not compile counts as no match
            continue
    return False
