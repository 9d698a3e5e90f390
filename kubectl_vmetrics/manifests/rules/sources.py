"""Where the series come from: label matchers that select what kubelets, kube-state-metrics and the proxy export."""

from __future__ import annotations

from typing import NamedTuple


class Sources(NamedTuple):
    """Matchers of each source; the defaults are the jobs of kube-prometheus, of upstream's charts and of /sd.

    They keep out two things: /metrics/resource of the kubelets, which repeats cAdvisor's families under the same names,
    and series that a tenant's own pods export under the names used here. A tenant cannot choose these jobs by the name
    of a Service, because vCluster gives it another one on the host.

    Attributes:
        cadvisor: containers, from the kubelets.
        kubelet: volumes, from the kubelets.
        state: kube-state-metrics.
        names: /metrics/names of the proxy.
        proxy: the proxy's own /metrics.
        dcgm: NVIDIA's exporter, by the name of its Service: of its own chart, or of the GPU operator.
        kubevirt: virt-handler, by the name of KubeVirt's Service.
    """

    cadvisor: str = 'job="kubelet",metrics_path="/metrics/cadvisor"'
    kubelet: str = 'job="kubelet"'
    state: str = 'job="kube-state-metrics"'
    names: str = 'job="vmetrics-names"'
    proxy: str = 'job="vmetrics-proxy"'
    dcgm: str = 'job=~"(nvidia-)?dcgm-exporter"'
    kubevirt: str = 'job="kubevirt-prometheus-metrics"'
