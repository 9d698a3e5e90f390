"""Whether Prometheus scrapes KubeVirt: what virt-operator creates for it, when it does, and what exists.

virt-operator decides once per deployment whether to create a ServiceMonitor. If Prometheus is installed later, or runs
as an account that virt-operator is not configured with, nothing is created, and only its log says so
(kubevirt/kubevirt pkg/virt-operator/resource/generate/install/strategy.go).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import msgspec

from kubectl_vmetrics.kube import rbac
from kubectl_vmetrics.kube.client import Client, escape
from kubectl_vmetrics.kube.core import ObjectMeta
from kubectl_vmetrics.kube.errors import Forbidden, NotFound
from kubectl_vmetrics.kube.lists import decoder
from kubectl_vmetrics.kube.rbac import Account, Rule
from kubectl_vmetrics.metrics import monitors
from kubectl_vmetrics.metrics.findings import FAIL, PASS, SKIP, WARN, Finding
from kubectl_vmetrics.metrics.monitors import Endpoint, Prometheus, ServiceMonitor

from .discovery import PORT, SERVICE
from .installation import METRICS_LABEL, Installation

ACCOUNT = "prometheus-k8s"
"""The service account that virt-operator looks for, where the KubeVirt object names none."""
OPENSHIFT = "openshift-monitoring"
CANDIDATES = (OPENSHIFT, "monitoring")
"""Namespaces in which it looks for it, where the object names none."""
CLUSTER_MONITORING = "openshift.io/cluster-monitoring"
"""Label of namespaces that OpenShift's own Prometheus looks at."""
MADE = "prometheus-kubevirt-rules"
"""The name of the ServiceMonitor that virt-operator makes, since v0.26."""

T = TypeVar("T")


class _Port(msgspec.Struct):
    name: str = ""


class _ServiceSpec(msgspec.Struct):
    ports: list[_Port] = []


class Service(msgspec.Struct):
    """A Service: its labels, and the names of its ports."""

    metadata: ObjectMeta
    spec: _ServiceSpec = msgspec.field(default_factory=_ServiceSpec)


class _Object(msgspec.Struct):
    metadata: ObjectMeta


class Hidden(msgspec.Struct, frozen=True):
    """Something that the user is not allowed to read, and the server's message."""

    message: str


class Seen(msgspec.Struct):
    """What the cluster contains, as far as the user can read it; None for what does not exist.

    Attributes:
        accounts: which service accounts of candidate namespaces exist; None for a namespace that does not.
        namespaces: labels of the namespaces of monitors.
        rules: the rules of each Prometheus account in KubeVirt's namespace.
    """

    installation: Installation
    service: Service | Hidden | None
    monitors: list[ServiceMonitor] | Hidden | None
    prometheuses: list[Prometheus] | Hidden | None
    accounts: dict[str, bool | Hidden | None]
    namespaces: dict[str, dict[str, str]]
    rules: dict[Account, list[Rule] | Hidden]

    @property
    def account(self) -> str:
        """The account that virt-operator looks for."""
        return self.installation.monitor_account or ACCOUNT


def look(client: Client, installation: Installation) -> Seen:
    """Read all of it. Raises as Client.get, except Forbidden."""
    namespace = installation.namespace
    service = _readable(
        lambda: client.decode(f"/api/v1/namespaces/{escape(namespace)}/services/{escape(SERVICE)}", decoder(Service))
    )
    found = _readable(lambda: monitors.service_monitors(client))
    prometheuses = _readable(lambda: monitors.prometheuses(client))
    candidates = [installation.monitor_namespace] if installation.monitor_namespace else list(CANDIDATES)
    account = installation.monitor_account or ACCOUNT
    listed = prometheuses if isinstance(prometheuses, list) else []
    spaces = {item.metadata.namespace for item in found} if isinstance(found, list) else set()
    labels = {space: _readable(lambda space=space: _namespace(client, space)) for space in {*spaces, *candidates}}  # type: ignore[misc]
    return Seen(
        installation,
        service,
        found,
        prometheuses,
        {space: _account(client, space, account, labels[space]) for space in candidates},
        {space: item for space, item in labels.items() if isinstance(item, dict)},
        {who: _rules(client, who, namespace) for who in sorted({item.runs_as for item in listed})},
    )


