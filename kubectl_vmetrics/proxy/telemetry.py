"""What the proxy tells of itself at /metrics."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable

from kubectl_vmetrics.metrics.exposition import escape


class Telemetry:
    """Counters; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[int] = Counter()
        self._upstream_errors = 0
        self._bytes = 0
        self._seconds = 0.0

    def answered(self, code: int) -> None:
        """A request was answered with a status."""
        with self._lock:
            self._requests[code] += 1

    def failed(self) -> None:
        """The host refused, or did not answer."""
        with self._lock:
            self._upstream_errors += 1

    def rewrote(self, count: int, seconds: float) -> None:
        """So many bytes were answered, in so many seconds."""
        with self._lock:
            self._bytes += count
            self._seconds += seconds

    def exposition(self, maps: Iterable[tuple[str, int, float]]) -> bytes:
        """Prometheus text."""
        with self._lock:
            requests, errors = dict(self._requests), self._upstream_errors
            count, seconds = self._bytes, self._seconds
        sizes = [(f'{{vcluster="{escape(path).decode()}"}}', size, age) for path, size, age in maps]
        families: list[tuple[str, str, str, list[tuple[str, float]]]] = [
            (
                "requests_total",
                "counter",
                "Requests, by status.",
                [(f'{{code="{c}"}}', n) for c, n in sorted(requests.items())],
            ),
            ("upstream_errors_total", "counter", "Requests to the host that failed.", [("", errors)]),
            ("rewritten_bytes_total", "counter", "Bytes of rewritten answers.", [("", count)]),
            (
                "rewrite_seconds_total",
                "counter",
                "Time until answers were written, the host's included.",
                [("", seconds)],
            ),
            ("map_objects", "gauge", "Pods and claims in a map.", [(labels, size) for labels, size, _ in sizes]),
            ("map_age_seconds", "gauge", "Time since a map was made.", [(labels, age) for labels, _, age in sizes]),
        ]
        lines = []
        for name, kind, text, samples in families:
            full = f"vmetrics_proxy_{name}"
            lines += [f"# HELP {full} {text}", f"# TYPE {full} {kind}"]
            lines += [f"{full}{labels} {value}" for labels, value in samples]
        return "".join(f"{line}\n" for line in lines).encode()
