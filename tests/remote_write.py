"""Remote write 1.0: https://prometheus.io/docs/specs/prw/remote_write_spec/."""

from __future__ import annotations

import struct
import urllib.request
from collections.abc import Iterable, Sequence

STALE = struct.pack("<Q", 0x7FF0000000000002)
"""A staleness marker: https://github.com/prometheus/prometheus/blob/main/model/value/value.go."""


def write(url: str, series: Iterable[tuple[dict[str, str], Sequence[tuple[int, bytes]]]]) -> None:
    """Remote write 1.0: https://prometheus.io/docs/specs/prw/remote_write_spec/."""
    message = b"".join(
        field(
            1,
            b"".join(
                field(1, field(1, name.encode()) + field(2, text.encode())) for name, text in sorted(labels.items())
            )
            + b"".join(field(2, b"\x09" + value + b"\x10" + varint(at)) for at, value in samples),
        )
        for labels, samples in series
    )
    send(url, message)


def send(url: str, message: bytes) -> None:
    """Send a message, encoded already."""
    headers = {"Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}
    request = urllib.request.Request(f"{url}/api/v1/write", snappy(message), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status in (200, 204)


def varint(number: int) -> bytes:
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    return bytes([*made, number])


def field(number: int, content: bytes) -> bytes:
    """A field of bytes of a protocol buffer."""
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def snappy(content: bytes) -> bytes:
    """Snappy's format, with nothing compressed: literals of up to 64 KiB."""
    made = [varint(len(content))]
    for index in range(0, len(content), 65536):
        part = content[index : index + 65536]
        made += [b"\xf4", struct.pack("<H", len(part) - 1), part]
    return b"".join(made)
