"""Figures of a control plane's components, from two scrapes. Pure.

Names and meanings: k8s.io/apiserver pkg/endpoints/metrics, k8s.io/component-base metrics/prometheus, kubernetes
pkg/scheduler/metrics; requests are selected as in the dashboards of kubernetes-mixin.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from kubectl_vmetrics.metrics import process
from kubectl_vmetrics.metrics.process import Process, Unanswered
from kubectl_vmetrics.metrics.samples import Labels
from kubectl_vmetrics.metrics.snapshot import Pair, Series, Where

from . import connections
from .plane import APISERVER, SCHEDULER, Component

LONG_VERBS = ("WATCH", "WATCHLIST", "CONNECT", "PROXY")
LONG_SUBRESOURCES = ("proxy", "log", "exec", "attach", "portforward")
"""Long-running requests; their duration does not depend on the server."""
READS = ("GET", "LIST")
WRITES = ("POST", "PUT", "PATCH", "DELETE", "DELETECOLLECTION", "APPLY")

REQUESTS = "apiserver_request_total"
DURATIONS = "apiserver_request_duration_seconds_bucket"
INFLIGHT = "apiserver_current_inflight_requests"
LONG_RUNNING = "apiserver_longrunning_requests"
ETCD = "etcd_request_duration_seconds_bucket"
OBJECTS = ("apiserver_resource_objects", "apiserver_storage_objects")
"""The names since v1.34 and before."""
VERSIONS = (
    ("kubernetes_build_info", "git_version"),
    ("kamaji_build_info", "version"),
    ("etcd_server_version", "server_version"),
)
"""Families with a component's version as a label."""
LEADER = "leader_election_master_status"
QUEUE = "workqueue_depth"
PENDING = "scheduler_pending_pods"
ATTEMPTS = "scheduler_schedule_attempts_total"
ATTEMPT_DURATIONS = "scheduler_scheduling_attempt_duration_seconds_bucket"
TENANT_STATUS = "kamaji_tenant_control_plane_status"
MOST = 20
"""The maximum number of distinct values read of a label: queues, results, statuses."""
_VERSION = re.compile(r"[A-Za-z0-9][\w.+-]{0,63}")
_WORD = re.compile(r"[A-Za-z][A-Za-z_-]{0,39}")

FAMILIES = (
    *(REQUESTS, DURATIONS, INFLIGHT, LONG_RUNNING, ETCD, *OBJECTS, LEADER),
    *(QUEUE, PENDING, ATTEMPTS, ATTEMPT_DURATIONS, TENANT_STATUS),
    *(name for name, _ in VERSIONS),
    *("etcd_server_has_leader", "etcd_server_is_leader"),
)
"""All that are read here."""


def wanted(name: str) -> bool:
    """Whether this module reads a family."""
    return name in FAMILIES or process.wanted(name)


class Figures(NamedTuple):
    """A component between two scrapes; None if it does not report a value. Seconds, and counts per second.

    Attributes:
        leading: whether it is the leader.
        requests: requests that an apiserver answered, or that other components sent.
        failed: the share of failed requests: 5xx for an apiserver; 4xx, 5xx and no response for other components.
        p99: 99th percentile of an apiserver's requests, or of a scheduler's attempts.
        p99_read, p99_write: the same for GET and LIST, and for requests that write.
        inflight: requests in flight; watches: WATCH requests.
        queued: items in all work queues.
        pending: pods by queue.
        attempts: scheduling attempts per second, by result.
        objects: stored objects.
        tenants: tenant control planes by status, as counted by Kamaji.
        lost: requests to the apiserver without a response since it started; losing: since the earlier scrape.
        unreached: the apiservers for which the number increases.
        unanswered: webhooks and extension API servers of an apiserver, and tenants of Kamaji, that did not answer.
    """

    version: str = ""
    leading: bool | None = None
    requests: float | None = None
    failed: float | None = None
    p99: float | None = None
    p99_read: float | None = None
    p99_write: float | None = None
    inflight: float | None = None
    watches: float | None = None
    queued: float | None = None
    pending: dict[str, float] = {}  # noqa: RUF012
    attempts: dict[str, float] = {}  # noqa: RUF012
    etcd_p99: float | None = None
    objects: float | None = None
    tenants: dict[str, float] = {}  # noqa: RUF012
    process: Process = Process()
    lost: float | None = None
    losing: float | None = None
    unreached: tuple[str, ...] = ()
    unanswered: tuple[Unanswered, ...] = ()


