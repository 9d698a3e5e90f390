"""A transport that lets requests to kubelets share a response; everything else passes through unchanged.

What is shared is what the host sent, before any rewriting: each view rewrites it for itself. The circuit of a node
counts the requests that were sent, not the clients that wait for them.
"""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import ItemsView, Mapping
from functools import partial
from types import TracebackType

from kubectl_vmetrics.kube import cancel
from kubectl_vmetrics.kube.cancel import Cancelled, CancelScope, Crowded
from kubectl_vmetrics.kube.errors import BadAnswer, ConnectionFailed, TimedOut, TooLarge
from kubectl_vmetrics.kube.failures import timed_out
from kubectl_vmetrics.kube.transport import Dropped, Headers, Reply, Timeouts, Transport

from . import circuit
from .circuit import Circuits, Passage
from .flight import Behind, Interrupted, Late, Reader
from .flights import Flights, Full

CONNECT = 10.0
"""Seconds to connect to the apiserver. Not the limit of the first client: those who join may be more patient."""
LIMIT = 75.0
"""Seconds for a request: more than any client that may join it waits."""
ENCODING = "Content-Encoding"
_KUBELET = re.compile(r"/api/v1/nodes/([^/?]+)/proxy/.*")


class SlowReader(TimedOut):
    """The client reads too slowly; the kubelet is not at fault."""


class Sharing:
    """A transport in which requests to kubelets share responses.

    Args:
        transport: sends the requests.
        flights: the responses that are shared.
        circuits: those of the nodes.
    """

    def __init__(self, transport: Transport, flights: Flights[Question], circuits: Circuits) -> None:
        self._transport, self._flights, self._circuits = transport, flights, circuits

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeouts: Timeouts) -> Reply:
        """See transport.Transport. Also raises Open if the circuit of the node is open, and Crowded."""
        found = _KUBELET.fullmatch(path)
        if not found or method != "GET":
            return self._transport.send(method, path, headers, body, timeouts)
        node = found[1]
        scope = cancel.current()

        def question() -> Question:
            return Question(self._transport, path, headers, self._circuits.enter(node))

        try:
            # All requests have the same credentials, so responses depend only on these two.
            reader = self._flights.join((path, headers.get("Accept")), question, scope.began if scope else None)
        except Full:
            raise Crowded("too many requests to kubelets at once") from None
        return SharedReply(reader, scope, timeouts.read)


class Question:
    """A request to a kubelet, whose outcome its node's circuit learns. See flight.Source.

    Args:
        transport: sends it.
        path: with the query.
        headers: of the request.
        passage: reports to the node's circuit.
    """

    def __init__(self, transport: Transport, path: str, headers: Mapping[str, str], passage: Passage) -> None:
        self.passage = passage
        self._send = partial(transport.send, "GET", path, headers, None, Timeouts(CONNECT, LIMIT))
        self._scope = CancelScope()
        self._reply: Reply | None = None
        self._silence = 0.0
        self._waiting: float | None = None
        self._packer: zlib._Compress | None = None
        self._ended = False

    @property
    def good(self) -> bool:
        """See flight.Source."""
        return self.reply.status < 300

    @property
    def reply(self) -> Reply:
        """The response, once it is open."""
        assert self._reply  # noqa: S101 (it is open)
        return self._reply

    @property
    def headers(self) -> Headers:
        """Those of the response, which say that it is compressed if it is compressed here."""
        return _Packed(self.reply.headers) if self._packer else self.reply.headers

    @property
    def silence(self) -> float:
        """Seconds spent waiting for the kubelet so far."""
        waiting = self._waiting
        return self._silence + (time.monotonic() - waiting if waiting is not None else 0.0)

    def open(self) -> None:
        """See flight.Source."""
        self._waiting = time.monotonic()
        try:
            with self._scope.active():
                self._reply = self._send()
            self._scope.check()
        except Exception as error:
            self._failed(error)
            raise
        self._heard()
        if self.reply.status >= 500:
            self.passage.failed()
        elif self.good:
            self._packer = _packer(self.reply)
        else:
            self.passage.succeeded()  # it answered, if only with an error

    def read(self, size: int) -> bytes:
        """See flight.Source. Kubelets do not compress stats/summary; it is kept compressed as well."""
        found = self._read(size)
        if self._packer is None:
            return found
        if found:
            return self._packer.compress(found) + self._packer.flush(zlib.Z_SYNC_FLUSH)
        if self._ended:
            return b""
        self._ended = True
        return self._packer.flush()

    def _read(self, size: int) -> bytes:
        if self._ended:
            return b""
        self._waiting = time.monotonic()
        try:
            with self._scope.active():
                found = self.reply.read(size)
            self._scope.check()  # a socket that was shut down looks like the end of the response
        except Exception as error:
            self._failed(error)
            raise
        self._heard()
        return found

    def close(self) -> None:
        """See flight.Source."""
        if self._reply:
            self._reply.__exit__()

    def cancel(self) -> None:
        """See flight.Source."""
        self._scope.cancel()
        if self._waiting is None and not self._reply:
            self.passage.abandoned()  # it was never sent

    def left(self, error: BaseException | None, *, whole: bool) -> bool:
        """A reader leaves.

        Args:
            error: why; None if it has finished.
            whole: whether it has read the complete response.

        Returns:
            Whether the response is useless to others as well: too large, or not the gzip that it claims to be.
        """
        late = isinstance(error, (TimedOut, Cancelled))
        if isinstance(error, TooLarge) or (whole and isinstance(error, ConnectionFailed) and not late):
            self.passage.failed()  # too large, or truncated gzip
        elif whole and self.good:
            self.passage.succeeded()
        elif late and not isinstance(error, SlowReader):
            self._waited()
        return isinstance(error, BadAnswer) or (whole and isinstance(error, ConnectionFailed) and not late)

    def _heard(self) -> None:
        self._silence, self._waiting = self.silence, None

    def _failed(self, error: Exception) -> None:
        if isinstance(error, (TimedOut, Cancelled)):
            self._waited()
        elif isinstance(error, ConnectionFailed) and self._reply:
            self.passage.failed()
        # Without a head, the apiserver is gone; failures of nodes it reports with a status.
        self.passage.abandoned()

    def _waited(self) -> None:
        if self.silence >= circuit.FAIR:
            self.passage.failed()


