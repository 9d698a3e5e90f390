"""Whether an answer is a Prometheus text, and what it is otherwise: an HTML page, JSON, nothing. Pure.

An error page with status 200 (a login, a proxy, a load balancer) has no series in it; read like a Prometheus text it is
one without any, which means something else: that there is nothing to measure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from kubectl_vmetrics.kube.errors import BadAnswer

SHOWN = 60
"""Characters of an answer that are quoted."""

_START = 4096
# Loose on purpose: what is inside braces is the reader's business, this tells samples from what is none at all.
_NUMBER = rb"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?(?:[iI]nf|[nN]a[nN])"
_LINE = re.compile(rb"(?:[A-Za-z_:][A-Za-z0-9_:]*(?:\s*\{.*\}\s*|\s+)|\{.*\}\s*)(?:" + _NUMBER + rb")(?:\s.*)?")
_TITLE = re.compile(rb"<title[^>]*>([^<]{1,400})", re.IGNORECASE)


class Broken(NamedTuple):
    """The lines of a Prometheus text that are none.

    Attributes:
        lines: how many; 0 for a text as it should be.
        first: the first of them, quoted and cut.
    """

    lines: int = 0
    first: str = ""


class Checked:
    """A response as it arrives; what is wrong with it is known at the end.

    Args:
        chunks: its parts.
        content_type: as its sender named it.

    Attributes:
        broken: what is wrong with it, once all of it was read.
    """

    def __init__(self, chunks: Iterable[bytes | bytearray], content_type: str = "") -> None:
        self.broken = Broken()
        self._chunks = chunks
        self._content_type = content_type
        self._good = self._bad = 0
        self._first = b""

    def __iter__(self) -> Iterator[bytes | bytearray]:
        """The parts.

        Raises:
            BadAnswer: at the end, where nothing in it is a sample; the message says what it is instead.
        """
        start, rest = b"", b""
        for chunk in self._chunks:
            yield chunk
            start += chunk[: _START - len(start)]
            *lines, rest = (rest + bytes(chunk)).split(b"\n")
            self._count(lines)
        self._count([rest])
        if not self._good:
            raise BadAnswer(f"{_what(start, self._content_type, comments=not self._bad)} instead of metrics")
        self.broken = Broken(self._bad, _quoted(self._first)) if self._bad else Broken()

    def _count(self, lines: list[bytes]) -> None:
        for line in map(bytes.strip, lines):
            if not line or line[:1] == b"#":
                continue
            if _LINE.fullmatch(line):
                self._good += 1
            else:
                self._bad += 1
                self._first = self._first or line


def check(body: bytes | bytearray, content_type: str = "") -> Broken:
    """What is wrong with a response. Raises BadAnswer as `Checked`."""
    found = Checked([body], content_type)
    for _ in found:
        pass
    return found.broken


def _what(start: bytes, content_type: str, *, comments: bool) -> str:
    start = start.strip()
    if not start:
        return "an empty response"
    if "html" in content_type or re.match(rb"<(!doctype html|html|head|body)\b", start, re.IGNORECASE):
        title = _TITLE.search(start)
        return f"an HTML page{f' ({_quoted(title[1])})' if title and title[1].strip() else ''}"
    if start[:1] in (b"{", b"["):
        return "JSON"
    if "protobuf" in content_type:
        return "protobuf"
    if comments:
        return "only comments"
    letters = "".join(start.decode("utf-8", "replace").split())
    if 8 * sum(not char.isprintable() or char == "\ufffd" for char in letters) > len(letters):
        return "binary data"
    return f"other text ({_quoted(start)})"


def _quoted(data: bytes) -> str:
    text = " ".join(data[: 4 * SHOWN].decode("utf-8", "replace").split())
    return f'"{text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"}"'
