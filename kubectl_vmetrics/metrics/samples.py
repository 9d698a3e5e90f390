"""Samples of a Prometheus text, read: name, labels, value, timestamp. Pure; only wanted families are taken apart.

For the formats see `exposition`, whose label blocks these are. Lines that cannot be read are counted, not raised: one
broken line of a collector is no reason to lose a node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from kubectl_vmetrics.kube.errors import TooLarge

from .exposition import parse_block, unescape

Labels = dict[str, str]

MOST = 100_000
"""Wanted samples of one exposition; each takes up to 1 KB. The apiserver of a small cluster has 9,400."""
LARGEST = 1e18
"""Of any value: an exbibyte, or ten billion years. A text from a tenant may hold more, and NaN."""
KNOWN = 16 << 20
"""Maximum bytes of cached names and label blocks; beyond it, the cache is cleared."""


class Sample(NamedTuple):
    """One sample.

    Attributes:
        value: finite; a series that is NaN or Inf has nothing to say, and is left out.
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
        labels: from the names and values of a block, in its order, to labels. Of a name that occurs twice, the last
            value counts by default.

    Attributes:
        malformed: wanted lines that could not be read, so far.
    """

    def __init__(
        self, wanted: Callable[[str], bool], labels: Callable[[Iterable[tuple[str, str]]], Labels] = dict
    ) -> None:
        self._wanted = wanted
        self._made = labels
        self._known: dict[bytes, str | None] = {}
        self._blocks: dict[bytes, Labels] = {}
        self._words: dict[bytes, str] = {}
        self._size = 0
        self.malformed = 0

    def read(self, chunks: Iterable[bytes | bytearray]) -> Iterator[Sample]:
        """The wanted samples, in the order of the text. Raises TooLarge beyond MOST, and what `chunks` raises."""
        count = 0
        for line in _lines(chunks):
            for sample in self._line(line):
                count += 1
                if count > MOST:
                    raise TooLarge(f"more than {MOST:,} series of the requested metrics")
                yield sample

    def _line(self, line: bytes) -> Iterator[Sample]:
        line = line.strip()
        if not line or line[:1] == b"#":
            return
        brace = line.find(b"{")
        end = line.find(b" ") if brace < 0 else brace
        raw = line[: end if end > 0 else len(line)].strip()
        try:
            known = self._known[raw]
        except KeyError:
            name = raw.decode("utf-8", "surrogateescape")
            known = name if self._wanted(name) else None
            self._grow(len(raw))
            self._known[raw] = known
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
            labels = self._made((self._word(key), self._word(value)) for key, value in parse_block(block))
            self._grow(len(block))
            self._blocks[block] = labels
        return _sample(name, labels, line[end:].split())

    def _word(self, written: bytes) -> str:
        """The same string for what is written the same: most names and values occur in thousands of blocks."""
        found = self._words.get(written)
        if found is None:
            found = unescape(written)
            self._grow(len(written))
            self._words[written] = found
        return found

    def _grow(self, size: int) -> None:
        self._size += size + _OVERHEAD
        if self._size > KNOWN:
            self._known, self._blocks, self._words = {}, {}, {}
            self._size = 0


_OVERHEAD = 128


def _lines(chunks: Iterable[bytes | bytearray]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + bytes(chunk)).split(b"\n")
        yield from lines
    yield rest


def _sample(name: str, labels: Labels, fields: list[bytes]) -> Sample:
    # Behind an OpenMetrics exemplar ("# {…} 1") nothing is of interest; its timestamps are seconds, with a fraction.
    timestamp = fields[1] if len(fields) > 1 and fields[1] != b"#" else None
    if timestamp is None:
        return Sample(name, labels, _number(fields[0]))
    at = _number(timestamp) * (1000 if b"." in timestamp else 1)
    return Sample(name, labels, _number(fields[0]), int(at))


def _number(text: bytes) -> float:
    """A number whose sums and quotients are finite. Raises ValueError for NaN and Inf."""
    value = float(text)
    if not abs(value) <= LARGEST:
        raise ValueError("not a number")
    return value if abs(value) >= 1 / LARGEST else 0.0


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
    raise ValueError("an unterminated label block")
