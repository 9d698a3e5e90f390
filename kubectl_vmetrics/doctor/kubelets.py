"""The kubelets: whether each answers through the apiserver, and what it leaves out.

kubernetes pkg/kubelet/server, pkg/kubelet/apis/config; who may what: k8s.io/kubernetes pkg/kubelet/server/auth.go.
"""

from __future__ import annotations

import time
from functools import partial
from typing import NamedTuple

import msgspec

from kubectl_vmetrics.kube.client import gather
from kubectl_vmetrics.kube.core import Condition, ObjectMeta, holds
from kubectl_vmetrics.kube.errors import Forbidden, Unauthorized, VmetricsError
from kubectl_vmetrics.kube.lists import ObjectList, decoder, list_all
from kubectl_vmetrics.metrics import kubelet
from kubectl_vmetrics.metrics.findings import some

from .check import Cause, Check, Outcome, Session, failed, passed, warned

AREA = "kubelets"
SLOW = 5.0
"""Seconds; metrics-server gives up after ten."""
LIMIT = 10.0
_TEXT = "text/plain;version=0.0.4"


class _Info(msgspec.Struct):
    version: str = msgspec.field(default="", name="kubeletVersion")


class _Status(msgspec.Struct):
    conditions: list[Condition] = []
    info: _Info = msgspec.field(default_factory=_Info, name="nodeInfo")


class _Node(msgspec.Struct):
    metadata: ObjectMeta
    status: _Status = msgspec.field(default_factory=_Status)


class Answer(NamedTuple):
    """What a kubelet answered, and how long that took in seconds."""

    node: str
    text: bytes
    seconds: float


def _nodes(session: Session) -> list[_Node]:
    return session.once(
        "kubelets' nodes", lambda: list_all(session.client, "/api/v1/nodes", decoder(ObjectList[_Node]))
    )


def _asked(session: Session) -> dict[str, Answer | VmetricsError]:
    """metrics/resource of each node that is ready: the smallest text, and the one that metrics-server reads."""

    def read() -> dict[str, Answer | VmetricsError]:
        names = [node.metadata.name for node in _nodes(session) if _ready(node)]
        return dict(zip(names, gather([partial(_ask, session, name) for name in names], limit=32), strict=True))

    return session.once("kubelets", read)


def _ask(session: Session, name: str) -> Answer:
    started = time.monotonic()
    found = session.client.get(kubelet.path(name, "metrics/resource"), accept=_TEXT, limit=LIMIT)
    return Answer(name, bytes(found.body), time.monotonic() - started)


def _ready(node: _Node) -> bool:
    return holds(node.status.conditions, "Ready")


_READY = {
    "not-ready": Cause(
        "a node that is not ready has no metrics, or old ones",
        "kubectl describe node NODE: its conditions say why",
        "https://kubernetes.io/docs/reference/node/node-status/",
    )
}


def _all_ready(session: Session) -> Outcome:
    found = _nodes(session)
    bad = [node.metadata.name for node in found if not _ready(node)]
    if bad:
        return failed(f"{len(bad)} of {len(found)} nodes are not ready: {some(bad)}", "not-ready")
    return passed(f"all {len(found)} nodes are ready")


_REACHED = {
    "caller": Cause(
        "you may not ask kubelets through the apiserver",
        "kubectl vmetrics manifests rbac --for raw --user YOU; nodes/proxy lets its owner run commands in any pod",
        "https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/",
    ),
    "apiserver": Cause(
        "the kubelets do not let the apiserver's own certificate in: since kubeadm 1.35.5 and 1.36.1 it is in no "
        "group, and needs a binding",
        "kubectl create clusterrolebinding kubeadm:apiserver-kubelet-client --clusterrole=system:kubelet-api-admin "
        "--user=kube-apiserver-kubelet-client",
        "kubernetes cmd/kubeadm",
    ),
    "unauthorized": Cause(
        "the kubelets do not believe the apiserver's certificate",
        "--kubelet-client-certificate of kube-apiserver must be signed by the authority in the kubelets' "
        "authentication.x509.clientCAFile",
    ),
    "refused": Cause(
        "nobody listens at the node's port 10250: its kubelet is down", "systemctl status kubelet, on the node"
    ),
    "timeout": Cause(
        "the control plane cannot reach the nodes, or the kubelet takes too long",
        "open port 10250 from the control plane to the nodes (konnectivity on managed clusters)",
    ),
    "tls": Cause(
        "the apiserver does not believe the kubelet's certificate",
        "--kubelet-certificate-authority of kube-apiserver must be the one that signs them",
    ),
    "other": Cause("the kubelet's answer is an error", "its log on the node says more: journalctl -u kubelet"),
}


