"""Dashboards of control planes: those of all tenants together, and one of them."""

from __future__ import annotations

from .grafana import RATE, Dashboard, Panel, Variable
from .promql import IN, quantile, share, sum_

_CLUSTERS = Variable("cluster", "cluster", 'apiserver_request_total{job="apiserver"}')
_SHORT = 'verb!~"WATCH|WATCHLIST|CONNECT|PROXY",subresource!~"proxy|log|exec|attach|portforward"'


def _objects(family: str) -> str:
    # Each replica counts all objects; -1 stands for a count that failed.
    return f"sum by (cluster) (max by (cluster, group, resource) ({family}{{{_SERVER}}} >= 0))"


_SERVER = f'job="apiserver",{IN}'
_OBJECTS = f"{_objects('apiserver_resource_objects')} or {_objects('apiserver_storage_objects')}"
_ANY = f'job=~"apiserver|kube-controller-manager|kube-scheduler|controller-manager|syncer",{IN}'
_DURATION = "apiserver_request_duration_seconds_bucket"

CONTROL_PLANES = Dashboard(
    "vmetrics-control-planes",
    "Control planes",
    "All tenant control planes side by side, Kamaji's and those of virtual clusters.",
    [_CLUSTERS],
    [
        (
            "Now",
            [
                Panel("Components up", [(f"sum(up{{{_ANY}}})", "")], kind="stat"),
                Panel("Components down", [(f"count(up{{{_ANY}}} == 0) or vector(0)", "")], kind="stat"),
                Panel(
                    "Requests",
                    [(f"sum(rate(apiserver_request_total{{{_SERVER},{_SHORT}}}[{RATE}]))", "")],
                    "reqps",
                    "stat",
                ),
                Panel(
                    "Control planes",
                    [(f"count by (cluster) (up{{{_ANY}}} == 1)", "")],
                    kind="table",
                    about="Number of components that are up.",
                ),
            ],
        ),
        (
            "Requests",
            [
                Panel(
                    "Request rate",
                    [(sum_("cluster", "apiserver_request_total", f"{_SERVER},{_SHORT}"), "{{cluster}}")],
                    "reqps",
                ),
                Panel(
                    "Failed requests",
                    [
                        (
                            share("cluster", "apiserver_request_total", f"{_SERVER},{_SHORT}", 'code=~"5.."'),
                            "{{cluster}}",
                        )
                    ],
                    "percentunit",
                ),
                Panel(
                    "p99 latency",
                    [(quantile(0.99, "cluster", _DURATION, f"{_SERVER},{_SHORT}"), "{{cluster}}")],
                    "s",
                ),
            ],
        ),
        (
            "Resource usage",
            [
                Panel("CPU", [(sum_("cluster", "process_cpu_seconds_total", _ANY), "{{cluster}}")], "short"),
                Panel(
                    "Memory", [(f"sum by (cluster) (process_resident_memory_bytes{{{_ANY}}})", "{{cluster}}")], "bytes"
                ),
                Panel(
                    "Objects",
                    [
                        (
                            f"{_objects('apiserver_resource_objects')} or {_objects('apiserver_storage_objects')}",
                            "{{cluster}}",
                        )
                    ],
                    about="Kubernetes before v1.34 uses the second name.",
                ),
            ],
        ),
        (
            "Storage",
            [
                Panel(
                    "p99 storage latency",
                    [(quantile(0.99, "cluster", "etcd_request_duration_seconds_bucket", _SERVER), "{{cluster}}")],
                    "s",
                ),
                Panel(
                    "Database size",
                    [(f"max by (cluster) (apiserver_storage_size_bytes{{{_SERVER}}})", "{{cluster}}")],
                    "bytes",
                    about="Tenants that share an etcd report the same size.",
                ),
            ],
        ),
    ],
)

_ONE = Variable("cluster", "cluster", 'apiserver_request_total{job="apiserver"}', several=False)
_MANAGER = f'job=~"kube-controller-manager|controller-manager",{IN}'
_SCHEDULER = f'job="kube-scheduler",{IN}'
_CODES = '"4..|5..|<error>"'
# A scheduler that stands by holds the same pods, or those of the time when it led; one that is alone elects nobody.
_NO_STANDBY = f"unless on (cluster, job, instance) (leader_election_master_status{{{_SCHEDULER}}} == 0)"

