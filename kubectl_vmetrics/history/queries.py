"""What is asked of a Prometheus for each metric: one query for all pods, never one per pod.

Identities are aggregated by `max` without job and instance, so that jobs that scrape the same kubelet, or replicas of
kube-state-metrics, never add up.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from .jobs import Jobs


class Metric(str, Enum):
    """A metric, and the unit of its amounts in a step."""

    CPU = "cpu"
    """Core-seconds, of containers; container "" for what belongs to the pod and to none of them."""
    MEMORY = "memory"
    """Byte-seconds of the working set."""
    MEMORY_PEAK = "memoryPeak"
    """Byte-seconds, as if the largest sample of the step had lasted for all of it."""
    CPU_REQUEST = "cpuRequest"
    """Core-seconds, of pods that are on a node and have not ended; container "" for what an init container adds."""
    MEMORY_REQUEST = "memoryRequest"
    """Byte-seconds."""
    GPU_REQUEST = "gpuRequest"
    """GPU-seconds."""
    CPU_LIMIT = "cpuLimit"
    """Core-seconds."""
    MEMORY_LIMIT = "memoryLimit"
    """Byte-seconds."""
    RUNNING = "running"
    """Seconds for which the pod was in phase Running."""
    NETWORK_RECEIVE = "networkReceive"
    """Bytes; not of pods in the host's network, which report their node's."""
    NETWORK_TRANSMIT = "networkTransmit"
    """Bytes."""
    DISK_READ = "diskRead"
    """Bytes."""
    DISK_WRITE = "diskWrite"
    """Bytes."""
    GPU = "gpu"
    """GPU-seconds of activity: 1 for each second of one GPU that is always busy."""
    VOLUME_USED = "volumeUsed"
    """Byte-seconds."""
    VOLUME_CAPACITY = "volumeCapacity"
    """Byte-seconds."""
    VOLUME_REQUEST = "volumeRequest"
    """Byte-seconds."""
    PERIODS = "periods"
    """CFS periods in which a container with a CPU limit wanted to run."""
    THROTTLED = "throttled"
    """Those of PERIODS in which it was throttled."""
    OOM_KILLS = "oomKills"
    """How often the kernel killed a process of the container because of its memory limit."""
    RESTARTS = "restarts"
    """How often a container was restarted."""
    NODE_CPU_ALLOCATABLE = "nodeCpuAllocatable"
    """Core-seconds."""
    NODE_MEMORY_ALLOCATABLE = "nodeMemoryAllocatable"
    """Byte-seconds."""
    NODE_GPU_ALLOCATABLE = "nodeGpuAllocatable"
    """GPU-seconds."""
    NODE_CPU = "nodeCpu"
    """Core-seconds."""
    NODE_MEMORY = "nodeMemory"
    """Byte-seconds of the working set."""
    VM_CPU = "vmCpu"
    """Core-seconds, of virtual machines by the name of the VirtualMachineInstance."""
    VM_MEMORY = "vmMemory"
    """Byte-seconds that programs in the guest use, or the QEMU process if the guest has no balloon driver to say so."""
    VM_RUNNING = "vmRunning"
    """Seconds."""
    VM_NETWORK_RECEIVE = "vmNetworkReceive"
    """Bytes."""
    VM_NETWORK_TRANSMIT = "vmNetworkTransmit"
    """Bytes."""
    VM_DISK_READ = "vmDiskRead"
    """Bytes."""
    VM_DISK_WRITE = "vmDiskWrite"
    """Bytes."""
    QUOTA_USED = "quotaUsed"
    """Unit-seconds; pod is the ResourceQuota, and container the resource."""
    QUOTA_HARD = "quotaHard"
    """Unit-seconds."""

    @property
    def increase(self) -> bool:
        """Whether amounts are increases (bytes, counts) rather than integrals over time."""
        return self in _INCREASES


_INCREASES = frozenset(
    {
        *(Metric.NETWORK_RECEIVE, Metric.NETWORK_TRANSMIT, Metric.DISK_READ, Metric.DISK_WRITE),
        *(Metric.PERIODS, Metric.THROTTLED, Metric.OOM_KILLS, Metric.RESTARTS),
        *(Metric.VM_NETWORK_RECEIVE, Metric.VM_NETWORK_TRANSMIT, Metric.VM_DISK_READ, Metric.VM_DISK_WRITE),
    }
)

POD, CLAIM, NODE = ("namespace", "pod"), ("namespace", "persistentvolumeclaim"), ("node",)
CONTAINER = (*POD, "container")
TARGET = ("instance", "node")
"""What a counter is scraped from; whether a new series is a new container depends on that."""


class Query(NamedTuple):
    """Series of one metric, from one source.

    Attributes:
        selectors: of which each series matches one.
        by: the labels that make an identity; the first are those of `key`.
        key: labels for namespace, name and container of the amounts.
        counter: whether it counts up, and is differenced; else it is a gauge, and integrated.
        named: whether an identity is a name, which a successor takes over, rather than the one cgroup.
        scale: by which values are multiplied.
        source: which jobs have it: "cadvisor", "kubelet" or "state", or else a matcher of its own.
        alike: whether identities of one key are the same thing, of which the largest counts; else they add up.
        peak: whether the largest sample of a step counts for all of it.
        witness: series, few of them, that exist whenever the source is scraped.
    """

    selectors: tuple[str, ...]
    by: tuple[str, ...]
    key: tuple[str, ...]
    counter: bool
    named: bool = False
    scale: float = 1.0
    witness: str = ""
    source: str = "state"
    alike: bool = False
    peak: bool = False

    def on(self, jobs: Jobs, only: str = "") -> Query:
        """The same with selectors that match the series of the jobs that count.

        Args:
            jobs: whose series count.
            only: matchers for series of this cluster, where jobs have none.
        """
        own = ",".join(filter(None, (self.source, only)))
        matchers = {"cadvisor": jobs.cadvisor, "kubelet": jobs.kubelet, "state": jobs.state}.get(self.source, own)
        chosen = tuple(_matched(selector, matchers) for selector in self.selectors)
        return self._replace(selectors=chosen, witness=_matched(self.witness, matchers))

    @property
    def sampled(self) -> tuple[str, ...]:
        """The labels of a counter's series: its identity, and what it was scraped from."""
        return (*self.by, *(label for label in TARGET if label not in self.by))

    @property
    def unique(self) -> bool:
        """Whether an identity is that of one object, which does not come back once it is gone."""
        return "id" in self.by or "uid" in self.by

    def last(self, seconds: float) -> str:
        """The last value of each counter within the time before a step's end."""
        return self._over("last_over_time", seconds, self.sampled)

    def largest(self, seconds: float) -> str:
        """The largest value of each counter or gauge, as `last`."""
        return self._over("max_over_time", seconds, self.sampled if self.counter else self.by)

    def smallest(self, seconds: float) -> str:
        """The smallest value of each counter, as `last`."""
        return self._over("min_over_time", seconds, self.sampled)

    def time(self) -> str:
        """When each counter was sampled."""
        return self._max(self.sampled, [f"timestamp({selector})" for selector in self.selectors])

    def mean(self, seconds: float) -> str:
        """The mean of the samples of each gauge within the time before a step's end."""
        return self._over("avg_over_time", seconds, self.by)

    def newest(self, seconds: float) -> str:
        """The last sample of each gauge."""
        return self._over("last_over_time", seconds, self.by)

    def samples(self, seconds: float) -> str:
        """How many samples each gauge has."""
        return self._over("count_over_time", seconds, self.by)

    def _over(self, function: str, seconds: float, by: tuple[str, ...]) -> str:
        return self._max(by, [f"{function}({selector}[{duration(seconds)}])" for selector in self.selectors])

    @staticmethod
    def _max(by: tuple[str, ...], parts: list[str]) -> str:
        return f"max by ({', '.join(by)}) ({' or '.join(parts)})"


