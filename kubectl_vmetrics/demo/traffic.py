"""What the demo cluster's pods send, receive, read and write: counters, integrals of the same time as CPU."""

from __future__ import annotations

from typing import NamedTuple

from .cluster import DemoPod


class Traffic(NamedTuple):
    """Counters of a pod since it started.

    Attributes:
        received, sent: bytes of its interface.
        read, written: bytes of its disk.
        waiting, stalled: seconds in which some, or all, of its tasks waited for the disk.
    """

    received: int
    sent: int
    received_packets: int
    sent_packets: int
    errors: int
    drops: int
    read: int
    written: int
    reads: int
    writes: int
    waiting: float
    stalled: float


_PACKET, _BLOCK = 1000, 16_384
"""Bytes of a packet, and of an operation of a disk."""


class Speeds(NamedTuple):
    """Bytes for each second in which a pod uses its average."""

    received: int
    sent: int
    read: int
    written: int


def speeds(pod: DemoPod, name: str | None = None) -> Speeds:
    """How much a pod moves, or one of its containers; the more CPU, the more."""
    busy = sum(container.millicores for container in pod.containers if name in (None, container.name))
    disk = 3 if pod.claim else 1
    return Speeds(400 * busy, 900 * busy, 120 * disk * busy, 500 * disk * busy)


def of(pod: DemoPod, seconds: float, name: str | None = None) -> Traffic:
    """The counters of a pod, or of one of its containers; the busier it is, the more it moves.

    Args:
        pod: whose.
        seconds: for how many it would have used its average, to have used what it has.
        name: of the container; None for all of them.
    """
    busy = sum(container.millicores for container in pod.containers if name in (None, container.name))
    disk = 3 if pod.claim else 1
    received, sent, read, written = (int(speed * seconds) for speed in speeds(pod, name))
    # A lossy network is worth a look: pods with an ingress in their name are the ones to find.
    lost = int(0.05 * seconds) if "ingress" in pod.name or "frontend" in pod.name else 0
    waiting = busy * disk * seconds / 40_000
    return Traffic(
        received,
        sent,
        received // _PACKET,
        sent // _PACKET,
        lost // 4,
        lost,
        read,
        written,
        read // _BLOCK,
        written // _BLOCK,
        waiting,
        waiting / 4,
    )


_COUNT, _TIME = "Cumulative count of", "Total time duration"
_NETWORK = (
    ("receive_bytes", "bytes received", "received"),
    ("receive_errors", "errors encountered while receiving", "errors"),
    ("receive_packets_dropped", "packets dropped while receiving", "drops"),
    ("receive_packets", "packets received", "received_packets"),
    ("transmit_bytes", "bytes transmitted", "sent"),
    ("transmit_errors", "errors encountered while transmitting", ""),
    ("transmit_packets_dropped", "packets dropped while transmitting", ""),
    ("transmit_packets", "packets transmitted", "sent_packets"),
)
_DISK = (
    ("reads_bytes", "bytes read", "read"),
    ("reads", "reads completed", "reads"),
    ("writes_bytes", "bytes written", "written"),
    ("writes", "writes completed", "writes"),
)
_STALLS = (
    ("waiting", "tasks in the container have waited due to IO congestion"),
    ("stalled", "no tasks in the container could make progress due to IO congestion"),
)
FAMILIES: tuple[tuple[str, str, str, str], ...] = (
    *((f"container_network_{name}_total", f"{_COUNT} {text}", field, "interface") for name, text, field in _NETWORK),
    *((f"container_fs_{name}_total", f"{_COUNT} {text}", field, "device") for name, text, field in _DISK),
    *((f"container_pressure_io_{name}_seconds_total", f"{_TIME} {text}", name, "") for name, text in _STALLS),
)
"""Families of cAdvisor, their help, the counter, and the label of the part: an interface or a device."""
