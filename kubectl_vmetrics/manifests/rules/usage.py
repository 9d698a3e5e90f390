"""What pods use, from the kubelets' cAdvisor series and from NVIDIA's dcgm-exporter."""

from __future__ import annotations

from .expression import call, grouped, operation, over, rate, relabeled, selector
from .labels import CLUSTER, HOST_POD, POD_NAMES
from .names import LOOK_BACK, Way
from .record import Record
from .sources import Sources

CONTAINERS = 'container!=""', 'image!=""'
"""Containers of pods: neither the pod's own cgroup, which is their sum, nor the pause container."""
FRESH = 120
"""Seconds: kubelets may be scraped once a minute, and cAdvisor's samples are up to 25 s old by then."""
_ONE = (*HOST_POD, "container", "id")
"""One run of a container. Jobs that scrape the same kubelet report the same numbers: one of them is taken, by max."""


def named(value: str, way: Way) -> str:
    """A value per host pod, with the pod's virtual names; pods of the host itself have none and are left out."""
    return operation(value, f"* on ({', '.join(HOST_POD)}) group_left ({', '.join(way.labels)})", POD_NAMES)


def records(way: Way, sources: Sources) -> list[Record]:
    """CPU, memory, network, throttling and GPUs of each pod."""
    return [
        Record("vcluster_pod:cpu_usage_cores:rate5m", named(_cpu(sources), way)),
        Record("vcluster_pod:memory_working_set_bytes:sum", named(_memory(sources), way)),
        Record("vcluster_pod:network_receive_bytes:rate5m", named(_network("receive", sources), way)),
        Record("vcluster_pod:network_transmit_bytes:rate5m", named(_network("transmit", sources), way)),
        Record("vcluster_pod:cpu_throttled:ratio_rate5m", named(grouped(_throttled(sources)), way)),
        Record("vcluster_pod:gpu_utilization:avg", named(grouped(_gpu(sources)), way)),
    ]


def _cpu(sources: Sources) -> str:
    chosen = selector("container_cpu_usage_seconds_total", sources.cadvisor, *CONTAINERS)
    return over("sum", HOST_POD, over("max", _ONE, rate(chosen)))


def _memory(sources: Sources) -> str:
    # cAdvisor's samples carry their own time, so that series of a container that has ended stay for 5m. Only samples
    # that are still made count, and of two containers of one name, one.
    chosen = selector("container_memory_working_set_bytes", sources.cadvisor, *CONTAINERS)
    fresh = operation(chosen, "and", call("time() - timestamp", chosen) + f" < {FRESH}")
    return over("sum", HOST_POD, over("max", (*HOST_POD, "container"), fresh))


def _network(way: str, sources: Sources) -> str:
    # Bridges and taps of KubeVirt repeat what passes the pod's own interface.
    chosen = selector(f"container_network_{way}_bytes_total", sources.cadvisor, 'pod!=""', 'interface!~"k6t.*|tap.*"')
    total = over("sum", HOST_POD, over("max", (*HOST_POD, "id", "interface"), rate(chosen)))
    # A pod in the host's network reports the traffic of the whole node.
    host = selector("kube_pod_info", sources.state, 'host_network="true"')
    return grouped(
        operation(total, f"unless on ({', '.join(HOST_POD)})", call("max_over_time", f"{host}[{LOOK_BACK}]"))
    )


def _throttled(sources: Sources) -> str:
    periods, throttled = (
        over("sum", HOST_POD, over("max", _ONE, rate(selector(family, sources.cadvisor, 'container!=""'))))
        for family in ("container_cpu_cfs_periods_total", "container_cpu_cfs_throttled_periods_total")
    )
    return operation(throttled, "/", grouped(f"{periods} > 0"))


def _gpu(sources: Sources) -> str:
    return operation(
        _of_pods("DCGM_FI_PROF_GR_ENGINE_ACTIVE", sources),
        f"or on ({', '.join(HOST_POD)})",
        f"{_of_pods('DCGM_FI_DEV_GPU_UTIL', sources)} / 100",
    )


def _of_pods(family: str, sources: Sources) -> str:
    """A gauge of dcgm-exporter, averaged over the GPUs of a pod.

    The pod that uses a GPU is in `pod`, or in `exported_pod` where Prometheus keeps `pod` for the exporter itself.
    """
    devices = ("UUID", "GPU_I_ID")
    foreign = selector(family, sources.dcgm, 'exported_pod!=""')
    kept = over("max", (CLUSTER, "exported_namespace", "exported_pod", *devices), foreign)
    changes = ("namespace", "exported_namespace"), ("pod", "exported_pod")
    plain = over("max", (*HOST_POD, *devices), selector(family, sources.dcgm, 'exported_pod=""', 'pod!=""'))
    return over("avg", HOST_POD, operation(relabeled(kept, changes), "or", plain))