def _matched(selector: str, matchers: str) -> str:
    family, _, own = selector.removesuffix("}").partition("{")
    return f"{family}{{{','.join(filter(None, (matchers, own)))}}}"


def duration(seconds: float) -> str:
    """A duration in PromQL; whole milliseconds, at least one."""
    millis = max(1, round(seconds * 1000))
    return f"{millis // 1000}s" if millis % 1000 == 0 else f"{millis}ms"


_CADVISOR, _RESOURCE = "machine_cpu_cores", "node_cpu_usage_seconds_total"
_STATE, _KUBELET = "kube_node_info", "kubelet_running_pods"
_DCGM, _KUBEVIRT = "DCGM_FI_DEV_GPU_UTIL", "kubevirt_vmi_info"
_SOURCES = {
    _CADVISOR: "cadvisor",
    _RESOURCE: "kubelet",
    _KUBELET: "kubelet",
    # The job is the name of a Service, and those of tenants have "-x-" in theirs.
    _DCGM: 'job=~".*dcgm.*",job!~".*-x-.*"',
    _KUBEVIRT: 'job=~".*(kubevirt|virt-handler).*",job!~".*-x-.*"',
}
"""Which jobs have the series of a witness, if not kube-state-metrics."""
_ONE = (*CONTAINER, "id")
_RUN = 'container!="",container!="POD",image!=""'
"""Containers of pods as cAdvisor reports them, without the pause container."""
_CGROUP = 'container="",image="",pod!="",id!=""'
"""Cgroups of whole pods; kube-prometheus-stack drops them."""
_PLAIN = 'container!="",id="",image=""'
"""Containers as the kubelet's /metrics/resource reports them."""
_GPUS = ("nvidia_com_gpu", "amd_com_gpu")


