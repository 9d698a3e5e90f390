"""The kubelets: whether each answers through the apiserver, and what is missing from its answer.

kubernetes pkg/kubelet/server, pkg/kubelet/apis/config; authorization: k8s.io/kubernetes pkg/kubelet/server/auth.go.
"""

from __future__ import annotations

from kubectl_vmetrics.kube.errors import Forbidden, Unauthorized, VmetricsError
from kubectl_vmetrics.metrics.findings import counted, is_, some

from . import kernel
from .check import Cause, Check, Outcome, Session, failed, passed, skipped, warned
from .nodes import Node, answers, asked, nodes, ready, rest

AREA = "kubelets"
SLOW = 5.0
"""Seconds; metrics-server times out after ten."""
_READY = {
    "not-ready": Cause(
        "a node that is not ready has no metrics or outdated ones",
        "kubectl describe node NODE, and see its conditions",
        "https://kubernetes.io/docs/reference/node/node-status/",
    )
}


def _all_ready(session: Session) -> Outcome:
    found = nodes(session)
    if not found:
        return skipped("there are no nodes")
    seen = [f"{node.metadata.name}: {_condition(node)}, kubelet {node.status.info.version}" for node in found]
    bad = [node.metadata.name for node in found if not ready(node)]
    if bad:
        number = f"{len(bad)} of {counted(len(found), 'node')}"
        return failed(f"{number} {is_(len(bad))} not ready: {some(bad)}", "not-ready", evidence=seen)
    return passed(f"all {len(found)} nodes are ready" if len(found) > 1 else "1 node is ready", seen)


def _condition(node: Node) -> str:
    found = next((item for item in node.status.conditions if item.type == "Ready"), None)
    if found is None:
        return "no condition Ready"
    return "Ready" if found.status == "True" else f"Ready is {found.status} ({found.reason or 'no reason'})"


_REACHED = {
    "caller": Cause(
        "you are not allowed to reach kubelets through the apiserver",
        "kubectl vmetrics manifests rbac --for raw --user YOU; nodes/proxy lets its holder run commands in any pod",
        "https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/",
    ),
    "apiserver": Cause(
        "the kubelets do not authorize the apiserver's client certificate: since kubeadm 1.35.5 and 1.36.1 it has no "
        "group and needs a binding",
        "kubectl create clusterrolebinding kubeadm:apiserver-kubelet-client --clusterrole=system:kubelet-api-admin "
        "--user=kube-apiserver-kubelet-client",
        "kubernetes cmd/kubeadm",
    ),
    "unauthorized": Cause(
        "the kubelets do not trust the apiserver's client certificate",
        "--kubelet-client-certificate of kube-apiserver must be signed by the CA in the kubelets' "
        "authentication.x509.clientCAFile",
    ),
    "refused": Cause(
        "nothing is listening on port 10250 of the node, so its kubelet is down",
        "systemctl status kubelet, on the node",
    ),
    "timeout": Cause(
        "the control plane cannot reach the nodes, or the kubelet takes too long",
        "open port 10250 from the control plane to the nodes (konnectivity on managed clusters)",
    ),
    "tls": Cause(
        "the apiserver does not trust the kubelet's serving certificate",
        "--kubelet-certificate-authority of kube-apiserver must be the CA that signs the kubelets' certificates",
    ),
    "other": Cause("the kubelet returns an error", "journalctl -u kubelet, on the node"),
}


def _reached(session: Session) -> Outcome:
    found = asked(session)
    if not found:
        return skipped("no node is ready")
    seen = [
        f"{name}: {item.message if isinstance(item, VmetricsError) else f'answered in {item.seconds * 1000:.0f} ms'}"
        for name, item in found.items()
    ]
    errors = {name: item for name, item in found.items() if isinstance(item, VmetricsError)}
    if not errors:
        return passed(
            f"all {len(found)} kubelets answer through the apiserver"
            if len(found) > 1
            else "1 kubelet answers through the apiserver",
            seen,
        )
    error = next(iter(errors.values()))
    do = "does" if len(errors) == 1 else "do"
    text = f"{len(errors)} of {counted(len(found), 'kubelet')} {do} not answer: {some(list(errors))}: {error.message}"
    return failed(text, _why(error), "", seen, partial=len(errors) < len(found))


