"""metrics-server: its pods and its log.

Sources of the causes: kubernetes-sigs/metrics-server KNOWN_ISSUES.md, and the issue referenced by each cause.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from kubectl_vmetrics.kube.client import escape
from kubectl_vmetrics.kube.core import Condition, ContainerCommand, ObjectMeta, holds
from kubectl_vmetrics.kube.errors import BadRequest, NotFound, Unavailable
from kubectl_vmetrics.kube.lists import ObjectList, decoder, list_all, pods_path
from kubectl_vmetrics.metrics.findings import counted, is_

from .api_service import api_service
from .check import Cause, Outcome, Session, failed, passed, skipped, warned

ISSUES = "kubernetes-sigs/metrics-server issue "
DOCS = "https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/"


WIDEST = 200
"""The maximum length of a log line, in characters."""
LAST = 15
"""Log lines shown as evidence."""
SHOWN = (
    "secure-port",
    "metric-resolution",
    "kubelet-insecure-tls",
    "kubelet-preferred-address-types",
    "kubelet-request-timeout",
    "node-selector",
)
"""Flags shown as evidence."""
_SECRETS = re.compile(r"(?i)(\b(?:password|passwd|token|secret)[=:]\s*|\bbearer\s+(?=\S{16}))\S+|eyJ[\w-]+\.[\w.-]+")


class _Ended(msgspec.Struct):
    reason: str = ""
    code: int = msgspec.field(default=0, name="exitCode")


class _Waiting(msgspec.Struct):
    reason: str = ""


class _State(msgspec.Struct):
    waiting: _Waiting | None = None
    terminated: _Ended | None = None


class _ContainerStatus(msgspec.Struct):
    name: str = ""
    ready: bool = False
    restarts: int = msgspec.field(default=0, name="restartCount")
    state: _State = msgspec.field(default_factory=_State)
    last: _State = msgspec.field(default_factory=_State, name="lastState")


class _PodSpec(msgspec.Struct):
    host_network: bool = msgspec.field(default=False, name="hostNetwork")
    containers: list[ContainerCommand] = []


class _PodStatus(msgspec.Struct):
    phase: str = ""
    started: str = msgspec.field(default="", name="startTime")
    containers: list[_ContainerStatus] = msgspec.field(default=[], name="containerStatuses")
    conditions: list[Condition] = []


class Server(msgspec.Struct):
    """A pod that serves the Metrics API."""

    metadata: ObjectMeta
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)
    status: _PodStatus = msgspec.field(default_factory=_PodStatus)

    @property
    def ready(self) -> bool:
        """Whether the pod is ready."""
        return holds(self.status.conditions, "Ready")

    @property
    def flags(self) -> dict[str, str]:
        """Its command-line flags."""
        words = [word for item in self.spec.containers for word in (*item.command, *item.args)]
        return dict(_flag(word) for word in words if word.startswith("--"))


def _flag(word: str) -> tuple[str, str]:
    name, _, value = word.removeprefix("--").partition("=")
    return name, value


class _Service(msgspec.Struct):
    spec: dict[str, Any] = {}


def servers(session: Session) -> list[Server]:
    """The pods behind its Service."""

    def read() -> list[Server]:
        service = api_service(session).service
        path = f"/api/v1/namespaces/{escape(service.namespace)}/services/{escape(service.name)}"
        found: _Service = session.client.decode(path, decoder(_Service))
        selector = ",".join(f"{key}={value}" for key, value in sorted((found.spec.get("selector") or {}).items()))
        if not selector:
            return []
        listed: list[Server] = list_all(
            session.client, pods_path(service.namespace), decoder(ObjectList[Server]), {"labelSelector": selector}
        )
        return listed

    return session.once("servers", read)


PODS = {
    "none": Cause("its selector matches no pods", "kubectl -n kube-system get deployment metrics-server"),
    "crash": Cause("its pods restart repeatedly", "kubectl vmetrics doctor --only VM103: their log"),
    "memory": Cause(
        "its memory limit is too low for the number of nodes",
        "allow 1m of CPU and 2Mi of memory per node: kubectl -n kube-system set resources deployment metrics-server "
        "--requests=cpu=100m,memory=200Mi --limits=memory=…",
        "kubernetes-sigs/metrics-server README, scaling",
    ),
    "waiting": Cause("its pods cannot start", "kubectl -n kube-system describe pod -l k8s-app=metrics-server"),
    "unready": Cause(
        "it has no metrics yet; it becomes ready after it has scraped the kubelets twice",
        "wait a minute, then run kubectl vmetrics doctor --only VM103",
        ISSUES + "1588",
    ),
    "port": Cause(
        "with hostNetwork it cannot listen on port 10250, which the kubelet uses",
        "set --secure-port=4443, and the same containerPort",
        ISSUES + "1026",
    ),
    "routing": Cause(
        "only one of its replicas is used at a time, because the apiserver connects to the Service's cluster IP and "
        "reuses the connection",
        "set --enable-aggregator-routing=true on kube-apiserver",
        DOCS,
    ),
    "resolution": Cause(
        "--metric-resolution must be 10s or more, and longer than a scrape of the kubelets",
        "set --metric-resolution=15s",
    ),
}


def pods(session: Session) -> Outcome:
    """Whether its pods are ready, and if not, why."""
    try:
        found = servers(session)
    except NotFound:
        return skipped("its Service does not exist")  # the check of the APIService reports it
    if not found:
        return failed("there are no pods behind the Service", "none")
    return _judged(session, found)._replace(evidence=tuple(line for pod in found for line in _seen(pod)))


def _seen(pod: Server) -> list[str]:
    """A pod and its containers, line by line."""
    name = f"{pod.metadata.namespace}/{pod.metadata.name}"
    flags = " ".join(f"--{key}={pod.flags[key]}" if pod.flags[key] else f"--{key}" for key in SHOWN if key in pod.flags)
    lines = [f"{name}: {'ready' if pod.ready else 'not ready'}{f', {flags}' if flags else ''}"]
    for item in pod.status.containers:
        waiting = f"waiting: {item.state.waiting.reason}" if item.state.waiting else "running"
        ended = f", last terminated: {item.last.terminated.reason}" if item.last.terminated else ""
        lines.append(f"{name}: {waiting}, {counted(item.restarts, 'restart')}{ended}")
    return lines


def _judged(session: Session, found: list[Server]) -> Outcome:
    for pod in found:
        name = pod.metadata.name
        if pod.spec.host_network and pod.flags.get("secure-port", "10250") == "10250" and not pod.ready:
            return failed(f"{name} uses the node's network and port 10250", "port")
        resolution = _seconds(pod.flags.get("metric-resolution", ""))
        if resolution is not None and resolution < 10:
            return failed(f"{name} runs with --metric-resolution={pod.flags['metric-resolution']}", "resolution")
        for item in pod.status.containers:
            if item.last.terminated and item.last.terminated.reason == "OOMKilled":
                return failed(f"{name} was OOMKilled ({counted(item.restarts, 'restart')})", "memory")
            waiting = item.state.waiting.reason if item.state.waiting else ""
            if waiting == "CrashLoopBackOff":
                return failed(f"{name} is in CrashLoopBackOff ({counted(item.restarts, 'restart')})", "crash")
            if waiting:
                return failed(f"{name} is waiting: {waiting}", "waiting")
    unready = [pod.metadata.name for pod in found if not pod.ready]
    if len(unready) == len(found):
        return failed(f"not ready: {', '.join(unready)}", "unready")
    if len(found) > 1 and _unrouted(session):
        return warned(f"{len(found)} pods, and kube-apiserver runs without --enable-aggregator-routing", "routing")
    image = found[0].spec.containers[0].image if found[0].spec.containers else "?"
    ready = len(found) - len(unready)
    return passed(f"{ready} of {counted(len(found), 'pod')} {is_(ready)} ready ({image.rpartition('/')[2]})")


def _unrouted(session: Session) -> bool:
    """Whether an apiserver that runs as a static pod lacks --enable-aggregator-routing."""
    path, wanted = pods_path("kube-system"), {"labelSelector": "component=kube-apiserver"}
    found: list[Server] = list_all(session.client, path, decoder(ObjectList[Server]), wanted)
    return any(pod.flags.get("enable-aggregator-routing") != "true" for pod in found)


def _seconds(text: str) -> float | None:
    from kubectl_vmetrics.kube import duration

    try:
        return duration.parse(text) if text else None
    except ValueError:
        return None


LOG = {
    "ip-sans": Cause(
        "the kubelets' certificates have no IP SANs, and metrics-server connects to IP addresses",
        "set serverTLSBootstrap: true in the kubelets' configuration and approve their requests (kubectl get csr); or "
        "set --kubelet-preferred-address-types=Hostname; for tests only: --kubelet-insecure-tls",
        ISSUES + "196",
    ),
    "request-header": Cause(
        "the apiserver's client certificate is not signed by the CA that metrics-server is configured with",
        "--proxy-client-cert-file must be signed by the CA in --requestheader-client-ca-file",
        ISSUES + "146",
    ),
    "unknown-authority": Cause(
        "the kubelets' certificates are not signed by the cluster CA",
        "set serverTLSBootstrap: true in the kubelets' configuration, or --kubelet-certificate-authority; for tests "
        "only: --kubelet-insecure-tls",
        ISSUES + "146",
    ),
    "allowed-names": Cause(
        "the common name of the apiserver's client certificate is not allowed",
        "add it to --requestheader-allowed-names of kube-apiserver, or leave that list empty",
        ISSUES + "40",
    ),
    "cluster-ip": Cause(
        "pods cannot reach the apiserver's Service: kube-proxy or the network plugin is down, CIDRs overlap, or a "
        "firewall drops forwarded packets",
        "kubectl -n kube-system get pods -l k8s-app=kube-proxy, then check the network plugin",
        ISSUES + "375",
    ),
    "auth-reader": Cause(
        "its service account is not allowed to read extension-apiserver-authentication",
        "kubectl vmetrics manifests metrics-server | kubectl apply -f -   (RoleBinding metrics-server-auth-reader)",
        ISSUES + "1032",
    ),
    "kubelet-403": Cause(
        "its service account is not allowed to read the kubelets' metrics; since v0.6 it needs nodes/metrics",
        "kubectl vmetrics manifests metrics-server | kubectl apply -f -   (ClusterRole system:metrics-server)",
        ISSUES + "990",
    ),
    "kubelet-401": Cause(
        "the kubelets do not accept its token",
        "set authentication.webhook.enabled: true and authorization.mode: Webhook in the kubelets' configuration, and "
        "compare the clocks of the nodes",
        ISSUES + "144",
    ),
    "no-such-host": Cause(
        "node names cannot be resolved in pods",
        "set --kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
    ),
    "kubelet-timeout": Cause(
        "pods cannot reach the kubelets, or the kubelets take too long",
        "open port 10250 between pods and nodes, and check that the pod CIDR does not overlap the node network",
    ),
    "address-in-use": Cause(
        "its port is in use: with hostNetwork, the kubelet uses port 10250",
        "set --secure-port=4443, and the same containerPort",
        ISSUES + "1026",
    ),
    "permission": Cause("it is not allowed to listen on a port below 1024", "set --secure-port=10250", ISSUES + "782"),
}
# From the most specific to the most general.
_PATTERNS = (
    ("ip-sans", r"doesn't contain any IP SANs"),
    ("allowed-names", r"is not in the allowed list"),
    ("request-header", r"Unable to authenticate the request.*x509: certificate signed by unknown authority"),
    ("auth-reader", r"extension-apiserver-authentication\"? is forbidden"),
    ("cluster-ip", r"extension-apiserver-authentication.*(i/o timeout|connection refused|no route to host)"),
    ("unknown-authority", r"x509: certificate signed by unknown authority"),
    ("kubelet-403", r"request failed, status: \\?\"?403"),
    ("kubelet-401", r"request failed, status: \\?\"?401"),
    ("no-such-host", r"no such host"),
    ("address-in-use", r"bind: address already in use"),
    ("permission", r"bind: permission denied"),
    (
        "kubelet-timeout",
        r"(Failed to scrape node|unable to fully scrape).*(i/o timeout|deadline exceeded|refused|no route)",
    ),
)


def log(session: Session) -> Outcome:
    """Whether its log contains a known error."""
    try:
        found = servers(session)
    except NotFound:
        return skipped("its Service does not exist")
    lines: list[str] = []
    for pod in found[:2]:
        lines += _lines(session, pod)
    for key, pattern in _PATTERNS:
        known = re.compile(pattern)
        matching = [line for line in lines if known.search(line)]
        if matching:
            said = _said(matching[-1])
            # While the server is ready, an error concerns a single node or is in the past.
            judged = warned if all(pod.ready for pod in found) else failed
            return judged(said, key, "", [_said(line) for line in _latest(matching)])
    return passed(f"no known errors ({counted(len(lines), 'line')})", [_said(line) for line in lines[-LAST:]])


def _latest(lines: list[str]) -> list[str]:
    """The last LAST distinct lines."""
    return list(dict.fromkeys(reversed(lines)))[:LAST][::-1]


def _lines(session: Session, pod: Server) -> list[str]:
    """The end of its log; after a crash also that of the previous container, which holds the reason."""
    path = f"{pods_path(pod.metadata.namespace)}/{escape(pod.metadata.name)}/log"
    crashed = any(item.restarts and not item.ready for item in pod.status.containers)
    found: list[str] = []
    for previous in (None, "true") if crashed else (None,):
        try:
            answer = session.client.get(path, {"tailLines": 200, "previous": previous}, accept="*/*")
        except (NotFound, Unavailable, BadRequest):
            continue
        found += answer.body.decode("utf-8", "replace").splitlines()
    return found


def _said(line: str) -> str:
    """The message of a klog line, without secrets and truncated to WIDEST."""
    text = re.sub(r"^[IWEF]\d{4} [\d:.]+\s+\d+ [^\]]*\] ", "", line).strip()
    text = _SECRETS.sub(r"\1…", text)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
