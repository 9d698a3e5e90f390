"""Where the series come from: label matchers that select what kubelets, kube-state-metrics and the proxy export."""

from __future__ import annotations

from typing import NamedTuple


class Sources(NamedTuple):
    """Matchers of each source; the defaults are the jobs of kube-prometheus and of the proxy's /sd.

    They keep out two things: /metrics/resource of the kubelets, which repeats cAdvisor's families under the same names,
    and series that a tenant's own pods export under the names used here.

    Attributes:
        cadvisor: containers, from the kubelets.
        kubelet: volumes, from the kubelets.
        state: kube-state-metrics.
        names: /metrics/names of the proxy.
        proxy: the proxy's own /metrics.
    """

    cadvisor: str = 'job="kubelet",metrics_path="/metrics/cadvisor"'
    kubelet: str = 'job="kubelet"'
    state: str = 'job="kube-state-metrics"'
    names: str = 'job="vmetrics-names"'
    proxy: str = 'job="vmetrics-proxy"'
