"""The configuration of an OpenTelemetry collector that adds virtual names to what kubelets report, pod by pod.

Components of opentelemetry-collector-contrib: kubeletstatsreceiver, k8sattributesprocessor, transformprocessor,
filterprocessor, prometheusremotewriteexporter; their fields are those of each one's config.schema.yaml.
"""

from __future__ import annotations

from typing import NamedTuple

import yaml

from kubectl_vmetrics.vcluster.identity import VClusterRef

from . import otel_names, rbac
from .bundle import Bundle, Object
from .otel_names import POD, SPACE, UID
from .rbac import FOLLOW, rule

NAME = "vmetrics-otel"
KEY = "config.yaml"
"""Of the ConfigMap."""
NODE = "K8S_NODE_NAME"
"""The environment variable with the name of the node on which a collector runs."""
LEAST = "v0.120.0"
"""Of the collector: paths in OTTL statements name their context since then."""


class Settings(NamedTuple):
    """What can be chosen.

    Attributes:
        namespace: of the ConfigMap.
        name: of the objects.
        account: the namespace and name of the collector's service account.
        interval: between two readings of a kubelet, as the collector writes durations.
        vcluster: the one virtual cluster whose metrics are kept; None for everything.
        replaced: whether its names replace the host's; without a virtual cluster they never do.
        targets: host namespaces, and the virtual cluster elsewhere that syncs its pods there.
        volumes: whether volumes are measured too.
        endpoint: URL of an OTLP receiver; "" for none.
        remote_write: URL of a Prometheus that receives remote writes; "" for none.
        insecure: whether kubelets' certificates are not verified.
    """

    namespace: str
    name: str = NAME
    account: tuple[str, str] = ("", "")
    interval: str = "30s"
    vcluster: VClusterRef | None = None
    replaced: bool = False
    targets: tuple[tuple[str, VClusterRef], ...] = ()
    volumes: bool = False
    endpoint: str = ""
    remote_write: str = ""
    insecure: bool = False


def bundle(settings: Settings) -> Bundle:
    """A ConfigMap, and the rights of the collector's service account."""
    space, account = settings.account
    name = f"{settings.namespace}:{settings.name}"
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": settings.name, "namespace": settings.namespace},
        "data": {KEY: text(settings)},
    }
    subject = rbac.service_account(account, space)
    return Bundle([config, rbac.role(name, _rules(settings)), rbac.binding(name, subject)], notes(settings))


def _rules(settings: Settings) -> list[Object]:
    """Metrics of kubelets, and the labels of pods and namespaces; never nodes/proxy."""
    kubelets = ["nodes/stats", *(["nodes/pods"] if settings.volumes else [])]
    return [rule("", ["pods", "namespaces"], FOLLOW), rule("", kubelets, ["get"])]


def raw(settings: Settings) -> str:
    """The configuration alone, with what to know above it."""
    return "".join(f"# {note}".rstrip() + "\n" for note in notes(settings)) + text(settings)


def text(settings: Settings) -> str:
    """The configuration as YAML, a line for each statement."""
    found: str = yaml.safe_dump(configuration(settings), sort_keys=False, width=4096)
    return found


def configuration(settings: Settings) -> Object:
    """The configuration."""
    processors = _processors(settings)
    exporters = _exporters(settings)
    pipeline = {"receivers": ["kubeletstats"], "processors": list(processors), "exporters": list(exporters)}
    return {
        "receivers": {"kubeletstats": _receiver(settings)},
        "processors": processors,
        "exporters": exporters,
        "service": {"pipelines": {"metrics": pipeline}},
    }


def _receiver(settings: Settings) -> Object:
    found: Object = {
        "collection_interval": settings.interval,
        "auth_type": "serviceAccount",
        "endpoint": f"https://${{env:{NODE}}}:10250",
        "metric_groups": ["container", "pod"],
    }
    if settings.insecure:
        found["insecure_skip_verify"] = True
    if settings.volumes:
        found["metric_groups"].append("volume")
        # Without it, a volume has no claim.
        found["extra_metadata_labels"] = ["k8s.volume.type"]
    return found


def _processors(settings: Settings) -> Object:
    names = otel_names.statements(settings.targets, volumes=settings.volumes)
    found: Object = {
        "memory_limiter": {"check_interval": "1s", "limit_percentage": 80, "spike_limit_percentage": 20},
        "transform/clean": _transform(otel_names.clean()),
        "k8sattributes": {
            "auth_type": "serviceAccount",
            # The first metrics would have no names.
            "wait_for_metadata": True,
            "filter": {"node_from_env_var": NODE},
            "extract": {"metadata": [SPACE, POD, UID, "k8s.node.name"], **otel_names.extracted()},
            "pod_association": [{"sources": [{"from": "resource_attribute", "name": UID}]}],
        },
        "transform/names": _transform(names),
    }
    if settings.vcluster:
        conditions = otel_names.dropped(settings.vcluster, replaced=settings.replaced)
        # Where a condition fails, nothing is passed on that may be another tenant's.
        found["filter/vcluster"] = {"error_mode": "propagate", "metrics": {"metric": conditions}}
        if settings.replaced:
            found["transform/view"] = _transform(otel_names.replaced(volumes=settings.volumes))
    found["transform/tidy"] = _transform(otel_names.tidy())
    return {**found, "batch": {}}


def _transform(statements: list[str]) -> Object:
    return {"error_mode": "ignore", "metric_statements": statements}


def _exporters(settings: Settings) -> Object:
    found: Object = {}
    if settings.endpoint:
        found["otlphttp"] = {"endpoint": settings.endpoint}
    if settings.remote_write:
        # Resource attributes become labels.
        found["prometheusremotewrite"] = {
            "endpoint": settings.remote_write,
            "resource_to_telemetry_conversion": {"enabled": True},
        }
    return found or {"debug": {"verbosity": "normal"}}


def notes(settings: Settings) -> list[str]:
    """What to know before it is used."""
    found = [
        f"For opentelemetry-collector-contrib {LEAST} or newer. Checked against the schemas of its components and the",
        "grammar of OTTL, not tested with a running collector: try it with the debug exporter first. Newer collectors",
        "call two components kubelet_stats and k8s_attributes; they accept the older names and log a warning.",
        "",
        "Run it as a DaemonSet with this environment variable:",
        f"  - name: {NODE}",
        "    valueFrom: {fieldRef: {fieldPath: spec.nodeName}}",
        "",
        "Only labels and annotations that a syncer writes are read. The collector does not know where control planes",
        "are, so labels count for a virtual cluster in the pod's own host namespace, and anyone who may create pods",
        "there can write them. For pods that are synced to another host namespace, use --target-namespace.",
        "These keep their host names: pods whose names were hashed by vCluster v0.20 or older, claims whose names were",
        "hashed, and namespaces synced whole if host namespace and name of the virtual cluster exceed 60 characters.",
    ]
    if settings.volumes:
        found += [
            "",
            "Volumes take nodes/pods, which kubelets know since Kubernetes 1.33; older ones ask for nodes/proxy.",
        ]
    return [*found, ""]
