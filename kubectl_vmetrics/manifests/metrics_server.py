"""metrics-server as upstream installs it, with the options that a cluster may need.

kubernetes-sigs/metrics-server manifests/base; v0.9 is for Kubernetes 1.34 and newer, v0.8 from 1.31 on.
"""

from __future__ import annotations

from typing import NamedTuple

from . import rbac, workload
from .bundle import Bundle, Object
from .rbac import FOLLOW, rule

VERSION = "v0.9.0"
NAME, NAMESPACE = "metrics-server", "kube-system"
LABELS = {"k8s-app": NAME}
METRICS_APIS = {"v1beta1": ("v1beta1",), "v1": ("v1",), "both": ("v1", "v1beta1")}
"""Choices of --metrics-api, and the versions to register: v0.9 serves v1beta1 only.

v1 is stable since Kubernetes 1.37 (KEP-5207); kubernetes-sigs/metrics-server issue 1786 follows its support."""
ADDRESSES = "InternalIP,ExternalIP,Hostname"


class Settings(NamedTuple):
    """What can be chosen.

    Attributes:
        resolution: the interval between scrapes of the kubelets.
        insecure: whether kubelets' certificates are not checked; for tests.
        addresses: kinds of addresses of nodes, in the order in which they are tried.
        host_network: whether it uses the node's network, for control planes that reach no pods.
        versions: of metrics.k8s.io, each an APIService.
    """

    image: str = f"registry.k8s.io/metrics-server/metrics-server:{VERSION}"
    resolution: str = "15s"
    insecure: bool = False
    addresses: str = ADDRESSES
    host_network: bool = False
    replicas: int = 1
    versions: tuple[str, ...] = ("v1beta1",)

    @property
    def port(self) -> int:
        """Where it listens: with the node's network, 10250 is the kubelet's."""
        return 4443 if self.host_network else 10250


def bundle(settings: Settings) -> Bundle:
    """ServiceAccount, roles, Service, Deployment, PodDisruptionBudget, APIService."""
    subject = rbac.service_account(NAME, NAMESPACE)
    meta = {"name": NAME, "namespace": NAMESPACE, "labels": LABELS}
    kubelets = [rule("", ["nodes/metrics"], ["get"]), rule("", ["pods", "nodes"], FOLLOW)]
    reader = rbac.role("system:aggregated-metrics-reader", [rule("metrics.k8s.io", ["pods", "nodes"], FOLLOW)])
    reader["metadata"]["labels"] = {
        **LABELS,
        **{f"rbac.authorization.k8s.io/aggregate-to-{name}": "true" for name in ("admin", "edit", "view")},
    }
    delegator = rbac.binding("metrics-server:system:auth-delegator", subject)
    delegator["roleRef"]["name"] = "system:auth-delegator"
    auth = rbac.binding("metrics-server-auth-reader", subject, namespace=NAMESPACE)
    auth["roleRef"]["name"] = "extension-apiserver-authentication-reader"
    objects: list[Object] = [
        workload.account(meta),
        reader,
        rbac.role("system:metrics-server", kubelets),
        auth,
        delegator,
        rbac.binding("system:metrics-server", subject),
        workload.service(meta, LABELS, protocol="TCP", appProtocol="https"),
        _deployment(settings, meta),
    ]
    if settings.replicas > 1:
        objects.append(workload.budget(meta, LABELS, minAvailable=1))
    return Bundle([*objects, *map(_api_service, settings.versions)], _notes(settings))


def _deployment(settings: Settings, meta: Object) -> Object:
    args = [
        "--cert-dir=/tmp",
        f"--secure-port={settings.port}",
        f"--kubelet-preferred-address-types={settings.addresses}",
        "--kubelet-use-node-status-port",
        f"--metric-resolution={settings.resolution}",
        *(["--kubelet-insecure-tls"] if settings.insecure else []),
    ]
    container = {
        "name": NAME,
        "image": settings.image,
        "imagePullPolicy": "IfNotPresent",
        "args": args,
        "ports": [{"name": "https", "containerPort": settings.port, "protocol": "TCP"}],
        "readinessProbe": workload.probe("/readyz", 10, initialDelaySeconds=20),
        "livenessProbe": workload.probe("/livez", 10),
        "resources": {"requests": {"cpu": "100m", "memory": "200Mi"}},
        "securityContext": workload.confined(
            runAsNonRoot=True, runAsUser=1000, seccompProfile={"type": "RuntimeDefault"}
        ),
        "volumeMounts": [{"name": "tmp-dir", "mountPath": "/tmp"}],  # noqa: S108
    }
    pod: Object = {
        "serviceAccountName": NAME,
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "containers": [container],
        "volumes": [{"name": "tmp-dir", "emptyDir": {}}],
        **({"hostNetwork": True} if settings.host_network else {}),
    }
    if settings.replicas > 1:
        term = {
            "labelSelector": {"matchLabels": LABELS},
            "topologyKey": "kubernetes.io/hostname",
            "namespaces": [NAMESPACE],
        }
        pod["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    strategy = {"rollingUpdate": {"maxUnavailable": 1 if settings.replicas > 1 else 0}}
    return workload.deployment(meta, LABELS, settings.replicas, pod, strategy=strategy)


def _api_service(version: str) -> Object:
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"{version}.metrics.k8s.io", "labels": LABELS},
        "spec": {
            "group": "metrics.k8s.io",
            "version": version,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"name": NAME, "namespace": NAMESPACE},
        },
    }


def _notes(settings: Settings) -> list[str]:
    notes = []
    if settings.insecure:
        notes.append("--kubelet-insecure-tls: kubelets' certificates are not verified. For tests only.")
    if settings.replicas > 1:
        notes.append("Both replicas are used only with --enable-aggregator-routing=true on kube-apiserver.")
    if "v1" in settings.versions and settings.image == Settings().image:
        notes.append(
            f"v1.metrics.k8s.io: metrics-server {VERSION} serves v1beta1 only. Set --image to one that serves v1."
        )
    return [*notes, ""] if notes else []
