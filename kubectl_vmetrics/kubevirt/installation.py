"""Where KubeVirt is installed, and its monitoring settings."""

from __future__ import annotations

import msgspec

from kubectl_vmetrics.kube.client import PARTIAL_LIST, Client
from kubectl_vmetrics.kube.core import Named
from kubectl_vmetrics.kube.errors import Forbidden, MetricsNotAvailable, NotFound, StatusError
from kubectl_vmetrics.kube.lists import ObjectList, decoder, list_all, pods_path

VERSIONS = ("v1", "v1alpha3")
"""API versions of kubevirt.io, the newest first; v1alpha3 alone up to v0.35."""
NAMESPACES = (
    "kubevirt",
    "openshift-cnv",
    "kubevirt-hyperconverged",
    "harvester-system",
    "cozy-kubevirt",
    "kube-system",
)
"""Where to look for it if the user can list neither KubeVirts nor all pods."""
METRICS_LABEL = "prometheus.kubevirt.io"
"""On everything that serves metrics: "" up to v0.46, "true" since; only the key counts."""


class _Spec(msgspec.Struct):
    monitor_namespace: str = msgspec.field(default="", name="monitorNamespace")
    monitor_account: str = msgspec.field(default="", name="monitorAccount")
    service_monitor_namespace: str = msgspec.field(default="", name="serviceMonitorNamespace")


class _Status(msgspec.Struct):
    phase: str = ""
    version: str = msgspec.field(default="", name="observedKubeVirtVersion")


class _Meta(msgspec.Struct):
    name: str
    namespace: str = ""


class _KubeVirt(msgspec.Struct):
    metadata: _Meta
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


class Installation(msgspec.Struct, frozen=True):
    """A KubeVirt on the cluster; if its object cannot be listed, only the namespace is known.

    Attributes:
        monitor_namespace: where Prometheus' service account is; "" for openshift-monitoring or monitoring.
        monitor_account: that account; "" for prometheus-k8s.
        service_monitor_namespace: where the ServiceMonitor goes; "" for monitor_namespace.
    """

    namespace: str
    name: str = ""
    version: str = ""
    phase: str = ""
    monitor_namespace: str = ""
    monitor_account: str = ""
    service_monitor_namespace: str = ""


class Unseen(MetricsNotAvailable):
    """The user's rights do not suffice to find out whether KubeVirt is installed."""


def find(client: Client) -> Installation:
    """Find KubeVirt: by its object, by its pods, or in the namespaces where it usually is.

    Raises:
        Unseen: none was found, and the user cannot list KubeVirts.
        MetricsNotAvailable: there is none.
        StatusError, ConnectionFailed, BadAnswer: as Client.get.
    """
    hidden = False
    for version in VERSIONS:
        try:
            found: list[_KubeVirt] = list_all(
                client, f"/apis/kubevirt.io/{version}/kubevirts", decoder(ObjectList[_KubeVirt])
            )
        except NotFound:
            continue
        except Forbidden:
            hidden = True
            break
        if not found:
            break
        item = found[0]
        spec = item.spec
        return Installation(
            item.metadata.namespace,
            item.metadata.name,
            item.status.version,
            item.status.phase,
            spec.monitor_namespace,
            spec.monitor_account,
            spec.service_monitor_namespace,
        )
    namespace = _by_pods(client) if hidden else None
    if namespace is None:
        raise (Unseen if hidden else MetricsNotAvailable)(
            "KubeVirt was not found: no KubeVirt object"
            + (
                " can be listed, and none of the namespaces where it is usually installed has its pods"
                if hidden
                else " in this cluster"
            ),
            hint="required rights: list kubevirts.kubevirt.io; list pods and get pods/proxy in its namespace",
        )
    return Installation(namespace)


def _by_pods(client: Client) -> str | None:
    for namespace in (None, *NAMESPACES):
        try:
            found: list[Named] = list_all(
                client,
                pods_path(namespace),
                decoder(ObjectList[Named]),
                {"labelSelector": METRICS_LABEL},
                accept=PARTIAL_LIST,
            )
        except StatusError:
            continue
        if found:
            return found[0].metadata.namespace
    return None
