"""The dashboard of tenants: what virtual clusters use, request and may have, from the series of `manifests rules`.

The variables `cluster`, `vcluster_host_namespace` and `vcluster_name` choose among virtual clusters and their quotas;
`vcluster_virtual_namespace` among virtual namespaces, pods and claims. Where the rules know no virtual names (--names
pod-owner), there are no virtual namespaces and claims, and pods have their host names alone.
"""

from __future__ import annotations

from .grafana import Dashboard, Panel, Variable
from .promql import IN

_HOST = 'vcluster_host_namespace=~"$vcluster_host_namespace"'
_NAME = 'vcluster_name=~"$vcluster_name"'
_OWNED = f"{IN},{_HOST},{_NAME}"
_INSIDE = f'{_OWNED},vcluster_virtual_namespace=~"$vcluster_virtual_namespace"'

_TENANT = "{{vcluster_host_namespace}}/{{vcluster_name}}"
_SPACE = f"{_TENANT} {{{{vcluster_virtual_namespace}}}}"
_POD = f"{_SPACE}/{{{{vcluster_virtual_pod}}}} ({{{{pod}}}})"
_CLAIM = f"{_SPACE}/{{{{vcluster_virtual_persistentvolumeclaim}}}}"
_OWNER = "cluster, vcluster_host_namespace, vcluster_name"
_MOST = 15
_CPU, _MEMORY = "cpu_usage_cores", "memory_working_set_bytes"


def _tenants(metric: str) -> str:
    """A metric of virtual clusters."""
    return f"vcluster:{metric}:sum{{{_OWNED}}}"


def _row(series: str) -> str:
    """A row of a table for each virtual cluster: without their names, series of several queries share it."""
    return f"sum by ({_OWNER}) ({series})"


def _of(metric: str, whole: str) -> str:
    """The share of a metric of virtual clusters in another; none where that is 0."""
    return f"{_tenants(metric)} / ({_tenants(whole)} > 0)"


def _pods(metric: str) -> str:
    """A metric of pods, with its operation."""
    return f"vcluster_pod:{metric}{{{_INSIDE}}}"


def _most(series: str) -> str:
    return f"topk({_MOST}, {series})"


def _claims(metric: str) -> str:
    return f"vcluster_claim:{metric}_bytes:max{{{_INSIDE}}}"


_QUOTA_USED, _QUOTA_HARD = (f"vcluster:quota_{kind}:max{{{_OWNED}}}" for kind in ("used", "hard"))
_QUOTA = f"{_OWNER}, resourcequota, resource"

