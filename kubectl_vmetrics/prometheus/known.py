"""Services of Prometheus and what speaks its API, by the labels that their charts and operators set.

The labels are those of the charts of Prometheus, kube-prometheus-stack, Rancher, Thanos, Mimir and VictoriaMetrics; the
same table as in robusta-dev/krr (robusta_krr/core/integrations/prometheus), which was collected from reports of users.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

PROMETHEUS, THANOS, MIMIR, VICTORIA = "Prometheus", "Thanos", "Mimir", "VictoriaMetrics"
OPT_IN = "vmetrics.io/prometheus"
"""A Service with this label is asked as well; its value may be a port's name or number, and "false" leaves it out."""
OPERATED = "operated-prometheus"
"""The label of the Service that the Prometheus Operator creates in each namespace with a Prometheus object."""


class Known(NamedTuple):
    """How a kind of server is recognized and asked.

    Attributes:
        kind: PROMETHEUS, THANOS, MIMIR or VICTORIA.
        labels: those of its Service; all must match.
        prefix: of the paths of its API.
        headers: without which it does not answer.
    """

    kind: str
    labels: Mapping[str, str]
    prefix: str = ""
    headers: Mapping[str, str] = {}


_NAME, _COMPONENT = "app.kubernetes.io/name", "app.kubernetes.io/component"
_SELECT = "/select/0/prometheus"
_ANONYMOUS = {"X-Scope-OrgID": "anonymous"}

KNOWN = (
    Known(PROMETHEUS, {"app": "kube-prometheus-stack-prometheus"}),
    Known(PROMETHEUS, {"app": "prometheus", "component": "server"}),
    Known(PROMETHEUS, {"app": "prometheus-server"}),
    Known(PROMETHEUS, {"app": "prometheus-operator-prometheus"}),
    Known(PROMETHEUS, {"app": "rancher-monitoring-prometheus"}),
    Known(PROMETHEUS, {"app": "prometheus-prometheus"}),
    Known(PROMETHEUS, {"app": "stack-prometheus"}),
    Known(PROMETHEUS, {_NAME: "prometheus", _COMPONENT: "server"}),
    Known(PROMETHEUS, {_NAME: "prometheus", _COMPONENT: "prometheus"}),  # kube-prometheus, OpenShift
    Known(VICTORIA, {_NAME: "vmsingle"}),
    Known(VICTORIA, {_NAME: "victoria-metrics-single"}),
    Known(VICTORIA, {_NAME: "vmselect"}, _SELECT),
    Known(VICTORIA, {_COMPONENT: "vmselect"}, _SELECT),
    Known(VICTORIA, {"app": "vmselect"}, _SELECT),
    Known(THANOS, {_NAME: "thanos", _COMPONENT: "query"}),
    Known(THANOS, {_NAME: "thanos-query", _COMPONENT: "query-layer"}),  # kube-thanos, OpenShift
    Known(THANOS, {_NAME: "thanos-query"}),
    Known(THANOS, {"app": "thanos-query"}),
    Known(THANOS, {"app": "thanos-querier"}),
    Known(MIMIR, {_NAME: "mimir", _COMPONENT: "query-frontend"}, "/prometheus", _ANONYMOUS),
    Known(PROMETHEUS, {OPERATED: "true"}),
)
"""In order of preference: a server that scrapes is asked before one that asks others."""
CHOSEN = Known(PROMETHEUS, {})
"""A Service with the label OPT_IN, whatever runs behind it."""


def recognized(labels: Mapping[str, str]) -> Known | None:
    """The kind of server behind a Service with these labels; None for anything else."""
    chosen = labels.get(OPT_IN)
    if chosen == "false":
        return None
    for known in KNOWN:
        if known.labels.items() <= labels.items():
            return known
    return CHOSEN if chosen is not None else None
