"""Dashboards for Grafana: tenants together, one control plane, virtual machines, virtual clusters.

They are for what `manifests kamaji`, `manifests vcluster`, `manifests kubevirt` and `proxy` lead Prometheus to: a label
`cluster` for each control plane, jobs as kube-prometheus names them, vcluster_* labels on the host's series. A gauge is
never put into rate(), and every query keeps to the chosen clusters.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from .bundle import Object
from .grafana import RATE, Dashboard, Panel, Variable, render

SIDECAR_LABEL = "grafana_dashboard"
"""By which the sidecar of Grafana's chart finds dashboards, unless it was told of another label."""

_CLUSTERS = Variable("cluster", "cluster", 'apiserver_request_total{job="apiserver"}')
_SHORT = 'verb!~"WATCH|WATCHLIST|CONNECT|PROXY",subresource!~"proxy|log|exec|attach|portforward"'
_IN = 'cluster=~"$cluster"'


def _sum(by: str, family: str, labels: str) -> str:
    return f"sum by ({by}) (rate({family}{{{labels}}}[{RATE}]))"


def _quantile(q: float, by: str, family: str, labels: str) -> str:
    return f"histogram_quantile({q}, {_sum(f'{by}, le', family, labels)})"


def _share(by: str, family: str, labels: str, failing: str) -> str:
    # Without `or`, a cluster in which nothing fails would not be there at all.
    bad, whole = _sum(by, family, f"{labels},{failing}"), _sum(by, family, labels)
    return f"({bad} or 0 * {whole}) / {whole}"


def _objects(family: str) -> str:
    # Each replica counts all objects; -1 stands for a count that failed.
    return f"sum by (cluster) (max by (cluster, group, resource) ({family}{{{_SERVER}}} >= 0))"


_SERVER = f'job="apiserver",{_IN}'
_OBJECTS = f"{_objects('apiserver_resource_objects')} or {_objects('apiserver_storage_objects')}"
_ANY = f'job=~"apiserver|kube-controller-manager|kube-scheduler|controller-manager|syncer",{_IN}'
_DURATION = "apiserver_request_duration_seconds_bucket"

TENANTS = Dashboard(
    "vmetrics-tenants",
    "Tenants / Control planes",
    "All tenant control planes side by side, Kamaji's and those of virtual clusters.",
    [_CLUSTERS],
    [
        (
            "Now",
            [
                Panel("Components that answer", [(f"sum(up{{{_ANY}}})", "")], kind="stat"),
                Panel("Components that do not", [(f"count(up{{{_ANY}}} == 0) or vector(0)", "")], kind="stat"),
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
                    about="How many of its components answer.",
                ),
            ],
        ),
        (
            "Requests",
            [
                Panel(
                    "Requests a second",
                    [(_sum("cluster", "apiserver_request_total", f"{_SERVER},{_SHORT}"), "{{cluster}}")],
                    "reqps",
                ),
                Panel(
                    "Failed",
                    [
                        (
                            _share("cluster", "apiserver_request_total", f"{_SERVER},{_SHORT}", 'code=~"5.."'),
                            "{{cluster}}",
                        )
                    ],
                    "percentunit",
                ),
                Panel(
                    "99% are answered within",
                    [(_quantile(0.99, "cluster", _DURATION, f"{_SERVER},{_SHORT}"), "{{cluster}}")],
                    "s",
                ),
            ],
        ),
        (
            "What they cost",
            [
                Panel("CPU", [(_sum("cluster", "process_cpu_seconds_total", _ANY), "{{cluster}}")], "short"),
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
                    about="The second name is that of Kubernetes before v1.34.",
                ),
            ],
        ),
        (
            "Their storage",
            [
                Panel(
                    "99% of requests to storage",
                    [(_quantile(0.99, "cluster", "etcd_request_duration_seconds_bucket", _SERVER), "{{cluster}}")],
                    "s",
                ),
                Panel(
                    "Size of the database",
                    [(f"max by (cluster) (apiserver_storage_size_bytes{{{_SERVER}}})", "{{cluster}}")],
                    "bytes",
                    about="Tenants that share an etcd show the same number.",
                ),
            ],
        ),
    ],
)

