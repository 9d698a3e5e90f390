"""What the metrics of a control plane's components say, between two scrapes. Pure.

Names and meanings: k8s.io/apiserver pkg/endpoints/metrics, k8s.io/component-base metrics/prometheus, kubernetes
pkg/scheduler/metrics; which requests count is that of the kubernetes-mixin's dashboards.
"""

from __future__ import annotations

from typing import NamedTuple

from kubectl_vmetrics.metrics import process
from kubectl_vmetrics.metrics.process import Process
from kubectl_vmetrics.metrics.samples import Labels
from kubectl_vmetrics.metrics.snapshot import Pair, Series, Where

from .plane import APISERVER, SCHEDULER

LONG_VERBS = ("WATCH", "WATCHLIST", "CONNECT", "PROXY")
LONG_SUBRESOURCES = ("proxy", "log", "exec", "attach", "portforward")
"""Requests that last as long as somebody looks; their duration says nothing of the server."""
READS = ("GET", "LIST")
WRITES = ("POST", "PUT", "PATCH", "DELETE", "DELETECOLLECTION", "APPLY")

REQUESTS = "apiserver_request_total"
DURATIONS = "apiserver_request_duration_seconds_bucket"
INFLIGHT = "apiserver_current_inflight_requests"
LONG_RUNNING = "apiserver_longrunning_requests"
ETCD = "etcd_request_duration_seconds_bucket"
OBJECTS = ("apiserver_resource_objects", "apiserver_storage_objects")
"""Since v1.34, and before."""
VERSION = "kubernetes_build_info"
LEADER = "leader_election_master_status"
QUEUE = "workqueue_depth"
PENDING = "scheduler_pending_pods"
ATTEMPTS = "scheduler_schedule_attempts_total"
ATTEMPT_DURATIONS = "scheduler_scheduling_attempt_duration_seconds_bucket"
TENANT_STATUS = "kamaji_tenant_control_plane_status"
KAMAJI_VERSION = "kamaji_build_info"

_ALL = (
    *(REQUESTS, DURATIONS, INFLIGHT, LONG_RUNNING, ETCD, *OBJECTS, VERSION, LEADER),
    *(QUEUE, PENDING, ATTEMPTS, ATTEMPT_DURATIONS, TENANT_STATUS, KAMAJI_VERSION),
    *("etcd_server_has_leader", "etcd_server_is_leader", "etcd_server_version"),
)


def wanted(name: str) -> bool:
    """Whether a family is read here."""
    return name in _ALL or process.wanted(name)


class Figures(NamedTuple):
    """A component between two scrapes; None is what it does not tell. Seconds, and counts a second.

    Attributes:
        leading: whether it is the one of several that works.
        requests: that an apiserver answered; those that others sent.
        failed: the share of them that failed: 5xx of an apiserver, 4xx, 5xx and no answer of others.
        p99: of an apiserver's requests, of a scheduler's attempts.
        p99_read, p99_write: the same of GET and LIST, and of requests that change something.
        inflight: requests under way; watches: WATCH requests.
        queued: items in all work queues.
        pending: pods by queue.
        attempts: to schedule, a second, by result.
        objects: what is stored.
        tenants: control planes by their status, as Kamaji counts them.
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


def read(name: str, pair: Pair) -> Figures:
    """What two scrapes of a component say.

    Args:
        name: of the component.
        pair: the scrapes.
    """
    after = pair.after
    used = process.read(pair)
    version = after.label(VERSION, "git_version") or after.label(KAMAJI_VERSION, "version")
    common = Figures(version or after.label("etcd_server_version", "server_version"), _leading(pair), process=used)
    if name == APISERVER:
        return _apiserver(common, pair)
    more = common._replace(
        requests=used.requests,
        failed=used.failed,
        queued=after.total(QUEUE),
        tenants=_by(after.series(TENANT_STATUS), "status"),
    )
    if name != SCHEDULER:
        return more
    attempts: dict[str, float] = {}
    for labels, grown in pair.increases(ATTEMPTS):
        result = labels.get("result", "")
        attempts[result] = attempts.get(result, 0.0) + grown / pair.seconds
    return more._replace(
        p99=pair.quantile(0.99, ATTEMPT_DURATIONS),
        pending=_by(after.series(PENDING), "queue"),
        attempts=attempts,
    )


def _apiserver(common: Figures, pair: Pair) -> Figures:
    after = pair.after
    answered = pair.rate(REQUESTS, is_short)
    failed = pair.rate(REQUESTS, lambda labels: is_short(labels) and labels.get("code", "").startswith("5"))
    stored = next((found for name in OBJECTS if (found := after.series(name))), [])
    return common._replace(
        requests=answered,
        failed=(failed or 0.0) / answered if answered else None,
        p99=pair.quantile(0.99, DURATIONS, is_short),
        p99_read=pair.quantile(0.99, DURATIONS, _of(READS)),
        p99_write=pair.quantile(0.99, DURATIONS, _of(WRITES)),
        inflight=after.total(INFLIGHT),
        watches=after.total(LONG_RUNNING, lambda labels: labels.get("verb") == "WATCH"),
        queued=after.total(QUEUE),
        etcd_p99=pair.quantile(0.99, ETCD),
        # -1 stands for a count that failed.
        objects=sum(max(0.0, item.value) for item in stored) if stored else None,
    )


def is_short(labels: Labels) -> bool:
    """Whether a request is one of those whose duration is the server's."""
    return labels.get("verb") not in LONG_VERBS and labels.get("subresource", "") not in LONG_SUBRESOURCES


def _of(verbs: tuple[str, ...]) -> Where:
    return lambda labels: labels.get("verb") in verbs and is_short(labels)


def _leading(pair: Pair) -> bool | None:
    told = pair.after.total(LEADER)
    if told is None:
        told = pair.after.value("etcd_server_is_leader")
    return None if told is None else told > 0


def _by(series: list[Series], label: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for item in series:
        key = item.labels.get(label, "")
        found[key] = found.get(key, 0.0) + item.value
    return found