def _namespace(client: Client, name: str) -> dict[str, str]:
    found: _Object = client.decode(f"/api/v1/namespaces/{escape(name)}", decoder(_Object))
    return found.metadata.labels


def _account(client: Client, namespace: str, name: str, labels: dict[str, str] | Hidden | None) -> bool | Hidden | None:
    if labels is None:
        return None
    path = f"/api/v1/namespaces/{escape(namespace)}/serviceaccounts/{escape(name)}"
    found = _readable(lambda: client.decode(path, decoder(_Object)))
    return found if isinstance(found, Hidden) else found is not None


def _rules(client: Client, account: Account, namespace: str) -> list[Rule] | Hidden:
    found = _readable(lambda: rbac.rules(client, account, namespace))
    return found if found is not None else []


def _readable(read: Callable[[], T]) -> T | Hidden | None:
    try:
        return read()
    except NotFound:
        return None
    except Forbidden as error:
        return Hidden(error.message)


# ------------------------------------------------------------------------------------------------------------ checks


def check(seen: Seen) -> list[Finding]:
    """What keeps Prometheus from scraping KubeVirt, each check before those that depend on it. Pure."""
    findings = [_operator(seen), _account_found(seen), _service(seen)]
    if seen.monitors is None or isinstance(seen.monitors, Hidden) or not isinstance(seen.service, Service):
        return findings
    labels = seen.service.metadata.labels
    selecting = [item for item in seen.monitors if item.selects(seen.installation.namespace, labels)]
    findings.append(_monitor(seen, selecting, labels))
    if not selecting:
        return findings
    findings += [_endpoint(item) for item in selecting]
    if len(selecting) > 1:
        names = ", ".join(item.path for item in selecting)
        findings.append(
            Finding(
                "one-monitor",
                WARN,
                f"{len(selecting)} ServiceMonitors select the Service: {names}; each pod is scraped as many times, and "
                "a virt-handler serves at most 3 scrapes at once",
                "delete all but one",
            )
        )
    findings.append(_selected(seen, selecting))
    findings += _rights(seen, selecting)
    if openshift := _openshift(seen, selecting):
        findings.append(openshift)
    return findings


def _operator(seen: Seen) -> Finding:
    if seen.monitors is None:
        return Finding(
            "prometheus-operator",
            FAIL,
            "the cluster has no ServiceMonitor resource: the Prometheus Operator is not installed, so virt-operator "
            "creates no ServiceMonitor",
            "kubectl vmetrics targets kubevirt -o scrape-config, for a Prometheus without the operator",
        )
    if isinstance(seen.monitors, Hidden):
        return Finding("prometheus-operator", SKIP, seen.monitors.message)
    return Finding("prometheus-operator", PASS, "the cluster has the ServiceMonitor resource")


def _account_found(seen: Seen) -> Finding:
    check, told = "account", seen.installation
    where = next((space for space, found in seen.accounts.items() if found is True), None)
    if where:
        return Finding(check, PASS, f"virt-operator finds the service account {where}/{seen.account}")
    if other := _working(seen):
        # The account does not matter: an equivalent of what virt-operator would create exists.
        return Finding(check, PASS, f"{other.path} replaces the ServiceMonitor that virt-operator would create")
    hidden = next((found for found in seen.accounts.values() if isinstance(found, Hidden)), None)
    if hidden:
        return Finding(check, SKIP, hidden.message)
    looked = ", ".join(
        f"{space} ({'does not exist' if found is None else 'exists, but without it'})"
        for space, found in seen.accounts.items()
    )
    said = "" if told.monitor_namespace or told.monitor_account else ", because the KubeVirt object names none"
    return Finding(
        check,
        FAIL,
        f"virt-operator looks for the service account {seen.account} in {looked}{said}; without it, it creates "
        "no ServiceMonitor and reports this only in its log",
        _tell(seen),
    )


