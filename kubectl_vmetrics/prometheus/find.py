"""Which servers a cluster has that speak Prometheus' API: all of them, in order of preference. None is asked yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from kubectl_vmetrics.kube import endpoints
from kubectl_vmetrics.kube.client import Client, escape
from kubectl_vmetrics.kube.core import ObjectMeta
from kubectl_vmetrics.kube.endpoints import Address
from kubectl_vmetrics.kube.errors import Forbidden, NotFound, VmetricsError
from kubectl_vmetrics.kube.lists import ObjectList, decoder, list_all
from kubectl_vmetrics.metrics import monitors

from .known import CHOSEN, KNOWN, OPERATED, OPT_IN, PROMETHEUS, Known, recognized

_PORT_NAMES = ("http-web", "web", "http-query", "http", "http-metrics", "https-web", "https")
_PORT_NUMBERS = (9090, 8428, 8429, 8481, 9009, 10902, 8080, 80, 443)
_TLS = (443, 8443, 9091)
"""Ports that take TLS whatever they are called; 9091 is OpenShift's."""


class _Port(msgspec.Struct):
    port: int
    name: str = ""
    protocol: str = "TCP"


class _ServiceSpec(msgspec.Struct):
    type: str = ""
    ports: list[_Port] = []
    selector: dict[str, str] | None = None


class _Service(msgspec.Struct):
    metadata: ObjectMeta
    spec: _ServiceSpec = msgspec.field(default_factory=_ServiceSpec)


class _Spec(msgspec.Struct):
    prefix: str = msgspec.field(default="", name="routePrefix")


class _Object(msgspec.Struct):
    """A Prometheus object of the Prometheus Operator."""

    metadata: ObjectMeta
    spec: _Spec = msgspec.field(default_factory=_Spec)


class Candidate(msgspec.Struct, frozen=True):
    """A Service that may lead to such a server.

    Attributes:
        kind: what it seems to be: Prometheus, Thanos, Mimir or VictoriaMetrics.
        scheme: http or https.
        port: its number.
        prefix: of the paths of its API, "" or with a leading slash only.
        headers: what each request must carry.
        chosen: whether the Service has the label OPT_IN.
    """

    namespace: str
    name: str
    kind: str
    scheme: str
    port: int
    prefix: str = ""
    headers: Mapping[str, str] = {}
    chosen: bool = False

    @property
    def path(self) -> str:
        """namespace/name."""
        return f"{self.namespace}/{self.name}"


def find(client: Client, *, labels: str | None = None) -> list[Candidate]:
    """The candidates of all namespaces.

    Args:
        client: the cluster.
        labels: a label selector that all of their Services meet, to leave out those that others may have written.

    Raises:
        Forbidden: Services may not be listed.
        StatusError, ConnectionFailed, BadAnswer: as Client.get.
    """
    services: list[_Service] = list_all(
        client,
        "/api/v1/services",
        decoder(ObjectList[_Service]),
        {"labelSelector": labels},
        keep=lambda item: recognized(item.metadata.labels) is not None,
    )
    found = [(known, item) for item in services if (known := recognized(item.metadata.labels)) and _reachable(item)]
    order = {id(known): index for index, known in enumerate((*KNOWN, CHOSEN))}
    found.sort(key=lambda pair: (order[id(pair[0])], pair[1].metadata.namespace, pair[1].metadata.name))
    # The operator's own Service leads to the servers of all Prometheus objects of its namespace, by turns.
    others = {item.metadata.namespace for known, item in found if known.kind == PROMETHEUS and not _operated(known)}
    chosen = [(known, item) for known, item in found if not (_operated(known) and item.metadata.namespace in others)]
    prefixes = _prefixes(client) if any(known.kind == PROMETHEUS for known, _ in chosen) else {}
    return [_candidate(known, item, prefixes.get(item.metadata.namespace, {})) for known, item in chosen]


