"""The dashboard of virtual clusters, by what the proxy serves."""

from __future__ import annotations

from .grafana import Dashboard, Panel, Variable
from .promql import IN, sum_

_SHARED = "container_memory_working_set_bytes"
_HOST = Variable("cluster", "cluster", f'{_SHARED}{{vcluster_name!=""}}')
_OWNERS = Variable("vcluster", "vcluster_name", f'{_SHARED}{{{IN},vcluster_name!=""}}')
_OF = f'{IN},vcluster_name=~"$vcluster",vcluster_name!=""'
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
                Panel("CPU", [(sum_(_OWNER, _CPU, _CADVISOR + _CONTAINERS), _NAME)]),
                Panel("Memory", [(f"sum by ({_OWNER}) ({_SHARED}{{{_CADVISOR}{_CONTAINERS}}})", _NAME)], "bytes"),
                Panel(
                    "Pods", [(f"count by ({_OWNER}) (sum by ({_PODS}) ({_SHARED}{{{_CADVISOR}{_CONTAINERS}}}))", _NAME)]
                ),
            ],
        ),
        (
            "Pods",
            [
                Panel("CPU, the busiest", [(f"topk(15, {sum_(_PODS, _CPU, _CADVISOR + _CONTAINERS)})", _POD)]),
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
                    "Received", [(sum_(_OWNER, "container_network_receive_bytes_total", _CADVISOR + _OF), _NAME)], "Bps"
                ),
                Panel(
                    "Sent", [(sum_(_OWNER, "container_network_transmit_bytes_total", _CADVISOR + _OF), _NAME)], "Bps"
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