def _working(seen: Seen) -> ServiceMonitor | None:
    """A ServiceMonitor, not virt-operator's, that selects KubeVirt's Service and that a Prometheus selects."""
    if not isinstance(seen.monitors, list) or not isinstance(seen.prometheuses, list):
        return None
    if not isinstance(seen.service, Service):
        return None
    labels = seen.service.metadata.labels
    for item in seen.monitors:
        if item.metadata.name == MADE:
            continue
        if item.selects(seen.installation.namespace, labels) and any(
            not prometheus.refuses(item, lambda space: seen.namespaces.get(space, {}))
            for prometheus in seen.prometheuses
        ):
            return item
    return None


def _tell(seen: Seen) -> str:
    """The command that points virt-operator at the existing Prometheus; a changed setting makes it decide again."""
    known = seen.prometheuses if isinstance(seen.prometheuses, list) else []
    accounts = {item.runs_as for item in known}
    space, account = accounts.pop() if len(accounts) == 1 else ("NAMESPACE", "ACCOUNT")
    patch = f'{{"spec":{{"monitorNamespace":"{space}","monitorAccount":"{account}"}}}}'
    name = seen.installation.name or "kubevirt"
    return f"kubectl -n {seen.installation.namespace} patch kubevirt {name} --type=merge -p '{patch}'"


def _service(seen: Seen) -> Finding:
    check, name = "service", f"{seen.installation.namespace}/{SERVICE}"
    if isinstance(seen.service, Hidden):
        return Finding(check, SKIP, seen.service.message)
    if seen.service is None:
        return Finding(check, FAIL, f"the Service {name} is missing", "virt-operator creates it: check its log")
    if PORT not in [port.name for port in seen.service.spec.ports]:
        return Finding(check, FAIL, f"the Service {name} has no port {PORT}", "virt-operator creates it: check its log")
    return Finding(check, PASS, f"the Service {name} has the port {PORT}")


def _monitor(seen: Seen, selecting: list[ServiceMonitor], labels: Mapping[str, str]) -> Finding:
    check, namespace = "service-monitor", seen.installation.namespace
    if selecting:
        return Finding(check, PASS, f"{selecting[0].path} selects the Service")
    remedy = "kubectl vmetrics manifests kubevirt | kubectl apply -f -"
    for item in seen.monitors if isinstance(seen.monitors, list) else []:
        if METRICS_LABEL not in (*item.spec.selector.labels, *(e.key for e in item.spec.selector.expressions)):
            continue
        if not item.reaches(namespace):
            return Finding(check, FAIL, f"{item.path} does not look for Services in {namespace}", remedy)
        unmet = ", ".join(item.spec.selector.unmet(labels))
        return Finding(
            check, FAIL, f"{item.path} selects Services with the label {unmet}, which this Service lacks", remedy
        )
    frozen = ""
    if any(found is True for found in seen.accounts.values()):
        frozen = (
            "; virt-operator decided before Prometheus was installed, and decides again only when monitorNamespace or "
            "monitorAccount changes in the KubeVirt object"
        )
    return Finding(check, FAIL, f"no ServiceMonitor selects the Service{frozen}", remedy)


def _endpoint(monitor: ServiceMonitor) -> Finding:
    check = "endpoint"
    endpoint = next((item for item in monitor.spec.endpoints if item.port == PORT), None)
    if endpoint is None:
        return Finding(check, FAIL, f"{monitor.path} has no endpoint for the port {PORT}", f"name it: port: {PORT}")
    wrong = list(_mistakes(endpoint))
    if wrong:
        return Finding(
            check, FAIL, f"{monitor.path}: {'; '.join(what for what, _ in wrong)}", "; ".join(fix for _, fix in wrong)
        )
    return Finding(check, PASS, f"{monitor.path} scrapes over HTTPS and keeps the machines' own labels")