def _query(
    selectors: tuple[str, ...],
    by: tuple[str, ...],
    key: tuple[str, ...],
    *,
    counter: bool,
    witness: str,
    named: bool = False,
    scale: float = 1.0,
) -> Query:
    return Query(selectors, by, key, counter, named, scale, witness, _SOURCES.get(witness, "state"))


def _cadvisor(family: str, by: tuple[str, ...], *matchers: str) -> Query:
    return _query(tuple(f"{family}{{{item}}}" for item in matchers), by, by[:3], counter=True, witness=_CADVISOR)


def _traffic(family: str) -> tuple[Query, ...]:
    # Bridges and taps of KubeVirt repeat what passes the pod's own interface.
    chosen = f'{family}{{pod!="",interface!~"k6t.*|tap.*"}}'
    return (_query((chosen,), (*POD, "id", "interface"), POD, counter=True, witness=_CADVISOR),)


def _gauge(selector: str, key: tuple[str, ...], *more: str, witness: str = _STATE, scale: float = 1.0) -> Query:
    return _query((selector,), (*key, *more), key, counter=False, named=True, scale=scale, witness=witness)


def _counter(selector: str, key: tuple[str, ...], *more: str, witness: str) -> Query:
    return _query((selector,), (*key, *more), key, counter=True, named=True, witness=witness)


def _allocatable(resources: str) -> tuple[Query, ...]:
    return (_gauge(f'kube_node_status_allocatable{{resource=~"{resources}"}}', NODE, "resource"),)


EXPORTED = ("exported_namespace", "exported_pod")
"""Where the names of the pod are that uses a GPU, if Prometheus keeps namespace and pod for the exporter itself."""
_DEVICE = (*EXPORTED, "UUID", "GPU_I_ID")
_VMI = ("namespace", "name")

_MEMORY = (
    _query((f"container_memory_working_set_bytes{{{_RUN}}}",), _ONE, CONTAINER, counter=False, witness=_CADVISOR),
    _query(
        (f"container_memory_working_set_bytes{{{_PLAIN}}}",),
        CONTAINER,
        CONTAINER,
        counter=False,
        named=True,
        witness=_RESOURCE,
    ),
)

