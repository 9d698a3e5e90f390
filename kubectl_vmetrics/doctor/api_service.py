"""The APIService of metrics.k8s.io: what serves it, and why the aggregator reports it as unavailable.

Reasons and messages: kubernetes/kube-aggregator pkg/controllers/status.
"""

from __future__ import annotations

import re

import msgspec

from kubectl_vmetrics.kube.core import Condition
from kubectl_vmetrics.kube.errors import NotFound
from kubectl_vmetrics.kube.lists import decoder

from .check import Cause, Outcome, Session, failed, passed, warned

NAME = "v1beta1.metrics.k8s.io"
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

    spec: _ApiSpec = msgspec.field(default_factory=_ApiSpec)
    status: _ApiStatus = msgspec.field(default_factory=_ApiStatus)

    @property
    def service(self) -> _ServiceRef:
        """The Service behind it; its name is empty if the apiserver serves the group itself."""
        return self.spec.service or _ServiceRef()


def api_service(session: Session) -> ApiService:
    """The APIService of metrics.k8s.io. Raises NotFound."""
    path = f"/apis/apiregistration.k8s.io/v1/apiservices/{NAME}"

    def read() -> ApiService:
        found: ApiService = session.client.decode(path, decoder(ApiService))
        return found

    return session.once("apiservice", read)


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
    try:
        service = api_service(session).service
    except NotFound:
        return failed(f"there is no APIService {NAME}", "nothing")
    where = f"{service.namespace}/{service.name}"
    seen = [f"{NAME}: Service {where}, port {service.port}"]
    if "metrics-server" not in service.name:
        return warned(f"metrics.k8s.io is served by {where}", "other", "", seen)
    return passed(f"metrics.k8s.io is served by {where}", seen)


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
    """Whether the aggregator reports it as available."""
    found = api_service(session)
    condition = next((item for item in found.status.conditions if item.type == "Available"), None)
    if condition is None:
        return failed("the APIService has no condition Available yet", "unknown")
    seen = [f"{item.type} is {item.status}: {item.reason}: {item.message}" for item in found.status.conditions]
    if condition.status == "True":
        return passed(f"the APIService is available ({condition.reason or 'Passed'})", seen)
    return failed(f"{condition.reason or 'not available'}: {condition.message}", _reason(condition), "", seen)


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
