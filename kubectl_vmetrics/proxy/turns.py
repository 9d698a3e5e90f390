"""Whose turn it is: work for a bounded number of threads, shared out between clients and between those who are asked.

Clients take turns: one that asks a hundred things at once waits for itself. Each thing that is asked of the host has a
lane (a node, metrics.k8s.io, the apiserver), and a lane takes a few threads at most: what hangs holds no others. When
most threads are taken, a lane has but one.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

Work = TypeVar("Work")


class Busy(Exception):
    """Too many wait."""


class Turn(NamedTuple, Generic[Work]):
    """Something to do.

    Attributes:
        client: the address, which takes turns with others.
        lane: what it holds while it is done.
    """

    work: Work
    client: str
    lane: str


class Turns(Generic[Work]):
    """Not safe for threads: it belongs to the event loop.

    Args:
        threads: how many things are done at once.
        room: of a lane: how many at once.
        most: how many may wait.
    """

    def __init__(self, threads: int, room: Callable[[str], int], most: int) -> None:
        self._threads = threads
        self._room = room
        self._most = most
        self._running: Counter[str] = Counter()
        self._begun: deque[Turn[Work]] = deque()
        self._waiting: OrderedDict[str, deque[Turn[Work]]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count + len(self._begun)

    def add(self, turn: Turn[Work]) -> bool:
        """Let it wait; False where too many do."""
        if self._count >= self._most:
            return False
        self._waiting.setdefault(turn.client, deque()).append(turn)
        self._count += 1
        return True

    def go_on(self, turn: Turn[Work]) -> None:
        """The next part of what was begun: it comes first, so that what was begun ends."""
        self._begun.append(turn)

    def remove(self, turn: Turn[Work]) -> None:
        """It need not be done any more, if it waits still."""
        if turn in self._begun:
            self._begun.remove(turn)
        waiting = self._waiting.get(turn.client)
        if waiting and turn in waiting:
            waiting.remove(turn)
            self._count -= 1
            if not waiting:
                del self._waiting[turn.client]

    def next(self) -> Turn[Work] | None:
        """What to do now; `done` must be called for it."""
        if self._running.total() >= self._threads:
            return None
        for turn in self._begun:
            if self._free(turn.lane):
                self._begun.remove(turn)
                return self._take(turn)
        for client, waiting in self._waiting.items():
            for turn in waiting:
                if self._free(turn.lane):
                    waiting.remove(turn)
                    self._count -= 1
                    self._waiting.move_to_end(client)
                    if not waiting:
                        del self._waiting[client]
                    return self._take(turn)
        return None

    def done(self, turn: Turn[Work]) -> None:
        """Its thread is free again."""
        self._running[turn.lane] -= 1
        if not self._running[turn.lane]:
            del self._running[turn.lane]

    def _take(self, turn: Turn[Work]) -> Turn[Work]:
        self._running[turn.lane] += 1
        return turn

    def _free(self, lane: str) -> bool:
        running = self._running[lane]  # a Counter's look-up keeps nothing
        return running < self._room(lane) and (not running or self._running.total() * 4 < self._threads * 3)
