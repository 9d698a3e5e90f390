"""The views that a proxy serves: one map of where pods come from, kept fresh, for all of them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from kubectl_vmetrics.kube.cancel import Cancelled
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import Forbidden, VmetricsError
from kubectl_vmetrics.vcluster import discovery
from kubectl_vmetrics.vcluster.answers import Answers
from kubectl_vmetrics.vcluster.discovery import Inventory, VCluster
from kubectl_vmetrics.vcluster.homes import Homes, warning
from kubectl_vmetrics.vcluster.identity import VClusterRef
from kubectl_vmetrics.vcluster.informer import Informer
from kubectl_vmetrics.vcluster.origins import PODS, Origins

from .circuit import Circuits
from .flights import Flights
from .names import Names
from .sharing import Question, Sharing
from .versions import Versions

_log = logging.getLogger("kubectl_vmetrics.proxy")

KNOWN = 30.0
"""Seconds for which the list of virtual clusters is good."""
AGAIN = 2.0
"""Seconds after which it is tried again where it failed."""


class Views:
    """Views by virtual cluster; None is the host's.

    Args:
        client: the host.
        only: the one virtual cluster to serve; None for all and the host itself.
        isolate: leave out of tenants' views what is about nodes as a whole.
        homes: with `only`, whose pods are; otherwise the targets that the user named.
        clock: seconds.
        flights: the answers of kubelets that requests share.

    Attributes:
        informer: the map.
        flights: as above.
        circuits: of the nodes.
        versions: of metrics.k8s.io.
    """

    def __init__(
        self,
        client: Client,
        only: VClusterRef | None = None,
        *,
        isolate: bool = False,
        homes: Homes | None = None,
        targets: Iterable[tuple[str, VClusterRef]] = (),
        clock: Callable[[], float] = time.monotonic,
        flights: Flights[Question] | None = None,
    ) -> None:
        self.only = only
        self.flights = flights or Flights(clock)
        self.circuits = Circuits(clock)
        self.versions = Versions(client, clock)
        self._homes = homes or Homes(Inventory([VCluster(only)] if only else ()), targets)
        self.informer = Informer(client, only, self._homes)
        self._client = client
        self._sharing = client.through(lambda sender: Sharing(sender, self.flights, self.circuits))
        self._isolate = isolate
        self._targets = list(targets)
        self._clock = clock
        self._lock = threading.Lock()
        self._made: dict[VClusterRef | None, Answers] = {}
        self._names: Names | None = None
        self._clusters: Sequence[VCluster] = self._homes.clusters
        self._asking = threading.Lock()
        self._tried: float | None = None
        self._failed: VmetricsError | None = None
        self._warned: str | None = None

    def get(self, vcluster: VClusterRef | None) -> Answers:
        """A view. Raises as Informer.origins."""
        self._look()
        origins = self.informer.origins()
        self._settle(origins)
        with self._lock:
            if vcluster not in self._made:
                self._made[vcluster] = Answers(self._sharing, origins, vcluster, isolate=self._isolate)
            return self._made[vcluster]

    def known(self) -> list[VClusterRef]:
        """The virtual clusters that are served. Raises as discovery.look."""
        if self.only:
            return [self.only]
        self._look()
        if self._failed is not None:
            raise self._failed
        return [vcluster.ref for vcluster in self._homes.clusters]

    def names(self) -> Iterator[bytes]:
        """The names of pods and claims, as Prometheus text in parts. Raises as Informer.origins."""
        self._look(status=True)
        origins = self.informer.origins()
        self._settle(origins)
        with self._lock:
            if self._names is None:
                self._names = Names(origins, self.only)
        return self._names.exposition(self._clusters)

    def serves(self, vcluster: VClusterRef) -> bool:
        """Whether a virtual cluster is known, without asking the host."""
        return self._homes.exists(vcluster) is True

    def close(self) -> None:
        """End the watches."""
        self.informer.stop()

    def _look(self, *, status: bool = False) -> None:
        """See which virtual clusters there are, now and then; what fails is kept in mind, and tried again.

        Args:
            status: whether it matters what the one virtual cluster is doing, where only one is served.
        """
        if (self.only and not status) or not self._old():
            return
        # A hundred scrapes ask once; the others go on with what was known, if anything was.
        if not self._asking.acquire(blocking=self._tried is None):
            return
        try:
            if self._old():
                self._ask()
        finally:
            self._asking.release()

    def _old(self) -> bool:
        if self._tried is None:
            return True
        good = KNOWN if self._failed is None or isinstance(self._failed, Forbidden) else AGAIN
        return self._clock() - self._tried > good

    def _ask(self) -> None:
        try:
            inventory = discovery.look(self._client, self.only.host_namespace if self.only else None)
        except Cancelled:
            raise  # to the caller; the next one tries again
        except VmetricsError as error:
            self._failed = error
            self._tried = self._clock()
            if not isinstance(error, Forbidden):
                return  # nothing is cached for it
            inventory = Inventory()
        else:
            self._failed = None
            self._tried = self._clock()
        self._clusters = inventory.clusters
        if self.only:
            return  # whose pods are was settled before the start
        homes = Homes(inventory, self._targets)
        if homes.same(self._homes):
            return
        homes.learn(self._homes)
        self._homes = homes
        self.informer.rehome(homes)
        with self._lock:
            for ref in set(self._made) - {item.ref for item in inventory.clusters} - {None}:
                del self._made[ref]

    def _settle(self, origins: Origins) -> None:
        """Look for proof of what is in doubt, once per virtual cluster, and report what stays unproven."""
        homes = self._homes
        if homes.settle(self._client, origins.doubtful()):
            self.informer.rehome(homes)
        note = warning(origins.unproven(PODS), homes=homes)
        if note != self._warned:
            self._warned = note
            if note:
                _log.warning("%s", note)
