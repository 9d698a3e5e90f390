"""The demo cluster's metrics-server, by its objects: APIService, Service, pod, log, and the aggregation layer."""

from __future__ import annotations

import re
from functools import partial

from kubectl_vmetrics.kube.discovery import ApiResource

from .cluster import Container, DemoPod
from .exchange import Key, Reply, Request
from .machines import same_uid
from .objects import Object
from .world import SERVICES, World

NAMESPACE, NAME = "kube-system", "metrics-server"
POD = "metrics-server-7b9c7d8f5c-2xk4q"
LABELS = {"k8s-app": NAME}
IMAGE = "registry.k8s.io/metrics-server/metrics-server:v0.9.0"
_LOG = re.compile(rf"/api/v1/namespaces/{NAMESPACE}/pods/{POD}/log")
_CONFIG = "extension-apiserver-authentication"


_MINUTES = 50_000


def sign_up(world: World) -> None:
    """Run metrics-server, registered at the apiserver."""
    MetricsServer(world).sign_up()


class MetricsServer:
    """Its objects, and its log."""

    def __init__(self, world: World) -> None:
        self._world = world
        container = Container(NAME, IMAGE, 6, 40)
        node, uid = world.cluster.nodes[0].name, same_uid(POD)
        owner = ("ReplicaSet", POD.rpartition("-")[0])
        self._own = DemoPod(NAMESPACE, POD, uid, node, LABELS, (container,), owner, None, 1.0, _MINUTES)

    def sign_up(self) -> None:
        """Hold the world."""
        world = self._world
        registered = [
            Key("", f"{version}.metrics.k8s.io", LABELS, {}, partial(self._api_service, version))
            for version in world.cluster.metrics_api
        ]
        world.add(ApiResource("apiregistration.k8s.io", "v1", "apiservices", "APIService", False), registered)
        world.add(
            ApiResource("", "v1", "configmaps", "ConfigMap", True, ("cm",)),
            [Key(NAMESPACE, _CONFIG, {}, {}, self._config)],
        )
        world.add(SERVICES, [Key(NAMESPACE, NAME, LABELS, {}, self._service)])
        world.add_pod(self._own, self._pod)
        world.routes.append(self.route)

    def route(self, request: Request) -> Reply | None:
        """Its log."""
        if not _LOG.fullmatch(request.path):
            return None
        return Reply(
            200, b"I1121 08:00:00.000000       1 serving.go:380] Serving securely on [::]:10250\n", "text/plain"
        )

    def _meta(self, name: str, namespace: str = NAMESPACE) -> Object:
        space = {"namespace": namespace} if namespace else {}
        stamp = self._world.objects.stamp(_MINUTES)
        return {"name": name, **space, "labels": LABELS, "resourceVersion": "1000", "creationTimestamp": stamp}

    def _pod(self) -> Object:
        made = self._world.objects.pod(self._own)
        made["spec"]["containers"][0]["args"] = [
            "--secure-port=10250",
            "--metric-resolution=15s",
            "--kubelet-preferred-address-types=InternalIP",
        ]
        made["status"]["podIP"] = "10.244.7.2"
        return made

    def _service(self) -> Object:
        port = {"name": "https", "port": 443, "targetPort": "https", "protocol": "TCP"}
        spec = {"clusterIP": "10.96.21.7", "selector": LABELS, "ports": [port]}
        return {"kind": "Service", "apiVersion": "v1", "metadata": self._meta(NAME), "spec": spec}

    def _api_service(self, version: str) -> Object:
        condition = {"type": "Available", "status": "True", "reason": "Passed", "message": "all checks passed"}
        return {
            "kind": "APIService",
            "apiVersion": "apiregistration.k8s.io/v1",
            "metadata": self._meta(f"{version}.metrics.k8s.io", ""),
            "spec": {
                "group": "metrics.k8s.io",
                "version": version,
                "service": {"name": NAME, "namespace": NAMESPACE, "port": 443},
            },
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
