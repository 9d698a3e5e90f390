"""The host names of objects synced by vCluster: pure functions, no I/O.

Upstream: loft-sh/vcluster pkg/util/translate (translate.go, single_namespace.go), unchanged since v0.3 but where said.
"""

from __future__ import annotations

import re
from functools import cache

LIMIT = 63
"""The longest host name, pods included, although Kubernetes would allow them 253."""

MANAGED_BY = "vcluster.loft.sh/managed-by"
NAMESPACE = "vcluster.loft.sh/namespace"
CONTROLLED_BY = "vcluster.loft.sh/controlled-by"

TRANSLATED_KEYS = ("release", NAMESPACE, MANAGED_BY, CONTROLLED_BY)
"""Labels of a virtual pod that the host pod carries under another key; since v0.21 these, before it all of them."""

_HASHED = re.compile(r"-[0-9a-f]{10}$")


def safe_concat(*parts: str) -> str:
    """Join parts with "-"; beyond 63 characters, truncated and with a hash of the whole (translate.go)."""
    joined = "-".join(parts)
    if len(joined.encode()) <= LIMIT:
        return joined
    return f"{joined[:52]}-{_sha256(joined)[:10]}".replace(".-", "-")


def host_name(name: str, namespace: str, vcluster: str) -> str:
    """The host's name for a namespaced object in single-namespace mode.

    >>> host_name("test-pod", "default", "suffix")
    'test-pod-x-default-x-suffix'
    """
    return safe_concat(name, "x", namespace, "x", vcluster)


def virtual_name(host: str, namespace: str, vcluster: str) -> str | None:
    """The virtual name for a host name of a known owner; None if the host name was hashed or not translated.

    Namespace and virtual cluster must be known: `a-x-b` in `c` and `a` in `b-x-c` have the same host name.

    >>> virtual_name("a-x-b-x-c-x-vc", "c", "vc"), virtual_name("a-x-b-x-c-x-vc", "b-x-c", "vc")
    ('a-x-b', 'a')
    """
    name = host.removesuffix(f"-x-{namespace}-x-{vcluster}")
    return name if name and name != host else None


def may_be_hashed(host: str) -> bool:
    """Whether a host name has the form of a hashed one."""
    return _HASHED.search(host) is not None


def cluster_marker(host_namespace: str, vcluster: str) -> str:
    """The value of managed-by on objects without a namespace, Namespaces included."""
    return safe_concat(host_namespace, "x", vcluster)


@cache
def label_key(vcluster: str, key: str) -> str:
    """The host's key for a virtual pod's label of TRANSLATED_KEYS (of any key before v0.21)."""
    return safe_concat("vcluster.loft.sh/label", vcluster, "x", _digest(key))


@cache
def namespace_label_key(vcluster: str, key: str) -> str:
    """The host pod's key for a label of the pod's virtual namespace."""
    return safe_concat("vcluster.loft.sh/ns-label", vcluster, "x", _digest(key))


def _digest(key: str) -> str:
    return _sha256(key)[:10]


def _sha256(text: str) -> str:
    import hashlib  # most names are not hashed

    return hashlib.sha256(text.encode()).hexdigest()
