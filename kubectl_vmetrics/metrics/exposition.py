"""Prometheus text, rewritten as bytes and by line: only labels that must change are touched. Pure: no I/O, no clock.

Formats: text 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/) and OpenMetrics 1.0
(https://prometheus.io/docs/specs/om/open_metrics_spec/). A kubelet writes the same label block for dozens of metrics
of one container: what becomes of a block is decided once and remembered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

Decide = Callable[[Mapping[str, str]], Mapping[str, str] | None]
"""From a sample's labels to those that change or are added ({} for none); None drops the sample."""

CACHE = 50_000
"""Label blocks that are remembered at most; a full node has some ten thousand."""
CACHE_BYTES = 32 << 20
"""Bytes of label blocks that are remembered at most: of ten thousand, 5 MiB."""
LONGEST_NAME = 256
"""Bytes of a label's name that is remembered."""
COMMENTS = 8
"""Comments that wait for a sample: HELP, TYPE and UNIT of its family, and free comments."""

_FEW = 32

_STRING = rb'"(?:[^"\\]|\\.)*"'
_BLOCK = re.compile(rb"\{(?:[^\"{}]|" + _STRING + rb")*\}")
_LABEL = re.compile(rb"\s*(?:([a-zA-Z_][a-zA-Z0-9_]*|" + _STRING + rb")\s*(=)\s*)?(" + _STRING + rb")\s*(,|$)")
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_SAME = b"="  # stands in the cache for a block that stays as it is
UNSEEN = b"?"
"""What a Glance gives for a block that it cannot decide."""

Glance = Callable[[bytes], bytes | None]
"""From a label block without backslashes to what it becomes, None to drop it, or UNSEEN: then it is taken apart."""

# What may stand before and behind a label block. A value's digits are told from anything else by what is left of them.
_NAME = re.compile(rb"[a-zA-Z_:][a-zA-Z0-9_:]*")
_QUOTED_NAME = re.compile(rb"[a-zA-Z_:][a-zA-Z0-9_:.]*")
_NAMED = re.compile(rb"\{\s*" + _STRING + rb"\s*[,}]")
_DIGITS = b" 0123456789.e+-"
_NUMBER = rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+|Inf|NaN)"
_VALUE = re.compile(rb"[ \t]+" + _NUMBER + rb"(?:[ \t]+" + _NUMBER + rb")?(?=[ \t]*\r?$|[ \t]+# \{)")
_SAID = (b"HELP", b"TYPE", b"UNIT")

_SPECIAL = re.compile(r'["\\\n]')
_BEFORE_VALUE = re.compile(r"([{,])\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*")
_MEANT = {b"n": b"\n", b"\\": b"\\", b'"': b'"'}


def unescape(value: bytes) -> str:
    r"""The text of a label value between its quotes: \\, \" and \n are escapes, any other backslash is itself."""
    if b"\\" in value:
        value = _ESCAPE.sub(lambda found: _MEANT.get(found[1], found[0]), value)
    return value.decode("utf-8", "surrogateescape")


def escape(text: str) -> bytes:
    """A label value as it stands between quotes."""
    data = text.encode("utf-8", "surrogateescape")
    return data.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")


def parse_block(block: bytes) -> list[tuple[bytes, bytes]]:
    """The labels of a block, from brace to brace, as written: (name, escaped value).

    A quoted metric name inside the braces, as Prometheus 3 writes names of any characters, has the name b"".

    Raises:
        ValueError: this is no label block.
    """
    inner = block[1:-1].strip()
    labels: list[tuple[bytes, bytes]] = []
    at = 0
    while at < len(inner):
        found = _LABEL.match(inner, at)
        if found is None or (found[2] is None and labels):
            raise ValueError(f"not a label block: {block[:80]!r}")
        labels.append((found[1] or b"", found[3][1:-1]))
        at = found.end()
    return labels


