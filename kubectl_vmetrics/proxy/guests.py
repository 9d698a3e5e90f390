"""Who is connected: how many at most, how many of one address, and who goes where there are too many.

A connection is busy from the end of a request's head to the end of its answer; otherwise it waits: in its handshake, in
the middle of a head, or between two requests. Those that wait longest are dropped to make room, so that a silent
client keeps nobody out.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

Peer = TypeVar("Peer", bound=Hashable)

RESERVE = 16
"""Connections beside those that are allowed, of one address or altogether: only health is answered on them."""


class Entry(NamedTuple):
    """A connection.

    Attributes:
        since: when it began to wait.
    """

    address: str
    since: float


class Guests(Generic[Peer]):
    """The connections of a server. Not safe for threads: it belongs to the event loop.

    Args:
        most: how many altogether.
        per_address: how many of one address.
    """

    def __init__(self, most: int, per_address: int) -> None:
        self._most = most
        self._per_address = per_address
        self._addresses: Counter[str] = Counter()
        self._waiting: OrderedDict[Peer, Entry] = OrderedDict()  # by since
        self._busy: dict[Peer, str] = {}
        self._busy_addresses: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._busy)

    def __contains__(self, peer: Peer) -> bool:
        return peer in self._waiting or peer in self._busy

    def add(self, peer: Peer, address: str, now: float) -> tuple[Peer, str] | None:
        """A client connected.

        Returns:
            The connection to drop, which is the new one if no other waits, and why; None if there is room.
        """
        self._waiting[peer] = Entry(address, now)
        self._addresses[address] += 1
        if self._addresses[address] > self._per_address + RESERVE:
            mine = (other for other, entry in self._waiting.items() if entry.address == address)
            return next(mine), "address"
        if len(self) > self._most + RESERVE:
            return next(iter(self._waiting)), "full"
        return None

    def remove(self, peer: Peer) -> None:
        """It is gone."""
        entry = self._waiting.pop(peer, None)
        address = entry.address if entry else self._leave_busy(peer)
        if address is not None:
            self._less(self._addresses, address)

    def begin(self, peer: Peer) -> str | None:
        """Its request is read: it is busy. Returns why it should be refused: "address" or "full"; None if not."""
        entry = self._waiting.pop(peer, None)
        if entry is None:
            return None
        self._busy[peer] = entry.address
        self._busy_addresses[entry.address] += 1
        if self._busy_addresses[entry.address] > self._per_address:
            return "address"
        return "full" if len(self._busy) > self._most else None

    def end(self, peer: Peer, now: float) -> None:
        """Its answer is sent: it waits again."""
        address = self._leave_busy(peer)
        if address is not None:
            self._waiting[peer] = Entry(address, now)

    def waiting_since(self, before: float) -> list[Peer]:
        """Those that wait since before a time."""
        found = []
        for peer, entry in self._waiting.items():
            if entry.since >= before:
                break
            found.append(peer)
        return found

    def waiting(self) -> list[Peer]:
        """All that are not busy."""
        return list(self._waiting)

    def busy(self) -> list[Peer]:
        """All that are."""
        return list(self._busy)

    def _leave_busy(self, peer: Peer) -> str | None:
        address = self._busy.pop(peer, None)
        if address is not None:
            self._less(self._busy_addresses, address)
        return address

    @staticmethod
    def _less(counts: Counter[str], address: str) -> None:
        counts[address] -= 1
        if counts[address] <= 0:
            del counts[address]
