"""A list that keeps itself fresh: read once, then followed by a watch, for as long as a process lives.

The steps are client-go's (k8s.io/client-go/tools/cache/reflector.go): list, watch from the list's version, watch again
from the last version that was seen when the server ends it, list again when that version is too old (410), wait longer
from failure to failure. The list is also read again periodically, so that nothing stays missed.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from .client import PARTIAL_LIST, PARTIAL_OBJECT, Client
from .errors import BadAnswer, Expired, VmetricsError
from .failures import refused
from .gather import start
from .limits import WATCH as WATCH_LIMITS
from .lists import ObjectList, decoder, list_all

Item = TypeVar("Item")
Taken_contra = TypeVar("Taken_contra", contravariant=True)

RESYNC = 900.0
"""Seconds after which the list is read again."""
WATCH = 240.0
"""Seconds that a watch lasts at most, and with it the silence of a connection that nobody told us is dead."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
_JITTER = random.SystemRandom()  # not the module's: a thread in the background must not disturb anybody's seed

_log = logging.getLogger("kubectl_vmetrics.watch")


class Store(Protocol[Taken_contra]):
    """Where the objects go. Called from the reflector's thread only."""

    def replace(self, items: Sequence[Taken_contra]) -> None:
        """These are all that there are."""

    def put(self, item: Taken_contra) -> None:
        """This one is new, or changed."""

    def remove(self, item: Taken_contra) -> None:
        """This one is gone; so it was last."""


class _Meta(msgspec.Struct):
    version: str = msgspec.field(default="", name="resourceVersion")


class _Versioned(msgspec.Struct):
    metadata: _Meta = msgspec.field(default_factory=_Meta)


class _Status(msgspec.Struct):
    code: int = 500


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class Reflector(Generic[Item]):
    """Keeps a store as the cluster is; `start` begins, in a thread of its own.

    Args:
        client: the cluster.
        path: of the list.
        kind: what of an object is decoded; only metadata is asked for.
        store: is told.
        labels: a label selector.

    Attributes:
        synced: set once the list was read.
        error: why the last attempt failed; None while all is well.
        relists, cuts: how often the list was read, and how often a watch broke off other than by its time.
        expired: how often the version to go on from was too old (410).
    """

    def __init__(self, client: Client, path: str, kind: Any, store: Store[Item], *, labels: str | None = None) -> None:
        self.path = path
        self.synced = threading.Event()
        self.error: VmetricsError | None = None
        self.relists = self.cuts = self.expired = 0
        self._client = client
        self._store = store
        self._labels = labels
        self._list = decoder(ObjectList[kind])
        self._object: msgspec.json.Decoder[Item] = decoder(kind)
        self._stopped = threading.Event()
        self._heard = time.monotonic()
        self._watching = 0.0
        self._version = ""

    def start(self) -> None:
        """Begin. Raises NoThread."""
        start(self._run, f"watch {self.path}")

    def stop(self) -> None:
        """End; a request that is under way is left to itself, and what it brings is not stored."""
        self._stopped.set()

    def silence(self) -> float:
        """Seconds since the server was last heard of; a watch without events counts as heard while it lasts."""
        return 0.0 if self.error is None and self.synced.is_set() else time.monotonic() - self._heard

    def _run(self) -> None:
        pause = FIRST_PAUSE
        listed = 0.0
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                if not self._version or began - listed > RESYNC:
                    self._read()
                    listed = time.monotonic()
                self._watch()
                pause = FIRST_PAUSE
            except Expired:
                self._version = ""  # too old to go on from
                self.expired += 1
                _log.info("%s: watch expired, listing again", self.path)
            except VmetricsError as error:
                self.cuts += 1
                if self.error is None:  # the first of a row; the rest are told by their count
                    _log.warning("%s: %s", self.path, error.message)
                self.error = error
                if isinstance(error, BadAnswer):
                    self._version = ""
            # Of a watch that was too old at once, the time of the list before it does not count: lists are dear.
            if time.monotonic() - max(began, self._watching) > pause * 2:
                pause = FIRST_PAUSE
            # A server that ends each watch at once, or refuses, is not asked faster and faster.
            elif self._stopped.wait(pause * _JITTER.uniform(0.8, 1.2)):
                return
            else:
                pause = min(pause * 2, LONGEST_PAUSE)

    def _read(self) -> None:
        found = list_all(self._client, self.path, self._list, {"labelSelector": self._labels}, accept=PARTIAL_LIST)
        if self._stopped.is_set():
            return
        self._store.replace(found)
        self._version = found.resource_version
        self.relists += 1
        self._well()
        self.synced.set()

    def _watch(self) -> None:
        self._watching = time.monotonic()
        seconds = int(WATCH * _JITTER.uniform(0.8, 1.0))
        params: dict[str, str | int | None] = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": seconds,
            "labelSelector": self._labels,
        }
        until, limits = seconds + 15, WATCH_LIMITS
        with self._client.stream(self.path, params, accept=PARTIAL_OBJECT, limit=until, limits=limits) as stream:
            self._well()
            for line in _lines(stream.chunks):
                if self._stopped.is_set():
                    return
                self._event(line)

    def _event(self, line: bytes) -> None:
        try:
            event = decoder(_Event).decode(line)
            if event.type == "ERROR":
                code = decoder(_Status).decode(event.object).code
                raise refused(code, bytes(event.object), self.path)
            version = decoder(_Versioned).decode(event.object).metadata.version
            if event.type in ("ADDED", "MODIFIED"):
                self._store.put(self._object.decode(event.object))
            elif event.type == "DELETED":
                self._store.remove(self._object.decode(event.object))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
            raise BadAnswer(f"the server's events of {self.path} cannot be read") from None
        self._version = version or self._version
        self._heard = time.monotonic()

    def _well(self) -> None:
        if self.error is not None:
            _log.warning("%s: answers again", self.path)
        self.error = None
        self._heard = time.monotonic()


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line for line in whole if line.strip())
