"""Two samples of every virtual machine, and the rates between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import VmetricsError
from kubectl_vmetrics.metrics.samples import Reader
from kubectl_vmetrics.metrics.sampling import WINDOW, pause
from kubectl_vmetrics.metrics.text import Broken

from . import components, guests, series
from .components import Answered, Component
from .guests import Guest, Key, Scrape
from .rates import Rates, between
from .recall import REACH, Recall

APART = 15.0
"""Seconds between two samples; virt-launcher's cache makes it uncertain by up to 3.25 s, a fifth of this."""


class Failure(NamedTuple):
    """A virt-handler that could not be scraped, and the node whose machines it knows."""

    component: Component
    error: VmetricsError


class Sampled(NamedTuple):
    """The current state of virtual machines.

    Attributes:
        guests: the newest sample of each.
        rates: of those for which there is an earlier sample that can be compared.
        broken: the virt-handlers whose answers contain lines that are not metrics.
    """

    guests: dict[Key, Guest]
    rates: dict[Key, Rates]
    failures: list[Failure]
    broken: list[tuple[Component, Broken]]


class Sampler:
    """Takes samples; waits only between the first two.

    Args:
        client: the cluster.
        apart: seconds between the first two.
        recall: the samples of earlier runs; None to use none.
        progress: called with the seconds waited so far, and in total.
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
        self._earlier: dict[Key, list[Guest]] = {}
        self._broken: list[tuple[Component, Broken]] = []
        self._began = False

    def sample(self, handlers: Sequence[Component]) -> Sampled:
        """Scrape, a second time if there is no earlier sample, and compare."""
        if not self._began:
            self._began = True
            self._earlier = self._recalled()
            latest, failures = self._scrape(handlers)
            # Without an earlier run, or after one that asked for other machines: these are the first samples.
            if not latest or not all(self._comparable(guest) for guest in latest.values()):
                self._earlier = {}
                self._keep(latest)
                self._sleep(latest)
                latest, failures = self._scrape(handlers)
        else:
            latest, failures = self._scrape(handlers)
        rates = {key: found for key, guest in latest.items() if (found := self._rates(guest))}
        self._keep(latest)
        if self._recall:
            self._recall.save(self._earlier, time.time(), self._apart)
        return Sampled(latest, rates, failures, self._broken)

    def _recalled(self) -> dict[Key, list[Guest]]:
        """Of what earlier runs kept, the newest that is as old as the two samples of this one are to be apart."""
        now = time.time()
        found: dict[Key, list[Guest]] = {}
        for key, kept in (self._recall.load(now) if self._recall else {}).items():
            old = [guest for guest in kept if self._apart <= now - guest.at <= self._apart + REACH]
            if old:
                found[key] = old[-1:]
        return found

    def _scrape(self, handlers: Sequence[Component]) -> tuple[dict[Key, Guest], list[Failure]]:
        found: dict[Key, Guest] = {}
        failures: list[Failure] = []
        self._broken = []
        for component, answer in zip(handlers, components.scrape(self._client, handlers, _read), strict=True):
            if isinstance(answer, VmetricsError):
                failures.append(Failure(component, answer))
            else:
                found.update(answer.guests)
                if answer.broken.lines:
                    self._broken.append((component, answer.broken))
        return found, failures

    def _sleep(self, known: dict[Key, Guest]) -> None:
        if not known:
            return  # nobody answered, and the next attempt comes at once
        age = time.time() - max(guest.at for guest in known.values())
        pause(self._apart - age, self._progress)

    def _comparable(self, guest: Guest) -> bool:
        return any(earlier.node == guest.node for earlier in self._earlier.get(guest.key, ()))

    def _rates(self, guest: Guest) -> Rates | None:
        """Against the earliest sample that can be compared: the longer the time, the less the cache matters."""
        found = [rates for earlier in self._earlier.get(guest.key, ()) if (rates := between(earlier, guest))]
        # A counter that was reset has no rate yet; later samples may have been taken since.
        complete = (rates for rates in found if rates.cores is not None)
        return next(complete, found[-1] if found else None)

    def _keep(self, latest: dict[Key, Guest]) -> None:
        """Add to those of the last minute; of each machine the newest is kept for longer, to have one to compare."""
        now = time.time()
        kept: dict[Key, list[Guest]] = {}
        for key, known in self._earlier.items():
            recent = [guest for guest in known if now - guest.at <= WINDOW] or known[-1:]
            if now - recent[-1].at <= self._apart + REACH:
                kept[key] = recent
        for key, guest in latest.items():
            kept.setdefault(key, []).append(guest)
        self._earlier = kept


def _read(answer: Answered) -> Scrape:
    found = guests.read(Reader(series.wanted).read(answer.chunks), answer.at)
    found.broken = answer.broken
    return found
