"""metrics.k8s.io: usage of pods and nodes, as metrics-server or another adapter reports it.

Wire format: https://github.com/kubernetes/metrics/blob/master/pkg/apis/metrics/v1beta1/types.go. A pod's labels come
along, its annotations and node do not; a list is one answer, whatever its size.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import msgspec

from kubectl_vmetrics.kube.client import Answer, Client, decode, escape
from kubectl_vmetrics.kube.errors import BadAnswer, MetricsNotAvailable, NotFound, StatusError, Unavailable
from kubectl_vmetrics.kube.lists import ObjectList, decoder

from .quantity import cpu_nanocores, memory_bytes
from .usage import Usage

GROUP = "/apis/metrics.k8s.io"
SUPPORTED = ("v1beta1", "v1")
"""The versions whose types are the same as far as they are read here; the first is asked for first.

Each is an APIService of its own, stable in Kubernetes 1.37 (KEP-5207). A server may have one of them or both, and the
aggregation layer converts nothing: the other one is 404 then.
"""


# Structs without cycles are left to reference counting alone (gc=False): a list of 100,000 pods is a million of them.


class Quantities(msgspec.Struct, frozen=True, gc=False):
    """usage, as written; "0" where it is missing, None for swap, which few servers know."""

    cpu: str = "0"
    memory: str = "0"
    swap: str | None = None


class Container(msgspec.Struct, gc=False):
    """One container of a PodMetrics."""

    name: str
    usage: Quantities = Quantities()


class Owner(msgspec.Struct, gc=False):
    """The labels that identify a pod's owner: those set by vCluster's syncer and its chart."""

    managed_by: str | None = msgspec.field(default=None, name="vcluster.loft.sh/managed-by")
    namespace: str | None = msgspec.field(default=None, name="vcluster.loft.sh/namespace")
    app: str | None = None
    release: str | None = None


class PodMeta(msgspec.Struct, gc=False):
    """metadata of a PodMetrics; labels stay JSON until they are needed."""

    name: str
    namespace: str = ""
    labels: msgspec.Raw = msgspec.Raw(b"{}")


class PodMetrics(msgspec.Struct, gc=False):
    """What one pod uses."""

    metadata: PodMeta
    containers: list[Container] = []

    def labels(self) -> dict[str, str]:
        """All labels. Raises BadAnswer."""
        try:
            return _ALL_LABELS.decode(self.metadata.labels) or {}
        except msgspec.DecodeError as error:
            raise self._bad(error) from None

    def owner(self) -> Owner:
        """The labels that identify the pod's owner. Raises BadAnswer."""
        try:
            return _OWNER.decode(self.metadata.labels) or _NOBODY
        except msgspec.DecodeError as error:
            raise self._bad(error) from None

    def _bad(self, error: Exception) -> BadAnswer:
        return BadAnswer(f"labels of pod {self.metadata.namespace}/{self.metadata.name}: {error}")


class TimedPodMetrics(PodMetrics, gc=False):
    """Usage of one pod, and when it was measured.

    Attributes:
        timestamp: the end of the window, RFC 3339.
        window: its length, a Go duration.
    """

    timestamp: str | None = None
    window: str | None = None


_ALL_LABELS = msgspec.json.Decoder(dict[str, str] | None)
_OWNER = msgspec.json.Decoder(Owner | None)
_NOBODY = Owner()
_Decoded = TypeVar("_Decoded")
AnyPod = TypeVar("AnyPod", bound=PodMetrics)


class NodeMeta(msgspec.Struct):
    """metadata of a NodeMetrics."""

    name: str
    labels: dict[str, str] = {}


class NodeMetrics(msgspec.Struct):
    """What one node uses, system and pods together."""

    metadata: NodeMeta
    usage: Quantities = Quantities()
    timestamp: str | None = None
    window: str | None = None


class _List(msgspec.Struct):
    items: list[msgspec.Raw] | None = None


class Scope(NamedTuple):
    """Which pods or nodes to request.

    Attributes:
        namespace: None for all.
        name: one object; the list's selectors do not go with it.
        labels: a label selector in the server's terms.
        fields: a field selector in the server's terms.
    """

    namespace: str | None = None
    name: str | None = None
    labels: str | None = None
    fields: str | None = None

    def path(self, version: str, resource: str) -> str:
        """The path of this scope. With a name and no namespace, no server has such a path, as in kubectl."""
        parts = [GROUP, version, *(["namespaces", escape(self.namespace)] if self.namespace else []), resource]
        return "/".join([*parts, escape(self.name)] if self.name else parts)


class Skipped(NamedTuple):
    """An item of a list that could not be read: which, and why."""

    what: str
    why: str


def pods(client: Client, scope: Scope, kind: type[AnyPod]) -> tuple[list[AnyPod], list[Skipped]]:
    """The pods of a scope, in the server's order, and those that could not be read.

    Args:
        client: the cluster.
        scope: which pods.
        kind: PodMetrics, or TimedPodMetrics where the output shows when.

    Raises:
        MetricsNotAvailable: the API is not served.
        StatusError, ConnectionFailed, BadAnswer: as Client.get.
    """
    answer, path = _ask(client, scope, "pods")
    return parsed(answer, path, kind, single=bool(scope.name))


