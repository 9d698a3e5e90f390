"""A file with samples of the last minute, so that a second run does not have to wait for a second sample.

The file contains only numbers by namespace and name. Only its owner can read it, and its name is a hash, which reveals
nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from kubectl_vmetrics.kube import private

SPACING = 10.0
"""Seconds between two samples of one thing that are kept: several, so that one of them is always old enough."""
REACH = 70.0
"""Seconds for which a sample is kept, beyond the shortest time between two samples.

So a call finds an old enough one wherever the call before it was within a minute: the newest such was kept up to
SPACING before that call."""


class Timed(Protocol):
    """A sample.

    Attributes:
        at: when it was taken, in seconds since 1970.
        key: of what it is a sample.
    """

    at: float

    @property
    def key(self) -> Hashable:
        """Of what it is a sample."""


Item = TypeVar("Item", bound=Timed)


class Recall(Generic[Item]):
    """The file of one cluster.

    Args:
        folder: kubectl's cache folder.
        cluster: identifies the cluster, the user and the kind of samples; only its hash is stored.
        kind: the type of a sample.
        version: of the file; others are ignored.
        slim: a sample with nothing but what rates are made of.
    """

    def __init__(
        self,
        folder: Path,
        cluster: str,
        kind: type[Item],
        version: int = 1,
        slim: Callable[[Item], Item] = lambda item: item,
    ) -> None:
        self._path = folder / "vmetrics" / f"{hashlib.sha256(cluster.encode()).hexdigest()[:32]}.json"
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(tuple[int, list[kind]])  # type: ignore[valid-type]
        self._version = version
        self._slim = slim

    def load(self, now: float) -> dict[Any, list[Item]]:
        """The samples of each thing, the oldest first; none if the file cannot be read, or belongs to another user.

        Args:
            now: later samples are ignored.
        """
        file = private.read(self._path)
        if file is None:
            return {}
        try:
            version, kept = self._decoder.decode(file.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return {}
        if version != self._version:
            return {}
        found: dict[Any, list[Item]] = {}
        for item in sorted(kept, key=lambda item: item.at):
            if item.at <= now:
                found.setdefault(item.key, []).append(item)
        return found

    def save(self, samples: Mapping[Any, Sequence[Item]], now: float, apart: float) -> None:
        """Add samples and drop those that are too old; a directory that cannot be written is not an error.

        Args:
            samples: of each thing, the oldest first.
            now: seconds since 1970.
            apart: the shortest time between two samples, in seconds.
        """
        kept = self.load(now)
        for key, items in samples.items():
            kept[key] = spaced([*kept.get(key, ()), *items])
        listed = [self._slim(item) for items in kept.values() for item in items if now - item.at <= apart + REACH]
        private.write(self._path, msgspec.json.encode((self._version, listed)))


def spaced(items: Iterable[Item]) -> list[Item]:
    """Drop samples that are too close to the previous one."""
    found: list[Item] = []
    for item in sorted(items, key=lambda item: item.at):
        if not found or item.at - found[-1].at >= SPACING:
            found.append(item)
    return found
