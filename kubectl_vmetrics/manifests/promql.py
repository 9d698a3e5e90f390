"""Queries of dashboards, put together: each keeps to the chosen clusters, and no gauge is put into rate()."""

from __future__ import annotations

from .grafana import RATE

IN = 'cluster=~"$cluster"'
"""The chosen clusters."""


def sum_(by: str, family: str, labels: str) -> str:
    """Rates of counters, summed."""
    return f"sum by ({by}) (rate({family}{{{labels}}}[{RATE}]))"


def quantile(q: float, by: str, family: str, labels: str) -> str:
    """A quantile of a histogram; `family` is that of its buckets."""
    return f"histogram_quantile({q}, {sum_(f'{by}, le', family, labels)})"


def share(by: str, family: str, labels: str, failing: str) -> str:
    """The share of those that more labels select."""
    # Without `or`, a cluster in which nothing fails would not be there at all.
    bad, whole = sum_(by, family, f"{labels},{failing}"), sum_(by, family, labels)
    return f"({bad} or 0 * {whole}) / {whole}"
