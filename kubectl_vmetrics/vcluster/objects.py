"""Nodes and pods of a view, for what `kubectl top` requests besides metrics."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from kubectl_vmetrics.kube import core
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.selector import parse_fields, parse_labels
from kubectl_vmetrics.metrics.metrics_api import Scope

from . import labels, naming
from .identity import VClusterRef
from .origins import PODS, Origins
from .words import Missing, Unclear, own_words

FRESH = 30.0
"""Seconds for which the nodes of a view are remembered."""


class Objects:
    """The objects of a view; see answers.Answers for the arguments."""

    def __init__(
        self, client: Client, origins: Origins, vcluster: VClusterRef | None = None, *, isolate: bool = False
    ) -> None:
        self._client = client
        self._origins = origins
        self._vcluster = vcluster
        self._isolate = isolate
        self._lock = threading.Lock()
        self._nodes: tuple[float, frozenset[str]] | None = None

    def scopes(self) -> list[Scope]:
        """Where on the host the view's pods are."""
        ref = self._vcluster
        if ref is None:
            return [Scope()]
        places = [ref.host_namespace, *self._origins.homes.targets_of(ref)]
        scopes = [Scope(place, labels=f"{naming.MANAGED_BY}={ref.name}") for place in places]
        return scopes + [Scope(name) for name, item in self._origins.synced.items() if item.vcluster == ref]

    def nodes(self) -> frozenset[str]:
        """The nodes of the view; for a tenant, those its pods run on. Raises as Client.get."""
        with self._lock:
            if self._nodes is None or time.monotonic() - self._nodes[0] > FRESH:
                with own_words(self._vcluster):
                    if self._vcluster is None:
                        found = frozenset(node.metadata.name for node in core.nodes(self._client))
                    else:
                        found = frozenset(pod.spec.node for pod in self._host_pods() if pod.spec.node)
                self._nodes = (time.monotonic(), found)
            return self._nodes[1]

    def check_node(self, name: str) -> None:
        """Raises NotFound for a node without pods of the tenant."""
        if self._vcluster and name not in self.nodes():
            raise Missing(f'nodes "{name}" not found')

    def node_documents(self, name: str | None, query: Mapping[str, str]) -> bytes:
        """v1.Node or NodeList; with isolation, only their names. Raises as Client.get."""
        with own_words(self._vcluster):
            return self._node_documents(name, query)

    def _node_documents(self, name: str | None, query: Mapping[str, str]) -> bytes:
        if name:
            name = unquote(name)
            self.check_node(name)
            return _encode("Node", _name(name) if self._hidden else _node(core.node(self._client, name)))
        if self._hidden:
            matches = matcher(Scope(labels=query.get("labelSelector"), fields=query.get("fieldSelector")))
            named = [_name(node) for node in sorted(self.nodes()) if matches({"name": node, "namespace": ""})]
            return _encode("NodeList", {"metadata": {}, "items": named})
        listed = core.nodes(self._client, labels=query.get("labelSelector"))
        shown = [_node(node) for node in listed if self._vcluster is None or node.metadata.name in self.nodes()]
        return _encode("NodeList", {"metadata": {}, "items": shown})

    def pod_documents(self, namespace: str | None, name: str | None, query: Mapping[str, str]) -> bytes:
        """v1.Pod or PodList: names, labels, age and phase. Raises as Client.get, and NotFound."""
        question = Scope(namespace, name, query.get("labelSelector"), query.get("fieldSelector"))
        matches = matcher(question)
        with own_words(self._vcluster):
            pods = self._host_pods()
        found = [shown for pod in pods if (shown := self._pod(pod)) and matches(shown["metadata"])]
        if not name:
            return _encode("PodList", {"metadata": {}, "items": found})
        if not found:
            raise Missing(f'pods "{name}" not found')
        return _encode("Pod", found[0])

    @property
    def _hidden(self) -> bool:
        return self._vcluster is not None and self._isolate

    def _host_pods(self) -> list[core.Pod]:
        return [pod for scope in self.scopes() for pod in core.pods(self._client, scope.namespace, labels=scope.labels)]

    def _pod(self, pod: core.Pod) -> dict[str, Any] | None:
        meta = pod.metadata
        namespace, name, shown = meta.namespace, meta.name, meta.labels
        if self._vcluster:
            found = self._origins.find(PODS, namespace, name)
            if found is None or found.vcluster != self._vcluster:
                return None
            namespace, name, shown = found.namespace, found.name, labels.inside(shown, self._vcluster)
        metadata = {"name": name, "namespace": namespace, "labels": shown, "creationTimestamp": meta.created}
        return {"metadata": metadata, "status": {"phase": pod.status.phase}}


def _node(node: core.Node) -> dict[str, Any]:
    status = {"allocatable": node.status.allocatable, "capacity": node.status.capacity}
    return {"metadata": {"name": node.metadata.name, "labels": node.metadata.labels}, "status": status}


def _name(node: str) -> dict[str, Any]:
    return {"metadata": {"name": node}, "status": {}}


def _encode(kind: str, body: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"kind": kind, "apiVersion": "v1", **body})


def matcher(question: Scope) -> Callable[[Mapping[str, Any]], bool]:
    """A predicate on metadata for selectors in terms of a view. Raises UsageError and Unclear."""
    selector = parse_labels(question.labels or "")
    fields = parse_fields(question.fields or "")
    for field, _, _ in fields:
        if field not in ("metadata.name", "metadata.namespace"):
            known = 'only "metadata.name", "metadata.namespace"'
            raise Unclear(f'"{field}" is not a known field selector: {known}')

    def matches(meta: Mapping[str, Any]) -> bool:
        if question.namespace not in (None, meta["namespace"]) or question.name not in (None, meta["name"]):
            return False
        if not all((meta[field.removeprefix("metadata.")] == value) == equal for field, equal, value in fields):
            return False
        return selector.matches((meta.get("labels") or {}).get)

    return matches