class Rewriter:
    """Rewrites one exposition after another, chunk by chunk.

    Args:
        decide: what becomes of a sample with labels.
        glance: decides most label blocks as they stand, the same as `decide` would; for speed alone.
        bare: whether samples without any label are kept.
        strict: whether a line that cannot be read is dropped rather than passed on: its owner is unknown. Then
            exemplars and comments of any other kind than HELP, TYPE and UNIT are left out, too.
        without: families to drop; takes effect with `strict`.

    Attributes:
        kept, dropped, malformed: lines so far, comments apart.
    """

    def __init__(
        self,
        decide: Decide,
        *,
        glance: Glance | None = None,
        bare: bool = True,
        strict: bool = True,
        without: frozenset[bytes] = frozenset(),
    ) -> None:
        self._decide = decide
        self._without = without
        self._glance = glance
        self._bare = bare
        self._strict = strict
        self._cache: dict[bytes, bytes | None] = {}
        self._cached = 0
        self._names: dict[str, str] = {}
        self._outdated: set[bytes] = set()
        self._families: set[bytes] = set()
        self.kept = self.dropped = self.malformed = 0

    def forget(self, word: str) -> None:
        """Decide again about label blocks that contain a word, from the next line on."""
        self._outdated.add(word.encode())

    def _forget(self) -> None:
        words, self._outdated = self._outdated, set()
        if len(words) > _FEW:
            self._cache, self._cached = {}, 0
            return
        for block in [block for block in list(self._cache) if any(word in block for word in words)]:
            self._cache.pop(block, None)

    def rewrite(self, chunks: Iterable[bytes | bytearray]) -> Iterator[bytes]:
        """The exposition, rewritten; a family of which no sample is left loses its HELP and TYPE as well."""
        rest = b""
        comments: list[bytes] = []
        for chunk in chunks:
            data = rest + bytes(chunk)
            whole, newline, rest = data.rpartition(b"\n")
            if newline:
                yield self._lines(whole, comments)
        if rest:
            yield self._lines(rest, comments)

    def _lines(self, data: bytes, comments: list[bytes]) -> bytes:
        out: list[bytes] = []
        if self._outdated:
            self._forget()
        cache, families, strict = self._cache, self._families, self._strict
        emit = out.append
        kept = dropped = 0
        for line in data.split(b"\n"):
            if line[:1] == b"#":
                if line.rstrip() == b"# EOF":
                    emit(line)
                else:
                    _comment(line, comments, strict)
                continue
            brace = line.find(b"{")
            end = line.find(b'"} ', brace) + 1
            if brace > 0 and end > 0 and line[brace - 1] != 32:
                block = line[brace : end + 1]
                new = cache.get(block, UNSEEN)
                if new is UNSEEN:
                    new = self._quickly(block)
                if new is UNSEEN:
                    line_ = self._slowly(line)
                elif new is None:
                    line_ = None
                else:
                    family, rest = line[:brace], line[end + 1 :]
                    line_ = line if new is _SAME else family + new + rest
                    if strict and (family not in families or rest.translate(None, _DIGITS)):
                        line_ = self._checked(family, block if new is _SAME else new, rest)
            elif line:
                line_ = self._slowly(line)
            else:
                continue
            if line_ is None:
                dropped += 1
                continue
            if comments:
                out += comments
                comments.clear()
            emit(line_)
            kept += 1
        self.kept += kept
        self.dropped += dropped
        if not out:
            return b""
        emit(b"")
        return b"\n".join(out)

    def _remember(self, block: bytes, new: bytes | None) -> bytes | None:
        if len(self._cache) >= CACHE or self._cached > CACHE_BYTES:
            self._cache.clear()
            self._cached = 0
        self._cached += len(block) + len(new or b"")
        self._cache[block] = new
        return new

    def _quickly(self, block: bytes) -> bytes | None:
        """What becomes of a block without backslashes, in which every quote begins or ends a value; else UNSEEN."""
        if b"\\" in block:
            return UNSEEN
        if self._glance is not None:
            new = self._glance(block)
            if new is None:
                return None  # not remembered: in the view of one tenant of many, most blocks are others'
            if new is not UNSEEN:
                return self._remember(block, new)
        parts = block.decode("utf-8", "surrogateescape").split('"')
        # An even number of parts is an odd number of quotes: what looked like the end is inside a value.
        if not len(parts) & 1 or parts[-1] != "}":
            return UNSEEN
        names = self._names
        try:
            labels = {names[part]: value for part, value in zip(parts[::2], parts[1::2], strict=False)}
        except KeyError:
            found = self._learn(parts[:-1:2])
            if found is None:
                return UNSEEN
            labels = dict(zip(found, parts[1::2], strict=True))
        changes = self._decide(labels)
        if changes is None:
            return self._remember(block, None)
        if 2 * len(labels) + 1 != len(parts):
            return UNSEEN  # a duplicate label
        if not changes:
            return self._remember(block, _SAME)
        if _SPECIAL.search("".join(changes.values())):
            return UNSEEN  # a value to escape
        for index, name in enumerate(labels):
            if name in changes:
                parts[2 * index + 1] = changes[name]
        if len(changes.keys() - labels.keys()):
            parts[-1] = "".join([f',{name}="{value}"' for name, value in changes.items() if name not in labels]) + "}"
        return self._remember(block, '"'.join(parts).encode("utf-8", "surrogateescape"))

    def _learn(self, parts: list[str]) -> list[str] | None:
        """The label names of these parts, `,pod=` for one, remembered from now on; None if they are none."""
        if len(self._names) > 10_000:
            self._names = {}
        found = []
        for index, part in enumerate(parts):
            name = _BEFORE_VALUE.fullmatch(part) if len(part) <= LONGEST_NAME else None
            if name is None or (name[1] == "{") != (index == 0):
                return None
            self._names[part] = name[2]
            found.append(name[2])
        return found

    def _slowly(self, line: bytes) -> bytes | None:
        """Any line: blanks before the block, no block, exemplars, quotes and braces in values."""
        name = re.match(rb"\s*[^\s{]*", line)
        at = name.end() if name else 0
        start = at + len(line[at:]) - len(line[at:].lstrip())
        if line[start : start + 1] != b"{":
            if not self._bare:
                return None
            return self._checked(line[:at], b"", line[at:]) if self._strict else line
        found = _BLOCK.match(line, start)
        if found is None:
            return self._unreadable(line)
        new = self._cache.get(found[0], UNSEEN)
        if new is UNSEEN:
            try:
                new = self._remember(found[0], self._decided(found[0]))
            except ValueError:
                return self._unreadable(line)
        if new is None:
            return None
        if self._strict:
            return self._checked(line[:start], found[0] if new is _SAME else new, line[found.end() :])
        return line if new is _SAME else line[:start] + new + line[found.end() :]

    def _checked(self, family: bytes, block: bytes, rest: bytes) -> bytes | None:
        """A line of a name, a block and a value, and nothing but these: an exemplar has labels of its own."""
        value = _VALUE.match(rest)
        if value is None or not (_NAME.fullmatch(family.strip()) or (not family and _NAMED.match(block))):
            return self._unreadable(family + block + rest)
        if self._without and self._name(family, block) in self._without:
            return None
        if len(self._families) < CACHE:
            self._families.add(family)
        return family + block + value[0]

    @staticmethod
    def _name(family: bytes, block: bytes) -> bytes:
        """The name of a family, also where it stands inside the braces."""
        named = None if family else re.match(rb'\{\s*"([^"]*)"', block)
        return named[1] if named else family.strip()

    def _unreadable(self, line: bytes) -> bytes | None:
        self.malformed += 1
        return None if self._strict else line

    def _decided(self, block: bytes) -> bytes | None:
        labels = parse_block(block)
        named = {_plain(name): unescape(value) for name, value in labels if name}
        if self._strict and (
            sum(bool(name) for name, _ in labels) != len(named)
            or any(not name and not _QUOTED_NAME.fullmatch(value) for name, value in labels)
        ):
            raise ValueError(f"a duplicate label or an unusual name: {block[:80]!r}")
        if not named:
            return _SAME if self._bare else None
        changes = self._decide(named)
        if changes is None:
            return None
        if not changes:
            return _SAME
        parts = []
        for name, value in labels:
            changed = changes.get(_plain(name)) if name else None
            text = b'"' + (value if changed is None else escape(changed)) + b'"'
            parts.append(name + b"=" + text if name else text)
        parts += [key.encode() + b'="' + escape(value) + b'"' for key, value in changes.items() if key not in named]
        return b"{" + b",".join(parts) + b"}"


def _plain(name: bytes) -> str:
    """A label's name, which may stand in quotes."""
    return name.strip(b'"').decode("utf-8", "surrogateescape")


def _comment(line: bytes, comments: list[bytes], strict: bool) -> None:
    """Comments wait for the first sample that follows; those of another family take the place of these."""
    words = line.split(None, 3)
    if strict and (len(words) < 3 or words[0] != b"#" or words[1] not in _SAID or not _NAME.fullmatch(words[2])):
        return
    if len(words) > 2 and comments:
        before = comments[-1].split(None, 3)
        if len(before) > 2 and before[2] != words[2]:
            comments.clear()
    if len(comments) < COMMENTS:
        comments.append(line)