def _mistakes(endpoint: Endpoint) -> Iterator[tuple[str, str]]:
    if endpoint.scheme.lower() != "https":
        yield "it scrapes over HTTP, but the components serve HTTPS only", "scheme: https"
    if not endpoint.tls.insecure:
        yield "it verifies certificates that contain no pod IP addresses", "tlsConfig: {insecureSkipVerify: true}"
    dropped = any(item.action.lower() == "labeldrop" and item.regex == "namespace" for item in endpoint.relabelings)
    if not endpoint.honor_labels and not dropped:
        yield "the namespace of a virtual machine becomes exported_namespace", "honorLabels: true"


def _selected(seen: Seen, selecting: list[ServiceMonitor]) -> Finding:
    check = "selected"
    if seen.prometheuses is None or isinstance(seen.prometheuses, Hidden):
        why = seen.prometheuses.message if isinstance(seen.prometheuses, Hidden) else "there are no Prometheus objects"
        return Finding(check, SKIP, why)
    if not seen.prometheuses:
        return Finding(check, FAIL, "there is no Prometheus object, so nothing reads ServiceMonitors", "create one")
    reasons = []
    for prometheus in seen.prometheuses:
        for monitor in selecting:
            why = prometheus.refuses(monitor, lambda space: seen.namespaces.get(space, {}))
            if not why:
                return Finding(check, PASS, f"Prometheus {prometheus.path} selects {monitor.path}")
            reasons.append(f"Prometheus {prometheus.path} does not select {monitor.path}: {why}")
    return Finding(
        check,
        FAIL,
        "; ".join(dict.fromkeys(reasons)),
        "kubectl vmetrics manifests kubevirt | kubectl apply -f -   (it has the labels that Prometheus selects; "
        "virt-operator removes labels added to its own)",
    )


def _rights(seen: Seen, selecting: list[ServiceMonitor]) -> list[Finding]:
    findings = []
    for prometheus in seen.prometheuses if isinstance(seen.prometheuses, list) else []:
        if all(prometheus.refuses(item, lambda space: seen.namespaces.get(space, {})) for item in selecting):
            continue
        account = prometheus.runs_as
        rules = seen.rules.get(account, [])
        if isinstance(rules, Hidden):
            findings.append(Finding("rights", SKIP, rules.message))
            continue
        lacking = prometheus.lacks(rules)
        name, namespace = f"{account.namespace}/{account.name}", seen.installation.namespace
        if lacking:
            findings.append(
                Finding(
                    "rights",
                    FAIL,
                    f"Prometheus {prometheus.path} runs as {name}, which cannot list and watch "
                    f"{', '.join(lacking)} in {namespace}, so it discovers no targets there",
                    f"kubectl vmetrics manifests kubevirt --monitor-namespace {account.namespace} --monitor-account "
                    f"{account.name} | kubectl apply -f -",
                )
            )
        else:
            findings.append(Finding("rights", PASS, f"{name} can list and watch what it needs in {namespace}"))
    if any(
        item.result == PASS for item in findings
    ):  # one that reads it is enough; others may be meant for other things
        findings = [item._replace(result=WARN) if item.result == FAIL else item for item in findings]
    return findings


def _openshift(seen: Seen, selecting: list[ServiceMonitor]) -> Finding | None:
    if seen.accounts.get(OPENSHIFT) is None and OPENSHIFT not in seen.namespaces:
        return None
    check = "openshift-label"
    spaces = sorted({item.metadata.namespace for item in selecting})
    without = [space for space in spaces if seen.namespaces.get(space, {}).get(CLUSTER_MONITORING) != "true"]
    if without:
        return Finding(
            check,
            WARN,
            f"OpenShift's Prometheus selects namespaces with the label {CLUSTER_MONITORING}=true, which {without[0]} "
            "lacks",
            f"kubectl label namespace {without[0]} {CLUSTER_MONITORING}=true",
        )
    return Finding(check, PASS, f"{', '.join(spaces)} has the label {CLUSTER_MONITORING}=true")
