"""The nodes and what their kubelets answer, read once for all checks that are about them."""

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
"""Seconds for one answer of a kubelet."""
_TEXT = "text/plain;version=0.0.4"


class Info(msgspec.Struct, frozen=True):
    """What decides what a kubelet can measure."""

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
    """What a kubelet answered, and how long that took in seconds."""

    node: str
    text: bytes
    seconds: float


def nodes(session: Session) -> list[Node]:
    """All nodes. Raises as Client.get."""
    return session.once("kubelets' nodes", lambda: list_all(session.client, "/api/v1/nodes", decoder(ObjectList[Node])))


def asked(session: Session) -> dict[str, Answer | VmetricsError]:
    """metrics/resource of each node that is ready: the smallest text, and the one that metrics-server reads."""

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
    """Of the kubelets that answer."""
    return [item for item in asked(session).values() if isinstance(item, Answer)]


def rest(session: Session) -> str:
    """Which nodes nothing is known of."""
    known = {item.node for item in answers(session)}
    silent = [node.metadata.name for node in nodes(session) if node.metadata.name not in known]
    return f"; without {some(silent)}, which {'does' if len(silent) == 1 else 'do'} not answer" if silent else ""


def alike(session: Session) -> dict[str, list[str]]:
    """Of nodes with the same kubelet, kernel and system, one that answers, and the names of all that do.

    One is as good as all for what these decide.
    """
    known = {item.node for item in answers(session)}
    kinds: dict[Info, list[str]] = {}
    for node in nodes(session):
        if node.metadata.name in known:
            kinds.setdefault(node.status.info, []).append(node.metadata.name)
    return {names[0]: names for names in kinds.values()}


def text(session: Session, node: str, endpoint: str) -> bytes:
    """What a kubelet answers. Raises as Client.get."""
    return bytes(session.client.get(kubelet.path(node, endpoint), accept="*/*", limit=LIMIT).body)
