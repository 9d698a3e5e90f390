"""Which versions of metrics.k8s.io the proxy serves: those that the host serves, because answers are the host's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from kubectl_vmetrics.kube.cancel import Cancelled
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.discovery import ApiResource
from kubectl_vmetrics.kube.errors import VmetricsError
from kubectl_vmetrics.metrics import metrics_api

CORE = (
    ApiResource("", "v1", "nodes", "Node", False, ("no",)),
    ApiResource("", "v1", "pods", "Pod", True, ("po",)),
)
KNOWN = 60.0
"""Seconds for which an answer of the host is good."""
USUAL = metrics_api.SUPPORTED[:1]
"""What is served while the host has not said, so that a client starts even while the host's Metrics API is down."""


class Versions:
    """The versions, asked for now and then.

    Args:
        client: the host.
        clock: seconds.
    """

    def __init__(self, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._asking = threading.Lock()
        self._asked: float | None = None
        self._served: tuple[str, ...] = USUAL

    def resources(self) -> tuple[ApiResource, ...]:
        """The resources for discovery documents."""
        served = self._look()
        metrics = (
            ApiResource("metrics.k8s.io", version, name, kind, namespaced)
            for version in served
            for name, kind, namespaced in (("nodes", "NodeMetrics", False), ("pods", "PodMetrics", True))
        )
        return (*CORE, *metrics)

    def _look(self) -> tuple[str, ...]:
        # One request asks, others go on with what is known; only the very first ones wait for it.
        if self._old() and self._asking.acquire(blocking=self._asked is None):
            try:
                if self._old():
                    self._ask()
            finally:
                self._asking.release()
        return self._served

    def _old(self) -> bool:
        return self._asked is None or self._clock() - self._asked > KNOWN

    def _ask(self) -> None:
        try:
            found = metrics_api.versions(self._client)
        except Cancelled:
            raise  # to the caller; the next one tries again
        except VmetricsError:
            found = []
        self._asked = self._clock()
        # A backend that is down is no longer in the host's discovery; what it served is still what clients know.
        self._served = tuple(sorted(found)) or self._served
