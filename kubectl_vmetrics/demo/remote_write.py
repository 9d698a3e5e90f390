"""Samples as remote write 1.0 carries them (prometheus.io/docs/specs/prw/remote_write_spec).

Every sample takes the same number of bytes, so a series is filled in column by column, not sample by sample.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

HEADERS = {"Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}
BATCH = 4 << 20
"""About so many bytes are sent at once."""
_HEAD = b"\x12\x10\x09" + bytes(8) + b"\x10" + bytes(6)
"""A sample: its length, a double, and a time in milliseconds, which has 6 bytes between the years 1971 and 2109."""
_SIZE, _VALUE, _TIME = len(_HEAD), 3, 12
_STALE = struct.pack("<Q", 0x7FF0000000000002)
"""A staleness marker: github.com/prometheus/prometheus/blob/main/model/value/value.go."""


class Series(NamedTuple):
    """A series, or the part of it that is new.

    Attributes:
        labels: with `__name__`.
        first: the index of its first moment.
        values: one for each moment from there on.
        ends: whether a staleness marker follows, at the moment after the last.
    """

    labels: Mapping[str, str]
    first: int
    values: Sequence[float]
    ends: bool = False


class Encoder:
    """Encodes series over the same moments.

    Args:
        moments: milliseconds since the epoch, in order.
    """

    def __init__(self, moments: Sequence[int]) -> None:
        self._blank = bytearray(_HEAD) * len(moments)
        stamps = b"".join(map(_varint, moments))
        for column in range(6):
            self._blank[_TIME + column :: _SIZE] = stamps[column::6]

    def messages(self, series: Iterable[Series]) -> Iterator[bytes]:
        """Bodies of requests."""
        batch: list[bytes] = []
        size = 0
        for item in series:
            made = _field(1, _labels(item.labels) + self._samples(item))
            batch.append(made)
            size += len(made)
            if size >= BATCH:
                yield _snappy(b"".join(batch))
                batch, size = [], 0
        if batch:
            yield _snappy(b"".join(batch))

    def _samples(self, item: Series) -> bytes:
        count = len(item.values)
        raw = array("d", item.values).tobytes() + (_STALE if item.ends else b"")
        made = self._blank[item.first * _SIZE : (item.first + count + item.ends) * _SIZE]
        for column in range(8):
            made[_VALUE + column :: _SIZE] = raw[column::8]
        return bytes(made)


def _labels(labels: Mapping[str, str]) -> bytes:
    pairs = sorted((name, text) for name, text in labels.items() if text)
    return b"".join([_field(1, _field(1, name.encode()) + _field(2, text.encode())) for name, text in pairs])


def _field(number: int, content: bytes) -> bytes:
    """A field of bytes of a protocol buffer."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    return bytes([*made, number])


def _snappy(content: bytes) -> bytes:
    """Snappy's format with nothing compressed: literals (github.com/google/snappy, format_description.txt)."""
    made = [_varint(len(content))]
    for index in range(0, len(content), 65_536):
        part = content[index : index + 65_536]
        made += [b"\xf4", struct.pack("<H", len(part) - 1), part]
    return b"".join(made)