def named(client: Client, namespace: str, name: str) -> Candidate:
    """A Service that the user names; its labels select port and prefix if they are known.

    Raises:
        NotFound, Forbidden: there is no such Service, or you have no right to read it.
        VmetricsError: it has no TCP port, or is an alias of another host.
        StatusError, ConnectionFailed, BadAnswer: as Client.get.
    """
    path = f"/api/v1/namespaces/{escape(namespace)}/services/{escape(name)}"
    service: _Service = client.decode(path, decoder(_Service))
    if not _reachable(service):
        raise VmetricsError(f"service {namespace}/{name} has no TCP port that the apiserver can reach: use its URL")
    known = recognized(service.metadata.labels) or CHOSEN
    prefixes = _prefixes(client).get(namespace, {}) if known.kind == PROMETHEUS else {}
    return _candidate(known, service, prefixes)


def pod_of(client: Client, candidate: Candidate) -> Address:
    """A pod behind a Service that is ready, with the port of its container.

    Raises:
        VmetricsError: there is none.
        NotFound, Forbidden: the Service or its EndpointSlices cannot be read.
    """
    path = f"/api/v1/namespaces/{escape(candidate.namespace)}/services/{escape(candidate.name)}"
    service: _Service = client.decode(path, decoder(_Service))
    names = [item.name for item in service.spec.ports if item.port == candidate.port and item.protocol == "TCP"]
    found = [
        item
        for name in names[:1]
        for item in endpoints.slices(client, candidate.namespace, candidate.name, name)
        if item.pod and item.ready
    ]
    if not found:
        raise VmetricsError(f"service {candidate.path} has no pod that is ready")
    return found[0]


def _operated(known: Known) -> bool:
    return OPERATED in known.labels


def _reachable(service: _Service) -> bool:
    """Whether the apiserver can lead to it: an ExternalName may name any host at all."""
    return service.spec.type != "ExternalName" and any(port.protocol == "TCP" for port in service.spec.ports)


def _candidate(known: Known, service: _Service, prefixes: Mapping[str, str]) -> Candidate:
    meta = service.metadata
    port = _port([item for item in service.spec.ports if item.protocol == "TCP"], meta.labels.get(OPT_IN, ""))
    tls = port.name.startswith("https") or port.port in _TLS
    prefix = known.prefix or (_prefix(service, prefixes) if known.kind == PROMETHEUS else "")
    scheme, chosen = "https" if tls else "http", OPT_IN in meta.labels
    return Candidate(meta.namespace, meta.name, known.kind, scheme, port.port, prefix, dict(known.headers), chosen)


def _port(ports: Sequence[_Port], wanted: str) -> _Port:
    """The port of the API: that which the opt-in label names, else the likeliest."""
    for port in ports:
        if wanted and wanted in (port.name, str(port.port)):
            return port
    for name in _PORT_NAMES:
        for port in ports:
            if port.name == name:
                return port
    for number in _PORT_NUMBERS:
        for port in ports:
            if port.port == number:
                return port
    return ports[0]


def _prefix(service: _Service, prefixes: Mapping[str, str]) -> str:
    """The prefix of the Prometheus object whose pods the Service selects, as far as that can be told."""
    selector = service.spec.selector or {}
    name = selector.get("prometheus") or selector.get("operator.prometheus.io/name") or ""
    if name not in prefixes:
        name = selector.get("app.kubernetes.io/instance", "")
    if name in prefixes:
        return prefixes[name]
    return next(iter(prefixes.values())) if len(prefixes) == 1 else ""


def _prefixes(client: Client) -> dict[str, dict[str, str]]:
    """The prefixes of Prometheus objects by namespace and name; none where they cannot be read."""
    try:
        listed: list[_Object] = list_all(client, f"{monitors.PATH}/prometheuses", decoder(ObjectList[_Object]))
    except (NotFound, Forbidden):
        return {}
    found: dict[str, dict[str, str]] = {}
    for item in listed:
        prefix = f"/{item.spec.prefix.strip('/')}".rstrip("/")
        found.setdefault(item.metadata.namespace, {})[item.metadata.name] = prefix
    return found
