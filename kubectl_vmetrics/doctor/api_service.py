"""The APIServices of metrics.k8s.io: what serves them, and why the aggregator reports one as unavailable.

Each version is an APIService of its own: v1beta1, and v1 since Kubernetes 1.37 (KEP-5207). One is enough.
Reasons and messages: kubernetes/kube-aggregator pkg/controllers/status.
"""

from __future__ import annotations

import contextlib
import re

import msgspec

from kubectl_vmetrics.kube.core import Condition, ObjectMeta
from kubectl_vmetrics.kube.errors import NotFound
from kubectl_vmetrics.kube.lists import decoder
from kubectl_vmetrics.metrics.metrics_api import SUPPORTED

from .check import Cause, Outcome, Session, failed, passed, warned

NAMES = tuple(f"{version}.metrics.k8s.io" for version in SUPPORTED)
NAME = NAMES[0]
ISSUES = "kubernetes-sigs/metrics-server issue "
DOCS = "https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/"
INSTALL = "kubectl vmetrics manifests metrics-server | kubectl apply -f -"


class _ServiceRef(msgspec.Struct):
    name: str = ""
    namespace: str = ""
    port: int = 443


class _ApiSpec(msgspec.Struct):
    service: _ServiceRef | None = None


class _ApiStatus(msgspec.Struct):
    conditions: list[Condition] = []


class ApiService(msgspec.Struct):
    """An APIService: what serves an API group, and whether it is available."""

    metadata: ObjectMeta
    spec: _ApiSpec = msgspec.field(default_factory=_ApiSpec)
    status: _ApiStatus = msgspec.field(default_factory=_ApiStatus)

    @property
    def service(self) -> _ServiceRef:
        """The Service behind it; its name is empty if the apiserver serves the group itself."""
        return self.spec.service or _ServiceRef()

    @property
    def where(self) -> str:
        """The Service's namespace and name."""
        return f"{self.service.namespace}/{self.service.name}"

    @property
    def condition(self) -> Condition | None:
        """What the aggregator reports; None if it has reported nothing yet."""
        return next((item for item in self.status.conditions if item.type == "Available"), None)

    @property
    def available(self) -> bool:
        """Whether requests get through."""
        return self.condition is not None and self.condition.status == "True"


def api_services(session: Session) -> list[ApiService]:
    """The APIServices of metrics.k8s.io that exist, in the order in which the plugin tries them."""

    def read() -> list[ApiService]:
        found = []
        for name in NAMES:
            with contextlib.suppress(NotFound):
                path = f"/apis/apiregistration.k8s.io/v1/apiservices/{name}"
                found.append(session.client.decode(path, decoder(ApiService)))
        return found

    return session.once("apiservices", read)


def api_service(session: Session) -> ApiService:
    """The APIService that answers the plugin: the first that is available, or the first. Raises NotFound."""
    found = api_services(session)
    if not found:
        raise NotFound(f"there is no APIService {' or '.join(NAMES)}", code=404, reason="NotFound")
    return next((item for item in found if item.available), found[0])


INSTALLED = {
    "nothing": Cause(
        "nothing serves metrics.k8s.io, because metrics-server is not installed",
        f"{INSTALL}; or use --source kubelet, which works without it",
        "https://github.com/kubernetes-sigs/metrics-server",
    ),
    "other": Cause(
        "a component other than metrics-server serves metrics.k8s.io, for example prometheus-adapter",
        "see its documentation for where its numbers come from; if it is no longer in use: kubectl delete apiservice "
        f"{NAME}",
        ISSUES + "1084",
    ),
}


def installed(session: Session) -> Outcome:
    """What serves metrics.k8s.io."""
    found = api_services(session)
    if not found:
        return failed(f"there is no APIService {' or '.join(NAMES)}", "nothing")
    seen = [f"{item.metadata.name}: Service {item.where}, port {item.service.port}" for item in found]
    others = [item for item in found if "metrics-server" not in item.service.name]
    text = f"metrics.k8s.io is served by {' and '.join(dict.fromkeys(item.where for item in found))}"
    if others:
        return warned(text, "other", _named(INSTALLED["other"].remedy, others[0]), seen)
    return passed(text, seen)