CONTROL_PLANE = Dashboard(
    "vmetrics-control-plane",
    "Control planes / One control plane",
    "Apiserver, controller-manager and scheduler of one tenant.",
    [_ONE],
    [
        (
            "Apiserver",
            [
                Panel(
                    "Requests by verb",
                    [(sum_("verb", "apiserver_request_total", f"{_SERVER},{_SHORT}"), "{{verb}}")],
                    "reqps",
                    width=8,
                ),
                Panel(
                    "Requests by code",
                    [(sum_("code", "apiserver_request_total", f"{_SERVER},{_SHORT}"), "{{code}}")],
                    "reqps",
                    width=8,
                ),
                Panel(
                    "p99 latency by verb",
                    [(quantile(0.99, "verb", _DURATION, f"{_SERVER},{_SHORT}"), "{{verb}}")],
                    "s",
                    width=8,
                ),
                Panel(
                    "Requests in flight",
                    [(f"sum by (request_kind) (apiserver_current_inflight_requests{{{_SERVER}}})", "{{request_kind}}")],
                    width=8,
                ),
                Panel(
                    "Watches",
                    [(f'sum by (instance) (apiserver_longrunning_requests{{{_SERVER},verb="WATCH"}})', "{{instance}}")],
                    width=8,
                ),
                Panel(
                    "p99 storage latency",
                    [(quantile(0.99, "operation", "etcd_request_duration_seconds_bucket", _SERVER), "{{operation}}")],
                    "s",
                    width=8,
                ),
                Panel(
                    "Resources with the most objects",
                    [(f"topk(10, max by (resource) (apiserver_resource_objects{{{_SERVER}}}))", "{{resource}}")],
                    width=12,
                ),
                Panel(
                    "Queued requests",
                    [
                        (
                            f"sum by (priority_level) (apiserver_flowcontrol_current_inqueue_requests{{{_SERVER}}})",
                            "{{priority_level}}",
                        )
                    ],
                    width=12,
                ),
            ],
        ),
        (
            "Controller manager",
            [
                Panel(
                    "Queue depth",
                    [(f"topk(10, sum by (name) (workqueue_depth{{{_MANAGER}}}))", "{{name}}")],
                    width=8,
                ),
                Panel(
                    "Queue additions",
                    [(f"topk(10, {sum_('name', 'workqueue_adds_total', _MANAGER)})", "{{name}}")],
                    "ops",
                    width=8,
                ),
                Panel(
                    "p99 queue wait",
                    [
                        (
                            f"topk(10, {quantile(0.99, 'name', 'workqueue_queue_duration_seconds_bucket', _MANAGER)})",
                            "{{name}}",
                        )
                    ],
                    "s",
                    width=8,
                ),
                Panel(
                    "Outgoing requests",
                    [(sum_("code", "rest_client_requests_total", _MANAGER), "{{code}}")],
                    "reqps",
                    width=12,
                ),
                Panel(
                    "Leader",
                    [(f"max by (instance) (leader_election_master_status{{{_MANAGER}}})", "{{instance}}")],
                    "bool_yes_no",
                    "stat",
                    width=12,
                ),
            ],
        ),
        (
            "Scheduler",
            [
                Panel(
                    "Pending pods",
                    [(f"sum by (queue) (scheduler_pending_pods{{{_SCHEDULER}}} {_NO_STANDBY})", "{{queue}}")],
                    width=8,
                ),
                Panel(
                    "Scheduling attempts by result",
                    [(sum_("result", "scheduler_schedule_attempts_total", _SCHEDULER), "{{result}}")],
                    "ops",
                    width=8,
                ),
                Panel(
                    "p99 scheduling attempt duration",
                    [
                        (
                            quantile(
                                0.99, "result", "scheduler_scheduling_attempt_duration_seconds_bucket", _SCHEDULER
                            ),
                            "{{result}}",
                        )
                    ],
                    "s",
                    width=8,
                ),
                Panel(
                    "Failed requests",
                    [(share("instance", "rest_client_requests_total", _SCHEDULER, f"code=~{_CODES}"), "{{instance}}")],
                    "percentunit",
                    width=12,
                ),
                Panel(
                    "Leader",
                    [(f"max by (instance) (leader_election_master_status{{{_SCHEDULER}}})", "{{instance}}")],
                    "bool_yes_no",
                    "stat",
                    width=12,
                ),
            ],
        ),
        (
            "Processes",
            [
                Panel("CPU", [(sum_("job, instance", "process_cpu_seconds_total", _ANY), "{{job}} {{instance}}")]),
                Panel(
                    "Memory",
                    [(f"sum by (job, instance) (process_resident_memory_bytes{{{_ANY}}})", "{{job}} {{instance}}")],
                    "bytes",
                ),
            ],
        ),
    ],
)
