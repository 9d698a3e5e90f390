"""A file with samples of the last minute, so that a second run does not have to wait for a second sample.

The file contains only numbers by namespace and name of virtual machines. Only its owner can read it, and its name is a
hash, which reveals nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from kubectl_vmetrics.kube import private

from .guests import Guest, Key

SPACING = 10.0
"""Seconds between two samples of a machine that are kept: several, so that one of them is always old enough."""
REACH = 70.0
"""Seconds for which a sample is kept, beyond the shortest time between two samples.

So a call finds an old enough one wherever the call before it was within a minute: the newest such was kept up to
SPACING before that call."""

Samples = Mapping[Key, Sequence[Guest]]
"""The samples of each machine, the oldest first."""


class _Kept(msgspec.Struct):
    version: int
    guests: list[Guest]


_VERSION = 2


class Recall:
    """The file of one cluster.

    Args:
        folder: kubectl's cache folder.
        cluster: identifies the cluster and the user; only its hash is stored.
    """

    def __init__(self, folder: Path, cluster: str) -> None:
        self._path = folder / "vmetrics" / f"{hashlib.sha256(cluster.encode()).hexdigest()[:32]}.json"

    def load(self, now: float) -> dict[Key, list[Guest]]:
        """The samples of each machine, the oldest first; none if the file cannot be read, or belongs to another user.

        Args:
            now: later samples are ignored.
        """
        file = private.read(self._path)
        if file is None:
            return {}
        try:
            kept = msgspec.json.decode(file.data, type=_Kept)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return {}
        if kept.version != _VERSION:
            return {}
        found: dict[Key, list[Guest]] = {}
        for guest in sorted(kept.guests, key=lambda guest: guest.at):
            if guest.at <= now:
                found.setdefault(guest.key, []).append(guest)
        return found

    def save(self, samples: Samples, now: float, apart: float) -> None:
        """Add samples and drop those that are too old; a directory that cannot be written is not an error.

        Args:
            samples: of each machine, the oldest first.
            now: seconds since 1970.
            apart: the shortest time between two samples, in seconds.
        """
        kept = self.load(now)
        for key, guests in samples.items():
            kept[key] = _spaced([*kept.get(key, ()), *guests])
        # Neither labels nor paths of the guest's file systems: what is kept is what rates are made of.
        listed = [
            msgspec.structs.replace(guest, labels={}, filesystems={}, migration=None)
            for guests in kept.values()
            for guest in guests
            if now - guest.at <= apart + REACH
        ]
        private.write(self._path, msgspec.json.encode(_Kept(_VERSION, listed)))


def _spaced(guests: Iterable[Guest]) -> list[Guest]:
    """Drop samples that are too close to the previous one."""
    found: list[Guest] = []
    for guest in sorted(guests, key=lambda guest: guest.at):
        if not found or guest.at - found[-1].at >= SPACING:
            found.append(guest)
    return found
