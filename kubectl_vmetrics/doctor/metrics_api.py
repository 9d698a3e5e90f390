"""The Metrics API: the aggregation layer, its APIService, metrics-server, and the metrics it serves.

Sources of the causes: kubernetes-sigs/metrics-server KNOWN_ISSUES.md and its issues, kubernetes/kube-aggregator
pkg/controllers/status, and https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/.
"""

from __future__ import annotations

import datetime
import json
import time

import msgspec

from kubectl_vmetrics.kube import core
from kubectl_vmetrics.kube.core import ObjectMeta
from kubectl_vmetrics.kube.duration import human
from kubectl_vmetrics.kube.errors import NotFound, Unavailable
from kubectl_vmetrics.kube.lists import ObjectList, decoder, list_all, pods_path
from kubectl_vmetrics.metrics import metrics_api
from kubectl_vmetrics.metrics.findings import counted, some
from kubectl_vmetrics.metrics.metrics_api import NodeMetrics, PodMetrics, Scope

from . import api_service, server
from .check import Cause, Check, Outcome, Session, failed, passed, skipped, warned

AREA = "metrics-api"
ISSUES = "kubernetes-sigs/metrics-server issue "
DOCS = "https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/"
YOUNG = 90.0
"""Seconds after which metrics-server has measured a new pod twice, at its default resolution."""
STALE = 180.0


HEADERS = (
    "requestheader-username-headers",
    "requestheader-group-headers",
    "requestheader-extra-headers-prefix",
)
ALLOWED = "requestheader-allowed-names"


class _State(msgspec.Struct):
    running: dict[str, str] | None = None


class _Container(msgspec.Struct):
    state: _State = msgspec.field(default_factory=_State)


class _PodStatus(msgspec.Struct):
    containers: list[_Container] = msgspec.field(default=[], name="containerStatuses")


class _Pod(msgspec.Struct):
    metadata: ObjectMeta
    status: _PodStatus = msgspec.field(default_factory=_PodStatus)

    @property
    def runs(self) -> bool:
        """Whether all of its containers run; metrics-server leaves out a pod if one of them does not."""
        return bool(self.status.containers) and all(item.state.running is not None for item in self.status.containers)


class _ConfigMap(msgspec.Struct):
    data: dict[str, str] | None = None


# ----------------------------------------------------------------------------------------------------- what is read


def node_metrics(session: Session) -> list[NodeMetrics]:
    """The metrics of nodes in the Metrics API."""
    return session.once("node metrics", lambda: metrics_api.nodes(session.client, Scope(None))[0])


def nodes(session: Session) -> list[core.Node]:
    """All nodes."""
    return session.once("nodes", lambda: core.nodes(session.client))


# ------------------------------------------------------------------------------------------------------------ checks

_AGGREGATION = {
    "not-configured": Cause(
        "the apiserver runs without --requestheader-client-ca-file, so extension API servers do not trust its requests",
        "start kube-apiserver with --requestheader-client-ca-file, --requestheader-allowed-names, "
        "--requestheader-username-headers, --requestheader-group-headers, --requestheader-extra-headers-prefix, "
        "--proxy-client-cert-file and --proxy-client-key-file",
        DOCS,
    ),
    "headers": Cause(
        "the names of the headers for user and groups are not set",
        "start kube-apiserver with --requestheader-username-headers=X-Remote-User "
        "--requestheader-group-headers=X-Remote-Group --requestheader-extra-headers-prefix=X-Remote-Extra-",
        DOCS,
    ),
}


def _aggregation(session: Session) -> Outcome:
    path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
    try:
        data = session.client.decode(path, decoder(_ConfigMap)).data or {}
    except NotFound:
        return failed("kube-system/extension-apiserver-authentication is missing", "not-configured")
    if not data.get("requestheader-client-ca-file"):
        return failed("extension-apiserver-authentication has no requestheader-client-ca-file", "not-configured")
    lacking = [name for name in HEADERS if not _listed(data.get(name, ""))]
    if lacking:
        return failed(f"extension-apiserver-authentication has no {', '.join(lacking)}", "headers")
    names = _listed(data.get(ALLOWED, ""))
    who = f"of {', '.join(names)}" if names else "with any name"
    seen = [f"{key}: {value}" for key, value in sorted(data.items()) if key in (*HEADERS, ALLOWED)]
    return passed(f"the aggregation layer trusts certificates {who}", seen)


def _listed(text: str) -> list[str]:
    try:
        found = json.loads(text) if text else []
    except ValueError:
        return []
    return [str(item) for item in found] if isinstance(found, list) else []


_NODES = {
    "starting": Cause(
        "metrics-server has just started, and returns empty lists until it has measured twice",
        "wait a minute",
    ),
    "silent": Cause(
        "the kubelets of these nodes do not answer metrics-server, or report zeros",
        "kubectl vmetrics doctor kubelets; or metrics-server's --node-selector may exclude the nodes",
    ),
    "stale": Cause("metrics-server has stopped measuring", "kubectl vmetrics doctor --only VM103: its log"),
    "unavailable": Cause(
        "the Metrics API does not answer", "kubectl vmetrics doctor --only VM105: what the aggregator reports"
    ),
}