def _named(remedy: str, found: ApiService) -> str:
    """A remedy for the APIService of this version."""
    return remedy.replace(NAME, found.metadata.name)


AVAILABLE = {
    "ServiceNotFound": Cause("the Service it refers to does not exist", INSTALL),
    "ServicePortError": Cause(
        "the Service does not expose the port that the APIService refers to",
        f"kubectl edit apiservice {NAME}, and correct spec.service.port",
    ),
    "EndpointsNotFound": Cause(
        "the Service has no endpoints: its selector matches no pods", "compare its selector with the labels of the pods"
    ),
    "MissingEndpoints": Cause(
        "none of the Service's pods is ready", "kubectl vmetrics doctor --only VM104: what they are waiting for"
    ),
    "refused": Cause(
        "nothing is listening behind the Service: its pods have just stopped, or listen on another port",
        "kubectl -n kube-system get pods -l k8s-app=metrics-server -o wide",
    ),
    "timeout": Cause(
        "the control plane cannot reach the pod network, because of a firewall, private nodes or a missing kube-proxy",
        "open port 10250 from the control plane to the pods, set --enable-aggregator-routing=true on kube-apiserver, "
        "or set hostNetwork: true for metrics-server",
        ISSUES + "141",
    ),
    "proxy": Cause(
        "kube-apiserver sends its requests through the proxy set in its environment",
        "add the Service and pod CIDRs to NO_PROXY of kube-apiserver",
        ISSUES + "543",
    ),
    "identity": Cause(
        "metrics-server does not trust the apiserver: without --proxy-client-cert-file it is system:anonymous, and "
        "the common name of its certificate must be listed in --requestheader-allowed-names",
        "set --proxy-client-cert-file and --proxy-client-key-file on kube-apiserver, signed by the CA in "
        "--requestheader-client-ca-file",
        DOCS,
    ),
    "certificate": Cause(
        "the APIService does not trust the serving certificate of metrics-server",
        f"set the right caBundle in the APIService {NAME}, or insecureSkipTLSVerify: true",
    ),
    "unknown": Cause(
        "the aggregator could not check it",
        f"kubectl get apiservice {NAME} -o yaml, and see the log of kube-apiserver",
    ),
}


def available(session: Session) -> Outcome:
    """Whether the aggregator reports what exists as available; one version is enough for most clients."""
    used, found = api_service(session), api_services(session)
    bad = next((item for item in found if not item.available), None)
    seen = [
        f"{item.metadata.name}: {condition.type} is {condition.status}: {condition.reason}: {condition.message}"
        for item in found
        for condition in item.status.conditions
    ]
    if bad is None:
        names = " and ".join(item.metadata.name for item in found)
        reason = used.condition.reason if used.condition else ""
        what = "the APIService is available" if len(found) == 1 else f"the APIServices {names} are available"
        return passed(f"{what} ({reason or 'Passed'})", seen)
    condition = bad.condition
    if condition is None:
        text, cause = "the APIService has no condition Available yet", "unknown"
    else:
        text, cause = f"{condition.reason or 'not available'}: {condition.message}", _reason(condition)
    remedy = _named(AVAILABLE[cause].remedy, bad)
    if used.available:
        text = f"{bad.metadata.name} is not available, {used.metadata.name} is: {text}"
        return warned(text, cause, remedy, seen)
    return failed(text, cause, remedy, seen)


def _reason(condition: Condition) -> str:
    message = condition.message.lower()
    if condition.reason in AVAILABLE:
        return condition.reason
    if "connection refused" in message:
        return "refused"
    if any(word in message for word in ("x509", "certificate")):
        return "certificate"
    if "status from" in message and re.search(r": 40[13]\b", message):
        return "identity"
    if any(word in message for word in ("timeout", "deadline exceeded", "timed out", "no route to host")):
        return "timeout"
    if message.endswith(("forbidden", "eof", "proxyconnect")) or "proxyconnect" in message:
        return "proxy"
    return "unknown"