class _Packed:
    """The headers of a response that was compressed here."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def get(self, name: str, default: str = "", /) -> str:
        """See transport.Headers."""
        return "gzip" if name.title() == ENCODING else self._headers.get(name, default)

    def items(self) -> ItemsView[str, str]:
        """See transport.Headers."""
        return self._headers.items()


def _packer(reply: Reply) -> zlib._Compress | None:
    """What compresses a response that is not compressed."""
    plain = reply.headers.get(ENCODING, "").strip().lower() in ("", "identity")
    return zlib.compressobj(1, wbits=31) if plain else None


class SharedReply:
    """A shared response, as one client reads it. See transport.Reply.

    Args:
        reader: of the shared response.
        scope: the client's; None if it has none.
        limit: seconds for all of it; None for no limit.

    Raises:
        ConnectionFailed, Dropped: as transport.Transport.
    """

    def __init__(self, reader: Reader[Question], scope: CancelScope | None, limit: float | None) -> None:
        self._reader, self._scope = reader, scope
        self._deadline = None if limit is None else time.monotonic() + limit
        try:
            if scope:
                scope.tell(reader.interrupt)
            self._reader.begin(self._deadline)
        except BaseException as failure:
            error = self._meant(failure, "awaiting headers")
            self._leave(error)
            raise error from None
        reply = reader.source.reply
        self.status, self.reason, self.headers = reply.status, reply.reason, reader.source.headers

    def read(self, size: int) -> bytes:
        """See transport.Reply."""
        try:
            return self._reader.read(size, self._deadline)
        except Exception as failure:
            raise self._meant(failure, "reading body") from None

    def __enter__(self) -> SharedReply:
        """For `with`."""
        return self

    def __exit__(self, *what: type[BaseException] | BaseException | TracebackType | None) -> None:
        """See transport.Reply."""
        self._leave(next((item for item in what if isinstance(item, BaseException)), None))

    def _leave(self, error: BaseException | None) -> None:
        if self._scope:
            self._scope.forget(self._reader.interrupt)
        question = self._reader.source
        if question.left(error, whole=self._reader.whole):
            self._reader.spoil()
        if self._reader.leave():
            question.passage.abandoned()

    def _meant(self, failure: BaseException, doing: str) -> BaseException:
        if isinstance(failure, Late):
            return timed_out(doing)
        if isinstance(failure, Interrupted):
            return Cancelled("the client disconnected")
        if isinstance(failure, Behind):
            return SlowReader("the client reads too slowly")
        return Dropped(failure.error) if isinstance(failure, Dropped) else failure
