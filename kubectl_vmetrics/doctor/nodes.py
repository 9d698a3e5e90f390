"""The nodes and the answers of their kubelets, read once for all checks."""

from __future__ import annotations

import time
from functools import partial
from typing import NamedTuple

import msgspec

from kubectl_vmetrics.kube.core import Condition, ObjectMeta, holds
from kubectl_vmetrics.kube.errors import VmetricsError
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.kube.lists import ObjectList, decoder, list_all
from kubectl_vmetrics.metrics import kubelet
from kubectl_vmetrics.metrics.findings import some

from .check import Session

LIMIT = 10.0
"""Timeout of a request to a kubelet, in seconds."""
_TEXT = "text/plain;version=0.0.4"


class Info(msgspec.Struct, frozen=True):
    """The versions that determine what a kubelet can measure."""

    version: str = msgspec.field(default="", name="kubeletVersion")
    kernel: str = msgspec.field(default="", name="kernelVersion")
    system: str = msgspec.field(default="", name="osImage")


class _Status(msgspec.Struct):
    conditions: list[Condition] = []
    info: Info = msgspec.field(default_factory=Info, name="nodeInfo")


class Node(msgspec.Struct):
    """A node."""

    metadata: ObjectMeta
    status: _Status = msgspec.field(default_factory=_Status)


class Answer(NamedTuple):
    """A kubelet's answer, and how long it took in seconds."""

    node: str
    text: bytes
    seconds: float


def nodes(session: Session) -> list[Node]:
    """All nodes. Raises as Client.get."""
    return session.once("kubelets' nodes", lambda: list_all(session.client, "/api/v1/nodes", decoder(ObjectList[Node])))


def asked(session: Session) -> dict[str, Answer | VmetricsError]:
    """metrics/resource of each ready node: the smallest endpoint, and the one metrics-server reads."""

    def read() -> dict[str, Answer | VmetricsError]:
        names = [node.metadata.name for node in nodes(session) if ready(node)]
        return dict(zip(names, gather([partial(_ask, session, name) for name in names], limit=32), strict=True))

    return session.once("kubelets", read)


def _ask(session: Session, name: str) -> Answer:
    started = time.monotonic()
    found = session.client.get(kubelet.path(name, "metrics/resource"), accept=_TEXT, limit=LIMIT)
    return Answer(name, bytes(found.body), time.monotonic() - started)


def ready(node: Node) -> bool:
    """Whether the node is Ready."""
    return holds(node.status.conditions, "Ready")


def answers(session: Session) -> list[Answer]:
    """The answers of the kubelets that do answer."""
    return [item for item in asked(session).values() if isinstance(item, Answer)]


def rest(session: Session) -> str:
    """A note that lists the nodes whose kubelets do not answer."""
    known = {item.node for item in answers(session)}
    silent = [node.metadata.name for node in nodes(session) if node.metadata.name not in known]
    return f"; without {some(silent)}, which {'does' if len(silent) == 1 else 'do'} not answer" if silent else ""


def alike(session: Session) -> dict[str, list[str]]:
    """Group the nodes that answer by kubelet, kernel and operating system: the first of each group, and all names.

    What depends on these versions only is the same on all nodes of a group.
    """
    known = {item.node for item in answers(session)}
    kinds: dict[Info, list[str]] = {}
    for node in nodes(session):
        if node.metadata.name in known:
            kinds.setdefault(node.status.info, []).append(node.metadata.name)
    return {names[0]: names for names in kinds.values()}


def text(session: Session, node: str, endpoint: str) -> bytes:
    """A kubelet's answer. Raises as Client.get."""
    return bytes(session.client.get(kubelet.path(node, endpoint), accept="*/*", limit=LIMIT).body)
