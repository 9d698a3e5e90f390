"""Which annotations of pods kube-state-metrics exports, by its command line.

`--metric-annotations-allowlist` is RESOURCE=[KEY,KEY…],…, where RESOURCE may be `*`. A key may be `*` alone, and since
v2.20 a pattern with `*` in it (kubernetes/kube-state-metrics docs/developer/cli-arguments.md).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import NamedTuple

TOKENS = "vcluster.loft.sh/token-"
"""The beginning of the annotations in which vCluster keeps the service account tokens of a tenant's pod
(loft-sh/vcluster pkg/controllers/resources/pods/translate, ServiceAccountTokenAnnotation)."""
ANNOTATIONS, LABELS = "--metric-annotations-allowlist", "--metric-labels-allowlist"
_CONFIG = "--config"
_RESOURCE = re.compile(r"([^\s=,\[\]]{1,253})=\[([^\[\]]*)\]")
_LONGEST = 1 << 16


class Exported(NamedTuple):
    """What a command line says.

    Attributes:
        annotations: the keys and patterns of pods' annotations.
        labels: the same of pods' labels.
        elsewhere: whether the flags are, or may be, in a file or in environment variables.
    """

    annotations: tuple[str, ...]
    labels: tuple[str, ...]
    elsewhere: bool

    @property
    def leaks(self) -> bool:
        """Whether tokens are among the annotations."""
        return any(matches(key) for key in self.annotations)


def matches(pattern: str) -> bool:
    """Whether a key or pattern of an allowlist matches annotations that hold tokens.

    >>> [matches(key) for key in ("*", "vcluster.loft.sh/*", "vcluster.loft.sh/to*", "vcluster.loft.sh/token-a1b2")]
    [True, True, True, True]
    >>> [matches(key) for key in ("vcluster.loft.sh/object-name", "vcluster.loft.sh/object-*", "prometheus.io/*", "")]
    [False, False, False, False]
    """
    literal, star, _ = pattern.partition("*")
    return literal.startswith(TOKENS) or bool(star and TOKENS.startswith(literal))


def exported(words: Sequence[str]) -> Exported:
    """What the command line of kube-state-metrics says, whichever way it is written.

    >>> exported(["--metric-annotations-allowlist", "pods=[*]"]).leaks
    True
    """
    found: dict[str, list[str]] = {ANNOTATIONS: [], LABELS: []}
    elsewhere = False
    for flag, value in _flags(list(_split(words))):
        if flag == _CONFIG or "$(" in flag or "$(" in value or "${" in value:
            elsewhere = True
        elif flag in found:
            for resource, keys in _RESOURCE.findall(value):
                if resource in ("pods", "*"):
                    found[flag] += [key.strip().strip("\"'") for key in keys.split(",") if key.strip()]
    return Exported(tuple(found[ANNOTATIONS]), tuple(found[LABELS]), elsewhere)


def _split(words: Sequence[str]) -> Iterator[str]:
    """The words, those of a script of a shell one by one."""
    for word in words:
        text = word[:_LONGEST]
        if f" {ANNOTATIONS}" in " ".join(text.split()):
            try:
                yield from shlex.split(text, comments=True)
            except ValueError:
                yield from text.split()
        else:
            yield text


def _flags(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Flags and their values: `--flag=value`, and `--flag value`."""
    for index, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if equals or not flag.startswith("--"):
            yield flag, value.strip("\"'")
        else:
            following = words[index + 1] if index + 1 < len(words) else ""
            yield flag, "" if following.startswith("--") else following.strip("\"'")
