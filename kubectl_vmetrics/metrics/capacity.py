"""Capacity of nodes, for percentages."""

from __future__ import annotations

from typing import NamedTuple

from kubectl_vmetrics.kube import core
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.core import Node
from kubectl_vmetrics.kube.errors import BadAnswer, Forbidden

from .quantity import cpu_nanocores, memory_bytes


class Available(NamedTuple):
    """CPU and memory in base units."""

    cpu_nanocores: int
    memory_bytes: int


def of_node(node: Node, *, capacity: bool = False) -> Available:
    """A node's allocatable, or all of its capacity; zero if not reported. Raises BadAnswer."""
    has = node.status.capacity if capacity else node.status.allocatable
    try:
        return Available(cpu_nanocores(has.get("cpu", "0")), memory_bytes(has.get("memory", "0")))
    except ValueError as error:
        raise BadAnswer(f"node {node.metadata.name}: {error}") from None


def of_host(client: Client) -> tuple[Available | None, str]:
    """All nodes' allocatable, or None and why it is not known.

    Raises:
        StatusError, ConnectionFailed, BadAnswer: as Client.get, except Forbidden.
    """
    try:
        parts = [of_node(node) for node in core.nodes(client)]
    except Forbidden as error:
        return None, f"percentages of the host are not available: {error.message}"
    return Available(sum(part.cpu_nanocores for part in parts), sum(part.memory_bytes for part in parts)), ""
