"""The views that a proxy serves, each with a map of where pods come from that is made anew as it ages."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.vcluster import discovery, origins
from kubectl_vmetrics.vcluster.answers import Answers
from kubectl_vmetrics.vcluster.identity import VClusterRef
from kubectl_vmetrics.vcluster.origins import Origins

MAX_AGE = 60.0
"""Seconds after which a map is made anew; what is younger is asked for pod by pod (see Origins.find)."""


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
        self._client = client
        self._isolate = isolate
        self._clock = clock
        self._lock = threading.Lock()
        self._made: dict[VClusterRef | None, tuple[float, Answers, Origins]] = {}

    def get(self, vcluster: VClusterRef | None) -> Answers:
        """A view that is young enough. Raises as origins.read."""
        with self._lock:
            found = self._made.get(vcluster)
            if found is None or self._clock() - found[0] > MAX_AGE:
                known = origins.of_vcluster(self._client, vcluster) if vcluster else origins.read(self._client)
                found = (self._clock(), Answers(self._client, known, vcluster, isolate=self._isolate), known)
                self._made[vcluster] = found
            return found[1]

    def known(self) -> list[VClusterRef]:
        """The virtual clusters that are served. Raises as discovery.find."""
        return [self.only] if self.only else [vcluster.ref for vcluster in discovery.find(self._client)]

    def sizes(self) -> list[tuple[str, int, float]]:
        """Of each map: the path of its virtual cluster ("" for the host's), its size and its age in seconds."""
        with self._lock:
            return [
                (ref.path if ref else "", len(known), self._clock() - made)
                for ref, (made, _, known) in self._made.items()
            ]
