"""What every Go process reports about itself, and about its requests to the apiserver.

Sources: prometheus/client_golang prometheus/process_collector.go; k8s.io/component-base metrics/prometheus/restclient.
"""

from __future__ import annotations

from typing import NamedTuple

from .samples import Labels
from .snapshot import Pair, identity

FAMILIES = ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds", "go_goroutines")
REQUESTS = ("rest_client_requests_total", "kubevirt_rest_client_requests_total")
"""Requests that a process sent; KubeVirt's own name since its v1.3."""
UNREACHABLE = "<error>"
"""The code of a request that had no answer at all (k8s.io/client-go tools/metrics)."""


class Process(NamedTuple):
    """A process between two scrapes; None for values it does not report.

    Attributes:
        cores: CPU that it uses.
        started: seconds since 1970.
        requests: a second, that it sent to an apiserver.
        failed: the share of them that had an answer of 400 and more, or none.
        lost: requests without an answer since it started, for instance because the apiserver could not be reached.
        losing: how many of them since the earlier scrape.
        losing_what: verb and resource of those, if it reports them.
    """

    cores: float | None = None
    memory_bytes: float | None = None
    started: float | None = None
    goroutines: float | None = None
    requests: float | None = None
    failed: float | None = None
    lost: float | None = None
    losing: float | None = None
    losing_what: tuple[str, ...] = ()


def wanted(name: str) -> bool:
    """Whether a family is read here."""
    return name in FAMILIES or name in REQUESTS


def read(pair: Pair) -> Process:
    """A process between two scrapes."""
    after = pair.after
    name = next((name for name in REQUESTS if after.family(name)), REQUESTS[0])
    sent, bad = pair.increase(name), pair.increase(name, _is_bad)
    lost = after.total(name, _is_lost)
    # A counter of failures is not there before the first of them.
    losing = None if sent is None else _appeared(pair, name)
    return Process(
        pair.rate("process_cpu_seconds_total"),
        _amount(pair, "process_resident_memory_bytes"),
        _amount(pair, "process_start_time_seconds"),
        _amount(pair, "go_goroutines"),
        pair.rate(name),
        (bad or 0.0) / sent if sent else None,
        lost if lost is not None or not after.family(name) else 0.0,
        losing,
        tuple(sorted({_what(labels) for labels, grown in pair.increases(name, _is_lost) if grown} - {""})),
    )


def _amount(pair: Pair, name: str) -> float | None:
    """A gauge that counts something; negative values are ignored."""
    value = pair.after.value(name)
    return value if value is not None and value >= 0 else None


class Unanswered(NamedTuple):
    """Requests to one host that had no answer.

    Attributes:
        total: since the process started.
        grown: since the earlier scrape; None without one.
    """

    host: str
    total: float
    grown: float | None


def unanswered(pair: Pair) -> list[Unanswered] | None:
    """Requests without an answer by host, "" if it is not reported; None for a process that does not count requests."""
    after = pair.after
    name = next((name for name in REQUESTS if after.family(name)), None)
    if name is None:
        return None
    before = pair.before.family(name) if pair.before else {}
    found: dict[str, Unanswered] = {}
    grown = {identity(labels): value for labels, value in pair.increases(name, _is_lost)}
    for key, (labels, value) in after.family(name).items():
        if not _is_lost(labels) or value < 0:
            continue
        host = labels.get("host", "")
        total, more = (found[host].total, found[host].grown) if host in found else (0.0, None)
        if pair.before is not None:
            # A counter of failures is not there before the first of them.
            more = (more or 0.0) + (grown.get(key, 0.0) if key in before else value)
        found[host] = Unanswered(host, total + value, more)
    return list(found.values())


def _appeared(pair: Pair, name: str) -> float:
    """Requests lost between two scrapes, those of a series that is new included."""
    known = pair.before.family(name) if pair.before else {}
    fresh = [item.value for key, item in pair.after.family(name).items() if key not in known and _is_lost(item.labels)]
    return (pair.increase(name, _is_lost) or 0.0) + sum(fresh)


def _is_lost(labels: Labels) -> bool:
    return labels.get("code") == UNREACHABLE


def _is_bad(labels: Labels) -> bool:
    code = labels.get("code", "")
    return code == UNREACHABLE or (len(code) == 3 and code[0] in "45")


def _what(labels: Labels) -> str:
    return " ".join(filter(None, (labels.get("verb") or labels.get("method", ""), labels.get("resource", ""))))
