"""What control planes of the demo cluster tell at /metrics: apiserver, controller-manager, scheduler, etcd."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_BUCKETS = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 5.0, 10.0, 60.0)


class Process(NamedTuple):
    """A process as it reports itself.

    Attributes:
        name: what its numbers are made of.
        seconds: for how long it has run.
        cpu: seconds of CPU that it has used; None for the average of its kind.
        memory_bytes: its resident memory; 0 for the average.
        started: when it was started, in seconds since the epoch.
    """

    name: str
    seconds: float
    cpu: float | None = None
    memory_bytes: int = 0
    started: float = 1.79e9


def weight(name: str) -> int:
    """How busy a process of that name is, 1 to 9."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:4], 16) % 9 + 1


def millicores(name: str) -> int:
    """What it uses on average."""
    return 10 * weight(name)


def mebibytes(name: str) -> int:
    """What it uses on average."""
    return 180 + 40 * weight(name)


def process(item: Process, version: str = "") -> Iterator[str]:
    """What every one of them tells."""
    busy, cpu = weight(item.name), item.cpu
    if version:
        yield f'kubernetes_build_info{{git_version="{version}",platform="linux/amd64"}} 1'
    if cpu is None:
        cpu = millicores(item.name) / 1000 * item.seconds
    yield f"process_cpu_seconds_total {cpu:.2f}"
    yield f"process_resident_memory_bytes {float(item.memory_bytes or mebibytes(item.name) << 20)!r}"
    yield f"process_start_time_seconds {item.started:.2f}"
    for code, share in (("200", 1.5), ("409", 0.002)):
        labels = f'code="{code}",host="10.96.0.1:443",method="GET"'
        yield f"rest_client_requests_total{{{labels}}} {int(share * busy * item.seconds)}"


def _histogram(name: str, labels: str, count: int, typical: float) -> Iterator[str]:
    for bound in _BUCKETS:
        yield f'{name}_bucket{{{labels},le="{bound:g}"}} {int(count * min(1.0, (bound / typical / 4) ** 0.3))}'
    yield f'{name}_bucket{{{labels},le="+Inf"}} {count}'


def apiserver(item: Process, version: str) -> Iterator[str]:
    """A kube-apiserver."""
    busy, seconds = weight(item.name), item.seconds
    yield from process(item, version)
    for verb, resource, code, share in (
        ("GET", "pods", "200", 3.0),
        ("LIST", "nodes", "200", 1.0),
        ("PUT", "leases", "200", 2.0),
        ("POST", "events", "201", 0.4),
        ("GET", "pods", "500", 0.003),
        ("WATCH", "pods", "200", 0.3),
    ):
        labels = f'component="apiserver",group="",resource="{resource}",scope="namespace",subresource="",verb="{verb}"'
        count = int(share * busy * seconds)
        yield f'apiserver_request_total{{code="{code}",dry_run="",{labels}}} {count}'
        if code[0] == "2":
            typical = 300.0 if verb == "WATCH" else 0.02
            yield from _histogram("apiserver_request_duration_seconds", labels, count, typical)
    for kind, number in (("mutating", busy % 3), ("readOnly", busy)):
        yield f'apiserver_current_inflight_requests{{request_kind="{kind}"}} {number}'
    yield f'apiserver_longrunning_requests{{resource="pods",verb="WATCH"}} {30 * busy}'
    yield from _histogram("etcd_request_duration_seconds", 'operation="get"', int(busy * seconds), 0.01)
    for resource, count in (("pods", 40 * busy), ("events", -1)):
        yield f'apiserver_resource_objects{{group="",resource="{resource}"}} {count}'


def controller_manager(item: Process, version: str, *, leads: bool) -> Iterator[str]:
    """A kube-controller-manager."""
    yield from process(item, version)
    yield f'leader_election_master_status{{name="kube-controller-manager"}} {int(leads)}'
    for queue in ("deployment", "endpoint", "job"):
        yield f'workqueue_depth{{name="{queue}"}} {int(leads and item.seconds % 3)}'


def scheduler(item: Process, version: str, *, leads: bool) -> Iterator[str]:
    """A kube-scheduler."""
    yield from process(item, version)
    yield f'leader_election_master_status{{name="kube-scheduler"}} {int(leads)}'
    for queue in ("active", "backoff", "gated", "unschedulable"):
        yield f'scheduler_pending_pods{{queue="{queue}"}} {int(leads and queue == "active")}'
    count = int(0.1 * weight(item.name) * item.seconds) if leads else 0
    yield f'scheduler_schedule_attempts_total{{profile="default-scheduler",result="scheduled"}} {count}'
    labels = 'profile="default-scheduler",result="scheduled"'
    yield from _histogram("scheduler_scheduling_attempt_duration_seconds", labels, count, 0.01)


def etcd(item: Process) -> Iterator[str]:
    """An etcd that leads."""
    yield from process(item)
    yield 'etcd_server_version{server_version="3.6.4"} 1'
    yield "etcd_server_has_leader 1"
    yield "etcd_server_is_leader 1"


def operator(item: Process, version: str, tenants: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Kamaji, with the namespaces and names of its tenants."""
    yield from process(item)
    yield f'kamaji_build_info{{version="{version}"}} 1'
    for namespace, name in tenants:
        labels = f'ready="true",status="Ready",tcp_name="{name}",tcp_namespace="{namespace}"'
        yield f"kamaji_tenant_control_plane_status{{{labels}}} 1"
