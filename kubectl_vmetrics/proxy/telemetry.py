"""What the proxy reports about itself at /metrics.

Nothing here names a node, a tenant or a client, because every client may read it.
"""

from __future__ import annotations

import threading
from collections import Counter

from kubectl_vmetrics.vcluster.informer import Informer

from .circuit import Circuits
from .flights import Flights
from .sharing import Question

UPSTREAMS = ("kubelet", "metrics-api", "api")
DROPPED = ("handshake", "head", "slow-reader", "address", "full")
"""Why connections are closed: no TLS in time, no request in time, an answer that is not read, too many of an address,
too many altogether."""

_Family = tuple[str, str, str, list[tuple[str, float]]]


class Telemetry:
    """Counters; safe to use from several threads.

    Attributes:
        connections: open ones.
        waiting: requests that wait for a thread.
    """

    def __init__(self) -> None:
        self.connections = self.waiting = 0
        self._lock = threading.Lock()
        self._requests: Counter[int] = Counter()
        self._failures: Counter[str] = Counter()
        self._drops: Counter[str] = Counter()
        self._internal = self._abandoned = 0
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

    def broke(self) -> None:
        """An internal error."""
        with self._lock:
            self._internal += 1

    def gave_up(self) -> None:
        """Work for a client ended early: it hung up, or its time was over."""
        with self._lock:
            self._abandoned += 1

    def dropped(self, why: str) -> None:
        """A connection was closed; why is one of DROPPED."""
        with self._lock:
            self._drops[why] += 1

    def rewrote(self, count: int, seconds: float) -> None:
        """So many bytes were answered, in so many seconds."""
        with self._lock:
            self._bytes += count
            self._seconds += seconds

    def exposition(self, informer: Informer, circuits: Circuits, flights: Flights[Question]) -> bytes:
        """Prometheus text, with what is to say of the map, of the nodes' circuits, and of answers that are shared."""
        lines = []
        for name, kind, text, samples in [
            *self._own(),
            *_of_map(informer),
            *_of_circuits(circuits),
            *_of_flights(flights),
        ]:
            full = f"vmetrics_proxy_{name}"
            lines += [f"# HELP {full} {text}", f"# TYPE {full} {kind}"]
            lines += [f"{full}{labels} {value}" for labels, value in samples]
        return "".join(f"{line}\n" for line in lines).encode()

    def _own(self) -> list[_Family]:
        with self._lock:
            requests, failures = dict(self._requests), {**dict.fromkeys(UPSTREAMS, 0), **self._failures}
            drops = {**dict.fromkeys(DROPPED, 0), **self._drops}
            count, seconds, internal, abandoned = self._bytes, self._seconds, self._internal, self._abandoned
        return [
            ("requests_total", "counter", "Requests by status code.", _by("code", requests)),
            (
                "upstream_errors_total",
                "counter",
                "Failed requests to the host, by upstream.",
                _by("upstream", failures),
            ),
            ("internal_errors_total", "counter", "Internal errors; each one is logged.", [("", internal)]),
            (
                "abandoned_total",
                "counter",
                "Requests to the host that were canceled because the client disconnected or timed out.",
                [("", abandoned)],
            ),
            ("connections", "gauge", "Open client connections.", [("", self.connections)]),
            (
                "dropped_connections_total",
                "counter",
                "Connections closed by the proxy, by reason.",
                _by("reason", drops),
            ),
            ("waiting_requests", "gauge", "Requests waiting in the queue.", [("", self.waiting)]),
            ("rewritten_bytes_total", "counter", "Bytes of rewritten responses.", [("", count)]),
            (
                "rewrite_seconds_total",
                "counter",
                "Seconds spent answering requests, including the host's share.",
                [("", seconds)],
            ),
        ]


def _of_map(informer: Informer) -> list[_Family]:
    return [
        ("map_objects", "gauge", "Pods and claims in the name map.", [("", len(informer))]),
        (
            "map_unresolved_objects",
            "gauge",
            "Pods and claims with labels of a virtual cluster, but no proof of their virtual name or owner.",
            [("", informer.unresolved())],
        ),
        (
            "map_age_seconds",
            "gauge",
            "Seconds since the name map was last known to be current; 0 while its watches are connected.",
            [("", informer.silence())],
        ),
        (
            "map_watch_failures_total",
            "counter",
            "Lists and watches that failed or were interrupted.",
            [("", informer.cuts())],
        ),
        (
            "map_watch_expired_total",
            "counter",
            "Watches that expired (410) and required a new list.",
            [("", informer.expired())],
        ),
    ]


def _of_circuits(circuits: Circuits) -> list[_Family]:
    return [
        (
            "circuits_open",
            "gauge",
            "Nodes that are not queried because they did not respond.",
            [("", circuits.open_now())],
        ),
        ("circuit_opened_total", "counter", "Times a circuit for a node opened.", [("", circuits.opened)]),
        (
            "circuit_refused_total",
            "counter",
            "Requests rejected because a node's circuit is open.",
            [("", circuits.refused)],
        ),
    ]


def _of_flights(flights: Flights[Question]) -> list[_Family]:
    return [
        ("kubelet_requests_total", "counter", "Requests to kubelets.", [("", flights.asked)]),
        (
            "shared_requests_total",
            "counter",
            "Requests that shared a kubelet's response with an earlier one instead of asking the kubelet again.",
            [("", flights.shared)],
        ),
        ("shared_bytes", "gauge", "Bytes of kubelets' responses in memory.", [("", flights.kept)]),
        (
            "shared_cut_total",
            "counter",
            "Responses that were cut off because their client read too slowly while others shared them.",
            [("", flights.cut)],
        ),
    ]


def _by(label: str, counts: dict[int, int] | dict[str, int]) -> list[tuple[str, float]]:
    return [(f'{{{label}="{key}"}}', count) for key, count in sorted(counts.items())]
