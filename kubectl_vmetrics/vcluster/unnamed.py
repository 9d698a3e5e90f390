"""Objects that belong to a virtual cluster and have no name inside of it.

A virt-launcher for one: KubeVirt creates it on the host, with the labels of a machine that was synced. What it uses
counts towards the virtual cluster, but nothing inside has its name. Others were synced under a hashed name, and the
annotations that hold their own name are missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

Key = TypeVar("Key")
Item = TypeVar("Item")


class _Entry(msgspec.Struct, Generic[Item]):
    claimed: Item
    owned: Item | None
    created: bool


class Unnamed(Generic[Key, Item]):
    """These objects. Not safe for threads while it changes, but `owner` may be called at any time.

    Args:
        decide: from what the labels claim to what is proven; None without proof.
    """

    def __init__(self, decide: Callable[[Key, Item], Item | None]) -> None:
        self._decide = decide
        self._entries: dict[Key, _Entry[Item]] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._entries

    def put(self, key: Key, claimed: Item, *, created: bool) -> bool:
        """Add an object, or see it again; whether that changes anything.

        Args:
            key: names it.
            claimed: what its labels say.
            created: whether a controller of the host created it, so that it has no name inside at all.
        """
        before = self._entries.get(key)
        if before is not None and before.claimed == claimed:
            before.claimed = claimed  # although it is the same: the one before may be about to leave
            return False
        self._entries[key] = _Entry(claimed, self._decide(key, claimed), created)
        return True

    def get(self, key: Key) -> Item | None:
        """What the labels of an object say; None for one that is not here."""
        found = self._entries.get(key)
        return found.claimed if found else None

    def discard(self, key: Key) -> None:
        """It is gone, or has a name."""
        self._entries.pop(key, None)

    def owner(self, key: Key) -> Item | None:
        """What is proven of an object; None for one that is not here, and without proof."""
        found = self._entries.get(key)
        return found.owned if found else None

    def owned(self) -> list[tuple[Key, Item]]:
        """All objects whose owner is proven."""
        return [(key, entry.owned) for key, entry in list(self._entries.items()) if entry.owned is not None]

    def decide_again(self) -> list[Key]:
        """A proof was found or lost: the objects of which something else is true now."""
        changed = []
        for key, entry in self._entries.items():
            owned = self._decide(key, entry.claimed)
            if owned != entry.owned:
                entry.owned = owned
                changed.append(key)
        return changed

    def synced(self) -> int:
        """How many were synced, and should have a name."""
        return sum(not entry.created for entry in list(self._entries.values()))
