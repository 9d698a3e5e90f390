"""The demo cluster's Prometheus: its Service, kube-state-metrics, a collector, and the queries that it answers.

Counts of what the cluster holds, as a Prometheus has them that scrapes kubelets and kube-state-metrics, it answers at
once. Any other expression is for a real Prometheus, which is started then; see `engine`. Shapes are those of Prometheus
2.42.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from kubectl_vmetrics.kube.discovery import ApiResource
from kubectl_vmetrics.vcluster import naming

from .exchange import Key, Reply, Request
from .objects import Object
from .world import DEPLOYMENTS, SERVICES, World

if TYPE_CHECKING:
    from .engine import Engine

NAMESPACE, SERVICE, PORT = "monitoring", "prometheus-k8s", 9090
STATE_METRICS, COLLECTOR = "kube-state-metrics", "otel-collector"
VERSION = "2.42.0"
ALLOWLISTS = (
    "--metric-labels-allowlist=pods=[vcluster.loft.sh/managed-by,vcluster.loft.sh/namespace]",
    "--metric-annotations-allowlist=pods=[vcluster.loft.sh/object-name,vcluster.loft.sh/object-namespace]",
)
_DAEMON_SETS = ApiResource("apps", "v1", "daemonsets", "DaemonSet", True, ("ds",))
_CONFIG_MAPS = ApiResource("", "v1", "configmaps", "ConfigMap", True, ("cm",))
_PATH = re.compile(rf"/api/v1/namespaces/{NAMESPACE}/services/http:{SERVICE}:(?:{PORT}|web)/proxy/api/v1/(.+)")
_LABELS = (
    "__name__ annotation_vcluster_loft_sh_object_name annotation_vcluster_loft_sh_object_namespace container cpu "
    "endpoint id image instance job label_vcluster_loft_sh_managed_by label_vcluster_loft_sh_namespace metrics_path "
    "name namespace node owner_kind owner_name pod service uid"
)
_PIPELINE = """\
receivers:
  kubeletstats: {auth_type: serviceAccount, collection_interval: 20s}
processors:
  k8sattributes:
    extract:
      metadata: [k8s.pod.uid]
      annotations:
        - {tag_name: vcluster.pod, key: vcluster.loft.sh/object-name, from: pod}
        - {tag_name: vcluster.namespace, key: vcluster.loft.sh/object-namespace, from: pod}
exporters:
  prometheusremotewrite: {endpoint: "http://prometheus-k8s.monitoring.svc:9090/api/v1/write"}
service:
  pipelines:
    metrics: {receivers: [kubeletstats], processors: [k8sattributes], exporters: [prometheusremotewrite]}
