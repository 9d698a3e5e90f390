"""Kamaji's tenant control planes, read once for all checks."""

from __future__ import annotations

from kubectl_vmetrics.controlplane import kamaji
from kubectl_vmetrics.controlplane.plane import Plane

from .check import Absent, Session

NONE = "there are no tenant control planes"


def api(session: Session) -> str:
    """The path of Kamaji's API. Raises Absent."""
    found = kamaji.served(session.client)
    if found is None:
        raise Absent("Kamaji is not installed")
    return found


def tenants(session: Session) -> list[Plane]:
    """All tenant control planes. Raises Absent, and as Client.get."""
    return session.once("tenants", lambda: kamaji.find(session.client, None, api(session)))