PLAIN: dict[Metric, tuple[Query, ...]] = {
    Metric.CPU: (
        _cadvisor("container_cpu_usage_seconds_total", _ONE, _CGROUP, _RUN),
        _query(
            (f"container_cpu_usage_seconds_total{{{_PLAIN}}}",),
            CONTAINER,
            CONTAINER,
            counter=True,
            named=True,
            witness=_RESOURCE,
        ),
    ),
    Metric.MEMORY: _MEMORY,
    Metric.MEMORY_PEAK: tuple(query._replace(alike=True, peak=True) for query in _MEMORY),
    Metric.NETWORK_RECEIVE: _traffic("container_network_receive_bytes_total"),
    Metric.NETWORK_TRANSMIT: _traffic("container_network_transmit_bytes_total"),
    Metric.DISK_READ: (_cadvisor("container_fs_reads_bytes_total", (*_ONE, "device"), _RUN),),
    Metric.DISK_WRITE: (_cadvisor("container_fs_writes_bytes_total", (*_ONE, "device"), _RUN),),
    Metric.PERIODS: (_cadvisor("container_cpu_cfs_periods_total", _ONE, 'container!="",container!="POD"'),),
    Metric.THROTTLED: (_cadvisor("container_cpu_cfs_throttled_periods_total", _ONE, 'container!="",container!="POD"'),),
    Metric.OOM_KILLS: (_cadvisor("container_oom_events_total", _ONE, _RUN),),
    Metric.RESTARTS: (_counter('kube_pod_container_status_restarts_total{pod!=""}', CONTAINER, "uid", witness=_STATE),),
    Metric.GPU: (
        _gauge("DCGM_FI_PROF_GR_ENGINE_ACTIVE", POD, *_DEVICE, witness=_DCGM),
        _gauge("DCGM_FI_DEV_GPU_UTIL", POD, *_DEVICE, witness=_DCGM, scale=0.01),
    ),
    Metric.VOLUME_USED: (_gauge("kubelet_volume_stats_used_bytes", CLAIM, witness=_KUBELET),),
    Metric.VOLUME_CAPACITY: (_gauge("kubelet_volume_stats_capacity_bytes", CLAIM, witness=_KUBELET),),
    Metric.VOLUME_REQUEST: (_gauge("kube_persistentvolumeclaim_resource_requests_storage_bytes", CLAIM),),
    Metric.RUNNING: (_gauge('kube_pod_status_phase{phase="Running"}', POD, "uid"),),
    Metric.NODE_CPU_ALLOCATABLE: _allocatable("cpu"),
    Metric.NODE_MEMORY_ALLOCATABLE: _allocatable("memory"),
    Metric.NODE_GPU_ALLOCATABLE: _allocatable("|".join(_GPUS)),
    Metric.NODE_CPU: (
        _counter('container_cpu_usage_seconds_total{id="/"}', NODE, witness=_CADVISOR),
        _counter("node_cpu_usage_seconds_total", NODE, witness=_RESOURCE),
    ),
    Metric.NODE_MEMORY: (
        _gauge('container_memory_working_set_bytes{id="/"}', NODE, "instance", witness=_CADVISOR)._replace(alike=True),
        _gauge("node_memory_working_set_bytes", NODE, "instance", witness=_RESOURCE)._replace(alike=True),
    ),
    Metric.VM_CPU: (
        _counter("kubevirt_vmi_cpu_usage_seconds_total", _VMI, witness=_KUBEVIRT),
        _counter("kubevirt_vmi_vcpu_seconds_total", _VMI, "id", witness=_KUBEVIRT),
    ),
    Metric.VM_RUNNING: (_gauge('kubevirt_vmi_info{phase="running"}', _VMI, witness=_KUBEVIRT),),
    Metric.VM_NETWORK_RECEIVE: (
        _counter("kubevirt_vmi_network_receive_bytes_total", _VMI, "interface", witness=_KUBEVIRT),
    ),
    Metric.VM_NETWORK_TRANSMIT: (
        _counter("kubevirt_vmi_network_transmit_bytes_total", _VMI, "interface", witness=_KUBEVIRT),
    ),
    Metric.VM_DISK_READ: (_counter("kubevirt_vmi_storage_read_traffic_bytes_total", _VMI, "drive", witness=_KUBEVIRT),),
    Metric.VM_DISK_WRITE: (
        _counter("kubevirt_vmi_storage_write_traffic_bytes_total", _VMI, "drive", witness=_KUBEVIRT),
    ),
    Metric.QUOTA_USED: (_gauge('kube_resourcequota{type="used"}', ("namespace", "resourcequota", "resource")),),
    Metric.QUOTA_HARD: (_gauge('kube_resourcequota{type="hard"}', ("namespace", "resourcequota", "resource")),),
}
"""Queries of a metric whose amounts are those of its series; later ones stand in where the first has no series."""

_RESOURCES = f'{{resource=~"cpu|memory|{"|".join(_GPUS)}"}}'
PHASE = _gauge('kube_pod_status_phase{phase="Running"}', POD, "uid")
SIDECARS = _gauge('kube_pod_init_container_info{restart_policy="Always"}', CONTAINER, "uid")
REQUESTS, LIMITS, SIDECAR_REQUESTS, SIDECAR_LIMITS = (
    _gauge(f"kube_pod_{kind}_resource_{what}{_RESOURCES}", CONTAINER, "resource", "uid")
    for kind in ("container", "init_container")
    for what in ("requests", "limits")
)
KILLED = _gauge('kube_pod_container_status_last_terminated_reason{reason="OOMKilled"}', CONTAINER, "uid")
HOST_NETWORK = _gauge('kube_pod_info{host_network="true"}', POD)
VM_AVAILABLE = _gauge("kubevirt_vmi_memory_available_bytes", _VMI, witness=_KUBEVIRT)
VM_RESIDENT = _gauge("kubevirt_vmi_memory_resident_bytes", _VMI, witness=_KUBEVIRT)
VM_USABLE = _gauge("kubevirt_vmi_memory_usable_bytes", _VMI, witness=_KUBEVIRT)
