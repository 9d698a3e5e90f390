"""The body of an answer, decompressed step by step and never beyond its limits.

Libraries inflate a whole piece at once, and 256 KiB of gzip may inflate to 256 MiB. Here each step is bounded, so that
an answer takes no more memory than what the caller keeps of it.
"""

from __future__ import annotations

import contextlib
import http.client
import zlib
from collections.abc import Callable, Iterator

from . import cancel
from .errors import BadAnswer, ConnectionFailed
from .limits import Limits, readable, sender, too_large

STEP = 1 << 18
"""Bytes that are read, or inflated, at once."""
_DIGITS = bytes(ord("0") if chr(code).isdecimal() and code < 128 else 0 for code in range(256))
"""Makes a 0 of each digit, for bytes.translate."""
GZIP = ("gzip", "x-gzip")
"""The only encoding that is asked for, and its old name (RFC 9110, 8.4.1.3)."""


def pieces(
    read: Callable[[int], bytes], encoding: str, limits: Limits, path: str, *, who: str | None = None
) -> Iterator[bytes]:
    """A body, piece by piece, none larger than STEP.

    Args:
        read: gives at most so many of the bytes that were sent, b"" at the end.
        encoding: the header Content-Encoding.
        limits: what is read.
        path: what was asked for, for messages.
        who: sends it; None for what the path says.

    Raises:
        TooLarge: there is more.
        BadAnswer: another encoding than gzip, or what is no gzip.
        http.client.IncompleteRead: compressed content that is cut short; and whatever `read` raises.
    """
    who = who or sender(path)
    named = encoding.strip().lower()
    if named in GZIP:
        found = _inflated(_metered(read, limits, path, who), path, who)
    elif named in ("", "identity"):
        found = _metered(read, limits, path, who)
    else:
        shown = encoding if len(encoding) < 40 and encoding.isprintable() else "unknown"
        raise BadAnswer(f"{who} answered {path.partition('?')[0]} with an unsupported encoding: {shown}")
    return _bounded(found, limits, path, who)


def whole(found: Iterator[bytes], limits: Limits, path: str) -> bytearray:
    """The whole body, for answers that are decoded in one piece. Raises what the iterator raises, and TooLarge."""
    body = bytearray()
    for piece in found:
        body += piece
        cancel.grown(len(body))
    if limits.objects is not None and body.count(b"{") + body.count(b"[") > limits.objects:
        raise too_large(sender(path), path, f"{limits.objects:,} objects")
    if limits.values is not None and body.count(b",") > limits.values:
        raise too_large(sender(path), path, f"{limits.values:,} values")
    if limits.digits is not None and b"0" * (limits.digits + 1) in body.translate(_DIGITS):
        raise too_large(sender(path), path, f"{limits.digits} digits in a number")
    return body


def beginning(found: Iterator[bytes], limits: Limits) -> bytes:
    """The beginning of a body, for error messages; what cannot be read is omitted."""
    size = limits.size or STEP
    body = bytearray()
    with contextlib.suppress(BadAnswer, ConnectionFailed):
        for piece in found:
            body += piece
            if len(body) >= size:
                break
    return bytes(body[:size])


def _metered(read: Callable[[int], bytes], limits: Limits, path: str, who: str) -> Iterator[bytes]:
    """The bytes as sent, limited like the decompressed ones, because gzip of nothing can be endless."""
    received = 0
    while data := read(STEP):
        received += len(data)
        if limits.size is not None and received > limits.size + limits.size // 64 + STEP:
            raise too_large(who, path, readable(limits.size))
        yield data


def _inflated(sent: Iterator[bytes], path: str, who: str) -> Iterator[bytes]:
    stream = zlib.decompressobj(wbits=31)
    begun = False
    try:
        for data in sent:
            while data:
                if stream.eof:  # gzip may follow gzip (RFC 1952, 2.2)
                    stream = zlib.decompressobj(wbits=31)
                begun = True
                if piece := stream.decompress(data, STEP):
                    yield piece
                data = stream.unused_data if stream.eof else stream.unconsumed_tail  # noqa: PLW2901
            # The last input may be taken in while more comes of it than one step gives.
            while not stream.eof and (piece := stream.decompress(b"", STEP)):
                yield piece
    except zlib.error:
        raise BadAnswer(f"{who} answered {path.partition('?')[0]} with invalid gzip data") from None
    if begun and not stream.eof:
        raise http.client.IncompleteRead(b"")


def _bounded(found: Iterator[bytes], limits: Limits, path: str, who: str) -> Iterator[bytes]:
    size = lines = open_line = 0
    for piece in found:
        size += len(piece)
        if limits.size is not None and size > limits.size:
            raise too_large(who, path, readable(limits.size))
        if limits.line is not None:
            # A line inside a piece cannot be too long: a piece is no longer than a line may be.
            end = piece.find(b"\n")
            open_line += len(piece) if end < 0 else end
            if open_line > limits.line:
                raise too_large(who, path, f"{readable(limits.line)} in one line")
            if end >= 0:
                open_line = len(piece) - piece.rfind(b"\n") - 1
        if limits.lines is not None:
            lines += piece.count(b"\n")
            if lines > limits.lines:
                raise too_large(who, path, f"{limits.lines:,} lines")
        yield piece