"""


_ASKED = re.compile(r"query|query_range|series|labels|label/[A-Za-z_][A-Za-z0-9_]*/values")
"""Endpoints of a real one."""
_COUNTS = ("count(", "count by (job, metrics_path)")
"""How expressions begin that are answered at once."""


def sign_up(world: World) -> None:
    """Run Prometheus, kube-state-metrics and a collector, by their objects and by what Prometheus answers."""
    Monitoring(world).sign_up()


class Monitoring:
    """Its objects and its answers."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._engine: Engine | None = None
        self._lock = threading.Lock()

    def sign_up(self) -> None:
        """Hold the world."""
        world, core = self._world, "app.kubernetes.io/"
        labels = {f"{core}name": "prometheus", f"{core}component": "prometheus", f"{core}instance": "k8s"}
        ports = [
            {"name": "web", "port": PORT, "targetPort": "web", "protocol": "TCP"},
            {"name": "reloader-web", "port": 8080, "targetPort": "reloader-web", "protocol": "TCP"},
        ]
        service = {"type": "ClusterIP", "clusterIP": "10.96.40.9", "selector": {"app": "prometheus"}, "ports": ports}
        world.add(SERVICES, [self._key(SERVICES, SERVICE, labels, spec=service)])
        image = f"registry.k8s.io/{STATE_METRICS}/{STATE_METRICS}:v2.20.0"
        container = {"name": STATE_METRICS, "image": image, "args": ["--port=8080", *ALLOWLISTS]}
        world.add(DEPLOYMENTS, [self._workload(DEPLOYMENTS, STATE_METRICS, container)])
        image = "otel/opentelemetry-collector-contrib:0.150.0"
        container = {"name": COLLECTOR, "image": image, "args": ["--config=/etc/otel/config.yaml"]}
        volume = {"name": "config", "configMap": {"name": COLLECTOR}}
        world.add(_DAEMON_SETS, [self._workload(_DAEMON_SETS, COLLECTOR, container, volume)])
        world.add(_CONFIG_MAPS, [self._key(_CONFIG_MAPS, COLLECTOR, {}, data={"config.yaml": _PIPELINE})])
        world.routes.append(self.route)
        world.closing.append(self.close)
        world.past = self.prepare

    def prepare(self) -> None:
        """Start the real one now. Raises Unavailable."""
        self._real().start()

    def close(self) -> None:
        """End the real one, if it runs."""
        if self._engine:
            self._engine.close()

    def route(self, request: Request) -> Reply | None:
        """The API of Prometheus."""
        found = _PATH.fullmatch(request.path)
        if found is None:
            return None
        if found[1] == "query" and (reply := self._counted(request.query.get("query", ""))):
            return reply
        answers: dict[str, Any] = {
            "labels": _LABELS.split(),
            "status/buildinfo": {"version": VERSION, "revision": "", "branch": "HEAD", "goVersion": "go1.19.5"},
            "status/runtimeinfo": {"startTime": self._world.objects.stamp(0), "storageRetention": "32d"},
        }
        if found[1] == "query_range" and request.query.get("query") == "group(up)":
            return _success({"resultType": "matrix", "result": self._up(request.query)})
        if found[1] in answers:
            return _success(answers[found[1]])
        if not _ASKED.fullmatch(found[1]):
            return Reply(404, b"404 page not found\n", "text/plain; charset=utf-8")
        return self._ask(found[1], request.query)

    def _real(self) -> Engine:
        from .engine import Engine  # only who asks for history waits for it

        with self._lock:
            self._engine = self._engine or Engine(self._world)
            return self._engine

    def _ask(self, name: str, query: Mapping[str, str]) -> Reply:
        from .engine import Unavailable

        try:
            return self._real().ask(name, query)
        except Unavailable as error:
            text = {"status": "error", "errorType": "unavailable", "error": str(error)}
            return Reply(503, msgspec.json.encode(text))

    def _up(self, query: Mapping[str, str]) -> list[Any]:
        """When there was something to scrape, which says how far back there are samples."""
        try:
            start, end, step = (float(query.get(name, "")) for name in ("start", "end", "step"))
            moments = [start + index * step for index in range(min(11_000, int((end - start) / step) + 1))]
        except (ValueError, ArithmeticError):
            return []
        from . import history

        first = self._world.started + history.first(self._world)
        values = [[moment, "1"] for moment in moments if first <= moment <= self._world.clock()]
        return [{"metric": {}, "values": values}] if values else []

    def _counted(self, expression: str) -> Reply | None:
        for part, answer in self._answers() if expression.startswith(_COUNTS) else ():
            if part in expression:
                moment = self._world.clock()
                result = [{"metric": labels, "value": [moment, str(number)]} for labels, number in answer() if number]
                return _success({"resultType": "vector", "result": result})
        return None

    def _answers(self) -> list[tuple[str, Callable[[], list[tuple[dict[str, str], int]]]]]:
        """What stands in an expression, and its answer; the first that matches."""
        world = self._world
        nodes, pods = len(world.cluster.nodes), world.pods
        containers = sum(len(pod.containers) for pod in pods)
        synced = sum(pod.origin is not None for pod in pods)
        kubelets = {"job": "kubelet", "metrics_path": "/metrics/cadvisor"}

        def count(number: int) -> Callable[[], list[tuple[dict[str, str], int]]]:
            return lambda: [({}, number)]

        return [
            ("count(up)", count(3 * nodes + 2)),
            ("count by (job, metrics_path) (count by (job, metrics_path, instance", lambda: [(kubelets, nodes)]),
            (") > 1)", count(0)),
            ('vcluster_virtual_namespace=""', count(0)),
            ('vcluster_virtual_pod!=""', count(0)),
            ('container_cpu_usage_seconds_total{pod!=""', count(containers)),
            ("count(vcluster_pod_info)", count(sum(naming.MANAGED_BY in pod.labels for pod in pods))),
            ('count({__name__=~"vcluster:', count(0)),
            ("count(kube_pod_labels", count(synced)),
            ("count(kube_pod_owner", count(synced)),
            ("kube_pod_info) > 1", count(0)),
            ("kube_pod_info))", count(len(pods))),
        ]

    def _key(self, api: ApiResource, name: str, labels: dict[str, str], **more: Any) -> Key:
        stamp = self._world.objects.stamp(50_000)
        meta = {"name": name, "namespace": NAMESPACE, "labels": labels, "resourceVersion": "1000"}
        made: Object = {
            "kind": api.kind,
            "apiVersion": api.group_version,
            "metadata": {**meta, "creationTimestamp": stamp},
            **more,
        }
        return Key(NAMESPACE, name, labels, {}, lambda: dict(made))

    def _workload(self, api: ApiResource, name: str, container: Object, *volumes: Object) -> Key:
        labels = {"app.kubernetes.io/name": name}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container], "volumes": list(volumes)}}
        spec = {"selector": {"matchLabels": labels}, "template": template}
        return self._key(api, name, labels, spec=spec)


def _success(data: Any) -> Reply:
    return Reply(200, msgspec.json.encode({"status": "success", "data": data}))
