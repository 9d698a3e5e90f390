"""KubeVirt's own pods, and scraping them through the apiserver.

They serve /metrics over HTTPS without authentication (pkg/util/tls/tls.go, SetupPromTLS), and the apiserver's proxy
does not verify certificates of pods. They are not scraped through their Service, because any of the components could
answer.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from kubectl_vmetrics.kube.client import Client, escape
from kubectl_vmetrics.kube.errors import StatusError, Unavailable, VmetricsError
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.kube.lists import pods_path
from kubectl_vmetrics.metrics import text
from kubectl_vmetrics.metrics.text import Broken

HANDLER = "virt-handler"
LIMIT = 20.0
"""Seconds for one scrape: since v1.6 a virt-handler asks every machine for its dirty rate first, 10 s at worst."""
BUSY = "Limit of concurrent requests reached"
"""What a virt-handler answers, with 503, to a fourth scrape at once."""
ATTEMPTS = 4
CONCURRENCY = 32
QUOTED = 200
"""Characters of an answer that a message holds at most."""
TEXT = "text/plain;version=0.0.4"

_JITTER = random.SystemRandom()
Read = TypeVar("Read")


class Component(NamedTuple):
    """A pod of KubeVirt that serves metrics.

    Attributes:
        kind: virt-handler, virt-controller, virt-api, virt-operator, …
        port: the number behind its container port `metrics`.
        address: the pod's IP, "" while it has none.
        image: its container's; "" where it is not known.
    """

    kind: str
    namespace: str
    name: str
    node: str
    port: int
    address: str
    ready: bool
    image: str = ""

    @property
    def path(self) -> str:
        """The path of its metrics through the apiserver, whose proxy takes only numbers of ports."""
        return f"{pods_path(self.namespace)}/https:{escape(self.name)}:{self.port}/proxy/metrics"

    @property
    def place(self) -> str:
        """Its name and node, for a message."""
        return f"{self.name} on node {self.node}" if self.node else self.name


class Answered(NamedTuple):
    """What a component answers.

    Attributes:
        chunks: the body, as it arrives.
        at: when, in seconds since 1970, halfway between question and answer.
    """

    chunks: text.Checked
    at: float

    @property
    def broken(self) -> Broken:
        """The lines that are not metrics; complete once the answer was read."""
        return self.chunks.broken


def scrape(
    client: Client,
    components: Sequence[Component],
    read: Callable[[Answered], Read],
    *,
    limit: float = LIMIT,
    done: Callable[[], None] | None = None,
) -> list[Read | VmetricsError]:
    """Scrape all of these concurrently: the result of `read` for each, or the error.

    Args:
        client: the cluster.
        components: in the order of the result.
        read: parses an answer; called in a thread.
        limit: seconds for each.
        done: called after each.
    """
    calls = [partial(_one, client, component, read, limit) for component in components]
    return gather(calls, limit=CONCURRENCY, done=done)


def _one(client: Client, component: Component, read: Callable[[Answered], Read], limit: float) -> Read:
    end = time.monotonic() + limit
    for attempt in range(ATTEMPTS):
        asked = time.time()
        try:
            with client.stream(component.path, accept=TEXT, limit=max(0.1, end - time.monotonic())) as stream:
                at = (asked + time.time()) / 2
                return read(Answered(text.Checked(stream.chunks, stream.content_type), at))
        except Unavailable as error:
            # Others are scraping it at this moment; their scrapes end soon.
            wait = _JITTER.uniform(1.0, 3.0) if BUSY in error.body else None
            if wait is None or attempt == ATTEMPTS - 1 or time.monotonic() + wait > end:
                raise
            time.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def unread(component: Component, broken: Broken) -> str:
    """A message about the lines of a component's answer that are not metrics."""
    lines = "1 line" if broken.lines == 1 else f"{broken.lines} lines"
    return f"{component.place}: {lines} of its response could not be parsed as metrics, starting with {broken.first}"


def reason(error: VmetricsError) -> str:
    """Why a component could not be scraped: its answer, or the error if there was none."""
    if isinstance(error, StatusError) and error.body:
        body = error.body
        return f"{error.code}: {body if len(body) <= QUOTED else body[: QUOTED - 1] + '…'}"
    return error.message
