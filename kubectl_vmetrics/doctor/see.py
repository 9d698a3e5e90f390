"""Which check explains the error of a command."""

from __future__ import annotations

import re

from kubectl_vmetrics.kube.errors import Forbidden, MetricsNotAvailable, StatusError, Unavailable, VmetricsError

_BY_TEXT = (
    (MetricsNotAvailable, r"KubeVirt", "VM401"),
    (MetricsNotAvailable, r"Kamaji", "VM501"),
    (MetricsNotAvailable, r"not available yet", "VM106"),
    (MetricsNotAvailable, r"", "VM105"),
    (StatusError, r"Forbidden \(user=", "VM202"),
    (Forbidden, r"nodes/proxy|kubelet", "VM202"),
    (Forbidden, r"", "VM601"),
    (Unavailable, r"error trying to reach service", "VM202"),
    (Unavailable, r"", "VM105"),
)


def identifier(error: VmetricsError) -> str | None:
    """The ID of the check that explains such an error; None if there is none."""
    for kind, pattern, found in _BY_TEXT:
        if isinstance(error, kind) and re.search(pattern, error.message):
            return found
    return None
