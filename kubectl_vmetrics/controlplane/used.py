"""The client certificates that ServiceMonitors of a control plane use, as they are in the cluster.

The Prometheus Operator rejects the whole ServiceMonitor if a Secret, ConfigMap or key that it refers to is missing
(prometheus-operator/prometheus-operator pkg/assets).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from kubectl_vmetrics.kube.client import Client, escape
from kubectl_vmetrics.kube.errors import Forbidden, NotFound
from kubectl_vmetrics.kube.lists import decoder
from kubectl_vmetrics.metrics.monitors import ServiceMonitor, TlsConfig

from . import credentials
from .credentials import Credential, NoCredential
from .plane import Plane


class Used(NamedTuple):
    """A client certificate or a CA that a ServiceMonitor refers to.

    Attributes:
        monitor: namespace/name of the ServiceMonitor.
        credential: the certificate, if it is usable.
        problem: why it is not usable; "" if it is.
        hidden: whether you are not allowed to read it, so that its state is unknown.
    """

    monitor: str
    credential: Credential | None = None
    problem: str = ""
    hidden: bool = False


class _Keys(msgspec.Struct):
    data: dict[str, str] | None = None


class _Named(NamedTuple):
    certificate: tuple[str, str]
    key: tuple[str, str]
    authority: tuple[str, str, str]


def read(client: Client, plane: Plane, monitors: Iterable[ServiceMonitor]) -> list[Used]:
    """The client certificates of ServiceMonitors in the namespace of a control plane, without duplicates.

    Raises:
        ConnectionFailed, BadAnswer: as Client.get.
    """
    found: list[Used] = []
    for monitor in monitors:
        if monitor.metadata.namespace != plane.namespace:
            continue  # another mistake, which another check reports
        named = dict.fromkeys(_named(endpoint.tls) for endpoint in monitor.spec.endpoints)
        complete = [item for item in named if all(item.certificate) and all(item.key)]
        found += [_credential(client, plane, monitor.path, item) for item in complete]
        for kind, name, key in dict.fromkeys(item.authority for item in named):
            if name and (problem := _authority(client, plane, kind, name, key)):
                found.append(problem._replace(monitor=monitor.path))
    return found


def _named(tls: TlsConfig) -> _Named:
    secret = tls.cert.get("secret", {})
    # A certificate may also be in a ConfigMap, but that is unusual.
    certificate = str(secret.get("name", "")), str(secret.get("key", ""))
    key = str(tls.key_secret.get("name", "")), str(tls.key_secret.get("key", ""))
    for kind, resource in (("secret", "secrets"), ("configMap", "configmaps")):
        if found := tls.ca.get(kind):
            return _Named(certificate, key, (resource, str(found.get("name", "")), str(found.get("key", ""))))
    return _Named(certificate, key, ("", "", ""))


def _credential(client: Client, plane: Plane, monitor: str, named: _Named) -> Used:
    try:
        return Used(monitor, credentials.in_keys(client, plane, named.certificate, named.key))
    except NoCredential as error:
        return Used(monitor, problem=error.message)
    except Forbidden as error:
        return Used(monitor, problem=error.message, hidden=True)


def _authority(client: Client, plane: Plane, resource: str, name: str, key: str) -> Used | None:
    """The problem with the CA; None if there is none."""
    kind = "Secret" if resource == "secrets" else "ConfigMap"
    path = f"/api/v1/namespaces/{escape(plane.namespace)}/{resource}/{escape(name)}"
    try:
        found: _Keys = client.decode(path, decoder(_Keys))
    except NotFound:
        return Used("", problem=f"the {kind} {plane.namespace}/{name} does not exist")
    except Forbidden as error:
        return Used("", problem=error.message, hidden=True)
    if not (found.data or {}).get(key):
        return Used("", problem=f"the {kind} {plane.namespace}/{name} has no key {key}")
    return None
