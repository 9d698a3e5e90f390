"""What the proxy tells of itself at /metrics."""

from __future__ import annotations

import threading
from collections import Counter

from kubectl_vmetrics.vcluster.informer import Informer

UPSTREAMS = ("kubelet", "metrics-api", "api")


class Telemetry:
    """Counters; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[int] = Counter()
        self._failures: Counter[str] = Counter()
        self._bytes = 0
        self._seconds = 0.0

    def answered(self, code: int) -> None:
        """A request was answered with a status."""
        with self._lock:
            self._requests[code] += 1

    def failed(self, upstream: str) -> None:
        """The host refused, or did not answer, or not to the end: a kubelet, metrics-api, or the api itself."""
        with self._lock:
            self._failures[upstream] += 1

    def rewrote(self, count: int, seconds: float) -> None:
        """So many bytes were answered, in so many seconds."""
        with self._lock:
            self._bytes += count
            self._seconds += seconds

    def exposition(self, informer: Informer) -> bytes:
        """Prometheus text, with what is to say of the map."""
        with self._lock:
            requests, failures = dict(self._requests), {**dict.fromkeys(UPSTREAMS, 0), **self._failures}
            count, seconds = self._bytes, self._seconds
        families: list[tuple[str, str, str, list[tuple[str, float]]]] = [
            (
                "requests_total",
                "counter",
                "Requests, by status.",
                [(f'{{code="{c}"}}', n) for c, n in sorted(requests.items())],
            ),
            (
                "upstream_errors_total",
                "counter",
                "Requests to the host that failed, by who failed.",
                [(f'{{upstream="{name}"}}', n) for name, n in sorted(failures.items())],
            ),
            ("rewritten_bytes_total", "counter", "Bytes of rewritten answers.", [("", count)]),
            (
                "rewrite_seconds_total",
                "counter",
                "Time until answers were written, the host's included.",
                [("", seconds)],
            ),
            ("map_objects", "gauge", "Pods and claims in the map.", [("", len(informer))]),
            (
                "map_age_seconds",
                "gauge",
                "Time for which the map may have missed changes; 0 while its watches are well.",
                [("", informer.silence())],
            ),
            (
                "map_watch_failures_total",
                "counter",
                "Lists and watches that failed or broke off.",
                [("", informer.cuts())],
            ),
        ]
        lines = []
        for name, kind, text, samples in families:
            full = f"vmetrics_proxy_{name}"
            lines += [f"# HELP {full} {text}", f"# TYPE {full} {kind}"]
            lines += [f"{full}{labels} {value}" for labels, value in samples]
        return "".join(f"{line}\n" for line in lines).encode()
