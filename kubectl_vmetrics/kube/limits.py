"""Size limits of all kinds of answers, in one table; and the name of a sender who exceeds one.

No server is trusted to stop sending: a kubelet, a virt-handler or a tenant's control plane may send a few megabytes
of gzip that inflate to gigabytes, a line without an end, or a million series. Each limit is several times the largest
honest answer that is known, and small enough that one answer cannot take the memory of the process.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote

from .errors import TooLarge

_MIB = 1 << 20


class Limits(NamedTuple):
    """The limits for one kind of answer.

    Attributes:
        size: bytes, decompressed; None for an endless answer (a watch).
        line: bytes of one line; None where an answer is not read by line. No less than `body.STEP`.
        lines: how many of them; None as above.
        objects: objects and arrays of a JSON text; each becomes a few hundred bytes once decoded.
        values: of a JSON text, counted by its commas; each becomes up to a hundred.
        digits: of any number of a JSON text; what is longer is no measurement, and fits no float.
    """

    size: int | None
    line: int | None = None
    lines: int | None = None
    objects: int | None = None
    values: int | None = None
    digits: int | None = None


LIST = Limits(1024 * _MIB)
"""A list of the apiserver's own: 100,000 pods are some 400 MiB where it is read in one piece, or cannot be paged."""

OBJECT = Limits(16 * _MIB)
"""One object, or the documents of discovery: etcd takes 1.5 MiB, a large cluster's discovery has 2 to 3 MiB."""

REVIEW = Limits(_MIB)
"""The answer to an access review, which repeats what was asked."""

ERROR = Limits(64 << 10)
"""The body of an answer of 400 or more: so much is read, the rest is dropped. A metav1.Status has a few hundred."""

WATCH = Limits(None, line=4 * _MIB)
"""Events, one a line: an object's metadata, of which annotations alone may have 256 KiB."""

SUMMARY = Limits(16 * _MIB, objects=200_000, values=800_000, digits=40)
"""stats/summary of a kubelet: 6 KB, 55 objects and 200 values for a pod, so 3 MiB and 28,000 objects for 500."""

TEXT = Limits(256 * _MIB, line=256 << 10, lines=2_000_000)
"""A kubelet's Prometheus text, passed on while it comes: a node of 500 pods has some 30 MiB and 100,000 lines."""

RESOURCE = Limits(8 * _MIB, line=256 << 10, lines=100_000)
"""A kubelet's metrics/resource, which has five short lines for a container, where it is kept of many nodes at once."""

SCRAPE = Limits(64 * _MIB, line=256 << 10, lines=400_000)
"""Prometheus text that is read here, of a control plane or a virt-handler: a busy apiserver has 20 MiB."""

LOG = Limits(8 * _MIB)
"""The end of a pod's log."""


def of(path: str, *, kept: bool = False) -> Limits:
    """The limits for an answer to a path of the apiserver, where the caller names none.

    Args:
        path: with or without a query.
        kept: whether all of it stays in memory, rather than being passed on.

    >>> of("/api/v1/nodes/n1/proxy/stats/summary") is SUMMARY
    True
    >>> of("/api/v1/namespaces/a/pods") is LIST, of("/api/v1/namespaces/a/pods/b") is OBJECT
    (True, True)
    """
    rest = _resource(path)
    if len(rest) > 2:
        if rest[2] == "proxy":
            if rest[0] == "nodes":
                if rest[3:] == ["stats", "summary"]:
                    return SUMMARY
                return TEXT if not kept else RESOURCE if rest[3:] == ["metrics", "resource"] else SCRAPE
            return SCRAPE
        if rest[2] == "log":
            return LOG
    return LIST if len(rest) == 1 else OBJECT


def sender(path: str) -> str:
    """Who answers a path: the kubelet or pod behind the apiserver's proxy, or the server itself.

    >>> sender("/api/v1/nodes/n1/proxy/metrics")
    'the kubelet of node "n1"'
    >>> sender("/api/v1/namespaces/a/pods/https:b:8443/proxy/metrics")
    'pod "a/b"'
    """
    parts, rest = path.split("/"), _resource(path)
    if len(rest) < 3 or rest[2] != "proxy":
        return "the server"
    if rest[0] == "nodes":
        return f'the kubelet of node "{unquote(rest[1])}"'
    # [scheme:]name[:port], k8s.io/apimachinery/pkg/util/net/port_split.go
    words = unquote(rest[1]).split(":")
    name = words[1] if len(words) == 3 else words[0]
    namespace = f"{unquote(parts[4])}/" if parts[3:4] == ["namespaces"] else ""
    return f'{rest[0].removesuffix("s")} "{namespace}{name}"'


def too_large(who: str, path: str, what: str) -> TooLarge:
    """The error of an answer that is not read to its end.

    Args:
        who: who sent it.
        path: what was asked for.
        what: the limit: "256 MiB".
    """
    return TooLarge(f"{who} sent more than {what} in answer to {path.partition('?')[0]}")


def readable(size: int) -> str:
    """A number of bytes as limits are written.

    >>> readable(64 << 10), readable(256 << 20)
    ('64 KiB', '256 MiB')
    """
    return f"{size >> 20:,} MiB" if size >= _MIB else f"{size >> 10:,} KiB"


def _resource(path: str) -> list[str]:
    """A path's parts from the resource on, without its namespace: ["pods", "web-0", "log"]."""
    parts = [part for part in path.partition("?")[0].split("/") if part]
    rest = parts[2:] if parts[:1] == ["api"] else parts[3:] if parts[:1] == ["apis"] else []
    return rest[2:] if rest[:1] == ["namespaces"] and len(rest) > 2 else rest
