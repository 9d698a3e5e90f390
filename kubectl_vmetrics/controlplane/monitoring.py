"""Whether Prometheus scrapes a control plane: known mistakes in hand-written objects.

Most come from Kamaji's guide (clastix/kamaji docs/content/guides/monitoring.md), which was correct when it was
written; see `check` for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from kubectl_vmetrics.kube import rbac
from kubectl_vmetrics.kube.client import Client, escape
from kubectl_vmetrics.kube.core import ObjectMeta, labels_of_namespaces
from kubectl_vmetrics.kube.errors import Forbidden, NotFound
from kubectl_vmetrics.kube.lists import ObjectList, decoder, list_all
from kubectl_vmetrics.kube.rbac import Account, Rule
from kubectl_vmetrics.metrics import monitors
from kubectl_vmetrics.metrics.findings import FAIL, PASS, SKIP, WARN, Finding
from kubectl_vmetrics.metrics.monitors import Endpoint, Prometheus, ServiceMonitor

from . import bound, buckets, credentials, kamaji, used
from .bound import Bound, Operator
from .credentials import Credential, NoCredential
from .plane import APISERVER, KAMAJI, Plane
from .used import Used


class _Port(msgspec.Struct):
    name: str = ""
    port: int = 0
    target: int | str = msgspec.field(default=0, name="targetPort")


class _ServiceSpec(msgspec.Struct):
    selector: dict[str, str] | None = None
    ports: list[_Port] = []


class Service(msgspec.Struct):
    """A Service and its ports."""

    metadata: ObjectMeta
    spec: _ServiceSpec = msgspec.field(default_factory=_ServiceSpec)


class Seen(msgspec.Struct):
    """The objects for one control plane.

    Attributes:
        services: the Services that select its pods, without the control plane's own.
        monitors: the ServiceMonitors that select one of these, each with its Service.
        own: those that select the control plane's own Service, likewise.
        credential: the certificate to use if none is configured; refused: why there is none.
        used: the certificates that the ServiceMonitors refer to.
        twins: other control planes of the same name.
        rules: the rights of each Prometheus' account in its namespace; None if they cannot be read.
    """

    plane: Plane
    services: list[Service]
    monitors: list[tuple[ServiceMonitor, Service]]
    own: list[tuple[ServiceMonitor, Service]]
    prometheuses: list[Prometheus]
    namespaces: dict[str, dict[str, str]]
    credential: Credential | None
    refused: str
    used: list[Used]
    bound: list[Bound]
    operators: list[Operator]
    twins: list[str]
    rules: dict[Account, list[Rule] | None]

    @property
    def readers(self) -> list[Prometheus]:
        """The Prometheus objects that select one of its ServiceMonitors."""
        return [item for item in self.prometheuses if any(not self.why_not(item, m) for m, _ in self.monitors)]

    def why_not(self, prometheus: Prometheus, monitor: ServiceMonitor) -> str:
        """Why a Prometheus does not select a ServiceMonitor; "" if it does."""
        return prometheus.refuses(monitor, lambda space: self.namespaces.get(space, {}))


def look(client: Client, plane: Plane, others: Sequence[Plane]) -> Seen:
    """Read the objects for a control plane. Raises as Client.get."""
    services: list[Service] = list_all(
        client, f"/api/v1/namespaces/{escape(plane.namespace)}/services", decoder(ObjectList[Service])
    )
    leading = [item for item in services if _leads(plane, item)]
    found = monitors.service_monitors(client)
    prometheuses = monitors.prometheuses(client)
    credential, refused = _credential(client, plane)
    selecting = [(m, s) for s in leading for m in found if m.selects(plane.namespace, s.metadata.labels)]
    apart = [pair for pair in selecting if pair[1].metadata.name != plane.name]
    return Seen(
        plane,
        [item for item in leading if item.metadata.name != plane.name],
        apart,
        [pair for pair in selecting if pair not in apart],
        prometheuses,
        labels_of_namespaces(client),
        credential,
        refused,
        used.read(client, plane, list({monitor.path: monitor for monitor, _ in apart}.values())),
        bound.read(client, plane),
        bound.operators(client, plane.namespace),
        [other.path for other in others if other.name == plane.name and other.key != plane.key],
        {account: _rules(client, account, plane.namespace) for account in sorted({p.runs_as for p in prometheuses})},
    )


def _leads(plane: Plane, service: Service) -> bool:
    selector = service.spec.selector or {}
    if plane.kind == KAMAJI:
        return selector.get(kamaji.NAME_LABEL) == plane.name
    return selector.get("app") == "vcluster" and selector.get("release") == plane.name


def _credential(client: Client, plane: Plane) -> tuple[Credential | None, str]:
    try:
        return next(credentials.candidates(client, plane)), ""
    except NoCredential as error:
        return None, error.message


def _rules(client: Client, account: Account, namespace: str) -> list[Rule] | None:
    try:
        return rbac.rules(client, account, namespace)
    except (Forbidden, NotFound):
        return None


# ------------------------------------------------------------------------------------------------------------ checks


def check(seen: Seen) -> list[Finding]:
    """The findings for one control plane, in the order in which the problems must be fixed. Pure."""
    plane = seen.plane
    command = f"kubectl vmetrics manifests {plane.kind} {plane.name} -n {plane.namespace}"
    findings = [*_logins(seen, command), *_accounts(seen)]
    if not seen.monitors:
        what = "no Service selects its pods" if not seen.services else "no ServiceMonitor selects its Service"
        return [*findings, Finding("service-monitor", FAIL, what, f"{command} | kubectl apply -f -")]
    rights = _rights(seen)
    well = not any(item.result == FAIL for item in (*findings, *rights))
    for monitor, service in seen.monitors:
        found = [
            *_selected(seen, monitor),
            *_service(seen, service),
            *_endpoints(seen, monitor, service),
            *_cluster(seen, monitor),
            *buckets.check(monitor),
        ]
        if well and not found:
            found.append(Finding("service-monitor", PASS, f"{monitor.path} has no known mistakes"))
        findings += found
    return [*findings, *_twice(seen), *rights]


def _logins(seen: Seen, command: str) -> list[Finding]:
    """The certificates of the ServiceMonitors; if they have none, the one to use."""
    check, found = "credential", seen.credential
    fix = f"{command} --credential" if seen.plane.kind == KAMAJI else f"{command} | kubectl apply -f -"
    findings = []
    for item in seen.used:
        if item.hidden:
            findings.append(
                Finding(check, SKIP, f"the client certificate of {item.monitor} cannot be checked: {item.problem}")
            )
        elif item.problem:
            findings.append(Finding(check, FAIL, f"{item.monitor} cannot authenticate: {item.problem}", fix))
        elif item.credential:
            findings.append(_may_read(item.credential))
    if findings or seen.monitors:
        return list(dict.fromkeys(findings))
    return [_may_read(found) if found else Finding(check, FAIL, seen.refused, fix)]


def _may_read(credential: Credential) -> Finding:
    groups = ", ".join(credential.groups)
    return Finding("credential", PASS, f"the certificate in {credential.source} may read /metrics ({groups})")


def _accounts(seen: Seen) -> list[Finding]:
    readers = list(dict.fromkeys(item.runs_as for item in seen.readers))
    secrets = dict.fromkeys(item.credential.source for item in seen.used if item.credential)
    return [
        *bound.check(seen.plane, seen.bound, readers, seen.operators),
        *bound.reading(seen.plane, list(secrets), seen.operators),
    ]


def _twice(seen: Seen) -> Iterator[Finding]:
    """Whether two ServiceMonitors scrape the same port of the same pods, or one does through two Services."""
    ways: dict[tuple[int | str, str], list[str]] = {}
    for monitor, service in (*seen.monitors, *seen.own):
        targets = {port.name: port.target or port.port for port in service.spec.ports}
        for endpoint in monitor.spec.endpoints:
            if (target := targets.get(endpoint.port)) is not None:
                way = f"{monitor.path} through the Service {service.metadata.name}"
                ways.setdefault((target, endpoint.path), []).append(way)
    for found in dict.fromkeys(tuple(way) for way in ways.values() if len(way) > 1):
        yield Finding(
            "scraped-twice", WARN, f"the same pods are scraped by {' and '.join(found)}", "delete all but one"
        )


def _selected(seen: Seen, monitor: ServiceMonitor) -> Iterator[Finding]:
    if monitor.metadata.namespace != seen.plane.namespace:
        yield Finding(
            "secret-namespace",
            FAIL,
            f"{monitor.path} is not in {seen.plane.namespace}, so it cannot use the Secrets there",
            f"move it to {seen.plane.namespace}",
        )
    if not seen.prometheuses:
        yield Finding("selected", FAIL, "there is no Prometheus object, so nothing reads ServiceMonitors", "create one")
        return
    refusals = [(item, why) for item in seen.prometheuses if (why := seen.why_not(item, monitor))]
    if len(refusals) == len(seen.prometheuses):
        item, why = refusals[0]
        yield Finding("selected", FAIL, f"Prometheus {item.path} does not select {monitor.path}: {why}", "label it")


def _service(seen: Seen, service: Service) -> Iterator[Finding]:
    plane, name = seen.plane, f"{service.metadata.namespace}/{service.metadata.name}"
    if plane.kind == KAMAJI and service.metadata.labels.get(kamaji.NAME_LABEL) not in (None, plane.name):
        yield Finding(
            "service-label",
            FAIL,
            f"the Service {name} has Kamaji's label {kamaji.NAME_LABEL} with another value, so a control plane with "
            "that name would take it over",
            "use a label of your own, and select the Service by it",
        )
    ports = {item.port for item in plane.components if item.authorized}
    wrong = [
        port
        for port in service.spec.ports
        if isinstance(port.target or port.port, int) and (port.target or port.port) not in ports
    ]
    if wrong:
        named = ", ".join(f"port {port.name or port.port} targets {port.target or port.port}" for port in wrong)
        known = ", ".join(map(str, sorted(ports)))
        yield Finding(
            "service-port", FAIL, f"the Service {name}: {named}, but the control plane listens on {known}", "correct it"
        )


def _endpoints(seen: Seen, monitor: ServiceMonitor, service: Service) -> Iterator[Finding]:
    named = {port.name: port for port in service.spec.ports}
    for endpoint in monitor.spec.endpoints:
        if endpoint.port not in named:
            yield Finding(
                "endpoint-port",
                FAIL,
                f"{monitor.path} refers to port {endpoint.port}, which the Service does not have",
                "correct it",
            )
        elif not endpoint.tls.cert or not endpoint.tls.key_secret:
            yield Finding(
                "endpoint-certificate",
                FAIL,
                f"{monitor.path} scrapes {endpoint.port} without a client certificate, which returns 403",
                "tlsConfig: {cert: …, keySecret: …}",
            )
        if not _label(endpoint, "job"):
            yield Finding(
                "job-label",
                WARN,
                f"{monitor.path} sets no job label for {endpoint.port}, so dashboards do not find its series",
                "relabelings: [{targetLabel: job, replacement: apiserver}]",
            )
        if endpoint.tls.insecure and endpoint.port in _verified(seen, service):
            yield Finding(
                "verification",
                WARN,
                f"{monitor.path} does not verify the server on {endpoint.port}, though the apiserver's certificate "
                "is signed",
                "tlsConfig: {ca: …, serverName: …}",
            )


def _verified(seen: Seen, service: Service) -> set[str]:
    ports = {item.port for item in seen.plane.components if item.name == APISERVER}
    return {port.name for port in service.spec.ports if (port.target or port.port) in ports}


def _label(endpoint: Endpoint, name: str) -> str:
    return next((item.replacement for item in endpoint.relabelings if item.target == name and not item.sources), "")


def _cluster(seen: Seen, monitor: ServiceMonitor) -> Iterator[Finding]:
    labels = {_label(endpoint, "cluster") for endpoint in monitor.spec.endpoints}
    if "" in labels:
        yield Finding(
            "cluster-label",
            FAIL,
            f"{monitor.path} sets no cluster label, so the series of all tenants are merged",
            f"relabelings: [{{targetLabel: cluster, replacement: {seen.plane.path}}}]",
        )
    elif seen.plane.name in labels:
        twins = f", like {', '.join(seen.twins)}" if seen.twins else ""
        yield Finding(
            "cluster-label",
            FAIL if seen.twins else WARN,
            f"{monitor.path} uses only the name as its cluster label{twins}; another namespace may have the same name",
            f"replacement: {seen.plane.path}",
        )


def _rights(seen: Seen) -> list[Finding]:
    findings, served = [], False
    for prometheus in seen.readers:
        account, rules = prometheus.runs_as, seen.rules.get(prometheus.runs_as)
        name = f"{account.namespace}/{account.name}"
        if rules is None:
            findings.append(
                Finding("rights", SKIP, f"you are not allowed to read the rights of {name} in {seen.plane.namespace}")
            )
            continue
        for item in rules:
            wide = not item.names and ("secrets" in item.resources) and "*" not in item.resources
            if wide and {"get", "list", "watch"} & set(item.verbs) and "" in item.groups:
                findings.append(
                    Finding(
                        "secrets",
                        FAIL,
                        f"{name} may read every Secret in {seen.plane.namespace}, including CA keys and database "
                        "passwords; Prometheus itself needs none, because the operator reads them",
                        "grant get on that one Secret (resourceNames) to the operator's account",
                    )
                )
                break
        if lacking := prometheus.lacks(rules):
            findings.append(
                Finding(
                    "rights",
                    FAIL,
                    f"{name} is not allowed to list and watch {', '.join(lacking)} in {seen.plane.namespace}",
                    f"kubectl vmetrics manifests {seen.plane.kind} {seen.plane.name} -n {seen.plane.namespace} "
                    f"--prometheus-namespace {account.namespace} --prometheus-account {account.name} "
                    "| kubectl apply -f -",
                )
            )
        else:
            served = True
    # One reader is enough: anyone may create a Prometheus object that selects everything.
    return [item._replace(result=WARN) if served and item.check == "rights" else item for item in findings]