def _node_metrics(session: Session) -> Outcome:
    try:
        known = {item.metadata.name: item for item in node_metrics(session)}
    except Unavailable as error:
        return failed(error.message, "unavailable")
    names = [node.metadata.name for node in nodes(session)]
    if not names:
        return skipped("there are no nodes")
    ages = {name: _age(item.timestamp) for name, item in known.items()}
    seen = [
        f"{name}: "
        + ("no metrics" if name not in ages else "no time" if (a := ages[name]) is None else f"{human(a)} old")
        for name in names
    ]
    if not known:
        return failed("the Metrics API has no metrics of any node", "starting", "", seen)
    lacking = [name for name in names if name not in known]
    if lacking:
        number = f"{len(lacking)} of {counted(len(names), 'node')} {'has' if len(lacking) == 1 else 'have'}"
        return failed(f"{number} no metrics: {some(lacking)}", "silent", "", seen)
    old = {name: age for name, age in ages.items() if age is not None and age > STALE}
    if old:
        return failed(f"the metrics of {some(list(old))} are {human(max(old.values()))} old", "stale", "", seen)
    return passed(f"all {len(names)} nodes have metrics" if len(names) > 1 else "1 node has metrics", seen)


def _age(stamp: str | None) -> float | None:
    at = _stamp(stamp)
    return None if at is None else time.time() - at


def _stamp(text: str | None) -> float | None:
    try:
        return datetime.datetime.fromisoformat((text or "").replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


_POD_METRICS = {
    "none": Cause(
        "nodes have metrics but pods do not, because the container runtime reports no containers to the kubelet",
        "upgrade the runtime (cri-dockerd, containerd); kubectl get --raw /api/v1/nodes/NODE/proxy/metrics/resource "
        "must contain container_* series",
        ISSUES + "1061",
    ),
    "some": Cause(
        "a pod has no metrics if it has just started, has a container that uses nothing, or its node does not answer",
        "kubectl vmetrics top pods -A --source kubelet",
    ),
}


def _pod_metrics(session: Session) -> Outcome:
    listed = metrics_api.pods(session.client, Scope(None), PodMetrics)[0]
    known = {(item.metadata.namespace, item.metadata.name) for item in listed}
    found: list[_Pod] = list_all(
        session.client, pods_path(None), decoder(ObjectList[_Pod]), {"fieldSelector": "status.phase=Running"}
    )
    now = time.time()
    running = [pod for pod in found if pod.runs and now - (_stamp(pod.metadata.created) or now) > YOUNG]
    lacking = [
        f"{pod.metadata.namespace}/{pod.metadata.name}"
        for pod in running
        if (pod.metadata.namespace, pod.metadata.name) not in known
    ]
    seen = [f"{counted(len(running), 'running pod')}, {len(running) - len(lacking)} of them with metrics"]
    seen += [f"{name}: no metrics" for name in lacking]
    if running and not known:
        return failed(f"none of {counted(len(running), 'running pod')} has metrics", "none", "", seen)
    if len(lacking) > max(1, len(running) // 10):
        text = f"{len(lacking)} of {counted(len(running), 'running pod')} have no metrics: {some(lacking)}"
        return warned(text, "some", "", seen)
    if not known:
        return skipped(f"no pod has been running for more than {YOUNG:.0f} s")
    return passed(f"{counted(len(known), 'pod')} {'has' if len(known) == 1 else 'have'} metrics", seen)


_SWAP = {
    "not-told": Cause(
        "metrics-server v0.7 and older and kubelets before v1.30 do not report swap, so --show-swap shows 0",
        "upgrade metrics-server to v0.8, or use --source kubelet",
    )
}


def _swap(session: Session) -> Outcome:
    with_swap = [node.metadata.name for node in nodes(session) if node.swap_bytes]
    if not with_swap:
        return skipped("no node reports swap")
    seen = [f"{node.metadata.name}: {node.swap_bytes >> 20} MiB of swap" for node in nodes(session) if node.swap_bytes]
    told = [item for item in node_metrics(session) if item.metadata.name in with_swap and item.usage.swap]
    if not told:
        text = f"{some(with_swap)} {'has' if len(with_swap) == 1 else 'have'} swap that the Metrics API does not report"
        return warned(text, "not-told", "", seen)
    return passed(f"{counted(len(with_swap), 'node')} with swap", seen)


CHECKS = (
    Check("VM101", AREA, "aggregation layer", _AGGREGATION, _aggregation),
    Check("VM102", AREA, "server of metrics.k8s.io", api_service.INSTALLED, api_service.installed),
    # From cause to symptom: the log explains why pods are not ready, which explains why the API is not available.
    Check("VM103", AREA, "metrics-server log", server.LOG, server.log, ("VM102",)),
    Check("VM104", AREA, "metrics-server pods", server.PODS, server.pods, ("VM103",)),
    Check("VM105", AREA, "APIService", api_service.AVAILABLE, api_service.available, ("VM101", "VM104")),
    Check("VM106", AREA, "node metrics", _NODES, _node_metrics, ("VM105",)),
    Check("VM107", AREA, "pod metrics", _POD_METRICS, _pod_metrics, ("VM106",)),
    Check("VM108", AREA, "swap", _SWAP, _swap, ("VM106",)),
)
