"""The proxy as a Deployment in the host cluster.

It keeps nothing but the map of where pods come from, so replicas need not know of each other.
"""

from __future__ import annotations

from . import certificate, monitor, rbac, workload
from .bundle import Bundle, Object
from .proxy_notes import notes
from .proxy_settings import Settings
from .rbac import FOLLOW, READ, WATCH, rule
from .workload import probe

PORT = 8443
APISERVERS = (443, 6443, 8443, 16443)
"""Ports of apiservers: of the Service, kubeadm and most others, minikube, MicroK8s."""
USER = 65532
"""Nobody: an id that no user of the node has."""


def bundle(settings: Settings) -> Bundle:
    """ServiceAccount, roles, Deployment, PodDisruptionBudget, Service, NetworkPolicy, and what more was asked for."""
    labels = {"app.kubernetes.io/name": "vmetrics-proxy", "app.kubernetes.io/instance": settings.name}
    meta = {"name": settings.name, "namespace": settings.namespace, "labels": labels}
    deployment = workload.deployment(meta, labels, settings.replicas, _pod(settings, labels))
    objects = [workload.account(meta), *roles(settings), deployment]
    if settings.replicas > 1:
        objects.append(workload.budget(meta, labels, maxUnavailable=1))
    objects += [workload.service(meta, labels), _policy(settings, meta, labels)]
    if settings.issuer:
        # A Certificate has the Secret's name: what opens it, and what renews it, are found together.
        own = {**meta, "name": settings.tls_secret}
        objects.append(certificate.certificate(own, settings.tls_secret, settings.name, settings.issuer))
    if settings.monitor != monitor.NONE:
        objects += _monitors(settings, meta, labels)
    return Bundle(objects, notes(settings, APISERVERS))


def _monitors(settings: Settings, meta: Object, labels: Object) -> list[Object]:
    own = {**meta, "labels": {**labels, **settings.labels}}
    scraped = settings.monitor == monitor.SCRAPE_CONFIG
    found = [monitor.service_monitor(own, labels, settings.access, names=not scraped)]
    if scraped:
        endpoints = (*(() if settings.only_names else monitor.ENDPOINTS), monitor.NAMES)
        found.insert(0, monitor.scrape_config(own, settings.access, endpoints))
    return found


def roles(settings: Settings) -> list[Object]:
    """The least that the proxy needs, and no right to write."""
    subject = rbac.service_account(settings.name, settings.namespace)
    workloads = [rule("apps", ["deployments", "statefulsets"], ["list"])]
    spaces = rule("", ["namespaces"], WATCH)
    pods, used, of_nodes = [rule("", ["pods", "persistentvolumeclaims"], WATCH)], list[Object](), [spaces]
    if not settings.only_names:
        pods = [rule("", ["pods", "persistentvolumeclaims"], FOLLOW)]
        used = [rule("metrics.k8s.io", ["pods"], READ)]
        of_nodes = [rule("", ["nodes/proxy"], ["get"]), spaces]
        if not settings.isolate or settings.vcluster is None:
            of_nodes += [rule("", ["nodes"], READ), rule("metrics.k8s.io", ["nodes"], READ)]
    # Neither a cluster role nor the virtual cluster's namespace is the proxy's own: two of one name would share it.
    name = f"{settings.namespace}:{settings.name}"
    if settings.vcluster is None:
        everything = [*pods, *workloads, *used, *of_nodes]
        return [rbac.role(name, everything), rbac.binding(name, subject)]
    home = settings.vcluster.host_namespace
    found = [
        rbac.role(name, of_nodes),
        rbac.binding(name, subject),
        rbac.role(name, [*pods, *workloads, *used], namespace=home),
        rbac.binding(name, subject, namespace=home),
    ]
    for namespace in sorted({namespace for namespace, _ in settings.targets} - {home}):
        found.append(rbac.role(name, [*pods, *used], namespace=namespace))
        found.append(rbac.binding(name, subject, namespace=namespace))
    return found


def _policy(settings: Settings, meta: Object, labels: Object) -> Object:
    """Who may connect, and where the proxy may: the apiserver and DNS. Probes of kubelets always pass."""
    name = "kubernetes.io/metadata.name"
    chosen = {"matchExpressions": [{"key": name, "operator": "In", "values": list(settings.clients)}]}
    source = {"namespaceSelector": chosen if settings.clients else {}}
    dns = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": meta,
        "spec": {
            "podSelector": {"matchLabels": labels},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [source], "ports": [{"port": PORT, "protocol": "TCP"}]}],
            "egress": [
                {"to": [{"namespaceSelector": {"matchLabels": {name: "kube-system"}}}], "ports": dns},
                # By its Service and, as most networks see it, by the apiserver's own port.
                {"ports": [{"port": port, "protocol": "TCP"} for port in APISERVERS]},
            ],
        },
    }


def _pod(settings: Settings, labels: Object) -> Object:
    hosts = rf"{settings.name}(\.{settings.namespace}(\.svc(\.[a-z0-9.-]+)?)?)?|[0-9.]+|\[[0-9a-f:]+\]"
    args = [
        "proxy",
        "--address=0.0.0.0",
        f"--port={PORT}",
        "--token-file=/run/vmetrics/token/token",
        "--tls-cert-file=/run/vmetrics/tls/tls.crt",
        "--tls-private-key-file=/run/vmetrics/tls/tls.key",
        f"--accept-hosts={hosts}",
        *([f"--vcluster={settings.vcluster.path}"] if settings.vcluster else []),
        *(f"--target-namespace={namespace}={ref.path}" for namespace, ref in settings.targets),
        *(["--isolate"] if settings.isolate else []),
        *(["--only-names"] if settings.only_names else []),
    ]
    container = {
        "name": "proxy",
        "image": settings.image,
        "args": args,
        "ports": [{"name": "https", "containerPort": PORT}],
        "readinessProbe": probe("/readyz", 10, timeoutSeconds=5),
        # Neither probe asks a kubelet: one that is slow fails none.
        "livenessProbe": probe("/healthz", 20, timeoutSeconds=5),
        "startupProbe": probe("/healthz", 2, timeoutSeconds=5, failureThreshold=30),
        # glibc would keep what each thread once took.
        "env": [{"name": "MALLOC_ARENA_MAX", "value": "2"}],
        # Half of the limit holds whatever hostile kubelets and clients send, the other half is for the map.
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": workload.confined(),
        "volumeMounts": [
            {"name": "token", "mountPath": "/run/vmetrics/token", "readOnly": True},
            {"name": "tls", "mountPath": "/run/vmetrics/tls", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        ],
    }
    return {
        "serviceAccountName": settings.name,
        # Answers under way are sent first: the proxy takes 22 seconds for that at most.
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": labels},
            }
        ],
        "containers": [container],
        "volumes": [
            {"name": "token", "secret": {"secretName": settings.token_secret, "defaultMode": 0o440}},
            {"name": "tls", "secret": {"secretName": settings.tls_secret, "defaultMode": 0o440}},
            {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
        ],
    }