TENANTS = Dashboard(
    "vmetrics-tenants",
    "Tenants",
    "What each virtual cluster uses, requests and may have, down to its pods. Needs the rules of `manifests rules`.",
    [
        Variable("cluster", "cluster", "vcluster:pods:count"),
        Variable("vcluster_host_namespace", "vcluster_host_namespace", f"vcluster:pods:count{{{IN}}}"),
        Variable("vcluster_name", "vcluster_name", f"vcluster:pods:count{{{IN},{_HOST}}}"),
        Variable(
            "vcluster_virtual_namespace", "vcluster_virtual_namespace", f"vcluster_namespace:pods:count{{{_OWNED}}}"
        ),
    ],
    [
        (
            "Virtual clusters",
            [
                Panel(
                    "Usage and requests",
                    [
                        (_row(f"vcluster:pods:count{{{_OWNED}}}"), "Pods"),
                        (_row(_tenants(_CPU)), "CPU"),
                        (_row(_tenants("cpu_requests_cores")), "CPU requests"),
                        (_row(_tenants("cpu_limits_cores")), "CPU limits"),
                        (_row(_tenants(_MEMORY)), "Memory"),
                        (_row(_tenants("memory_requests_bytes")), "Memory requests"),
                        (_row(_tenants("memory_limits_bytes")), "Memory limits"),
                        (_row(_tenants("volume_requested_bytes")), "Volumes"),
                        (_row(_tenants("gpu_requests")), "GPUs"),
                        (_row(_tenants("container_restarts")), "Restarts"),
                    ],
                    kind="table",
                    about="CPU in cores. Pods and usage of control planes are not included.",
                    units={
                        "Memory": "bytes",
                        "Memory requests": "bytes",
                        "Memory limits": "bytes",
                        "Volumes": "bytes",
                    },
                ),
            ],
        ),
        (
            "CPU and memory",
            [
                Panel("CPU", [(_tenants(_CPU), _TENANT)], about="In cores.", width=8),
                Panel("CPU requests", [(_tenants("cpu_requests_cores"), _TENANT)], about="In cores.", width=8),
                Panel(
                    "CPU, share of requests",
                    [(_of(_CPU, "cpu_requests_cores"), _TENANT)],
                    "percentunit",
                    width=8,
                ),
                Panel("Memory", [(_tenants(_MEMORY), _TENANT)], "bytes", about="Working set.", width=8),
                Panel("Memory requests", [(_tenants("memory_requests_bytes"), _TENANT)], "bytes", width=8),
                Panel(
                    "Memory, share of requests",
                    [(_of(_MEMORY, "memory_requests_bytes"), _TENANT)],
                    "percentunit",
                    width=8,
                ),
            ],
        ),
        (
            "Quota",
            [
                Panel(
                    "Share of quota used",
                    [(f"{_QUOTA_USED} / ({_QUOTA_HARD} > 0)", f"{_TENANT} {{{{resource}}}}")],
                    "percentunit",
                    about="Quotas of host namespaces that hold one virtual cluster.",
                ),
                Panel(
                    "Quotas",
                    [(f"max by ({_QUOTA}) ({_QUOTA_USED})", "Used"), (f"max by ({_QUOTA}) ({_QUOTA_HARD})", "Hard")],
                    kind="table",
                    about="CPU in cores, memory and storage in bytes.",
                ),
            ],
        ),
        (
            "Virtual namespaces",
            [
                Panel(
                    "CPU by virtual namespace",
                    [(_most(f"vcluster_namespace:{_CPU}:sum{{{_INSIDE}}}"), _SPACE)],
                    about="In cores.",
                ),
                Panel(
                    "Memory by virtual namespace",
                    [(_most(f"vcluster_namespace:{_MEMORY}:sum{{{_INSIDE}}}"), _SPACE)],
                    "bytes",
                ),
                Panel(
                    "Pods by virtual namespace",
                    [(_most(f"vcluster_namespace:pods:count{{{_INSIDE}}}"), _SPACE)],
                ),
            ],
        ),
        (
            "Pods",
            [
                Panel("CPU, top pods", [(_most(_pods(f"{_CPU}:rate5m")), _POD)], about="In cores.", width=12),
                Panel("Memory, top pods", [(_most(_pods(f"{_MEMORY}:sum")), _POD)], "bytes", width=12),
                Panel(
                    "CPU throttling, top pods",
                    [(_most(_pods("cpu_throttled:ratio_rate5m")), _POD)],
                    "percentunit",
                    about="Share of scheduler periods in which a container of the pod reached its limit.",
                    width=12,
                ),
                Panel("Container restarts, top pods", [(_most(_pods("container_restarts:sum")), _POD)], width=12),
            ],
        ),
        (
            "Network",
            [
                Panel("Received", [(_tenants("network_receive_bytes"), _TENANT)], "Bps", width=6),
                Panel("Transmitted", [(_tenants("network_transmit_bytes"), _TENANT)], "Bps", width=6),
                Panel("Received, top pods", [(_most(_pods("network_receive_bytes:rate5m")), _POD)], "Bps", width=6),
                Panel("Transmitted, top pods", [(_most(_pods("network_transmit_bytes:rate5m")), _POD)], "Bps", width=6),
            ],
        ),
        (
            "Volumes",
            [
                Panel(
                    "Share of capacity used, fullest claims",
                    [(_most(f"{_claims('used')} / ({_claims('capacity')} > 0)"), _CLAIM)],
                    "percentunit",
                ),
                Panel("Used, largest claims", [(_most(_claims("used")), _CLAIM)], "bytes"),
                Panel("Requested", [(_tenants("volume_requested_bytes"), _TENANT)], "bytes"),
            ],
        ),
        (
            "GPU",
            [
                Panel("GPUs requested", [(_tenants("gpu_requests"), _TENANT)]),
                Panel(
                    "GPU utilization",
                    [(_most(_pods("gpu_utilization:avg")), _POD)],
                    "percentunit",
                    about="From NVIDIA's dcgm-exporter.",
                ),
            ],
        ),
    ],
)
