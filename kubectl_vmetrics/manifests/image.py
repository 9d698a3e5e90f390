"""The container image of a release of this plugin, as the release workflow pushes it."""

from __future__ import annotations

import re

import kubectl_vmetrics

REPOSITORY = "ghcr.io/kubectl-vmetrics/kubectl-vmetrics"
_RELEASE = re.compile(r"\d+\.\d+\.\d+")


def of_release(version: str = kubectl_vmetrics.__version__) -> str | None:
    """The image of a version; None for one that is not a release (`1.2.0.dev3`, `1.2.0rc1`), which has none.

    >>> of_release("1.2.0"), of_release("1.2.0.dev3")
    ('ghcr.io/kubectl-vmetrics/kubectl-vmetrics:1.2.0', None)
    """
    return f"{REPOSITORY}:{version}" if _RELEASE.fullmatch(version) else None
