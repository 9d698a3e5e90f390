"""Labels of a host pod as they are inside its virtual cluster.

Since v0.21 virtual labels reach the host unchanged but for four keys; before, every key was hashed
(loft-sh/vcluster pkg/util/translate/single_namespace.go, LabelsToTranslate).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import naming
from .identity import VClusterRef

_OWN = ("vcluster.loft.sh/label-", "vcluster.loft.sh/ns-label-")


def inside(labels: Mapping[str, str], vcluster: VClusterRef) -> dict[str, str]:
    """The labels that a pod has inside a virtual cluster, except those whose keys were hashed."""
    if vcluster.parent:
        labels = inside(labels, vcluster.parent)
    restored = {naming.label_key(vcluster.name, key): key for key in naming.TRANSLATED_KEYS}
    found = {}
    for key, value in labels.items():
        if key in restored:
            found[restored[key]] = value
        elif key not in naming.TRANSLATED_KEYS and not key.startswith(_OWN):
            found[key] = value
    return found


def lookup(labels: Mapping[str, str], vcluster: VClusterRef) -> Callable[[str], str | None]:
    """A function from a virtual label's key to its value, or None; finds hashed keys too."""
    if vcluster.parent:
        labels = inside(labels, vcluster.parent)

    def value(key: str) -> str | None:
        hashed = labels.get(naming.label_key(vcluster.name, key))
        if hashed is not None or key in naming.TRANSLATED_KEYS or key.startswith(_OWN):
            return hashed
        return labels.get(key)

    return value
