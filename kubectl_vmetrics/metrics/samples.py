"""Samples of a Prometheus text, read: name, labels, value, timestamp. Pure; only wanted families are taken apart.

For the formats see `exposition`, whose label blocks these are. Lines that cannot be read are counted, not raised: one
broken line of a collector is no reason to lose a node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from .exposition import parse_block, unescape

Labels = dict[str, str]


class Sample(NamedTuple):
    """One sample.

    Attributes:
        timestamp: milliseconds since 1970, as the exposition gives it; None for "now".
    """

    name: str
    labels: Labels
    value: float
    timestamp: int | None = None


class Reader:
    """Reads expositions; of many alike, each block of labels is taken apart once, and shared by the samples.

    Safe to use from several threads.

    Args:
        wanted: which families are of interest, by their names.

    Attributes:
        malformed: wanted lines that could not be read, so far.
    """

    def __init__(self, wanted: Callable[[str], bool]) -> None:
        self._wanted = wanted
        self._known: dict[bytes, str | None] = {}
        self._blocks: dict[bytes, Labels] = {}
        self.malformed = 0

    def read(self, chunks: Iterable[bytes | bytearray]) -> Iterator[Sample]:
        """The wanted samples, in the order of the text."""
        rest = b""
        for chunk in chunks:
            *lines, rest = (rest + bytes(chunk)).split(b"\n")
            for line in lines:
                yield from self._line(line)
        yield from self._line(rest)

    def _line(self, line: bytes) -> Iterator[Sample]:
        line = line.strip()
        if not line or line[:1] == b"#":
            return
        brace = line.find(b"{")
        end = line.find(b" ") if brace < 0 else brace
        raw = line[: end if end > 0 else len(line)].strip()
        if raw not in self._known:
            if len(self._known) > 50_000:
                self._known.clear()
            name = raw.decode("utf-8", "surrogateescape")
            self._known[raw] = name if self._wanted(name) else None
        known = self._known[raw]
        if known is None:
            return
        try:
            yield self._sample(known, line, brace)
        except (ValueError, IndexError):
            self.malformed += 1

    def _sample(self, name: str, line: bytes, brace: int) -> Sample:
        if brace < 0:
            return _sample(name, {}, line.split()[1:])
        end = _end(line, brace)
        block = line[brace:end]
        labels = self._blocks.get(block)
        if labels is None:
            labels = {key.decode(): unescape(value) for key, value in parse_block(block)}
            if len(self._blocks) > 50_000:
                self._blocks.clear()
            self._blocks[block] = labels
        return _sample(name, labels, line[end:].split())


def _sample(name: str, labels: Labels, fields: list[bytes]) -> Sample:
    # Behind an OpenMetrics exemplar ("# {…} 1") nothing is of interest; its timestamps are seconds, with a fraction.
    timestamp = fields[1] if len(fields) > 1 and fields[1] != b"#" else None
    if timestamp is None:
        return Sample(name, labels, float(fields[0]))
    at = float(timestamp) * 1000 if b"." in timestamp else float(timestamp)
    return Sample(name, labels, float(fields[0]), int(at))


def _end(line: bytes, brace: int) -> int:
    """Where the label block ends: behind the first closing brace that is in no value."""
    at = line.find(b"}", brace)
    if b"\\" not in line and line.count(b'"', brace, at) % 2 == 0:
        return at + 1
    quoted = escaped = False
    for index in range(brace, len(line)):
        character = line[index]
        if escaped:
            escaped = False
        elif quoted and character == 0x5C:
            escaped = True
        elif character == 0x22:
            quoted = not quoted
        elif character == 0x7D and not quoted:
            return index + 1
    raise ValueError("a label block without an end")
