"""Two samples of every virtual machine, and the rates between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import VmetricsError
from kubectl_vmetrics.metrics.earlier import Earlier
from kubectl_vmetrics.metrics.samples import Reader
from kubectl_vmetrics.metrics.text import Broken

from . import components, guests, series
from .components import Answered, Component
from .guests import Guest, Key, Scrape
from .rates import Rates, between
from .recall import Recall

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
        self._earlier: Earlier[Guest] = Earlier(apart, _alike, recall, progress)
        self._failures: list[Failure] = []
        self._broken: list[tuple[Component, Broken]] = []

    def sample(self, handlers: Sequence[Component]) -> Sampled:
        """Scrape, a second time if there is no earlier sample, and compare."""
        latest = dict(self._earlier.take(lambda: self._scrape(handlers)))
        rates = {key: found for key, guest in latest.items() if (found := self._rates(guest))}
        self._earlier.keep(latest)
        return Sampled(latest, rates, self._failures, self._broken)

    def _scrape(self, handlers: Sequence[Component]) -> dict[Key, Guest]:
        found: dict[Key, Guest] = {}
        self._failures, self._broken = [], []
        for component, answer in zip(handlers, components.scrape(self._client, handlers, _read), strict=True):
            if isinstance(answer, VmetricsError):
                self._failures.append(Failure(component, answer))
            else:
                found.update(answer.guests)
                if answer.broken.lines:
                    self._broken.append((component, answer.broken))
        return found

    def _rates(self, guest: Guest) -> Rates | None:
        """Against the earliest sample that can be compared: the longer the time, the less the cache matters."""
        found = [rates for earlier in self._earlier.of(guest) if (rates := between(earlier, guest))]
        # A counter that was reset has no rate yet; later samples may have been taken since.
        complete = (rates for rates in found if rates.cores is not None)
        return next(complete, found[-1] if found else None)


def _alike(earlier: Guest, guest: Guest) -> bool:
    return earlier.node == guest.node


def _read(answer: Answered) -> Scrape:
    found = guests.read(Reader(series.wanted).read(answer.chunks), answer.at)
    found.broken = answer.broken
    return found
