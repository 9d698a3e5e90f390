"""Two samples of every virtual machine, and the rates between them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import VmetricsError
from kubectl_vmetrics.metrics.samples import Reader
from kubectl_vmetrics.metrics.sampling import WINDOW, pause

from . import components, guests, series
from .components import Answered, Component
from .guests import Guest, Key, Scrape
from .rates import Rates, between
from .recall import Recall

APART = 15.0
"""Seconds between two samples; virt-launcher's cache makes it uncertain by up to 3.25 s, a fifth of this."""


class Failure(NamedTuple):
    """A virt-handler that did not answer, and the node whose machines it knows."""

    component: Component
    error: VmetricsError


class Sampled(NamedTuple):
    """What is known of virtual machines now.

    Attributes:
        guests: the newest sample of each.
        rates: of those for which there is an earlier sample that can be compared.
    """

    guests: dict[Key, Guest]
    rates: dict[Key, Rates]
    failures: list[Failure]


class Sampler:
    """Takes samples, waits between the first two, and then goes on without waiting.

    Args:
        client: the cluster.
        apart: seconds between the first two.
        recall: where the samples of an earlier run are; None for nowhere.
        progress: told how many seconds of waiting are over, of how many.
    """

    def __init__(
        self,
        client: Client,
        *,
        apart: float = APART,
        recall: Recall | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._client = client
        self._apart = apart
        self._recall = recall
        self._progress = progress
        self._earlier: deque[dict[Key, Guest]] = deque()

    def sample(self, handlers: Sequence[Component]) -> Sampled:
        """Scrape, once more if there is nothing to compare with, and compare."""
        latest: dict[Key, Guest] = {}
        failures: list[Failure] = []
        if not self._earlier:
            known = self._recall.load(time.time()) if self._recall else {}
            if known:
                self._earlier.append(known)
                latest, failures = self._scrape(handlers)
            # Without an earlier run, or one that asked for other machines: these are the first samples.
            if not latest.keys() <= known.keys() or not known:
                first = latest or self._scrape(handlers)[0]
                self._earlier.append(first)
                self._sleep(first)
                latest = {}
        if not latest:
            latest, failures = self._scrape(handlers)
        rates = {key: found for key, guest in latest.items() if (found := self._rates(guest))}
        self._remember(latest)
        return Sampled(latest, rates, failures)

    def _scrape(self, handlers: Sequence[Component]) -> tuple[dict[Key, Guest], list[Failure]]:
        found: dict[Key, Guest] = {}
        failures: list[Failure] = []
        for component, answer in zip(handlers, components.scrape(self._client, handlers, _read), strict=True):
            if isinstance(answer, VmetricsError):
                failures.append(Failure(component, answer))
            else:
                found.update(answer.guests)
        return found, failures

    def _sleep(self, known: dict[Key, Guest]) -> None:
        if not known:
            return  # nobody answered, and the next attempt comes at once
        age = time.time() - max(guest.at for guest in known.values())
        pause(self._apart - age, self._progress)

    def _rates(self, guest: Guest) -> Rates | None:
        """Against the earliest sample that can be compared: the longer the time, the less the cache matters."""
        for earlier in self._earlier:
            before = earlier.get(guest.key)
            if before is not None and guest.at - before.at <= WINDOW + self._apart:
                found = between(before, guest)
                if found is not None and (found.cores is not None or earlier is self._earlier[-1]):
                    return found
        return None

    def _remember(self, latest: dict[Key, Guest]) -> None:
        now = time.time()
        self._earlier.append(latest)
        while len(self._earlier) > 1 and all(now - guest.at > WINDOW for guest in self._earlier[0].values()):
            self._earlier.popleft()
        if self._recall:
            self._recall.save(latest)


def _read(answer: Answered) -> Scrape:
    return guests.read(Reader(series.wanted).read([answer.body]), answer.at)
