"""The views that a proxy serves: one map of where pods come from, kept fresh, for all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import Forbidden, VmetricsError
from kubectl_vmetrics.vcluster import discovery
from kubectl_vmetrics.vcluster.answers import Answers
from kubectl_vmetrics.vcluster.discovery import VCluster
from kubectl_vmetrics.vcluster.identity import VClusterRef
from kubectl_vmetrics.vcluster.informer import Informer

KNOWN = 30.0
"""Seconds for which the list of virtual clusters is good."""


class Views:
    """Views by virtual cluster; None is the host's.

    Args:
        client: the host.
        only: the one virtual cluster to serve; None for all and the host itself.
        isolate: leave out of tenants' views what is about nodes as a whole.
        clock: seconds.
    """

    def __init__(
        self,
        client: Client,
        only: VClusterRef | None = None,
        *,
        isolate: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.only = only
        self.informer = Informer(client, only, self._home)
        self._client = client
        self._isolate = isolate
        self._clock = clock
        self._lock = threading.Lock()
        self._made: dict[VClusterRef | None, Answers] = {}
        self._asking = threading.Lock()
        self._listed: tuple[float, list[VCluster]] | None = None
        self._homes: Callable[[str, str], str] | None = None

    def get(self, vcluster: VClusterRef | None) -> Answers:
        """A view. Raises as Informer.origins."""
        origins = self.informer.origins()
        with self._lock:
            if vcluster not in self._made:
                self._made[vcluster] = Answers(self._client, origins, vcluster, isolate=self._isolate)
            return self._made[vcluster]

    def known(self) -> list[VClusterRef]:
        """The virtual clusters that are served. Raises as discovery.find."""
        return [self.only] if self.only else [vcluster.ref for vcluster in self._vclusters()]

    def close(self) -> None:
        """End the watches."""
        self.informer.stop()

    def _vclusters(self) -> list[VCluster]:
        with self._asking:  # a hundred scrapes ask once
            if self._listed is None or self._clock() - self._listed[0] > KNOWN:
                self._listed = (self._clock(), discovery.find(self._client))
                gone = set(self._made) - {vcluster.ref for vcluster in self._listed[1]} - {None, self.only}
                self._homes = discovery.homes(self._listed[1])
                with self._lock:
                    for ref in gone:
                        self._made.pop(ref, None)
            return self._listed[1]

    def _home(self, namespace: str, name: str) -> str:
        """The host namespace of a control plane whose pods may run in another one."""
        if self.only and name == self.only.name:
            return self.only.host_namespace
        if self._homes is None:
            try:
                self._vclusters()
            except Forbidden:
                self._homes = discovery.homes([])
            except VmetricsError:
                return namespace
        return self._homes(namespace, name) if self._homes else namespace
