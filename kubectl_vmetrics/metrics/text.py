"""Whether an answer is a Prometheus text, and what it is where it is not: an HTML page, JSON, nothing. Pure.

An error page with status 200 (a login, a proxy, a load balancer) has no series in it; read like a Prometheus text it is
one without any, which means something else: that there is nothing to measure.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from kubectl_vmetrics.kube.errors import BadAnswer

SHOWN = 60
"""Characters of an answer that are quoted."""

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


def check(body: bytes | bytearray, content_type: str = "") -> Broken:
    """Tell what is wrong with an answer.

    Args:
        body: all of it.
        content_type: as its sender named it.

    Raises:
        BadAnswer: nothing in it is a sample; the message says what it is instead.
    """
    good = bad = 0
    first = b""
    for raw in body.split(b"\n"):
        line = raw.strip()
        if not line or line[:1] == b"#":
            continue
        if _LINE.fullmatch(line):
            good += 1
        else:
            bad += 1
            first = first or bytes(line)
    if not good:
        raise BadAnswer(f"{_what(bytes(body), content_type)} came instead of metrics")
    return Broken(bad, _quoted(first)) if bad else Broken()


def _what(body: bytes, content_type: str) -> str:
    start = body[:4096].strip()
    if not start:
        return "an empty answer"
    if "html" in content_type or re.match(rb"<(!doctype html|html|head|body)\b", start, re.IGNORECASE):
        title = _TITLE.search(start)
        return f"an HTML page{f' ({_quoted(title[1])})' if title and title[1].strip() else ''}"
    if start[:1] in (b"{", b"["):
        return "JSON"
    if "protobuf" in content_type:
        return "protobuf"
    if all(line.startswith(b"#") for line in body.split(b"\n") if line.strip()):
        return "a text of comments alone"
    letters = "".join(start.decode("utf-8", "replace").split())
    if 8 * sum(not char.isprintable() or char == "\ufffd" for char in letters) > len(letters):
        return "binary data"
    return f"other text ({_quoted(start)})"


def _quoted(data: bytes) -> str:
    text = " ".join(data[: 4 * SHOWN].decode("utf-8", "replace").split())
    return f'"{text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"}"'
