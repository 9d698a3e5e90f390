"""What virtual clusters with private nodes use, by their own Metrics API, which only their control planes can reach.

The control plane's apiserver is reached as for its own metrics: by a port-forward, with the certificate in the Secret
vc-NAME. It belongs to the tenant, so its answers are limited in size and time, and it costs its own row at most.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from functools import partial
from typing import NamedTuple, TypeVar
from urllib.parse import urlencode

from kubectl_vmetrics.kube.client import JSON, Answer, Client
from kubectl_vmetrics.kube.errors import Forbidden, MetricsNotAvailable, NotFound, Unauthorized, VmetricsError
from kubectl_vmetrics.kube.forward import Connection, Peer, forward
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.kube.limits import Limits
from kubectl_vmetrics.metrics import metrics_api
from kubectl_vmetrics.metrics.metrics_api import SUPPORTED, AnyPod, PodMetrics, Scope, Skipped
from kubectl_vmetrics.metrics.usage import NOTHING, Usage
from kubectl_vmetrics.vcluster.identity import VClusterRef

from . import credentials, vclusters
from .credentials import NoCredential
from .plane import Plane
from .scrape import CONCURRENCY, LIMIT, PATIENCE

LIMITS = Limits(8 << 20, objects=150_000, values=600_000, digits=40)
"""A list of PodMetrics: 12,000 pods have some 8 MiB."""
MOST = Usage(10**15, 1 << 50)
"""What no pod can use: a million cores, a pebibyte."""
_MOST_SKIPPED = 3
_decoding = threading.Lock()  # a decoded list takes several times the memory of its text, and there may be many tenants
T = TypeVar("T")


class Used(NamedTuple):
    """What a virtual cluster uses, as its own Metrics API reports it."""

    pods: int
    usage: Usage
    skipped: tuple[Skipped, ...] = ()


def usage(
    client: Client, wanted: Collection[VClusterRef], namespace: str | None
) -> dict[VClusterRef, Used | VmetricsError]:
    """The usage of several virtual clusters, asked concurrently, or why it is not known.

    Args:
        client: the host.
        wanted: which.
        namespace: the host namespace of all of them; None for any.

    Raises:
        StatusError, ConnectionFailed, BadAnswer: as Client.get, where control planes cannot be listed.
    """
    if not wanted:
        return {}
    planes = {VClusterRef(plane.namespace, plane.name): plane for plane in vclusters.find(client, namespace)}
    asked = {ref: planes[ref] for ref in sorted(wanted) if ref in planes}
    calls = [partial(_asked, client, plane, _sum) for plane in asked.values()]
    return dict(zip(asked, gather(calls, limit=CONCURRENCY, patience=PATIENCE), strict=True))


def pods(
    client: Client, vcluster: VClusterRef, question: Scope, kind: type[AnyPod]
) -> tuple[list[AnyPod], list[Skipped]]:
    """The pods of one virtual cluster, by the names inside.

    Args:
        client: the host.
        vcluster: which.
        question: in virtual terms.
        kind: which fields are needed.

    Raises:
        NotFound: there is no such control plane, or no such pod.
        MetricsNotAvailable: the virtual cluster serves no Metrics API.
        NoCredential, StatusError, ConnectionFailed, BadAnswer: the control plane cannot be asked.
    """
    planes = vclusters.find(client, vcluster.host_namespace)
    plane = next((plane for plane in planes if plane.name == vcluster.name), None)
    if plane is None:
        raise NotFound(f'control plane "{vcluster.path}" not found', code=404, reason="NotFound")
    return _asked(client, plane, lambda connection: _pods(connection, question, kind))


def checked(found: Usage) -> Usage:
    """The usage of a pod, if it can be true: one number may spoil every sum. Raises ValueError."""
    if not (0 <= found.cpu_nanocores <= MOST.cpu_nanocores and 0 <= found.memory_bytes <= MOST.memory_bytes):
        raise ValueError("its usage is not plausible")
    return found


def _asked(client: Client, plane: Plane, read: Callable[[Connection], T]) -> T:
    """What `read` reads from a control plane, with the first certificate that it accepts."""
    pod = next((item.pod for item in plane.components), None)
    if pod is None:
        raise VmetricsError(f"its control plane is {plane.status}")
    refused: list[str] = []
    try:
        for credential in credentials.candidates(client, plane):
            with forward(client, plane.namespace, pod, [vclusters.PORT], LIMIT) as ways:
                peer = Peer(credential.identity, credential.ca, plane.server_name)
                try:
                    return read(ways.open(vclusters.PORT, peer))
                except (Forbidden, Unauthorized) as error:
                    refused.append(f"Secret {credential.source} is not authorized: {error.message}")
    except NoCredential as error:
        raise NoCredential("; ".join([*refused, error.message]), hint=error.hint) from None
    raise AssertionError("candidates end with NoCredential")


def _pods(connection: Connection, question: Scope, kind: type[AnyPod]) -> tuple[list[AnyPod], list[Skipped]]:
    answer, path = _answer(connection, question)
    return metrics_api.parsed(answer, path, kind, single=bool(question.name))


def _answer(connection: Connection, question: Scope) -> tuple[Answer, str]:
    selectors = {"labelSelector": question.labels, "fieldSelector": question.fields} if not question.name else {}
    query = urlencode({key: value for key, value in selectors.items() if value})
    for version in SUPPORTED:
        path = question.path(version, "pods")
        try:
            return connection.get(f"{path}?{query}" if query else path, accept=JSON, limits=LIMITS), path
        except NotFound as error:
            if error.reason == "NotFound" and "could not find the requested resource" not in error.message:
                raise  # the pod is missing, not the API
    raise MetricsNotAvailable("it serves no Metrics API: install metrics-server in it")


def _sum(connection: Connection) -> Used:
    answer, path = _answer(connection, Scope())
    with _decoding:
        listed, skipped = metrics_api.parsed(answer, path, PodMetrics, single=False)
        used, count = NOTHING, 0
        for pod in listed:
            try:
                used += checked(metrics_api.pod_usage(pod))
                count += 1
            except ValueError as error:
                if len(skipped) < _MOST_SKIPPED:
                    skipped.append(Skipped(f"a pod of {path}", str(error)))
    return Used(count, used, tuple(skipped[:_MOST_SKIPPED]))
