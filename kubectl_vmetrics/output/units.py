"""Numbers as `kubectl top` prints them (k8s.io/kubectl/pkg/metricsutil/metrics_printer.go)."""

from __future__ import annotations

UNKNOWN = "<unknown>"
NONE = "<none>"


def millicores(nanocores: int) -> str:
    """CPU, rounded up: one nanocore is "1m"."""
    return f"{-(-nanocores // 1_000_000)}m"


def mebibytes(count: int) -> str:
    """Memory, rounded down to whole MiB."""
    return f"{count >> 20}Mi"


def cpu_percent(nanocores: int, whole: int) -> str:
    """A share of CPU in whole percent, both rounded up to millicores first; 0% of nothing."""
    return percent(-(-nanocores // 1_000_000), -(-whole // 1_000_000))


def percent(part: int, whole: int) -> str:
    """A share in whole percent, cut off, in floating point as upstream does it; may exceed 100%."""
    return f"{int(part / whole * 100)}%" if whole else "0%"


def share(part: int, whole: int | None) -> str:
    """A share of a request or limit in whole percent; "-" where there is none."""
    return percent(part, whole) if whole else "-"
