"""Names of objects within the limits of Kubernetes (k8s.io/apimachinery pkg/util/validation). Pure."""

from __future__ import annotations

import hashlib
import re

LABEL = 63
"""The longest name of a Service or a namespace, and the longest value of a label."""
SUBDOMAIN = 253
"""The longest name of most other objects."""

_SEGMENT = re.compile(r"[^A-Za-z0-9@:._=+-]")
_DIGEST = 10


def fitted(name: str, limit: int = LABEL) -> str:
    """A name, or where it is too long its beginning and a hash of the whole.

    >>> fitted("acme-vmetrics"), fitted("a" * 70, 20)
    ('acme-vmetrics', 'aaaaaaaaa-6bd5e50348')
    """
    return name if len(name) <= limit else f"{name[: limit - _DIGEST - 1].rstrip('-.:')}-{digest(name)}"


def joined(prefix: str, *parts: str, limit: int = LABEL) -> str:
    """A name made of several, which no other parts share: "a-b", "c" and "a", "b-c" differ by their hash.

    >>> joined("proxy", "team-a", "shop"), joined("proxy", "team", "a-shop")
    ('proxy-team-a-shop-6b3e3555a7', 'proxy-team-a-shop-4e4d724b4a')
    """
    whole = "-".join([prefix, *parts])
    return f"{whole[: limit - _DIGEST - 1].rstrip('-.')}-{digest('/'.join(parts))}"


def segment(name: str) -> str:
    """A name for a role or binding, which may hold almost anything; a hash tells those apart that had to be changed.

    >>> segment("vmetrics:user:alice@example.com"), segment("vmetrics:user:https://issuer")
    ('vmetrics:user:alice@example.com', 'vmetrics:user:https:--issuer-e7d430e63b')
    """
    changed = _SEGMENT.sub("-", name)
    return fitted(name if changed == name else f"{changed[: SUBDOMAIN - _DIGEST - 1]}-{digest(name)}", SUBDOMAIN)


def digest(text: str) -> str:
    """What tells names apart whose beginnings are the same."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
