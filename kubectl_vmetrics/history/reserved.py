"""What pods had asked for at a moment, from kube-state-metrics, in the type of the API's pods."""

from __future__ import annotations

import math

from kubectl_vmetrics.kube.core import ContainerSpec, ObjectMeta, Pod, Resources
from kubectl_vmetrics.metrics.metrics_api import Scope
from kubectl_vmetrics.metrics.quantity import NANOS, render_cpu, render_memory
from kubectl_vmetrics.metrics.usage import HostPod

from . import nodes
from .moment import Moment, matchers_of


def read(moment: Moment, scope: Scope) -> dict[HostPod, Pod]:
    """The pods of a scope with their nodes, and their containers' requests and limits; none without their series.

    Resources of whole pods, and those of init containers, are not in it: kube-state-metrics does not export the first.
    """
    found: dict[HostPod, Pod] = {}
    containers: dict[tuple[HostPod, str], ContainerSpec] = {}
    only = matchers_of(scope)
    # Containers without requests count, too: with one of those a pod has no limit.
    by = "namespace, pod, container"
    for sample in moment.query(f"group by ({by}) (kube_pod_container_info{{{moment.jobs.state}{only}}})"):
        _container(found, containers, sample.labels)
    for family in ("requests", "limits"):
        chosen = f'kube_pod_container_resource_{family}{{{moment.jobs.state},resource=~"cpu|memory"{only}}}'
        for sample in moment.query(f"max by ({by}, resource) ({chosen})"):
            resource, number = sample.labels.get("resource", ""), sample.number
            if math.isfinite(number):
                text = render_cpu(round(number * NANOS)) if resource == "cpu" else render_memory(int(number))
                spec = _container(found, containers, sample.labels)
                (spec.resources.requests if family == "requests" else spec.resources.limits)[resource] = text
    if found:
        for pod, node in nodes.of_pods(moment).items():
            if pod in found:
                found[pod].spec.node = node
    return found


def _container(
    found: dict[HostPod, Pod], containers: dict[tuple[HostPod, str], ContainerSpec], labels: dict[str, str]
) -> ContainerSpec:
    key = HostPod(labels.get("namespace", ""), labels.get("pod", "")), labels.get("container", "")
    spec = containers.get(key)
    if spec is None:
        spec = containers[key] = ContainerSpec(key[1], Resources({}, {}))
        pod = found.setdefault(key[0], Pod(ObjectMeta(key[0].name, key[0].namespace)))
        pod.spec.containers = [*pod.spec.containers, spec]
    return spec
