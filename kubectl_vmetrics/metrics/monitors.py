"""ServiceMonitors and Prometheus objects of the Prometheus Operator, and which Prometheus selects which ServiceMonitor.

A missing selector selects nothing, and an empty one everything; a missing namespace selector selects the object's own
namespace (prometheus-operator/prometheus-operator Documentation/api-reference/api.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from kubectl_vmetrics.kube import rbac
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.core import ObjectMeta
from kubectl_vmetrics.kube.lists import ObjectList, decoder, list_all
from kubectl_vmetrics.kube.rbac import Account, Rule
from kubectl_vmetrics.kube.selector import ObjectSelector

GROUP = "monitoring.coreos.com"
PATH = f"/apis/{GROUP}/v1"


class TlsConfig(msgspec.Struct):
    """TLS settings of an endpoint."""

    insecure: bool = msgspec.field(default=False, name="insecureSkipVerify")
    server_name: str = msgspec.field(default="", name="serverName")
    ca: dict[str, dict[str, str | bool]] = {}
    cert: dict[str, dict[str, str | bool]] = {}
    key_secret: dict[str, str | bool] = msgspec.field(default={}, name="keySecret")


class Relabeling(msgspec.Struct):
    """A relabeling rule."""

    action: str = "replace"
    regex: str = ""
    target: str = msgspec.field(default="", name="targetLabel")
    replacement: str = ""
    sources: list[str] = msgspec.field(default=[], name="sourceLabels")


class Endpoint(msgspec.Struct):
    """A port to scrape."""

    port: str = ""
    path: str = "/metrics"
    scheme: str = "http"
    honor_labels: bool = msgspec.field(default=False, name="honorLabels")
    tls: TlsConfig = msgspec.field(default_factory=TlsConfig, name="tlsConfig")
    relabelings: list[Relabeling] = []
    metric_relabelings: list[Relabeling] = msgspec.field(default=[], name="metricRelabelings")


class _Namespaces(msgspec.Struct):
    any: bool = False
    names: list[str] = msgspec.field(default=[], name="matchNames")


class _MonitorSpec(msgspec.Struct):
    selector: ObjectSelector = msgspec.field(default_factory=ObjectSelector)
    namespaces: _Namespaces = msgspec.field(default_factory=_Namespaces, name="namespaceSelector")
    endpoints: list[Endpoint] = []


class ServiceMonitor(msgspec.Struct):
    """A ServiceMonitor."""

    metadata: ObjectMeta
    spec: _MonitorSpec = msgspec.field(default_factory=_MonitorSpec)

    @property
    def path(self) -> str:
        """namespace/name."""
        return f"{self.metadata.namespace}/{self.metadata.name}"

    def reaches(self, namespace: str) -> bool:
        """Whether it selects Services in a namespace."""
        chosen = self.spec.namespaces
        return chosen.any or namespace in (chosen.names or [self.metadata.namespace])

    def selects(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether it selects a Service."""
        return self.reaches(namespace) and not self.spec.selector.unmet(labels)


class _PrometheusSpec(msgspec.Struct):
    monitors: ObjectSelector | None = msgspec.field(default=None, name="serviceMonitorSelector")
    namespaces: ObjectSelector | None = msgspec.field(default=None, name="serviceMonitorNamespaceSelector")
    account: str = msgspec.field(default="default", name="serviceAccountName")
    role: str = msgspec.field(default="Endpoints", name="serviceDiscoveryRole")


class Prometheus(msgspec.Struct):
    """A Prometheus object."""

    metadata: ObjectMeta
    spec: _PrometheusSpec = msgspec.field(default_factory=_PrometheusSpec)

    @property
    def path(self) -> str:
        """namespace/name."""
        return f"{self.metadata.namespace}/{self.metadata.name}"

    @property
    def runs_as(self) -> Account:
        """Its service account."""
        return Account(self.metadata.namespace, self.spec.account or "default")

    def lacks(self, rules: Sequence[Rule]) -> list[str]:
        """The resources it needs to get, list and watch to discover targets in a namespace, but is not allowed to."""
        verbs = ("get", "list", "watch")
        if self.spec.role == "EndpointSlice":
            return [
                *rbac.missing(rules, "", ("services", "pods"), verbs),
                *rbac.missing(rules, "discovery.k8s.io", ("endpointslices",), verbs),
            ]
        return rbac.missing(rules, "", ("services", "endpoints", "pods"), verbs)

    def refuses(self, monitor: ServiceMonitor, namespace_labels: Callable[[str], Mapping[str, str]]) -> str:
        """Why it does not select a ServiceMonitor; "" if it does.

        Args:
            monitor: the ServiceMonitor.
            namespace_labels: the labels of a namespace, by its name.
        """
        namespace = monitor.metadata.namespace
        chosen = self.spec.namespaces
        if self.spec.monitors is None:
            return "it selects no ServiceMonitors (serviceMonitorSelector is not set)"
        if unmet := self.spec.monitors.unmet(monitor.metadata.labels):
            return f"it only selects ServiceMonitors with the label {', '.join(unmet)}"
        if chosen is None and namespace != self.metadata.namespace:
            return f"it only selects ServiceMonitors in its own namespace, {self.metadata.namespace}"
        if chosen is not None and (unmet := chosen.unmet(namespace_labels(namespace))):
            return f"it only selects ServiceMonitors in namespaces with the label {', '.join(unmet)}"
        return ""


def service_monitors(client: Client) -> list[ServiceMonitor]:
    """All of them. Raises as Client.get; NotFound where the Prometheus Operator is not installed."""
    return list_all(client, f"{PATH}/servicemonitors", decoder(ObjectList[ServiceMonitor]))


def prometheuses(client: Client) -> list[Prometheus]:
    """All of them. Raises as `service_monitors`."""
    return list_all(client, f"{PATH}/prometheuses", decoder(ObjectList[Prometheus]))


def labels_for(found: Sequence[Prometheus], account: Account) -> dict[str, str]:
    """The labels that the first Prometheus of an account selects ServiceMonitors by, without match expressions."""
    selector = next((item.spec.monitors for item in found if item.runs_as == account), None)
    return dict(selector.labels) if selector else {}
