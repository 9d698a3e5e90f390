"""Whether a ServiceMonitor that leaves out buckets of an apiserver's histograms keeps those that are needed. Pure."""

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
"""Bounds in seconds that the recording rules of the kubernetes-mixin need."""
_SMALL = ("0.005", "0.025")
"""Those between which most requests lie; without them, a quantile of 5 ms is shown as one of 49."""
_WHOLE = ("2", "3", "4", "6", "8", "10", "15", "20", "45", "60")


def check(monitor: ServiceMonitor) -> Iterator[Finding]:
    """The rule that leaves out buckets of the apiserver's histograms, where there is one."""
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
            f"{monitor.path} drops the bounds {', '.join(lost)}, which the field's recording rules need",
            "keep them",
        )
    first = _HISTOGRAMS[0]
    if small := [bound for bound in _SMALL if _drops(dropping, first, bound)]:
        yield Finding(
            "buckets",
            WARN,
            f"{monitor.path} drops the bounds {', '.join(small)}: latencies below 50 ms cannot be told apart",
            "keep them",
        )
    apart = [b for b in _WHOLE if _drops(dropping, first, b) != _drops(dropping, first, f"{b}.0")]
    if apart:
        yield Finding(
            "buckets",
            WARN,
            f"{monitor.path} drops the bounds {', '.join(apart)} on Prometheus 2 only: 3 writes {apart[0]}.0",
            r"in its regex: (\.0)?",
        )
    kept = [name for name in _HISTOGRAMS if not any(_drops(dropping, name, bound) for bound in (*_SMALL, *_WHOLE))]
    if kept:
        yield Finding(
            "buckets", WARN, f"{monitor.path} drops no buckets of {', '.join(kept)}, which are as many", "add them"
        )


def _drops(rules: Sequence[Relabeling], name: str, bound: str) -> bool:
    for item in rules:
        try:
            if re.fullmatch(item.regex, f"{name};{bound}"):
                return True
        except re.error:  # RE2 knows what Python does not; what cannot be tried is taken for no match
            continue
    return False
