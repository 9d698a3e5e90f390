"""What pods request and may use at most, how often they restarted, and quotas: from kube-state-metrics."""

from __future__ import annotations

from .expression import call, grouped, operation, over, selector
from .labels import HOST_POD, NAMESPACE_NAMES, OWNER
from .names import Way
from .record import Record
from .sources import Sources
from .usage import named

_CONTAINER = (*HOST_POD, "container")
"""Without the uid: a pod that was recreated under its name counts once, and so do replicas of kube-state-metrics."""
_GPUS = 'resource=~"(nvidia|amd)_com_gpu"'


def records(way: Way, sources: Sources) -> list[Record]:
    """Requests, limits and restarts of each pod."""
    found = []
    for kind in ("requests", "limits"):
        for name, resource in (("cpu_{}_cores", 'resource="cpu"'), ("memory_{}_bytes", 'resource="memory"')):
            value = _resources(kind, resource, sources)
            found.append(Record(f"vcluster_pod:{name.format(kind)}:sum", named(value, way)))
    restarts = selector("kube_pod_container_status_restarts_total", sources.state)
    return [
        *found,
        Record("vcluster_pod:gpu_requests:sum", named(_resources("requests", _GPUS, sources), way)),
        Record(
            "vcluster_pod:container_restarts:sum", named(over("sum", HOST_POD, over("max", _CONTAINER, restarts)), way)
        ),
    ]


def _resources(kind: str, resource: str, sources: Sources) -> str:
    """What the scheduler and quotas count for each pod; pods that have ended hold nothing.

    That is the sum over containers and sidecars, or the largest init container if that is more
    (https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers).
    """
    keys = (*_CONTAINER, "resource")
    containers = over("max", keys, selector(f"kube_pod_container_resource_{kind}", sources.state, resource))
    initial = over("max", keys, selector(f"kube_pod_init_container_resource_{kind}", sources.state, resource))
    sidecars = selector("kube_pod_init_container_info", sources.state, 'restart_policy="Always"')
    on = f"on ({', '.join(_CONTAINER)})"
    together = over("sum", HOST_POD, operation(containers, "or", operation(initial, f"and {on}", sidecars)))
    largest = over("max", HOST_POD, operation(initial, f"unless {on}", sidecars))
    # The label keeps the second beside the first, so that the larger one can be taken.
    both = operation(together, "or", call("label_replace", largest, '"of", "init", "", ""'))
    active = selector("kube_pod_status_phase", sources.state, 'phase=~"Pending|Running"')
    return grouped(operation(over("max", HOST_POD, both), f"and on ({', '.join(HOST_POD)})", f"{active} == 1"))


def quotas(sources: Sources) -> list[Record]:
    """Quotas of host namespaces that hold one virtual cluster: in others, nobody knows whose share is used."""
    keys = ("cluster", "namespace", "resourcequota", "resource")
    found = []
    for kind in ("used", "hard"):
        value = over("max", keys, selector("kube_resourcequota", sources.state, f'type="{kind}"'))
        join = f"* on (cluster, namespace) group_left ({', '.join(OWNER)})"
        found.append(Record(f"vcluster:quota_{kind}:max", operation(value, join, NAMESPACE_NAMES)))
    return found
