"""The proxy as a Deployment in the host cluster.

It keeps nothing but the map of where pods come from, so replicas need not know of each other.
"""

from __future__ import annotations

from typing import NamedTuple

from kubectl_vmetrics.kube import names
from kubectl_vmetrics.vcluster.identity import VClusterRef

from . import rbac, workload
from .bundle import Bundle, Object
from .rbac import FOLLOW, READ, rule
from .workload import probe

NAME = "vmetrics-proxy"
PORT = 8443
APISERVERS = (443, 6443, 8443, 16443)
"""Ports of apiservers: of the Service, kubeadm and most others, minikube, MicroK8s."""
USER = 65532
"""Nobody: an id that no user of the node has."""


class Settings(NamedTuple):
    """What can be chosen.

    Attributes:
        image: holds the plugin, and runs it without further arguments.
        name: of the objects; no two proxies of a namespace may share it.
        token_secret: Secret with the key `token`, which clients present.
        tls_secret: Secret of type kubernetes.io/tls.
        vcluster: the one virtual cluster to serve; None for all.
        clients: namespaces whose pods may connect; all of the cluster's where there are none.
        targets: host namespaces, and the virtual cluster elsewhere that syncs its pods there.
    """

    image: str
    namespace: str
    name: str = NAME
    replicas: int = 2
    token_secret: str = f"{NAME}-token"
    tls_secret: str = f"{NAME}-tls"
    vcluster: VClusterRef | None = None
    isolate: bool = False
    clients: tuple[str, ...] = ()
    targets: tuple[tuple[str, VClusterRef], ...] = ()


def own_name(vcluster: VClusterRef | None) -> str:
    """The name of a proxy for all virtual clusters, or for one: no other one's has it, so each has its own token."""
    return names.joined(NAME, vcluster.host_namespace, vcluster.name) if vcluster else NAME


def bundle(settings: Settings) -> Bundle:
    """ServiceAccount, roles and their bindings, Deployment, PodDisruptionBudget, Service, NetworkPolicy."""
    labels = {"app.kubernetes.io/name": "vmetrics-proxy", "app.kubernetes.io/instance": settings.name}
    meta = {"name": settings.name, "namespace": settings.namespace, "labels": labels}
    deployment = workload.deployment(meta, labels, settings.replicas, _pod(settings, labels))
    objects = [workload.account(meta), *roles(settings), deployment]
    if settings.replicas > 1:
        objects.append(workload.budget(meta, labels, maxUnavailable=1))
    return Bundle([*objects, workload.service(meta, labels), _policy(settings, meta, labels)], _notes(settings))


def roles(settings: Settings) -> list[Object]:
    """The least that the proxy needs, and no right to write."""
    subject = rbac.service_account(settings.name, settings.namespace)
    pods = [rule("", ["pods", "persistentvolumeclaims"], FOLLOW)]
    workloads = [rule("apps", ["deployments", "statefulsets"], ["list"])]
    used = [rule("metrics.k8s.io", ["pods"], READ)]
    of_nodes = [rule("", ["nodes/proxy"], ["get"]), rule("", ["namespaces"], ["list", "watch"])]
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


def _notes(settings: Settings) -> list[str]:
    space, host = settings.namespace, f"{settings.name}.{settings.namespace}.svc"
    create = f"kubectl -n {space} create secret"
    return [
        "The proxy reads nodes/proxy: anyone with its token can read all metrics it serves, and anyone who takes over",
        f"its service account can run commands in pods. Keep others out of namespace {space}.",
        "",
        "It needs two Secrets. Create them once; cert-manager can create the second:",
        f"  {create} generic {settings.token_secret} --from-literal=token=$(openssl rand -hex 32)",
        f"  {create} tls {settings.tls_secret} --cert=tls.crt --key=tls.key",
        f"The certificate is for {host}.",
        "",
        "Prometheus finds everything that it serves with:",
        "  http_sd_configs:",
        f"  - url: https://{host}/sd",
        "    authorization: {credentials_file: …}",
        "    tls_config: {ca_file: …}",
        "and scrapes it with the same authorization, tls_config and `scheme: https`.",
        "",
        "The NetworkPolicy lets pods of "
        + (", ".join(settings.clients) if settings.clients else "every namespace (see --from-namespace)")
        + " connect, and the proxy the apiserver",
        f"(on port {', '.join(map(str, APISERVERS))}) and the DNS of kube-system.",
        "Pods that use the network of their node (hostNetwork) are not matched by namespaces.",
        "",
    ]
