"""The embedded cluster's metrics-server, by its objects: APIService, Service, pod, log, and the aggregation layer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from kubectl_vmetrics.kube.discovery import ApiResource

from .exchange import Key, Reply, Request, Resource
from .objects import Object

if TYPE_CHECKING:
    from .apiserver import Apiserver

NAMESPACE, NAME = "kube-system", "metrics-server"
POD = "metrics-server-7b9c7d8f5c-2xk4q"
LABELS = {"k8s-app": NAME}
IMAGE = "registry.k8s.io/metrics-server/metrics-server:v0.9.0"
_LOG = re.compile(rf"/api/v1/namespaces/{NAMESPACE}/pods/{POD}/log")
_CONFIG = "extension-apiserver-authentication"


class MetricsServer:
    """Objects and a route of the apiserver."""

    def __init__(self, apiserver: Apiserver) -> None:
        self._apiserver = apiserver

    def pods(self) -> list[Key]:
        """Its pod."""
        return [Key(NAMESPACE, POD, LABELS, {"status.phase": "Running"}, self._pod)]

    def services(self) -> list[Key]:
        """Its Service."""
        return [Key(NAMESPACE, NAME, LABELS, {}, self._service)]

    def resources(self) -> list[Resource]:
        """The APIService, and what the aggregation layer is told."""
        registered = Key("", "v1beta1.metrics.k8s.io", LABELS, {}, self._api_service)
        config = Key(NAMESPACE, _CONFIG, {}, {}, self._config)
        return [
            Resource(
                ApiResource("apiregistration.k8s.io", "v1", "apiservices", "APIService", False), _among(registered)
            ),
            Resource(ApiResource("", "v1", "configmaps", "ConfigMap", True, ("cm",)), _among(config)),
        ]

    def route(self, request: Request) -> Reply | None:
        """Its log."""
        if not _LOG.fullmatch(request.path):
            return None
        return Reply(
            200, b"I1121 08:00:00.000000       1 serving.go:380] Serving securely on [::]:10250\n", "text/plain"
        )

    def _meta(self, name: str, namespace: str = NAMESPACE) -> Object:
        space = {"namespace": namespace} if namespace else {}
        stamp = self._apiserver.objects.stamp(50_000)
        return {"name": name, **space, "labels": LABELS, "resourceVersion": "1000", "creationTimestamp": stamp}

    def _pod(self) -> Object:
        container = {
            "name": NAME,
            "image": IMAGE,
            "args": ["--secure-port=10250", "--metric-resolution=15s", "--kubelet-preferred-address-types=InternalIP"],
        }
        status = {"name": NAME, "ready": True, "restartCount": 0, "image": IMAGE, "state": {"running": {}}}
        return {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": self._meta(POD),
            "spec": {"nodeName": self._apiserver.cluster.nodes[0].name, "containers": [container]},
            "status": {
                "phase": "Running",
                "podIP": "10.244.7.2",
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [status],
            },
        }

    def _service(self) -> Object:
        port = {"name": "https", "port": 443, "targetPort": "https", "protocol": "TCP"}
        spec = {"clusterIP": "10.96.21.7", "selector": LABELS, "ports": [port]}
        return {"kind": "Service", "apiVersion": "v1", "metadata": self._meta(NAME), "spec": spec}

    def _api_service(self) -> Object:
        condition = {"type": "Available", "status": "True", "reason": "Passed", "message": "all checks passed"}
        return {
            "kind": "APIService",
            "apiVersion": "apiregistration.k8s.io/v1",
            "metadata": self._meta("v1beta1.metrics.k8s.io", ""),
            "spec": {"group": "metrics.k8s.io", "service": {"name": NAME, "namespace": NAMESPACE, "port": 443}},
            "status": {"conditions": [condition]},
        }

    def _config(self) -> Object:
        data = {
            "client-ca-file": "-----BEGIN CERTIFICATE-----\n",
            "requestheader-client-ca-file": "-----BEGIN CERTIFICATE-----\n",
            "requestheader-allowed-names": '["front-proxy-client"]',
            "requestheader-username-headers": '["X-Remote-User"]',
            "requestheader-group-headers": '["X-Remote-Group"]',
            "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
        }
        return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": self._meta(_CONFIG), "data": data}


def _among(key: Key) -> Callable[[str | None], list[Key]]:
    return lambda namespace: [key] if namespace in (None, key.namespace) else []
