"""How much of the proxy one client, one node, or all of them may take."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """How much there is of what clients share.

    Attributes:
        connections, per_client: open at once, altogether and from one address.
        threads: requests that are worked on at once.
        per_node, per_other: of those, for one node, and for metrics.k8s.io or the apiserver.
        handshake, head: seconds for TLS; for a request, from the connection or the last answer on.
        write: seconds in which a client must have read an answer, the host's time apart.
        slow, slow_bytes: answers, and bytes of them, that wait for their clients; the slowest is dropped for one more.
        large: documents of more than cancel.LARGE bytes that are kept at once.
    """

    connections: int = 512
    per_client: int = 256
    threads: int = 32
    per_node: int = 4
    per_other: int = 12
    handshake: float = 5.0
    head: float = 10.0
    write: float = 20.0
    slow: int = 64
    slow_bytes: int = 32 << 20
    large: int = 2
