"""What pods had asked for at a moment, from kube-state-metrics, in the type of the API's pods."""

from __future__ import annotations

import math
from typing import NamedTuple

from kubectl_vmetrics.kube.core import ContainerSpec, ContainerStatus, ObjectMeta, Pod, Resources
from kubectl_vmetrics.metrics.metrics_api import Scope
from kubectl_vmetrics.metrics.quantity import NANOS, render_cpu, render_memory
from kubectl_vmetrics.metrics.usage import HostPod

from . import nodes
from .moment import Moment, matchers_of

_RESOURCES = {"cpu": "cpu", "memory": "memory", "nvidia_com_gpu": "nvidia.com/gpu", "amd_com_gpu": "amd.com/gpu"}
"""By the name that kube-state-metrics gives it: a resource."""


class _Key(NamedTuple):
    pod: HostPod
    container: str


def read(moment: Moment, scope: Scope) -> dict[HostPod, Pod]:
    """The pods of a scope that ran, or were about to, with their nodes, and their containers' requests and limits.

    Without the series of kube-state-metrics there are none. Resources of whole pods, and those of init containers, are
    not in it: kube-state-metrics does not export the first.
    """
    found: dict[HostPod, Pod] = {}
    containers: dict[_Key, ContainerSpec] = {}
    only, state = matchers_of(scope), moment.jobs.state
    phase = f'kube_pod_status_phase{{{state},phase=~"Pending|Running"{only}}} == 1'
    # Containers without requests count, too: with one of those a pod has no limit.
    by = "namespace, pod, container"
    chosen = f"kube_pod_container_info{{{state}{only}}} and on (namespace, pod) ({phase})"
    for sample in moment.query(f"group by ({by}) ({chosen})"):
        key = _key(sample.labels)
        containers[key] = spec = ContainerSpec(key.container, Resources({}, {}))
        pod = found.setdefault(key.pod, Pod(ObjectMeta(key.pod.name, key.pod.namespace)))
        pod.spec.containers = [*pod.spec.containers, spec]
    if not found:
        return found
    for family in ("requests", "limits"):
        chosen = f'kube_pod_container_resource_{family}{{{state},resource=~"{"|".join(_RESOURCES)}"{only}}}'
        for sample in moment.query(f"max by ({by}, resource) ({chosen})"):
            wanted, resource = containers.get(_key(sample.labels)), sample.labels.get("resource", "")
            if wanted and math.isfinite(sample.number):
                listed = wanted.resources.requests if family == "requests" else wanted.resources.limits
                listed[_RESOURCES[resource]] = quantity(resource, sample.number)
    chosen = f"kube_pod_container_status_restarts_total{{{state}{only}}}"
    for sample in moment.query(f"max by ({by}) ({chosen})"):
        key = _key(sample.labels)
        if key in containers and math.isfinite(sample.number):
            status = found[key.pod].status
            status.containers = [*status.containers, ContainerStatus(key.container, int(sample.number))]
    for host, node in nodes.of_pods(moment, only).items():
        if host in found:
            found[host].spec.node = node
    return found


def quantity(resource: str, number: float) -> str:
    """A number of kube-state-metrics as a quantity of the API."""
    return render_cpu(round(number * NANOS)) if resource == "cpu" else render_memory(int(number))


def _key(labels: dict[str, str]) -> _Key:
    return _Key(HostPod(labels.get("namespace", ""), labels.get("pod", "")), labels.get("container", ""))
