"""Answers to requests in virtual terms: which host requests they take, and which rewriting.

The paths are those of the apiserver, so that whatever can ask one can ask this: the kubelets' endpoints under
/api/v1/nodes/NODE/proxy/ and metrics.k8s.io. Nothing else is answered (but see `objects`).
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec

from kubectl_vmetrics.kube.client import JSON, Client
from kubectl_vmetrics.kube.errors import BadAnswer, UsageError
from kubectl_vmetrics.metrics import kubelet, tables
from kubectl_vmetrics.metrics.metrics_api import GROUP, Scope

from .identity import VClusterRef
from .objects import Objects, matcher
from .origins import Origins
from .rewrite import exposition, pod_metrics, summary
from .words import Missing, own_words

_KUBELET = re.compile(r"/api/v1/nodes/([^/]+)/proxy/(" + "|".join([kubelet.SUMMARY, *kubelet.TEXTS]) + r")/?")
_METRICS = re.compile(GROUP + r"/(v1beta1|v1)/(?:namespaces/([^/]+)/)?(pods|nodes)(?:/([^/]+))?/?")
OPENMETRICS = "application/openmetrics-text"
# Decoded, a document takes ten times the memory of its text. Python decodes one at a time anyhow.
_decoding = threading.Lock()


class Reply(NamedTuple):
    """A rewritten answer, while it comes."""

    chunks: Iterator[bytes]
    content_type: str


def check(path: str) -> None:
    """Raises UsageError for a path that no view answers."""
    if not _KUBELET.fullmatch(path) and not _METRICS.fullmatch(path):
        kubelets = "/api/v1/nodes/NODE/proxy/{stats/summary,metrics…}"
        raise UsageError(f"unsupported path {path}; supported paths: {kubelets} and {GROUP}")


class Answers:
    """Answers as one virtual cluster would see them, or, without one, as the host sees them with names added.

    Args:
        client: the host.
        origins: the map of the host, or of the virtual cluster's namespaces.
        vcluster: whose view; None for the host's.
        isolate: in a tenant's view, leave out what is about nodes as a whole.
    """

    def __init__(
        self, client: Client, origins: Origins, vcluster: VClusterRef | None = None, *, isolate: bool = False
    ) -> None:
        if vcluster and vcluster.parent:
            raise UsageError(
                "nested virtual clusters have no view of their own: specify the virtual cluster on the host"
            )
        self._client = client
        self._origins = origins
        self._vcluster = vcluster
        self._isolate = isolate
        # One for all scrapes: label blocks are the same from scrape to scrape.
        self._text = exposition.tenant(origins, vcluster, isolate=isolate) if vcluster else exposition.host(origins)
        self.objects = Objects(client, origins, vcluster, isolate=isolate)

    def answer(self, path: str, query: Mapping[str, str], accept: str = "") -> Reply:
        """Answer a GET.

        Args:
            path: without the query, percent-encoded.
            query: labelSelector and fieldSelector, in virtual terms.
            accept: what the client would like; OpenMetrics is asked for only on its behalf.

        Raises:
            UsageError: a path that is not answered here, or a selector that makes no sense.
            NotFound: an object that this view does not have.
            StatusError, ConnectionFailed, BadAnswer: as Client.get.
        """
        check(path)
        with own_words(self._vcluster):
            return self._answer(path, query, accept)

    def _answer(self, path: str, query: Mapping[str, str], accept: str) -> Reply:
        if found := _KUBELET.fullmatch(path):
            return self._kubelet(unquote(found[1]), found[2], accept)
        if found := _METRICS.fullmatch(path):
            version, namespace, resource, name = found[1], *(unquote(p) if p else None for p in found.groups()[1:])
            document: bytes | None = None
            if resource == "nodes" and not namespace:
                document = self._node_metrics(version, name, query)
            elif resource == "pods" and (namespace or not name):
                selectors = map(query.get, ("labelSelector", "fieldSelector"))
                document = self._pod_metrics(version, Scope(namespace, name, *selectors))
            if document is not None:
                return self._document(partial(_as_asked, document, accept), path)
        raise Missing

    def _kubelet(self, node: str, endpoint: str, accept: str) -> Reply:
        self.objects.check_node(node)
        path = kubelet.path(node, endpoint)
        if endpoint == kubelet.SUMMARY:
            answer = self._client.get(path)
            return self._document(
                lambda: (
                    summary.tenant(answer.body, self._origins, self._vcluster, isolate=self._isolate)
                    if self._vcluster
                    else summary.host(answer.body, self._origins)
                ),
                path,
            )
        wanted = f"{OPENMETRICS};version=1.0.0,{kubelet.TEXT}" if OPENMETRICS in accept else kubelet.TEXT
        # The first chunk is read here, so that a refusal is an error and not a broken stream.
        stack = contextlib.ExitStack()
        stream = stack.enter_context(self._client.stream(path, accept=wanted))

        def chunks() -> Iterator[bytes]:
            with stack:  # which hears of what broke it off
                yield from self._text.rewrite(stream.chunks)

        return Reply(chunks(), stream.content_type or kubelet.TEXT)

    def _pod_metrics(self, version: str, question: Scope) -> bytes:
        if self._vcluster is None:
            path = question.path(version, "pods")
            params = {"labelSelector": question.labels, "fieldSelector": question.fields}
            answer = self._client.get(path, None if question.name else params)
            with _reading(path):
                return pod_metrics.host(answer.body, self._origins)
        vcluster = self._vcluster
        matches = matcher(question)
        items: list[Any] = []
        document: dict[str, Any] = {}
        for scope in self.objects.scopes():
            path = scope.path(version, "pods")
            found = self._client.decode(path, msgspec.json.Decoder(dict[str, Any]), {"labelSelector": scope.labels})
            shown = msgspec.json.decode(pod_metrics.tenant(msgspec.json.encode(found), self._origins, vcluster))
            document = document or shown
            items += [item for item in shown.get("items", []) if matches(item["metadata"])]
        if question.name:
            if not items:
                raise Missing(f'pods "{question.name}" not found')
            kind = {"kind": "PodMetrics", "apiVersion": f"metrics.k8s.io/{version}"}
            return msgspec.json.encode({**kind, **items[0]})
        return msgspec.json.encode({**document, "items": items})

    def _node_metrics(self, version: str, name: str | None, query: Mapping[str, str]) -> bytes:
        if self._vcluster and self._isolate:
            # The usage of a node is that of all its tenants together.
            if name:
                raise Missing(f'nodemetrics.metrics.k8s.io "{name}" not found')
            kind = {"kind": "NodeMetricsList", "apiVersion": f"metrics.k8s.io/{version}"}
            return msgspec.json.encode({**kind, "metadata": {}, "items": []})
        if name:
            self.objects.check_node(name)
        scope = Scope(name=name)
        params = {"labelSelector": query.get("labelSelector")}
        path = scope.path(version, "nodes")
        answer = self._client.get(path, None if name else params)
        if self._vcluster is None or name:
            return bytes(answer.body)
        with _reading(path):
            document = msgspec.json.decode(answer.body)
        kept = self.objects.nodes()
        items = [item for item in document.get("items", []) if item["metadata"]["name"] in kept]
        return msgspec.json.encode({**document, "items": items})

    def _document(self, rewrite: Callable[[], bytes], path: str) -> Reply:
        with _decoding, _reading(path):
            return Reply(iter([rewrite()]), JSON)


@contextlib.contextmanager
def _reading(path: str) -> Iterator[None]:
    try:
        yield
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, KeyError, TypeError):
        raise BadAnswer(f"unexpected JSON in the response to {path}") from None


def _as_asked(document: bytes, accept: str) -> bytes:
    wanted = "as=Table" in accept
    return msgspec.json.encode(tables.table(msgspec.json.decode(document))) if wanted else document
