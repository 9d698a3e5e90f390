"""Circuits, one for each node: a kubelet that failed several times in a row is left alone for a while.

Closed, requests pass. After FAILURES failures in a row it opens: requests are refused at once, each open spell twice as
long as the one before. After a spell one request may try (half-open): its success closes the circuit, its failure opens
it again. Across all nodes only a few may try at once, so that a hundred hanging kubelets do not hold all threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

FAILURES = 3
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 60.0
"""Seconds for which a circuit is open: at first, and at most."""
FAIR = 4.0
"""Seconds of silence before a kubelet is held to have failed: clients choose how long they wait, and must not be able
to have a node left alone by not waiting."""
PROBES = 4
MOST = 10_000
"""Circuits that are remembered."""


class Open(Exception):
    """The circuit is open.

    Attributes:
        seconds: until it is worth coming back.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class _State:
    __slots__ = ("failures", "pause", "probing", "until")

    def __init__(self) -> None:
        self.failures = 0
        self.pause = FIRST_PAUSE
        self.until: float | None = None  # open, until then
        self.probing = False


class Circuits:
    """Circuits by key; safe to use from several threads.

    Args:
        clock: seconds.

    Attributes:
        opened: how often one opened.
        refused: how many requests were refused.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.opened = self.refused = 0
        self._clock = clock
        self._lock = threading.Lock()
        self._states: dict[str, _State] = {}
        self._probes = 0

    def enter(self, key: str) -> Passage:
        """Begin a request, whose outcome must be told. Raises Open."""
        with self._lock:
            state = self._states.get(key)
            if state is None or state.until is None:
                return Passage(self, key, probe=False)
            left = state.until - self._clock()
            if left > 0 or state.probing or self._probes >= PROBES:
                self.refused += 1
                raise Open(max(left, 1.0))
            state.probing = True
            self._probes += 1
            return Passage(self, key, probe=True)

    def open_now(self) -> int:
        """How many are open, or half-open."""
        with self._lock:
            return sum(state.until is not None for state in self._states.values())

    def ended(self, key: str, *, good: bool | None, probe: bool) -> None:
        """A request ended well, badly, or (None) without anything that could be told of the node."""
        with self._lock:
            state = self._states.get(key)
            if probe:
                self._probes -= 1
                if state:
                    state.probing = False
            if good:
                self._states.pop(key, None)  # whatever was before, it answers
            elif good is False:
                self._failed(key, state or _State(), probe)

    def _failed(self, key: str, state: _State, probe: bool) -> None:
        if key not in self._states:
            if len(self._states) >= MOST:
                self._states.pop(next(iter(self._states)))
            self._states[key] = state
        state.failures += 1
        if state.until is None and state.failures >= FAILURES:
            self.opened += 1
        elif probe:
            state.pause = min(state.pause * 2, LONGEST_PAUSE)
        else:
            return  # few so far; or one that began before the circuit opened, and has no news
        state.until = self._clock() + state.pause


class Passage:
    """A request that a circuit let pass. The first outcome that is told counts.

    But one that failed for those who did not wait long enough may succeed for others.
    """

    def __init__(self, circuits: Circuits, key: str, *, probe: bool) -> None:
        self._circuits = circuits
        self._key = key
        self._probe = probe
        self._lock = threading.Lock()
        self._told = self._bad = False

    def succeeded(self) -> None:
        """The node answered."""
        self._tell(good=True)

    def failed(self) -> None:
        """It did not answer, or not in time, or not to the end."""
        self._tell(good=False)

    def abandoned(self) -> None:
        """Nothing can be told: the client hung up, or the node was not asked."""
        self._tell(good=None)

    def _tell(self, *, good: bool | None) -> None:
        with self._lock:
            first, after_all = not self._told, self._bad and good is True
            self._told, self._bad = True, good is False if first else self._bad and not after_all
        if first or after_all:
            self._circuits.ended(self._key, good=good, probe=self._probe and first)