_ONE = Variable("cluster", "cluster", 'apiserver_request_total{job="apiserver"}', several=False)
_MANAGER = f'job=~"kube-controller-manager|controller-manager",{_IN}'
_SCHEDULER = f'job="kube-scheduler",{_IN}'
_CODES = '"4..|5..|<error>"'
# A scheduler that stands by holds the same pods, or those of the time when it led; one that is alone elects nobody.
_NO_STANDBY = f"unless on (cluster, job, instance) (leader_election_master_status{{{_SCHEDULER}}} == 0)"

CONTROL_PLANE = Dashboard(
    "vmetrics-control-plane",
    "Tenants / One control plane",
    "Apiserver, controller-manager and scheduler of one tenant.",
    [_ONE],
    [
        (
            "Apiserver",
            [
                Panel(
                    "Requests by verb",
                    [(_sum("verb", "apiserver_request_total", f"{_SERVER},{_SHORT}"), "{{verb}}")],
                    "reqps",
                    width=8,
                ),
                Panel(
                    "Requests by code",
                    [(_sum("code", "apiserver_request_total", f"{_SERVER},{_SHORT}"), "{{code}}")],
                    "reqps",
                    width=8,
                ),
                Panel(
                    "99% are answered within, by verb",
                    [(_quantile(0.99, "verb", _DURATION, f"{_SERVER},{_SHORT}"), "{{verb}}")],
                    "s",
                    width=8,
                ),
                Panel(
                    "Under way",
                    [(f"sum by (request_kind) (apiserver_current_inflight_requests{{{_SERVER}}})", "{{request_kind}}")],
                    width=8,
                ),
                Panel(
                    "Watches",
                    [(f'sum by (instance) (apiserver_longrunning_requests{{{_SERVER},verb="WATCH"}})', "{{instance}}")],
                    width=8,
                ),
                Panel(
                    "99% of requests to storage",
                    [(_quantile(0.99, "operation", "etcd_request_duration_seconds_bucket", _SERVER), "{{operation}}")],
                    "s",
                    width=8,
                ),
                Panel(
                    "What is stored most",
                    [(f"topk(10, max by (resource) (apiserver_resource_objects{{{_SERVER}}}))", "{{resource}}")],
                    width=12,
                ),
                Panel(
                    "Waiting for their turn",
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
                    "Waiting in queues",
                    [(f"topk(10, sum by (name) (workqueue_depth{{{_MANAGER}}}))", "{{name}}")],
                    width=8,
                ),
                Panel(
                    "Added to queues",
                    [(f"topk(10, {_sum('name', 'workqueue_adds_total', _MANAGER)})", "{{name}}")],
                    "ops",
                    width=8,
                ),
                Panel(
                    "99% wait in queues for",
                    [
                        (
                            f"topk(10, {_quantile(0.99, 'name', 'workqueue_queue_duration_seconds_bucket', _MANAGER)})",
                            "{{name}}",
                        )
                    ],
                    "s",
                    width=8,
                ),
                Panel(
                    "Requests that it sends",
                    [(_sum("code", "rest_client_requests_total", _MANAGER), "{{code}}")],
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
                    "Pods that wait",
                    [(f"sum by (queue) (scheduler_pending_pods{{{_SCHEDULER}}} {_NO_STANDBY})", "{{queue}}")],
                    width=8,
                ),
                Panel(
                    "Attempts by result",
                    [(_sum("result", "scheduler_schedule_attempts_total", _SCHEDULER), "{{result}}")],
                    "ops",
                    width=8,
                ),
                Panel(
                    "99% of attempts take",
                    [
                        (
                            _quantile(
                                0.99, "result", "scheduler_scheduling_attempt_duration_seconds_bucket", _SCHEDULER
                            ),
                            "{{result}}",
                        )
                    ],
                    "s",
                    width=8,
                ),
                Panel(
                    "Requests that fail",
                    [(_share("instance", "rest_client_requests_total", _SCHEDULER, f"code=~{_CODES}"), "{{instance}}")],
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
                Panel("CPU", [(_sum("job, instance", "process_cpu_seconds_total", _ANY), "{{job}} {{instance}}")]),
                Panel(
                    "Memory",
                    [(f"sum by (job, instance) (process_resident_memory_bytes{{{_ANY}}})", "{{job}} {{instance}}")],
                    "bytes",
                ),
            ],
        ),
    ],
)

_HOSTS = Variable("cluster", "cluster", "kubevirt_vmi_memory_domain_bytes")
_SPACES = Variable("namespace", "namespace", f"kubevirt_vmi_memory_domain_bytes{{{_IN}}}")
_NAMES = Variable("name", "name", f'kubevirt_vmi_memory_domain_bytes{{{_IN},namespace=~"$namespace"}}')
_VM = f'{_IN},namespace=~"$namespace",name=~"$name"'
_BY = "namespace, name"
_LEGEND = "{{namespace}}/{{name}}"


def _vm(family: str) -> str:
    return _sum(_BY, f"kubevirt_vmi_{family}", _VM)


def _latency(way: str) -> str:
    operations = _vm(f"storage_iops_{way}_total")
    return f"{_vm(f'storage_{way}_times_seconds_total')} / ({operations} > 0)"


_COUNT = f"count by ({_BY}) (sum by ({_BY}, id) (kubevirt_vmi_vcpu_seconds_total{{{_VM}}}))"
_AVAILABLE, _USABLE = (
    f"sum by ({_BY}) (kubevirt_vmi_memory_{kind}_bytes{{{_VM}}})" for kind in ("available", "usable")
)

MACHINES = Dashboard(
    "vmetrics-machines",
    "Virtual machines",
    "What KubeVirt's virtual machines use, as their guests see it where these tell.",
    [_HOSTS, _SPACES, _NAMES],
    [
        (
            "CPU",
            [
                Panel("Cores", [(_vm("cpu_usage_seconds_total"), _LEGEND)]),
                Panel("Of their vCPUs", [(f"{_vm('cpu_usage_seconds_total')} / {_COUNT}", _LEGEND)], "percentunit"),
                Panel(
                    "Steal",
                    [(f"{_vm('vcpu_delay_seconds_total')} / {_COUNT}", _LEGEND)],
                    "percentunit",
                    about="Ready to run, and not run: the host has not enough.",
                ),
            ],
        ),
        (
            "Memory",
            [
                Panel(
                    "Used by the guest",
                    [(f"{_AVAILABLE} - {_USABLE}", _LEGEND)],
                    "bytes",
                    about="Of guests with a balloon driver.",
                ),
                Panel("Used of what it has", [(f"1 - {_USABLE} / {_AVAILABLE}", _LEGEND)], "percentunit"),
                Panel(
                    "Resident on the host",
                    [(f"sum by ({_BY}) (kubevirt_vmi_memory_resident_bytes{{{_VM}}})", _LEGEND)],
                    "bytes",
                ),
            ],
        ),
        (
            "Network and disks",
            [
                Panel("Received", [(_vm("network_receive_bytes_total"), _LEGEND)], "Bps", width=6),
                Panel("Sent", [(_vm("network_transmit_bytes_total"), _LEGEND)], "Bps", width=6),
                Panel("Read", [(_vm("storage_read_traffic_bytes_total"), _LEGEND)], "Bps", width=6),
                Panel("Written", [(_vm("storage_write_traffic_bytes_total"), _LEGEND)], "Bps", width=6),
                Panel("Latency of reads", [(_latency("read"), _LEGEND)], "s", width=8),
                Panel("Latency of writes", [(_latency("write"), _LEGEND)], "s", width=8),
                Panel(
                    "File systems, the fullest",
                    [
                        (
                            f"max by ({_BY}, mount_point) (kubevirt_vmi_filesystem_used_bytes{{{_VM}}} / "
                            f"kubevirt_vmi_filesystem_capacity_bytes{{{_VM}}})",
                            f"{_LEGEND} {{{{mount_point}}}}",
                        )
                    ],
                    "percentunit",
                    width=8,
                ),
            ],
        ),
        (
            "Live migration",
            [
                Panel(
                    "Left to move",
                    [(f"max by ({_BY}) (kubevirt_vmi_migration_data_remaining_bytes{{{_VM}}})", _LEGEND)],
                    "bytes",
                ),
                Panel(
                    "Memory made dirty",
                    [(f"max by ({_BY}) (kubevirt_vmi_dirty_rate_bytes_per_second{{{_VM}}})", _LEGEND)],
                    "Bps",
                ),
            ],
        ),
    ],
)

_SHARED = "container_memory_working_set_bytes"
_HOST = Variable("cluster", "cluster", f'{_SHARED}{{vcluster_name!=""}}')
_OWNERS = Variable("vcluster", "vcluster_name", f'{_SHARED}{{{_IN},vcluster_name!=""}}')
_OF = f'{_IN},vcluster_name=~"$vcluster",vcluster_name!=""'
_CONTAINERS = f'{_OF},container!=""'
_OWNER = "vcluster_host_namespace, vcluster_name"
_PODS = f"{_OWNER}, vcluster_virtual_namespace, vcluster_virtual_pod"
_NAME = "{{vcluster_host_namespace}}/{{vcluster_name}}"
_POD = "{{vcluster_name}} {{vcluster_virtual_namespace}}/{{vcluster_virtual_pod}}"
_CPU = "container_cpu_usage_seconds_total"
_CADVISOR = 'job="kubelet-metrics-cadvisor",'

VCLUSTERS = Dashboard(
    "vmetrics-vclusters",
    "Virtual clusters",
    "What virtual clusters use of the host, by the names of their pods inside; from `kubectl vmetrics proxy`.",
    [_HOST, _OWNERS],
    [
        (
            "Virtual clusters",
            [
                Panel("CPU", [(_sum(_OWNER, _CPU, _CADVISOR + _CONTAINERS), _NAME)]),
                Panel("Memory", [(f"sum by ({_OWNER}) ({_SHARED}{{{_CADVISOR}{_CONTAINERS}}})", _NAME)], "bytes"),
                Panel(
                    "Pods", [(f"count by ({_OWNER}) (sum by ({_PODS}) ({_SHARED}{{{_CADVISOR}{_CONTAINERS}}}))", _NAME)]
                ),
            ],
        ),
        (
            "Pods",
            [
                Panel("CPU, the busiest", [(f"topk(15, {_sum(_PODS, _CPU, _CADVISOR + _CONTAINERS)})", _POD)]),
                Panel(
                    "Memory, the largest",
                    [(f"topk(15, sum by ({_PODS}) ({_SHARED}{{{_CADVISOR}{_CONTAINERS}}}))", _POD)],
                    "bytes",
                ),
            ],
        ),
        (
            "Network and volumes",
            [
                Panel(
                    "Received", [(_sum(_OWNER, "container_network_receive_bytes_total", _CADVISOR + _OF), _NAME)], "Bps"
                ),
                Panel(
                    "Sent", [(_sum(_OWNER, "container_network_transmit_bytes_total", _CADVISOR + _OF), _NAME)], "Bps"
                ),
                Panel(
                    "Volumes, the fullest",
                    [
                        (
                            f"topk(15, max by ({_OWNER}, vcluster_virtual_persistentvolumeclaim) "
                            f"(kubelet_volume_stats_used_bytes{{{_OF}}} / "
                            f"kubelet_volume_stats_capacity_bytes{{{_OF}}}))",
                            "{{vcluster_name}} {{vcluster_virtual_persistentvolumeclaim}}",
                        )
                    ],
                    "percentunit",
                ),
            ],
        ),
    ],
)

ALL = (TENANTS, CONTROL_PLANE, MACHINES, VCLUSTERS)


def config_maps(chosen: Sequence[Dashboard], namespace: str, labels: dict[str, str], folder: str = "") -> list[Object]:
    """Dashboards as ConfigMaps for the sidecar of Grafana's chart.

    Args:
        chosen: which.
        namespace: where the sidecar looks.
        labels: by which it finds them.
        folder: of Grafana, where the sidecar was told of the annotation; "" for its default.
    """
    annotations = {"annotations": {"grafana_folder": folder}} if folder else {}
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": item.name, "namespace": namespace, "labels": labels, **annotations},
            "data": {f"{item.name}.json": json.dumps(render(item), indent=1)},
        }
        for item in chosen
    ]