def _why(error: VmetricsError) -> str:
    message = error.message.lower()
    if isinstance(error, Forbidden):
        return "caller" if "nodes/proxy" in message and "cannot get resource" in message else "apiserver"
    if isinstance(error, Unauthorized):
        return "unauthorized"
    if "connection refused" in message:
        return "refused"
    if any(word in message for word in ("x509", "certificate", "tls")):
        return "tls"
    if any(word in message for word in ("timeout", "timed out", "deadline", "no route", "exceeded")):
        return "timeout"
    return "other"


_COMPLETE = {
    "error": Cause(
        "the kubelet could not get metrics from the container runtime",
        "journalctl -u kubelet, on the node; the runtime may be overloaded or too old",
    ),
    "containers": Cause(
        "the kubelet reports the node but no containers, because its runtime provides no statistics",
        "upgrade the runtime (cri-dockerd, containerd), and check the kubelet's --housekeeping-interval",
        "kubernetes-sigs/metrics-server issue 1061",
    ),
}


def _complete(session: Session) -> Outcome:
    found = answers(session)
    if not found:
        return skipped("no kubelet answers")
    seen = [f"{item.node}: {len(item.text) >> 10} KiB, {counted(_lines(item.text), 'container')}" for item in found]
    broken = [
        item.node for item in found if b"resource_scrape_error 1" in item.text or b"\nscrape_error 1" in item.text
    ]
    if broken:
        return failed(f"resource_scrape_error is 1 on {some(broken)}{rest(session)}", "error", "", seen)
    empty = [item.node for item in found if not _lines(item.text)]
    if empty:
        return failed(f"no container_* series on {some(empty)}{rest(session)}", "containers", "", seen)
    size = sum(len(item.text) for item in found)
    verb = "reports" if len(found) == 1 else "report"
    text = f"{counted(len(found), 'kubelet')} {verb} containers ({size >> 10} KiB in total){rest(session)}"
    return passed(text, seen)


def _lines(text: bytes) -> int:
    return text.count(b"container_cpu_usage_seconds_total{")


_FAST = {
    "slow": Cause(
        "metrics-server times out after 10s and leaves out kubelets that are slower",
        "check the node's load and its container runtime; or increase --kubelet-request-timeout of metrics-server, up "
        "to 90% of --metric-resolution",
    )
}


def _fast(session: Session) -> Outcome:
    found = answers(session)
    if not found:
        return skipped("no kubelet answers")
    slowest = sorted(found, key=lambda item: -item.seconds)
    seen = [f"{item.node}: {item.seconds * 1000:.0f} ms" for item in slowest]
    slow = [item.node for item in slowest if item.seconds > SLOW]
    if slow:
        return warned(f"{some(slow)} took up to {slowest[0].seconds:.1f} s{rest(session)}", "slow", "", seen)
    return passed(f"the slowest answered in {slowest[0].seconds * 1000:.0f} ms{rest(session)}", seen)


CHECKS = (
    Check("VM201", AREA, "nodes", _READY, _all_ready),
    Check("VM202", AREA, "kubelets through the apiserver", _REACHED, _reached),
    Check("VM203", AREA, "container metrics of kubelets", _COMPLETE, _complete, ("VM202",)),
    Check("VM204", AREA, "response times of kubelets", _FAST, _fast, ("VM202",)),
    Check("VM205", AREA, "cgroups", kernel.CGROUPS, kernel.cgroups, ("VM202",)),
    Check("VM206", AREA, "pressure", kernel.PRESSURE, kernel.stalls, ("VM202",)),
)