def read(component: Component, pair: Pair) -> Figures:
    """The figures of a component, from two scrapes. Tenants control these texts: impossible values are ignored."""
    name, after = component.name, pair.after
    used = process.read(pair)
    reached = connections.read(component, pair)
    common = Figures(
        _version(pair),
        _leading(pair),
        process=used,
        lost=reached.lost,
        losing=reached.losing,
        unreached=reached.hosts,
        unanswered=reached.others,
    )
    if name == APISERVER:
        return _apiserver(common, pair)
    more = common._replace(
        requests=used.requests,
        failed=used.failed,
        queued=_total(pair, QUEUE),
        tenants=_by("status", after.series(TENANT_STATUS)),
    )
    if name != SCHEDULER:
        return more
    attempts = _by("result", (Series(labels, grown) for labels, grown in pair.increases(ATTEMPTS)))
    return more._replace(
        p99=pair.quantile(0.99, ATTEMPT_DURATIONS),
        pending=_by("queue", after.series(PENDING)),
        attempts={result: grown / pair.seconds for result, grown in attempts.items()} if pair.seconds > 0 else {},
    )


def _apiserver(common: Figures, pair: Pair) -> Figures:
    after = pair.after
    answered = pair.rate(REQUESTS, is_short)
    failed = pair.rate(REQUESTS, lambda labels: is_short(labels) and labels.get("code", "").startswith("5"))
    # -1 means that counting failed.
    stored = next((found for name in OBJECTS if (found := [i for i in after.series(name) if i.value >= 0])), None)
    return common._replace(
        requests=answered,
        failed=(failed or 0.0) / answered if answered else None,
        p99=pair.quantile(0.99, DURATIONS, is_short),
        p99_read=pair.quantile(0.99, DURATIONS, _of(READS)),
        p99_write=pair.quantile(0.99, DURATIONS, _of(WRITES)),
        inflight=_total(pair, INFLIGHT),
        watches=_total(pair, LONG_RUNNING, lambda labels: labels.get("verb") == "WATCH"),
        queued=_total(pair, QUEUE),
        etcd_p99=pair.quantile(0.99, ETCD),
        objects=sum(item.value for item in stored) if stored else None,
    )


def is_short(labels: Labels) -> bool:
    """Whether the duration of a request depends on the server."""
    return labels.get("verb") not in LONG_VERBS and labels.get("subresource") not in LONG_SUBRESOURCES


def _of(verbs: tuple[str, ...]) -> Where:
    return lambda labels: labels.get("verb") in verbs and is_short(labels)


def _leading(pair: Pair) -> bool | None:
    told = pair.after.total(LEADER)
    if told is None:
        told = pair.after.value("etcd_server_is_leader")
    return None if told is None else told > 0


def _version(pair: Pair) -> str:
    told = (pair.after.label(name, label) for name, label in VERSIONS)
    return next((text for text in told if _VERSION.fullmatch(text)), "")


def _total(pair: Pair, name: str, where: Where | None = None) -> float | None:
    """The sum of a gauge that counts objects; negative values are ignored."""
    found = [item.value for item in pair.after.series(name, where) if item.value >= 0]
    return sum(found) if found else None


def _by(label: str, series: Iterable[Series]) -> dict[str, float]:
    """Sums by the values of a label; values that upstream does not use, and more than the limit, are left out."""
    found: dict[str, float] = {}
    for labels, value in series:
        key = labels.get(label, "")
        if value >= 0 and _WORD.fullmatch(key) and (key in found or len(found) < MOST):
            found[key] = found.get(key, 0.0) + value
    return found
