"""What the parts of the demo cluster share: what it holds, what time it is, and the numbers of the moment."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Iterable, Mapping

from kubectl_vmetrics.kube.discovery import ApiResource

from .cluster import Cluster, DemoPod
from .exchange import Key, Resource, Route
from .forward import Listener
from .objects import Object, Objects
from .usage import WINDOW, Metrics

SERVICES = ApiResource("", "v1", "services", "Service", True, ("svc",))
DEPLOYMENTS = ApiResource("apps", "v1", "deployments", "Deployment", True, ("deploy",))
"""Kinds of which several parts have some."""
Listeners = Callable[[str, str], "Mapping[int, Listener] | None"]
"""What listens at the ports of a pod, by namespace and name; None for a pod of another part."""


class World:
    """The cluster while it runs. Parts sign up to it; see `Apiserver`.

    Args:
        cluster: what it holds at first; parts add pods of their own.
        clock: seconds since the epoch.
        started: when the demo started, in seconds since the epoch.

    Attributes:
        objects: renders objects.
        routes: what parts answer themselves.
        listeners: where ports may be forwarded to.
        past: makes the history ready, which otherwise the first query for it waits for; raises VmetricsError.
        closing: what is called at the end.
        pods: all, in order of namespace and name.
    """

    def __init__(self, cluster: Cluster, clock: Callable[[], float], started: float) -> None:
        self.cluster = cluster
        self.clock = clock
        self.started = started
        self.objects = Objects(cluster, datetime.datetime.fromtimestamp(started, datetime.timezone.utc))
        self.routes: list[Route] = []
        self.listeners: list[Listeners] = []
        self.past: Callable[[], None] = lambda: None
        self.closing: list[Callable[[], None]] = []
        self.pods: list[DemoPod] = list(cluster.pods)
        self._made: dict[tuple[str, str], Callable[[], Object]] = {}
        self._held: dict[ApiResource, list[Key]] = {}
        self._kinds: dict[ApiResource, Resource] = {}
        self._by_namespace: dict[str, list[DemoPod]] = {}
        self._by_node: dict[str, list[DemoPod]] = {}
        self._lock = threading.Lock()
        self._metrics: Metrics | None = None

    # ------------------------------------------------------------------------------------------------ signing up

    def add(self, api: ApiResource, keys: Iterable[Key] = ()) -> None:
        """Hold objects of a kind, beside those that other parts hold."""
        self._held.setdefault(api, []).extend(keys)

    def add_kind(self, resource: Resource) -> None:
        """Hold a kind whose objects are looked up when they are asked for."""
        self._kinds[resource.api] = resource

    def add_pod(self, pod: DemoPod, make: Callable[[], Object]) -> None:
        """Run a pod, which `make` renders."""
        self.pods.append(pod)
        self._made[pod.namespace, pod.name] = make

    def complete(self) -> list[Resource]:
        """All kinds, once every part has signed up."""
        self.pods.sort(key=lambda pod: (pod.namespace, pod.name))
        for pod in self.pods:
            self._by_namespace.setdefault(pod.namespace, []).append(pod)
            self._by_node.setdefault(pod.node, []).append(pod)
        for api, keys in self._held.items():
            self._kinds[api] = Resource(api, _among(sorted(keys, key=lambda key: (key.namespace, key.name))))
        return sorted(self._kinds.values(), key=lambda resource: (resource.api.group, resource.api.name))

    # --------------------------------------------------------------------------------------------------- looking

    def pods_in(self, namespace: str | None) -> list[DemoPod]:
        """The pods of a namespace, or all."""
        return self.pods if namespace is None else self._by_namespace.get(namespace, [])

    def pods_on(self, node: str) -> list[DemoPod]:
        """The pods of a node."""
        return self._by_node.get(node, [])

    def runs(self, namespace: str, name: str) -> bool:
        """Whether there is such a pod."""
        return any(pod.name == name for pod in self.pods_in(namespace))

    def rendered(self, pod: DemoPod) -> Object:
        """A pod as an object."""
        make = self._made.get((pod.namespace, pod.name))
        return make() if make else self.objects.pod(pod)

    def seconds(self) -> float:
        """Since the start."""
        return self.clock() - self.started

    def metrics(self) -> Metrics:
        """The numbers of the window that ended last."""
        tick = int(self.seconds() // WINDOW)
        with self._lock:
            if self._metrics is None or self._metrics.tick != tick:
                self._metrics = Metrics(self.pods_on, tick, self.started)
            return self._metrics


def _among(keys: list[Key]) -> Callable[[str | None], list[Key]]:
    return lambda namespace: [key for key in keys if namespace in (None, key.namespace)]
