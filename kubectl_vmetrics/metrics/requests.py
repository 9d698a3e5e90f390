"""Requests and limits of pods, as the scheduler counts them.

k8s.io/component-helpers/resource (helpers.go, PodRequests and PodLimits with UseStatusResources):
containers and sidecars are added up; an init container that ends counts only if it, with the sidecars started before
it, needs more than that; resources of the pod as a whole win over the sum; the overhead of a runtime class is added.
While a resize is under way, a container counts with the greater of what it asks for and what it has, and with what it
has if the node cannot fulfil the resize.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from kubectl_vmetrics.kube.core import ContainerSpec, ContainerStatus, Pod, Resources

from .quantity import cpu_nanocores, memory_bytes

SIDECAR = "Always"
_READERS: dict[str, Callable[[str], int]] = {"cpu": cpu_nanocores}

Amounts = dict[str, int]
"""By resource: CPU in billionths of a core, everything else in whole units: bytes, or devices."""


class Reserved(NamedTuple):
    """Requests and limits.

    Attributes:
        limits: the sum of those that are set, as `kubectl describe` adds them up.
        unlimited: resources in `limits` for which a container has no limit, and with it the pod.
    """

    requests: Amounts
    limits: Amounts
    unlimited: frozenset[str] = frozenset()

    def limit(self, resource: str) -> int | None:
        """What a pod cannot use more of; None if there is no such limit."""
        return None if resource in self.unlimited else self.limits.get(resource)


def of_pod(pod: Pod) -> Reserved:
    """What a pod reserves on its node. Raises ValueError for a quantity that cannot be read."""
    refused = _infeasible(pod)
    of_main = {status.name: status for status in pod.status.containers}
    of_init = {status.name: status for status in pod.status.init_containers}
    main = [_of_container(item, of_main.get(item.name), refused) for item in pod.spec.containers]
    init = [
        (_of_container(item, of_init.get(item.name) if _is_sidecar(item) else None, refused), _is_sidecar(item))
        for item in pod.spec.init_containers
    ]
    running = main + [reserved for reserved, sidecar in init if sidecar]
    requests = _together([item.requests for item in main], [(item.requests, sidecar) for item, sidecar in init])
    limits = _together([item.limits for item in main], [(item.limits, sidecar) for item, sidecar in init])
    whole = _of_whole(pod, refused)
    requests, limits = requests | whole.requests, limits | whole.limits
    overhead = _amounts(pod.spec.overhead)
    limited = {name: value for name, value in overhead.items() if name in limits}
    partly = {name for name in limits if any(name not in item.limits for item in running)} - whole.limits.keys()
    return Reserved(_sum([requests, overhead]), _sum([limits, limited]), frozenset(partly))


def of_container(pod: Pod, name: str) -> Reserved:
    """What one container or sidecar of a pod asks for. Raises ValueError as `of_pod`."""
    refused = _infeasible(pod)
    for specs, statuses in (
        (pod.spec.containers, pod.status.containers),
        (pod.spec.init_containers, pod.status.init_containers),
    ):
        for spec in specs:
            if spec.name == name:
                return _of_container(spec, next((s for s in statuses if s.name == name), None), refused)
    return Reserved({}, {})


def _is_sidecar(container: ContainerSpec) -> bool:
    return container.restart == SIDECAR


def _infeasible(pod: Pod) -> bool:
    """Whether the node can never fulfil the pod's resize (KEP-1287)."""
    return any(item.type == "PodResizePending" and item.reason == "Infeasible" for item in pod.status.conditions)


def _of_container(spec: ContainerSpec, status: ContainerStatus | None, refused: bool) -> Reserved:
    if status is None or status.resources is None:
        return _resized(spec.resources, None, {}, refused)
    return _resized(spec.resources, status.resources, status.allocated, refused)


def _of_whole(pod: Pod, refused: bool) -> Reserved:
    """Resources of the pod as a whole (KEP-2837): of CPU, memory and huge pages only."""
    if pod.spec.resources is None:
        return Reserved({}, {})
    found = _resized(pod.spec.resources, pod.status.resources, pod.status.allocated, refused)
    return Reserved(_supported(found.requests), _supported(found.limits))


def _supported(amounts: Amounts) -> Amounts:
    return {
        name: value for name, value in amounts.items() if name in ("cpu", "memory") or name.startswith("hugepages-")
    }


def _resized(asked: Resources, has: Resources | None, allocated: Mapping[str, str], refused: bool) -> Reserved:
    requests, limits = [_amounts(asked.requests)], [_amounts(asked.limits)]
    if has is not None:
        has_requests, has_limits = [_amounts(has.requests), _amounts(allocated)], [_amounts(has.limits)]
        requests, limits = (has_requests, has_limits) if refused else (requests + has_requests, limits + has_limits)
    return Reserved(_greatest(requests), _greatest(limits))


def _together(main: list[Amounts], init: list[tuple[Amounts, bool]]) -> Amounts:
    """Containers that run together, and init containers, which run one after the other before them."""
    sidecars: Amounts = {}
    peak: Amounts = {}
    for amounts, sidecar in init:
        at_once = _sum([sidecars, amounts])
        peak = _greatest([peak, at_once])
        if sidecar:
            sidecars = at_once
    return _greatest([_sum([*main, sidecars]), peak])


def _amounts(quantities: Mapping[str, str]) -> Amounts:
    return {name: _READERS.get(name, memory_bytes)(text) for name, text in quantities.items()}


def _sum(parts: Iterable[Amounts]) -> Amounts:
    found: Amounts = {}
    for part in parts:
        for name, value in part.items():
            found[name] = found.get(name, 0) + value
    return found


def _greatest(parts: Iterable[Amounts]) -> Amounts:
    found: Amounts = {}
    for part in parts:
        for name, value in part.items():
            found[name] = max(value, found.get(name, value))
    return found
