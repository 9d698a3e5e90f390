"""Pods, and what kube-scheduler counts for each: requests and limits of CPU (millicores) and memory (MiB).

The arithmetic is that of k8s.io/component-helpers/resource (PodRequests, PodLimits with UseStatusResources); each case
names the rule that decides it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Json = dict[str, Any]


class Case(NamedTuple):
    """One pod.

    Attributes:
        requests, limits: CPU in millicores, memory in MiB; None where there is none.
        unlimited: resources with a sum of limits that does not limit the pod.
        described: what `kubectl describe node` of 1.33 counts in the same way; of a pod as a whole it knows nothing, and
            limits are those asked for.
    """

    name: str
    spec: Json
    requests: tuple[int | None, int | None]
    limits: tuple[int | None, int | None] = (None, None)
    status: Json = {}  # noqa: RUF012
    unlimited: tuple[str, ...] = ()
    described: tuple[str, ...] = ("requests", "limits")


def ask(cpu: int | None = None, memory: int | None = None, limit: tuple[int | None, int | None] = (None, None)) -> Json:
    """`resources` of a container or pod."""
    return {"requests": _list(cpu, memory), "limits": _list(*limit)}


def _list(cpu: int | None, memory: int | None) -> Json:
    cpus = {} if cpu is None else {"cpu": f"{cpu}m"}
    return cpus if memory is None else {**cpus, "memory": f"{memory}Mi"}


def main(*resources: Json) -> list[Json]:
    return [{"name": f"c{index}", "image": "x", "resources": item} for index, item in enumerate(resources)]


def first(resources: Json, *, sidecar: bool = False, name: str = "i") -> Json:
    always = {"restartPolicy": "Always"} if sidecar else {}
    return {"name": name, "image": "x", "resources": resources, **always}


def has(resources: Json, allocated: Json, name: str = "c0") -> Json:
    """A container's status."""
    return {"name": name, "resources": resources, "allocatedResources": allocated}


INFEASIBLE = [{"type": "PodResizePending", "status": "True", "reason": "Infeasible"}]
DEFERRED = [{"type": "PodResizePending", "status": "True", "reason": "Deferred"}]

CASES = [
    Case("nothing", {"containers": main({})}, (None, None)),
    Case("one", {"containers": main(ask(100, 64, (200, 128)))}, (100, 64), (200, 128)),
    Case("sum", {"containers": main(ask(100, 64, (200, 128)), ask(50, 32, (100, 64)))}, (150, 96), (300, 192)),
    Case(
        "a container without a limit",
        {"containers": main(ask(100, 64, (200, 128)), ask(50, 32, (None, 64)))},
        (150, 96),
        (200, 192),
        unlimited=("cpu",),
    ),
    Case(
        "an init container that needs less than the pod",
        {"containers": main(ask(100, 64)), "initContainers": [first(ask(50, 32))]},
        (100, 64),
    ),
    Case(
        "an init container that needs more",
        {"containers": main(ask(100, 64, (200, 128))), "initContainers": [first(ask(500, 32, (600, 64)))]},
        (500, 64),
        (600, 128),
    ),
    Case(
        "init containers run one after the other",
        {"containers": main(ask(100, 64)), "initContainers": [first(ask(300, 10)), first(ask(10, 300), name="j")]},
        (300, 300),
    ),
    Case(
        "a sidecar runs beside the containers",
        {
            "containers": main(ask(100, 64, (200, 128))),
            "initContainers": [first(ask(30, 20, (60, 40)), sidecar=True)],
        },
        (130, 84),
        (260, 168),
    ),
    Case(
        "a sidecar without a limit",
        {"containers": main(ask(100, 64, (200, 128))), "initContainers": [first(ask(30, 20), sidecar=True)]},
        (130, 84),
        (200, 128),
        unlimited=("cpu", "memory"),
    ),
    Case(
        "an init container beside the sidecars before it, not those after it",
        {
            "containers": main(ask(100, 64)),
            "initContainers": [
                first(ask(30, 20), sidecar=True, name="before"),
                first(ask(400, 300)),
                first(ask(7, 5), sidecar=True, name="after"),
            ],
        },
        (430, 320),
    ),
    Case(
        "the overhead of a runtime class",
        {"containers": main(ask(100, 64, (200, None))), "overhead": {"cpu": "10m", "memory": "5Mi"}},
        (110, 69),
        (210, None),
    ),
    Case(
        "resources of the whole pod win",
        {"containers": main(ask(100, 64, (200, 128))), "resources": ask(250, None, (400, None))},
        (250, 64),
        (400, 128),
        described=(),
    ),
    Case(
        "a limit of the whole pod limits containers without one",
        {"containers": main(ask(100, 64), ask(100, 64)), "resources": ask(300, 200, (400, 256))},
        (300, 200),
        (400, 256),
        described=(),
    ),
    Case(
        "a resize that is done",
        {"containers": main(ask(500, 64, (800, 128)))},
        (500, 64),
        (800, 128),
        {"containerStatuses": [has(ask(500, 64, (800, 128)), _list(500, 64))]},
    ),
    Case(
        "a resize up that is not done yet counts as asked for",
        {"containers": main(ask(500, 64, (800, 128)))},
        (500, 64),
        (800, 128),
        {"containerStatuses": [has(ask(100, 64, (200, 128)), _list(100, 64))], "conditions": DEFERRED},
    ),
    Case(
        "a resize down that is not done yet counts as it is",
        {"containers": main(ask(100, 64, (200, 128)))},
        (500, 96),
        (800, 192),
        {"containerStatuses": [has(ask(500, 80, (800, 192)), _list(100, 96))]},
        described=("requests",),
    ),
    Case(
        "a resize that cannot be done counts as it is",
        {"containers": main(ask(5000, 64, (8000, 128)))},
        (100, 64),
        (200, 128),
        {"containerStatuses": [has(ask(100, 64, (200, 128)), _list(100, 64))], "conditions": INFEASIBLE},
        described=("requests",),
    ),
    Case(
        "a sidecar is resized as well",
        {"containers": main(ask(100, 64)), "initContainers": [first(ask(30, 20), sidecar=True)]},
        (190, 84),
        status={"initContainerStatuses": [has(ask(90, 20), _list(90, 20), "i")]},
    ),
    Case(
        "an init container that ends is not",
        {"containers": main(ask(100, 64)), "initContainers": [first(ask(30, 20))]},
        (100, 64),
        status={"initContainerStatuses": [has(ask(900, 20), _list(900, 20), "i")]},
    ),
    Case(
        "a container before its status has resources",
        {"containers": main(ask(100, 64))},
        (100, 64),
        status={"containerStatuses": [{"name": "c0"}]},
    ),
]
