"""What Prometheus needs to scrape a control plane: each replica of it, with a certificate, and nothing more.

All objects of a control plane stand in its namespace: Secrets of a ServiceMonitor must be in its own. The Prometheus
Operator reads them, not Prometheus (prometheus-operator/prometheus-operator pkg/assets).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kubectl_vmetrics.controlplane import kamaji, names, vclusters
from kubectl_vmetrics.controlplane.plane import APISERVER, CONTROLLER_MANAGER, KAMAJI, SYNCER, Component, Plane
from kubectl_vmetrics.controlplane.targets import job
from kubectl_vmetrics.kube.names import fitted
from kubectl_vmetrics.kube.rbac import Account
from kubectl_vmetrics.metrics.monitors import GROUP

from . import rbac
from .bundle import Bundle, Object
from .rbac import FOLLOW, rule

INTERVAL, TIMEOUT = "30s", "20s"

_HISTOGRAMS = (
    "apiserver_request_duration_seconds",
    "apiserver_request_sli_duration_seconds",
    "etcd_request_duration_seconds",
)
# Kept are all up to 1, and 2, 5, 10, 30 and 60 s: those of the field's objectives (1, 5, 30), and every one below a
# second: most requests take less than 25 ms, and a quantile is as exact as the bounds around it. Prometheus 3 writes
# whole numbers with ".0".
_DROPPED = r"1\.25|1\.5|(3|4|6|8|15|20|45)(\.0)?"
DROP = {
    "action": "drop",
    "sourceLabels": ["__name__", "le"],
    "regex": f"({'|'.join(_HISTOGRAMS)})_bucket;({_DROPPED})",
}
"""Leaves out a third of the buckets of an apiserver, which are most of what it serves."""


class Settings(NamedTuple):
    """What can be chosen.

    Attributes:
        prometheus: Prometheus' service account.
        operator: the Prometheus Operator's.
        labels: more labels for the ServiceMonitor, by which Prometheus selects it.
        generate: whether a certificate is to be made, instead of the one that is there.
    """

    prometheus: Account
    operator: Account
    labels: dict[str, str]
    generate: bool = False


class _Secrets(NamedTuple):
    """Where the certificate is: the name of a Secret, and keys in it; and where its authority is."""

    client: str
    certificate: str
    key: str
    authority: Object


def bundle(plane: Plane, settings: Settings, ca: bytes = b"") -> Bundle:
    """Service, ServiceMonitor, roles; and the generator of a certificate where one is to be made.

    Args:
        plane: the control plane.
        settings: what was chosen.
        ca: PEM of a tenant's authority; without it, the apiserver's certificate is not checked. It is handed on in a
            ConfigMap: in the tenant's own Secret its key stands beside it.
    """
    name, secrets = names.own(plane), _secrets(plane, settings.generate, trusted=bool(ca))
    labels = {
        "app.kubernetes.io/name": "vmetrics-controlplane",
        "app.kubernetes.io/instance": fitted(plane.name),
        "app.kubernetes.io/component": plane.kind,  # two kinds may have one name
    }
    meta = {"name": name, "namespace": plane.namespace, "labels": labels}
    parts = _parts(plane)
    watch = [rule("", ["services", "endpoints", "pods"], FOLLOW), rule("discovery.k8s.io", ["endpointslices"], FOLLOW)]
    secret = {**rule("", ["secrets"], ["get"]), "resourceNames": [secrets.client]}
    rights, notes = [secret], []
    objects = [
        _service(plane, meta, parts),
        _monitor(plane, {**meta, "labels": {**labels, **settings.labels}}, labels, parts, secrets),
    ]
    if plane.kind == KAMAJI and ca:
        trusted = {"name": names.authority(plane), "namespace": plane.namespace, "labels": labels}
        data = {"ca.crt": ca.decode("ascii", "replace")}
        objects.insert(0, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": trusted, "data": data})
        rights.append({**rule("", ["configmaps"], ["get"]), "resourceNames": [names.authority(plane)]})
    elif plane.kind == KAMAJI:
        notes.append(f"The authority of {plane.path} could not be read, so its apiserver is not checked.")
    objects += _role(names.targets(plane), plane.namespace, watch, settings.prometheus)
    objects += _role(names.secrets(plane), plane.namespace, rights, settings.operator)
    if settings.generate:
        objects.insert(0, generator(plane.namespace))
        notes += _how(plane, secrets)
    return Bundle(objects, notes)


def generator(namespace: str) -> Object:
    """Makes a certificate for monitoring for each tenant of a namespace."""
    return {
        "apiVersion": f"{kamaji.GROUP}/v1alpha1",
        "kind": "KubeconfigGenerator",
        "metadata": {"name": names.generator(namespace)},  # of the whole cluster, so there is one for each
        "spec": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "user": {"stringValue": "vmetrics"},
            "groups": [{"stringValue": "system:monitoring"}],
            "controlPlaneEndpointFrom": "admin.svc",
        },
    }


def _secrets(plane: Plane, generate: bool, *, trusted: bool) -> _Secrets:
    if plane.kind != KAMAJI:
        name = plane.secret(vclusters.CERTIFICATE)
        return _Secrets(
            name, "client-certificate", "client-key", {"secret": {"name": name, "key": "certificate-authority"}}
        )
    ca = {"configMap": {"name": names.authority(plane), "key": "ca.crt"}} if trusted else {}
    if generate:
        return _Secrets(names.client(plane), "tls.crt", "tls.key", ca)
    client = plane.secret(kamaji.KUBELET)
    return _Secrets(client, "apiserver-kubelet-client.crt", "apiserver-kubelet-client.key", ca)


def _parts(plane: Plane) -> list[Component]:
    """What every replica has, each once."""
    wanted = (APISERVER, CONTROLLER_MANAGER, SYNCER) if plane.kind != KAMAJI else None
    found = {item.name: item for item in plane.components if item.authorized and (not wanted or item.name in wanted)}
    return list(found.values())


def _port(plane: Plane, item: Component) -> str:
    return job(item.name) if plane.kind == KAMAJI else "https"


def _service(plane: Plane, meta: Object, parts: Sequence[Component]) -> Object:
    selector = {kamaji.NAME_LABEL: plane.name} if plane.kind == KAMAJI else {"app": "vcluster", "release": plane.name}
    numbers = {_port(plane, item): item.port for item in parts}
    ports = [{"name": name, "port": number, "targetPort": number} for name, number in numbers.items()]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta,
        # Headless, and with replicas that are not ready: those are of interest most of all.
        "spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": selector, "ports": ports},
    }


def _monitor(plane: Plane, meta: Object, selector: Object, parts: Sequence[Component], secrets: _Secrets) -> Object:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "ServiceMonitor",
        "metadata": meta,
        "spec": {
            "selector": {"matchLabels": selector},
            "namespaceSelector": {"matchNames": [plane.namespace]},
            "endpoints": [_endpoint(plane, item, secrets) for item in parts],
        },
    }


def _endpoint(plane: Plane, item: Component, secrets: _Secrets) -> Object:
    tls: Object = {
        "cert": {"secret": {"name": secrets.client, "key": secrets.certificate}},
        "keySecret": {"name": secrets.client, "key": secrets.key},
    }
    if item.verified and secrets.authority:
        tls |= {"ca": secrets.authority, "serverName": plane.server_name}
    else:
        tls["insecureSkipVerify"] = True  # other components create self-signed certificates at each start
    endpoint: Object = {
        "port": _port(plane, item),
        "path": item.path,
        "scheme": "https",
        "interval": INTERVAL,
        "scrapeTimeout": TIMEOUT,
        "tlsConfig": tls,
        "relabelings": [
            {"action": "replace", "targetLabel": "cluster", "replacement": plane.path},
            {"action": "replace", "targetLabel": "job", "replacement": job(item.name)},
        ],
    }
    return endpoint | ({"metricRelabelings": [DROP]} if item.name == APISERVER else {})


def _role(name: str, namespace: str, rules: list[Object], account: Account) -> list[Object]:
    subject = rbac.service_account(account.name, account.namespace)
    return [rbac.role(name, rules, namespace=namespace), rbac.binding(name, subject, namespace=namespace)]


def _how(plane: Plane, secrets: _Secrets) -> list[str]:
    space, made = plane.namespace, f"{plane.name}-{names.generator(plane.namespace)}"
    view = "kubectl --kubeconfig tenant.conf config view --raw -o"
    return [
        "The generator makes a kubeconfig; Prometheus reads its certificate from a Secret of its own. Once:",
        f"  kubectl -n {space} get secret {made} -o jsonpath='{{.data.value}}' | base64 -d > tenant.conf",
        f"  {view} jsonpath='{{.users[0].user.client-certificate-data}}' | base64 -d > tls.crt",
        f"  {view} jsonpath='{{.users[0].user.client-key-data}}' | base64 -d > tls.key",
        f"  kubectl -n {space} create secret tls {secrets.client} --cert=tls.crt --key=tls.key",
        "  rm tenant.conf tls.crt tls.key",
        "Kamaji's chart runs the generator with kubeconfigGenerator.enabled=true.",
        "",
    ]