def _reached(session: Session) -> Outcome:
    found = _asked(session)
    errors = {name: item for name, item in found.items() if isinstance(item, VmetricsError)}
    if not errors:
        return passed(f"all {len(found)} kubelets answer through the apiserver")
    error = next(iter(errors.values()))
    several = f"{len(errors)} of {len(found)} kubelets do not answer: {some(list(errors))}: {error.message}"
    return failed(several, _why(error))


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
        "the kubelet could not get its numbers from the container runtime",
        "journalctl -u kubelet, on the node; the runtime may be overloaded or too old",
    ),
    "containers": Cause(
        "the kubelet tells of the node and of no container: its runtime gives it no statistics",
        "upgrade the runtime (cri-dockerd, containerd), and look at the kubelet's --housekeeping-interval",
        "kubernetes-sigs/metrics-server issue 1061",
    ),
}


def _complete(session: Session) -> Outcome:
    answers = [item for item in _asked(session).values() if isinstance(item, Answer)]
    broken = [
        item.node for item in answers if b"resource_scrape_error 1" in item.text or b"\nscrape_error 1" in item.text
    ]
    if broken:
        return failed(f"resource_scrape_error is 1 on {some(broken)}", "error")
    empty = [item.node for item in answers if b"container_cpu_usage_seconds_total{" not in item.text]
    if empty:
        return failed(f"no container_* series on {some(empty)}", "containers")
    size = sum(len(item.text) for item in answers)
    return passed(f"{len(answers)} kubelets tell of containers ({size >> 10} KiB together)")


_FAST = {
    "slow": Cause(
        "a kubelet that takes long is left out by metrics-server, which gives up after 10 s",
        "look at the node's load and at its container runtime; --kubelet-request-timeout of metrics-server, below 90% "
        "of --metric-resolution",
    )
}


def _fast(session: Session) -> Outcome:
    answers = [item for item in _asked(session).values() if isinstance(item, Answer)]
    slow = [item.node for item in answers if item.seconds > SLOW]
    longest = max((item.seconds for item in answers), default=0.0)
    if slow:
        return warned(f"{some(slow)} took up to {longest:.1f} s", "slow")
    return passed(f"the slowest answered in {longest * 1000:.0f} ms")


_CGROUPS = {
    "v1": Cause(
        "cgroup v1 knows no pressure and less of memory; kubelets refuse to start on it from v1.35 on, unless told",
        "a system with cgroup v2 (systemd.unified_cgroup_hierarchy=1)",
        "https://kubernetes.io/docs/concepts/architecture/cgroups/",
    )
}


def _cgroups(session: Session) -> Outcome:
    text = _one_kubelet(session, "metrics")
    if b"kubelet_cgroup_version 1" in text:
        return warned("a kubelet runs on cgroup v1", "v1")
    return passed(
        "cgroup v2" if b"kubelet_cgroup_version 2" in text else "the kubelet does not tell its cgroup version"
    )


_PRESSURE = {
    "none": Cause(
        "--pressure shows nothing: the kernel was started without psi=1, or the kubelet is older than v1.34",
        "psi=1 on the kernel's command line, where it is built with CONFIG_PSI",
        "https://kubernetes.io/docs/reference/instrumentation/understand-psi-metrics/",
    )
}


def _pressure(session: Session) -> Outcome:
    if b'"psi"' in _one_kubelet(session, "stats/summary"):
        return passed("kubelets tell of pressure (PSI)")
    return warned("kubelets tell nothing of pressure (PSI)", "none")


def _one_kubelet(session: Session, endpoint: str) -> bytes:
    """A text of the first node that answers; one is as good as all for what the kernel and the version decide."""
    node = next((item.node for item in _asked(session).values() if isinstance(item, Answer)), None)
    if node is None:
        return b""
    return bytes(session.client.get(kubelet.path(node, endpoint), accept="*/*", limit=LIMIT).body)


CHECKS = (
    Check("VM201", AREA, "nodes", _READY, _all_ready),
    Check("VM202", AREA, "kubelets through the apiserver", _REACHED, _reached),
    Check("VM203", AREA, "what kubelets tell", _COMPLETE, _complete, ("VM202",)),
    Check("VM204", AREA, "how long they take", _FAST, _fast, ("VM202",)),
    Check("VM205", AREA, "cgroups", _CGROUPS, _cgroups, ("VM202",)),
    Check("VM206", AREA, "pressure", _PRESSURE, _pressure, ("VM202",)),
)
