"""When a Prometheus has data of the kubelets: what to say where there is none at a moment."""

from __future__ import annotations

import time
from datetime import datetime, timezone

from kubectl_vmetrics.prometheus.api import Prometheus

DAY, MONTH = 86_400.0, 30 * 86_400.0
_WITNESSES = "machine_memory_bytes|kubelet_running_pods|kube_node_info"
"""Series of every host, few of them."""
_STEPS = (DAY, 300.0), (MONTH, 3600.0)
"""How far around the moment is looked, and at which steps: first near it, then far."""


def explain(server: Prometheus, at: float) -> str:
    """Between which times there is data, for a moment at which there is none. Raises as Prometheus.query."""
    return f"{server.name} has no container metrics at {written(at)}: {_where(server, at)}"


def written(at: float) -> str:
    """A moment as RFC 3339."""
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _where(server: Prometheus, at: float) -> str:
    matchers = ",".join(filter(None, [f'__name__=~"{_WITNESSES}"', server.matchers]))
    chosen = f"{{{matchers}}}"
    now = time.time()
    for far, step in _STEPS:
        end = max(at, min(now, at + far))
        times = [
            float(moment)
            for part in server.parts(f"group({chosen})", at - far, end, step, series=1)
            for series in part.series
            for moment, _ in series.values
        ]
        before, after = [t for t in times if t < at], [t for t in times if t > at]
        if before and after:
            return f"there is a gap between {written(max(before))} and {written(min(after))}"
        if times:
            return f"it has data {_between(times, at - far, end, 2 * step)}"
    oldest = server.oldest(chosen, now=now)
    if oldest is None:
        return "it has none of the last days either; run `kubectl vmetrics doctor prometheus` to find out why"
    return f"it has data from {written(oldest)} to now"


def _between(times: list[float], start: float, end: float, near: float) -> str:
    """From when to when; what reaches as far as was looked may go on."""
    first, last = min(times), max(times)
    if first - start <= near:
        return f"until {written(last)}"
    return f"from {written(first)} on" if end - last <= near else f"from {written(first)} to {written(last)}"
