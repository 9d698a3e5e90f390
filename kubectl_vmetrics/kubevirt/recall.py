"""The counters of the last run, kept for a minute: who asks twice need not wait twice.

The file holds numbers by namespace and name of virtual machines and nothing else, can be read by its owner only, and
is called after a hash, so that its name says nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from .guests import Guest, Key

YOUNGEST, OLDEST = 10.0, 60.0
"""Seconds between which a sample is used: a younger one is as good as none, an older one says nothing of now."""
_LARGEST = 64 << 20


class _Kept(msgspec.Struct):
    version: int
    guests: list[Guest]


_VERSION = 1


class Recall:
    """The file of one cluster.

    Args:
        folder: kubectl's cache folder.
        cluster: what tells clusters and users apart; only its hash is kept.
    """

    def __init__(self, folder: Path, cluster: str) -> None:
        self._folder = folder / "vmetrics"
        self._path = self._folder / f"{hashlib.sha256(cluster.encode()).hexdigest()[:32]}.json"

    def load(self, now: float) -> dict[Key, Guest]:
        """The machines whose samples are young enough; none where the file cannot be read, or is not our own."""
        try:
            with open(self._path, "rb") as file:
                status = os.fstat(file.fileno())
                if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o077):
                    return {}
                kept = msgspec.json.decode(file.read(_LARGEST), type=_Kept)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return {}
        if kept.version != _VERSION:
            return {}
        return {guest.key: guest for guest in kept.guests if YOUNGEST <= now - guest.at <= OLDEST}

    def save(self, guests: Mapping[Key, Guest]) -> None:
        """Keep these instead of what was kept; a folder that cannot be written is no error."""
        # Neither labels nor paths of the guest's file systems: what is kept is what rates are made of.
        listed = [
            msgspec.structs.replace(guest, labels={}, filesystems={}, migration=None) for guest in guests.values()
        ]
        body = msgspec.json.encode(_Kept(_VERSION, listed))
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._folder)  # 0600
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(body)
                Path(name).replace(self._path)
            except OSError:
                with contextlib.suppress(OSError):
                    Path(name).unlink()
