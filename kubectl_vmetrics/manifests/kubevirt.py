"""What Prometheus needs to scrape KubeVirt: the objects that virt-operator makes where it can, under names of our own.

virt-operator keeps rewriting its own objects and removes labels that were added to them, so these are
separate (kubevirt/kubevirt pkg/virt-operator/resource/generate/components/prometheus.go, …/rbac/servicemonitor.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from kubectl_vmetrics.metrics.monitors import GROUP

from . import rbac
from .bundle import Bundle, Object
from .rbac import FOLLOW, rule

NAME = "vmetrics-kubevirt"
INTERVAL, TIMEOUT = "30s", "20s"
"""Since v1.6 a virt-handler asks each machine for its dirty rate before it answers: 10 s at worst."""


class Settings(NamedTuple):
    """What can be chosen.

    Attributes:
        namespace: KubeVirt's.
        monitor_namespace: of Prometheus' service account.
        monitor_account: that account.
        service_monitor_namespace: where the ServiceMonitor goes.
        selector: labels of the Service of all components.
        labels: more labels for the ServiceMonitor, by which Prometheus selects it.
    """

    namespace: str
    monitor_namespace: str
    monitor_account: str
    service_monitor_namespace: str
    selector: Mapping[str, str]
    labels: Mapping[str, str]


def bundle(settings: Settings, notes: list[str]) -> Bundle:
    """Role, RoleBinding and ServiceMonitor."""
    labels = {"app.kubernetes.io/name": NAME, "kubevirt.io": ""}
    role = rbac.role(
        NAME,
        [rule("", ["services", "endpoints", "pods"], FOLLOW), rule("discovery.k8s.io", ["endpointslices"], FOLLOW)],
        namespace=settings.namespace,
    )
    subject = rbac.service_account(settings.monitor_account, settings.monitor_namespace)
    binding = rbac.binding(NAME, subject, namespace=settings.namespace)
    for item in (role, binding):
        item["metadata"]["labels"] = labels
    return Bundle([role, binding, _monitor(settings)], notes)


def _monitor(settings: Settings) -> Object:
    endpoint = {
        "port": "metrics",
        "scheme": "https",
        "interval": INTERVAL,
        "scrapeTimeout": TIMEOUT,
        "honorLabels": True,  # a machine's namespace, not its handler's
        "tlsConfig": {"insecureSkipVerify": True},  # the certificate names a service, not a pod's address
    }
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "ServiceMonitor",
        "metadata": {
            "name": NAME,
            "namespace": settings.service_monitor_namespace,
            "labels": {
                "app.kubernetes.io/name": NAME,
                "k8s-app": "kubevirt",
                "openshift.io/cluster-monitoring": "",
                **settings.labels,
            },
        },
        "spec": {
            "selector": {"matchLabels": dict(settings.selector)},
            "namespaceSelector": {"matchNames": [settings.namespace]},
            "endpoints": [endpoint],
        },
    }