def nodes(client: Client, scope: Scope) -> tuple[list[NodeMetrics], list[Skipped]]:
    """The nodes of a scope, in the server's order, and those that could not be read. Raises as `pods`."""
    answer, path = _ask(client, scope, "nodes")
    return parsed(answer, path, NodeMetrics, single=bool(scope.name))


def usage(quantities: Quantities) -> Usage:
    """Usage from quantities as text. Raises ValueError."""
    swap = memory_bytes(quantities.swap) if quantities.swap else 0
    return Usage(cpu_nanocores(quantities.cpu), memory_bytes(quantities.memory), swap)


def pod_usage(pod: PodMetrics) -> Usage:
    """The sum over a pod's containers: quantities are added before anything is rounded. Raises ValueError."""
    cpu = memory = swap = 0
    for container in pod.containers:
        used = container.usage
        # The two forms in which metrics-server writes nearly every number, read here: a call for each would take
        # longer than the rest.
        text = used.cpu
        if text[-1:] == "n" and (digits := text[:-1]).isdecimal() and digits.isascii():
            cpu += int(digits)
        else:
            cpu += cpu_nanocores(text)
        text = used.memory
        if text[-2:] == "Ki" and (digits := text[:-2]).isdecimal() and digits.isascii():
            memory += int(digits) << 10
        else:
            memory += memory_bytes(text)
        if used.swap is not None:
            swap += memory_bytes(used.swap)
    return Usage(cpu, memory, swap)


def parsed(answer: Answer, path: str, kind: type[_Decoded], *, single: bool) -> tuple[list[_Decoded], list[Skipped]]:
    """The items of an answer, or the one object that it is, and those that could not be read. Raises BadAnswer."""
    if single:
        return [decode(answer, msgspec.json.Decoder(kind), path)], []
    try:
        found: list[_Decoded] | None = decoder(ObjectList[kind]).decode(answer.body).items  # type: ignore[valid-type]
        return found or [], []
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _one_by_one(answer, path, kind)


def _one_by_one(answer: Answer, path: str, kind: type[_Decoded]) -> tuple[list[_Decoded], list[Skipped]]:
    # A list of which some items are broken still has the others.
    found: list[_Decoded] = []
    skipped: list[Skipped] = []
    one: msgspec.json.Decoder[_Decoded] = msgspec.json.Decoder(kind)
    for index, raw in enumerate(decode(answer, decoder(_List), path).items or []):
        try:
            found.append(one.decode(raw))
        except msgspec.DecodeError as error:
            skipped.append(Skipped(f"item {index} of {path}", str(error)))
    return found, skipped


_answered: WeakKeyDictionary[Client, str] = WeakKeyDictionary()
"""The version that a client was answered in, so that --watch does not look for it each time."""


def _ask(client: Client, scope: Scope, resource: str) -> tuple[Answer, str]:
    """Request the version that every server has had so far, and look for another only if it is missing."""

    def ask(version: str) -> tuple[Answer, str]:
        path = scope.path(version, resource)
        params = {"labelSelector": scope.labels, "fieldSelector": scope.fields} if not scope.name else None
        return client.get(path, params), path

    first = _answered.get(client, SUPPORTED[0])
    try:
        return ask(first)
    except (NotFound, Unavailable) as error:
        absent = isinstance(error, NotFound)
        if absent and error.reason == "NotFound" and "could not find the requested resource" not in error.message:
            raise  # the object is missing, not the API
        if not absent and error.code != 503:
            raise
        served = versions(client)
        if first not in served and (other := next((version for version in SUPPORTED if version in served), None)):
            _answered[client] = other
            return ask(other)
        if served:
            raise
        # kubectl learns from discovery, before it asks, that the API is down; its answer is the same as for none.
        raise _not_available() from None


class _Version(msgspec.Struct):
    version: str
    freshness: str = "Current"


class _GroupMeta(msgspec.Struct):
    name: str = ""


class _Group(msgspec.Struct):
    metadata: _GroupMeta = msgspec.field(default_factory=_GroupMeta)
    name: str = ""
    versions: list[_Version] = []


class _Groups(msgspec.Struct):
    items: list[_Group] = []
    groups: list[_Group] = []


AGGREGATED_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


def versions(client: Client) -> list[str]:
    """The supported versions that discovery calls current; those of a broken backend are "Stale" or missing.

    None where the answer is an error. Raises ConnectionFailed.
    """
    try:
        found = client.decode("/apis", decoder(_Groups), accept=AGGREGATED_DISCOVERY)
    except (StatusError, BadAnswer):
        return []
    groups: list[_Group] = [*found.items, *found.groups]
    return [
        version.version
        for group in groups
        if "metrics.k8s.io" in (group.metadata.name, group.name)
        for version in group.versions
        if version.freshness != "Stale" and version.version in SUPPORTED
    ]


def _not_available() -> MetricsNotAvailable:
    return MetricsNotAvailable(
        "Metrics API not available",
        hint="metrics-server is missing or does not respond: kubectl get apiservice | grep metrics.k8s.io",
    )
