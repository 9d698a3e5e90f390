"""A host in Prometheus: what kubelets, kube-state-metrics and the proxy export about pods, for each way of naming."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from kubectl_vmetrics.manifests.rules.names import LABELS, POD_INFO, POD_OWNER, STATE, Way

from .promtool import Series, series

KUBELET = {"job": "kubelet", "metrics_path": "/metrics/cadvisor"}
STATE_METRICS = {"job": "kube-state-metrics", "instance": "10.0.0.8:8080"}
REPLICA = {**STATE_METRICS, "instance": "10.0.0.9:8080"}
NAMES = {"job": "vmetrics-names"}
ALWAYS = "1x40"


class Pod(NamedTuple):
    """A pod of the host.

    Attributes:
        namespace, pod: its names on the host.
        vcluster: its virtual cluster, whose control plane runs in the same namespace; "" for a pod of the host.
        space, name: its names there.
        cluster: the label `cluster`.
    """

    namespace: str
    pod: str
    vcluster: str = ""
    space: str = ""
    name: str = ""
    uid: str = "uid-1"
    cluster: str = "lab"

    @property
    def host(self) -> dict[str, str]:
        """How kubelets and kube-state-metrics call it."""
        return {"cluster": self.cluster, "namespace": self.namespace, "pod": self.pod}

    @property
    def owner(self) -> dict[str, str]:
        """Its virtual cluster."""
        return {"vcluster_host_namespace": self.namespace, "vcluster_name": self.vcluster}

    @property
    def virtual(self) -> dict[str, str]:
        """Its names inside, with those of its virtual cluster."""
        return {**self.owner, "vcluster_virtual_namespace": self.space, "vcluster_virtual_pod": self.name}

    def recorded(self, way: Way) -> dict[str, str]:
        """The labels of its recorded series."""
        return {**self.host, **(self.virtual if way.virtual else self.owner)}

    def recorded_owner(self) -> dict[str, str]:
        """Those of its virtual cluster's series."""
        return {"cluster": self.cluster, **self.owner}


CART = Pod("team-a", "cart-0-x-shop-x-vc1", "vc1", "shop", "cart-0")
HASHED = Pod("team-a", "recommendation-engine-with-an-exceptionally-long-nam-ed75feef38", "vc1", "shop", "rec-0")
HOST = Pod("default", "burner")
TRAP = Pod("default", "a-x-b", uid="uid-9")
"""A pod of the host whose name looks like a synced one's."""


def named(way: Way, pod: Pod, values: str = ALWAYS, source: dict[str, str] | None = None) -> list[Series]:
    """What tells the name of a pod, by a way of naming."""
    where = {**pod.host, "uid": pod.uid}
    state = source or STATE_METRICS
    if way == POD_INFO:
        return (
            [series("vcluster_pod_info", values, **where, **pod.virtual, **(source or NAMES))] if pod.vcluster else []
        )
    if way == STATE:
        labels = {"label_vcluster_loft_sh_managed_by": pod.vcluster, "label_vcluster_loft_sh_namespace": pod.space}
        annotations = {
            "annotation_vcluster_loft_sh_object_name": pod.name,
            "annotation_vcluster_loft_sh_object_kind": "/v1, Kind=Pod" if pod.name else "",
            "annotation_vcluster_loft_sh_name": "chosen-by-the-tenant",
        }
        return [
            series("kube_pod_labels", values, **where, **labels, **state),
            series("kube_pod_annotations", values, **where, **annotations, **state),
        ]
    if way == POD_OWNER:
        owner = {"owner_kind": "Service" if pod.vcluster else "ReplicaSet", "owner_name": pod.vcluster or "burner"}
        return [series("kube_pod_owner", values, **where, **owner, **state)]
    assert way == LABELS
    if not pod.vcluster:
        return []
    labels = {"container": "app", "image": "img", "id": f"/{pod.uid}/app", "instance": "proxy", **pod.virtual}
    ones = values.replace("1x", "1048576x")
    return [series("container_memory_working_set_bytes", ones, **pod.host, **labels, **(source or KUBELET))]


def usage(pod: Pod, seconds: int = 6, values: str = "", **more: str) -> list[Series]:
    """CPU seconds per minute, and 1 MiB of memory, of a container and its cgroups, from cAdvisor."""
    counter = values or f"0+{seconds}x40"
    gauge = values.replace("0+6", "1048576+0") if values else "1048576x40"
    container = {"container": "app", "image": "img", "id": f"/{pod.uid}/app"}
    own = {**pod.host, **KUBELET, "instance": "node-1", **more}
    cgroup = {"id": f"/{pod.uid}"}
    pause = {"image": "pause", "id": f"/{pod.uid}/pause"}
    return [
        series("container_cpu_usage_seconds_total", counter, **own, **container),
        series("container_cpu_usage_seconds_total", counter, **own, **cgroup),
        series("container_cpu_usage_seconds_total", "0x40", **own, **pause),
        series("container_memory_working_set_bytes", gauge, **own, **container),
        series("container_memory_working_set_bytes", gauge, **own, **cgroup),
        series("container_memory_working_set_bytes", "4096x40", **own, **pause),
    ]


def resource(pod: Pod) -> list[Series]:
    """The same from /metrics/resource: the same families without id and image."""
    own = {**pod.host, "job": "kubelet", "metrics_path": "/metrics/resource", "instance": "node-1", "container": "app"}
    return [
        series("container_cpu_usage_seconds_total", "0+6x40", **own),
        series("container_memory_working_set_bytes", "1048576x40", **own),
    ]


def requests(pod: Pod, phase: str = "Running", source: dict[str, str] | None = None) -> list[Series]:
    """Requests and limits, restarts and phase, from kube-state-metrics."""
    state = source or STATE_METRICS
    where = {**pod.host, "uid": pod.uid, **state}
    app = {**where, "container": "app"}
    found = [
        series(f"kube_pod_container_resource_{kind}", f"{value}x40", **app, resource=what, unit=unit)
        for kind, what, unit, value in (
            ("requests", "cpu", "core", "0.1"),
            ("requests", "memory", "byte", "64"),
            ("limits", "cpu", "core", "0.2"),
            ("limits", "memory", "byte", "128"),
            ("requests", "nvidia_com_gpu", "integer", "1"),
            ("requests", "ephemeral_storage", "byte", "5"),
        )
    ]
    phases = ("Pending", "Running", "Succeeded", "Failed", "Unknown")
    return [
        *found,
        series("kube_pod_container_status_restarts_total", "3x40", **app),
        *(series("kube_pod_status_phase", f"{int(one == phase)}x40", **where, phase=one) for one in phases),
    ]


def together(*parts: Iterable[Series]) -> list[Series]:
    """All series of several parts."""
    return [item for part in parts for item in part]
